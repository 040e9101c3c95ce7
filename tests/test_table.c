#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

#include "broker/table.h"

static char printed[64 * 1024];

static void
print(const struct table *t, bool json)
{
	FILE *out = fmemopen(printed, sizeof(printed), "w");
	assert_non_null(out);
	table_print(t, out, json);
	fclose(out);
}

static const struct column columns[] = {
	{ "NAME", "name" }, { "N", "n" }, { NULL, "hidden" }, { "AT", "at" }
};

/* One row with this text. */
static void
print_text(struct str text, bool json)
{
	struct arena arena = ARENA_EMPTY;
	static const struct column one[] = { { "TEXT", "text" } };
	struct table t = { .columns = one, .column_n = 1, .arena = &arena, .bare = true };
	table_add(&t, (struct cell[]){ CELL_STR(text) });
	print(&t, json);
	arena_free(&arena);
}

static void
aligns_columns(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	struct table t = { .columns = columns, .column_n = 4, .arena = &arena, .indent = "> " };
	table_add(&t, (struct cell[]){ CELL_STR(STR("a")), CELL_INT(12345), CELL_INT(1), CELL_TIME(0) });
	table_add(&t, (struct cell[]){ CELL_STR(STR("\xc3\xa4\xc3\xb6\xc3\xbc-long")), CELL_INT(-7),
				       CELL_INT(2), CELL_TIME(-1) });
	print(&t, false);
	assert_string_equal(printed, "> NAME          N  AT\n"
				     "> a         12345  1970-01-01T00:00:00.000Z\n"
				     "> \xc3\xa4\xc3\xb6\xc3\xbc-long     -7  -\n");
	arena_free(&arena);
}

static void
prints_json(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	struct table t = { .columns = columns, .column_n = 4, .arena = &arena };
	table_add(&t, (struct cell[]){ CELL_STR(STR("a\"b\\c\n")), CELL_INT(INT64_MIN), CELL_INT(1),
				       CELL_TIME(5) });
	table_add(
	    &t, (struct cell[]){ CELL_STR(STR_NULL), CELL_INT(0), CELL_STR(STR("\xff\x00")), CELL_TIME(-1) });
	print(&t, true);
	assert_string_equal(
	    printed, "{\"name\":\"a\\\"b\\\\c\\u000a\",\"n\":-9223372036854775808,\"hidden\":1,\"at\":5}\n"
		     "{\"name\":null,\"n\":0,\"hidden\":{\"hex\":\"ff00\"},\"at\":-1}\n");
	arena_free(&arena);
}

static void
nothing_commands_the_terminal(void **state)
{
	(void)state;
	static const struct {
		struct str text;
		const char *shown;
	} cases[] = {
		{ STR("plain"), "plain\n" },
		{ STR("\x1b[2J"), "\\x1b[2J\n" },
		{ STR("a\nb\x7f"), "a\\x0ab\\x7f\n" },
		{ STR("\xc2\x9b"), "\\xc2\\x9b\n" },          /* the control sequence introducer in one */
		{ STR("\xe2\x80\xae"), "\\xe2\\x80\\xae\n" }, /* right to left from here */
		{ STR("\xe2\x82\xac"), "\xe2\x82\xac\n" },    /* the euro sign */
		{ STR("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80\n" },
		{ STR("\xc0\xaf"), "\\xc0\\xaf\n" },          /* a slash, written too long */
		{ STR("\xed\xa0\x80"), "\\xed\\xa0\\x80\n" }, /* half a surrogate */
		{ STR("\xe2\x82"), "\\xe2\\x82\n" },          /* cut */
		{ STR_NULL, "null\n" },
		{ STR(""), "\n" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_text(cases[i].text, false);
		assert_string_equal(printed, cases[i].shown);
	}
}

static void
long_texts_are_cut_for_people_only(void **state)
{
	(void)state;
	char text[1000];
	memset(text, 'x', sizeof(text));
	print_text((struct str){ text, sizeof(text) }, false);
	assert_true(strlen(printed) < 160);
	assert_non_null(strstr(printed, "x... (1000 bytes)\n"));
	print_text((struct str){ text, sizeof(text) }, true);
	assert_int_equal(strlen(printed), 1000 + strlen("{\"text\":\"\"}\n"));
}

static void
grows(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	static const struct column one[] = { { "N", "n" } };
	struct table t = { .columns = one, .column_n = 1, .arena = &arena, .bare = true };
	char expected[4096] = "";
	for (int i = 0; i < 500; i++) {
		table_add(&t, (struct cell[]){ CELL_INT(i) });
		(void)sprintf(expected + strlen(expected), "%3d\n", i);
	}
	print(&t, false);
	assert_string_equal(printed, expected);
	arena_free(&arena);
}

static void
times(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	assert_string_equal(table_time(1700000000123, &arena), "2023-11-14T22:13:20.123Z");
	assert_string_equal(table_time(-1, &arena), "-");
	assert_string_equal(table_time(INT64_MAX, &arena), "292278994-08-17T07:12:55.807Z");
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aligns_columns),
		cmocka_unit_test(prints_json),
		cmocka_unit_test(nothing_commands_the_terminal),
		cmocka_unit_test(long_texts_are_cut_for_people_only),
		cmocka_unit_test(grows),
		cmocka_unit_test(times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
