/*
 * Deletion, retention and expiry: what goes, what stays, that the space comes back, and that steps are
 * small.
 */
#include "storage/clean.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "storage/env.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

static const struct clean_rules keep_all = {
	.retention_ms = -1,
	.retention_bytes = -1,
	.delete_by_default = true,
	.producer_expiry_ms = -1,
};

static uint64_t
entries(struct store_fixture *f, enum table table)
{
	struct store_txn *txn = fixture_read(f);
	MDB_stat stat;
	assert_int_equal(mdb_stat(txn->mdb, f->store->table[table], &stat), 0);
	store_read_end(txn);
	return stat.ms_entries;
}

/* Pages on the free list, and of the file in all. */
static uint64_t
free_pages(struct store_fixture *f, uint64_t *all)
{
	MDB_txn *mdb;
	MDB_cursor *cursor;
	MDB_val key, list;
	MDB_envinfo info;
	uint64_t n = 0;
	assert_int_equal(mdb_env_info(f->store->env, &info), 0);
	*all = info.me_last_pgno + 1;
	assert_int_equal(mdb_txn_begin(f->store->env, NULL, MDB_RDONLY, &mdb), 0);
	assert_int_equal(mdb_cursor_open(mdb, 0, &cursor), 0);
	while (mdb_cursor_get(cursor, &key, &list, MDB_NEXT) == 0) {
		size_t pages;
		memcpy(&pages, list.mv_data, sizeof(pages));
		n += pages;
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(mdb);
	return n;
}

static void
fill(struct store_fixture *f, const struct topic *t, int index, int batches, int32_t bytes, int64_t timestamp)
{
	for (int i = 0; i < batches; i++)
		fixture_append(
		    f, t, index,
		    &(struct batch_spec){ .count = 2, .value_bytes = bytes, .timestamp = timestamp });
}

static void
nothing_to_do_is_cheap(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 50);
	for (int i = 0; i < 50; i++)
		fill(&f, &t, i, 1, 100, clock_wall_ms());
	fixture_checkpoint(&f);
	uint64_t before = atomic_load(&f.shared->durable);
	struct clean_rules rules = keep_all;
	rules.now_ms = clock_wall_ms();
	rules.retention_ms = 3600000;
	rules.retention_bytes = 1 << 20;
	rules.producer_expiry_ms = 3600000;
	fixture_clean(&f, &rules);
	fixture_checkpoint(&f);
	assert_int_equal(atomic_load(&f.shared->durable), before); /* not a single commit */
	fixture_end(&f);
}

static void
a_deleted_topic_gives_its_space_back(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic keep = fixture_topic(&f, "keep", 1), t = fixture_topic(&f, "t", 20);
	fill(&f, &keep, 0, 10, 3000, 0);
	uint64_t rows = entries(&f, TABLE_LOG), all, freed;
	for (int i = 0; i < 20; i++)
		fixture_append(
		    &f, &t, i,
		    &(struct batch_spec){ .value_bytes = 600000, .idempotent = true, .producer_id = i });
	assert_true(entries(&f, TABLE_LOG) > rows + 2900);
	struct store_txn *txn = fixture_write(&f);
	MUST(topic_delete(txn, &t));
	fixture_commit(txn);
	assert_true(entries(&f, TABLE_LOG) > rows + 2900); /* freed later, in steps */

	bool more = true;
	int steps = 0;
	for (; more; steps++) {
		uint64_t before = entries(&f, TABLE_LOG);
		MUST(store_clean(f.store, &keep_all, &more));
		assert_true(before - entries(&f, TABLE_LOG) <= 400);
	}
	assert_in_range(steps, 8, 20);
	assert_int_equal(entries(&f, TABLE_LOG), rows);
	assert_int_equal(entries(&f, TABLE_PART), 1);
	assert_int_equal(entries(&f, TABLE_PROD), 0);
	assert_int_equal(entries(&f, TABLE_TIME), 0);
	fixture_checkpoint(&f);
	freed = free_pages(&f, &all);
	assert_true(freed > 2900);
	assert_int_equal(fixture_partition(&f, &keep, 0).log_end, 20);

	/* And it is used again: as much as before does not make the file longer. */
	struct topic again = fixture_topic(&f, "t", 20);
	uint64_t all_after;
	for (int i = 0; i < 18; i++)
		fixture_append(&f, &again, i, &(struct batch_spec){ .value_bytes = 600000 });
	(void)free_pages(&f, &all_after);
	assert_true(all_after <= all + 64);
	fixture_end(&f);
}

/* Deleting a topic does not bring retention forward. */
static void
deleted_topics_can_be_all_that_is_cleaned(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic keep = fixture_topic(&f, "keep", 1), t = fixture_topic(&f, "t", 1);
	fill(&f, &keep, 0, 10, 3000, 1000);
	uint64_t rows = entries(&f, TABLE_LOG);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .value_bytes = 6000000 });
	fixture_checkpoint(&f);
	struct store_txn *txn = fixture_write(&f);
	MUST(topic_delete(txn, &t));
	fixture_commit(txn);

	struct clean_rules rules = keep_all;
	rules.retention_ms = rules.producer_expiry_ms = 1;
	rules.retention_bytes = 1;
	rules.now_ms = clock_wall_ms() + 3600000;
	rules.deleted_only = true;
	fixture_clean(&f, &rules);
	assert_int_equal(entries(&f, TABLE_LOG), rows);
	assert_int_equal(fixture_partition(&f, &keep, 0).log_start, 0);
	bool more;
	MUST(store_clean(f.store, &rules, &more));
	assert_false(more);
	rules.deleted_only = false;
	fixture_clean(&f, &rules);
	assert_int_equal(fixture_partition(&f, &keep, 0).log_start, 20);
	fixture_end(&f);
}

static void
retention_by_size(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	const char *const settings[] = { "retention.bytes=500000", NULL };
	struct topic t = fixture_topic_with(&f, "t", 2, settings);
	fill(&f, &t, 0, 200, 5000, 0);
	fill(&f, &t, 1, 10, 5000, 0);
	fixture_checkpoint(&f);
	fixture_clean(&f, &keep_all);
	struct partition p = fixture_partition(&f, &t, 0);
	assert_true(p.bytes >= 500000 && p.bytes < 500000 + 10100);
	assert_true(p.log_start > 0 && p.log_end == 400);
	assert_int_equal(fixture_partition(&f, &t, 1).log_start, 0);

	struct store_txn *txn = fixture_read(&f);
	struct log_slice slice;
	assert_int_equal(log_read(txn, &t, 0, p.log_start - 1, p.log_end, 100, true, &f.arena, &slice),
			 ERR_OFFSET_OUT_OF_RANGE);
	assert_int_equal(log_read(txn, &t, 0, p.log_start, p.log_end, 1 << 20, true, &f.arena, &slice),
			 ERR_NONE);
	assert_int_equal(slice.bytes, p.bytes);
	assert_int_equal(slice.next_offset, 400);
	store_read_end(txn);
	fixture_end(&f);
}

static void
retention_by_time(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fill(&f, &t, 0, 300, 5000, 1000000); /* three spans */
	fill(&f, &t, 0, 300, 5000, 2000000);
	fixture_checkpoint(&f);
	struct clean_rules rules = keep_all;
	rules.retention_ms = 500000;
	rules.now_ms = 1400000;
	fixture_clean(&f, &rules);
	assert_int_equal(fixture_partition(&f, &t, 0).log_start, 0);
	rules.now_ms = 1600000;
	fixture_clean(&f, &rules);
	struct partition p = fixture_partition(&f, &t, 0);
	assert_in_range(p.log_start, 400, 600); /* the span in which old meets new stays */
	rules.now_ms = 2500001;
	fixture_clean(&f, &rules);
	p = fixture_partition(&f, &t, 0);
	assert_int_equal(p.log_start, 1200); /* the open one, too */
	assert_int_equal(p.log_end, 1200);
	assert_int_equal(p.bytes, 0);
	assert_int_equal(entries(&f, TABLE_LOG), 0);
	assert_int_equal(entries(&f, TABLE_TIME), 0);
	/* Offsets go on where they were. */
	assert_int_equal(fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 1 }), 1200);
	fixture_end(&f);
}

/* A few batches a day never fill a span; they must go all the same. */
static void
slow_partitions_are_cleaned(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	int64_t begin = clock_wall_ms();
	struct clean_rules rules = keep_all;
	rules.retention_ms = 1000000;
	for (int i = 0; i < 40; i++) {
		rules.now_ms = begin + i * 100000;
		fill(&f, &t, 0, 1, 100, rules.now_ms);
		fixture_checkpoint(&f);
		fixture_clean(&f, &rules);
	}
	struct partition p = fixture_partition(&f, &t, 0);
	assert_in_range(p.log_end - p.log_start, 20, 28); /* 10 batches, and a quarter more */
	fixture_end(&f);
}

/* Without a timestamp, the time of arrival counts. */
static void
no_timestamps(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fill(&f, &t, 0, 3, 100, -1);
	fixture_checkpoint(&f);
	struct clean_rules rules = keep_all;
	rules.retention_ms = 3600000;
	rules.now_ms = clock_wall_ms();
	fixture_clean(&f, &rules);
	assert_int_equal(fixture_partition(&f, &t, 0).log_start, 0);
	rules.now_ms += 3700000;
	fixture_clean(&f, &rules);
	assert_int_equal(fixture_partition(&f, &t, 0).log_start, 6);
	fixture_end(&f);
}

static void
policy_decides(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	const char *const compact[] = { "cleanup.policy=compact", NULL };
	const char *const both[] = { "cleanup.policy=compact,delete", NULL };
	const char *const own[] = { "retention.ms=-1", "retention.bytes=-1", NULL };
	struct topic t[4] = { fixture_topic_with(&f, "compact", 1, compact),
			      fixture_topic_with(&f, "both", 1, both), fixture_topic_with(&f, "own", 1, own),
			      fixture_topic(&f, "default", 1) };
	for (int i = 0; i < 4; i++)
		fill(&f, &t[i], 0, 2, 100, 1000);
	fixture_checkpoint(&f);
	struct clean_rules rules = keep_all;
	rules.retention_ms = 1000;
	rules.now_ms = 10000;
	rules.delete_by_default = false;
	fixture_clean(&f, &rules);
	static const int64_t compact_by_default[4] = { 0, 4, 0, 0 }, delete_by_default[4] = { 0, 4, 0, 4 };
	for (int i = 0; i < 4; i++)
		assert_int_equal(fixture_partition(&f, &t[i], 0).log_start, compact_by_default[i]);
	rules.delete_by_default = true;
	fixture_clean(&f, &rules);
	for (int i = 0; i < 4; i++)
		assert_int_equal(fixture_partition(&f, &t[i], 0).log_start, delete_by_default[i]);
	fixture_end(&f);
}

/* What consumers have not been shown yet is not let go. */
static void
nothing_above_the_high_watermark(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fill(&f, &t, 0, 5, 100, 1000);
	fixture_checkpoint(&f);
	fill(&f, &t, 0, 5, 100, 1000);
	struct clean_rules rules = keep_all;
	rules.retention_ms = 1;
	rules.now_ms = 100000;
	fixture_clean(&f, &rules);
	struct partition p = fixture_partition(&f, &t, 0);
	assert_int_equal(p.log_start, 10);
	assert_int_equal(p.high_watermark, 10);
	fixture_checkpoint(&f);
	fixture_clean(&f, &rules);
	assert_int_equal(fixture_partition(&f, &t, 0).log_start, 20);
	fixture_end(&f);
}

/* One batch of more rows than a step may free: out of reach at once, freed bit by bit. */
static void
a_huge_batch_goes_in_steps(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .value_bytes = 5000000, .timestamp = 1 });
	fill(&f, &t, 0, 1, 10, 5000);
	fixture_checkpoint(&f);
	struct clean_rules rules = keep_all;
	rules.retention_bytes = 1;
	bool more;
	MUST(store_clean(f.store, &rules, &more));
	struct partition p = fixture_partition(&f, &t, 0);
	assert_int_equal(p.log_start, 1);
	assert_true(entries(&f, TABLE_LOG) > 800);
	fixture_clean(&f, &rules);
	assert_true(fixture_partition(&f, &t, 0).bytes < 1000);
	assert_int_equal(entries(&f, TABLE_LOG), 1);
	assert_int_equal(fixture_partition(&f, &t, 0).log_start, 1);
	fixture_end(&f);
}

/* A client says where the log is to begin: at once for readers, and by and by for the disk. */
static void
trimmed_by_hand(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fill(&f, &t, 0, 400, 5000, 0);
	fixture_checkpoint(&f);
	fill(&f, &t, 0, 1, 5000, 0);
	int64_t bytes = fixture_partition(&f, &t, 0).bytes;
	struct store_txn *txn = fixture_write(&f);
	assert_int_equal(log_trim(txn, &t, 1, 0), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(log_trim(txn, &t, 0, -1), ERR_OFFSET_OUT_OF_RANGE);
	assert_int_equal(log_trim(txn, &t, 0, 801), ERR_OFFSET_OUT_OF_RANGE);
	assert_int_equal(log_trim(txn, &t, 0, 701), ERR_NONE); /* in the middle of a batch */
	assert_int_equal(log_trim(txn, &t, 0, 300), ERR_NONE); /* it does not go backwards */
	fixture_commit(txn);
	assert_int_equal(fixture_partition(&f, &t, 0).log_start, 701);
	txn = fixture_read(&f);
	struct log_slice slice;
	assert_int_equal(log_read(txn, &t, 0, 700, 800, 1, true, &f.arena, &slice), ERR_OFFSET_OUT_OF_RANGE);
	assert_int_equal(log_read(txn, &t, 0, 701, 800, 1, true, &f.arena, &slice), ERR_NONE);
	assert_int_equal(get_u64(slice.iov[0].iov_base), 700);
	assert_int_equal(slice.next_offset, 702);
	store_read_end(txn);

	fixture_clean(&f, &keep_all);
	struct partition p = fixture_partition(&f, &t, 0);
	assert_int_equal(p.log_start, 701);
	assert_int_equal(p.bytes, bytes / 401 * 51);
	assert_int_equal(entries(&f, TABLE_LOG), 51 * 3);
	fixture_end(&f);
}

static void
producers_are_forgotten(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	struct store_txn *txn = fixture_write(&f);
	struct append_result result;
	for (int i = 0; i < 1000; i++)
		MUST(fixture_append_in(
		    &f, txn, &t, 0, &(struct batch_spec){ .idempotent = true, .producer_id = i }, &result));
	fixture_commit(txn);
	fixture_checkpoint(&f);
	assert_int_equal(entries(&f, TABLE_PROD), 1000);
	struct clean_rules rules = keep_all;
	rules.producer_expiry_ms = 60000;
	rules.now_ms = clock_wall_ms() + 50000;
	fixture_clean(&f, &rules);
	assert_int_equal(entries(&f, TABLE_PROD), 1000);
	rules.now_ms = clock_wall_ms() + 70000;
	fixture_clean(&f, &rules);
	assert_int_equal(entries(&f, TABLE_PROD), 0);
	/* Who was forgotten may go on as if unknown. */
	txn = fixture_write(&f);
	MUST(fixture_append_in(
	    &f, txn, &t, 0, &(struct batch_spec){ .idempotent = true, .producer_id = 5, .base_sequence = 1 },
	    &result));
	fixture_commit(txn);
	fixture_end(&f);
}

/* Deleting and appending over and over: the file stays as large as what it holds at a time, or so. */
static void
the_file_does_not_grow(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 3);
	struct clean_rules rules = keep_all;
	rules.retention_bytes = 1000000;
	uint64_t early = 0, late;
	for (int i = 0; i < 400; i++) {
		fixture_append(&f, &t, i % 3, &(struct batch_spec){ .value_bytes = 80000 });
		if (i % 10 == 9) {
			fixture_checkpoint(&f);
			fixture_clean(&f, &rules);
		}
		if (i == 99)
			(void)free_pages(&f, &early);
	}
	(void)free_pages(&f, &late);
	assert_true(late < early + early / 4);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_to_do_is_cheap),
		cmocka_unit_test(a_deleted_topic_gives_its_space_back),
		cmocka_unit_test(deleted_topics_can_be_all_that_is_cleaned),
		cmocka_unit_test(retention_by_size),
		cmocka_unit_test(retention_by_time),
		cmocka_unit_test(slow_partitions_are_cleaned),
		cmocka_unit_test(no_timestamps),
		cmocka_unit_test(policy_decides),
		cmocka_unit_test(nothing_above_the_high_watermark),
		cmocka_unit_test(a_huge_batch_goes_in_steps),
		cmocka_unit_test(trimmed_by_hand),
		cmocka_unit_test(producers_are_forgotten),
		cmocka_unit_test(the_file_does_not_grow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
