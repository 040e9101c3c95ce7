/* What was added is found, what was removed is not, over growth and collisions. */
#include "common/hash.h"

#include <stdbool.h>

#include "common/list.h"
#include "tests/lib/test.h"

#define THINGS 3000

struct thing {
	struct hash_node node;
	int32_t number;
	bool in;
};

static struct thing things[THINGS];

static bool
is_there(const struct hash_table *t, const struct thing *thing)
{
	int found = 0;

	for (struct hash_node *n = hash_first(t, thing->node.hash); n != NULL; n = n->next)
		found += LIST_OF(n, struct thing, node) == thing;
	assert_in_range(found, 0, 1);
	return found == 1;
}

/* `spread`: how many different hashes there are. */
static void
in_and_out(uint64_t spread)
{
	struct hash_table t = HASH_EMPTY;
	uint64_t dice = 7;

	assert_null(hash_first(&t, 5));
	for (int32_t i = 0; i < THINGS; i++)
		things[i] = (struct thing){ .node = { .hash = hash_mix((uint64_t)i) % spread }, .number = i };
	for (int step = 0; step < 4 * THINGS; step++) {
		struct thing *thing = &things[(dice = hash_mix(dice + 1)) % THINGS];
		assert_int_equal(is_there(&t, thing), thing->in);
		if (thing->in)
			hash_remove(&t, &thing->node);
		else
			hash_add(&t, &thing->node);
		thing->in = !thing->in;
	}
	uint64_t n = 0;
	for (int32_t i = 0; i < THINGS; i++) {
		assert_int_equal(is_there(&t, &things[i]), things[i].in);
		n += things[i].in;
	}
	assert_int_equal(t.n, n);
	hash_free(&t);
	assert_null(t.bucket);
}

static void
test_in_and_out(void **state)
{
	(void)state;
	in_and_out(UINT64_MAX);
}

static void
test_in_and_out_with_collisions(void **state)
{
	(void)state;
	in_and_out(100);
}

static void
test_bytes_and_seed_count(void **state)
{
	(void)state;
	assert_true(hash_bytes(1, "ab", 2) == hash_bytes(1, "ab", 2));
	assert_true(hash_bytes(1, "ab", 2) != hash_bytes(2, "ab", 2));
	assert_true(hash_bytes(1, "ab", 2) != hash_bytes(1, "ba", 2));
	assert_true(hash_bytes(1, "ab", 2) != hash_bytes(1, "ab", 1));
}

/*
 * FNV-1a, say, whatever 64-bit seed it starts from, makes the same of these two as long as the seed's last byte is 0. A
 * hundred such pairs in a row would be 2^100 names for one bucket.
 */
static void
test_the_seed_is_needed_for_collisions(void **state)
{
	(void)state;
	static const uint8_t one[] = { 0x22, 0x02, 0x1c, 0x61, 0xf1, 0x69, 0x15, 0x70, 0x1c, 0x7a,
				       0x22, 0x77, 0xb0, 0x17, 0x79, 0xda, 0x18, 0x0e, 0xd0, 0x5e };
	static const uint8_t two[] = { 0x26, 0x03, 0x09, 0x5f, 0x6d, 0x25, 0x16, 0xf2, 0x11, 0x46,
				       0x6c, 0xbb, 0xb3, 0x18, 0xec, 0xb3, 0x37, 0x06, 0xeb, 0x60 };

	for (uint64_t i = 0; i < 100; i++) {
		uint64_t seed = hash_mix(i) << 8;
		assert_true(hash_bytes(seed, one, sizeof(one)) != hash_bytes(seed, two, sizeof(two)));
	}
}

/* Each length and each byte counts, also where the last word is not full. */
static void
test_all_bytes_count(void **state)
{
	(void)state;
	uint8_t at[33] = { 0 };

	for (size_t n = 0; n < sizeof(at) - 1; n++) {
		uint64_t was = hash_bytes(3, at, n);
		assert_true(was != hash_bytes(3, at, n + 1));
		for (size_t i = 0; i < n; i++) {
			at[i] = 1;
			assert_true(was != hash_bytes(3, at, n));
			at[i] = 0;
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_and_out),
		cmocka_unit_test(test_in_and_out_with_collisions),
		cmocka_unit_test(test_bytes_and_seed_count),
		cmocka_unit_test(test_the_seed_is_needed_for_collisions),
		cmocka_unit_test(test_all_bytes_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
