/* Who is connected: exact after any order of beginnings, ends and deaths. */
#include "broker/census.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/test.h"

static _Atomic uint8_t ended[CENSUS_MOST];

static struct census_address
address(int n)
{
	struct census_address a = {
		.at = { [10] = 0xff, [11] = 0xff, [14] = (uint8_t)(n >> 8), [15] = (uint8_t)n }
	};
	return a;
}

static int32_t
count(struct census *c, int n)
{
	struct census_address a = address(n);
	return census_count(c, &a);
}

static int32_t
add(struct census *c, int n, int slot)
{
	struct census_address a = address(n);
	return census_add(c, &a, slot);
}

static void
what_has_ended_does_not_count(void **state)
{
	(void)state;
	struct census c;
	census_init(&c, ended);
	int32_t a = add(&c, 1, 0), b = add(&c, 1, 0);
	assert_int_equal(add(&c, 2, 0) >= 0, 1);
	assert_int_equal(count(&c, 1), 2);
	assert_int_equal(count(&c, 3), 0);
	atomic_store(&ended[a], 1);
	assert_int_equal(count(&c, 1), 1);
	atomic_store(&ended[b], 1);
	assert_int_equal(count(&c, 1), 0);
	assert_int_equal(count(&c, 2), 1);
	census_free(&c);
}

static void
a_worker_takes_its_own_with_it(void **state)
{
	(void)state;
	struct census c;
	census_init(&c, ended);
	add(&c, 1, 0);
	int32_t under_way = add(&c, 1, 0);
	add(&c, 1, 1);
	census_move(&c, under_way, 1); /* the dead one had not taken it */
	census_bury(&c, 0);
	assert_int_equal(count(&c, 1), 2);
	census_bury(&c, 1);
	assert_int_equal(count(&c, 1), 0);
	census_free(&c);
}

static void
entries_of_the_ended_are_used_again(void **state)
{
	(void)state;
	struct census c;
	census_init(&c, ended);
	for (int i = 0; i < 100000; i++) {
		int32_t e = add(&c, i, 0);
		assert_true(e >= 0);
		atomic_store(&ended[e], 1);
	}
	assert_int_equal(c.n, 1024);
	census_free(&c);
}

/* Against a count that is kept the simple way. */
static void
any_order(void **state)
{
	(void)state;
	static struct {
		int address, slot;
		bool open;
	} model[4096];
	struct census c;
	census_init(&c, ended);
	srand(5);
	for (int i = 0; i < 50000; i++) {
		int what = rand() % 100, at = rand() % 4096;
		if (what < 60) {
			int n = rand() % 20, slot = rand() % 4;
			int32_t e = add(&c, n, slot);
			assert_in_range(e, 0, 4095);
			assert_false(model[e].open);
			model[e].address = n;
			model[e].slot = slot;
			model[e].open = true;
		} else if (what < 99 && model[at].open) {
			atomic_store(&ended[at], 1);
			model[at].open = false;
		} else if (i % 7 == 0) {
			int slot = rand() % 4;
			census_bury(&c, slot);
			for (int e = 0; e < 4096; e++)
				model[e].open = model[e].open && model[e].slot != slot;
		}
		int n = rand() % 20, expected = 0;
		for (int e = 0; e < 4096; e++)
			expected += model[e].open && model[e].address == n;
		assert_int_equal(count(&c, n), expected);
	}
	census_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_has_ended_does_not_count),
		cmocka_unit_test(a_worker_takes_its_own_with_it),
		cmocka_unit_test(entries_of_the_ended_are_used_again),
		cmocka_unit_test(any_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
