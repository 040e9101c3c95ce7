#include "tests/lib/test.h"

#include <string.h>

#include "broker/api/handlers.h"
#include "protocol/messages.h"
#include "tests/lib/api_fixture.h"

static const struct handler metadata = API_WRITES(METADATA, metadata);

/* Ask for these names, up to NULL. */
static struct metadata_request *
ask(struct api_fixture *f, const char *const *names)
{
	struct metadata_request *in = api_request(f, &metadata);
	int32_t n = 0;
	while (names[n] != NULL)
		n++;
	API_LIST(f, in->topics, n);
	for (int32_t i = 0; i < n; i++)
		in->topics.at[i].name = str_of(names[i]);
	return in;
}

#define ASK(f, ...) ask((f), (const char *const[]){ __VA_ARGS__, NULL })

static struct metadata_request *
ask_by_id(struct api_fixture *f, struct uuid id)
{
	struct metadata_request *in = api_request(f, &metadata);
	API_LIST(f, in->topics, 1);
	in->topics.at[0].name = STR_NULL;
	in->topics.at[0].topic_id = id;
	return in;
}

static void
tells_of_the_broker(void **state)
{
	struct api_fixture *f = *state;
	for (int16_t v = 0; v <= 13; v++) {
		struct metadata_request *in = api_request(f, &metadata);
		struct metadata_response *out = api_serve(f, &metadata, v, in);
		assert_int_equal(out->brokers.n, 1);
		assert_int_equal(out->brokers.at[0].node_id, API_NODE_ID);
		assert_str(out->brokers.at[0].host, API_HOST);
		assert_int_equal(out->brokers.at[0].port, API_PORT);
		assert_str(out->brokers.at[0].rack, NULL);
		if (v >= 1)
			assert_int_equal(out->controller_id, API_NODE_ID);
		if (v >= 2)
			assert_true(str_eq(out->cluster_id, store_cluster_id(f->store)));
		assert_int_equal(out->cluster_authorized_operations, INT32_MIN);
	}
}

static void
answers_one_topic_in_every_version(void **state)
{
	struct api_fixture *f = *state;
	struct topic made = api_topic(f, "orders", 3);
	for (int16_t v = 0; v <= 13; v++) {
		struct metadata_response *out = api_serve(f, &metadata, v, ASK(f, "orders"));
		assert_int_equal(f->next, NEXT_ANSWER);
		assert_int_equal(out->topics.n, 1);
		const struct metadata_response_topic *topic = &out->topics.at[0];
		assert_int_equal(topic->error_code, ERR_NONE);
		assert_str(topic->name, "orders");
		assert_int_equal(uuid_eq(topic->topic_id, made.id), v >= 10);
		assert_false(topic->is_internal);
		assert_int_equal(topic->topic_authorized_operations, INT32_MIN);
		assert_int_equal(topic->partitions.n, 3);
		for (int32_t i = 0; i < 3; i++) {
			const struct metadata_response_partition *p = &topic->partitions.at[i];
			assert_int_equal(p->error_code, ERR_NONE);
			assert_int_equal(p->partition_index, i);
			assert_int_equal(p->leader_id, API_NODE_ID);
			assert_int_equal(p->leader_epoch, v >= 7 ? 0 : -1);
			assert_int_equal(p->replica_nodes.n, 1);
			assert_int_equal(p->replica_nodes.at[0], API_NODE_ID);
			assert_int_equal(p->isr_nodes.n, 1);
			assert_int_equal(p->offline_replicas.n, 0);
		}
	}
}

/* Rule 18: v0 empty is all; v1+ null is all, empty is none. */
static void
null_and_empty_differ(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "a", 1);
	api_topic(f, "b", 2);
	for (int16_t v = 0; v <= 13; v++) {
		struct metadata_request *in = api_request(f, &metadata);
		struct metadata_response *out = api_serve(f, &metadata, v, in);
		assert_int_equal(out->topics.n, v == 0 ? 2 : 0);
		if (v == 0)
			continue;
		in->topics.n = -1;
		out = api_serve(f, &metadata, v, in);
		assert_int_equal(out->topics.n, 2);
		assert_str(out->topics.at[0].name, "a");
		assert_str(out->topics.at[1].name, "b");
		assert_int_equal(out->topics.at[1].partitions.n, 2);
	}
}

static void
all_topics_when_they_are_many(void **state)
{
	struct api_fixture *f = *state;
	for (int i = 0; i < 100; i++)
		api_topic(f, arena_printf(&f->call.arena, "topic-%02d", i), 1);
	struct metadata_request *in = api_request(f, &metadata);
	in->topics.n = -1;
	struct metadata_response *out = api_serve(f, &metadata, 12, in);
	assert_int_equal(out->topics.n, 100);
	for (int i = 0; i < 100; i++)
		assert_str(out->topics.at[i].name, arena_printf(&f->call.arena, "topic-%02d", i));
}

static void
creates_and_answers_complete(void **state)
{
	struct api_fixture *f = *state;
	f->config.num_partitions = 4;
	struct metadata_response *out = api_serve(f, &metadata, 12, ASK(f, "fresh"));
	assert_int_equal(f->next, NEXT_PROMISE);
	assert_int_equal(out->topics.at[0].error_code, ERR_NONE);
	assert_int_equal(out->topics.at[0].partitions.n, 4);

	struct topic topic;
	assert_true(api_topic_exists(f, "fresh", &topic));
	assert_int_equal(topic.partitions, 4);
	assert_true(uuid_eq(topic.id, out->topics.at[0].topic_id));

	out = api_serve(f, &metadata, 12, ASK(f, "fresh"));
	assert_int_equal(f->next, NEXT_ANSWER);
}

static void
creates_only_if_both_want_it(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic;
	struct metadata_request *in = ASK(f, "absent");
	in->allow_auto_topic_creation = false;
	struct metadata_response *out = api_serve(f, &metadata, 4, in);
	assert_int_equal(f->next, NEXT_ANSWER);
	assert_int_equal(out->topics.at[0].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_str(out->topics.at[0].name, "absent");

	f->config.auto_create_topics = false;
	out = api_serve(f, &metadata, 12, ASK(f, "absent"));
	assert_int_equal(out->topics.at[0].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_true(uuid_is_zero(out->topics.at[0].topic_id));
	assert_false(api_topic_exists(f, "absent", &topic));

	f->config.auto_create_topics = true;
	out = api_serve(f, &metadata, 3, ASK(f, "absent")); /* the flag came with v4; before, always */
	assert_int_equal(out->topics.at[0].error_code, ERR_NONE);
	assert_true(api_topic_exists(f, "absent", &topic));
}

static void
creates_nothing_of_a_bad_or_reserved_name(void **state)
{
	struct api_fixture *f = *state;
	struct topic topic;
	struct metadata_response *out =
	    api_serve(f, &metadata, 9, ASK(f, "no spaces", "", "__consumer_offsets"));
	assert_int_equal(f->next, NEXT_ANSWER);
	assert_int_equal(out->topics.n, 3);
	assert_int_equal(out->topics.at[0].error_code, ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(out->topics.at[1].error_code, ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(out->topics.at[2].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_false(api_topic_exists(f, "__consumer_offsets", &topic));
}

static void
collision_is_told_when_creating(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "a.b", 1);
	struct metadata_response *out = api_serve(f, &metadata, 9, ASK(f, "a_b"));
	assert_int_equal(out->topics.at[0].error_code, ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(out->topics.at[0].partitions.n, 0);
}

static void
lost_commit_takes_back_only_what_was_created(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "old", 2);
	f->lose_commit = true;
	struct metadata_response *out = api_serve(f, &metadata, 12, ASK(f, "old", "new"));
	assert_int_equal(out->topics.n, 2);
	assert_int_equal(out->topics.at[0].error_code, ERR_NONE);
	assert_int_equal(out->topics.at[0].partitions.n, 2);
	assert_int_equal(out->topics.at[1].error_code, ERR_KAFKA_STORAGE_ERROR);
	assert_str(out->topics.at[1].name, "new");
	assert_int_equal(out->topics.at[1].partitions.n, 0);
	assert_true(uuid_is_zero(out->topics.at[1].topic_id));
	assert_int_equal(out->topics.at[1].topic_authorized_operations, INT32_MIN);
}

static void
what_is_named_twice_is_answered_once(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "a", 1);
	struct metadata_response *out = api_serve(f, &metadata, 9, ASK(f, "a", "b", "a", "b"));
	assert_int_equal(out->topics.n, 2);
	assert_str(out->topics.at[0].name, "a");
	assert_str(out->topics.at[1].name, "b");
	assert_int_equal(out->topics.at[1].error_code, ERR_NONE);
}

static void
finds_by_id_from_v12_on(void **state)
{
	struct api_fixture *f = *state;
	struct topic made = api_topic(f, "orders", 2);
	struct metadata_response *out = api_serve(f, &metadata, 12, ask_by_id(f, made.id));
	assert_int_equal(out->topics.at[0].error_code, ERR_NONE);
	assert_str(out->topics.at[0].name, "orders");
	assert_int_equal(out->topics.at[0].partitions.n, 2);

	struct uuid nobody = uuid_random();
	out = api_serve(f, &metadata, 12, ask_by_id(f, nobody));
	assert_int_equal(f->next, NEXT_ANSWER);
	assert_int_equal(out->topics.at[0].error_code, ERR_UNKNOWN_TOPIC_ID);
	assert_str(out->topics.at[0].name, NULL);
	assert_true(uuid_eq(out->topics.at[0].topic_id, nobody));

	for (int16_t v = 10; v <= 11; v++) {
		out = api_serve(f, &metadata, v, ask_by_id(f, made.id));
		assert_int_equal(out->topics.at[0].error_code, ERR_INVALID_REQUEST);
		assert_str(out->topics.at[0].name, "");
	}
}

static void
neither_name_nor_id_is_refused(void **state)
{
	struct api_fixture *f = *state;
	struct uuid none = { 0 };
	struct metadata_response *out = api_serve(f, &metadata, 12, ask_by_id(f, none));
	assert_int_equal(out->topics.at[0].error_code, ERR_INVALID_REQUEST);
}

static void
deleted_and_made_again_has_another_id(void **state)
{
	struct api_fixture *f = *state;
	struct topic old = api_topic(f, "orders", 1);
	struct store_txn *txn;
	uint64_t commit;
	assert_int_equal(store_write(f->store, &txn), ERR_NONE);
	assert_int_equal(topic_delete(txn, &old), ERR_NONE);
	assert_int_equal(store_commit(txn, &commit), ERR_NONE);
	struct topic new = api_topic(f, "orders", 1);
	assert_false(uuid_eq(old.id, new.id));

	struct metadata_response *out = api_serve(f, &metadata, 12, ask_by_id(f, old.id));
	assert_int_equal(out->topics.at[0].error_code, ERR_UNKNOWN_TOPIC_ID);
	out = api_serve(f, &metadata, 12, ask_by_id(f, new.id));
	assert_int_equal(out->topics.at[0].error_code, ERR_NONE);
}

static void
tells_operations_when_asked(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "a", 1);
	struct metadata_request *in = ASK(f, "a");
	in->include_topic_authorized_operations = true;
	in->include_cluster_authorized_operations = true;
	struct metadata_response *out = api_serve(f, &metadata, 8, in);
	assert_int_equal(out->topics.at[0].topic_authorized_operations, 3576);
	assert_int_equal(out->cluster_authorized_operations, 8096);
	in->include_cluster_authorized_operations = false;
	out = api_serve(f, &metadata, 12, in);
	assert_int_equal(out->topics.at[0].topic_authorized_operations, 3576);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tells_of_the_broker),
		TEST(answers_one_topic_in_every_version),
		TEST(null_and_empty_differ),
		TEST(all_topics_when_they_are_many),
		TEST(creates_and_answers_complete),
		TEST(creates_only_if_both_want_it),
		TEST(creates_nothing_of_a_bad_or_reserved_name),
		TEST(collision_is_told_when_creating),
		TEST(lost_commit_takes_back_only_what_was_created),
		TEST(what_is_named_twice_is_answered_once),
		TEST(finds_by_id_from_v12_on),
		TEST(neither_name_nor_id_is_refused),
		TEST(deleted_and_made_again_has_another_id),
		TEST(tells_operations_when_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
