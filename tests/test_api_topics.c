#include "tests/lib/test.h"

#include <string.h>

#include "broker/api/handlers.h"
#include "protocol/messages.h"
#include "tests/lib/api_fixture.h"

/* CreateTopics, DeleteTopics, CreatePartitions. */

static const struct handler creating = API_WRITES(CREATE_TOPICS, create_topics);
static const struct handler deleting = API_WRITES(DELETE_TOPICS, delete_topics);
static const struct handler growing = API_WRITES(CREATE_PARTITIONS, create_partitions);

/* --- CreateTopics ----------------------------------------------------------------------------------------
 */

/* A request for n topics called "t0", "t1" and so on, each with 2 partitions. */
static struct create_topics_request *
create(struct api_fixture *f, int32_t n)
{
	struct create_topics_request *in = api_request(f, &creating);
	API_LIST(f, in->topics, n);
	for (int32_t i = 0; i < n; i++) {
		in->topics.at[i].name = str_of(arena_printf(&f->call.arena, "t%d", i));
		in->topics.at[i].num_partitions = 2;
		in->topics.at[i].replication_factor = 1;
	}
	return in;
}

static void
configure(struct api_fixture *f, struct create_topics_request_topic *topic, const char *key,
	  const char *value)
{
	API_LIST(f, topic->configs, 1);
	topic->configs.at[0].name = str_of(key);
	topic->configs.at[0].value = str_of(value);
}

/* The first topic's error of v7, and that nothing was written. */
static enum err
refusal(struct api_fixture *f, const struct create_topics_request *in)
{
	struct topic topic;
	struct create_topics_response *out = api_serve(f, &creating, 7, in);
	assert_int_equal(f->next, NEXT_ANSWER);
	assert_int_equal(out->topics.n, 1);
	assert_true(out->topics.at[0].error_message.n > 0);
	assert_true(uuid_is_zero(out->topics.at[0].topic_id));
	assert_int_equal(out->topics.at[0].num_partitions, -1);
	assert_int_equal(out->topics.at[0].configs.n, -1);
	assert_false(api_topic_exists(f, "t0", &topic));
	return out->topics.at[0].error_code;
}

static void
creates_in_every_version(void **state)
{
	struct api_fixture *f = *state;
	for (int16_t v = 0; v <= 7; v++) {
		struct topic topic;
		struct create_topics_request *in = create(f, 1);
		char *name = arena_printf(&f->call.arena, "version-%d", v);
		in->topics.at[0].name = str_of(name);
		struct create_topics_response *out = api_serve(f, &creating, v, in);
		assert_int_equal(f->next, NEXT_PROMISE);
		assert_int_equal(out->topics.n, 1);
		assert_int_equal(out->topics.at[0].error_code, ERR_NONE);
		assert_str(out->topics.at[0].name, name);
		if (v >= 1)
			assert_str(out->topics.at[0].error_message, NULL);
		assert_true(api_topic_exists(f, name, &topic));
		assert_int_equal(topic.partitions, 2);
		assert_int_equal(uuid_eq(topic.id, out->topics.at[0].topic_id), v >= 7);
		assert_int_equal(out->topics.at[0].num_partitions, v >= 5 ? 2 : -1);
		assert_int_equal(out->topics.at[0].replication_factor, v >= 5 ? 1 : -1);
	}
}

static void
minus_one_is_the_default(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic;
	f->config.num_partitions = 5;
	struct create_topics_request *in = create(f, 1);
	in->topics.at[0].num_partitions = -1;
	in->topics.at[0].replication_factor = -1;
	struct create_topics_response *out = api_serve(f, &creating, 7, in);
	assert_int_equal(out->topics.at[0].num_partitions, 5);
	assert_true(api_topic_exists(f, "t0", &topic));
	assert_int_equal(topic.partitions, 5);
}

static void
answer_has_the_configuration(void **state)
{
	struct api_fixture *f = *state;
	struct create_topics_request *in = create(f, 1);
	configure(f, &in->topics.at[0], "retention.ms", "1000");
	struct create_topics_response *out = api_serve(f, &creating, 5, in);
	int found = 0;
	for (int32_t i = 0; i < out->topics.at[0].configs.n; i++) {
		const struct create_topics_response_config *c = &out->topics.at[0].configs.at[i];
		assert_false(c->is_sensitive);
		if (str_is(c->name, "retention.ms")) {
			assert_str(c->value, "1000");
			assert_int_equal(c->config_source, CONFIG_SOURCE_TOPIC);
			found++;
		} else if (str_is(c->name, "cleanup.policy")) {
			assert_str(c->value, "delete");
			assert_int_equal(c->config_source, CONFIG_SOURCE_DEFAULT);
			found++;
		}
	}
	assert_int_equal(found, 2);
}

static void
settings_are_kept_the_last_of_each_key(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic;
	struct create_topics_request *in = create(f, 1);
	API_LIST(f, in->topics.at[0].configs, 4);
	const char *const pairs[][2] = {
		{ "retention.ms", "1" },
		{ "segment.bytes", "1048576" }, /* Kafka's, but there are no segments here */
		{ "cleanup.policy", "compact" },
		{ "retention.ms", "2" },
	};
	for (int i = 0; i < 4; i++) {
		in->topics.at[0].configs.at[i].name = str_of(pairs[i][0]);
		in->topics.at[0].configs.at[i].value = str_of(pairs[i][1]);
	}
	struct create_topics_response *out = api_serve(f, &creating, 7, in);
	assert_int_equal(out->topics.at[0].error_code, ERR_NONE);
	assert_true(api_topic_exists(f, "t0", &topic));
	assert_int_equal(topic.setting_n, 3);
	assert_str(topic_setting(&topic, "retention.ms"), "2");
	assert_str(topic_setting(&topic, "segment.bytes"), "1048576");
	assert_str(topic_setting(&topic, "cleanup.policy"), "compact");
}

static void
bad_settings_are_refused(void **state)
{
	struct api_fixture *f = *state;
	const char *const pairs[][2] = {
		{ "retention.ms", "soon" },
		{ "cleanup.policy", "burn" },
		{ "retention.parsecs", "12" },
		{ "retention.ms", NULL },
		{ "", "" },
	};
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct create_topics_request *in = create(f, 1);
		configure(f, &in->topics.at[0], pairs[i][0], pairs[i][1]);
		assert_int_equal(refusal(f, in), ERR_INVALID_CONFIG);
	}
}

static void
bad_numbers_are_refused(void **state)
{
	struct api_fixture *f = *state;
	static const struct {
		int32_t partitions;
		int16_t factor;
		enum err expected;
	} cases[] = {
		{ 0, 1, ERR_INVALID_PARTITIONS },         { -2, 1, ERR_INVALID_PARTITIONS },
		{ 100001, 1, ERR_INVALID_PARTITIONS },    { INT32_MAX, 1, ERR_INVALID_PARTITIONS },
		{ 1, 0, ERR_INVALID_REPLICATION_FACTOR }, { 1, -2, ERR_INVALID_REPLICATION_FACTOR },
		{ 1, 2, ERR_INVALID_REPLICATION_FACTOR }, { 1, 3, ERR_INVALID_REPLICATION_FACTOR },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct create_topics_request *in = create(f, 1);
		in->topics.at[0].num_partitions = cases[i].partitions;
		in->topics.at[0].replication_factor = cases[i].factor;
		assert_int_equal(refusal(f, in), cases[i].expected);
	}
}

static void
bad_names_are_refused(void **state)
{
	struct api_fixture *f = *state;
	char long_name[251];
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[250] = '\0';
	const char *const names[] = { "", ".", "..", "a b", "\xc3\xa9t\xc3\xa9", "a/b", long_name };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct create_topics_request *in = create(f, 1);
		in->topics.at[0].name = str_of(names[i]);
		assert_int_equal(refusal(f, in), ERR_INVALID_TOPIC_EXCEPTION);
	}
	struct create_topics_request *in = create(f, 1);
	in->topics.at[0].name = STR("__cluster_metadata");
	assert_int_equal(refusal(f, in), ERR_INVALID_REQUEST);
}

static void
existing_topic_is_told_before_other_faults(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "orders", 1);
	struct create_topics_request *in = create(f, 1);
	in->topics.at[0].name = STR("orders");
	in->topics.at[0].replication_factor = 3;
	assert_int_equal(refusal(f, in), ERR_TOPIC_ALREADY_EXISTS);
}

static void
colliding_name_is_refused(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "a.b", 1);
	struct create_topics_request *in = create(f, 1);
	in->topics.at[0].name = STR("a_b");
	struct create_topics_response *out = api_serve(f, &creating, 7, in);
	assert_int_equal(out->topics.at[0].error_code, ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(out->topics.at[0].num_partitions, -1);

	in->validate_only = true;
	in->topics.at[0].name = STR("a_b");
	assert_int_equal(refusal(f, in), ERR_INVALID_TOPIC_EXCEPTION);
	in->topics.at[0].name = STR("a.c");
	out = api_serve(f, &creating, 7, in);
	assert_int_equal(out->topics.at[0].error_code, ERR_NONE);
	api_topic(f, "_x", 1);
	in->topics.at[0].name = STR(".x");
	assert_int_equal(refusal(f, in), ERR_INVALID_TOPIC_EXCEPTION);
}

static void
assign(struct api_fixture *f, struct create_topics_request_topic *topic, int32_t n, int32_t broker)
{
	topic->num_partitions = topic->replication_factor = -1;
	API_LIST(f, topic->assignments, n);
	for (int32_t i = 0; i < n; i++) {
		topic->assignments.at[i].partition_index = n - 1 - i; /* the order does not matter */
		API_LIST(f, topic->assignments.at[i].broker_ids, 1);
		topic->assignments.at[i].broker_ids.at[0] = broker;
	}
}

static void
manual_assignment(void **state)
{
	struct api_fixture *f = *state;
	struct create_topics_request *in = create(f, 1);
	assign(f, &in->topics.at[0], 3, 99); /* no such broker */
	assert_int_equal(refusal(f, in), ERR_INVALID_REPLICA_ASSIGNMENT);

	assign(f, &in->topics.at[0], 3, API_NODE_ID);
	in->topics.at[0].assignments.at[0].partition_index = 3; /* 3 1 0 */
	assert_int_equal(refusal(f, in), ERR_INVALID_REPLICA_ASSIGNMENT);
	in->topics.at[0].assignments.at[0].partition_index = 1; /* 1 1 0 */
	assert_int_equal(refusal(f, in), ERR_INVALID_REPLICA_ASSIGNMENT);
	in->topics.at[0].assignments.at[0].partition_index = -1;
	assert_int_equal(refusal(f, in), ERR_INVALID_REPLICA_ASSIGNMENT);

	assign(f, &in->topics.at[0], 3, API_NODE_ID);
	in->topics.at[0].assignments.at[1].broker_ids.n = 0;
	assert_int_equal(refusal(f, in), ERR_INVALID_REPLICA_ASSIGNMENT);

	assign(f, &in->topics.at[0], 3, API_NODE_ID);
	in->topics.at[0].num_partitions = 3;
	assert_int_equal(refusal(f, in), ERR_INVALID_REQUEST);

	assign(f, &in->topics.at[0], 3, API_NODE_ID);
	struct create_topics_response *out = api_serve(f, &creating, 7, in);
	assert_int_equal(out->topics.at[0].error_code, ERR_NONE);
	assert_int_equal(out->topics.at[0].num_partitions, 3);
}

static void
one_fault_does_not_hold_up_the_others(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic;
	struct create_topics_request *in = create(f, 3);
	in->topics.at[1].replication_factor = 3;
	struct create_topics_response *out = api_serve(f, &creating, 7, in);
	assert_int_equal(out->topics.n, 3);
	assert_int_equal(out->topics.at[0].error_code, ERR_NONE);
	assert_int_equal(out->topics.at[1].error_code, ERR_INVALID_REPLICATION_FACTOR);
	assert_int_equal(out->topics.at[2].error_code, ERR_NONE);
	assert_true(api_topic_exists(f, "t0", &topic));
	assert_false(api_topic_exists(f, "t1", &topic));
	assert_true(api_topic_exists(f, "t2", &topic));
}

static void
named_twice_is_refused_once(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic;
	struct create_topics_request *in = create(f, 3);
	in->topics.at[2].name = STR("t0");
	struct create_topics_response *out = api_serve(f, &creating, 7, in);
	assert_int_equal(out->topics.n, 2);
	assert_int_equal(out->topics.at[0].error_code, ERR_INVALID_REQUEST);
	assert_int_equal(out->topics.at[1].error_code, ERR_NONE);
	assert_false(api_topic_exists(f, "t0", &topic));
	assert_true(api_topic_exists(f, "t1", &topic));
}

static void
validate_only_creates_nothing(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic;
	struct create_topics_request *in = create(f, 1);
	in->validate_only = true;
	configure(f, &in->topics.at[0], "retention.ms", "7");
	struct create_topics_response *out = api_serve(f, &creating, 7, in);
	assert_int_equal(f->next, NEXT_ANSWER);
	assert_int_equal(out->topics.at[0].error_code, ERR_NONE);
	assert_int_equal(out->topics.at[0].num_partitions, 2);
	assert_true(out->topics.at[0].configs.n > 1);
	assert_false(api_topic_exists(f, "t0", &topic));

	in->topics.at[0].replication_factor = 3;
	assert_int_equal(refusal(f, in), ERR_INVALID_REPLICATION_FACTOR);
}

static void
one_request_has_its_limits(void **state)
{
	struct api_fixture *f = *state;
	struct create_topics_request *in = create(f, 3);
	in->validate_only = true;
	in->topics.at[0].num_partitions = 60000;
	in->topics.at[1].num_partitions = 60000;
	in->topics.at[2].num_partitions = 40000;
	struct create_topics_response *out = api_serve(f, &creating, 7, in);
	assert_int_equal(out->topics.at[0].error_code, ERR_NONE);
	assert_int_equal(out->topics.at[1].error_code, ERR_POLICY_VIOLATION);
	assert_int_equal(out->topics.at[2].error_code, ERR_NONE);

	in = create(f, 10001);
	in->validate_only = true;
	out = api_serve(f, &creating, 4, in);
	assert_int_equal(out->topics.at[9999].error_code, ERR_NONE);
	assert_int_equal(out->topics.at[10000].error_code, ERR_POLICY_VIOLATION);
}

static void
lost_commit_is_told(void **state)
{
	struct api_fixture *f = *state;
	struct create_topics_request *in = create(f, 2);
	in->topics.at[1].num_partitions = 0;
	f->lose_commit = true;
	struct create_topics_response *out = api_serve(f, &creating, 7, in);
	assert_int_equal(out->topics.at[0].error_code, ERR_KAFKA_STORAGE_ERROR);
	assert_true(uuid_is_zero(out->topics.at[0].topic_id));
	assert_int_equal(out->topics.at[0].num_partitions, -1);
	assert_int_equal(out->topics.at[0].configs.n, -1);
	assert_int_equal(out->topics.at[1].error_code, ERR_INVALID_PARTITIONS);
}

/* --- DeleteTopics ----------------------------------------------------------------------------------------
 */

static struct delete_topics_request *
delete_by_name(struct api_fixture *f, int16_t version, const char *name)
{
	struct delete_topics_request *in = api_request(f, &deleting);
	if (version < 6) {
		API_LIST(f, in->topic_names, 1);
		in->topic_names.at[0] = str_of(name);
	} else {
		API_LIST(f, in->topics, 1);
		in->topics.at[0].name = str_of(name);
	}
	return in;
}

static void
deletes_by_name_in_every_version(void **state)
{
	struct api_fixture *f = *state;
	for (int16_t v = 0; v <= 6; v++) {
		struct topic topic = api_topic(f, "orders", 3), gone;
		struct delete_topics_response *out =
		    api_serve(f, &deleting, v, delete_by_name(f, v, "orders"));
		assert_int_equal(f->next, NEXT_PROMISE);
		assert_int_equal(out->responses.n, 1);
		assert_int_equal(out->responses.at[0].error_code, ERR_NONE);
		assert_str(out->responses.at[0].name, "orders");
		assert_str(out->responses.at[0].error_message, NULL);
		assert_int_equal(uuid_eq(out->responses.at[0].topic_id, topic.id), v >= 6);
		assert_false(api_topic_exists(f, "orders", &gone));
	}
}

/* Fetches that wait for the topic have to be woken. */
static void
deleting_touches_each_partition(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic = api_topic(f, "orders", 3);
	api_serve(f, &deleting, 4, delete_by_name(f, 4, "orders"));
	assert_true(f->clean); /* and its rows are to be freed soon */
	assert_int_equal(f->touched_n, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(f->touched[i].topic, topic.number);
		assert_int_equal(f->touched[i].partition, i);
	}
}

static void
deletes_by_id(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic = api_topic(f, "orders", 1), gone;
	struct delete_topics_request *in = api_request(f, &deleting);
	API_LIST(f, in->topics, 2);
	in->topics.at[0].name = STR_NULL;
	in->topics.at[0].topic_id = topic.id;
	in->topics.at[1].name = STR_NULL;
	in->topics.at[1].topic_id = uuid_random();
	struct delete_topics_response *out = api_serve(f, &deleting, 6, in);
	assert_int_equal(out->responses.at[0].error_code, ERR_NONE);
	assert_str(out->responses.at[0].name, "orders");
	assert_int_equal(out->responses.at[1].error_code, ERR_UNKNOWN_TOPIC_ID);
	assert_str(out->responses.at[1].name, NULL);
	assert_true(out->responses.at[1].error_message.n > 0);
	assert_true(uuid_eq(out->responses.at[1].topic_id, in->topics.at[1].topic_id));
	assert_false(api_topic_exists(f, "orders", &gone));
}

static void
deleting_needs_either_name_or_id(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic = api_topic(f, "orders", 1);
	struct delete_topics_request *in = api_request(f, &deleting);
	API_LIST(f, in->topics, 2);
	in->topics.at[0].name = STR("orders");
	in->topics.at[0].topic_id = topic.id;
	in->topics.at[1].name = STR_NULL;
	struct delete_topics_response *out = api_serve(f, &deleting, 6, in);
	assert_int_equal(f->next, NEXT_ANSWER);
	assert_int_equal(out->responses.at[0].error_code, ERR_INVALID_REQUEST);
	assert_int_equal(out->responses.at[1].error_code, ERR_INVALID_REQUEST);
	assert_true(api_topic_exists(f, "orders", &topic));
}

static void
deleting_what_is_not_there(void **state)
{
	struct api_fixture *f = *state;
	struct delete_topics_response *out = api_serve(f, &deleting, 5, delete_by_name(f, 5, "nothing"));
	assert_int_equal(f->next, NEXT_ANSWER);
	assert_int_equal(out->responses.at[0].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

static void
deleting_twice_in_one_request(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic = api_topic(f, "orders", 1);
	struct delete_topics_request *in = api_request(f, &deleting);
	API_LIST(f, in->topic_names, 2);
	in->topic_names.at[0] = in->topic_names.at[1] = STR("orders");
	struct delete_topics_response *out = api_serve(f, &deleting, 3, in);
	assert_int_equal(out->responses.n, 1);
	assert_int_equal(out->responses.at[0].error_code, ERR_INVALID_REQUEST);
	assert_true(api_topic_exists(f, "orders", &topic));

	/* By name and by id: the second time there is nothing left to delete. */
	in = api_request(f, &deleting);
	API_LIST(f, in->topics, 2);
	in->topics.at[0].name = STR("orders");
	in->topics.at[1].name = STR_NULL;
	in->topics.at[1].topic_id = topic.id;
	out = api_serve(f, &deleting, 6, in);
	assert_int_equal(out->responses.at[0].error_code, ERR_NONE);
	assert_int_equal(out->responses.at[1].error_code, ERR_UNKNOWN_TOPIC_ID);
}

static void
deleting_can_be_switched_off(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic = api_topic(f, "orders", 1);
	f->config.delete_topics = false;
	struct delete_topics_response *out = api_serve(f, &deleting, 2, delete_by_name(f, 2, "orders"));
	assert_int_equal(out->responses.at[0].error_code, ERR_INVALID_REQUEST);
	out = api_serve(f, &deleting, 3, delete_by_name(f, 3, "orders"));
	assert_int_equal(out->responses.at[0].error_code, ERR_TOPIC_DELETION_DISABLED);
	assert_true(api_topic_exists(f, "orders", &topic));
}

static void
lost_deletion_is_told(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic = api_topic(f, "orders", 1);
	f->lose_commit = true;
	struct delete_topics_response *out = api_serve(f, &deleting, 6, delete_by_name(f, 6, "orders"));
	assert_int_equal(out->responses.at[0].error_code, ERR_KAFKA_STORAGE_ERROR);
	assert_str(out->responses.at[0].name, "orders");
	assert_true(api_topic_exists(f, "orders", &topic));
}

/* --- CreatePartitions ------------------------------------------------------------------------------------
 */

static struct create_partitions_request *
grow(struct api_fixture *f, const char *name, int32_t count)
{
	struct create_partitions_request *in = api_request(f, &growing);
	API_LIST(f, in->topics, 1);
	in->topics.at[0].name = str_of(name);
	in->topics.at[0].count = count;
	in->topics.at[0].assignments.n = -1;
	return in;
}

static void
grows_in_every_version(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic = api_topic(f, "orders", 1);
	for (int16_t v = 0; v <= 3; v++) {
		struct create_partitions_response *out = api_serve(f, &growing, v, grow(f, "orders", v + 2));
		assert_int_equal(f->next, NEXT_PROMISE);
		assert_int_equal(out->results.n, 1);
		assert_int_equal(out->results.at[0].error_code, ERR_NONE);
		assert_str(out->results.at[0].error_message, NULL);
		assert_true(api_topic_exists(f, "orders", &topic));
		assert_int_equal(topic.partitions, v + 2);
	}
}

static void
growing_has_to_grow(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic = api_topic(f, "orders", 4);
	const int32_t counts[] = { 4, 3, 0, -1, 100001 };
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct create_partitions_response *out =
		    api_serve(f, &growing, 3, grow(f, "orders", counts[i]));
		assert_int_equal(f->next, NEXT_ANSWER);
		assert_int_equal(out->results.at[0].error_code, ERR_INVALID_PARTITIONS);
		assert_true(out->results.at[0].error_message.n > 0);
	}
	struct create_partitions_response *out = api_serve(f, &growing, 3, grow(f, "nothing", 2));
	assert_int_equal(out->results.at[0].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_true(api_topic_exists(f, "orders", &topic));
	assert_int_equal(topic.partitions, 4);
}

static void
growing_by_assignment(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic = api_topic(f, "orders", 1);
	struct create_partitions_request *in = grow(f, "orders", 3);
	API_LIST(f, in->topics.at[0].assignments, 1);
	API_LIST(f, in->topics.at[0].assignments.at[0].broker_ids, 1);
	in->topics.at[0].assignments.at[0].broker_ids.at[0] = API_NODE_ID;
	struct create_partitions_response *out = api_serve(f, &growing, 1, in);
	assert_int_equal(out->results.at[0].error_code, ERR_INVALID_REPLICA_ASSIGNMENT);

	API_LIST(f, in->topics.at[0].assignments, 2); /* one too many */
	for (int i = 0; i < 2; i++) {
		API_LIST(f, in->topics.at[0].assignments.at[i].broker_ids, 1);
		in->topics.at[0].assignments.at[i].broker_ids.at[0] = API_NODE_ID;
	}
	in->topics.at[0].count = 2;
	out = api_serve(f, &growing, 1, in);
	assert_int_equal(out->results.at[0].error_code, ERR_INVALID_REPLICA_ASSIGNMENT);

	in->topics.at[0].assignments.n = 1;
	in->topics.at[0].assignments.at[0].broker_ids.at[0] = API_NODE_ID + 1;
	out = api_serve(f, &growing, 1, in);
	assert_int_equal(out->results.at[0].error_code, ERR_INVALID_REPLICA_ASSIGNMENT);

	in->topics.at[0].assignments.at[0].broker_ids.at[0] = API_NODE_ID;
	out = api_serve(f, &growing, 1, in);
	assert_int_equal(out->results.at[0].error_code, ERR_NONE);
	assert_true(api_topic_exists(f, "orders", &topic));
	assert_int_equal(topic.partitions, 2);
}

static void
growing_validate_only_and_lost_commit(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic = api_topic(f, "orders", 1);
	struct create_partitions_request *in = grow(f, "orders", 3);
	in->validate_only = true;
	struct create_partitions_response *out = api_serve(f, &growing, 3, in);
	assert_int_equal(f->next, NEXT_ANSWER);
	assert_int_equal(out->results.at[0].error_code, ERR_NONE);

	in->validate_only = false;
	f->lose_commit = true;
	out = api_serve(f, &growing, 3, in);
	assert_int_equal(out->results.at[0].error_code, ERR_KAFKA_STORAGE_ERROR);
	assert_true(api_topic_exists(f, "orders", &topic));
	assert_int_equal(topic.partitions, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(creates_in_every_version),
		TEST(minus_one_is_the_default),
		TEST(answer_has_the_configuration),
		TEST(settings_are_kept_the_last_of_each_key),
		TEST(bad_settings_are_refused),
		TEST(bad_numbers_are_refused),
		TEST(bad_names_are_refused),
		TEST(existing_topic_is_told_before_other_faults),
		TEST(colliding_name_is_refused),
		TEST(manual_assignment),
		TEST(one_fault_does_not_hold_up_the_others),
		TEST(named_twice_is_refused_once),
		TEST(validate_only_creates_nothing),
		TEST(one_request_has_its_limits),
		TEST(lost_commit_is_told),
		TEST(deletes_by_name_in_every_version),
		TEST(deleting_touches_each_partition),
		TEST(deletes_by_id),
		TEST(deleting_needs_either_name_or_id),
		TEST(deleting_what_is_not_there),
		TEST(deleting_twice_in_one_request),
		TEST(deleting_can_be_switched_off),
		TEST(lost_deletion_is_told),
		TEST(grows_in_every_version),
		TEST(growing_has_to_grow),
		TEST(growing_by_assignment),
		TEST(growing_validate_only_and_lost_commit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
