#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "broker/wire_address.h"
#include "protocol/messages.h"
#include "tests/lib/sample.h"

static struct wire_addresses addresses;
static struct arena arena;
static struct frame frame;
static struct buf out;
static char note[320];

static int
setup(void **state)
{
	(void)state;
	addresses = (struct wire_addresses){ { "broker.example", 9092 }, { "127.0.0.1", 9093 }, false };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	frame_free(&frame);
	buf_free(&out);
	return 0;
}

static enum wire_replaced
replace(int16_t key, int16_t version, const void *answer)
{
	struct wire_message m = { .way = WIRE_RESPONSE,
				  .is_known = true,
				  .api_key = key,
				  .api_version = version,
				  .correlation_id = 7 };

	frame_reset(&frame);
	buf_reset(&out);
	note[0] = '\0';
	response_encode(api_find(key), version, 7, answer, &frame);
	m.at = buf_head(&frame.bytes);
	m.n = m.whole = buf_len(&frame.bytes);
	return wire_address_replace(&m, &addresses, &out, note, sizeof(note));
}

/* What was passed on is what would have been encoded with the other address. */
static void
expect_same_as(int16_t key, int16_t version, const void *answer)
{
	struct frame other = FRAME_EMPTY;

	response_encode(api_find(key), version, 7, answer, &other);
	assert_int_equal(buf_len(&out), buf_len(&other.bytes));
	assert_memory_equal(buf_head(&out), buf_head(&other.bytes), buf_len(&out));
	frame_free(&other);
}

static void
metadata(void **state)
{
	(void)state;
	for (int16_t version = 0; version <= 13; version++) {
		struct sample s = { .seed = 3, .version = version, .plain = true, .arena = &arena };
		struct metadata_response *m = sample_message(&s, api_find(API_METADATA)->response);

		m->brokers.at = NEW_LIST(&arena, metadata_response_broker, 1);
		m->brokers.n = 1;
		m->brokers.at[0].host = STR("any-name");
		m->brokers.at[0].port = 1234;
		assert_int_equal(replace(API_METADATA, version, m), WIRE_ADDRESS_REPLACED);
		assert_string_equal(note, "passed on with 127.0.0.1:9093 in the place of any-name:1234");
		m->brokers.at[0].host = STR("127.0.0.1");
		m->brokers.at[0].port = 9093;
		expect_same_as(API_METADATA, version, m);
		assert_false(addresses.several);
	}
}

static void
describe_cluster(void **state)
{
	(void)state;
	struct describe_cluster_response_broker broker = {
		.broker_id = 1, .host = STR("h"), .port = 9, .rack = STR_NULL
	};
	struct describe_cluster_response m = { .error_message = STR_NULL,
					       .cluster_id = STR("c"),
					       .brokers = { &broker, 1 } };

	for (int16_t version = 0; version <= 2; version++) {
		broker.host = STR("h");
		broker.port = 9;
		assert_int_equal(replace(API_DESCRIBE_CLUSTER, version, &m), WIRE_ADDRESS_REPLACED);
		broker.host = STR("127.0.0.1");
		broker.port = 9093;
		expect_same_as(API_DESCRIBE_CLUSTER, version, &m);
	}
}

static void
find_coordinator(void **state)
{
	(void)state;
	struct find_coordinator_response_coordinator coordinators[2] = {
		{ .key = STR("a"), .node_id = 1, .error_message = STR_NULL },
		{ .key = STR("b"),
		  .node_id = -1,
		  .host = STR(""),
		  .port = -1,
		  .error_code = ERR_COORDINATOR_NOT_AVAILABLE },
	};
	struct find_coordinator_response m = { .error_message = STR_NULL,
					       .coordinators = { coordinators, 2 } };

	for (int16_t version = 0; version <= 6; version++) {
		m.host = coordinators[0].host = STR("h");
		m.port = coordinators[0].port = 9;
		assert_int_equal(replace(API_FIND_COORDINATOR, version, &m), WIRE_ADDRESS_REPLACED);
		m.host = coordinators[0].host = STR("127.0.0.1");
		m.port = coordinators[0].port = 9093;
		expect_same_as(API_FIND_COORDINATOR, version, &m);
	}
	m.host = STR(""); /* none was found */
	m.port = -1;
	assert_int_equal(replace(API_FIND_COORDINATOR, 2, &m), WIRE_ADDRESS_NONE);
}

/* Among several brokers only the one that we speak to is ours to replace; the others are reached directly. */
static void
several_brokers(void **state)
{
	(void)state;
	struct metadata_response_broker brokers[2] = {
		{ .node_id = 1, .host = STR("other"), .port = 9092, .rack = STR_NULL },
		{ .node_id = 2, .host = STR("broker.example"), .port = 9092, .rack = STR_NULL }
	};
	struct metadata_response m = { .brokers = { brokers, 2 }, .cluster_id = STR_NULL };
	struct find_coordinator_response found = { .host = STR("other"), .port = 9092 };

	assert_int_equal(replace(API_METADATA, 5, &m), WIRE_ADDRESS_REPLACED);
	assert_true(addresses.several);
	brokers[1].host = STR("127.0.0.1");
	brokers[1].port = 9093;
	expect_same_as(API_METADATA, 5, &m);
	assert_int_equal(replace(API_FIND_COORDINATOR, 0, &found), WIRE_ADDRESS_NONE);
	assert_int_equal(buf_len(&out), 0);
	found.host = STR("broker.example");
	assert_int_equal(replace(API_FIND_COORDINATOR, 0, &found), WIRE_ADDRESS_REPLACED);
}

/* A leader that has moved is named in answers to Produce and Fetch, from some version on (KIP-951). */
static void
moved_leaders(void **state)
{
	(void)state;
	struct fetch_response_node_endpoint there = {
		.node_id = 1, .host = STR("h"), .port = 9, .rack = STR_NULL
	};
	struct fetch_response fetch = { .node_endpoints = { &there, 1 } };
	struct produce_response produce = { 0 };

	assert_int_equal(replace(API_FETCH, 15, &fetch), WIRE_ADDRESS_NONE);
	assert_int_equal(replace(API_FETCH, 16, &fetch), WIRE_ADDRESS_REPLACED);
	there.host = STR("127.0.0.1");
	there.port = 9093;
	expect_same_as(API_FETCH, 16, &fetch);
	fetch.node_endpoints.n = 0;
	assert_int_equal(replace(API_FETCH, 16, &fetch), WIRE_ADDRESS_NONE);
	assert_int_equal(replace(API_PRODUCE, 10, &produce), WIRE_ADDRESS_NONE);
}

static void
unclear(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0, 1, 0 };
	struct wire_message m = { .way = WIRE_RESPONSE,
				  .is_known = true,
				  .api_key = API_METADATA,
				  .api_version = 1,
				  .at = bytes,
				  .n = sizeof(bytes),
				  .whole = sizeof(bytes) };

	assert_int_equal(wire_address_replace(&m, &addresses, &out, note, sizeof(note)),
			 WIRE_ADDRESS_UNCLEAR);
	assert_non_null(strstr(note, "brokers"));
	m.whole = 5000000;
	assert_int_equal(wire_address_replace(&m, &addresses, &out, note, sizeof(note)),
			 WIRE_ADDRESS_UNCLEAR);
	m.api_version = 99;
	assert_int_equal(wire_address_replace(&m, &addresses, &out, note, sizeof(note)),
			 WIRE_ADDRESS_UNCLEAR);
	m.is_known = false;
	assert_int_equal(wire_address_replace(&m, &addresses, &out, note, sizeof(note)), WIRE_ADDRESS_NONE);
	m.is_known = true;
	m.api_key = API_LIST_OFFSETS;
	assert_int_equal(wire_address_replace(&m, &addresses, &out, note, sizeof(note)), WIRE_ADDRESS_NONE);
	m.api_key = 999;
	assert_int_equal(wire_address_replace(&m, &addresses, &out, note, sizeof(note)), WIRE_ADDRESS_NONE);
	assert_int_equal(buf_len(&out), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(metadata, setup, teardown),
		cmocka_unit_test_setup_teardown(describe_cluster, setup, teardown),
		cmocka_unit_test_setup_teardown(find_coordinator, setup, teardown),
		cmocka_unit_test_setup_teardown(several_brokers, setup, teardown),
		cmocka_unit_test_setup_teardown(moved_leaders, setup, teardown),
		cmocka_unit_test_setup_teardown(unclear, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
