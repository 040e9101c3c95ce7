#include "tests/lib/test.h"

#include "broker/api/handlers.h"
#include "protocol/messages.h"
#include "tests/lib/api_fixture.h"

/* DescribeConfigs, DescribeTopicPartitions. */

static const struct handler configs = API_READS(DESCRIBE_CONFIGS, describe_configs);
static const struct handler pages = API_READS(DESCRIBE_TOPIC_PARTITIONS, describe_topic_partitions);

enum { TOPIC = 2, BROKER = 4, BROKER_LOGGER = 8 };

/* --- DescribeConfigs -------------------------------------------------------------------------------------
 */

static struct describe_configs_request *
ask(struct api_fixture *f, int8_t type, const char *name)
{
	struct describe_configs_request *in = api_request(f, &configs);
	API_LIST(f, in->resources, 1);
	in->resources.at[0].resource_type = type;
	in->resources.at[0].resource_name = str_of(name);
	in->resources.at[0].configuration_keys.n = -1;
	return in;
}

static const struct describe_configs_response_result *
serve(struct api_fixture *f, int16_t version, const struct describe_configs_request *in)
{
	struct describe_configs_response *out = api_serve(f, &configs, version, in);
	assert_int_equal(f->next, NEXT_ANSWER);
	assert_int_equal(out->results.n, 1);
	assert_int_equal(out->results.at[0].resource_type, in->resources.at[0].resource_type);
	assert_true(str_eq(out->results.at[0].resource_name, in->resources.at[0].resource_name));
	return &out->results.at[0];
}

static const struct describe_configs_response_config *
find(const struct describe_configs_response_result *result, const char *name)
{
	for (int32_t i = 0; i < result->configs.n; i++)
		if (str_is(result->configs.at[i].name, name))
			return &result->configs.at[i];
	return NULL;
}

static void
describes_a_topic_in_every_version(void **state)
{
	struct api_fixture *f = *state;
	api_topic_with(f, "orders", 1, "retention.ms", "1234");
	for (int16_t v = 0; v <= 4; v++) {
		const struct describe_configs_response_result *result = serve(f, v, ask(f, TOPIC, "orders"));
		assert_int_equal(result->error_code, ERR_NONE);
		assert_str(result->error_message, NULL);
		const struct describe_configs_response_config *own = find(result, "retention.ms");
		const struct describe_configs_response_config *inherited = find(result, "max.message.bytes");
		assert_non_null(own);
		assert_non_null(inherited);
		assert_str(own->value, "1234");
		assert_str(inherited->value, "1048588");
		assert_false(own->read_only);
		assert_false(own->is_sensitive);
		assert_false(own->is_default);
		assert_int_equal(inherited->is_default, v == 0);
		assert_int_equal(own->config_source, v >= 1 ? CONFIG_SOURCE_TOPIC : -1);
		assert_int_equal(inherited->config_source, v >= 1 ? CONFIG_SOURCE_DEFAULT : -1);
		assert_int_equal(own->config_type, v >= 3 ? 5 : 0);
		assert_int_equal(inherited->config_type, v >= 3 ? 3 : 0);
		assert_int_equal(own->synonyms.n, 0);
		if (v >= 3)
			assert_str(own->documentation, NULL);
	}
}

static void
tells_synonyms_and_documentation_when_asked(void **state)
{
	struct api_fixture *f = *state;
	api_topic_with(f, "orders", 1, "retention.ms", "1234");
	struct describe_configs_request *in = ask(f, TOPIC, "orders");
	in->include_synonyms = true;
	in->include_documentation = true;
	const struct describe_configs_response_config *c = find(serve(f, 4, in), "retention.ms");
	assert_true(c->documentation.n > 0);
	assert_true(c->synonyms.n >= 2);
	assert_str(c->synonyms.at[0].name, "retention.ms");
	assert_str(c->synonyms.at[0].value, "1234");
	assert_int_equal(c->synonyms.at[0].source, CONFIG_SOURCE_TOPIC);
	assert_str(c->synonyms.at[c->synonyms.n - 1].name, "log.retention.hours");
	assert_str(c->synonyms.at[c->synonyms.n - 1].value, "168");
	assert_int_equal(c->synonyms.at[c->synonyms.n - 1].source, CONFIG_SOURCE_DEFAULT);
}

static void
broker_setting_shows_in_the_topic(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "orders", 1);
	assert_true(config_set(&f->config, "-o", "log.retention.hours", "1"));
	assert_true(config_resolve(&f->config));
	const struct describe_configs_response_config *c =
	    find(serve(f, 4, ask(f, TOPIC, "orders")), "retention.ms");
	assert_str(c->value, "3600000");
	assert_int_equal(c->config_source, CONFIG_SOURCE_STATIC);
}

static void
setting_without_effect_is_shown_as_set(void **state)
{
	struct api_fixture *f = *state;
	api_topic_with(f, "orders", 1, "segment.bytes", "1048576");
	struct describe_configs_request *in = ask(f, TOPIC, "orders");
	in->include_synonyms = true;
	const struct describe_configs_response_config *c = find(serve(f, 4, in), "segment.bytes");
	assert_non_null(c);
	assert_str(c->value, "1048576");
	assert_int_equal(c->config_source, CONFIG_SOURCE_TOPIC);
	assert_int_equal(c->synonyms.n, 1);
}

static void
filters_by_key(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "orders", 1);
	struct describe_configs_request *in = ask(f, TOPIC, "orders");
	API_LIST(f, in->resources.at[0].configuration_keys, 2);
	in->resources.at[0].configuration_keys.at[0] = STR("cleanup.policy");
	in->resources.at[0].configuration_keys.at[1] = STR("no.such.option");
	const struct describe_configs_response_result *result = serve(f, 2, in);
	assert_int_equal(result->configs.n, 1);
	assert_str(result->configs.at[0].name, "cleanup.policy");
	in->resources.at[0].configuration_keys.n = 0; /* as null */
	assert_true(serve(f, 2, in)->configs.n > 1);
}

static void
topics_that_cannot_be_described(void **state)
{
	struct api_fixture *f = *state;
	const struct describe_configs_response_result *result = serve(f, 4, ask(f, TOPIC, "nothing"));
	assert_int_equal(result->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(result->configs.n, 0);
	result = serve(f, 4, ask(f, TOPIC, "no topic"));
	assert_int_equal(result->error_code, ERR_INVALID_TOPIC_EXCEPTION);
	assert_true(result->error_message.n > 0);
}

static void
describes_the_broker(void **state)
{
	struct api_fixture *f = *state;
	assert_true(config_set(&f->config, "-o", "num.partitions", "3"));
	assert_true(config_resolve(&f->config));
	const struct describe_configs_response_result *result = serve(f, 4, ask(f, BROKER, "7"));
	assert_int_equal(result->error_code, ERR_NONE);
	const struct describe_configs_response_config *set = find(result, "num.partitions");
	assert_str(set->value, "3");
	assert_true(set->read_only);
	assert_int_equal(set->config_source, CONFIG_SOURCE_STATIC);
	const struct describe_configs_response_config *standard = find(result, "message.max.bytes");
	assert_str(standard->value, "1048588");
	assert_int_equal(standard->config_source, CONFIG_SOURCE_DEFAULT);
	assert_null(find(result, "retention.ms")); /* a topic's */

	result = serve(f, 4, ask(f, BROKER, "")); /* what was set for all brokers while they ran */
	assert_int_equal(result->error_code, ERR_NONE);
	assert_int_equal(result->configs.n, 0);
	assert_int_equal(serve(f, 4, ask(f, BROKER, "8"))->error_code, ERR_INVALID_REQUEST);
	assert_int_equal(serve(f, 4, ask(f, BROKER, "self"))->error_code, ERR_INVALID_REQUEST);
	assert_int_equal(serve(f, 4, ask(f, BROKER_LOGGER, "7"))->error_code, ERR_INVALID_REQUEST);
	assert_int_equal(serve(f, 4, ask(f, 0, ""))->error_code, ERR_INVALID_REQUEST);
}

static void
same_resource_twice_is_described_once(void **state)
{
	struct api_fixture *f = *state;
	struct describe_configs_request *in = api_request(f, &configs);
	API_LIST(f, in->resources, 3);
	for (int i = 0; i < 3; i++) {
		in->resources.at[i].resource_type = i == 1 ? TOPIC : BROKER;
		in->resources.at[i].resource_name = STR("7");
		in->resources.at[i].configuration_keys.n = -1;
	}
	struct describe_configs_response *out = api_serve(f, &configs, 4, in);
	assert_int_equal(out->results.n, 2);
	assert_int_equal(out->results.at[0].error_code, ERR_NONE);
	assert_int_equal(out->results.at[1].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

/* --- DescribeTopicPartitions -----------------------------------------------------------------------------
 */

static struct describe_topic_partitions_request *
page(struct api_fixture *f, int32_t limit)
{
	struct describe_topic_partitions_request *in = api_request(f, &pages);
	in->response_partition_limit = limit;
	return in;
}

static void
name_topics(struct api_fixture *f, struct describe_topic_partitions_request *in, const char *a, const char *b)
{
	API_LIST(f, in->topics, 2);
	in->topics.at[0].name = str_of(a);
	in->topics.at[1].name = str_of(b);
}

static void
set_cursor(struct api_fixture *f, struct describe_topic_partitions_request *in, const char *topic,
	   int32_t partition)
{
	in->cursor = arena_alloc(&f->call.arena, sizeof(*in->cursor));
	in->cursor->topic_name = str_of(topic);
	in->cursor->partition_index = partition;
}

static void
describes_all_topics(void **state)
{
	struct api_fixture *f = *state;
	struct topic b = api_topic(f, "b", 2);
	api_topic(f, "a", 1);
	struct describe_topic_partitions_response *out = api_serve(f, &pages, 0, page(f, 2000));
	assert_null(out->next_cursor);
	assert_int_equal(out->topics.n, 2);
	assert_str(out->topics.at[0].name, "a");
	assert_str(out->topics.at[1].name, "b");
	assert_true(uuid_eq(out->topics.at[1].topic_id, b.id));
	assert_int_equal(out->topics.at[1].error_code, ERR_NONE);
	assert_int_equal(out->topics.at[1].partitions.n, 2);
	const struct describe_topic_partitions_response_partition *p = &out->topics.at[1].partitions.at[1];
	assert_int_equal(p->partition_index, 1);
	assert_int_equal(p->leader_id, API_NODE_ID);
	assert_int_equal(p->leader_epoch, 0);
	assert_int_equal(p->replica_nodes.at[0], API_NODE_ID);
	assert_int_equal(p->isr_nodes.at[0], API_NODE_ID);
	assert_int_equal(p->offline_replicas.n, 0);
}

/* Every limit gives the same partitions in the end, none twice, none left out, in pages that are full. */
static void
pages_add_up(void **state)
{
	struct api_fixture *f = *state;
	const char *const names[] = { "a", "b", "c" };
	const int32_t sizes[] = { 3, 1, 4 };
	for (int i = 0; i < 3; i++)
		api_topic(f, names[i], sizes[i]);

	for (int32_t limit = 1; limit <= 9; limit++) {
		int32_t seen[3] = { 0 }, total = 0;
		struct describe_topic_partitions_request *in = page(f, limit);
		for (;;) {
			struct describe_topic_partitions_response *out = api_serve(f, &pages, 0, in);
			int32_t here = 0;
			for (int32_t t = 0; t < out->topics.n; t++) {
				int which = out->topics.at[t].name.at[0] - 'a';
				assert_int_equal(out->topics.at[t].error_code, ERR_NONE);
				assert_true(out->topics.at[t].partitions.n > 0);
				for (int32_t i = 0; i < out->topics.at[t].partitions.n; i++, here++)
					assert_int_equal(out->topics.at[t].partitions.at[i].partition_index,
							 seen[which]++);
			}
			total += here;
			if (out->next_cursor == NULL)
				break;
			assert_int_equal(here, limit);
			in = page(f, limit);
			set_cursor(f, in, str_c(&f->call.arena, out->next_cursor->topic_name),
				   out->next_cursor->partition_index);
		}
		assert_int_equal(total, 8);
		for (int i = 0; i < 3; i++)
			assert_int_equal(seen[i], sizes[i]);
	}
}

static void
limit_has_limits(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "wide", 2500);
	struct describe_topic_partitions_response *out = api_serve(f, &pages, 0, page(f, INT32_MAX));
	assert_int_equal(out->topics.at[0].partitions.n, 2000);
	assert_str(out->next_cursor->topic_name, "wide");
	assert_int_equal(out->next_cursor->partition_index, 2000);
	for (int32_t limit = -1; limit <= 1; limit++) {
		out = api_serve(f, &pages, 0, page(f, limit));
		assert_int_equal(out->topics.at[0].partitions.n, 1);
		assert_int_equal(out->next_cursor->partition_index, 1);
	}
}

static void
describes_named_topics_sorted_once_each(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "a", 1);
	api_topic(f, "b", 1);
	api_topic(f, "c", 1);
	struct describe_topic_partitions_request *in = page(f, 10);
	name_topics(f, in, "c", "a");
	struct describe_topic_partitions_response *out = api_serve(f, &pages, 0, in);
	assert_int_equal(out->topics.n, 2);
	assert_str(out->topics.at[0].name, "a");
	assert_str(out->topics.at[1].name, "c");
	name_topics(f, in, "b", "b");
	assert_int_equal(((struct describe_topic_partitions_response *)api_serve(f, &pages, 0, in))->topics.n,
			 1);

	name_topics(f, in, "nothing", "no topic");
	out = api_serve(f, &pages, 0, in);
	assert_int_equal(out->topics.at[0].error_code, ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(out->topics.at[1].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_str(out->topics.at[1].name, "nothing");
}

static void
cursor_goes_on_behind_a_topic_that_is_gone(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "a", 1);
	api_topic(f, "c", 2);
	struct describe_topic_partitions_request *in = page(f, 10);
	set_cursor(f, in, "b", 1);
	struct describe_topic_partitions_response *out = api_serve(f, &pages, 0, in);
	assert_int_equal(out->topics.n, 1);
	assert_str(out->topics.at[0].name, "c");
	assert_int_equal(out->topics.at[0].partitions.n, 2);

	set_cursor(f, in, "c", 5); /* past its end */
	out = api_serve(f, &pages, 0, in);
	assert_int_equal(out->topics.n, 1);
	assert_int_equal(out->topics.at[0].partitions.n, 0);
	assert_null(out->next_cursor);
}

static void
cursor_has_to_fit(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "a", 1);
	api_topic(f, "b", 1);
	struct describe_topic_partitions_request *in = page(f, 10);
	name_topics(f, in, "a", "b");
	set_cursor(f, in, "aa", 0); /* not in the list */
	struct describe_topic_partitions_response *out = api_serve(f, &pages, 0, in);
	assert_int_equal(out->topics.n, 2);
	assert_int_equal(out->topics.at[0].error_code, ERR_INVALID_REQUEST);
	set_cursor(f, in, "b", 0);
	out = api_serve(f, &pages, 0, in);
	assert_int_equal(out->topics.n, 1);
	assert_str(out->topics.at[0].name, "b");
	set_cursor(f, in, "b", -1);
	out = api_serve(f, &pages, 0, in);
	assert_int_equal(out->topics.at[1].error_code, ERR_INVALID_REQUEST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(describes_a_topic_in_every_version),
		TEST(tells_synonyms_and_documentation_when_asked),
		TEST(broker_setting_shows_in_the_topic),
		TEST(setting_without_effect_is_shown_as_set),
		TEST(filters_by_key),
		TEST(topics_that_cannot_be_described),
		TEST(describes_the_broker),
		TEST(same_resource_twice_is_described_once),
		TEST(describes_all_topics),
		TEST(pages_add_up),
		TEST(limit_has_limits),
		TEST(describes_named_topics_sorted_once_each),
		TEST(cursor_goes_on_behind_a_topic_that_is_gone),
		TEST(cursor_has_to_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
