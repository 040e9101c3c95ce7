/*
 * Values larger than a row: every length around the borders, growing and shrinking, beside neighbours.
 */
#include "storage/pieces.h"

#include <stdlib.h>
#include <string.h>

#include "storage/env.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

#define TABLE      TABLE_GROUP /* any that is otherwise empty */
#define LENGTH_MAX (1 << 20)

static struct store_fixture f;
static uint8_t *noise;

static int
begin(void **state)
{
	(void)state;
	uint64_t seed = 7;
	fixture_begin(&f, DURABILITY_DURABLE);
	noise = malloc(LENGTH_MAX + 256);
	CHECK(noise != NULL);
	for (size_t i = 0; i < LENGTH_MAX + 256; i++)
		noise[i] = (uint8_t)test_random(&seed);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	free(noise);
	fixture_end(&f);
	return 0;
}

static uint64_t
rows(void)
{
	struct store_txn *txn = fixture_read(&f);
	MDB_stat stat;
	assert_int_equal(mdb_stat(txn->mdb, f.store->table[TABLE], &stat), 0);
	store_read_end(txn);
	return stat.ms_entries;
}

static uint64_t
rows_of(int32_t n)
{
	return n > 0 ? ((uint64_t)n + ROW_BYTES - 1) / ROW_BYTES : 1;
}

/* The value of n bytes is told from another of n bytes by where in the noise it begins. */
static struct bytes
value(int32_t n, int variant)
{
	return (struct bytes){ .at = noise + variant, .n = n };
}

static void
assert_is(struct store_txn *txn, const void *key, size_t key_n, struct bytes is)
{
	struct bytes found;
	MUST(pieces_get(txn, TABLE, key, key_n, &f.arena, &found));
	assert_int_equal(found.n, is.n);
	if (is.n > 0)
		assert_memory_equal(found.at, is.at, (size_t)is.n);
	arena_reset(&f.arena);
}

static void
put(const void *key, size_t key_n, struct bytes v)
{
	struct store_txn *txn = fixture_write(&f);
	MUST(pieces_put(txn, TABLE, key, key_n, v));
	assert_is(txn, key, key_n, v); /* in the transaction that wrote it, too */
	fixture_commit(txn);
	txn = fixture_read(&f);
	assert_is(txn, key, key_n, v);
	store_read_end(txn);
}

static const int32_t lengths[] = { 0,    1,    2,     4079,  4080,  4081,  4082,      8159,
				   8160, 8161, 12239, 12240, 12241, 65280, LENGTH_MAX };
#define LENGTH_N ((int)(sizeof(lengths) / sizeof(lengths[0])))

static void
from_every_length_to_every_other(void **state)
{
	(void)state;
	for (int from = 0; from < LENGTH_N; from++) {
		for (int to = 0; to < LENGTH_N; to++) {
			put("keys", 4, value(lengths[from], 1));
			assert_int_equal(rows(), rows_of(lengths[from]));
			put("keys", 4, value(lengths[to], 2));
			assert_int_equal(rows(), rows_of(lengths[to]));
		}
	}
}

/* In one transaction, where nothing of it is in the file yet. */
static void
several_times_in_a_transaction(void **state)
{
	(void)state;
	struct store_txn *txn = fixture_write(&f);
	for (int i = 0; i < LENGTH_N * LENGTH_N; i++) {
		struct bytes v = value(lengths[(i * 7 + i / LENGTH_N) % LENGTH_N], i % 256);
		MUST(pieces_put(txn, TABLE, "keys", 4, v));
		assert_is(txn, "keys", 4, v);
	}
	MUST(pieces_del(txn, TABLE, "keys", 4));
	MUST(pieces_del(txn, TABLE, "keys", 4)); /* what is not there can be deleted */
	assert_is(txn, "keys", 4, (struct bytes){ .n = -1 });
	fixture_commit(txn);
	assert_int_equal(rows(), 0);
}

/* The keys right before and behind it. */
static void
neighbours_are_left_alone(void **state)
{
	(void)state;
	static const uint8_t keys[][4] = { { 0, 0, 0, 0xff }, { 0, 0, 1, 0 }, { 0, 0, 1, 1 } };
	const int32_t n = 3 * ROW_BYTES;
	for (int i = 0; i < 3; i++)
		put(keys[i], 4, value(n, i));
	assert_int_equal(rows(), 9);
	put(keys[1], 4, value(5, 1));
	assert_int_equal(rows(), 7);
	struct store_txn *txn = fixture_write(&f);
	MUST(pieces_del(txn, TABLE, keys[1], 4));
	fixture_commit(txn);
	assert_int_equal(rows(), 6);
	txn = fixture_read(&f);
	assert_is(txn, keys[0], 4, value(n, 0));
	assert_is(txn, keys[1], 4, (struct bytes){ .n = -1 });
	assert_is(txn, keys[2], 4, value(n, 2));
	store_read_end(txn);
}

#define KEYS 40

/*
 * Pages split and join under a cursor that writes and deletes: many values, at random, against a model.
 */
static void
at_random(void **state)
{
	(void)state;
	struct bytes model[KEYS];
	uint64_t seed = test_seed();
	for (int i = 0; i < KEYS; i++)
		model[i] = (struct bytes){ .n = -1 };
	for (int round = 0; round < 400; round++) {
		struct store_txn *txn = fixture_write(&f);
		for (uint64_t n = test_random(&seed) % 20; n > 0; n--) {
			uint32_t i = (uint32_t)(test_random(&seed) % KEYS);
			uint64_t kind = test_random(&seed) % 8;
			uint8_t key[4] = { 0, 0, 0, (uint8_t)i };
			if (kind == 0) {
				model[i] = (struct bytes){ .n = -1 };
				MUST(pieces_del(txn, TABLE, key, sizeof(key)));
				continue;
			}
			uint64_t most = kind == 1 ? 50000 : kind < 5 ? 9000 : 100;
			model[i] =
			    value((int32_t)(test_random(&seed) % most), (int)(test_random(&seed) % 256));
			MUST(pieces_put(txn, TABLE, key, sizeof(key), model[i]));
		}
		fixture_commit(txn);
		uint64_t expected = 0;
		txn = fixture_read(&f);
		for (uint32_t i = 0; i < KEYS; i++) {
			uint8_t key[4] = { 0, 0, 0, (uint8_t)i };
			assert_is(txn, key, sizeof(key), model[i]);
			expected += model[i].n >= 0 ? rows_of(model[i].n) : 0;
		}
		store_read_end(txn);
		assert_int_equal(rows(), expected);
		if (round % 50 == 49)
			fixture_checkpoint(&f); /* old pages are used again */
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(from_every_length_to_every_other),
		TEST(several_times_in_a_transaction),
		TEST(neighbours_are_left_alone),
		TEST(at_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
