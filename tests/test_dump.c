#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/group.h"
#include "broker/tools.h"
#include "tests/lib/api_fixture.h"

static char printed[4 * 1024 * 1024];

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

/* --- groups ----------------------------------------------------------------------------------------- */

/* A store again, for what the test writes; dump() closes it. */
static struct store_txn *
write_to(struct api_fixture *f)
{
	struct store_txn *txn;
	assert_int_equal(store_write(f->store, &txn), ERR_NONE);
	return txn;
}

static void
commit(struct store_txn *txn)
{
	uint64_t number;
	assert_int_equal(store_commit(txn, &number), ERR_NONE);
}

static uint32_t
commit_offset(struct api_fixture *f, const char *id, const struct topic *topic, int32_t partition,
	      const struct stored_offset *offset)
{
	struct store_txn *txn = write_to(f);
	uint32_t group;
	assert_int_equal(groups_open(txn, str_of(id), &group), ERR_NONE);
	assert_int_equal(offsets_commit(txn, group, topic->number, partition, offset), ERR_NONE);
	commit(txn);
	return group;
}

static void
save_state(struct api_fixture *f, const char *id, struct bytes state, int64_t empty_since_ms)
{
	struct store_txn *txn = write_to(f);
	assert_int_equal(groups_save(txn, str_of(id), state, empty_since_ms), ERR_NONE);
	commit(txn);
}

#define BYTES(literal) ((struct bytes){ (const uint8_t *)(literal), (int32_t)sizeof(literal) - 1 })

/* A stable group of one static member of this protocol type. */
static void
save_group(struct api_fixture *f, const char *id, const char *type, struct bytes metadata,
	   struct bytes assignment)
{
	static const struct group_rules rules = { .min_session_timeout_ms = 1,
						  .max_session_timeout_ms = 60000,
						  .max_size = 10 };
	struct group *g = group_new(str_of(id), &rules);
	struct arena arena = ARENA_EMPTY;
	struct group_actions out = { .arena = &arena, .why = STR_NULL };
	struct group_protocol protocol = { .name = STR("range"), .metadata = metadata };
	struct group_join join = { .version = 5,
				   .member_id = STR(""),
				   .instance_id = STR("cart-1"),
				   .client_id = STR("shop"),
				   .client_host = STR("/127.0.0.1"),
				   .protocol_type = str_of(type),
				   .reason = STR_NULL,
				   .session_timeout_ms = 10000,
				   .rebalance_timeout_ms = 10000,
				   .protocols = &protocol,
				   .protocol_n = 1 };
	int waiter;
	group_join(g, 0, &join, &waiter, &out);
	struct group_assignment all = { .member_id = group_view(g).leader, .assignment = assignment };
	struct group_sync sync = { .generation = 1,
				   .member_id = group_view(g).leader,
				   .instance_id = STR("cart-1"),
				   .protocol_type = STR_NULL,
				   .protocol = STR_NULL,
				   .assignments = &all,
				   .assignment_n = 1 };
	group_sync(g, 0, &sync, &waiter, &out);
	assert_int_equal(group_view(g).state, GROUP_STABLE);
	struct buf bytes = BUF_EMPTY;
	group_encode(g, &bytes);
	save_state(f, id, (struct bytes){ buf_head(&bytes), (int32_t)buf_len(&bytes) }, -1);
	buf_free(&bytes);
	group_free(g);
	arena_free(&arena);
}

#define SUBSCRIBED "\0\1\0\0\0\2\0\6orders\0\3log\377\377\377\377"
#define ASSIGNED                                                                                             \
	"\0\1\0\0\0\2\0\6orders\0\0\0\5\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\7\0\0\0\3"                             \
	"\0\3log\0\0\0\1\0\0\0\4\377\377\377\377"

static void
no_groups(void **state)
{
	struct api_fixture *f = *state;
	assert_int_equal(DUMP(f, "--groups"), 0);
	assert_string_equal(printed,
			    "GROUP  NUMBER  STATE  GENERATION  TYPE  PROTOCOL  MEMBERS  EMPTY SINCE\n");
	assert_int_equal(DUMP(f, "--offsets"), 0);
	assert_string_equal(printed,
			    "GROUP  TOPIC  PARTITION  OFFSET  EPOCH  COMMITTED  EXPIRES  METADATA\n");
	assert_int_equal(DUMP(f, "--offsets", "--json"), 0);
	assert_string_equal(printed, "");
	assert_int_equal(DUMP(f, "--groups", "g"), 1);
	assert_printed("broker dump: ");
	assert_int_equal(DUMP(f, "--offsets", "g"), 1);
	assert_int_equal(DUMP(f, "--groups", "--offsets"), 2);
	assert_int_equal(DUMP(f, "--groups", "a", "b"), 2);
	assert_int_equal(DUMP(f, "--groups", "a", "--offset", "3"), 2);
}

static void
groups(void **state)
{
	struct api_fixture *f = *state;
	struct topic t = api_topic(f, "orders", 8);
	save_group(f, "shop", "consumer", BYTES(SUBSCRIBED), BYTES(ASSIGNED));
	commit_offset(f, "simple", &t, 0, &(struct stored_offset){ .offset = 1 });
	save_state(f, "damaged", BYTES("\1\7"), 1700000000000);
	assert_int_equal(DUMP(f, "--groups"), 0);
	assert_printed("GROUP    NUMBER  STATE       GENERATION  TYPE      PROTOCOL  MEMBERS  EMPTY SINCE\n");
	assert_printed("shop          1  Stable               1  consumer  range           1  -\n");
	assert_printed("simple        2  Empty                0                            0  20");
	assert_printed("damaged       3  unreadable           0                            0  "
		       "2023-11-14T22:13:20.000Z\n");
	assert_int_equal(DUMP(f, "--groups", "--json"), 0);
	assert_printed(
	    "{\"group\":\"shop\",\"number\":1,\"state\":\"Stable\",\"generation\":1,\"protocol_type\":"
	    "\"consumer\",\"protocol\":\"range\",\"members\":1,\"empty_since_ms\":-1}\n");
}

static void
a_group(void **state)
{
	struct api_fixture *f = *state;
	save_group(f, "shop", "consumer", BYTES(SUBSCRIBED), BYTES(ASSIGNED));
	save_group(f, "odd", "consumer", BYTES("\0\1\0\0\0\2\0\6orders"), BYTES(""));
	save_group(f, "connect", "connect", BYTES(SUBSCRIBED), BYTES("\1\2x"));
	save_state(f, "", BYTES(""), 1700000000000);
	assert_int_equal(DUMP(f, "--groups", "shop"), 0);
	assert_printed("group          shop\nnumber         1\nstate          Stable\ngeneration     1\n"
		       "protocol type  consumer\nprotocol       range\nleader         cart-1-");
	assert_printed("  orders, log   orders 0-2,7,3; log 4\n");
	assert_printed("  cart-1    shop    /127.0.0.1  ");
	assert_int_equal(DUMP(f, "--groups", "shop", "--json"), 0);
	assert_printed("{\"group\":\"shop\",\"member\":\"cart-1-");
	assert_printed("\"instance\":\"cart-1\",\"client\":\"shop\",\"host\":\"/127.0.0.1\","
		       "\"subscription\":\"orders, log\",\"assignment\":\"orders 0-2,7,3; log 4\"}\n");
	assert_int_equal(DUMP(f, "--groups", "odd"), 0);
	assert_printed("  \\x00\\x01\\x00\\x00\\x00\\x02\\x00\\x06orders");
	assert_int_equal(DUMP(f, "--groups", "connect", "--json"), 0);
	assert_printed("\"assignment\":\"\\u0001\\u0002x\"}");
	assert_int_equal(DUMP(f, "--groups", ""), 0);
	assert_printed("state          Empty\n");
	assert_printed("empty since    2023-11-14T22:13:20.000Z\n");
	assert_null(strstr(printed, "MEMBER"));
}

static void
offsets(void **state)
{
	struct api_fixture *f = *state;
	struct topic orders = api_topic(f, "orders", 8), gone = api_topic(f, "gone", 1);
	struct stored_offset o = { .offset = 41,
				   .leader_epoch = -1,
				   .committed_ms = 1700000000000,
				   .expires_ms = -1,
				   .metadata = STR("half\tway") };
	commit_offset(f, "shop", &orders, 7, &o);
	commit_offset(f, "shop", &gone, 0, &o);
	o.offset = 42;
	o.expires_ms = 1700000001000;
	o.metadata = STR("");
	commit_offset(f, "shop", &orders, 1, &o);
	commit_offset(f, "another", &orders, 7, &o);
	struct store_txn *txn = write_to(f);
	assert_int_equal(topic_delete(txn, &gone), ERR_NONE);
	commit(txn);
	assert_int_equal(DUMP(f, "--offsets"), 0);
	assert_string_equal(printed, "GROUP    TOPIC         PARTITION  OFFSET  EPOCH  COMMITTED             "
				     "    EXPIRES                   METADATA\n"
				     "shop     orders                1      42     -1  "
				     "2023-11-14T22:13:20.000Z  2023-11-14T22:13:21.000Z  \n"
				     "shop     orders                7      41     -1  "
				     "2023-11-14T22:13:20.000Z  -                         half\\x09way\n"
				     "shop     (deleted: 2)          0      41     -1  "
				     "2023-11-14T22:13:20.000Z  -                         half\\x09way\n"
				     "another  orders                7      42     -1  "
				     "2023-11-14T22:13:20.000Z  2023-11-14T22:13:21.000Z  \n");
	assert_int_equal(DUMP(f, "--offsets", "another"), 0);
	assert_printed("TOPIC   PARTITION  OFFSET  EPOCH  ");
	assert_null(strstr(printed, "41"));
	assert_int_equal(DUMP(f, "--json", "--offsets", "shop"), 0);
	assert_string_equal(
	    printed,
	    "{\"group\":\"shop\",\"topic\":\"orders\",\"partition\":1,\"offset\":42,\"leader_epoch\":-1,"
	    "\"committed_ms\":1700000000000,\"expires_ms\":1700000001000,\"metadata\":\"\"}\n"
	    "{\"group\":\"shop\",\"topic\":\"orders\",\"partition\":7,\"offset\":41,\"leader_epoch\":-1,"
	    "\"committed_ms\":1700000000000,\"expires_ms\":-1,\"metadata\":\"half\\u0009way\"}\n"
	    "{\"group\":\"shop\",\"topic\":null,\"partition\":0,\"offset\":41,\"leader_epoch\":-1,"
	    "\"committed_ms\":1700000000000,\"expires_ms\":-1,\"metadata\":\"half\\u0009way\"}\n");
}

/* How often this key is printed, with each time the next number. */
static int64_t
numbers_in_a_row(const char *key, int64_t from)
{
	const char *at = printed, *end = printed + strlen(printed);
	int64_t n = 0;
	for (; (at = memmem(at, (size_t)(end - at), key, strlen(key))) != NULL; n++) {
		at += strlen(key);
		assert_int_equal(strtoll(at, NULL, 10), from + n);
	}
	return n;
}

/* More than one snapshot takes. */
static void
many(void **state)
{
	struct api_fixture *f = *state;
	struct topic t = api_topic(f, "t", 5000);
	struct store_txn *txn = write_to(f);
	int64_t offset = 0;
	for (int i = 0; i < 5; i++) {
		char id[] = { 'g', (char)('0' + i), '\0' };
		uint32_t group;
		assert_int_equal(groups_open(txn, str_of(id), &group), ERR_NONE);
		for (int32_t p = 0; p < 5000; p++, offset++)
			assert_int_equal(offsets_commit(txn, group, t.number, p,
							&(struct stored_offset){ .offset = offset }),
					 ERR_NONE);
	}
	for (int i = 0; i < 10001; i++) {
		uint32_t group;
		struct str id = str_of(arena_printf(&f->call.arena, "empty-%d", i));
		assert_int_equal(groups_open(txn, id, &group), ERR_NONE);
	}
	commit(txn);
	assert_int_equal(DUMP(f, "--offsets", "--json"), 0);
	assert_int_equal(numbers_in_a_row("\"offset\":", 0), offset);
	assert_int_equal(DUMP(f, "--offsets", "--json", "g4"), 0);
	assert_printed("\"offset\":24999,");
	assert_null(strstr(printed, "\"offset\":19999,"));
	assert_int_equal(DUMP(f, "--groups", "--json"), 0);
	assert_int_equal(numbers_in_a_row("\"number\":", 1), 10006);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_stored), TEST(topics),  TEST(partitions), TEST(records),
		TEST(some_records),   TEST(faults),  TEST(no_groups),  TEST(groups),
		TEST(a_group),        TEST(offsets), TEST(many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
