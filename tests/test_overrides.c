/* host:number lists. */
#include "common/overrides.h"

#include <string.h>

#include "tests/lib/test.h"

static void
lists_are_read_and_written(void **state)
{
	(void)state;
	static const struct {
		const char *text, *back;
		int32_t n;
	} rows[] = {
		{ "", "", 0 },
		{ "  ", "", 0 },
		{ "127.0.0.1:200", "127.0.0.1:200", 1 },
		{ " a.b : 0 , [::1]:2147483647", "a.b:0,[::1]:2147483647", 2 },
		{ "fd00::1:5", "[fd00::1]:5", 1 }, /* the last colon counts */
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena arena = ARENA_EMPTY;
		struct overrides list;
		char why[128] = "";
		assert_true(overrides_parse(str_of(rows[i].text), &arena, &list, why, sizeof(why)));
		assert_int_equal(list.n, rows[i].n);
		assert_string_equal(overrides_text(&list, &arena), rows[i].back);
		arena_free(&arena);
	}
}

static void
what_is_no_list_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"a", ":5", "a:", "a:-1", "a:x", "a:1,,b:2", "[]:5", "a:2147483648"
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct arena arena = ARENA_EMPTY;
		struct overrides list = { .n = 77 };
		char why[128] = "";

		assert_false(overrides_parse(str_of(bad[i]), &arena, &list, why, sizeof(why)));
		assert_int_equal(list.n, 77);
		assert_non_null(strstr(why, "host:number"));
		arena_free(&arena);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_read_and_written),
		cmocka_unit_test(what_is_no_list_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
