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

/*
 * A file: if it is there, the next sync of data.mdb takes a while and fails, and it is there no longer. So the one after
 * that succeeds, as with a kernel that has given up what it could not write. Meanwhile FILE.failing is there.
 */
#define TOLD_BY  "FORKA_TEST_DISK_ERROR"
#define TAKES_US 300000

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

static void
fail_slowly(void)
{
	char failing[PATH_MAX];
	const char *file = getenv(TOLD_BY);
	snprintf(failing, sizeof(failing), "%s.failing", file);
	CHECK(rename(file, failing) == 0);
	usleep(TAKES_US);
}

static int
sync_or_fail(int fd, const char *name)
{
	int (*f)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	bool told = is_told(fd);
	if (!is_time() && !told)
		return f(fd);
	if (told)
		fail_slowly();
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

/* Whoever tries again, though this time the disk would say yes, is refused: also a successor. */
static void
another_try_is_the_end(struct store_fixture *f)
{
	int status;
	uint64_t before = durable(f);
	pid_t child = fork();
	if (child == 0) {
		bool refused = store_checkpoint(f->store) != ERR_NONE && store_finish(f->store) != ERR_NONE &&
			       store_prepare(f->store) != ERR_NONE;
		_exit(refused ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(atomic_load(&f->shared->writes_ok), 0);
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

/* A broker that is this very program, so that its disk fails when it is told so. */
struct faulty {
	char *dir, *fault, *before; /* before: what BROKER was */
	struct live_broker b;
};

static struct faulty
faulty_start(void)
{
	struct faulty f = { .dir = test_dir_make() };
	char self[PATH_MAX] = "";
	f.fault = strdup(test_path(f.dir, "fault"));
	f.before = getenv("BROKER") != NULL ? strdup(getenv("BROKER")) : NULL;
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	setenv("BROKER", self, 1);
	setenv(TOLD_BY, f.fault, 1);
	f.b = live_broker_start(f.dir, "-w", "2", NULL);
	return f;
}

static void
faulty_end(struct faulty *f)
{
	unsetenv(TOLD_BY);
	if (f->before != NULL)
		setenv("BROKER", f->before, 1);
	free(f->before);
	free(f->fault);
	test_dir_remove(f->dir);
}

static struct produce_response_partition_response *
produce(struct client *c)
{
	struct produce_response_partition_response *answer =
	    client_produce(c, "t", 0, -1, client_batch(&c->arena, 1, 100));
	assert_int_equal(answer->error_code, ERR_NONE);
	return answer;
}

/* A record that is acknowledged, and one whose sync will fail. */
static struct client
produce_two(struct faulty *f)
{
	struct client c = client_connect(f->b.port);
	client_create_topic(&c, "t", 1);
	assert_int_equal(produce(&c)->base_offset, 0);
	test_file_write(f->fault, "now");
	client_send_produce(&c, "t", 0, -1, client_batch(&c.arena, 1, 100));
	return c;
}

/*
 * Records of which nobody can know whether they are on disk are acknowledged to nobody. The next start, in the same
 * boot, does not believe the page cache either: it goes back to the last checkpoint.
 */
static void
a_broker_whose_disk_fails_stops_and_says_why(void **state)
{
	(void)state;
	struct faulty f = faulty_start();
	struct client c = produce_two(&f);
	assert_int_equal(wait_for_end(&f.b), EXIT_STATUS_DISK_FAILED);
	assert_true(client_is_closed(&c)); /* without an answer */
	assert_int_equal(live_broker_said(&f.b, "the disk failed why="), 1);
	assert_int_equal(live_broker_said(&f.b, "the disk cannot be trusted any more"), 1);
	client_close(&c);
	for (int64_t offset = 1; offset <= 2;
	     offset++) { /* a new disk, a new try; and another, which believes it */
		f.b = live_broker_start(f.dir, "-w", "1", NULL);
		assert_int_equal(live_broker_said(&f.b, "the disk failed when the store was last used"),
				 2 - offset);
		c = client_connect(f.b.port);
		assert_int_equal(produce(&c)->base_offset, offset);
		client_close(&c);
		assert_int_equal(live_broker_stop(&f.b), 0);
	}
	faulty_end(&f);
}

/* A successor's sync would succeed, and the answer that waits be sent. */
static void
nor_is_it_believed_while_the_broker_stops(void **state)
{
	(void)state;
	struct faulty f = faulty_start();
	struct client c = produce_two(&f);
	char *failing = strdup(test_path(f.dir, "fault.failing"));
	for (int i = 0; access(failing, F_OK) != 0; i++) {
		assert_true(i < 10000);
		usleep(1000);
	}
	assert_int_equal(live_broker_stop(&f.b), EXIT_STATUS_DISK_FAILED);
	assert_true(client_is_closed(&c));
	client_close(&c);
	free(failing);
	faulty_end(&f);
}

/* --- the last checkpoint -------------------------------------------------------------------------------- */

/* Of the newest whole slot, or -1. */
static int
is_clean(const char *dir)
{
	struct ckpt_slot slot;
	int fd = open(test_path(dir, "data/ckpt"), O_RDONLY), at = fd >= 0 ? ckptfile_newest(fd, &slot) : -1;
	if (fd >= 0)
		close(fd);
	return at >= 0 ? slot.clean : -1;
}

static void
wait_until_gone(pid_t pid)
{
	for (int64_t until_ms = clock_monotonic_ms() + test_patience_ms(10000); kill(pid, 0) == 0;
	     usleep(1000))
		assert_true(clock_monotonic_ms() < until_ms);
}

/*
 * Its maker has died again and again, and the next one would have to wait for 1.6 s; but the broker is to stop now. It
 * dies before that, or late: when all others have left.
 */
static void
stop_without_a_checkpointer(bool late)
{
	char *dir = test_dir_make();
	struct live_broker b = live_broker_start(dir, "-w", "1", "-o", "log.flush.interval.ms=600000", NULL);
	struct client c = client_connect(b.port);
	client_create_topic(&c, "t", 1);
	for (int i = 0; i < 6; i++) {
		pid_t pid = live_broker_process(&b, "checkpointer");
		assert_int_equal(client_produce(&c, "t", 0, 1, client_batch(&c.arena, 1, 100))->error_code,
				 ERR_NONE);
		assert_int_equal(kill(pid, late && i == 5 ? SIGSTOP : SIGKILL), 0);
		if (i < 5)
			live_broker_successor(&b, "checkpointer", pid);
	}
	client_close(&c);
	if (late) {
		kill(b.pid, SIGTERM);
		wait_until_gone(live_broker_process(&b, "worker-0"));
		wait_until_gone(live_broker_process(&b, "cleaner"));
		kill(live_broker_process(&b, "checkpointer"), SIGKILL);
	}
	int64_t began_ms = clock_monotonic_ms();
	assert_int_equal(live_broker_stop(&b), 0);
	assert_true(clock_monotonic_ms() - began_ms < test_patience_ms(1000));
	assert_int_equal(is_clean(dir), 1);
	test_dir_remove(dir);
}

static void
status_0_means_that_there_was_a_last_checkpoint(void **state)
{
	(void)state;
	stop_without_a_checkpointer(false);
	stop_without_a_checkpointer(true);
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
		cmocka_unit_test(nor_is_it_believed_while_the_broker_stops),
		cmocka_unit_test(status_0_means_that_there_was_a_last_checkpoint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
