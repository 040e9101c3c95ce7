#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/tools.h"

#define TEXT_BYTES 65536

static int saved_stdout;
static FILE *captured;

static void
stdout_begin(void)
{
	fflush(stdout);
	saved_stdout = dup(STDOUT_FILENO);
	captured = tmpfile();
	assert_non_null(captured);
	assert_true(dup2(fileno(captured), STDOUT_FILENO) >= 0);
}

static const char *
stdout_end(void)
{
	static char text[TEXT_BYTES];

	fflush(stdout);
	assert_true(dup2(saved_stdout, STDOUT_FILENO) >= 0);
	close(saved_stdout);
	rewind(captured);
	text[fread(text, 1, sizeof(text) - 1, captured)] = '\0';
	fclose(captured);
	return text;
}

/* Run `broker wire` with these words: what it prints, and what it complains about. */
static int
run(const char *words, const char **out, const char **error)
{
	static char copy[4096];
	char *argv[64] = { (char *)"wire" };
	int argc = 1, status;

	snprintf(copy, sizeof(copy), "%s", words);
	for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = word;
	test_stderr_begin();
	stdout_begin();
	status = wire_main(argc, argv);
	*out = stdout_end();
	*error = test_stderr_end();
	return status;
}

static void
expect(const char *words, const char *text)
{
	const char *out, *error;

	assert_int_equal(run(words, &out, &error), 0);
	assert_string_equal(error, "");
	assert_string_equal(out, text);
}

static void
refuse(const char *words, int status, const char *text)
{
	const char *out, *error;

	assert_int_equal(run(words, &out, &error), status);
	assert_string_equal(out, "");
	if (strstr(error, text) == NULL)
		fail_msg("'%s' is not in '%s'", text, error);
	if (status == 2)
		assert_non_null(strstr(error, "broker wire --help"));
}

#define ASK_7 "0000000e 0003 0001 00000007 ffff 00000000 "
#define ASK_8 "0000000e 0003 0001 00000008 ffff 00000000 "

static void
requests(void **state)
{
	(void)state;
	expect("-b " ASK_7, "Metadata v1 request, id 7, 18 bytes, client null\n");
	expect("--brief --request " ASK_7 ASK_8, "Metadata v1 request, id 7, 18 bytes, client null\n"
						 "Metadata v1 request, id 8, 18 bytes, client null\n");
	expect("0003 0001 00000007 ffff 00000000",
	       "--- Metadata v1 request, id 7, 14 bytes, client null\n"
	       "0000  00 03                    api_key                         3 Metadata\n"
	       "0002  00 01                    api_version                     1\n"
	       "0004  00 00 00 07              correlation_id                  7\n"
	       "0008  ff ff                    client_id                       null\n"
	       "000a  00 00 00 00              topics                          empty\n"
	       "\n");
}

static void
requests_that_are_cut(void **state)
{
	(void)state;
	const char *out, *error;

	expect("-b " ASK_7 "0000001e 0003 0001 00000008 ffff 00000000",
	       "Metadata v1 request, id 7, 18 bytes, client null\n"
	       "Metadata v1 request, id 8, 34 bytes, client null\n");
	assert_int_equal(run("0000001e 0003 0001 00000008 ffff 00000002", &out, &error), 0);
	assert_non_null(strstr(out, "!! metadata_request v1: topics"));
	assert_non_null(strstr(out, "(18 bytes of 34 are here)"));
	assert_int_equal(run("0000001e 0003", &out, &error), 0);
	assert_non_null(strstr(out, "what is no request"));
	assert_int_equal(run("00", &out, &error), 0);
	assert_non_null(strstr(out, "what is no request"));
}

/* A Produce of version 0 begins with the four bytes of a size of zero. */
static void
requests_that_look_like_sizes(void **state)
{
	(void)state;
	expect("-b 0000 0000 00000001 ffff ffff 00000000 00000000",
	       "Produce v0 request, id 1, 20 bytes, client null\n");
	expect("-b 00000014 0000 0000 00000001 ffff ffff 00000000 00000000",
	       "Produce v0 request, id 1, 24 bytes, client null\n");
}

#define ANSWER "00000007 00000000 00000001 00000000"

static void
responses(void **state)
{
	(void)state;
	expect("-b --response Metadata 1 " ANSWER, "Metadata v1 response, id 7, 16 bytes\n");
	expect("-b -R metadata 1 00000010 " ANSWER, "Metadata v1 response, id 7, 20 bytes\n");
	expect("-b -R 3 1 00000010 " ANSWER " 00000010 " ANSWER, "Metadata v1 response, id 7, 20 bytes\n"
								 "Metadata v1 response, id 7, 20 bytes\n");
	expect("--response 3 1 00000010 " ANSWER,
	       "--- Metadata v1 response, id 7, 20 bytes\n"
	       "      00 00 00 10              size                            16\n"
	       "0000  00 00 00 07              correlation_id                  7\n"
	       "0004  00 00 00 00              brokers                         empty\n"
	       "0008  00 00 00 01              controller_id                   1\n"
	       "000c  00 00 00 00              topics                          empty\n"
	       "\n");
}

static void
follow(void **state)
{
	(void)state;
	expect("-b -a Fetch " ASK_7, "");
	expect("-b --follow-api fetch --follow-api 3 " ASK_7,
	       "Metadata v1 request, id 7, 18 bytes, client null\n");
}

static void
help(void **state)
{
	(void)state;
	const char *out, *error;

	assert_int_equal(run("--help", &out, &error), 0);
	assert_non_null(strstr(out, "--response API VERSION"));
	assert_int_equal(
	    run("00000016 0012 0003 00000001 0002 6d65 00 04 6d6531 04 312e30 00 -b", &out, &error), 0);
	assert_string_equal(out, "ApiVersions v3 request, id 1, 26 bytes, client \"me\"\n");
}

static void
command_lines_without_sense(void **state)
{
	(void)state;
	refuse("--response Metadata", 2, "--response needs an API and a version");
	refuse("--response Nonsense 1", 2, "no API 'Nonsense' is known here");
	refuse("--response Metadata 99", 2, "Metadata is known in versions 0 to 13, not '99'");
	refuse("--response Metadata -1", 2, "is not understood");
	refuse("--response Metadata x", 2, "not 'x'");
	refuse("--follow-api Nonsense", 2, "no API 'Nonsense'");
	refuse("--pcap file --live", 2, "only one of");
	refuse("--live --request", 2, "only one of");
	refuse("--pcap file 0000", 2, "'0000' is one word too many");
	refuse("--pcap file --port 0", 2, "'0' is no port");
	refuse("--pcap file --port 70000", 2, "'70000' is no port");
	refuse("--nonsense", 2, "is not understood");
}

static void
what_fails(void **state)
{
	(void)state;
	refuse("hello", 1, "line 1: no hex digit: 'h'");
	refuse("--live --to localhost", 1, "'localhost' is no HOST:PORT");
	refuse("--live --to 127.0.0.1:1", 1, "no broker can be reached at 127.0.0.1:1: Connection refused");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),   cmocka_unit_test(requests_that_are_cut),
		cmocka_unit_test(responses),  cmocka_unit_test(requests_that_look_like_sizes),
		cmocka_unit_test(follow),     cmocka_unit_test(help),
		cmocka_unit_test(what_fails), cmocka_unit_test(command_lines_without_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
