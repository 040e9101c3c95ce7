/*
 * A disk that fails: a checkpoint whose sync or write goes wrong is published by nobody, and tried again by
 * nobody. What a failed fdatasync() left on disk is unknown, and the next one may well succeed.
 *
 * This program has its own fdatasync, fsync and pwrite, which fail when they are told to; the engine and
 * the store use them. Called with arguments it is the broker itself, with those.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/supervisor.h"
#include "common/clock.h"
#include "common/diag.h"
#include "storage/ckptfile.h"
#include "tests/lib/client.h"
#include "tests/lib/live_broker.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

/* --- a disk that fails ------------------------------------------------------------------------------- */

#define TOLD_BY "FORKA_TEST_DISK_ERROR" /* a file: while it is there, syncs of data.mdb fail */

static int left; /* calls until the one that fails; 0: none will */
static bool fired;

static bool
is_time(void)
{
	if (left == 0 || --left > 0)
		return false;
	return fired = true;
}

static bool
is_open_on(int fd, const char *name)
{
	char link[64], path[PATH_MAX];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	size_t end = strlen(name);
	return n > (ssize_t)end && strncmp(path + n - end, name, end) == 0;
}

static bool
is_told(int fd)
{
	const char *file = getenv(TOLD_BY);
	return file != NULL && access(file, F_OK) == 0 && is_open_on(fd, "/data.mdb");
}

static int
sync_or_fail(int fd, const char *name)
{
	int (*f)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	if (!is_time() && !is_told(fd))
		return f(fd);
	errno = EIO;
	return -1;
}

int
fdatasync(int fd)
{
	return sync_or_fail(fd, "fdatasync");
}

int
fsync(int fd)
{
	return sync_or_fail(fd, "fsync");
}

ssize_t
pwrite(int fd, const void *at, size_t n, off_t offset)
{
	ssize_t (*f)(int, const void *, size_t, off_t) =
	    (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
	if (!is_open_on(fd, "/ckpt") || !is_time())
		return f(fd, at, n, offset);
	errno = EIO;
	return -1;
}

/* --- the store --------------------------------------------------------------------------------------- */

static uint64_t
durable(const struct store_fixture *f)
{
	return atomic_load(&f->shared->durable);
}

static uint64_t
commit_one(struct store_fixture *f, const struct topic *t)
{
	fixture_append(f, t, 0, &(struct batch_spec){ .count = 1 });
	struct store_txn *txn = fixture_read(f);
	uint64_t commit = store_snapshot(txn);
	store_read_end(txn);
	return commit;
}

/* A process that tries again is ended before it can say that all is well. */
static void
another_try_is_the_end(struct store_fixture *f)
{
	int status;
	uint64_t before = durable(f);
	pid_t child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
		_exit(store_checkpoint(f->store) == ERR_NONE ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_int_equal(durable(f), before);
}

/* A new store, or one that has a side file: `calls` of a checkpoint can fail. */
static int
checkpoints_that_fail(bool reopened)
{
	int k = 1;
	for (bool failed = true; failed; k++) {
		struct store_fixture f;
		fixture_begin(&f, DURABILITY_DURABLE);
		struct topic t = fixture_topic(&f, "t", 1);
		if (reopened) {
			fixture_close(&f, false);
			fixture_open(&f);
		}
		uint64_t commit = commit_one(&f, &t), before = durable(&f);
		int64_t watermark = fixture_partition(&f, &t, 0).high_watermark;
		test_stderr_begin();
		left = k;
		fired = false;
		enum err e = store_checkpoint(f.store);
		left = 0;
		failed = fired;
		assert_int_equal(e, failed ? ERR_KAFKA_STORAGE_ERROR : ERR_NONE);
		assert_int_equal(store_is_durable(f.store, commit), !failed);
		if (failed) {
			assert_int_equal(durable(&f), before);
			assert_int_equal(fixture_partition(&f, &t, 0).high_watermark, watermark);
			another_try_is_the_end(&f);
		}
		const char *said = test_stderr_end();
		assert_int_equal(failed, strstr(said, "Input/output error") != NULL);
		fixture_end(&f);
	}
	return k - 2;
}

static void
a_failed_checkpoint_is_published_by_nobody(void **state)
{
	(void)state;
	assert_int_equal(checkpoints_that_fail(false), 2); /* the sync, and the slot */
	assert_int_equal(checkpoints_that_fail(true), 2);
}

/* Of the first ones of a run, in a new directory: the side file is made, names are synced. */
static void
nobody_writes_where_the_first_checkpoint_failed(void **state)
{
	(void)state;
	int k = 1, forgiven = 0;
	for (bool failed = true; failed; k++) {
		struct store_fixture f;
		fixture_begin(&f, DURABILITY_DURABLE);
		fixture_close(&f, false);
		unlink(test_path(f.dir, "ckpt"));
		unlink(test_path(f.dir, "data.mdb"));
		store_shared_init(f.shared);
		f.store = fixture_store(&f, 0);
		test_stderr_begin();
		left = k;
		fired = false;
		enum err e = store_prepare(f.store);
		left = 0;
		(void)test_stderr_end();
		failed = fired;
		forgiven += failed && e == ERR_NONE;
		assert_true(failed || e == ERR_NONE);
		assert_int_equal(atomic_load(&f.shared->writes_ok), e == ERR_NONE);
		fixture_end(&f);
	}
	assert_true(k > 6);
	assert_int_equal(forgiven, 1); /* the directory's parent, which may be another's */
}

static void
a_failed_last_checkpoint_is_not_clean(void **state)
{
	(void)state;
	for (int k = 1; k <= 2; k++) {
		struct store_fixture f;
		struct ckpt_slot slot;
		fixture_begin(&f, DURABILITY_DURABLE);
		struct topic t = fixture_topic(&f, "t", 1);
		commit_one(&f, &t);
		test_stderr_begin();
		left = k;
		assert_int_equal(store_finish(f.store), ERR_KAFKA_STORAGE_ERROR);
		left = 0;
		(void)test_stderr_end();
		int fd = open(test_path(f.dir, "ckpt"), O_RDONLY);
		assert_true(ckptfile_newest(fd, &slot) >= 0);
		assert_false(slot.clean);
		close(fd);
		fixture_end(&f);
	}
}

/* --- the broker -------------------------------------------------------------------------------------- */

static int
wait_for_end(struct live_broker *b)
{
	int status;
	int64_t deadline_ms = clock_monotonic_ms() + 20000;
	while (waitpid(b->pid, &status, WNOHANG) == 0) {
		if (clock_monotonic_ms() > deadline_ms) {
			live_broker_kill(b);
			fail_msg("the broker goes on");
		}
		usleep(2000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Records of which nobody can know whether they are on disk are acknowledged to nobody. */
static void
a_broker_whose_disk_fails_stops_and_says_why(void **state)
{
	(void)state;
	char *dir = test_dir_make(), self[PATH_MAX] = "", *fault = strdup(test_path(dir, "fault"));
	const char *broker = getenv("BROKER");
	char *before = broker != NULL ? strdup(broker) : NULL;
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	setenv("BROKER", self, 1);
	setenv(TOLD_BY, fault, 1);
	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);
	struct client c = client_connect(b.port);
	client_create_topic(&c, "t", 1);
	assert_int_equal(client_produce(&c, "t", 0, -1, client_batch(&c.arena, 1, 100))->error_code,
			 ERR_NONE);
	test_file_write(fault, "now");
	client_send_produce(&c, "t", 0, -1, client_batch(&c.arena, 1, 100));
	assert_int_equal(wait_for_end(&b), EXIT_STATUS_FAILED);
	assert_true(client_is_closed(&c)); /* without an answer */
	assert_int_equal(live_broker_said(&b, "the disk failed"), 1);
	assert_int_equal(live_broker_said(&b, "the disk cannot be trusted any more"), 1);
	client_close(&c);
	unlink(fault);
	b = live_broker_start(dir, "-w", "1", NULL); /* a new disk, a new try */
	assert_int_equal(live_broker_stop(&b), 0);
	unsetenv(TOLD_BY);
	if (before != NULL)
		setenv("BROKER", before, 1);
	free(before);
	free(fault);
	test_dir_remove(dir);
}

static int
be_the_broker(int argc, char **argv)
{
	static struct config config;
	config_init(&config);
	if (config_parse_args(&config, argc, argv) != CONFIG_ACT_RUN)
		return EXIT_STATUS_USAGE;
	diag_process("broker");
	return (int)supervisor_run(config_share(&config), clock_monotonic_ns());
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		return be_the_broker(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_checkpoint_is_published_by_nobody),
		cmocka_unit_test(nobody_writes_where_the_first_checkpoint_failed),
		cmocka_unit_test(a_failed_last_checkpoint_is_not_clean),
		cmocka_unit_test(a_broker_whose_disk_fails_stops_and_says_why),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
