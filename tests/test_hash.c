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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_and_out),
		cmocka_unit_test(test_in_and_out_with_collisions),
		cmocka_unit_test(test_bytes_and_seed_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
