/* One broker at a time on a directory and on a port. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/datadir.h"
#include "broker/listener.h"
#include "common/check.h"
#include "common/clock.h"
#include "tests/lib/test.h"

static void
test_lock_creates_and_holds(void **state)
{
	(void)state;
	char *dir = test_dir_make();
	pid_t holder;
	int status, fd = datadir_lock(test_path(dir, "data"), &holder);
	assert_true(fd >= 0);
	pid_t pid = fork();
	if (pid == 0) { /* another process: refused, and told by whom */
		int mine = datadir_lock(test_path(dir, "data"), &holder);
		_exit(mine < 0 && holder == getppid() ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
	fd = datadir_lock(test_path(dir, "data"), &holder);
	assert_true(fd >= 0);
	close(fd);
	test_dir_remove(dir);
}

/* The supervisor was killed, a child of it still has the lock for a moment. */
static void
test_lock_waits_for_orphans(void **state)
{
	(void)state;
	char *dir = test_dir_make();
	int told[2], status;
	char byte;
	pid_t holder;
	assert_int_equal(pipe(told), 0);
	pid_t supervisor = fork();
	if (supervisor == 0) {
		if (datadir_lock(dir, &holder) < 0)
			_exit(1);
		if (fork() == 0) {
			CHECK(write(told[1], "x", 1) == 1);
			usleep(200000);
			_exit(0);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
	assert_int_equal(read(told[0], &byte, 1), 1);
	int64_t before_ms = clock_monotonic_ms();
	int fd = datadir_lock(dir, &holder);
	assert_true(fd >= 0);
	assert_in_range(clock_monotonic_ms() - before_ms, 50, 2900);
	close(fd);
	close(told[0]);
	close(told[1]);
	test_dir_remove(dir);
}

static void
test_a_file_is_no_directory(void **state)
{
	(void)state;
	char *dir = test_dir_make();
	pid_t holder;
	test_file_write(test_path(dir, "file"), "x");
	test_stderr_begin();
	assert_int_equal(datadir_lock(test_path(dir, "file"), &holder), -1);
	assert_int_equal(holder, 0);
	assert_non_null(strstr(test_stderr_end(), "Not a directory"));
	test_dir_remove(dir);
}

static struct config
listening_on(const char *listeners)
{
	struct config config;

	config_init(&config);
	assert_true(config_set(&config, "-o", "listeners", listeners));
	assert_true(config_resolve(&config));
	return config;
}

static void
test_port_0_is_one_port_for_both_families(void **state)
{
	(void)state;
	struct config config = listening_on("PLAINTEXT://:0");
	struct listeners l;
	assert_int_equal(listeners_open(&l, &config), LISTEN_OK);
	assert_in_range(l.n, 1, 2);
	assert_true(l.socket[0].port > 0);
	for (int i = 1; i < l.n; i++)
		assert_int_equal(l.socket[i].port, l.socket[0].port);
	listeners_close(&l);
	config_free(&config);
}

static void
test_a_port_in_use_is_said(void **state)
{
	(void)state;
	struct config first = listening_on("PLAINTEXT://127.0.0.1:0");
	struct listeners l, again;
	char text[64];
	assert_int_equal(listeners_open(&l, &first), LISTEN_OK);
	assert_int_equal(l.n, 1);
	snprintf(text, sizeof(text), "PLAINTEXT://127.0.0.1:%d", l.socket[0].port);
	struct config second = listening_on(text);
	test_stderr_begin();
	assert_int_equal(listeners_open(&again, &second), LISTEN_IN_USE);
	assert_non_null(strstr(test_stderr_end(), "port is in use"));
	assert_int_equal(again.n, 0);
	listeners_close(&l);
	config_free(&first);
	config_free(&second);
}

static void
test_a_foreign_address_is_refused(void **state)
{
	(void)state;
	struct config config = listening_on("PLAINTEXT://192.0.2.1:9092"); /* TEST-NET-1: nobody's */
	struct listeners l;
	test_stderr_begin();
	assert_int_equal(listeners_open(&l, &config), LISTEN_FAILED);
	assert_non_null(strstr(test_stderr_end(), "192.0.2.1"));
	config_free(&config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock_creates_and_holds),
		cmocka_unit_test(test_lock_waits_for_orphans),
		cmocka_unit_test(test_a_file_is_no_directory),
		cmocka_unit_test(test_port_0_is_one_port_for_both_families),
		cmocka_unit_test(test_a_port_in_use_is_said),
		cmocka_unit_test(test_a_foreign_address_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
