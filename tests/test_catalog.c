/* Topics: names, ids, settings, and that deletion leaves nothing behind that a new topic could meet. */
#include "storage/env.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

static enum err after; /* of the last walk */

static enum err
create(struct store_fixture *f, const char *name, int32_t partitions)
{
	struct store_txn *txn = fixture_write(f);
	struct topic topic;
	enum err e = topic_create(txn, str_of(name), partitions, NULL, 0, &f->arena, &topic);
	fixture_commit(txn);
	return e;
}

static void
names_are_checked(void **state)
{
	(void)state;
	char longest[251];
	memset(longest, 'x', sizeof(longest));
	static const char *const good[] = { "a", "a.b_c-D9", "...", "_", "-" };
	static const char *const bad[] = { "", ".", "..", "a b", "a/b", "a\n", "\xc3\xa4", "a*" };
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(topic_name_check(str_of(good[i])), ERR_NONE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(topic_name_check(str_of(bad[i])), ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(topic_name_check((struct str){ longest, 249 }), ERR_NONE);
	assert_int_equal(topic_name_check((struct str){ longest, 250 }), ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(topic_name_check(STR_NULL), ERR_INVALID_TOPIC_EXCEPTION);
}

static void
a_topic_is_found_again(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	const char *const settings[] = { "retention.ms=1000", "cleanup.policy=compact,delete", "x=", NULL };
	struct topic made = fixture_topic_with(&f, "orders", 7, settings), found;
	fixture_close(&f, true);
	fixture_open(&f);

	struct store_txn *txn = fixture_read(&f);
	assert_int_equal(topic_by_name(txn, STR("orders"), &f.arena, &found), ERR_NONE);
	assert_true(uuid_eq(found.id, made.id));
	assert_int_equal(found.number, made.number);
	assert_int_equal(found.partitions, 7);
	assert_int_equal(found.created_ms, made.created_ms);
	assert_str(found.name, "orders");
	assert_int_equal(found.setting_n, 3);
	assert_str(topic_setting(&found, "retention.ms"), "1000");
	assert_str(topic_setting(&found, "x"), "");
	assert_str(topic_setting(&found, "y"), NULL);
	assert_int_equal(topic_by_id(txn, made.id, &f.arena, &found), ERR_NONE);
	assert_str(found.name, "orders");
	assert_int_equal(topic_by_name(txn, STR("order"), &f.arena, &found), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(topic_by_name(txn, STR(""), &f.arena, &found), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(topic_by_id(txn, uuid_random(), &f.arena, &found), ERR_UNKNOWN_TOPIC_ID);
	store_read_end(txn);
	fixture_end(&f);
}

static void
names_collide(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	assert_int_equal(create(&f, "a.b", 1), ERR_NONE);
	assert_int_equal(create(&f, "a.b", 1), ERR_TOPIC_ALREADY_EXISTS);
	assert_int_equal(create(&f, "a_b", 1), ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(create(&f, "a-b", 1), ERR_NONE);
	assert_int_equal(create(&f, "a.b.c", 1), ERR_NONE);
	assert_int_equal(create(&f, "a_b.c", 1), ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(create(&f, "_x", 1), ERR_NONE);
	assert_int_equal(create(&f, ".x", 1), ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(create(&f, "_x", 1), ERR_TOPIC_ALREADY_EXISTS);
	assert_int_equal(create(&f, "._x", 1), ERR_NONE);
	assert_int_equal(create(&f, "_.x", 1), ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(create(&f, "b", 0), ERR_INVALID_PARTITIONS);
	assert_int_equal(create(&f, "b", -1), ERR_INVALID_PARTITIONS);
	assert_int_equal(create(&f, "b c", 1), ERR_INVALID_TOPIC_EXCEPTION);
	fixture_end(&f);
}

/* Names that collide are not the same name, and a deleted topic's does not collide. */
static void
a_name_is_found_as_it_was_spelled(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "a.b", 1), found;
	struct store_txn *txn = fixture_write(&f);
	assert_int_equal(topic_by_name(txn, STR("a_b"), &f.arena, &found), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(topic_by_name(txn, STR("a.b"), &f.arena, &found), ERR_NONE);
	assert_int_equal(topic_name_free(txn, STR("a.b")), ERR_TOPIC_ALREADY_EXISTS);
	assert_int_equal(topic_name_free(txn, STR("a_b")), ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(topic_name_free(txn, STR("a b")), ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(topic_name_free(txn, STR("a-b")), ERR_NONE);
	MUST(topic_delete(txn, &t));
	assert_int_equal(topic_name_free(txn, STR("a.b")), ERR_NONE);
	assert_int_equal(topic_name_free(txn, STR("a_b")), ERR_NONE);
	fixture_commit(txn);
	assert_int_equal(create(&f, "a_b", 1), ERR_NONE);
	txn = fixture_read(&f);
	assert_int_equal(topic_by_name(txn, STR("a.b"), &f.arena, &found), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(topic_by_name(txn, STR("a_b"), &f.arena, &found), ERR_NONE);
	assert_str(found.name, "a_b");
	store_read_end(txn);
	fixture_end(&f);
}

static void
topics_are_listed_in_order(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	/* '.' counts as '_', which is behind 'Z'. */
	static const char *const names[] = { "b", "a.x", "a", "ab", "B", "aZ", "a_.", "a-" };
	static const char *const sorted[] = { "B", "a", "a-", "aZ", "a_.", "a.x", "ab", "b" };
	struct store_txn *txn = fixture_read(&f);
	struct topic t;
	assert_false(topic_after(txn, STR_NULL, &f.arena, &t, &after));
	store_read_end(txn);
	for (int i = 0; i < 8; i++)
		assert_int_equal(create(&f, names[i], 1), ERR_NONE);
	txn = fixture_read(&f);
	struct str at = STR_NULL;
	for (int i = 0; i < 8; i++) {
		assert_true(topic_after(txn, at, &f.arena, &t, &after));
		assert_str(t.name, sorted[i]);
		at = t.name;
	}
	assert_false(topic_after(txn, at, &f.arena, &t, &after));
	assert_true(topic_after(txn, STR("aa"), &f.arena, &t, &after)); /* itself not there */
	assert_str(t.name, "ab");
	assert_true(
	    topic_after(txn, STR("a_x"), &f.arena, &t, &after)); /* the other spelling of a topic's name */
	assert_str(t.name, "ab");
	char longest[400];
	memset(longest, 'a', sizeof(longest));
	assert_true(topic_after(txn, (struct str){ longest, sizeof(longest) }, &f.arena, &t, &after));
	assert_str(t.name, "ab");
	store_read_end(txn);
	fixture_end(&f);
}

static void
topics_grow_and_are_configured(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 2), now;
	struct store_txn *txn = fixture_write(&f);
	struct partition p;
	assert_int_equal(topic_grow(txn, &t, 2), ERR_INVALID_PARTITIONS);
	assert_int_equal(topic_grow(txn, &t, 1), ERR_INVALID_PARTITIONS);
	assert_int_equal(topic_grow(txn, &t, 5), ERR_NONE);
	assert_int_equal(topic_grow(txn, &t, 3), ERR_INVALID_PARTITIONS); /* t tells of 2, as seen before */
	struct topic_setting setting = { STR("retention.bytes"), STR("99") };
	assert_int_equal(topic_configure(txn, &t, &setting, 1), ERR_NONE);
	assert_int_equal(topic_by_name(txn, STR("t"), &f.arena, &now), ERR_NONE);
	assert_int_equal(now.partitions, 5);
	assert_str(topic_setting(&now, "retention.bytes"), "99");
	assert_int_equal(partition_state(txn, &t, 2, &p), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(partition_state(txn, &now, 4, &p), ERR_NONE);
	assert_int_equal(partition_state(txn, &now, 5, &p), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(partition_state(txn, &now, -1, &p), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	fixture_commit(txn);
	fixture_end(&f);
}

/* Settings that do not fit a page are refused, and leave no trace. */
static void
settings_have_a_bound(void **state)
{
	(void)state;
	static char value[5000];
	memset(value, 'v', sizeof(value));
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic_setting setting = { STR("k"), { value, sizeof(value) } };
	struct topic t;
	struct store_txn *txn = fixture_write(&f);
	assert_int_equal(topic_create(txn, STR("t"), 1, &setting, 1, &f.arena, &t), ERR_INVALID_CONFIG);
	assert_int_equal(topic_by_name(txn, STR("t"), &f.arena, &t), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	setting.value.n = 4000;
	assert_int_equal(topic_create(txn, STR("t"), 1, &setting, 1, &f.arena, &t), ERR_NONE);
	fixture_commit(txn);
	fixture_end(&f);
}

static void
a_deleted_topic_is_gone_at_once(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic old = fixture_topic(&f, "t", 1), found;
	fixture_append(&f, &old, 0, &(struct batch_spec){ .count = 5 });
	struct store_txn *txn = fixture_write(&f);
	assert_int_equal(topic_delete(txn, &old), ERR_NONE);
	assert_int_equal(topic_delete(txn, &old), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	struct append_result result;
	assert_int_equal(fixture_append_in(&f, txn, &old, 0, &(struct batch_spec){ .count = 1 }, &result),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	fixture_commit(txn);

	struct topic young = fixture_topic(&f, "t", 1);
	assert_int_not_equal(young.number, old.number);
	assert_false(uuid_eq(young.id, old.id));
	txn = fixture_read(&f);
	assert_int_equal(topic_by_id(txn, old.id, &f.arena, &found), ERR_UNKNOWN_TOPIC_ID);
	store_read_end(txn);
	assert_int_equal(fixture_partition(&f, &young, 0).log_end, 0);
	assert_int_equal(fixture_append(&f, &young, 0, &(struct batch_spec){ .count = 1 }), 0);
	fixture_end(&f);
}

/* A topic that was never committed never was. */
static void
aborting_leaves_no_trace(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t;
	struct store_txn *txn = fixture_write(&f);
	assert_int_equal(topic_create(txn, STR("t"), 1, NULL, 0, &f.arena, &t), ERR_NONE);
	store_abort(txn);
	txn = fixture_read(&f);
	assert_int_equal(topic_by_name(txn, STR("t"), &f.arena, &t), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	store_read_end(txn);
	fixture_end(&f);
}

static void
many_topics(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	char name[32];
	struct store_txn *txn = fixture_write(&f);
	for (int i = 0; i < 2000; i++) {
		struct topic t;
		snprintf(name, sizeof(name), "topic-%04d", i);
		MUST(topic_create(txn, str_of(name), 3, NULL, 0, &f.arena, &t));
	}
	fixture_commit(txn);
	txn = fixture_read(&f);
	struct topic t = { .name = STR_NULL };
	for (int i = 0; i < 2000; i++) {
		assert_true(topic_after(txn, t.name, &f.arena, &t, &after));
		snprintf(name, sizeof(name), "topic-%04d", i);
		assert_str(t.name, name);
	}
	assert_false(topic_after(txn, t.name, &f.arena, &t, &after));
	store_read_end(txn);
	fixture_end(&f);
}

static clock_t
create_2000(struct store_fixture *f, int from)
{
	struct store_txn *txn = fixture_write(f);
	clock_t begin = clock();
	for (int i = from; i < from + 2000; i++) {
		char name[32];
		struct topic t;
		snprintf(name, sizeof(name), "topic.%06d", i);
		MUST(topic_create(txn, str_of(name), 1, NULL, 0, &f->arena, &t));
	}
	clock_t used = clock() - begin;
	fixture_commit(txn);
	return used;
}

/* The writer lock is held meanwhile: creating the 20000th topic is as much work as the first, or so. */
static void
creating_is_not_slower_among_many(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	clock_t early = create_2000(&f, 0), late = 0;
	for (int n = 2000; n < 20000; n += 2000)
		late = create_2000(&f, n);
	assert_true(late < early * 5);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(a_topic_is_found_again),
		cmocka_unit_test(names_collide),
		cmocka_unit_test(a_name_is_found_as_it_was_spelled),
		cmocka_unit_test(topics_are_listed_in_order),
		cmocka_unit_test(topics_grow_and_are_configured),
		cmocka_unit_test(settings_have_a_bound),
		cmocka_unit_test(a_deleted_topic_is_gone_at_once),
		cmocka_unit_test(aborting_leaves_no_trace),
		cmocka_unit_test(many_topics),
		cmocka_unit_test(creating_is_not_slower_among_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
