/*
 * Reads that fail. Every public function of the store is called with k = 1, 2, ...: the k-th look into the engine
 * fails (a damaged page, no memory, no free slot for a reader, ...), until nothing fails any more. Each time the caller
 * is told so, or gets the whole and right answer: never a part of it, never "there is no such thing"; and the store is
 * as it was, byte by byte.
 */
#include "storage/store.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crc32c.h"
#include "storage/env.h"
#include "tests/lib/fault.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

#define TOPICS     5
#define GROUPS     4
#define BATCHES    12
#define LONG_ID    1000
#define BIG_STATE  9000
#define METADATA_N 6000

static struct {
	struct store_fixture f;
	struct topic t; /* with BATCHES in partition 1 */
	uint32_t group; /* of the long id, with offsets of two partitions */
	struct str long_id;
	struct bytes state;
	struct str metadata;
	uint32_t log_crc; /* of all that log_read() gives of partition 1 */
	int step;
} s;

/* --- the store -------------------------------------------------------------------------------------- */

static void
fill(void)
{
	struct store_fixture *f = &s.f;
	char name[32];
	for (int i = 0; i < TOPICS; i++) {
		snprintf(name, sizeof(name), "topic-%d", i);
		struct topic t = fixture_topic_with(f, name, 3, (const char *const[]){ "a=b", NULL });
		if (i == 2)
			s.t = t;
	}
	for (int i = 0; i < BATCHES; i++)
		fixture_append(f, &s.t, 1,
			       &(struct batch_spec){ .count = 3,
						     .value_bytes = 5000,
						     .seed = 7,
						     .timestamp = 1000 * i,
						     .timestamp_step = 1 });
	char *at = arena_alloc(&f->arena, BIG_STATE);
	memset(at, 'x', BIG_STATE);
	s.long_id = (struct str){ .at = at, .n = LONG_ID };
	s.metadata = (struct str){ .at = at, .n = METADATA_N };
	s.state = (struct bytes){ .at = (const uint8_t *)at, .n = BIG_STATE };
	struct store_txn *txn = fixture_write(f);
	for (int i = 1; i < GROUPS; i++) {
		snprintf(name, sizeof(name), "group-%d", i);
		MUST(groups_save(txn, str_of(name), (struct bytes){ .at = (const uint8_t *)"s", .n = 1 }, 5));
	}
	MUST(groups_save(txn, s.long_id, s.state, -1));
	MUST(groups_number(txn, s.long_id, &s.group));
	struct stored_offset o = {
		.offset = 5, .leader_epoch = -1, .expires_ms = -1, .metadata = s.metadata
	};
	for (int32_t p = 0; p < 2; p++)
		MUST(offsets_commit(txn, s.group, s.t.number, p, &o));
	fixture_commit(txn);
	fixture_checkpoint(f);
}

/* Of all rows of all tables, past every layer of ours. */
static uint32_t
digest(void)
{
	uint32_t crc = 0;
	struct store_txn *txn = fixture_read(&s.f);
	for (int i = 0; i < TABLE_N; i++) {
		MDB_cursor *c;
		MDB_val k, v;
		assert_int_equal(mdb_cursor_open(txn->mdb, s.f.store->table[i], &c), 0);
		while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
			uint32_t both[3] = { crc, crc32c(k.mv_data, k.mv_size),
					     crc32c(v.mv_data, v.mv_size) };
			crc = crc32c((const uint8_t *)both, sizeof(both));
		}
		mdb_cursor_close(c);
	}
	store_read_end(txn);
	return crc;
}

/* --- reading: a wrong answer fails the test, an error is returned ------------------------------------- */

#define TRY(call)                                                                                            \
	do {                                                                                                 \
		enum err e_ = (call);                                                                        \
		if (e_ != ERR_NONE)                                                                          \
			return e_;                                                                           \
	} while (0)

static enum err
read_topics(struct store_txn *txn)
{
	struct topic t;
	enum err e;
	int n = 0;
	TRY(topic_by_name(txn, STR("topic-2"), &s.f.arena, &t));
	assert_int_equal(t.number, s.t.number);
	assert_str(topic_setting(&t, "a"), "b");
	TRY(topic_by_id(txn, s.t.id, &s.f.arena, &t));
	assert_int_equal(t.number, s.t.number);
	TRY(topic_by_number(txn, s.t.number, &s.f.arena, &t));
	for (struct str last = STR_NULL; topic_after(txn, last, &s.f.arena, &t, &e); n++)
		last = t.name;
	TRY(e);
	assert_int_equal(n, TOPICS);
	e = topic_name_free(txn, STR("topic-2"));
	if (e != ERR_KAFKA_STORAGE_ERROR)
		assert_int_equal(e, ERR_TOPIC_ALREADY_EXISTS);
	return e == ERR_TOPIC_ALREADY_EXISTS ? ERR_NONE : e;
}

static uint32_t
crc_of(const struct log_slice *slice, uint32_t crc)
{
	for (int32_t i = 0; i < slice->iov_n; i++) {
		uint32_t both[2] = { crc, crc32c(slice->iov[i].iov_base, slice->iov[i].iov_len) };
		crc = crc32c((const uint8_t *)both, sizeof(both));
	}
	return crc;
}

/* Whole, in pieces of several budgets: an error, or the bytes; never fewer. */
static enum err
read_log(struct store_txn *txn)
{
	static const int32_t budgets[] = { 1, 20000, 1 << 20 };
	struct partition p;
	TRY(partition_state(txn, &s.t, 1, &p));
	assert_int_equal(p.log_end, 3 * BATCHES);
	assert_int_equal(p.high_watermark, p.log_end);
	for (size_t i = 0; i < 3; i++) {
		int64_t at = 0;
		int32_t bytes = 0;
		while (at < p.log_end) {
			struct log_slice slice = { 0 };
			TRY(log_read(txn, &s.t, 1, at, p.log_end, budgets[i], true, &s.f.arena, &slice));
			assert_true(slice.next_offset > at);
			assert_true(slice.bytes > 0);
			bytes += slice.bytes;
			at = slice.next_offset;
			if (i == 2) {
				uint32_t crc = crc_of(&slice, 0);
				s.log_crc = s.log_crc != 0 ? s.log_crc : crc;
				assert_int_equal(crc, s.log_crc);
			}
		}
		assert_true(bytes > BATCHES * 15000);
	}
	return ERR_NONE;
}

static enum err
read_times(struct store_txn *txn)
{
	struct log_position at;
	TRY(log_find_time(txn, &s.t, 1, 5001, 3 * BATCHES, &at));
	assert_int_equal(at.offset, 16);
	assert_int_equal(at.timestamp, 5001);
	TRY(log_max_timestamp(txn, &s.t, 1, 3 * BATCHES, &at));
	assert_int_equal(at.offset, 3 * BATCHES - 1);
	return ERR_NONE;
}

static enum err
read_groups(struct store_txn *txn)
{
	struct stored_group g;
	enum err e;
	uint32_t number, last = 0;
	int n = 0;
	TRY(groups_find(txn, STR("group-1"), &s.f.arena, &g));
	assert_int_equal(g.state.n, 1);
	TRY(groups_find(txn, s.long_id, &s.f.arena, &g));
	assert_int_equal(g.state.n, BIG_STATE);
	assert_memory_equal(g.state.at, s.state.at, BIG_STATE);
	TRY(groups_number(txn, s.long_id, &number));
	assert_int_equal(number, s.group);
	for (; groups_after(txn, last, &s.f.arena, &g, &e); last = g.number)
		n++;
	TRY(e);
	assert_int_equal(n, GROUPS);
	return ERR_NONE;
}

static enum err
read_offsets(struct store_txn *txn)
{
	struct stored_offset o;
	enum err e;
	uint32_t topic = 0;
	int n = 0;
	TRY(offsets_fetch(txn, s.group, s.t.number, 1, &s.f.arena, &o));
	assert_int_equal(o.offset, 5);
	assert_int_equal(o.metadata.n, METADATA_N);
	for (int32_t p = 0; offsets_next(txn, s.group, &topic, &p, &s.f.arena, &o, &e); p++, n++)
		assert_int_equal(o.metadata.n, METADATA_N);
	TRY(e);
	assert_int_equal(n, 2);
	return ERR_NONE;
}

static enum err (*const reads[])(struct store_txn *) = { read_topics, read_log, read_times, read_groups,
							 read_offsets };

static const int codes[] = { MDB_CORRUPTED, MDB_PAGE_NOTFOUND, ENOMEM, MDB_READERS_FULL, MDB_MAP_RESIZED };
#define CODES (sizeof(codes) / sizeof(codes[0]))

static enum err in_snapshot(enum err (*read)(struct store_txn *))
{
	struct store_txn *txn;
	TRY(store_read(s.f.store, &txn));
	enum err e = read(txn);
	store_read_end(txn);
	return e;
}

static enum err in_write(enum err (*read)(struct store_txn *))
{
	struct store_txn *txn;
	TRY(store_write(s.f.store, &txn));
	enum err e = read(txn);
	if (e != ERR_NONE)
		assert_true(store_failed(txn));
	store_abort(txn);
	return e;
}

/* An error after a fault, or the right answer all the same, where it was tried again. */
static void
what_cannot_be_read_is_told(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	fixture_begin(&s.f, DURABILITY_DURABLE);
	fill();
	uint32_t before = digest();
	test_stderr_begin();
	for (size_t r = 0; r < 2 * sizeof(reads) / sizeof(reads[0]); r++)
		for (size_t c = 0; c < CODES; c++)
			for (int k = 1;; k++) {
				fault_set_reads(k, codes[c]);
				enum err e = r % 2 ? in_write(reads[r / 2]) : in_snapshot(reads[r / 2]);
				if (!fault_fired()) {
					assert_int_equal(e, ERR_NONE);
					assert_true(k > 3);
					break;
				}
				if (e != ERR_NONE)
					assert_int_equal(e, ERR_KAFKA_STORAGE_ERROR);
				else
					assert_true(k <=
						    2); /* store_read() looks twice, and nobody else does */
				MUST(in_snapshot(reads[r / 2])); /* it was one time's misfortune */
			}
	(void)test_stderr_end();
	assert_int_equal(digest(), before);
	assert_int_equal(atomic_load(&s.f.shared->disk_full), 0);
	fixture_end(&s.f);
}

/* --- changing: all of it, or nothing ------------------------------------------------------------------ */

static enum err
change_topics(struct store_txn *txn)
{
	struct topic t, old;
	struct topic_setting setting = { STR("k"), STR("v") };
	char name[32];
	snprintf(name, sizeof(name), "new-%d", s.step);
	TRY(topic_create(txn, str_of(name), 2, &setting, 1, &s.f.arena, &t));
	TRY(topic_by_name(txn, STR("topic-0"), &s.f.arena, &old));
	TRY(topic_grow(txn, &old, old.partitions + 1));
	TRY(topic_configure(txn, &old, &setting, 1));
	if (topic_by_name(txn, STR("topic-4"), &s.f.arena, &old) == ERR_NONE)
		TRY(topic_delete(txn, &old));
	return store_failed(txn) ? ERR_KAFKA_STORAGE_ERROR : ERR_NONE;
}

static enum err
change_log(struct store_txn *txn)
{
	struct append_result result;
	int64_t id;
	TRY(producer_id_next(txn, &id));
	for (int i = 0; i < 3; i++)
		TRY(fixture_append_in(
		    &s.f, txn, &s.t, i,
		    &(struct batch_spec){ .value_bytes = 3000, .idempotent = true, .producer_id = id },
		    &result));
	/* The retry is one, whatever was read meanwhile. */
	TRY(fixture_append_in(
	    &s.f, txn, &s.t, 0,
	    &(struct batch_spec){ .value_bytes = 3000, .idempotent = true, .producer_id = id }, &result));
	assert_true(result.duplicate);
	return log_trim(txn, &s.t, 1, 7);
}

static enum err
change_groups(struct store_txn *txn)
{
	struct stored_offset o = {
		.offset = 9, .leader_epoch = -1, .expires_ms = -1, .metadata = s.metadata
	};
	uint32_t number;
	char name[32];
	snprintf(name, sizeof(name), "new-%d", s.step);
	TRY(groups_open(txn, str_of(name), &number));
	TRY(offsets_commit(txn, number, s.t.number, 0, &o));
	TRY(groups_save(txn, s.long_id, s.state, 77));
	TRY(groups_number(txn, s.long_id, &number));
	assert_int_equal(number, s.group); /* not made anew */
	TRY(offsets_delete(txn, s.group, s.t.number, 1));
	return s.step == 0 ? groups_delete(txn, STR("group-1")) : ERR_NONE;
}

static enum err (*changing)(struct store_txn *);

static enum err
in_commit(void)
{
	struct store_txn *txn;
	uint64_t commit;
	TRY(store_write(s.f.store, &txn));
	enum err e = changing(txn);
	if (e != ERR_NONE) {
		store_abort(txn);
		return e;
	}
	return store_commit(txn, &commit);
}

static enum err
one_step_of_cleaning(void)
{
	struct clean_rules rules = { .retention_ms = -1,
				     .retention_bytes = 30000,
				     .delete_by_default = true,
				     .producer_expiry_ms = 0,
				     .offsets_retention_ms = 1,
				     .now_ms = clock_wall_ms() + 1000000 };
	bool more;
	return store_clean(s.f.store, &rules, &more);
}

/* Until it succeeds; every failure leaves the store as it was. */
static void
all_or_nothing(enum err (*change)(void), int code)
{
	for (int k = 1;; k++) {
		uint32_t before = digest();
		fault_set_reads(k, code);
		enum err e = change();
		bool fired = fault_fired();
		if (!fired) {
			assert_int_equal(e, ERR_NONE);
			return;
		}
		if (e != ERR_NONE) {
			assert_int_equal(e, ERR_KAFKA_STORAGE_ERROR);
			assert_int_equal(digest(), before);
		}
	}
}

static void
what_fails_changes_nothing(void **state)
{
	(void)state;
	static enum err (*const changes[])(struct store_txn *) = { change_topics, change_log, change_groups };
	memset(&s, 0, sizeof(s));
	fixture_begin(&s.f, DURABILITY_DURABLE);
	fill();
	test_stderr_begin();
	for (size_t i = 0; i < 3; i++) {
		changing = changes[i];
		for (s.step = 0; s.step < (int)CODES; s.step++)
			all_or_nothing(in_commit, codes[s.step]);
	}
	/* Deleted topics and groups, retention, producers, offsets that expire: as many steps as it takes. */
	for (int i = 0; i < 60; i++)
		all_or_nothing(one_step_of_cleaning, codes[(size_t)i % CODES]);
	(void)test_stderr_end();
	struct topic t;
	struct store_txn *txn = fixture_read(&s.f);
	assert_int_equal(topic_by_name(txn, STR("topic-4"), &s.f.arena, &t), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	store_read_end(txn);
	fixture_close(&s.f, true);
	fixture_open(&s.f);
	fixture_end(&s.f);
}

/* --- beginning, checkpoints, copies ------------------------------------------------------------------- */

static enum err
back_up(void)
{
	struct store_backup copy;
	char *dir = test_dir_make();
	enum err e = store_backup(s.f.store, dir, s.step % 2 == 1, &copy);
	assert_int_equal(access(test_path(dir, "data.mdb"), F_OK), e == ERR_NONE ? 0 : -1);
	test_dir_remove(dir);
	return e;
}

static void
checkpoints_and_copies_that_fail(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	fixture_begin(&s.f, DURABILITY_DURABLE);
	fill();
	test_stderr_begin();
	for (s.step = 0; s.step < 2 * (int)CODES; s.step++) {
		int code = codes[s.step / 2];
		all_or_nothing(back_up, code);
		for (int k = 1;; k++) {
			fixture_append(&s.f, &s.t, 0, &(struct batch_spec){ .count = 1 });
			uint64_t durable = atomic_load(&s.f.shared->durable);
			fault_set_reads(k, code);
			enum err e = store_checkpoint(s.f.store);
			if (!fault_fired()) {
				assert_int_equal(e, ERR_NONE);
				break;
			}
			assert_int_equal(e, ERR_KAFKA_STORAGE_ERROR);
			assert_int_equal(atomic_load(&s.f.shared->durable), durable);
		}
	}
	(void)test_stderr_end();
	fixture_end(&s.f);
}

static enum err
open_and_prepare(void)
{
	struct store_options options = {
		.dir = s.f.dir, .durability = s.f.durability, .shared = s.f.shared, .map_bytes = s.f.map_bytes
	};
	store_shared_init(s.f.shared);
	TRY(store_open(&options, &s.f.store));
	enum err e = store_prepare(s.f.store);
	if (e != ERR_NONE) {
		assert_int_equal(atomic_load(&s.f.shared->writes_ok), 0);
		store_close(s.f.store);
		s.f.store = NULL;
	}
	return e;
}

/* Also in a directory that was empty: what the first try left is what the second finds. */
static void
a_start_that_fails_can_be_tried_again(void **state)
{
	(void)state;
	for (size_t c = 0; c < CODES; c += 2)
		for (int fresh = 0; fresh < 2; fresh++)
			for (int k = 1;; k++) {
				memset(&s, 0, sizeof(s));
				fixture_begin(&s.f, k % 2 ? DURABILITY_DURABLE : DURABILITY_STRICT);
				if (fresh == 0)
					fill();
				uint32_t before = digest();
				fixture_close(&s.f, k % 3 == 0);
				if (fresh == 1)
					unlink(test_path(s.f.dir, "data.mdb")),
					    unlink(test_path(s.f.dir, "ckpt"));
				test_stderr_begin();
				fault_set_reads(k, codes[c]);
				enum err e = open_and_prepare();
				bool fired = fault_fired();
				(void)test_stderr_end();
				assert_true(fired || e == ERR_NONE);
				if (e != ERR_NONE)
					fixture_open(&s.f);
				if (fresh == 0)
					assert_int_equal(digest(), before);
				fixture_topic(&s.f, "works", 1);
				fixture_end(&s.f);
				if (!fired)
					break;
			}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_read_is_told),
		cmocka_unit_test(what_fails_changes_nothing),
		cmocka_unit_test(checkpoints_and_copies_that_fail),
		cmocka_unit_test(a_start_that_fails_can_be_tried_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
