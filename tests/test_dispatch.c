/* The table of what is served holds together. */
#include "broker/call.h"
#include "tests/lib/test.h"

static void
test_rows_are_in_order_and_found(void **state)
{
	(void)state;
	for (int i = 0; i < handler_count; i++) {
		assert_ptr_equal(handler_find(handlers[i].key), &handlers[i]);
		if (i > 0)
			assert_true(handlers[i - 1].key < handlers[i].key);
	}
	assert_null(handler_find(4)); /* LeaderAndIsr is not for us */
	assert_null(handler_find(-1));
}

static void
test_every_served_version_has_a_schema(void **state)
{
	(void)state;
	for (int i = 0; i < handler_count; i++) {
		const struct api *api = api_find(handlers[i].key);
		assert_non_null(api);
		assert_true(handlers[i].min >= api->min && handlers[i].max <= api->max);
		assert_true(handlers[i].min <= handlers[i].max);
		assert_true(handlers[i].advertise_min <= handlers[i].min);
	}
}

static void
test_who_writes_can_fail(void **state)
{
	(void)state;
	for (int i = 0; i < handler_count; i++) {
		assert_non_null(handlers[i].handle);
		assert_true(handlers[i].write == NULL || handlers[i].failed != NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_in_order_and_found),
		cmocka_unit_test(test_every_served_version_has_a_schema),
		cmocka_unit_test(test_who_writes_can_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
