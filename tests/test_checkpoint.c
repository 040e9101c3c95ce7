/*
 * Checkpoints: what they make durable and when, what they write, and what becomes of a checkpointer that
 * dies.
 */
#include "storage/checkpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/env.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

static struct ckpt_slot
newest_slot(const struct store_fixture *f)
{
	struct ckpt_slot slot;
	int fd = open(test_path(f->dir, "ckpt"), O_RDONLY);
	assert_true(fd >= 0 && ckptfile_newest(fd, &slot) >= 0);
	close(fd);
	return slot;
}

static void
a_commit_is_durable_when_a_checkpoint_passed_it(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_checkpoint(&f);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 1 });
	struct store_txn *txn = fixture_read(&f);
	uint64_t first = store_snapshot(txn);
	store_read_end(txn);
	bool due;
	assert_false(store_is_durable(f.store, first));
	MUST(checkpoint_begin(f.store, &due));
	assert_true(due);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 1 });
	assert_false(store_is_durable(f.store, first));
	MUST(checkpoint_finish(f.store, false));
	assert_true(store_is_durable(f.store, first));
	assert_false(store_is_durable(f.store, first + 1));
	assert_int_equal(fixture_partition(&f, &t, 0).high_watermark, 1);
	assert_int_equal(newest_slot(&f).commit, first);
	fixture_checkpoint(&f);
	assert_true(store_is_durable(f.store, first + 1));
	fixture_end(&f);
}

static void
an_idle_store_writes_nothing(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	fixture_topic(&f, "t", 1);
	fixture_checkpoint(&f);
	uint64_t sequence = newest_slot(&f).sequence;
	for (int i = 0; i < 5; i++)
		fixture_checkpoint(&f);
	assert_int_equal(newest_slot(&f).sequence, sequence);
	/* Nor does a transaction that changes nothing count. */
	struct store_txn *txn = fixture_write(&f);
	assert_int_equal(fixture_commit(txn), newest_slot(&f).commit);
	fixture_checkpoint(&f);
	assert_int_equal(newest_slot(&f).sequence, sequence);
	fixture_end(&f);
}

static void
slots_are_written_in_turn(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	int last = -1;
	for (int i = 0; i < 6; i++) {
		struct ckpt_slot slot;
		fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 1 });
		if (i == 3) { /* also over a restart */
			fixture_close(&f, false);
			fixture_open(&f);
			last = -1;
		}
		fixture_checkpoint(&f);
		int fd = open(test_path(f.dir, "ckpt"), O_RDONLY);
		int at = ckptfile_newest(fd, &slot);
		close(fd);
		assert_true(last < 0 || at == 1 - last);
		last = at;
	}
	fixture_end(&f);
}

static void
a_clean_stop_is_marked(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	assert_false(newest_slot(&f).clean);
	fixture_close(&f, true); /* nothing to write but the mark */
	assert_true(newest_slot(&f).clean);
	assert_int_equal(atomic_load(&f.shared->writes_ok), 0);
	fixture_open(&f);
	assert_false(newest_slot(&f).clean);
	assert_int_equal(atomic_load(&f.shared->writes_ok), 1);
	fixture_end(&f);
}

static void
slots_are_encoded_whole(void **state)
{
	(void)state;
	char *dir = test_dir_make();
	int fd;
	MUST(ckptfile_open(dir, &fd));
	struct ckpt_slot in, out;
	memset(&in, 0, sizeof(in));
	assert_int_equal(ckptfile_newest(fd, &out), -1);
	in.clean = true;
	in.sequence = 7;
	in.commit = 99;
	in.page_bytes = 4096;
	memset(in.boot_id, 'b', sizeof(in.boot_id));
	memset(in.meta, 'm', sizeof(in.meta));
	MUST(ckptfile_write(fd, 1, &in));
	memset(&out, 0, sizeof(out));
	assert_int_equal(ckptfile_newest(fd, &out), 1);
	assert_memory_equal(&in, &out, sizeof(in));
	/* Any changed byte is seen. */
	for (off_t at = 0; at < 128 + 8192; at += 97) {
		uint8_t byte, changed;
		assert_int_equal(pread(fd, &byte, 1, CKPT_STRIDE + at), 1);
		changed = byte ^ 1;
		assert_int_equal(pwrite(fd, &changed, 1, CKPT_STRIDE + at), 1);
		assert_false(ckptfile_read(fd, 1, &out));
		assert_int_equal(pwrite(fd, &byte, 1, CKPT_STRIDE + at), 1);
	}
	assert_true(ckptfile_read(fd, 1, &out));
	close(fd);
	test_dir_remove(dir);
}

static void
nobody_writes_without_a_checkpointer(void **state)
{
	(void)state;
	struct store_fixture f;
	struct store_txn *txn;
	fixture_begin(&f, DURABILITY_DURABLE);
	atomic_store(&f.shared->writes_ok, 0);
	assert_int_equal(store_write(f.store, &txn), ERR_KAFKA_STORAGE_ERROR);
	txn = fixture_read(&f); /* reading goes on */
	store_read_end(txn);
	MUST(store_prepare(f.store));
	txn = fixture_write(&f);
	store_abort(txn);
	fixture_end(&f);
}

/* --- a checkpointer of its own, which dies ---------------------------------------------------------- */

struct other {
	pid_t pid;
	int to, from; /* a byte there: one checkpoint; a byte back: it is made */
};

static void
checkpointer_main(struct store_fixture *f, int from, int to)
{
	bool restored;
	char byte = 0;
	MUST(store_recover(f->dir, &restored));
	f->store = fixture_store(f, 0);
	MUST(store_prepare(f->store));
	while (write(to, &byte, 1) == 1 && read(from, &byte, 1) == 1)
		MUST(store_checkpoint(f->store));
	_exit(0);
}

static void
checkpointer_wait(struct other *o)
{
	char byte;
	assert_int_equal(read(o->from, &byte, 1), 1);
}

static struct other
checkpointer_start(struct store_fixture *f)
{
	int there[2], back[2];
	assert_int_equal(pipe(there), 0);
	assert_int_equal(pipe(back), 0);
	struct other o = { .pid = fork(), .to = there[1], .from = back[0] };
	if (o.pid == 0) {
		close(there[1]);
		close(back[0]);
		checkpointer_main(f, there[0], back[1]);
	}
	close(there[0]);
	close(back[1]);
	checkpointer_wait(&o);
	return o;
}

static void
checkpointer_kill(struct other *o)
{
	assert_int_equal(kill(o->pid, SIGKILL), 0);
	assert_int_equal(waitpid(o->pid, NULL, 0), o->pid);
	close(o->to);
	close(o->from);
}

static void
a_checkpointer_may_die(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	fixture_close(&f, false);
	store_shared_init(f.shared);
	test_stderr_begin();
	struct other o = checkpointer_start(&f);
	f.store = fixture_store(&f, 1); /* we are a worker now */
	struct topic t = fixture_topic(&f, "t", 1);
	for (int i = 0; i < 20; i++) {
		fixture_append(&f, &t, 0, &(struct batch_spec){ .value_bytes = 9000 });
		int64_t watermark = fixture_partition(&f, &t, 0).high_watermark;
		checkpointer_kill(&o);
		atomic_store(&f.shared->writes_ok, 0); /* the supervisor's part */
		store_slot_clear(f.shared, 0);
		assert_int_equal(fixture_partition(&f, &t, 0).high_watermark, watermark);
		o = checkpointer_start(&f);
		assert_int_equal(atomic_load(&f.shared->writes_ok), 1);
		/* Its first checkpoint covers what the one before left undone. */
		assert_int_equal(fixture_partition(&f, &t, 0).high_watermark, i + 1);
	}
	/* Its readers did not stay behind: the file does not keep all versions of everything. */
	MDB_envinfo info;
	assert_int_equal(mdb_env_info(f.store->env, &info), 0);
	assert_true(info.me_numreaders < 10);
	checkpointer_kill(&o);
	assert_non_null(strstr(test_stderr_end(), "freed what dead readers held"));
	fixture_end(&f);
}

/* --- and a writer that dies with the lock ----------------------------------------------------------- */

/* At the worst moment: it has the lock, and has told nobody. */
static void
die_with_the_lock(struct store_fixture *f)
{
	pid_t pid = fork();
	if (pid == 0) {
		MDB_txn *txn;
		CHECK(mdb_txn_begin(fixture_store(f, 2)->env, NULL, 0, &txn) == 0);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/*
 * The next writer is given the lock, and by that the engine forgets the pin of the dead checkpointer. Pages of the last
 * checkpoint would be written over, and the power may fail before there is another.
 */
static void
without_the_pin_nobody_writes(void **state)
{
	(void)state;
	struct store_fixture f;
	struct store_txn *txn;
	fixture_begin(&f, DURABILITY_DURABLE);
	fixture_close(&f, false);
	store_shared_init(f.shared);
	test_stderr_begin();
	struct other o = checkpointer_start(&f);
	f.store = fixture_store(&f, 1);
	struct topic t = fixture_topic(&f, "t", 1);
	/* While it lives a writer may die. */
	die_with_the_lock(&f);
	fixture_append(&f, &t, 0, &(struct batch_spec){ 0 });
	/* Nobody frees its pin, and others may write until the supervisor hears of it. */
	checkpointer_kill(&o);
	fixture_append(&f, &t, 0, &(struct batch_spec){ 0 });
	/* Now somebody does. */
	die_with_the_lock(&f);
	assert_int_equal(store_write(f.store, &txn), ERR_KAFKA_STORAGE_ERROR);
	assert_int_equal(atomic_load(&f.shared->writes_ok), 0);
	assert_int_equal(store_write(f.store, &txn), ERR_KAFKA_STORAGE_ERROR);
	o = checkpointer_start(&f);
	assert_int_equal(fixture_append(&f, &t, 0, &(struct batch_spec){ 0 }), 2);
	checkpointer_kill(&o);
	test_stderr_end();
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_commit_is_durable_when_a_checkpoint_passed_it),
		cmocka_unit_test(an_idle_store_writes_nothing),
		cmocka_unit_test(slots_are_written_in_turn),
		cmocka_unit_test(a_clean_stop_is_marked),
		cmocka_unit_test(slots_are_encoded_whole),
		cmocka_unit_test(nobody_writes_without_a_checkpointer),
		cmocka_unit_test(a_checkpointer_may_die),
		cmocka_unit_test(without_the_pin_nobody_writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
