#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

#include "common/properties.h"

static char heard[4096];
static int stop_at;

static bool
hear(void *context, int line, const char *key, const char *value)
{
	size_t n = strlen(heard);
	assert_ptr_equal(context, heard);
	(void)snprintf(heard + n, sizeof(heard) - n, "%d[%s][%s] ", line, key, value);
	return line != stop_at;
}

static bool
parse(struct str text, char *why, size_t why_size)
{
	*heard = *why = '\0';
	return properties_parse(text, hear, heard, why, why_size);
}

static void
assert_pairs(struct str text, const char *pairs)
{
	char why[100];
	stop_at = 0;
	assert_true(parse(text, why, sizeof(why)));
	assert_string_equal(heard, pairs);
}

static void
pairs_and_comments(void **state)
{
	(void)state;
	assert_pairs(STR(""), "");
	assert_pairs(STR("\n\n  \n# c\n! c\n   # c = d\n"), "");
	assert_pairs(STR("a=1\nb=2"), "1[a][1] 2[b][2] ");
	assert_pairs(STR("# first\n\na=1\n"), "3[a][1] ");
	assert_pairs(STR("a=1\r\nb=2\rc=3\r\n"), "1[a][1] 2[b][2] 3[c][3] ");
	assert_pairs(STR("a=b#c\nd=!e\n"), "1[a][b#c] 2[d][!e] ");
	assert_pairs(STR("# a \\\nb=1\n"), "2[b][1] "); /* comments do not continue */
}

static void
separators(void **state)
{
	(void)state;
	assert_pairs(STR("a = 1\na: 2\na 3\na\t4\n \t a=5\na=  6"),
		     "1[a][1] 2[a][2] 3[a][3] 4[a][4] 5[a][5] 6[a][6] ");
	assert_pairs(STR("a==1\na=:2\na  =  = 3\n"), "1[a][=1] 2[a][:2] 3[a][= 3] ");
	assert_pairs(STR("a\nb=\nc =\n=d\n"), "1[a][] 2[b][] 3[c][] 4[][d] ");
	assert_pairs(STR("listeners=PLAINTEXT://:9092\n"), "1[listeners][PLAINTEXT://:9092] ");
}

static void
blanks_at_the_end_are_dropped(void **state)
{
	(void)state;
	assert_pairs(STR("a=1  \t\nb=x y  \nc=d\\ \n"), "1[a][1] 2[b][x y] 3[c][d ] ");
}

static void
continued_lines(void **state)
{
	(void)state;
	assert_pairs(STR("a=b,\\\n    c,\\\n  d\ne=f\n"), "1[a][b,c,d] 4[e][f] ");
	assert_pairs(STR("a=b\\\\\nc=d\n"),
		     "1[a][b\\] 2[c][d] "); /* an escaped backslash does not continue */
	assert_pairs(STR("a=b\\\\\\\nc\n"), "1[a][b\\c] ");
	assert_pairs(STR("a=b\\"), "1[a][b] ");
	assert_pairs(STR("a=b\\\n# not a comment\n"), "1[a][b# not a comment] ");
	assert_pairs(STR("a=b\\\r\n c"), "1[a][bc] ");
}

static void
escapes(void **state)
{
	(void)state;
	assert_pairs(STR("a\\=b=c\na\\:b:c\na\\ b c\n"), "1[a=b][c] 2[a:b][c] 3[a b][c] ");
	assert_pairs(STR("a=\\t|\\n|\\r|\\f|\\\\|\\q\n"), "1[a][\t|\n|\r|\f|\\|q] ");
	assert_pairs(STR("a=\\u0041\\u00e9\\u20AC\n"), "1[a][A\xc3\xa9\xe2\x82\xac] ");
	assert_pairs(STR("a=\xc3\xa9\n"), "1[a][\xc3\xa9] ");
}

static void
wrong_escapes_are_refused_by_line(void **state)
{
	(void)state;
	static const char *const bad[] = { "b=1\na=\\u12", "b=1\na=\\uzzzz", "b=1\na=\\u0000",
					   "b=1\na=\\ud83d", "b=1\n\\u=2" };
	char why[100];
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(parse(str_of(bad[i]), why, sizeof(why)));
		assert_non_null(strstr(why, "line 2:"));
		assert_string_equal(heard, "1[b][1] ");
	}
	assert_false(parse(STR("a=1\0002\n"), why, sizeof(why)));
	assert_non_null(strstr(why, "line 1:"));
}

static void
the_reader_can_stop(void **state)
{
	(void)state;
	char why[100];
	stop_at = 2;
	assert_false(parse(STR("a=1\nb=2\nc=3\n"), why, sizeof(why)));
	assert_string_equal(heard, "1[a][1] 2[b][2] ");
	assert_string_equal(why, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_and_comments),
		cmocka_unit_test(separators),
		cmocka_unit_test(blanks_at_the_end_are_dropped),
		cmocka_unit_test(continued_lines),
		cmocka_unit_test(escapes),
		cmocka_unit_test(wrong_escapes_are_refused_by_line),
		cmocka_unit_test(the_reader_can_stop),
	};
	return cmocka_run_group_tests_name("properties", tests, NULL, NULL);
}
