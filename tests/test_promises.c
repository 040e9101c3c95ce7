/*
 * What clients are told is so: durable before it is promised, visible only once it is durable, and not
 * told at all where the commit fails. Workers in this process (tests/lib/workers.h); the test is the
 * checkpointer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/dispatch.h"
#include "storage/env.h"
#include "tests/lib/fault.h"
#include "tests/lib/members.h"
#include "tests/lib/test.h"

static struct workers *ws;
static struct client c;

static int
setup(void **state)
{
	(void)state;
	ws = workers_begin(1);
	c = workers_connect(ws, 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	client_close(&c);
	workers_end(ws);
	return 0;
}

#define assert_err(got, e) assert_string_equal(err_name(got), err_name(e))

/* --- requests: each is sent, and what a good answer to it is ----------------------------------- */

static void
send_produce(int16_t acks)
{
	client_send_produce(&c, "t", 0, acks, client_batch(&c.arena, 1, 10));
}

static struct produce_response_partition_response *
receive_produce(void)
{
	const struct produce_response *out = workers_receive(ws, &c);
	return &out->responses.at[0].partition_responses.at[0];
}

static void
send_produce_all(void)
{
	send_produce(-1);
}

static enum err
produced(const void *answer)
{
	const struct produce_response *out = answer;
	return out->responses.at[0].partition_responses.at[0].error_code;
}

static void
send_create_topic(const char *name)
{
	struct create_topics_request_topic topic;
	struct create_topics_request in;
	message_defaults(&create_topics_request_topic_message, &topic);
	message_defaults(&create_topics_request_message, &in);
	topic.name = str_of(name);
	topic.num_partitions = 2;
	topic.replication_factor = 1;
	in.topics.at = &topic;
	in.topics.n = 1;
	client_send(&c, API_CREATE_TOPICS, 5, &in);
}

static void
send_create_topics(void)
{
	send_create_topic("new");
}

static enum err
created(const void *answer)
{
	return ((const struct create_topics_response *)answer)->topics.at[0].error_code;
}

static void
send_create_partitions(void)
{
	struct create_partitions_request_topic topic = { .name = STR("t"), .count = 5 };
	struct create_partitions_request in = { .topics = { &topic, 1 }, .timeout_ms = 1000 };
	topic.assignments.n = -1;
	client_send(&c, API_CREATE_PARTITIONS, 2, &in);
}

static enum err
grown(const void *answer)
{
	return ((const struct create_partitions_response *)answer)->results.at[0].error_code;
}

static void
send_delete_topics(void)
{
	struct str name = STR("t");
	struct delete_topics_request in = { .topic_names = { &name, 1 }, .timeout_ms = 1000 };
	client_send(&c, API_DELETE_TOPICS, 4, &in);
}

static enum err
deleted(const void *answer)
{
	return ((const struct delete_topics_response *)answer)->responses.at[0].error_code;
}

static void
send_metadata(void)
{
	struct metadata_request_topic topic = { .name = STR("asked-for") };
	struct metadata_request in;
	message_defaults(&metadata_request_message, &in);
	in.topics.at = &topic;
	in.topics.n = 1;
	client_send(&c, API_METADATA, 9, &in);
}

static enum err
described(const void *answer)
{
	return ((const struct metadata_response *)answer)->topics.at[0].error_code;
}

static void
send_init_producer_id(void)
{
	struct init_producer_id_request in;
	message_defaults(&init_producer_id_request_message, &in);
	in.transactional_id = STR_NULL;
	client_send(&c, API_INIT_PRODUCER_ID, 3, &in);
}

static enum err
identified(const void *answer)
{
	return ((const struct init_producer_id_response *)answer)->error_code;
}

static void
send_offset_commit(void)
{
	struct offset_commit_request_partition partition = { .committed_offset = 7,
							     .committed_metadata = STR("") };
	struct offset_commit_request_topic topic = { .name = STR("t"), .partitions = { &partition, 1 } };
	struct offset_commit_request in;
	message_defaults(&offset_commit_request_message, &in);
	in.group_id = STR("g");
	in.member_id = STR("");
	in.topics.at = &topic;
	in.topics.n = 1;
	client_send(&c, API_OFFSET_COMMIT, 3, &in);
}

static enum err
committed(const void *answer)
{
	return ((const struct offset_commit_response *)answer)->topics.at[0].partitions.at[0].error_code;
}

/* What it tells was committed a moment ago, and is not durable yet. */
static void
send_offset_fetch(void)
{
	int32_t partition = 0;
	struct offset_fetch_request_topic topic = { .name = STR("t"),
						    .partition_indexes = { &partition, 1 } };
	struct offset_fetch_request in = { .group_id = STR("g"), .topics = { &topic, 1 } };
	send_produce(1);
	assert_err(receive_produce()->error_code, ERR_NONE);
	client_send(&c, API_OFFSET_FETCH, 5, &in);
}

static enum err
fetched(const void *answer)
{
	const struct offset_fetch_response *out = answer;
	assert_true(out->topics.at[0].partitions.at[0].committed_offset == 3);
	return out->topics.at[0].partitions.at[0].error_code;
}

static void
send_offset_delete(void)
{
	struct offset_delete_request_partition partition = { 0 };
	struct offset_delete_request_topic topic = { .name = STR("t"), .partitions = { &partition, 1 } };
	struct offset_delete_request in = { .group_id = STR("g"), .topics = { &topic, 1 } };
	client_send(&c, API_OFFSET_DELETE, 0, &in);
}

static enum err
offset_deleted(const void *answer)
{
	const struct offset_delete_response *out = answer;
	return out->error_code != ERR_NONE ? out->error_code : out->topics.at[0].partitions.at[0].error_code;
}

static void
send_delete_groups(void)
{
	struct str group = STR("g");
	struct delete_groups_request in = { .groups_names = { &group, 1 } };
	client_send(&c, API_DELETE_GROUPS, 1, &in);
}

static enum err
group_deleted(const void *answer)
{
	return ((const struct delete_groups_response *)answer)->results.at[0].error_code;
}

/* The end of what was acknowledged with acks=1 a moment ago. */
static void
send_list_offsets(void)
{
	struct list_offsets_request_partition partition;
	message_defaults(&list_offsets_request_partition_message, &partition);
	partition.timestamp = -1;
	struct list_offsets_request_topic topic = { .name = STR("t"), .partitions = { &partition, 1 } };
	struct list_offsets_request in = { .replica_id = -1, .topics = { &topic, 1 } };
	send_produce(1);
	assert_err(receive_produce()->error_code, ERR_NONE);
	client_send(&c, API_LIST_OFFSETS, 5, &in);
}

static enum err
located(const void *answer)
{
	const struct list_offsets_response *out = answer;
	assert_int_equal(out->topics.at[0].partitions.at[0].offset, 1);
	return out->topics.at[0].partitions.at[0].error_code;
}

static void
send_join_group(void)
{
	member_send_join(&c, (struct member){ .group = "members" });
}

static enum err
joined(const void *answer)
{
	return ((const struct join_group_response *)answer)->error_code;
}

static const struct {
	const char *name;
	void (*send)(void);
	enum err (*error)(const void *answer);
	bool writes; /* and so may fail to */
} promises[] = {
	{ "Produce, acks=all", send_produce_all, produced, true },
	{ "CreateTopics", send_create_topics, created, true },
	{ "CreatePartitions", send_create_partitions, grown, true },
	{ "DeleteTopics", send_delete_topics, deleted, true },
	{ "Metadata of a topic that comes to be", send_metadata, described, true },
	{ "InitProducerId", send_init_producer_id, identified, true },
	{ "OffsetCommit", send_offset_commit, committed, true },
	{ "OffsetFetch", send_offset_fetch, fetched, false },
	{ "OffsetDelete", send_offset_delete, offset_deleted, true },
	{ "DeleteGroups", send_delete_groups, group_deleted, true },
	{ "ListOffsets, latest", send_list_offsets, located, false },
	{ "JoinGroup", send_join_group, joined, true },
};

/* A topic "t", and a group "g" that has committed 3. */
static void
prepare(void)
{
	struct topic t = fixture_topic(&ws->store, "t", 2);
	struct store_txn *txn = fixture_write(&ws->store);
	uint32_t group;
	const struct stored_offset offset = { .offset = 3, .expires_ms = -1, .metadata = STR("") };
	MUST(groups_open(txn, STR("g"), &group));
	MUST(offsets_commit(txn, group, t.number, 0, &offset));
	fixture_commit(txn);
	fixture_checkpoint(&ws->store);
}

static void
begin_anew(void)
{
	teardown(NULL);
	setup(NULL);
}

/* --- durable before it is told ----------------------------------------------------------------- */

static void
what_is_promised_is_durable(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(promises) / sizeof(promises[0]); i++) {
		begin_anew();
		prepare();
		ws->hold = true;
		promises[i].send();
		if (!workers_is_quiet(ws, &c))
			fail_msg("%s is answered before it is durable", promises[i].name);
		ws->hold = false;
		if (promises[i].error(workers_receive(ws, &c)) != ERR_NONE)
			fail_msg("%s", promises[i].name);
	}
}

static void
acks_1_waits_for_no_disk(void **state)
{
	(void)state;
	prepare();
	ws->hold = true;
	for (int i = 0; i < 3; i++) {
		send_produce(1);
		assert_int_equal(receive_produce()->base_offset, i);
	}
}

/* What is finished waits for what was asked before. */
static void
answers_keep_the_order_of_requests(void **state)
{
	(void)state;
	static const int16_t acks[] = { 1, -1, 1, -1, 1 };
	prepare();
	ws->hold = true;
	for (int i = 0; i < 5; i++)
		send_produce(acks[i]);
	assert_int_equal(receive_produce()->base_offset, 0);
	assert_true(workers_is_quiet(ws, &c));
	ws->hold = false;
	for (int i = 1; i < 5; i++)
		assert_int_equal(receive_produce()->base_offset, i);
}

/* --- visible once it is durable ---------------------------------------------------------------- */

/* Of what is there now, without waiting. */
static struct fetch_response_partition_data *
fetch(int64_t offset, int8_t isolation_level)
{
	struct fetch_request_partition partition;
	struct fetch_request in;
	message_defaults(&fetch_request_partition_message, &partition);
	message_defaults(&fetch_request_message, &in);
	partition.fetch_offset = offset;
	partition.partition_max_bytes = 1 << 20;
	struct fetch_request_topic topic = { .topic = STR("t"), .partitions = { &partition, 1 } };
	in.max_bytes = 1 << 20;
	in.min_bytes = 1;
	in.isolation_level = isolation_level;
	in.topics.at = &topic;
	in.topics.n = 1;
	const struct fetch_response *out = workers_call(ws, &c, API_FETCH, 12, &in);
	return &out->responses.at[0].partitions.at[0];
}

static void
consumers_see_what_is_durable(void **state)
{
	(void)state;
	prepare();
	ws->hold = true;
	send_produce(1);
	assert_err(receive_produce()->error_code, ERR_NONE);
	for (int8_t level = 0; level < 2; level++) {
		assert_int_equal(fetch(0, level)->records.n, 0);
		assert_int_equal(fetch(0, level)->high_watermark, 0);
		assert_int_equal(fetch(0, level)->last_stable_offset, 0);
	}
	fixture_checkpoint(&ws->store);
	for (int8_t level = 0; level < 2; level++) {
		assert_true(fetch(0, level)->records.n > 0);
		assert_int_equal(fetch(0, level)->high_watermark, 1);
		assert_int_equal(fetch(0, level)->last_stable_offset, 1);
	}
}

static void
where_the_log_ends_is_told(void **state)
{
	(void)state;
	prepare();
	for (int i = 0; i < 4; i++) {
		send_produce(-1);
		assert_err(receive_produce()->error_code, ERR_NONE);
	}
	ws->hold = true;
	send_produce(1); /* committed, not visible yet */
	assert_err(receive_produce()->error_code, ERR_NONE);
	struct topic t;
	struct store_txn *txn = fixture_write(&ws->store);
	MUST(topic_by_name(txn, STR("t"), &ws->store.arena, &t));
	MUST(log_trim(txn, &t, 0, 2));
	fixture_commit(txn);
	static const enum err told[] = {
		ERR_OFFSET_OUT_OF_RANGE, ERR_OFFSET_OUT_OF_RANGE, ERR_NONE, ERR_NONE, ERR_NONE, ERR_NONE,
		ERR_OFFSET_OUT_OF_RANGE
	};
	for (int i = 0; i < 7; i++) {
		assert_err(fetch(i, 0)->error_code, told[i]);
		assert_int_equal(fetch(i, 0)->records.n > 0, i == 2 || i == 3);
	}
	assert_err(fetch(-1, 0)->error_code, ERR_OFFSET_OUT_OF_RANGE);
}

/* --- what cannot be stored is not told --------------------------------------------------------- */

/* Of the k-th change that the engine is asked for, until all succeed. */
static void
fail_each_change(size_t i)
{
	bool fired = true;
	for (int k = 1; fired; k++) {
		begin_anew();
		prepare();
		promises[i].send();
		test_stderr_begin();
		fault_set(k, EIO);
		workers_settle(ws);
		fired = fault_fired();
		(void)test_stderr_end();
		enum err e = promises[i].error(workers_receive(ws, &c));
		if ((e != ERR_NONE) != fired)
			fail_msg("%s, change %d: %s", promises[i].name, k, err_name(e));
	}
}

static void
what_fails_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(promises) / sizeof(promises[0]); i++)
		if (promises[i].writes)
			fail_each_change(i);
}

/* All requests of a turn are one transaction: if it fails, none of them is stored. */
static void
a_turn_fails_as_a_whole(void **state)
{
	(void)state;
	bool fired = true;
	for (int k = 1; fired; k++) {
		begin_anew();
		prepare();
		for (int i = 0; i < 3; i++)
			send_produce((int16_t)(i % 2 ? 1 : -1));
		test_stderr_begin();
		fault_set(k, EIO);
		workers_settle(ws);
		fired = fault_fired();
		(void)test_stderr_end();
		for (int i = 0; i < 3; i++)
			assert_err(receive_produce()->error_code, fired ? ERR_KAFKA_STORAGE_ERROR : ERR_NONE);
		if (fired)
			assert_int_equal(fetch(0, 0)->high_watermark, 0);
	}
	assert_int_equal(fetch(0, 0)->high_watermark, 3);
}

/* --- one's fault is nobody else's -------------------------------------------------------------- */

static void
a_bad_batch_harms_no_other_partition(void **state)
{
	(void)state;
	prepare();
	struct records good = client_batch(&c.arena, 1, 10), bad = client_batch(&c.arena, 1, 10);
	((uint8_t *)(uintptr_t)bad.at)[bad.n - 3] ^= 1;
	struct produce_request_partition_data data[] = { { .index = 0, .records = bad },
							 { .index = 1, .records = good },
							 { .index = 2, .records = good } };
	struct produce_request_topic_data topic = { .name = STR("t"), .partition_data = { data, 3 } };
	struct produce_request in = {
		.transactional_id = STR_NULL, .acks = -1, .timeout_ms = 1000, .topic_data = { &topic, 1 }
	};
	test_stderr_begin();
	const struct produce_response *out = workers_call(ws, &c, API_PRODUCE, 9, &in);
	(void)test_stderr_end();
	const struct produce_response_partition_response *each = out->responses.at[0].partition_responses.at;
	assert_err(each[0].error_code, ERR_CORRUPT_MESSAGE);
	assert_err(each[1].error_code, ERR_NONE);
	assert_err(each[2].error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(fetch(0, 0)->high_watermark, 0); /* nothing of the bad one is stored */
	struct topic t;
	struct store_txn *txn = fixture_read(&ws->store);
	MUST(topic_by_name(txn, STR("t"), &ws->store.arena, &t));
	store_read_end(txn);
	assert_int_equal(fixture_partition(&ws->store, &t, 1).high_watermark, 1);
}

/* --- between a request's two halves ------------------------------------------------------------ */

/* Another worker may delete the topic, and make a smaller one, between the two. */
static void
a_topic_may_change_before_the_append(void **state)
{
	(void)state;
	struct topic t;
	prepare();
	atomic_store(&ws->family.shared->store.writes_ok, 0); /* the turn waits */
	client_send_produce(&c, "t", 1, 1, client_batch(&c.arena, 1, 10));
	client_send_produce(&c, "t", 0, 1, client_batch(&c.arena, 1, 10));
	ws->at[0]->write_retry.repeat = 0.001;
	assert_true(workers_is_quiet(ws, &c));
	struct store_txn *txn = fixture_write(&ws->store);
	MUST(topic_by_name(txn, STR("t"), &ws->store.arena, &t));
	MUST(topic_delete(txn, &t));
	MUST(topic_create(txn, STR("t"), 1, NULL, 0, &ws->store.arena, &t));
	fixture_commit(txn);
	atomic_store(&ws->family.shared->store.writes_ok, 1);
	test_stderr_begin();
	assert_err(receive_produce()->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	(void)test_stderr_end();
	assert_err(receive_produce()->error_code, ERR_NONE);
	fixture_checkpoint(&ws->store);
	assert_int_equal(fixture_partition(&ws->store, &t, 0).log_end, 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_promised_is_durable),
		TEST(acks_1_waits_for_no_disk),
		TEST(answers_keep_the_order_of_requests),
		TEST(consumers_see_what_is_durable),
		TEST(where_the_log_ends_is_told),
		TEST(what_fails_is_refused),
		TEST(a_turn_fails_as_a_whole),
		TEST(a_bad_batch_harms_no_other_partition),
		TEST(a_topic_may_change_before_the_append),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
