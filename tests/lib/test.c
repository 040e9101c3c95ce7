#include "tests/lib/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"

char *
test_dir_make(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir;
	CHECK(asprintf(&dir, "%s/forka-test-XXXXXX", tmp != NULL && *tmp != '\0' ? tmp : "/tmp") > 0);
	CHECK(mkdtemp(dir) != NULL);
	return dir;
}

/* What is gone already, or not empty because a process still writes there, is left to the next round. */
static int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	(void)remove(path);
	return 0;
}

void
test_dir_remove(char *dir)
{
	for (int round = 0; round < 100 && access(dir, F_OK) == 0; round++)
		(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	if (access(dir, F_OK) == 0)
		print_error("%s could not be removed: something writes there\n", dir);
	free(dir);
}

const char *
test_path(const char *dir, const char *name)
{
	static char path[4096];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);
	CHECK(n > 0 && n < (int)sizeof(path));
	return path;
}

void
test_file_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	CHECK(f != NULL);
	CHECK(fputs(text, f) >= 0);
	CHECK(fclose(f) == 0);
}

int64_t
test_patience_ms(int64_t ms)
{
	const char *times = getenv("PATIENCE");
	long n = times != NULL ? strtol(times, NULL, 10) : 1;
	return n > 1 ? ms * n : ms;
}

static int saved_stderr = -1;
static FILE *captured;

void
test_stderr_begin(void)
{
	CHECK(saved_stderr < 0);
	saved_stderr = dup(STDERR_FILENO);
	captured = tmpfile();
	CHECK(saved_stderr >= 0 && captured != NULL);
	CHECK(dup2(fileno(captured), STDERR_FILENO) >= 0);
}

const char *
test_stderr_end(void)
{
	static char text[256 * 1024];
	CHECK(saved_stderr >= 0);
	CHECK(dup2(saved_stderr, STDERR_FILENO) >= 0);
	CHECK(close(saved_stderr) == 0);
	saved_stderr = -1;

	rewind(captured);
	text[fread(text, 1, sizeof(text) - 1, captured)] = '\0';
	CHECK(fclose(captured) == 0);
	return text;
}

void
assert_str_at(struct str s, const char *c, const char *file, int line)
{
	if (str_eq(s, str_of(c)))
		return;
	print_error("found    %.*s%s\nexpected %s\n", STR_ARG(s), str_is_null(s) ? "(null)" : "",
		    c != NULL ? c : "(null)");
	_fail(file, line);
}
