#include "tests/lib/test.h"

#include "broker/stall.h"

static struct stalls s;

static void
nothing_is_nothing(void **state)
{
	(void)state;
	stall_clear(&s);
	assert_int_equal(stall_n(&s), 0);
	assert_int_equal(stall_us(&s, 0.999), 0);
}

/* One alone is every percentile, never above itself; beside a greater one it is at most a quarter too much. */
static void
durations_are_known_to_a_quarter(void **state)
{
	(void)state;
	for (int64_t us = 0; us < 16000000; us += us / 7 + 1) {
		stall_clear(&s);
		stall_add(&s, us * 1000 + 999);
		assert_int_equal(stall_us(&s, 0.5), us);
		assert_int_equal(stall_us(&s, 1), us);
		stall_add(&s, INT64_C(20000000000));
		assert_in_range(stall_us(&s, 0.5), us, us + us / 4);
		assert_int_equal(stall_us(&s, 1), 20000000);
	}
}

static void
percentiles(void **state)
{
	(void)state;
	stall_clear(&s);
	for (int i = 0; i < 9990; i++)
		stall_add(&s, 100 * 1000);
	for (int i = 0; i < 10; i++)
		stall_add(&s, 7000 * 1000);
	assert_int_equal(stall_n(&s), 10000);
	assert_in_range(stall_us(&s, 0.5), 100, 125);
	assert_in_range(stall_us(&s, 0.999), 100, 125);
	assert_int_equal(stall_us(&s, 0.9991), 7000);
	assert_int_equal(atomic_load(&s.max_us), 7000);
}

static void
long_ones_are_counted_exactly(void **state)
{
	(void)state;
	stall_clear(&s);
	stall_add(&s, INT64_C(5000999));
	stall_add(&s, -1);
	assert_int_equal(atomic_load(&s.long_n), 0);
	stall_add(&s, INT64_C(5001000));
	stall_add(&s, INT64_MAX);
	assert_int_equal(atomic_load(&s.long_n), 2);
	assert_int_equal(stall_n(&s), 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_nothing),
		cmocka_unit_test(durations_are_known_to_a_quarter),
		cmocka_unit_test(percentiles),
		cmocka_unit_test(long_ones_are_counted_exactly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
