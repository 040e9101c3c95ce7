/* Subscriptions and assignments of consumers: read, shown, and never believed. */
#include "broker/consumer_protocol.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/test.h"

#define BYTES(literal) ((struct bytes){ (const uint8_t *)(literal), (int32_t)sizeof(literal) - 1 })

static struct arena arena;

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

#define SUBSCRIPTION "\0\3\0\0\0\2\0\1t\0\2uu\377\377\377\377\0\0\0\0\0\0\0\5\377\377"
#define ASSIGNMENT                                                                                           \
	"\0\3\0\0\0\3\0\1t\0\0\0\2\0\0\0\5\0\0\0\6\0\1u\0\0\0\0\0\2vv\0\0\0\1\177\377\377\377\0\0\0\1x"

static void
a_subscription(void **state)
{
	(void)state;
	struct consumer_reader r = consumer_subscription(BYTES(SUBSCRIPTION));
	struct str topic;
	int32_t partition;
	assert_true(consumer_topic(&r, &topic));
	assert_true(str_is(topic, "t"));
	assert_false(consumer_partition(&r, &partition));
	assert_true(consumer_topic(&r, &topic));
	assert_true(str_is(topic, "uu"));
	assert_false(consumer_topic(&r, &topic));
	assert_false(consumer_failed(&r));
	assert_true(str_is(consumer_subscription_text(BYTES(SUBSCRIPTION), &arena), "t, uu"));
	assert_true(str_is(consumer_subscription_text(BYTES("\0\0\0\0\0\0"), &arena), ""));
}

static void
an_assignment(void **state)
{
	(void)state;
	struct consumer_reader r = consumer_assignment(BYTES(ASSIGNMENT));
	struct str topic;
	int32_t partition;
	assert_true(consumer_topic(&r, &topic));
	assert_true(consumer_partition(&r, &partition));
	assert_int_equal(partition, 5); /* the other one is passed over */
	assert_true(consumer_topic(&r, &topic));
	assert_true(str_is(topic, "u"));
	assert_false(consumer_partition(&r, &partition));
	assert_true(consumer_topic(&r, &topic));
	assert_true(str_is(topic, "vv"));
	assert_true(consumer_partition(&r, &partition));
	assert_int_equal(partition, INT32_MAX);
	assert_false(consumer_partition(&r, &partition));
	assert_false(consumer_topic(&r, &topic));
	assert_false(consumer_failed(&r));
	assert_true(str_is(consumer_assignment_text(BYTES(ASSIGNMENT), &arena), "t 5-6; u; vv 2147483647"));
}

static void
runs_of_partitions(void **state)
{
	(void)state;
	static const struct {
		int32_t n, at[8];
		const char *text;
	} cases[] = {
		{ 1, { 0 }, "t 0" },
		{ 3, { 0, 1, 2 }, "t 0-2" },
		{ 4, { 0, 2, 3, 5 }, "t 0,2-3,5" },
		{ 3, { 3, 2, 2 }, "t 3,2,2" },
		{ 3, { -1, 0, -5 }, "t -1-0,-5" },
		{ 2, { INT32_MAX, INT32_MIN }, "t 2147483647,-2147483648" },
	};
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		uint8_t bytes[13 + 32] = { 0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, (uint8_t)cases[c].n };
		for (int32_t i = 0; i < cases[c].n; i++)
			for (int b = 0; b < 4; b++)
				bytes[13 + i * 4 + b] = (uint8_t)((uint32_t)cases[c].at[i] >> (24 - 8 * b));
		struct bytes all = { bytes, 13 + cases[c].n * 4 };
		assert_str(consumer_assignment_text(all, &arena), cases[c].text);
	}
}

/*
 * Every prefix that ends within the topics is told to be one; none is read beyond (Valgrind and ASan
 * see).
 */
static void
cut_short(void **state)
{
	(void)state;
	static const struct {
		struct bytes whole;
		int32_t topics_n;
		struct str (*text)(struct bytes, struct arena *);
	} cases[] = {
		{ BYTES(SUBSCRIPTION), 13, consumer_subscription_text },
		{ BYTES(ASSIGNMENT), (int32_t)sizeof(ASSIGNMENT) - 1 - 5, consumer_assignment_text },
	};
	for (size_t c = 0; c < 2; c++) {
		for (int32_t n = 0; n <= cases[c].whole.n; n++) {
			uint8_t *exact = malloc((size_t)n + 1);
			assert_non_null(exact);
			uint8_t *at = n > 0 ? realloc(exact, (size_t)n) : exact;
			memcpy(at, cases[c].whole.at, (size_t)n);
			struct str text = cases[c].text((struct bytes){ at, n }, &arena);
			assert_int_equal(str_is_null(text), n < cases[c].topics_n);
			free(at);
		}
	}
}

static void
what_cannot_be(void **state)
{
	(void)state;
	assert_true(str_is_null(consumer_subscription_text((struct bytes){ NULL, -1 }, &arena)));
	assert_true(str_is_null(consumer_subscription_text(BYTES("\0\0\377\377\377\377"), &arena)));
	assert_true(str_is_null(consumer_subscription_text(BYTES("\0\0\177\377\377\377\0\1t"), &arena)));
	assert_true(str_is_null(consumer_subscription_text(BYTES("\0\0\0\0\0\1\377\377"), &arena)));
	assert_true(
	    str_is_null(consumer_assignment_text(BYTES("\0\0\0\0\0\1\0\1t\377\377\377\376"), &arena)));
	assert_true(
	    str_is_null(consumer_assignment_text(BYTES("\0\0\0\0\0\1\0\1t\177\377\377\377"), &arena)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_subscription, teardown),
		cmocka_unit_test_teardown(an_assignment, teardown),
		cmocka_unit_test_teardown(runs_of_partitions, teardown),
		cmocka_unit_test_teardown(cut_short, teardown),
		cmocka_unit_test_teardown(what_cannot_be, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
