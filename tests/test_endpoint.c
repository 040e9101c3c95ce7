#include "tests/lib/test.h"

#include <string.h>

#include "common/endpoint.h"

static struct arena arena;

static void
assert_endpoint(const struct endpoints *list, int32_t i, const char *name, const char *host, uint16_t port)
{
	assert_true(i < list->n);
	assert_string_equal(list->at[i].name, name);
	assert_string_equal(list->at[i].host, host);
	assert_int_equal(list->at[i].port, port);
}

static struct endpoints
parsed(const char *text)
{
	char why[200] = "";
	struct endpoints list = { 0 };
	if (!endpoints_parse(str_of(text), &arena, &list, why, sizeof(why)))
		fail_msg("%s: %s", text, why);
	return list;
}

static void
lists(void **state)
{
	(void)state;
	struct endpoints list = parsed("PLAINTEXT://:9092");
	assert_int_equal(list.n, 1);
	assert_endpoint(&list, 0, "PLAINTEXT", "", 9092);

	list = parsed(" local://localhost:0 ,\tV4://127.0.0.1:1,V6://[::1]:65535 , ZONE://[fe80::1%eth0]:2");
	assert_int_equal(list.n, 4);
	assert_endpoint(&list, 0, "LOCAL", "localhost", 0);
	assert_endpoint(&list, 1, "V4", "127.0.0.1", 1);
	assert_endpoint(&list, 2, "V6", "::1", 65535);
	assert_endpoint(&list, 3, "ZONE", "fe80::1%eth0", 2);
	assert_string_equal(endpoints_text(&list, &arena),
			    "LOCAL://localhost:0,V4://127.0.0.1:1,V6://[::1]:65535,ZONE://[fe80::1%eth0]:2");

	assert_int_equal(parsed("").n, 0);
	assert_int_equal(parsed("  ").n, 0);
	arena_free(&arena);
}

static void
found_by_name(void **state)
{
	(void)state;
	struct endpoints list = parsed("A://a:1,B://b:2");
	assert_string_equal(endpoints_find(&list, "B")->host, "b");
	assert_null(endpoints_find(&list, "C"));
	arena_free(&arena);
}

static void
what_is_wrong_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "9092", "'9092' is not NAME://host:port" },
		{ "://:9092", "is not NAME://host:port" },
		{ "A B://:9092", "is not NAME://host:port" },
		{ "PLAINTEXT://host", "has no port" },
		{ "PLAINTEXT://host:", "'' is not a port" },
		{ "PLAINTEXT://host:abc", "'abc' is not a port" },
		{ "PLAINTEXT://host:65536", "'65536' is not a port" },
		{ "PLAINTEXT://host:-1", "'-1' is not a port" },
		{ "PLAINTEXT://::1:9092", "IPv6 addresses stand in brackets" },
		{ "PLAINTEXT://[]:9092", "is not a host" },
		{ "PLAINTEXT://ho st:9092", "is not a host" },
		{ "PLAINTEXT://a/b:9092", "is not a host" },
		{ "SSL://:9093", "there is no TLS" },
		{ "SASL_PLAINTEXT://:9093", "no SASL" },
		{ "A://:1,a://:2", "two listeners are called A" },
		{ "A://:1,", NULL }, /* as in Kafka's lists, a last comma is no harm */
		{ "A://:1,,B://:2", "'' is not NAME://host:port" },
		{ "A://:1,B://:1,C://:1,D://:1,E://:1,F://:1,G://:1,H://:1,I://:1,J://:1,K://:1,L://:1,M://"
		  ":1,N://:1,"
		  "O://:1,P://:1,Q://:1",
		  "more than 16 listeners" },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct endpoints list = { .n = 77 };
		char why[200] = "";
		bool good = endpoints_parse(str_of(bad[i].text), &arena, &list, why, sizeof(why));
		assert_int_equal(good, bad[i].why == NULL);
		if (good)
			continue;
		assert_int_equal(list.n, 77);
		if (strstr(why, bad[i].why) == NULL)
			fail_msg("%s: %s", bad[i].text, why);
	}
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(found_by_name),
		cmocka_unit_test(what_is_wrong_is_named),
	};
	return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
