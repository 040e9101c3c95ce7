#include "tests/lib/test.h"

#include <string.h>

#include "common/protocol/protocol.h"
#include "protocol/messages.h"

#define BYTES(...) (uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })

static void
expect_bytes(const struct message *message, int16_t version, const void *in, const uint8_t *bytes, size_t n)
{
	struct frame frame = FRAME_EMPTY;

	encode(message, version, in, &frame);
	assert_int_equal(frame_size(&frame), n);
	assert_memory_equal(buf_head(&frame.bytes), bytes, n);
	frame_free(&frame);
}

static void
old_and_flexible(void **state)
{
	(void)state;
	struct str keys[] = { STR("g"), STR("") };
	struct find_coordinator_request in = { .key = STR("grp"), .key_type = 1 };

	in.coordinator_keys.at = keys;
	in.coordinator_keys.n = 2;
	expect_bytes(&find_coordinator_request_message, 0, &in, BYTES(0, 3, 'g', 'r', 'p'));
	expect_bytes(&find_coordinator_request_message, 1, &in, BYTES(0, 3, 'g', 'r', 'p', 1));
	expect_bytes(&find_coordinator_request_message, 3, &in, BYTES(4, 'g', 'r', 'p', 1, 0));
	expect_bytes(&find_coordinator_request_message, 4, &in, BYTES(1, 3, 2, 'g', 1, 0));
}

/* What is null but may not be in this version is written empty, as an answer cannot fail to be encoded. */
static void
null_where_there_is_none(void **state)
{
	(void)state;
	struct metadata_request in;

	message_defaults(&metadata_request_message, &in);
	in.topics.n = -1;
	expect_bytes(&metadata_request_message, 0, &in, BYTES(0, 0, 0, 0));
	expect_bytes(&metadata_request_message, 1, &in, BYTES(0xff, 0xff, 0xff, 0xff));
	expect_bytes(&metadata_request_message, 9, &in, BYTES(0, 1, 0, 0, 0));
}

static void
tags_only_where_not_default(void **state)
{
	(void)state;
	struct api_versions_response out;

	message_defaults(&api_versions_response_message, &out);
	assert_int_equal(out.finalized_features_epoch, -1);
	expect_bytes(&api_versions_response_message, 3, &out, BYTES(0, 0, 1, 0, 0, 0, 0, 0));
	out.finalized_features_epoch = 5;
	out.zk_migration_ready = true;
	expect_bytes(&api_versions_response_message, 3, &out,
		     BYTES(0, 0, 1, 0, 0, 0, 0, 2, 1, 8, 0, 0, 0, 0, 0, 0, 0, 5, 3, 1, 1));
	expect_bytes(&api_versions_response_message, 2, &out, BYTES(0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
}

/* A tag's size is known only after its content; 200 bytes need two bytes of size. */
static void
large_tags(void **state)
{
	(void)state;
	char name[200];
	struct api_versions_response_supported_feature_key key = { .name = { name, sizeof(name) },
								   .max_version = 1 };
	struct api_versions_response out;
	struct frame frame = FRAME_EMPTY;
	static const uint8_t head[] = { 0, 0, 1, 0, 0, 0, 0, 1, 0, 0xd0, 1, 2, 0xc9, 1, 'n', 'n' };

	memset(name, 'n', sizeof(name));
	message_defaults(&api_versions_response_message, &out);
	out.supported_features.at = &key;
	out.supported_features.n = 1;
	encode(&api_versions_response_message, 3, &out, &frame);
	assert_int_equal(frame_size(&frame), 11 + 0xd0);
	assert_memory_equal(buf_head(&frame.bytes), head, sizeof(head));
	frame_free(&frame);
}

static void
lists_begin_with_defaults(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	struct produce_response_partition_response *list =
	    NEW_LIST(&arena, produce_response_partition_response, 3);

	for (int i = 0; i < 3; i++) {
		assert_int_equal(list[i].log_append_time_ms, -1);
		assert_int_equal(list[i].current_leader.leader_id, -1);
		assert_int_equal(list[i].error_message.n, -1);
		assert_int_equal(list[i].record_errors.n, 0);
		assert_int_equal(list[i].error_code, ERR_NONE);
	}
	assert_null(NEW_LIST(&arena, produce_response_partition_response, 0));
	arena_free(&arena);
}

static void
apis_are_found_by_key(void **state)
{
	(void)state;
	for (int i = 0; i < api_count; i++) {
		assert_ptr_equal(api_find(apis[i].key), &apis[i]);
		assert_true(apis[i].min <= apis[i].max);
		if (i > 0)
			assert_true(apis[i - 1].key < apis[i].key);
	}
	assert_null(api_find(-1));
	assert_null(api_find(INT16_MAX));
	assert_string_equal(api_find(API_FIND_COORDINATOR)->kafka_name, "FindCoordinator");
	assert_string_equal(message_name(api_find(API_FETCH)->request), "fetch_request");
	assert_int_equal(message_size(api_find(API_FETCH)->request), sizeof(struct fetch_request));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_and_flexible),
		cmocka_unit_test(null_where_there_is_none),
		cmocka_unit_test(tags_only_where_not_default),
		cmocka_unit_test(large_tags),
		cmocka_unit_test(lists_begin_with_defaults),
		cmocka_unit_test(apis_are_found_by_key),
	};

	return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
