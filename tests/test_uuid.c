#include "tests/lib/test.h"

#include <string.h>

#include "common/uuid.h"

static void
text_as_kafka_writes_it(void **state)
{
	(void)state;
	/* Kafka's reserved id of the metadata topic: all zero but for a last 1. */
	struct uuid one = { { [15] = 1 } }, ff, back;
	char text[UUID_TEXT];
	uuid_text(one, text);
	assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAQ");
	memset(&ff, 0xff, sizeof(ff));
	uuid_text(ff, text);
	assert_string_equal(text, "_____________________w");
	assert_true(uuid_parse(str_of(text), &back));
	assert_true(uuid_eq(back, ff));
}

static void
random_ids_round_trip(void **state)
{
	(void)state;
	struct uuid last = { { 0 } };
	for (int i = 0; i < 10000; i++) {
		struct uuid u = uuid_random(), back;
		char text[UUID_TEXT];
		uuid_text(u, text);
		assert_int_equal(strlen(text), 22);
		assert_int_not_equal(text[0], '-');
		assert_int_equal(u.b[6] >> 4, 4);
		assert_int_equal(u.b[8] >> 6, 2);
		assert_true(uuid_parse(str_of(text), &back));
		assert_true(uuid_eq(u, back));
		assert_false(uuid_eq(u, last));
		assert_false(uuid_is_zero(u));
		last = u;
	}
}

static void
bad_texts_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "",
					   "AAAAAAAAAAAAAAAAAAAAA",
					   "AAAAAAAAAAAAAAAAAAAAAAA",
					   "AAAAAAAAAAAAAAAAAAAA+A",
					   "AAAAAAAAAAAAAAAAAAAA=A",
					   "AAAAAAAAAAAAAAAAAAAAAB" /* stray bits */ };
	struct uuid u = { { 7 } }, before = u;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(uuid_parse(str_of(bad[i]), &u));
		assert_true(uuid_eq(u, before));
	}
	assert_false(uuid_parse(STR_NULL, &u));
	assert_false(uuid_parse(STR("AAAAAAAAAA\0AAAAAAAAAAA"), &u));
	assert_true(uuid_parse(STR("AAAAAAAAAAAAAAAAAAAAAA"), &u));
	assert_true(uuid_is_zero(u));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_as_kafka_writes_it),
		cmocka_unit_test(random_ids_round_trip),
		cmocka_unit_test(bad_texts_are_refused),
	};
	return cmocka_run_group_tests_name("uuid", tests, NULL, NULL);
}
