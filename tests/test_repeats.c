#include "tests/lib/test.h"

#include <stdio.h>

#include "broker/api/repeats.h"

static void
names_once(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	struct str keys[] = { STR("b"), STR("a"), STR("ab"), STR(""), STR_NULL };
	const uint8_t *repeats = repeats_find(keys, 5, &arena);
	for (int i = 0; i < 5; i++)
		assert_int_equal(repeats[i], REPEAT_NONE);
	arena_free(&arena);
}

static void
first_is_told_from_later(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	struct str keys[] = { STR("x"), STR("a"), STR("x"), STR("b"), STR("x"), STR("b") };
	const uint8_t expected[] = { REPEAT_FIRST, REPEAT_NONE,  REPEAT_AGAIN,
				     REPEAT_FIRST, REPEAT_AGAIN, REPEAT_AGAIN };
	assert_memory_equal(repeats_find(keys, 6, &arena), expected, sizeof(expected));
	arena_free(&arena);
}

static void
none_at_all(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	assert_non_null(repeats_find(NULL, 0, &arena));
	arena_free(&arena);
}

/* More than the sort keeps on its stack, each name three times. */
static void
many(void **state)
{
	(void)state;
	enum { NAMES = 30000 };
	struct arena arena = ARENA_EMPTY;
	struct str *keys = arena_array(&arena, 3 * NAMES, sizeof(*keys));
	for (int i = 0; i < 3 * NAMES; i++)
		keys[i] = str_of(arena_printf(&arena, "topic-%d", i % NAMES));
	const uint8_t *repeats = repeats_find(keys, 3 * NAMES, &arena);
	for (int i = 0; i < 3 * NAMES; i++)
		assert_int_equal(repeats[i], i < NAMES ? REPEAT_FIRST : REPEAT_AGAIN);
	arena_free(&arena);
}

static void
each_is_left_once(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	struct str keys[] = { STR("x"), STR("a"), STR("x"), STR("b"), STR("b") };
	assert_int_equal(repeats_drop(keys, 5, &arena), 3);
	assert_true(str_eq(keys[0], STR("x")) && str_eq(keys[1], STR("a")) && str_eq(keys[2], STR("b")));
	arena_free(&arena);
}

static void
numbers(void **state)
{
	(void)state;
	uint64_t none[] = { 1, 2, UINT64_MAX }, unsorted[] = { 3, 1, 2 }, next[] = { 1, 1, 0 },
		 apart[] = { 7, 1, 7 };
	assert_false(repeats_number(NULL, 0));
	assert_false(repeats_number(none, 3));
	assert_false(repeats_number(unsorted, 3));
	assert_true(repeats_number(next, 3));
	assert_true(repeats_number(apart, 3));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_once),  cmocka_unit_test(each_is_left_once),
		cmocka_unit_test(numbers),     cmocka_unit_test(first_is_told_from_later),
		cmocka_unit_test(none_at_all), cmocka_unit_test(many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
