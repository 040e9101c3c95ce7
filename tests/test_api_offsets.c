#include "tests/lib/test.h"

#include "broker/api/handlers.h"
#include "protocol/messages.h"
#include "tests/lib/api_fixture.h"

/* ListOffsets, OffsetForLeaderEpoch. */

static const struct handler listing = {
	.key = API_LIST_OFFSETS,
	.handle = list_offsets_handle,
	.answer = list_offsets_answer,
};
static const struct handler epochs = API_READS(OFFSET_FOR_LEADER_EPOCH, offset_for_leader_epoch);

static struct list_offsets_request *
ask(struct api_fixture *f, const char *topic, int32_t partition, int64_t timestamp)
{
	struct list_offsets_request *in = api_request(f, &listing);
	in->replica_id = -1;
	API_LIST(f, in->topics, 1);
	in->topics.at[0].name = str_of(topic);
	API_LIST(f, in->topics.at[0].partitions, 1);
	in->topics.at[0].partitions.at[0].partition_index = partition;
	in->topics.at[0].partitions.at[0].timestamp = timestamp;
	in->topics.at[0].partitions.at[0].current_leader_epoch = -1;
	return in;
}

static const struct list_offsets_response_partition *
serve_until(struct api_fixture *f, enum next next, int16_t version, const struct list_offsets_request *in)
{
	struct list_offsets_response *out = api_serve(f, &listing, version, in);
	assert_int_equal(f->next, next);
	assert_int_equal(out->topics.n, 1);
	assert_true(str_eq(out->topics.at[0].name, in->topics.at[0].name));
	assert_int_equal(out->topics.at[0].partitions.n, 1);
	return &out->topics.at[0].partitions.at[0];
}

static const struct list_offsets_response_partition *
serve(struct api_fixture *f, int16_t version, const struct list_offsets_request *in)
{
	return serve_until(f, NEXT_ANSWER, version, in);
}

/* v10, of partition 0 of "log" */
static void
expect(struct api_fixture *f, int64_t timestamp, enum err error, int64_t offset, int64_t found_timestamp)
{
	const struct list_offsets_response_partition *p = serve(f, 10, ask(f, "log", 0, timestamp));
	assert_int_equal(p->error_code, error);
	assert_int_equal(p->offset, offset);
	assert_int_equal(p->timestamp, found_timestamp);
	assert_int_equal(p->leader_epoch, offset >= 0 ? 0 : -1);
}

static void
names_of_an_empty_log(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "log", 1);
	expect(f, -1, ERR_NONE, 0, -1);
	expect(f, -2, ERR_NONE, 0, -1);
	expect(f, -3, ERR_NONE, -1, -1);
	expect(f, -4, ERR_NONE, 0, -1);
	expect(f, -5, ERR_NONE, -1, -1);
	expect(f, 0, ERR_NONE, -1, -1);
}

static void
names_of_a_log(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "log", 2);
	api_append(f, "log", 0, 3);
	api_append(f, "log", 0, 5);
	expect(f, -1, ERR_NONE, 8, -1);
	expect(f, -2, ERR_NONE, 0, -1);
	expect(f, -3, ERR_NONE, 7, API_TIMESTAMP + 4);
	expect(f, -4, ERR_NONE, 0, -1);
	expect(f, -5, ERR_NONE, -1, -1);
	expect(f, -6, ERR_UNSUPPORTED_VERSION, -1, -1);
	expect(f, INT64_MIN, ERR_UNSUPPORTED_VERSION, -1, -1);
}

static void
by_time(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "log", 1);
	api_append(f, "log", 0, 3); /* timestamps T, T+1, T+2 */
	api_append(f, "log", 0, 5); /* T to T+4 */
	expect(f, 0, ERR_NONE, 0, API_TIMESTAMP);
	expect(f, API_TIMESTAMP, ERR_NONE, 0, API_TIMESTAMP);
	expect(f, API_TIMESTAMP + 1, ERR_NONE, 1, API_TIMESTAMP + 1);
	expect(f, API_TIMESTAMP + 3, ERR_NONE, 6, API_TIMESTAMP + 3);
	expect(f, API_TIMESTAMP + 5, ERR_NONE, -1, -1);
}

/* A name that came with a later version is not known to an earlier one. */
static void
names_have_versions(void **state)
{
	struct api_fixture *f = *state;
	static const int16_t since[] = { 1, 1, 7, 8, 9 };
	api_topic(f, "log", 1);
	api_append(f, "log", 0, 1);
	for (int16_t v = 1; v <= 10; v++)
		for (int i = 0; i < 5; i++)
			assert_int_equal(serve(f, v, ask(f, "log", 0, -1 - i))->error_code,
					 v >= since[i] ? ERR_NONE : ERR_UNSUPPORTED_VERSION);
}

/*
 * Consumers see what is durable, in either isolation. Where what is hidden would change the answer, the
 * answer waits until it is durable; where it would not, there is nothing to wait for.
 */
static void
waits_for_hidden_records(void **state)
{
	struct api_fixture *f = *state;
	static const struct {
		int32_t replica;
		int8_t isolation;
		int64_t timestamp, offset;
		enum next next;
	} cases[] = {
		{ -1, 0, -2, 0, NEXT_ANSWER },
		{ -1, 0, -4, 0, NEXT_ANSWER },
		{ -1, 0, API_TIMESTAMP + 1, 1, NEXT_ANSWER },
		{ -1, 0, -1, 13, NEXT_PROMISE },
		{ -1, 1, -1, 13, NEXT_PROMISE },
		{ -1, 0, -3, 12, NEXT_PROMISE },
		{ -1, 1, API_TIMESTAMP + 8, 11, NEXT_PROMISE },
		{ -2, 0, -1, 13, NEXT_ANSWER }, /* no consumer: sees all there is */
		{ -2, 0, API_TIMESTAMP + 8, 11, NEXT_ANSWER },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *name = arena_printf(&f->call.arena, "log-%zu", i);
		api_topic(f, name, 1);
		api_append(f, name, 0, 3);           /* timestamps T to T+2 */
		api_append_unsynced(f, name, 0, 10); /* T to T+9 */
		struct list_offsets_request *in = ask(f, name, 0, cases[i].timestamp);
		in->replica_id = cases[i].replica;
		in->isolation_level = cases[i].isolation;
		const struct list_offsets_response_partition *p = serve_until(f, cases[i].next, 8, in);
		assert_int_equal(p->error_code, ERR_NONE);
		assert_int_equal(p->offset, cases[i].offset);
	}
}

/* A search may open batches: nobody gets the same one twice for one request. */
static void
what_is_asked_for_twice_is_refused(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "log", 2);
	api_append(f, "log", 0, 3);
	struct list_offsets_request_partition three[3];
	struct list_offsets_request_topic topics[2];
	for (int i = 0; i < 3; i++) {
		message_defaults(&list_offsets_request_partition_message, &three[i]);
		three[i].timestamp = -1;
		three[i].partition_index = i % 2;
	}
	for (int i = 0; i < 2; i++)
		topics[i] =
		    (struct list_offsets_request_topic){ .name = STR("log"), .partitions = { three, 3 } };
	struct list_offsets_request in = { .replica_id = -1, .topics = { topics, 2 } };
	struct list_offsets_response *out = api_serve(f, &listing, 5, &in);
	assert_int_equal(out->topics.n, 2);
	for (int t = 0; t < 2; t++)
		for (int i = 0; i < 3; i++)
			assert_int_equal(out->topics.at[t].partitions.at[i].error_code,
					 t == 0 && i == 1 ? ERR_NONE : ERR_INVALID_REQUEST);
}

static void
unknown_isolation_is_refused(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "log", 1);
	struct list_offsets_request *in = ask(f, "log", 0, -1);
	in->isolation_level = 2;
	assert_int_equal(serve(f, 2, in)->error_code, ERR_INVALID_REQUEST);
}

static void
unknown_topic_or_partition(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "log", 2);
	assert_int_equal(serve(f, 1, ask(f, "lag", 0, -1))->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(serve(f, 1, ask(f, "log", 1, -1))->error_code, ERR_NONE);
	assert_int_equal(serve(f, 1, ask(f, "log", 2, -1))->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(serve(f, 1, ask(f, "log", -1, -1))->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(serve(f, 1, ask(f, "", 0, -1))->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

static void
leader_epochs_are_compared(void **state)
{
	struct api_fixture *f = *state;
	static const struct {
		int32_t epoch;
		enum err expected;
	} cases[] = { { -1, ERR_NONE },
		      { 0, ERR_NONE },
		      { 1, ERR_UNKNOWN_LEADER_EPOCH },
		      { -2, ERR_FENCED_LEADER_EPOCH } };
	api_topic(f, "log", 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct list_offsets_request *in = ask(f, "log", 0, -1);
		in->topics.at[0].partitions.at[0].current_leader_epoch = cases[i].epoch;
		assert_int_equal(serve(f, 4, in)->error_code, cases[i].expected);
		assert_int_equal(serve(f, 3, in)->error_code, ERR_NONE); /* v3 has no epochs */
	}
}

/* --- OffsetForLeaderEpoch --------------------------------------------------------------------------------
 */

static const struct offset_for_leader_epoch_response_partition *
end_of_epoch(struct api_fixture *f, int16_t version, int32_t partition, int32_t current, int32_t epoch)
{
	struct offset_for_leader_epoch_request *in = api_request(f, &epochs);
	API_LIST(f, in->topics, 1);
	in->topics.at[0].topic = STR("log");
	API_LIST(f, in->topics.at[0].partitions, 1);
	in->topics.at[0].partitions.at[0].partition = partition;
	in->topics.at[0].partitions.at[0].current_leader_epoch = current;
	in->topics.at[0].partitions.at[0].leader_epoch = epoch;
	struct offset_for_leader_epoch_response *out = api_serve(f, &epochs, version, in);
	assert_str(out->topics.at[0].topic, "log");
	assert_int_equal(out->topics.at[0].partitions.at[0].partition, partition);
	return &out->topics.at[0].partitions.at[0];
}

static void
epoch_zero_ends_with_the_log(void **state)
{
	struct api_fixture *f = *state;
	api_topic(f, "log", 1);
	api_append(f, "log", 0, 4);
	for (int16_t v = 2; v <= 4; v++) {
		const struct offset_for_leader_epoch_response_partition *p = end_of_epoch(f, v, 0, -1, 0);
		assert_int_equal(p->error_code, ERR_NONE);
		assert_int_equal(p->leader_epoch, 0);
		assert_int_equal(p->end_offset, 4);
		for (int32_t other = -1; other <= 1; other += 2) {
			p = end_of_epoch(f, v, 0, 0, other);
			assert_int_equal(p->error_code, ERR_NONE);
			assert_int_equal(p->leader_epoch, -1);
			assert_int_equal(p->end_offset, -1);
		}
	}
}

static void
epoch_errors(void **state)
{
	struct api_fixture *f = *state;
	assert_int_equal(end_of_epoch(f, 2, 0, -1, 0)->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	api_topic(f, "log", 1);
	assert_int_equal(end_of_epoch(f, 2, 1, -1, 0)->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(end_of_epoch(f, 4, 0, 3, 0)->error_code, ERR_UNKNOWN_LEADER_EPOCH);
	assert_int_equal(end_of_epoch(f, 4, 0, -5, 0)->error_code, ERR_FENCED_LEADER_EPOCH);
	assert_int_equal(end_of_epoch(f, 4, 0, 3, 0)->end_offset, -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, api_setup, api_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_of_an_empty_log),
		TEST(names_of_a_log),
		TEST(by_time),
		TEST(names_have_versions),
		TEST(waits_for_hidden_records),
		TEST(what_is_asked_for_twice_is_refused),
		TEST(unknown_isolation_is_refused),
		TEST(unknown_topic_or_partition),
		TEST(leader_epochs_are_compared),
		TEST(epoch_zero_ends_with_the_log),
		TEST(epoch_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
