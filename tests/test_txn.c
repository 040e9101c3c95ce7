/*
 * Transactions when things go wrong: each call of the engine fails in turn, processes are killed at any
 * moment, several write at once, readers die. What was answered must be there, what was not must be there
 * whole or not at all.
 *
 * FORKA_KILL_SECONDS (4) bounds the storm of kills.
 */
#include "storage/txn.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "storage/env.h"
#include "storage/slots.h"
#include "tests/lib/fault.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

/* --- faults ----------------------------------------------------------------------------------------- */

static enum err
append_in_two_partitions(struct store_fixture *f, const struct topic *t, int64_t *at)
{
	struct store_txn *txn = fixture_write(f);
	struct append_result result;
	enum err e = ERR_NONE;
	for (int i = 0; i < 6 && e == ERR_NONE; i++)
		e = fixture_append_in(f, txn, t, i % 2,
				      &(struct batch_spec){ .value_bytes = 30000,
							    .idempotent = true,
							    .producer_id = i % 2,
							    .base_sequence = (int32_t)*at + i / 2 },
				      &result);
	if (e != ERR_NONE) {
		assert_true(store_failed(txn) || atomic_load(&f->shared->disk_full) != 0);
		store_abort(txn);
		return e;
	}
	uint64_t commit;
	e = store_commit(txn, &commit);
	if (e == ERR_NONE)
		*at += 3;
	return e;
}

static void
assert_ends(struct store_fixture *f, const struct topic *t, int64_t end)
{
	for (int i = 0; i < 2; i++) {
		struct log_slice slice;
		assert_int_equal(fixture_partition(f, t, i).log_end, end);
		struct store_txn *txn = fixture_read(f);
		MUST(log_read(txn, t, i, 0, end, INT32_MAX, true, &f->arena, &slice));
		assert_int_equal(slice.next_offset, end);
		store_read_end(txn);
	}
}

static void
every_call_fails_in_turn(void **state)
{
	(void)state;
	static const int codes[] = { EIO, MDB_MAP_FULL, ENOSPC, MDB_TXN_FULL };
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 2);
	int64_t end = 0;
	test_stderr_begin();
	for (size_t c = 0; c < sizeof(codes) / sizeof(codes[0]); c++) {
		for (int k = 1;; k++) {
			int64_t before = end;
			fault_set(k, codes[c]);
			enum err e = append_in_two_partitions(&f, &t, &end);
			if (!fault_fired()) {
				assert_int_equal(e, ERR_NONE);
				assert_true(k > 40); /* it was a real transaction */
				break;
			}
			assert_int_equal(e, ERR_KAFKA_STORAGE_ERROR);
			assert_int_equal(end, before);
			assert_ends(&f, &t, end);
			assert_int_equal(atomic_load(&f.shared->disk_full), codes[c] != MDB_TXN_FULL);
			atomic_store(&f.shared->disk_full, 0);
		}
		assert_ends(&f, &t, end);
	}
	(void)test_stderr_end();
	fixture_close(&f, true);
	fixture_open(&f);
	assert_ends(&f, &t, end);
	fixture_end(&f);
}

static void
create_change_delete(struct store_fixture *f, enum err *e)
{
	struct store_txn *txn = fixture_write(f);
	struct topic t;
	struct topic_setting setting = { STR("a"), STR("b") };
	*e = topic_create(txn, STR("x"), 1, NULL, 0, &f->arena, &t);
	if (*e == ERR_NONE)
		*e = topic_grow(txn, &t, 4);
	if (*e == ERR_NONE)
		*e = topic_configure(txn, &t, &setting, 1);
	if (*e == ERR_NONE)
		*e = topic_delete(txn, &t);
	int64_t id;
	if (*e == ERR_NONE)
		*e = producer_id_next(txn, &id);
	if (*e == ERR_NONE) {
		uint64_t commit;
		*e = store_commit(txn, &commit);
		return;
	}
	assert_true(store_failed(txn));
	/* Whoever does not look commits all the same: it must not happen. */
	uint64_t commit;
	assert_int_equal(store_commit(txn, &commit), ERR_KAFKA_STORAGE_ERROR);
}

static void
topics_and_cleaning_fail_in_turn(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	test_stderr_begin();
	enum err e;
	for (int k = 1;; k++) {
		fault_set(k, MDB_TXN_FULL);
		create_change_delete(&f, &e);
		if (!fault_fired())
			break;
		assert_int_equal(e, ERR_KAFKA_STORAGE_ERROR);
	}
	assert_int_equal(e, ERR_NONE);

	struct topic t = fixture_topic(&f, "t", 1);
	struct clean_rules rules = { .retention_ms = -1,
				     .retention_bytes = 20000,
				     .delete_by_default = true };
	rules.producer_expiry_ms = -1;
	for (int i = 0; i < 20; i++)
		fixture_append(&f, &t, 0, &(struct batch_spec){ .value_bytes = 9000 });
	fixture_checkpoint(&f);
	fixture_clean(
	    &f, &(struct clean_rules){ .retention_ms = -1, .retention_bytes = -1, .producer_expiry_ms = -1 });
	for (int k = 1;; k++) {
		bool more;
		int64_t before = fixture_partition(&f, &t, 0).log_start;
		fault_set(k, MDB_TXN_FULL);
		e = store_clean(f.store, &rules, &more);
		if (!fault_fired())
			break;
		assert_int_equal(e, ERR_KAFKA_STORAGE_ERROR);
		assert_int_equal(fixture_partition(&f, &t, 0).log_start, before);
	}
	(void)test_stderr_end();
	fixture_clean(&f, &rules);
	assert_true(fixture_partition(&f, &t, 0).log_start > 10);
	fixture_end(&f);
}

static void
a_full_disk_refuses_at_once(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	atomic_store(&f.shared->disk_full, 1);
	struct store_txn *txn = fixture_write(&f);
	struct append_result result;
	assert_int_equal(fixture_append_in(&f, txn, &t, 0, &(struct batch_spec){ .count = 1 }, &result),
			 ERR_KAFKA_STORAGE_ERROR);
	assert_false(store_failed(txn)); /* nothing is wrong with the transaction */
	struct topic another;
	assert_int_equal(topic_create(txn, STR("another"), 1, NULL, 0, &f.arena, &another), ERR_NONE);
	fixture_commit(txn);
	fixture_end(&f);
}

static void
a_transaction_has_a_bound(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	struct store_txn *txn = fixture_write(&f);
	batches_make(&f.batch, &(struct batch_spec){ .value_bytes = 30 << 20 });
	struct batch batch = batches_check(&f.batch);
	struct append_result result;
	enum err e = ERR_NONE;
	int n = 0;
	/*
	 * The bytes may be the same each time: they are not read before the commit, and we shall not
	 * commit.
	 */
	for (; e == ERR_NONE; n++)
		e = log_append(txn, &t, 0, buf_head(&f.batch), &batch, -1, &result);
	assert_int_equal(e, ERR_RECORD_LIST_TOO_LARGE);
	assert_in_range(n, 5, 9);
	assert_false(store_failed(txn));
	store_abort(txn);
	fixture_end(&f);
}

/* --- who holds the lock ----------------------------------------------------------------------------- */

static void
who_holds_the_lock_or_waits_is_known(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	int64_t since_ns, before_ns = clock_monotonic_ns();
	assert_false(store_slot_in_lock(f.shared, 0, &since_ns));
	struct store_txn *txn = fixture_write(&f);
	assert_true(store_slot_in_lock(f.shared, 0, &since_ns));
	assert_in_range(since_ns, before_ns, clock_monotonic_ns());
	assert_false(store_slot_in_lock(f.shared, 1, &since_ns));
	store_abort(txn);
	assert_false(store_slot_in_lock(f.shared, 0, &since_ns));
	slots_wait(f.shared, 5);
	assert_true(store_slot_in_lock(f.shared, 5, &since_ns));
	assert_int_equal(since_ns, 0);
	slots_hold(f.shared, 5); /* and then it dies */
	assert_true(store_slot_in_lock(f.shared, 5, &since_ns));
	assert_true(since_ns >= before_ns);
	store_slot_clear(f.shared, 5);
	assert_false(store_slot_in_lock(f.shared, 5, &since_ns));
	fixture_end(&f);
}

/* --- several processes ------------------------------------------------------------------------------ */

#define WRITERS 3

/* What a writer was told, in memory that outlives it. */
struct ledger {
	_Atomic int64_t answered; /* its batches up to here are committed */
	_Atomic int64_t rounds;
	_Atomic int stop;
};

static void
writer_main(struct store_fixture *f, const struct topic *t, int me, struct ledger *ledger)
{
	uint64_t seed = (uint64_t)getpid() * 2654435761u | 1;
	f->store = fixture_store(f, 1 + me);
	while (atomic_load(&ledger->stop) == 0) {
		/*
		 * Each writer has a partition of its own and writes in the shared one, as an idempotent
		 * producer.
		 */
		struct partition own;
		struct append_result result;
		struct store_txn *txn = fixture_write(f);
		MUST(partition_state(txn, t, me, &own));
		int32_t bytes = (int32_t)(test_random(&seed) % (test_random(&seed) % 16 == 0 ? 20000 : 1500));
		for (int p = me; p <= WRITERS; p += WRITERS - me)
			MUST(fixture_append_in(f, txn, t, p,
					       &(struct batch_spec){ .value_bytes = bytes,
								     .idempotent = true,
								     .producer_id = me,
								     .base_sequence = (int32_t)own.log_end },
					       &result));
		fixture_commit(txn);
		atomic_store(&ledger->answered, own.log_end + 1);
		atomic_fetch_add(&ledger->rounds, 1);
		arena_reset(&f->arena);
	}
	store_close(f->store);
	_exit(0);
}

static pid_t
writer_start(struct store_fixture *f, const struct topic *t, int me, struct ledger *ledger)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		writer_main(f, t, me, ledger);
	return pid;
}

/*
 * Everything that was answered is there, in both partitions, once. In one snapshot, as writers may be at
 * work; what was answered is asked before it.
 */
static void
check_ledgers(struct store_fixture *f, const struct topic *t, struct ledger *ledger)
{
	int64_t answered[WRITERS], sum = 0;
	for (int i = 0; i < WRITERS; i++)
		answered[i] = atomic_load(&ledger[i].answered);
	struct store_txn *txn = fixture_read(f);
	struct partition all;
	for (int i = 0; i < WRITERS; i++) {
		struct partition own;
		MUST(partition_state(txn, t, i, &own));
		assert_true(own.log_end >= answered[i]);
		sum += own.log_end;
	}
	MUST(partition_state(txn, t, WRITERS, &all));
	assert_int_equal(all.log_end, sum);
	for (int p = 0; p <= WRITERS; p++) {
		struct partition state;
		struct log_slice slice;
		MUST(partition_state(txn, t, p, &state));
		for (int64_t at = 0; at < state.log_end; at = slice.next_offset) {
			struct batch batch;
			uint8_t header[BATCH_HEADER_BYTES];
			MUST(log_read(txn, t, p, at, state.log_end, 1, true, &f->arena, &slice));
			assert_true(slice.iov[0].iov_len >= sizeof(header) && slice.next_offset == at + 1);
			memcpy(header, slice.iov[0].iov_base, sizeof(header));
			put_u32(header + 8, BATCH_HEADER_BYTES - 12);
			assert_true(batch_parse(header, sizeof(header), &batch));
			assert_int_equal(batch.base_offset, at);
			assert_int_equal(p < WRITERS ? batch.producer_id : p, p);
			arena_reset(&f->arena);
		}
	}
	store_read_end(txn);
}

struct crowd {
	struct store_fixture f;
	struct topic t;
	struct ledger *ledger;
	pid_t pid[WRITERS];
};

static void
crowd_begin(struct crowd *c)
{
	fixture_begin(&c->f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&c->f, "t", WRITERS + 1);
	/* The arena is reset on the way: what is used of the topic is in here. */
	c->t = (struct topic){ .number = t.number, .id = t.id, .partitions = t.partitions };
	c->ledger = mmap(NULL, sizeof(*c->ledger) * WRITERS, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(c->ledger, MAP_FAILED);
	for (int i = 0; i < WRITERS; i++)
		c->pid[i] = 0;
}

static void
crowd_end(struct crowd *c)
{
	for (int i = 0; i < WRITERS; i++)
		atomic_store(&c->ledger[i].stop, 1);
	for (int i = 0; i < WRITERS; i++) {
		int status;
		if (c->pid[i] == 0)
			continue;
		assert_int_equal(waitpid(c->pid[i], &status, 0), c->pid[i]);
		assert_int_equal(status, 0);
	}
	check_ledgers(&c->f, &c->t, c->ledger);
	munmap(c->ledger, sizeof(*c->ledger) * WRITERS);
	fixture_end(&c->f);
}

static void
several_processes_write(void **state)
{
	(void)state;
	struct crowd c;
	crowd_begin(&c);
	for (int i = 0; i < WRITERS; i++)
		c.pid[i] = writer_start(&c.f, &c.t, i, &c.ledger[i]);
	int64_t end = clock_monotonic_ms() + 1500;
	int64_t shown = 0;
	while (clock_monotonic_ms() < end) {
		fixture_checkpoint(&c.f);
		check_ledgers(&c.f, &c.t, c.ledger);
		struct partition all = fixture_partition(&c.f, &c.t, WRITERS);
		assert_true(all.high_watermark >= shown && all.high_watermark <= all.log_end);
		shown = all.high_watermark;
	}
	assert_true(shown > 0);
	int64_t least = INT64_MAX, most = 0;
	for (int i = 0; i < WRITERS; i++) {
		int64_t rounds = atomic_load(&c.ledger[i].rounds);
		least = rounds < least ? rounds : least;
		most = rounds > most ? rounds : most;
	}
	print_message("%d to %d transactions each\n", (int)least, (int)most);
	assert_true(least > most / 10); /* the lock is handed round */
	crowd_end(&c);
}

static void
killed_at_any_moment(void **state)
{
	(void)state;
	const char *seconds = getenv("FORKA_KILL_SECONDS");
	int64_t end = clock_monotonic_ms() + (int64_t)((seconds != NULL ? atof(seconds) : 4) * 1000);
	uint64_t seed = test_seed();
	struct crowd c;
	int kills = 0;
	crowd_begin(&c);
	test_stderr_begin();
	while (clock_monotonic_ms() < end) {
		for (int i = 0; i < WRITERS; i++)
			if (c.pid[i] == 0)
				c.pid[i] = writer_start(&c.f, &c.t, i, &c.ledger[i]);
		usleep((useconds_t)(test_random(&seed) % 3000));
		int i = (int)(test_random(&seed) % WRITERS);
		assert_int_equal(kill(c.pid[i], SIGKILL), 0);
		assert_int_equal(waitpid(c.pid[i], NULL, 0), c.pid[i]);
		store_slot_clear(c.f.shared, 1 + i);
		c.pid[i] = 0;
		/* Whoever was killed in a commit may have it done without knowing; the ledger takes note. */
		int64_t is = fixture_partition(&c.f, &c.t, i).log_end,
			was = atomic_load(&c.ledger[i].answered);
		assert_true(is == was || is == was + 1);
		atomic_store(&c.ledger[i].answered, is);
		if (++kills % 8 == 0) {
			store_reap(c.f.store);
			fixture_checkpoint(&c.f);
		}
		if (kills % 64 == 0)
			check_ledgers(&c.f, &c.t, c.ledger);
	}
	(void)test_stderr_end();
	print_message("%d kills, %d records\n", kills, (int)fixture_partition(&c.f, &c.t, WRITERS).log_end);
	assert_true(kills > 10); /* on a machine that is very busy */
	crowd_end(&c);
}

/* A reader that died keeps old pages from being used again, until it is reaped. */
static void
dead_readers_are_reaped(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		f.store = fixture_store(&f, 1);
		(void)fixture_read(&f);
		CHECK(write(ready[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	char byte;
	assert_int_equal(read(ready[0], &byte, 1), 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	struct clean_rules rules = { .retention_ms = -1,
				     .retention_bytes = 100000,
				     .delete_by_default = true };
	rules.producer_expiry_ms = -1;
	MDB_envinfo info;
	uint64_t pages[4];
	test_stderr_begin();
	for (int i = 0; i < 4; i++) {
		for (int k = 0; k < 60; k++) {
			fixture_append(&f, &t, 0, &(struct batch_spec){ .value_bytes = 60000 });
			fixture_checkpoint(&f);
			fixture_clean(&f, &rules);
		}
		assert_int_equal(mdb_env_info(f.store->env, &info), 0);
		pages[i] = info.me_last_pgno;
		if (i == 1)
			store_reap(f.store);
	}
	assert_non_null(strstr(test_stderr_end(), "readers=1"));
	assert_true(pages[1] > pages[0] + 500); /* it grew all the time */
	assert_true(pages[3] < pages[1] + 100); /* and then no more */
	close(ready[0]);
	close(ready[1]);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_fails_in_turn),
		cmocka_unit_test(topics_and_cleaning_fail_in_turn),
		cmocka_unit_test(a_full_disk_refuses_at_once),
		cmocka_unit_test(a_transaction_has_a_bound),
		cmocka_unit_test(who_holds_the_lock_or_waits_is_known),
		cmocka_unit_test(several_processes_write),
		cmocka_unit_test(killed_at_any_moment),
		cmocka_unit_test(dead_readers_are_reaped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
