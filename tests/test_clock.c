#include "tests/lib/test.h"

#include <time.h>

#include "common/clock.h"

static void
wall_is_the_systems(void **state)
{
	(void)state;
	int64_t before = (int64_t)time(NULL) * 1000;
	int64_t ms = clock_wall_ms();
	int64_t after = ((int64_t)time(NULL) + 1) * 1000;
	assert_true(before - 1000 <= ms && ms <= after);
}

static void
monotonic_in_both_units(void **state)
{
	(void)state;
	int64_t last = clock_monotonic_ns();
	for (int i = 0; i < 1000; i++) {
		int64_t before_ms = last / 1000000, ms = clock_monotonic_ms(), ns = clock_monotonic_ns();
		assert_true(ns >= last);
		assert_true(before_ms <= ms && ms <= ns / 1000000);
		last = ns;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wall_is_the_systems),
		cmocka_unit_test(monotonic_in_both_units),
	};
	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
