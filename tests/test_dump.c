#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/tools.h"
#include "tests/lib/api_fixture.h"

static char printed[64 * 1024];

/* Run `broker dump -d DIR ...` with standard output and error into `printed`. One process may not have a
 * store open twice. */
static int
dump(struct api_fixture *f, const char *const *args)
{
	const char *argv[16] = { "dump", "-d", f->dir };
	int argc = 3;
	for (; args[argc - 3] != NULL; argc++)
		argv[argc] = args[argc - 3];
	store_close(f->store);
	f->store = NULL;

	FILE *out = tmpfile();
	assert_non_null(out);
	fflush(stdout);
	int saved = dup(STDOUT_FILENO);
	assert_true(dup2(fileno(out), STDOUT_FILENO) >= 0);
	test_stderr_begin();
	int status = dump_main(argc, (char **)(uintptr_t)argv);
	const char *errors = test_stderr_end();
	fflush(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);

	rewind(out);
	size_t n = fread(printed, 1, sizeof(printed) - 1, out);
	printed[n] = '\0';
	fclose(out);
	(void)snprintf(printed + n, sizeof(printed) - n, "%s", errors);
	return status;
}

#define DUMP(f, ...) dump((f), (const char *const[]){ __VA_ARGS__, NULL })
#define DUMP_ALL(f)  dump((f), (const char *const[]){ NULL })

#define assert_printed(text)                                                                                 \
	do {                                                                                                 \
		if (strstr(printed, (text)) == NULL)                                                         \
			fail_msg("not printed: %s\nbut: %s", (text), printed);                               \
	} while (0)

static void
nothing_stored(void **state)
{
	struct api_fixture *f = *state;
	assert_int_equal(DUMP_ALL(f), 0);
	assert_string_equal(printed, "TOPIC  ID  PARTITIONS  RECORDS  BYTES  CREATED\n");
}

static void
topics(void **state)
{
	struct api_fixture *f = *state;
	struct topic orders = api_topic(f, "orders", 2);
	api_topic(f, "a-longer-name", 1);
	api_append(f, "orders", 0, 3);
	api_append(f, "orders", 1, 4);
	char id[UUID_TEXT];
	uuid_text(orders.id, id);

	assert_int_equal(DUMP_ALL(f), 0);
	assert_printed(arena_printf(&f->call.arena, "orders         %s           2        7  ", id));
	assert_printed("a-longer-name  ");
	assert_true(strstr(printed, "a-longer-name") < strstr(printed, "orders"));
	assert_int_equal(DUMP(f, "--json"), 0);
	assert_printed(arena_printf(
	    &f->call.arena, "{\"topic\":\"orders\",\"id\":\"%s\",\"partitions\":2,\"records\":7,", id));
}

static void
partitions(void **state)
{
	struct api_fixture *f = *state;
	api_topic_with(f, "orders", 2, "retention.ms", "5000");
	api_append(f, "orders", 1, 4);
	assert_int_equal(DUMP(f, "orders"), 0);
	assert_printed("topic orders, id ");
	assert_printed("retention.ms  5000\n");
	assert_printed("PARTITION  LOG START  LOG END  RECORDS  BYTES\n");
	assert_printed("        0          0        0        0      0\n");
	assert_printed("        1          0        4        4    1");
	assert_int_equal(DUMP(f, "--json", "orders"), 0);
	assert_printed("{\"topic\":\"orders\",\"partition\":1,\"log_start\":0,\"log_end\":4,\"records\":4,");
}

static void
records(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "orders", 1);
	api_append(f, "orders", 0, 3);
	api_append(f, "orders", 0, 2);
	assert_int_equal(DUMP(f, "orders", "0"), 0);
	assert_printed("batch 0 to 2: 3 records, ");
	assert_printed("codec none, CreateTime, crc ");
	assert_printed("2023-11-14T22:13:20.002Z  k2   value-2  ");
	assert_printed("batch 3 to 4: 2 records, ");
	assert_printed("       4  2023-11-14T22:13:20.001Z  k1   value-1  ");
}

/* From within one batch to within another. */
static void
some_records(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "orders", 1);
	for (int i = 0; i < 3; i++)
		api_append(f, "orders", 0, 3);
	assert_int_equal(DUMP(f, "orders", "0", "--offset", "2", "--count", "5", "--json"), 0);
	int lines = 0;
	for (const char *at = printed; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	assert_int_equal(lines, 5);
	const char first[] = "{\"offset\":2,\"timestamp\":1700000000002,\"key\":\"k2\",";
	assert_memory_equal(printed, first, sizeof(first) - 1);
	assert_printed(
	    "{\"offset\":6,\"timestamp\":1700000000000,\"key\":\"k0\",\"value\":\"value-0\",\"headers\":");
	assert_printed("\"batch\":6,\"codec\":\"none\",\"producer_id\":-1}\n");
}

static void
faults(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "orders", 1);
	api_append(f, "orders", 0, 3);
	assert_int_equal(DUMP(f, "nothing"), 1);
	assert_printed("broker dump: ");
	assert_int_equal(DUMP(f, "orders", "1"), 1);
	assert_int_equal(DUMP(f, "orders", "zero"), 1);
	assert_int_equal(DUMP(f, "orders", "0", "--offset", "4"), 1);
	assert_int_equal(DUMP(f, "orders", "0", "--offset", "3"), 0); /* the end */
	assert_string_equal(printed, "");
	assert_int_equal(DUMP(f, "orders", "0", "--offset", "-3"), 2);
	assert_int_equal(DUMP(f, "orders", "0", "more"), 2);
	assert_int_equal(DUMP(f, "orders", "--offset", "3"), 2);
	assert_int_equal(DUMP(f, "--what"), 2);
	assert_int_equal(DUMP(f, "-d", "/nonexistent/directory"), 1);
	assert_int_equal(DUMP(f, "--help"), 0);
	assert_printed("Usage: broker dump");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_stored), TEST(topics),       TEST(partitions),
		TEST(records),        TEST(some_records), TEST(faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
