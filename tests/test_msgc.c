#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/*
 * The schema compiler, run as the Makefile runs it (MSGC says where it is). Each schema here is wrong in
 * one way; the compiler must refuse it, and name the line.
 */
static char output[64 * 1024];

static int
run_msgc(const char *dir, const char *options)
{
	const char *msgc = getenv("MSGC");
	char command[1024];
	FILE *pipe;
	size_t n;

	snprintf(command, sizeof(command), "%s %s %s/one.msg 2>&1", msgc != NULL ? msgc : "build/msgc",
		 options, dir);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	n = fread(output, 1, sizeof(output) - 1, pipe);
	output[n] = '\0';
	return WEXITSTATUS(pclose(pipe));
}

static int
compile(const char *schema)
{
	char *dir = test_dir_make();
	int status;

	test_file_write(test_path(dir, "one.msg"), schema);
	status = run_msgc(dir, dir);
	test_dir_remove(dir);
	return status;
}

#define API      "api 10 thing versions 0-6 flexible 3+\n"
#define RESPONSE "response\n\terror_code error\n"

static void
expect_refused(const char *schema, const char *message)
{
	if (compile(schema) != 1)
		fail_msg("accepted:\n%s", schema);
	if (strstr(output, message) == NULL)
		fail_msg("expected \"%s\", got \"%s\"", message, output);
}

static void
what_is_no_schema(void **state)
{
	(void)state;
	expect_refused("", ":0: a schema has a request and a response");
	expect_refused("request\n", ":1: a schema begins with: api");
	expect_refused("api 10 thing\n", ":1: wanted: api KEY NAME versions A-B");
	expect_refused("api ten thing versions 0-1\n", ":1: \"ten\" is not a number");
	expect_refused("api 10 Thing versions 0-1\n", ":1: \"Thing\" cannot be a name");
	expect_refused("api 10 thing versions 3-1\n", ":1: the versions 3-1 are none");
	expect_refused("api 10 thing versions 0-99\n", ":1: versions must be within 0-63");
	expect_refused(API "\tv9 too new\n", ":2: wanted: vN TEXT");
	expect_refused(API "request\nrequest\n", ":3: a second request");
	expect_refused(API "request\n", "a schema has a request and a response");
}

static void
what_is_no_field(void **state)
{
	(void)state;
	expect_refused(API "request\n\tkey\n" RESPONSE, ":3: wanted: NAME TYPE");
	expect_refused(API "request\n\tkey strong\n" RESPONSE,
		       ":3: \"strong\" is no type, and no fields follow");
	expect_refused(API "request\n\tkey string soon\n" RESPONSE, ":3: \"soon\" is not understood here");
	expect_refused(API "request\n\t\tkey string\n" RESPONSE, ":3: 2 tabs: there is no struct");
	expect_refused(API "request\n\tkey string\n\t\tinner string\n" RESPONSE,
		       ":4: 2 tabs: there is no struct");
	expect_refused(API "request\n\tkey string\n\tkey string\n" RESPONSE, ":4: a second key");
	expect_refused(API "request\n\tkey string v5-7\n" RESPONSE,
		       ":3: key is in versions that request is not in");
	expect_refused(API "request\n\tat []place v3+\n\t\tx int8 v2+\n" RESPONSE,
		       ":4: x is in versions that at is not in");
	expect_refused(API "request\n\ta []place\n\t\tx int8\n\tb []place\n\t\tx int8\n" RESPONSE,
		       ":5: a second struct place in one message");
}

/* What the decoder relies on. */
static void
what_could_not_work_on_the_wire(void **state)
{
	(void)state;
	expect_refused(API "request\n\tkey string v2+ tag 0\n" RESPONSE,
		       ":3: tagged in v2, which is not flexible");
	expect_refused(API "request\n\ta int8 v3+ tag 1\n\tb int8 v3+ tag 1\n" RESPONSE,
		       ":4: tag 1 comes after a's, but tags must ascend");
	expect_refused(API "request\n\tdata records v3+ tag 0\n" RESPONSE, ":3: records cannot be tagged");
	expect_refused(API "request\n\tn int32?\n" RESPONSE, ":3: a number cannot be null");
	expect_refused(API "request\n\ts string v2+ null v1+\n" RESPONSE,
		       ":3: null in versions that do not have it");
	expect_refused(API "request\n\ts string = null\n" RESPONSE,
		       ":3: the default can be null, if it is nullable");
	expect_refused(API "request\n\tn int8 = 128\n" RESPONSE, ":3: the default 128 does not fit");
	expect_refused(API "request\n\tat place?\n\t\tx int8\n" RESPONSE,
		       ":3: a nullable struct needs the default null");
	expect_refused(API "request\n\tat []place\n\t\tx int8 v2+\n" RESPONSE, ":3: takes no bytes in v0");
	expect_refused(API "request\n\ta a\n\t\tb b\n\t\t\tc c\n\t\t\t\td d\n\t\t\t\t\te e\n\t\t\t\t\t\tf f\n"
			   "\t\t\t\t\t\t\tg g\n\t\t\t\t\t\t\t\th h\n\t\t\t\t\t\t\t\t\ti int8\n" RESPONSE,
		       ":10: nested deeper than 8");
}

static void
what_is_good(void **state)
{
	(void)state;
	assert_int_equal(compile(API "\tv1 more\nrequest\n\tkey string? v0-2 = null # doc\n" RESPONSE), 0);
	assert_string_equal(output, "");
}

static void
documentation(void **state)
{
	(void)state;
	char *dir = test_dir_make();

	test_file_write(test_path(dir, "one.msg"),
			"# What it\n# is for.\n#\n# More.\n" API
			"\tv4 a place\nrequest\n\tplaces []place? v4+ tag 2 # where\n"
			"\t\tx int8 = -1\n" RESPONSE);
	assert_int_equal(run_msgc(dir, "--doc"), 0);
	assert_non_null(strstr(
	    output, "## 10 Thing\n\nWhat it is for.\n\nMore.\n\nVersions 0 to 6; flexible from 3 on.\n\n"
		    "* v4: a place\n\n### Thing request\n\n```\n"
		    "         version  0123456\n"
		    "places  []place?  ....???  tag 2; where\n"
		    "  x     int8      ....xxx  default -1\n"
		    "```\n"));
	test_dir_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_schema),
		cmocka_unit_test(what_is_no_field),
		cmocka_unit_test(what_could_not_work_on_the_wire),
		cmocka_unit_test(what_is_good),
		cmocka_unit_test(documentation),
	};

	return cmocka_run_group_tests_name("msgc", tests, NULL, NULL);
}
