/* What the log says about the dead. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/children.h"
#include "broker/death.h"
#include "common/clock.h"
#include "tests/lib/test.h"

static const struct core core = { "worker-7", 4711, SIGSEGV };

static void
is_at(const char *pattern, bool uses_pid, const char *wanted)
{
	char out[1024];

	death_core_place(&core, pattern, uses_pid, "/var/lib/forka", out, sizeof(out));
	assert_string_equal(out, wanted);
}

static void
a_core_is_where_the_kernels_pattern_says(void **state)
{
	(void)state;
	is_at("core", false, "/var/lib/forka/core");
	is_at("core", true, "/var/lib/forka/core.4711");
	is_at("core.%p", true, "/var/lib/forka/core.4711");
	is_at("/cores/%e.%p.%s.%t", false, "/cores/worker-7.4711.11.*");
	is_at("/cores/%e%%%", true, "/cores/worker-7%.4711");
	is_at("/cores/%Z", false, "/cores/*");
	is_at("|/usr/lib/systemd/systemd-coredump %P %u", false,
	      "given to /usr/lib/systemd/systemd-coredump");
	is_at("| /bin/crash", true, "given to /bin/crash");
}

static void
long_patterns_are_cut(void **state)
{
	(void)state;
	char pattern[128], out[128];
	memset(pattern, 'x', sizeof(pattern) - 1);
	pattern[0] = '/';
	pattern[sizeof(pattern) - 1] = '\0';
	death_core_place(&core, pattern, true, "", out, sizeof(out));
	assert_true(strlen(out) < sizeof(out));
}

/* What is said of a child that ends so. */
static const char *
said_of(void (*ends)(void), int64_t pause_ms)
{
	struct child child = { .name = "worker-7", .wanted = true };
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		ends();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	child.not_before_ms = clock_monotonic_ms() + pause_ms;
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	test_stderr_begin();
	death_say(&child, pid, status);
	return test_stderr_end();
}

static void
be_killed(void)
{
	raise(SIGKILL);
}

static void
crash(void)
{
	signal(SIGSEGV, SIG_DFL); /* a sanitizer would rather report it */
	raise(SIGSEGV);
}

static void
end_with_7(void)
{
	_exit(7);
}

static void
each_end_is_told(void **state)
{
	(void)state;
	const char *said = said_of(be_killed, 0);
	assert_non_null(strstr(said, "process was killed process=worker-7"));
	assert_non_null(strstr(said, "number=9"));
	assert_null(strstr(said, "core="));
	assert_null(strstr(said, "again"));
	said = said_of(crash, 0);
	assert_non_null(strstr(said, "number=11 core=\"none: the limit of core files is 0\""));
	assert_non_null(strstr(said_of(end_with_7, 0), "process ended process=worker-7"));
}

static void
who_dies_again_and_again_is_told_when_the_next_comes(void **state)
{
	(void)state;
	const char *said = said_of(end_with_7, 60000);
	assert_non_null(strstr(said, "process dies again and again: the next has to wait process=worker-7"));
	assert_non_null(strstr(said, "starts_in_ms="));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_core_is_where_the_kernels_pattern_says),
		cmocka_unit_test(long_patterns_are_cut),
		cmocka_unit_test(each_end_is_told),
		cmocka_unit_test(who_dies_again_and_again_is_told_when_the_next_comes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
