#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/protocol/protocol.h"
#include "protocol/messages.h"

/* A fetch answer of two partitions, the first with 5 bytes in two pieces, the second with 3 in one view. */
static const struct fetch_response *
an_answer(struct arena *arena)
{
	static const struct iovec pieces[] = { { (void *)(uintptr_t) "he", 2 },
					       { (void *)(uintptr_t) "llo", 3 } };
	struct fetch_response *out = message_list(&fetch_response_message, arena, 1);

	out->responses.n = 1;
	out->responses.at = NEW_LIST(arena, fetch_response_topic_response, 1);
	out->responses.at[0].topic = STR("t");
	out->responses.at[0].partitions.n = 2;
	out->responses.at[0].partitions.at = NEW_LIST(arena, fetch_response_partition_data, 2);
	out->responses.at[0].partitions.at[0].records = (struct records){ .n = 5, .iov = pieces, .iov_n = 2 };
	out->responses.at[0].partitions.at[1].records =
	    (struct records){ .n = 3, .at = (const uint8_t *)"you" };
	return out;
}

static void
expect_answer(const uint8_t *at, size_t n, int16_t version)
{
	const struct api *api = api_find(API_FETCH);
	struct arena arena = ARENA_EMPTY;
	struct fetch_response in;
	struct wire_fault fault;
	int32_t correlation_id;
	int header;

	assert_int_equal(get_u32(at), n - 4);
	header = response_header_decode(at + 4, n - 4, api, version, &correlation_id);
	assert_true(header > 0);
	assert_int_equal(correlation_id, 42);
	if (!decode(&fetch_response_message, version, at + 4 + header, n - 4 - (size_t)header, &arena, &in,
		    &fault))
		fail_msg("%s: %s", fault.where, fault.what);
	assert_int_equal(in.responses.at[0].partitions.at[0].records.n, 5);
	assert_memory_equal(in.responses.at[0].partitions.at[0].records.at, "hello", 5);
	assert_memory_equal(in.responses.at[0].partitions.at[1].records.at, "you", 3);
	arena_free(&arena);
}

/* writev's view of the frame, flattened by hand, is the same as frame_flatten()'s. */
static void
expect_pieces(const struct frame *frame)
{
	struct iovec iov[16];
	int n = frame_iov_count(frame);
	struct buf by_hand = BUF_EMPTY, flat = BUF_EMPTY;

	assert_true(n <= 16);
	frame_iov(frame, iov);
	for (int i = 0; i < n; i++)
		buf_append(&by_hand, iov[i].iov_base, iov[i].iov_len);
	frame_flatten(frame, &flat);
	assert_int_equal(buf_len(&by_hand), frame_size(frame));
	assert_int_equal(buf_len(&flat), frame_size(frame));
	assert_memory_equal(buf_head(&by_hand), buf_head(&flat), buf_len(&flat));
	buf_free(&by_hand);
	buf_free(&flat);
}

static void
records_are_spliced_in(void **state)
{
	(void)state;
	const struct api *api = api_find(API_FETCH);
	struct arena arena = ARENA_EMPTY;
	struct frame frame = FRAME_EMPTY;

	for (int16_t v = api->min; v <= 12; v++) {
		struct buf flat = BUF_EMPTY;

		response_encode(api, v, 42, an_answer(&arena), &frame);
		assert_int_equal(frame.splice_n, 1);
		assert_int_equal(frame.spliced, 5);
		assert_int_equal(frame_iov_count(&frame), 4);
		expect_pieces(&frame);
		frame_flatten(&frame, &flat);
		expect_answer(buf_head(&flat), buf_len(&flat), v);
		buf_free(&flat);
		frame_reset(&frame);
		assert_int_equal(frame_size(&frame), 0);
		assert_int_equal(frame_iov_count(&frame), 0);
	}
	frame_free(&frame);
	arena_free(&arena);
}

static void
answers_follow_each_other(void **state)
{
	(void)state;
	const struct api *api = api_find(API_FETCH);
	struct arena arena = ARENA_EMPTY;
	struct frame frame = FRAME_EMPTY;
	struct buf flat = BUF_EMPTY;
	size_t first;

	response_encode(api, 12, 42, an_answer(&arena), &frame);
	first = frame_size(&frame);
	response_encode(api, 4, 42, an_answer(&arena), &frame);
	expect_pieces(&frame);
	frame_flatten(&frame, &flat);
	expect_answer(buf_head(&flat), first, 12);
	expect_answer(buf_head(&flat) + first, buf_len(&flat) - first, 4);
	buf_free(&flat);
	frame_free(&frame);
	arena_free(&arena);
}

static void
many_splices(void **state)
{
	(void)state;
	enum { N = 100 };
	static const struct iovec piece = { (void *)(uintptr_t) "abc", 3 };
	struct arena arena = ARENA_EMPTY;
	struct frame frame = FRAME_EMPTY;
	struct buf flat = BUF_EMPTY;
	struct produce_request in = { .topic_data.n = 1 }, back;
	struct wire_fault fault;

	in.topic_data.at = NEW_LIST(&arena, produce_request_topic_data, 1);
	in.topic_data.at[0].partition_data.n = N;
	in.topic_data.at[0].partition_data.at = NEW_LIST(&arena, produce_request_partition_data, N);
	for (int i = 0; i < N; i++)
		in.topic_data.at[0].partition_data.at[i].records =
		    (struct records){ .n = 3, .iov = &piece, .iov_n = 1 };
	encode(&produce_request_message, 9, &in, &frame);
	frame_flatten(&frame, &flat);
	assert_true(
	    decode(&produce_request_message, 9, buf_head(&flat), buf_len(&flat), &arena, &back, &fault));
	for (int i = 0; i < N; i++)
		assert_memory_equal(back.topic_data.at[0].partition_data.at[i].records.at, "abc", 3);
	buf_free(&flat);
	frame_free(&frame);
	arena_free(&arena);
}

static void
whole_requests(void **state)
{
	(void)state;
	static const uint8_t expected[] = { 0, 0, 0, 18,  0,   18, 0, 3,   0, 0,   0,
					    5, 0, 2, 'm', 'e', 0,  2, 'n', 3, '1', '0' };
	const struct api *api = api_find(API_API_VERSIONS);
	struct request_header header = { API_API_VERSIONS, 3, 5, STR("me") };
	struct api_versions_request in = { STR("n"), STR("10") };
	struct buf out = BUF_EMPTY;

	request_encode(api, &header, &in, &out);
	assert_int_equal(buf_len(&out), sizeof(expected) + 1);
	assert_int_equal(get_u32(buf_head(&out)), sizeof(expected) + 1 - 4);
	assert_memory_equal(buf_head(&out) + 4, expected + 4, sizeof(expected) - 4);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_spliced_in),
		cmocka_unit_test(answers_follow_each_other),
		cmocka_unit_test(many_splices),
		cmocka_unit_test(whole_requests),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
