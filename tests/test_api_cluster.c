#include "tests/lib/test.h"

#include "broker/api/handlers.h"
#include "protocol/messages.h"
#include "tests/lib/api_fixture.h"

/* ApiVersions, FindCoordinator, InitProducerId, DescribeCluster. */

static const struct handler versions = API_READS(API_VERSIONS, api_versions);
static const struct handler finding = API_READS(FIND_COORDINATOR, find_coordinator);
static const struct handler producers = API_WRITES(INIT_PRODUCER_ID, init_producer_id);
static const struct handler cluster = API_READS(DESCRIBE_CLUSTER, describe_cluster);

/* In place of dispatch.c's: what ApiVersions is to tell. */
const struct handler handlers[] = {
	{ .key = API_PRODUCE, .min = 3, .max = 9, .advertise_min = 0 },
	{ .key = API_API_VERSIONS, .min = 0, .max = 4, .advertise_min = 0 },
	{ .key = API_OFFSET_FOR_LEADER_EPOCH, .min = 2, .max = 4, .advertise_min = 2 },
};
const int handler_count = 3;

/* --- ApiVersions -----------------------------------------------------------------------------------------
 */

static struct api_versions_request *
from_software(struct api_fixture *f, const char *name, const char *version)
{
	struct api_versions_request *in = api_request(f, &versions);
	in->client_software_name = str_of(name);
	in->client_software_version = str_of(version);
	return in;
}

static void
tells_what_is_served(void **state)
{
	struct api_fixture *f = *state;
	for (int16_t v = 0; v <= 4; v++) {
		struct api_versions_response *out =
		    api_serve(f, &versions, v, from_software(f, "test", "1.0"));
		assert_int_equal(out->error_code, ERR_NONE);
		assert_int_equal(out->api_keys.n, 3);
		assert_int_equal(out->api_keys.at[0].api_key, API_PRODUCE);
		assert_int_equal(out->api_keys.at[0].min_version, 0);
		assert_int_equal(out->api_keys.at[0].max_version, 9);
		assert_int_equal(out->api_keys.at[1].api_key, API_API_VERSIONS);
		assert_int_equal(out->api_keys.at[2].min_version, 2);
		assert_int_equal(out->supported_features.n, 0);
		assert_int_equal(out->finalized_features.n, 0);
		assert_int_equal(out->finalized_features_epoch, -1);
	}
}

static void
software_has_to_be_named_well(void **state)
{
	struct api_fixture *f = *state;
	static const struct {
		const char *name, *version;
		enum err expected;
	} cases[] = {
		{ "librdkafka", "2.0.2", ERR_NONE },
		{ "apache-kafka-java", "4.0.0-SNAPSHOT", ERR_NONE },
		{ "x", "1", ERR_NONE },
		{ "", "1", ERR_INVALID_REQUEST },
		{ "x", "", ERR_INVALID_REQUEST },
		{ "-x", "1", ERR_INVALID_REQUEST },
		{ "x.", "1", ERR_INVALID_REQUEST },
		{ "x", "1.", ERR_INVALID_REQUEST },
		{ "x y", "1", ERR_INVALID_REQUEST },
		{ "x", "v\n1", ERR_INVALID_REQUEST },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct api_versions_request *in = from_software(f, cases[i].name, cases[i].version);
		struct api_versions_response *out = api_serve(f, &versions, 3, in);
		assert_int_equal(out->error_code, cases[i].expected);
		assert_int_equal(out->api_keys.n, cases[i].expected == ERR_NONE ? 3 : 0);
		out = api_serve(f, &versions, 2, in); /* which does not say what software it is */
		assert_int_equal(out->error_code, ERR_NONE);
	}
}

/* --- FindCoordinator -------------------------------------------------------------------------------------
 */

static void
coordinates_every_group(void **state)
{
	struct api_fixture *f = *state;
	for (int16_t v = 0; v <= 3; v++) {
		struct find_coordinator_request *in = api_request(f, &finding);
		in->key = STR("group");
		struct find_coordinator_response *out = api_serve(f, &finding, v, in);
		assert_int_equal(out->error_code, ERR_NONE);
		if (v >= 1)
			assert_str(out->error_message, NULL);
		assert_int_equal(out->node_id, API_NODE_ID);
		assert_str(out->host, API_HOST);
		assert_int_equal(out->port, API_PORT);
	}
	for (int16_t v = 4; v <= 6; v++) {
		struct find_coordinator_request *in = api_request(f, &finding);
		API_LIST(f, in->coordinator_keys, 2);
		in->coordinator_keys.at[0] = STR("one");
		in->coordinator_keys.at[1] = STR(""); /* the group API itself refuses it, if it does */
		struct find_coordinator_response *out = api_serve(f, &finding, v, in);
		assert_int_equal(out->coordinators.n, 2);
		assert_str(out->coordinators.at[0].key, "one");
		assert_str(out->coordinators.at[1].key, "");
		for (int i = 0; i < 2; i++) {
			assert_int_equal(out->coordinators.at[i].error_code, ERR_NONE);
			assert_str(out->coordinators.at[i].error_message, NULL);
			assert_int_equal(out->coordinators.at[i].node_id, API_NODE_ID);
			assert_str(out->coordinators.at[i].host, API_HOST);
			assert_int_equal(out->coordinators.at[i].port, API_PORT);
		}
	}
}

static void
coordinates_nothing_else(void **state)
{
	struct api_fixture *f = *state;
	static const struct {
		int8_t type;
		enum err expected;
	} cases[] = { { 1, ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED },
		      { 2, ERR_INVALID_REQUEST },
		      { 3, ERR_INVALID_REQUEST },
		      { -1, ERR_INVALID_REQUEST } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct find_coordinator_request *in = api_request(f, &finding);
		in->key = STR("key");
		in->key_type = cases[i].type;
		API_LIST(f, in->coordinator_keys, 1);
		in->coordinator_keys.at[0] = STR("key");
		struct find_coordinator_response *out = api_serve(f, &finding, 1, in);
		assert_int_equal(out->error_code, cases[i].expected);
		assert_true(out->error_message.n > 0);
		assert_int_equal(out->node_id, -1);
		out = api_serve(f, &finding, 6, in);
		assert_int_equal(out->coordinators.at[0].error_code, cases[i].expected);
		assert_true(out->coordinators.at[0].error_message.n > 0);
		assert_int_equal(out->coordinators.at[0].node_id, -1);
	}
}

/* --- InitProducerId --------------------------------------------------------------------------------------
 */

static struct init_producer_id_request *
idempotent(struct api_fixture *f)
{
	struct init_producer_id_request *in = api_request(f, &producers);
	in->transactional_id = STR_NULL;
	in->transaction_timeout_ms = INT32_MAX;
	return in;
}

static void
gives_each_producer_a_new_id(void **state)
{
	struct api_fixture *f = *state;
	int64_t last = -1;
	for (int16_t v = 0; v <= 5; v++) {
		struct init_producer_id_response *out = api_serve(f, &producers, v, idempotent(f));
		assert_int_equal(f->next, NEXT_PROMISE);
		assert_int_equal(out->error_code, ERR_NONE);
		assert_true(out->producer_id > last);
		assert_int_equal(out->producer_epoch, 0);
		last = out->producer_id;
	}
}

/* KIP-360: a producer that lost its way sends what it is, and goes on as somebody new. */
static void
gives_a_known_producer_a_new_id_too(void **state)
{
	struct api_fixture *f = *state;
	struct init_producer_id_response *had = api_serve(f, &producers, 3, idempotent(f));
	struct init_producer_id_request *in = idempotent(f);
	in->producer_id = had->producer_id;
	in->producer_epoch = had->producer_epoch;
	struct init_producer_id_response *out = api_serve(f, &producers, 3, in);
	assert_int_equal(out->error_code, ERR_NONE);
	assert_true(out->producer_id > had->producer_id);
	assert_int_equal(out->producer_epoch, 0);
}

static void
refuses_half_a_producer(void **state)
{
	struct api_fixture *f = *state;
	struct init_producer_id_request *in = idempotent(f);
	in->producer_id = 4;
	struct init_producer_id_response *out = api_serve(f, &producers, 4, in);
	assert_int_equal(f->next, NEXT_ANSWER);
	assert_int_equal(out->error_code, ERR_INVALID_REQUEST);
	assert_int_equal(out->producer_id, -1);
	assert_int_equal(out->producer_epoch, -1);
	in->producer_id = -1;
	in->producer_epoch = 4;
	out = api_serve(f, &producers, 4, in);
	assert_int_equal(out->error_code, ERR_INVALID_REQUEST);
}

static void
refuses_transactions(void **state)
{
	struct api_fixture *f = *state;
	struct init_producer_id_request *in = idempotent(f);
	in->transactional_id = STR("tx");
	struct init_producer_id_response *out = api_serve(f, &producers, 2, in);
	assert_int_equal(out->error_code, ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
	assert_int_equal(out->producer_id, -1);
	in->transactional_id = STR("");
	out = api_serve(f, &producers, 2, in);
	assert_int_equal(out->error_code, ERR_INVALID_REQUEST);
}

static void
lost_producer_id_is_not_told(void **state)
{
	struct api_fixture *f = *state;
	f->lose_commit = true;
	struct init_producer_id_response *out = api_serve(f, &producers, 5, idempotent(f));
	assert_int_equal(out->error_code, ERR_KAFKA_STORAGE_ERROR);
	assert_int_equal(out->producer_id, -1);
	assert_int_equal(out->producer_epoch, -1);
}

/* --- DescribeCluster -------------------------------------------------------------------------------------
 */

static void
describes_itself(void **state)
{
	struct api_fixture *f = *state;
	for (int16_t v = 0; v <= 2; v++) {
		struct describe_cluster_request *in = api_request(f, &cluster);
		struct describe_cluster_response *out = api_serve(f, &cluster, v, in);
		assert_int_equal(out->error_code, ERR_NONE);
		assert_str(out->error_message, NULL);
		assert_true(str_eq(out->cluster_id, store_cluster_id(f->store)));
		assert_int_equal(out->controller_id, API_NODE_ID);
		assert_int_equal(out->endpoint_type, 1);
		assert_int_equal(out->brokers.n, 1);
		assert_int_equal(out->brokers.at[0].broker_id, API_NODE_ID);
		assert_str(out->brokers.at[0].host, API_HOST);
		assert_int_equal(out->brokers.at[0].port, API_PORT);
		assert_str(out->brokers.at[0].rack, NULL);
		assert_false(out->brokers.at[0].is_fenced);
		assert_int_equal(out->cluster_authorized_operations, INT32_MIN);
		in->include_cluster_authorized_operations = true;
		out = api_serve(f, &cluster, v, in);
		assert_int_equal(out->cluster_authorized_operations, 8096);
	}
}

static void
has_brokers_endpoints_only(void **state)
{
	struct api_fixture *f = *state;
	struct describe_cluster_request *in = api_request(f, &cluster);
	in->endpoint_type = 2;
	struct describe_cluster_response *out = api_serve(f, &cluster, 1, in);
	assert_int_equal(out->error_code, ERR_MISMATCHED_ENDPOINT_TYPE);
	assert_int_equal(out->brokers.n, 0);
	in->endpoint_type = 3;
	out = api_serve(f, &cluster, 1, in);
	assert_int_equal(out->error_code, ERR_UNSUPPORTED_ENDPOINT_TYPE);
	assert_true(out->error_message.n > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tells_what_is_served),         TEST(software_has_to_be_named_well),
		TEST(coordinates_every_group),      TEST(coordinates_nothing_else),
		TEST(gives_each_producer_a_new_id), TEST(gives_a_known_producer_a_new_id_too),
		TEST(refuses_half_a_producer),      TEST(refuses_transactions),
		TEST(lost_producer_id_is_not_told), TEST(describes_itself),
		TEST(has_brokers_endpoints_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
