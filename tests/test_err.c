#include "tests/lib/test.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "common/err.h"

static const struct {
	enum err e;
	const char *name;
} rows[] = {
#define E(name, code, retry, text) { ERR_##name, #name },
	ERR_LIST(E)
#undef E
};

static void
codes_of_the_protocol(void **state)
{
	(void)state;
	int n = sizeof(rows) / sizeof(rows[0]);
	for (int i = 0; i < n; i++)
		assert_int_equal((int)rows[i].e, i - 1); /* -1, 0, 1, ... without a gap */
	assert_int_equal((int)ERR_OFFSET_OUT_OF_RANGE, 1);
	assert_int_equal((int)ERR_UNKNOWN_TOPIC_ID, 100);
	assert_int_equal((int)ERR_INVALID_REGULAR_EXPRESSION, 128);
}

static void
every_row_speaks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *text = err_text(rows[i].e);
		assert_string_equal(err_name(rows[i].e), rows[i].name);
		assert_true(strlen(text) > 5);
		assert_false(text[strlen(text) - 1] == '.');
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(text, err_text(rows[j].e));
	}
}

static void
unknown_codes_are_named_so(void **state)
{
	(void)state;
	assert_string_equal(err_name((enum err)12345), "UNKNOWN_SERVER_ERROR");
	assert_string_equal(err_text((enum err) - 7), err_text(ERR_UNKNOWN_SERVER_ERROR));
	assert_false(err_is_retriable((enum err)12345));
}

static void
retriable_as_in_kafkas_clients(void **state)
{
	(void)state;
	assert_true(err_is_retriable(ERR_NOT_LEADER_OR_FOLLOWER));
	assert_true(err_is_retriable(ERR_UNKNOWN_TOPIC_OR_PARTITION));
	assert_true(err_is_retriable(ERR_CORRUPT_MESSAGE));
	assert_true(err_is_retriable(ERR_KAFKA_STORAGE_ERROR));
	assert_true(err_is_retriable(ERR_CONCURRENT_TRANSACTIONS));
	assert_false(err_is_retriable(ERR_NONE));
	assert_false(err_is_retriable(ERR_OFFSET_OUT_OF_RANGE));
	assert_false(err_is_retriable(ERR_MESSAGE_TOO_LARGE));
	assert_false(err_is_retriable(ERR_REBALANCE_IN_PROGRESS));
	assert_false(err_is_retriable(ERR_OUT_OF_ORDER_SEQUENCE_NUMBER));
	int retriable = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		retriable += err_is_retriable(rows[i].e);
	assert_int_equal(retriable,
			 31); /* subclasses of RetriableException in Kafka 4.0 that are in the list */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_of_the_protocol),
		cmocka_unit_test(every_row_speaks),
		cmocka_unit_test(unknown_codes_are_named_so),
		cmocka_unit_test(retriable_as_in_kafkas_clients),
	};
	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
