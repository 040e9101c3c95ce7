/*
 * What every unit test includes: cmocka with what it needs, and a few helpers.
 *
 * A test program is one file, tests/test_<module>.c, with one cmocka group. It may use its module's layer and
 * those below (Makefile), and the archive of tests/lib/, of which only what is used is linked.
 */
#ifndef TESTS_LIB_TEST_H
#define TESTS_LIB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/str.h"

/* An empty directory of its own under $TMPDIR (/tmp); aborts if it cannot be made. Give it to
 * test_dir_remove(). */
char *test_dir_make(void);
/* Remove the directory with all that it holds, and free the name. */
void test_dir_remove(char *dir);
/* "<dir>/<name>" in static memory, which the next call overwrites. */
const char *test_path(const char *dir, const char *name);
void test_file_write(const char *path, const char *text);

/* The longest that a test waits for what should take no time: so long, times PATIENCE (a sanitizer, Valgrind). */
int64_t test_patience_ms(int64_t ms);

/*
 * Standard error into a file, from begin to end; end gives what was written (static memory, NUL-terminated,
 * at most 256 KB).
 */
void test_stderr_begin(void);
const char *test_stderr_end(void);

/* The view s reads exactly as the C string c; NULL: s is null. */
#define assert_str(s, c) assert_str_at((s), (c), __FILE__, __LINE__)
void assert_str_at(struct str s, const char *c, const char *file, int line);

#endif
