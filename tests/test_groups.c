/* Groups and their offsets in the store: found by id and by number, long ids, large states, expiry. */
#include "storage/groups.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "storage/env.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

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
	static const size_t sizes[] = { 0, 1, 4000, 4080, 4069, 4070, 8160, 100000, 5, 3000000, 4080 };
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
	for (uint32_t last = 0; groups_after(txn, last, &f.arena, &g); last = g.number)
		seen++;
	store_read_end(txn);
	assert_int_equal(seen, n - 1);
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
	for (; offsets_next(txn, g, &topic, &partition, &f.arena, &o); partition++, seen++)
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
test_offsets_expire_after_the_last_member_left(void **state)
{
	(void)state;
	struct store_fixture f;
	struct stored_group g;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 10);
	save(&f, STR("left"), "s", 1, 10 * DAY_MS);
	save(&f, STR("lives"), "s", 1, -1);
	save(&f, STR("nothing"), "s", 1, 10 * DAY_MS);
	uint32_t left = number(&f, STR("left")), lives = number(&f, STR("lives"));
	for (int32_t i = 0; i < 10; i++) {
		struct stored_offset o = { .offset = i,
					   .committed_ms = (i < 5 ? 1 : 12) * DAY_MS,
					   .expires_ms = -1 };
		o.metadata = text(&f, 'm', 10000);
		commit(&f, left, t.number, i, &o);
		commit(&f, lives, t.number, i, &o);
	}
	clean_at(&f, 17 * DAY_MS - 1);
	assert_int_equal(fetch(&f, left, t.number, 0).offset, 0);
	assert_int_equal(find(&f, STR("nothing"), &g), ERR_GROUP_ID_NOT_FOUND);
	clean_at(&f, 17 * DAY_MS);
	assert_int_equal(fetch(&f, left, t.number, 4).offset, -1);
	assert_int_equal(fetch(&f, left, t.number, 5).offset, 5);
	MUST(find(&f, STR("left"), &g));
	clean_at(&f, 19 * DAY_MS);
	assert_int_equal(fetch(&f, left, t.number, 5).offset, -1);
	assert_int_equal(find(&f, STR("left"), &g), ERR_GROUP_ID_NOT_FOUND);
	assert_int_equal(fetch(&f, lives, t.number, 0).offset, 0);
	assert_int_equal(entries(&f, TABLE_OFFS), 10 * 3);
	fixture_end(&f);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_state_is_found_as_it_was_saved),
		cmocka_unit_test(test_long_ids_are_told_apart),
		cmocka_unit_test(test_offsets_round_trip),
		cmocka_unit_test(test_offsets_expire_after_the_last_member_left),
		cmocka_unit_test(test_deleted_topics_and_groups_leave_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
