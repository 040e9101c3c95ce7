/*
 * Groups and their offsets in the store: found by id and by number, long ids, large states, what is
 * deleted, and that whatever fails half way leaves all as it was. What expires is in test_expiry.c.
 */
#include "storage/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "storage/env.h"
#include "storage/pieces.h"
#include "tests/lib/fault.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

static enum err after; /* of the last walk */

static uint64_t
entries(struct store_fixture *f, enum table table)
{
	struct store_txn *txn = fixture_read(f);
	MDB_stat stat;
	assert_int_equal(mdb_stat(txn->mdb, f->store->table[table], &stat), 0);
	store_read_end(txn);
	return stat.ms_entries;
}

static void
save(struct store_fixture *f, struct str id, const char *state, size_t n, int64_t empty_since_ms)
{
	struct store_txn *txn = fixture_write(f);
	MUST(groups_save(txn, id, (struct bytes){ .at = (const uint8_t *)state, .n = (int32_t)n },
			 empty_since_ms));
	fixture_commit(txn);
}

static enum err
find(struct store_fixture *f, struct str id, struct stored_group *out)
{
	struct store_txn *txn = fixture_read(f);
	enum err e = groups_find(txn, id, &f->arena, out);
	store_read_end(txn);
	return e;
}

static uint32_t
number(struct store_fixture *f, struct str id)
{
	struct store_txn *txn = fixture_write(f);
	uint32_t n;
	MUST(groups_open(txn, id, &n));
	fixture_commit(txn);
	return n;
}

static void
commit(struct store_fixture *f, uint32_t group, uint32_t topic, int32_t partition,
       const struct stored_offset *offset)
{
	struct store_txn *txn = fixture_write(f);
	MUST(offsets_commit(txn, group, topic, partition, offset));
	fixture_commit(txn);
}

static struct stored_offset
fetch(struct store_fixture *f, uint32_t group, uint32_t topic, int32_t partition)
{
	struct store_txn *txn = fixture_read(f);
	struct stored_offset found;
	MUST(offsets_fetch(txn, group, topic, partition, &f->arena, &found));
	store_read_end(txn);
	return found;
}

static struct str
text(struct store_fixture *f, char c, int32_t n)
{
	char *at = arena_alloc(&f->arena, (size_t)n + 1);
	memset(at, c, (size_t)n);
	return (struct str){ .at = at, .n = n };
}

static char *
noise(struct store_fixture *f, size_t n)
{
	char *at = arena_alloc(&f->arena, n + 1);
	for (size_t i = 0; i < n; i++)
		at[i] = (char)(i * 31 + i / 4080 + n);
	return at;
}

static void
test_a_state_is_found_as_it_was_saved(void **state)
{
	(void)state;
	struct store_fixture f;
	struct stored_group g;
	fixture_begin(&f, DURABILITY_DURABLE);
	assert_int_equal(find(&f, STR("g"), &g), ERR_GROUP_ID_NOT_FOUND);
	static const size_t sizes[] = {
		0, 1, 4000, 4080, 4069, 4070, 8160, 100000, 1 << 20, 5, 3000000, 4080
	};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *bytes = noise(&f, sizes[i]);
		save(&f, STR("g"), bytes, sizes[i], (int64_t)i - 1);
		MUST(find(&f, STR("g"), &g));
		assert_int_equal(g.state.n, sizes[i]);
		assert_memory_equal(g.state.at, bytes, sizes[i]);
		assert_int_equal(g.empty_since_ms, (int64_t)i - 1);
		assert_true(str_is(g.id, "g"));
		assert_int_equal(g.number, 1);
	}
	assert_int_equal(entries(&f, TABLE_GROUP), 2); /* nothing is left of the large one */
	fixture_end(&f);
}

static void
test_long_ids_are_told_apart(void **state)
{
	(void)state;
	struct store_fixture f;
	struct stored_group g;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct str ids[] = { text(&f, 'g', 0),     text(&f, 'g', 1),     text(&f, 'g', 399),
			     text(&f, 'g', 400),   text(&f, 'g', 401),   text(&f, 'g', 510),
			     text(&f, 'g', 32766), text(&f, 'g', 32767), text(&f, 'h', 400),
			     text(&f, 'h', 32767) };
	size_t n = sizeof(ids) / sizeof(ids[0]);
	for (size_t i = 0; i < n; i++)
		save(&f, ids[i], "s", 1, (int64_t)i);
	for (size_t i = 0; i < n; i++) {
		MUST(find(&f, ids[i], &g));
		assert_int_equal(g.empty_since_ms, i);
		assert_true(str_eq(g.id, ids[i]));
		assert_int_equal(number(&f, ids[i]), g.number);
	}
	struct store_txn *txn = fixture_write(&f);
	MUST(groups_delete(txn, ids[7]));
	assert_int_equal(groups_delete(txn, ids[7]), ERR_GROUP_ID_NOT_FOUND);
	fixture_commit(txn);
	assert_int_equal(find(&f, ids[7], &g), ERR_GROUP_ID_NOT_FOUND);
	MUST(find(&f, ids[6], &g));
	txn = fixture_read(&f);
	size_t seen = 0;
	for (uint32_t last = 0; groups_after(txn, last, &f.arena, &g, &after); last = g.number)
		seen++;
	store_read_end(txn);
	assert_int_equal(seen, n - 1);
	fixture_end(&f);
}

/* Two ids of 413 bytes that begin alike and have the same 64-bit FNV-1a hash. */
static void
test_ids_that_collide_are_told_apart(void **state)
{
	(void)state;
	struct store_fixture f;
	struct stored_group g;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct str one = text(&f, 'g', 413), two = text(&f, 'g', 413), three = text(&f, 'g', 412);
	memcpy((char *)(uintptr_t)one.at + 400, "g6nwl6vsa2uym", 13);
	memcpy((char *)(uintptr_t)two.at + 400, "vxkkezvnoi4om", 13);
	char *large = noise(&f, 20000);
	save(&f, one, large, 20000, 1);
	assert_int_equal(find(&f, two, &g), ERR_GROUP_ID_NOT_FOUND);
	save(&f, two, "2", 1, 2);
	assert_int_equal(find(&f, three, &g), ERR_GROUP_ID_NOT_FOUND);
	MUST(find(&f, one, &g));
	assert_true(g.number == 1 && g.empty_since_ms == 1 && g.state.n == 20000 && str_eq(g.id, one));
	MUST(find(&f, two, &g));
	assert_true(g.number == 2 && g.empty_since_ms == 2 && g.state.n == 1 && str_eq(g.id, two));
	/* Their names lie next to each other: it was a collision. */
	struct store_txn *txn = fixture_read(&f);
	struct scan s;
	scan_open(&s, txn, TABLE_GNAME);
	assert_true(scan_from(&s, "l", 1));
	uint8_t first[409];
	assert_int_equal(s.key.n, sizeof(first) + 4);
	memcpy(first, s.key.at, sizeof(first));
	assert_true(scan_next(&s));
	assert_memory_equal(s.key.at, first, sizeof(first));
	MUST(scan_close(&s));
	store_read_end(txn);

	txn = fixture_write(&f);
	MUST(groups_delete(txn, one));
	fixture_commit(txn);
	assert_int_equal(find(&f, one, &g), ERR_GROUP_ID_NOT_FOUND);
	MUST(find(&f, two, &g));
	save(&f, one, "1", 1, 1);
	txn = fixture_write(&f);
	MUST(groups_delete(txn, two));
	fixture_commit(txn);
	assert_int_equal(find(&f, two, &g), ERR_GROUP_ID_NOT_FOUND);
	MUST(find(&f, one, &g));
	assert_int_equal(g.number, 3);
	assert_int_equal(entries(&f, TABLE_GNAME), 1);
	assert_int_equal(entries(&f, TABLE_GROUP), 1);
	fixture_end(&f);
}

/* Numbers that a reader would take for lengths beyond the row. */
static void
test_a_damaged_row_hides_nothing_else(void **state)
{
	(void)state;
	static const uint8_t damaged[] = { 0xff, 0xff, 'x', 0, 0, 0, 0, 0, 0, 0, 0 };
	struct store_fixture f;
	struct stored_group g;
	fixture_begin(&f, DURABILITY_DURABLE);
	save(&f, STR("a"), "s", 1, 1);
	save(&f, STR("b"), "s", 1, 1);
	save(&f, STR("c"), "s", 1, 1);
	struct store_txn *txn = fixture_write(&f);
	MUST(pieces_put(txn, TABLE_GROUP, "\0\0\0\1", 4, (struct bytes){ damaged, sizeof(damaged) }));
	MUST(pieces_put(txn, TABLE_GROUP, "\0\0\0\2", 4, (struct bytes){ damaged, 1 }));
	fixture_commit(txn);
	test_stderr_begin();
	assert_int_equal(find(&f, STR("a"), &g), ERR_KAFKA_STORAGE_ERROR);
	txn = fixture_read(&f);
	assert_true(groups_after(txn, 0, &f.arena, &g, &after));
	assert_int_equal(g.number, 3);
	assert_false(groups_after(txn, 3, &f.arena, &g, &after));
	struct group_head head;
	assert_true(groups_head_after(txn, 1, &f.arena, &head, &after));
	assert_int_equal(head.number, 3);
	store_read_end(txn);
	assert_non_null(strstr(test_stderr_end(), "read a group's row"));
	fixture_end(&f);
}

static void
test_offsets_round_trip(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 3);
	uint32_t g = number(&f, STR("g")), other = number(&f, STR("other"));
	struct stored_offset none = fetch(&f, g, t.number, 0);
	assert_int_equal(none.offset, -1);
	assert_int_equal(none.leader_epoch, -1);
	assert_int_equal(none.metadata.n, 0);
	static const int32_t lengths[] = { 0, 3, 4051, 4052, 4053, 32767, 1 };
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct stored_offset o = { .offset = INT64_C(1) << 40,
					   .leader_epoch = (int32_t)i,
					   .committed_ms = 5,
					   .expires_ms = -1,
					   .metadata = text(&f, 'm', lengths[i]) };
		commit(&f, g, t.number, 1, &o);
		struct stored_offset found = fetch(&f, g, t.number, 1);
		assert_int_equal(found.offset, o.offset);
		assert_int_equal(found.leader_epoch, o.leader_epoch);
		assert_true(str_eq(found.metadata, o.metadata) ||
			    (o.metadata.n == 0 && found.metadata.n == 0));
	}
	assert_int_equal(entries(&f, TABLE_OFFS), 1);
	assert_int_equal(fetch(&f, other, t.number, 1).offset, -1);

	commit(&f, g, t.number, 2, &(struct stored_offset){ .offset = 9, .metadata = text(&f, 'x', 9000) });
	struct store_txn *txn = fixture_read(&f);
	uint32_t topic = 0;
	int32_t partition = 0, seen = 0;
	struct stored_offset o;
	for (; offsets_next(txn, g, &topic, &partition, &f.arena, &o, &after); partition++, seen++)
		assert_int_equal(partition, seen + 1);
	store_read_end(txn);
	assert_int_equal(seen, 2);
	txn = fixture_write(&f);
	MUST(offsets_delete(txn, g, t.number, 2));
	fixture_commit(txn);
	assert_int_equal(fetch(&f, g, t.number, 2).offset, -1);
	assert_int_equal(entries(&f, TABLE_OFFS), 1);
	fixture_end(&f);
}

/* What cannot be read is not "nothing was committed": the consumer would begin anew. */
static void
test_a_damaged_offset_is_no_absent_one(void **state)
{
	(void)state;
	struct store_fixture f;
	struct stored_offset found;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	uint32_t g = number(&f, STR("g"));
	uint8_t key[KEY_OFFS_BYTES];
	key_offs(key, g, t.number, 0);
	struct store_txn *txn = fixture_write(&f);
	MUST(pieces_put(txn, TABLE_OFFS, key, sizeof(key), (struct bytes){ .at = key, .n = 3 }));
	fixture_commit(txn);
	txn = fixture_read(&f);
	test_stderr_begin();
	assert_int_equal(offsets_fetch(txn, g, t.number, 0, &f.arena, &found), ERR_KAFKA_STORAGE_ERROR);
	assert_non_null(strstr(test_stderr_end(), "read a committed offset"));
	store_read_end(txn);
	fixture_end(&f);
}

#define DAY_MS INT64_C(86400000)

static struct clean_rules
rules(int64_t now_ms)
{
	return (struct clean_rules){ .retention_ms = -1,
				     .retention_bytes = -1,
				     .producer_expiry_ms = -1,
				     .offsets_retention_ms = 7 * DAY_MS,
				     .now_ms = now_ms };
}

static void
clean_at(struct store_fixture *f, int64_t now_ms)
{
	struct clean_rules r = rules(now_ms);
	fixture_clean(f, &r);
}

static void
test_deleted_topics_and_groups_leave_nothing(void **state)
{
	(void)state;
	struct store_fixture f;
	struct stored_offset o = { .offset = 1, .expires_ms = -1 };
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 2000), stays = fixture_topic(&f, "stays", 1);
	save(&f, STR("a"), "s", 1, -1);
	save(&f, STR("b"), "s", 1, 0);
	uint32_t a = number(&f, STR("a")), b = number(&f, STR("b"));
	struct store_txn *txn = fixture_write(&f);
	for (int32_t i = 0; i < 2000; i++) {
		MUST(offsets_commit(txn, a, t.number, i, &o));
		MUST(offsets_commit(txn, b, t.number, i, &o));
	}
	MUST(offsets_commit(txn, a, stays.number, 0, &o));
	fixture_commit(txn);
	txn = fixture_write(&f);
	MUST(groups_delete(txn, STR("b")));
	fixture_commit(txn);
	assert_int_not_equal(number(&f, STR("b")), b);
	clean_at(&f, 1);
	assert_int_equal(entries(&f, TABLE_OFFS), 2001);
	txn = fixture_write(&f);
	MUST(topic_delete(txn, &t));
	fixture_commit(txn);
	clean_at(&f, 1);
	clean_at(&f, 1);
	assert_int_equal(entries(&f, TABLE_OFFS), 1);
	assert_int_equal(fetch(&f, a, stays.number, 0).offset, 1);
	fixture_end(&f);
}

/* --- a full disk ------------------------------------------------------------------------------------ */

static enum err
open_full(struct store_fixture *f, struct str id)
{
	struct store_txn *txn = fixture_write(f);
	uint32_t n;
	enum err e = groups_open(txn, id, &n);
	assert_false(store_failed(txn));
	fixture_commit(txn);
	return e;
}

static enum err
commit_full(struct store_fixture *f, uint32_t group, int32_t partition, int32_t metadata_n)
{
	struct stored_offset o = { .offset = 7, .expires_ms = -1, .metadata = text(f, 'm', metadata_n) };
	struct store_txn *txn = fixture_write(f);
	enum err e = offsets_commit(txn, group, 1, partition, &o);
	assert_false(store_failed(txn));
	fixture_commit(txn);
	return e;
}

/* What is there is written over as long as it does not grow; nothing is added, everything can go. */
static void
test_a_full_disk_takes_nothing_new(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 4);
	assert_int_equal(t.number, 1);
	save(&f, STR("g"), "s", 1, -1);
	uint32_t g = number(&f, STR("g"));
	static const int32_t had[] = { 0, 1000, 9000 };
	for (int32_t i = 0; i < 3; i++)
		MUST(commit_full(&f, g, i, had[i]));
	uint64_t groups = entries(&f, TABLE_GROUP), offsets = entries(&f, TABLE_OFFS);
	assert_false(store_is_full(f.store));
	atomic_store(&f.shared->disk_full, 1);
	assert_true(store_is_full(f.store));

	assert_int_equal(open_full(&f, STR("new")), ERR_KAFKA_STORAGE_ERROR);
	assert_int_equal(open_full(&f, STR("g")), ERR_NONE);
	assert_int_equal(commit_full(&f, g, 3, 0), ERR_KAFKA_STORAGE_ERROR);
	static const struct {
		int32_t partition, metadata_n;
		bool fits;
	} rows[] = { { 0, 0, true },     { 0, 300, true },  { 0, 500, false },  { 1, 1001, false },
		     { 1, 5000, false }, { 1, 1000, true }, { 2, 9001, false }, { 2, 32767, false },
		     { 2, 9000, true },  { 2, 4080, true }, { 2, 9000, false }, { 2, 0, true },
		     { 2, 1000, false } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(commit_full(&f, g, rows[i].partition, rows[i].metadata_n),
				 rows[i].fits ? ERR_NONE : ERR_KAFKA_STORAGE_ERROR);
	save(&f, STR("g"), "t", 1, -1);
	assert_int_equal(entries(&f, TABLE_GROUP), groups);
	assert_in_range(entries(&f, TABLE_OFFS), 1, offsets - 1);

	struct store_txn *txn = fixture_write(&f);
	MUST(offsets_delete(txn, g, t.number, 0));
	MUST(groups_delete(txn, STR("g")));
	fixture_commit(txn);
	clean_at(&f, 1);
	assert_int_equal(entries(&f, TABLE_GROUP), 0);
	assert_int_equal(entries(&f, TABLE_OFFS), 0);
	atomic_store(&f.shared->disk_full, 0);
	assert_int_equal(open_full(&f, STR("new")), ERR_NONE);
	fixture_end(&f);
}

/* --- faults ----------------------------------------------------------------------------------------- */

/* Of every row of every table. */
static uint64_t
fingerprint(struct store_fixture *f)
{
	struct store_txn *txn = fixture_read(f);
	uint64_t h = 1;
	for (int table = 0; table < TABLE_N; table++) {
		struct scan s;
		scan_open(&s, txn, (enum table)table);
		for (bool row = scan_from(&s, "", 1); row; row = scan_next(&s)) {
			for (int32_t i = 0; i < s.key.n; i++)
				h = (h ^ s.key.at[i]) * 0x100000001b3u;
			for (int32_t i = 0; i < s.value.n; i++)
				h = (h ^ s.value.at[i]) * 0x100000001b3u;
			h = (h ^ 256) * 0x100000001b3u;
		}
		MUST(scan_close(&s));
	}
	store_read_end(txn);
	return h;
}

static struct topic fault_topic;

static enum err
op_save_large(struct store_fixture *f, struct store_txn *txn)
{
	return groups_save(txn, STR("g"), (struct bytes){ (uint8_t *)noise(f, 20000), 20000 }, -1);
}

static enum err
op_save_small(struct store_fixture *f, struct store_txn *txn)
{
	(void)f;
	return groups_save(txn, STR("g"), (struct bytes){ (const uint8_t *)"s", 1 }, 7);
}

static enum err
op_save_long_id(struct store_fixture *f, struct store_txn *txn)
{
	return groups_save(txn, text(f, 'l', 30000), (struct bytes){ (const uint8_t *)"s", 1 }, 7);
}

static enum err
commit_some(struct store_fixture *f, struct store_txn *txn, int32_t metadata_n)
{
	uint32_t group;
	enum err e = groups_open(txn, STR("g"), &group);
	for (int32_t i = 0; i < 10 && e == ERR_NONE; i++)
		e = offsets_commit(txn, group, fault_topic.number, i,
				   &(struct stored_offset){ .offset = metadata_n,
							    .expires_ms = -1,
							    .metadata = text(f, 'm', metadata_n) });
	return e;
}

static enum err
op_commit_large(struct store_fixture *f, struct store_txn *txn)
{
	return commit_some(f, txn, 9000);
}

static enum err
op_commit_small(struct store_fixture *f, struct store_txn *txn)
{
	return commit_some(f, txn, 0);
}

static enum err
op_delete_offset(struct store_fixture *f, struct store_txn *txn)
{
	(void)f;
	uint32_t group;
	enum err e = groups_number(txn, STR("g"), &group);
	return e != ERR_NONE ? e : offsets_delete(txn, group, fault_topic.number, 3);
}

static enum err
op_delete(struct store_fixture *f, struct store_txn *txn)
{
	(void)f;
	return groups_delete(txn, STR("g"));
}

static enum err
in_a_transaction(struct store_fixture *f, enum err (*op)(struct store_fixture *, struct store_txn *))
{
	struct store_txn *txn = fixture_write(f);
	enum err e = op(f, txn);
	if (e != ERR_NONE) {
		assert_true(store_failed(txn));
		store_abort(txn);
		return e;
	}
	uint64_t commit;
	return store_commit(txn, &commit);
}

/* With every call failing once; then it is done. */
static void
fail_and_do(struct store_fixture *f, enum err (*op)(struct store_fixture *, struct store_txn *),
	    int calls_min)
{
	static const int codes[] = { MDB_TXN_FULL, ENOSPC };
	uint64_t before = fingerprint(f);
	for (int k = 1;; k++) {
		fault_set(k, codes[k % 2]);
		enum err e = in_a_transaction(f, op);
		bool fired = fault_fired();
		atomic_store(&f->shared->disk_full, 0);
		if (!fired) {
			assert_int_equal(e, ERR_NONE);
			assert_true(k > calls_min);
			break;
		}
		assert_int_equal(e, ERR_KAFKA_STORAGE_ERROR);
		assert_true(fingerprint(f) == before);
	}
	assert_true(fingerprint(f) != before);
}

static void
test_what_fails_changes_nothing(void **state)
{
	(void)state;
	struct store_fixture f;
	struct stored_group g;
	fixture_begin(&f, DURABILITY_DURABLE);
	fault_topic = fixture_topic(&f, "t", 10);
	save(&f, STR("other"), "s", 1, -1);
	test_stderr_begin();
	fail_and_do(&f, op_save_large, 6);   /* number, name, 5 slices less one, commit */
	fail_and_do(&f, op_save_small, 5);   /* 1 slice, 4 deleted, commit */
	fail_and_do(&f, op_save_long_id, 9); /* number, name, 8 slices, commit */
	fail_and_do(&f, op_commit_large, 30);
	fail_and_do(&f, op_commit_small, 30);
	fail_and_do(&f, op_delete_offset, 1);
	MUST(find(&f, STR("g"), &g));
	assert_int_equal(fetch(&f, g.number, fault_topic.number, 3).offset, -1);
	assert_int_equal(fetch(&f, g.number, fault_topic.number, 4).offset, 0);
	fail_and_do(&f, op_delete, 3);        /* name, row, mark, commit */
	fail_and_do(&f, op_commit_large, 30); /* made anew */
	(void)test_stderr_end();
	MUST(find(&f, STR("other"), &g));
	fixture_end(&f);
}

/* The same for each step of a round. */
static void
test_a_step_of_the_cleaner_that_fails_changes_nothing(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	fault_topic = fixture_topic(&f, "t", 10);
	fail_and_do(&f, op_commit_large, 30);
	save(&f, STR("g"), "s", 1, 10);
	save(&f, STR("nothing"), "s", 1, 10);
	save(&f, STR("deleted"), "s", 1, 10);
	uint32_t deleted = number(&f, STR("deleted"));
	commit(&f, deleted, fault_topic.number, 0, &(struct stored_offset){ .offset = 1, .expires_ms = -1 });
	struct store_txn *txn = fixture_write(&f);
	MUST(groups_delete(txn, STR("deleted")));
	fixture_commit(txn);
	struct clean_rules r = rules(clock_wall_ms() + 100 * DAY_MS);
	test_stderr_begin();
	int fired = 0;
	for (bool more = true; more;) {
		for (int k = 1;; k++, fired++) {
			struct clean_round round = f.store->round;
			uint64_t before = fingerprint(&f);
			fault_set(k, MDB_TXN_FULL);
			enum err e = store_clean(f.store, &r, &more);
			if (!fault_fired()) {
				assert_int_equal(e, ERR_NONE);
				break;
			}
			assert_int_equal(e, ERR_KAFKA_STORAGE_ERROR);
			assert_true(fingerprint(&f) == before);
			f.store->round = round; /* the same step again */
		}
	}
	(void)test_stderr_end();
	assert_in_range(fired, 30, 200);
	assert_int_equal(entries(&f, TABLE_OFFS), 0);
	assert_int_equal(entries(&f, TABLE_GROUP), 0);
	assert_int_equal(entries(&f, TABLE_GNAME), 0);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_state_is_found_as_it_was_saved),
		cmocka_unit_test(test_long_ids_are_told_apart),
		cmocka_unit_test(test_ids_that_collide_are_told_apart),
		cmocka_unit_test(test_a_damaged_row_hides_nothing_else),
		cmocka_unit_test(test_offsets_round_trip),
		cmocka_unit_test(test_a_damaged_offset_is_no_absent_one),
		cmocka_unit_test(test_deleted_topics_and_groups_leave_nothing),
		cmocka_unit_test(test_a_full_disk_takes_nothing_new),
		cmocka_unit_test(test_what_fails_changes_nothing),
		cmocka_unit_test(test_a_step_of_the_cleaner_that_fails_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
