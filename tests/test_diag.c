#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/diag.h"

/* What follows the time, of the line or lines that `act` wrote at this format. */
static const char *
said(enum diag_format format, void (*act)(void))
{
	test_stderr_begin();
	diag_setup(DIAG_TRACE, format);
	diag_process("worker-0");
	act();
	const char *text = test_stderr_end();
	const char *z = strchr(text, 'Z');
	assert_non_null(z);
	return z + 1;
}

static char *
with_pid(const char *fmt)
{
	static char text[4096];
	(void)snprintf(text, sizeof(text), fmt, (int)getpid());
	return text;
}

static void
one_of_each(void)
{
	diag_info("connection accepted", D_C("client", "127.0.0.1:50412"), D_INT("id", 17),
		  D_STR("name", STR_NULL), D_HEX("bytes", STR("\x16\x03\x01")));
}

static void
text_line(void **state)
{
	(void)state;
	assert_string_equal(
	    said(DIAG_TEXT, one_of_each),
	    with_pid(" INFO  worker-0[%d] connection accepted client=127.0.0.1:50412 id=17 name=null "
		     "bytes=160301\n"));
}

static void
json_line(void **state)
{
	(void)state;
	assert_string_equal(
	    said(DIAG_JSON, one_of_each),
	    with_pid("\",\"level\":\"info\",\"source\":\"worker-0\",\"source_pid\":%d,\"event\":\"connection "
		     "accepted\",\"client\":\"127.0.0.1:50412\",\"id\":17,\"name\":null,"
		     "\"bytes\":\"160301\"}\n"));
}

static void
time_is_utc_with_milliseconds(void **state)
{
	(void)state;
	test_stderr_begin();
	diag_setup(DIAG_INFO, DIAG_TEXT);
	one_of_each();
	int y, mo, d, h, mi, s, ms, end = 0;
	const char *text = test_stderr_end();
	assert_int_equal(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &y, &mo, &d, &h, &mi, &s, &ms, &end),
			 7);
	assert_int_equal(end, 24);
	time_t now = time(NULL);
	struct tm utc;
	assert_non_null(gmtime_r(&now, &utc));
	assert_true(y == utc.tm_year + 1900 || y == utc.tm_year + 1899);
}

static void
hostile_values(void)
{
	diag_warn("refused", D_C("forged", "x\n2026-01-01T00:00:00.000Z ERROR gone\r"),
		  D_C("quote", "a\"b\\c"), D_C("escape", "\x1b[2J\x7f"), D_STR("nul", STR("a\0b")),
		  D_C("bad", "\xff\xc3("), D_C("c1", "\xc2\x9b"), D_C("bidi", "\xe2\x80\xae"),
		  D_C("good", "\xc3\xa9t\xc3\xa9 \xf0\x9f\x98\x80"), D_C("empty", ""), D_C("word", "null"),
		  D_C("pair", "a=b"));
}

static void
no_value_can_forge_a_line(void **state)
{
	(void)state;
	assert_string_equal(
	    strstr(said(DIAG_TEXT, hostile_values), "refused"),
	    "refused forged=\"x\\n2026-01-01T00:00:00.000Z ERROR gone\\r\" quote=\"a\\\"b\\\\c\" "
	    "escape=\"\\u001b[2J\\u007f\" nul=\"a\\u0000b\" bad=\"\\xff\\xc3(\" c1=\"\\u009b\" "
	    "bidi=\"\\u202e\" good=\"\xc3\xa9t\xc3\xa9 \xf0\x9f\x98\x80\" empty=\"\" word=\"null\" "
	    "pair=\"a=b\"\n");
	assert_string_equal(
	    strstr(said(DIAG_JSON, hostile_values), ",\"forged\""),
	    ",\"forged\":\"x\\n2026-01-01T00:00:00.000Z ERROR gone\\r\",\"quote\":\"a\\\"b\\\\c\","
	    "\"escape\":\"\\u001b[2J\\u007f\",\"nul\":\"a\\u0000b\",\"bad\":\"\\ufffd\\ufffd(\","
	    "\"c1\":\"\\u009b\",\"bidi\":\"\\u202e\",\"good\":\"\xc3\xa9t\xc3\xa9 \xf0\x9f\x98\x80\","
	    "\"empty\":\"\",\"word\":\"null\",\"pair\":\"a=b\"}\n");
}

static char long_text[100000];

static void
long_values(void)
{
	struct str s = { long_text, sizeof(long_text) };
	memset(long_text, 'a', sizeof(long_text));
	diag_info("long", D_STR("text", s), D_HEX("hex", s), D_INT("least", INT64_MIN));
}

static void
long_values_are_shortened(void **state)
{
	(void)state;
	const char *text = said(DIAG_TEXT, long_values);
	assert_true(strlen(text) < 1500);
	assert_non_null(strstr(text, "a... 98976 bytes more\""));
	assert_non_null(strstr(text, "6161..(100000)"));
	assert_non_null(strstr(text, "least=-9223372036854775808\n"));
}

static void
a_block(void)
{
	diag_block(DIAG_TRACE, "request decoded", STR("acks -1\ntopic \"a\\b\"\n\x1b[0m\n\n"));
}

static void
blocks(void **state)
{
	(void)state;
	assert_string_equal(
	    said(DIAG_TEXT, a_block),
	    with_pid(
		" TRACE worker-0[%d] request decoded\n    acks -1\n    topic \"a\\b\"\n    \\u001b[0m\n"));
	assert_non_null(
	    strstr(said(DIAG_JSON, a_block),
		   "\"request decoded\",\"text\":\"acks -1\\ntopic \\\"a\\\\b\\\"\\n\\u001b[0m\"}\n"));
}

static int evaluated;

static int64_t
count_evaluation(void)
{
	return ++evaluated;
}

static void
quiet_levels_cost_nothing(void **state)
{
	(void)state;
	evaluated = 0;
	test_stderr_begin();
	diag_setup(DIAG_WARN, DIAG_TEXT);
	diag_info("info", D_INT("n", count_evaluation()));
	diag_debug("debug", D_INT("n", count_evaluation()));
	diag_block(DIAG_INFO, "block", STR("text"));
	diag_warn("warn", D_INT("n", count_evaluation()));
	diag_error("error", D_INT("n", count_evaluation()));
	const char *text = test_stderr_end();
	assert_int_equal(evaluated, 2);
	assert_null(strstr(text, "info"));
	assert_null(strstr(text, "block"));
	assert_non_null(strstr(text, "WARN "));
	assert_non_null(strstr(text, "ERROR"));
	assert_true(diag_on(DIAG_WARN));
	assert_false(diag_on(DIAG_INFO));
}

static void
names_of_levels_and_formats(void **state)
{
	(void)state;
	enum diag_level level = DIAG_INFO;
	enum diag_format format = DIAG_TEXT;
	assert_true(diag_parse_level("trace", &level));
	assert_int_equal(level, DIAG_TRACE);
	assert_true(diag_parse_level("ERROR", &level));
	assert_int_equal(level, DIAG_ERROR);
	assert_false(diag_parse_level("loud", &level));
	assert_int_equal(level, DIAG_ERROR);
	assert_true(diag_parse_format("json", &format));
	assert_int_equal(format, DIAG_JSON);
	assert_false(diag_parse_format("xml", &format));
}

/* ---- Where standard error leads ---- */

static int saved;

static void
stderr_to(int fd)
{
	saved = dup(STDERR_FILENO);
	assert_true(saved >= 0);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	assert_int_equal(close(fd), 0);
}

static void
stderr_back(void)
{
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	assert_int_equal(close(saved), 0);
	diag_setup(DIAG_INFO, DIAG_TEXT);
}

static void
drain(int fd, char *out, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;
	while (n < size - 1 && poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0) {
		ssize_t got = read(fd, out + n, size - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	out[n] = '\0';
}

/* Nobody reads: thousands of lines take a moment, are lost, and are counted once somebody does. */
static void
never_held_up(int read_end, int write_end)
{
	enum { LINES = 20000 };
	static char text[1024 * 1024];
	stderr_to(write_end);
	diag_setup(DIAG_INFO, DIAG_TEXT);
	int64_t began_ms = clock_monotonic_ms();
	for (int i = 0; i < LINES; i++)
		diag_info("line", D_INT("i", i),
			  D_C("padding", "............................................"));
	int64_t took_ms = clock_monotonic_ms() - began_ms;

	drain(read_end, text, sizeof(text));
	int written = 0;
	for (const char *at = text; (at = strstr(at, " line i=")) != NULL; at++)
		written++;
	diag_info("first after", D_INT("n", 0));
	char after[4096];
	drain(read_end, after, sizeof(after));
	stderr_back();
	assert_true(took_ms < 5000);
	assert_true(written > 0 && written < LINES);
	const char *lost = strstr(after, "lines lost n=");
	assert_non_null(lost);
	assert_int_equal(atoi(lost + strlen("lines lost n=")) + written, LINES);
	assert_int_equal(close(read_end), 0);
}

static void
a_full_pipe_never_blocks(void **state)
{
	(void)state;
	int fd[2];
	assert_int_equal(pipe(fd), 0);
	never_held_up(fd[0], fd[1]);
}

static void
a_full_socket_never_blocks(void **state)
{
	(void)state;
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	never_held_up(fd[0], fd[1]);
}

/* A full disk may take half a line: the next one does not stick to it. */
static void
a_cut_line_ends(void **state)
{
	(void)state;
	char text[1024] = { 0 };
	FILE *file = tmpfile();
	assert_non_null(file);
	int fd = fileno(file), status;
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit limit = { 20, RLIM_INFINITY };
		signal(SIGXFSZ, SIG_IGN);
		stderr_to(fcntl(fd, F_DUPFD, 0));
		diag_setup(DIAG_INFO, DIAG_TEXT);
		setrlimit(RLIMIT_FSIZE, &limit);
		diag_info("the first");
		limit.rlim_cur = RLIM_INFINITY;
		setrlimit(RLIMIT_FSIZE, &limit);
		diag_info("the second");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	fclose(file);
	char *second = strchr(text, '\n');
	assert_non_null(second);
	assert_int_equal(second - text, 20);
	assert_non_null(strstr(second, "the second\n"));
	assert_non_null(strstr(second, "lines lost n=1"));
}

/* The file description that a shell shares with us must stay as it was. */
static void
the_pipe_itself_stays_blocking(void **state)
{
	(void)state;
	int fd[2];
	assert_int_equal(pipe(fd), 0);
	stderr_to(fd[1]);
	diag_setup(DIAG_INFO, DIAG_TEXT);
	int flags = fcntl(STDERR_FILENO, F_GETFL);
	stderr_back();
	assert_int_equal(flags & O_NONBLOCK, 0);
	assert_int_equal(close(fd[0]), 0);
}

static void
a_dead_reader_harms_nobody(void **state)
{
	(void)state;
	int fd[2], status;
	assert_int_equal(pipe(fd), 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)close(fd[0]);
		(void)signal(SIGPIPE, SIG_DFL);
		(void)dup2(fd[1], STDERR_FILENO);
		(void)close(fd[1]);
		diag_setup(DIAG_INFO, DIAG_TEXT);
		for (int i = 0; i < 100; i++)
			diag_info("to nobody", D_INT("i", i));
		(void)close(STDERR_FILENO);
		diag_setup(DIAG_INFO, DIAG_TEXT);
		diag_info("to nothing", D_INT("i", 0));
		_exit(42);
	}
	assert_int_equal(close(fd[0]), 0);
	assert_int_equal(close(fd[1]), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

/* A datagram is what one write(2) wrote. */
static void
one_write_a_line(void **state)
{
	(void)state;
	char text[8192];
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	stderr_to(fd[1]);
	diag_setup(DIAG_TRACE, DIAG_JSON);
	one_of_each();
	hostile_values();
	a_block();
	stderr_back();
	for (int i = 0; i < 3; i++) {
		ssize_t n = recv(fd[0], text, sizeof(text), MSG_DONTWAIT);
		assert_true(n > 2);
		assert_int_equal(text[0], '{');
		assert_ptr_equal(memchr(text, '\n', (size_t)n), &text[n - 1]);
	}
	assert_int_equal(recv(fd[0], text, sizeof(text), MSG_DONTWAIT), -1);
	assert_int_equal(close(fd[0]), 0);
}

/* Processes share the pipe, and lines stay whole. */
static void
lines_of_processes_do_not_mix(void **state)
{
	(void)state;
	enum { PROCESSES = 4, LINES = 500 };
	int fd[2], lines = 0, status;
	assert_int_equal(pipe(fd), 0);
	for (int p = 0; p < PROCESSES; p++) {
		if (fork() != 0)
			continue;
		(void)dup2(fd[1], STDERR_FILENO);
		(void)close(fd[0]);
		(void)close(fd[1]);
		diag_setup(DIAG_INFO, DIAG_TEXT);
		diag_process("child");
		for (int i = 0; i < LINES; i++)
			diag_info("line", D_INT("i", i), D_C("end", "end"));
		_exit(0);
	}
	assert_int_equal(close(fd[1]), 0);
	FILE *in = fdopen(fd[0], "r");
	char line[512];
	while (fgets(line, sizeof(line), in) != NULL) {
		char when[32];
		int pid, i, end = 0;
		lines += strstr(line, "lines lost") != NULL ? 0 : 1;
		if (strstr(line, "lines lost") != NULL)
			continue;
		assert_int_equal(
		    sscanf(line, "%31s INFO child[%d] line i=%d end=end%n", when, &pid, &i, &end), 3);
		assert_int_equal(line[end], '\n');
	}
	assert_int_equal(fclose(in), 0);
	for (int p = 0; p < PROCESSES; p++)
		assert_true(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_true(lines > LINES);
}

/* Somebody brings about ten thousand lines: a thousand are written, then one for each 50 ms, which says how many were
 * not. */
static void
floods_are_cut(void **state)
{
	(void)state;
	struct diag_rate rate = { 0 };
	int said = 0;
	for (int i = 0; i < 10 * DIAG_OFTEN_BURST; i++)
		said += diag_may_say(&rate, "flood");
	assert_in_range(said, DIAG_OFTEN_BURST, 2 * DIAG_OFTEN_BURST); /* some time has passed meanwhile */
	assert_true(rate.left_out > 0);
	rate.next_ms -= DIAG_OFTEN_MS;
	assert_true(diag_may_say(&rate, "flood"));
	assert_int_equal(rate.left_out, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_line),
		cmocka_unit_test(floods_are_cut),
		cmocka_unit_test(json_line),
		cmocka_unit_test(time_is_utc_with_milliseconds),
		cmocka_unit_test(no_value_can_forge_a_line),
		cmocka_unit_test(long_values_are_shortened),
		cmocka_unit_test(blocks),
		cmocka_unit_test(quiet_levels_cost_nothing),
		cmocka_unit_test(names_of_levels_and_formats),
		cmocka_unit_test(a_full_pipe_never_blocks),
		cmocka_unit_test(a_full_socket_never_blocks),
		cmocka_unit_test(a_cut_line_ends),
		cmocka_unit_test(the_pipe_itself_stays_blocking),
		cmocka_unit_test(a_dead_reader_harms_nobody),
		cmocka_unit_test(one_write_a_line),
		cmocka_unit_test(lines_of_processes_do_not_mix),
	};
	return cmocka_run_group_tests_name("diag", tests, NULL, NULL);
}
