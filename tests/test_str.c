#include "tests/lib/test.h"

#include "common/arena.h"

static void
null_is_not_empty(void **state)
{
	(void)state;
	assert_true(str_is_null(STR_NULL));
	assert_false(str_is_null(STR("")));
	assert_true(str_is_null(str_of(NULL)));
	assert_false(str_eq(STR_NULL, STR("")));
	assert_true(str_eq(STR_NULL, STR_NULL));
	assert_true(str_eq(STR(""), str_of("")));
	assert_true(str_is(STR_NULL, NULL));
	assert_false(str_is(STR_NULL, ""));
}

static void
equal_by_content(void **state)
{
	(void)state;
	char copy[] = "topic";
	assert_true(str_eq(STR("topic"), str_of(copy)));
	assert_false(str_eq(STR("topic"), STR("topics")));
	assert_false(str_eq(STR("topic"), STR("tapic")));
	assert_true(str_eq(STR("a\0b"), STR("a\0b")));
	assert_false(str_eq(STR("a\0b"), STR("a\0c")));
}

static int
sign(int n)
{
	return (n > 0) - (n < 0);
}

static void
ordered_as_bytes(void **state)
{
	(void)state;
	static const struct str ascending[] = { STR_NULL,    { "", 0 },  { "A", 1 },
						{ "AA", 2 }, { "B", 1 }, { "\xff", 1 } };
	int n = sizeof(ascending) / sizeof(ascending[0]);
	for (int i = 0; i < n; i++) {
		for (int j = 0; j < n; j++)
			assert_int_equal(sign(str_cmp(ascending[i], ascending[j])), sign(i - j));
	}
}

static void
copies_outlive_their_source(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	char source[] = "orders";
	struct str kept = str_keep(&arena, str_of(source));
	char *c = str_c(&arena, (struct str){ source, 3 });
	source[0] = 'X';
	assert_str(kept, "orders");
	assert_string_equal(c, "ord");
	assert_true(str_is_null(str_keep(&arena, STR_NULL)));
	assert_false(str_is_null(str_keep(&arena, STR(""))));
	assert_string_equal(str_c(&arena, STR_NULL), "");
	arena_free(&arena);
}

static void
numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t value;
	} good[] = {
		{ "0", 0 },
		{ "-0", 0 },
		{ "007", 7 },
		{ "-42", -42 },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int64_t v = 99;
		assert_true(str_to_int64(str_of(good[i].text), &v));
		assert_true(v == good[i].value);
	}
	static const char *const bad[] = { NULL,
					   "",
					   "-",
					   "+1",
					   " 1",
					   "1 ",
					   "1.0",
					   "0x10",
					   "--1",
					   "9223372036854775808",
					   "-9223372036854775809",
					   "99999999999999999999999" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int64_t v = 99;
		assert_false(str_to_int64(str_of(bad[i]), &v));
		assert_true(v == 99);
	}
}

static void
bytes_are_kept_and_null_becomes_empty(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	uint8_t source[] = { 1, 0, 2 };
	struct bytes kept = bytes_keep(&arena, (struct bytes){ .at = source, .n = 3 });
	source[0] = 9;
	assert_int_equal(kept.n, 3);
	assert_memory_equal(kept.at, ((uint8_t[]){ 1, 0, 2 }), 3);
	assert_int_equal(bytes_keep(&arena, (struct bytes){ .n = -1 }).n, 0);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_is_not_empty), cmocka_unit_test(equal_by_content),
		cmocka_unit_test(ordered_as_bytes),  cmocka_unit_test(copies_outlive_their_source),
		cmocka_unit_test(numbers),           cmocka_unit_test(bytes_are_kept_and_null_becomes_empty),
	};
	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
