#include "tests/lib/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/check.h"

/* Run `act` in a child whose standard error is caught; what it died of (0: it did not), and what it said. */
static int
signal_of(void (*act)(void), const char **said)
{
	int status;
	test_stderr_begin();
	pid_t pid = fork();
	if (pid == 0) {
		const struct rlimit none = { 0, 0 };
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGABRT, SIG_DFL);
		act();
		_exit(0);
	}
	pid_t reaped = waitpid(pid, &status, 0);
	*said = test_stderr_end();
	assert_int_equal(reaped, pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
broken(void)
{
	CHECK(1 + 1 == 3);
}

static void
whole(void)
{
	CHECK(1 + 1 == 2);
}

static void
a_broken_invariant_aborts_and_says_where(void **state)
{
	(void)state;
	const char *said;
	assert_int_equal(signal_of(broken, &said), SIGABRT);
	assert_non_null(strstr(said, "tests/test_check.c:"));
	assert_non_null(strstr(said, "1 + 1 == 3"));
	assert_int_equal(signal_of(whole, &said), 0);
	assert_string_equal(said, "");
}

static void
overflowing_array(void)
{
	struct arena arena = ARENA_EMPTY;
	(void)arena_array(&arena, SIZE_MAX / 8, 16);
}

static void
consume_too_much(void)
{
	struct buf b = BUF_EMPTY;
	buf_append(&b, "x", 1);
	buf_consume(&b, 2);
}

static void
grew_too_much(void)
{
	struct buf b = BUF_EMPTY;
	buf_grew(&b, 1);
}

static void
misuse_of_arena_and_buf_aborts(void **state)
{
	(void)state;
	const char *said;
	assert_int_equal(signal_of(overflowing_array, &said), SIGABRT);
	assert_int_equal(signal_of(consume_too_much, &said), SIGABRT);
	assert_int_equal(signal_of(grew_too_much, &said), SIGABRT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_broken_invariant_aborts_and_says_where),
		cmocka_unit_test(misuse_of_arena_and_buf_aborts),
	};
	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
