#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/protocol/field.h"
#include "protocol/messages.h"
#include "tests/lib/sample.h"

/* Every API, every version, request and response. */
static void
for_each_shape(void (*test)(const struct api *api, const struct message *message, int16_t version))
{
	for (int i = 0; i < api_count; i++) {
		for (int16_t v = apis[i].min; v <= apis[i].max; v++) {
			test(&apis[i], apis[i].request, v);
			test(&apis[i], apis[i].response, v);
		}
	}
}

/* A copy of exactly n bytes, so that a sanitizer sees a read beyond them. */
static uint8_t *
exactly(const void *at, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	assert_non_null(copy);
	if (n > 0)
		memcpy(copy, at, n);
	return copy;
}

static bool
decode_copy(const struct message *message, int16_t version, const void *at, size_t n, struct arena *arena,
	    void *out, struct wire_fault *fault)
{
	uint8_t *copy = exactly(at, n);
	bool good = decode(message, version, copy, n, arena, out, fault);

	free(copy);
	return good;
}

static void
round_trip(const struct api *api, const struct message *message, int16_t version)
{
	for (uint64_t seed = 0; seed < 60; seed++) {
		struct arena arena = ARENA_EMPTY;
		struct sample s = { .seed = seed, .version = version, .spliced = true, .arena = &arena };
		void *in = sample_message(&s, message);
		void *out = arena_alloc(&arena, message_size(message));
		struct frame frame = FRAME_EMPTY;
		struct buf flat = BUF_EMPTY;
		struct wire_fault fault;

		encode(message, version, in, &frame);
		frame_flatten(&frame, &flat);
		assert_int_equal(buf_len(&flat), frame_size(&frame));
		if (!decode(message, version, buf_head(&flat), buf_len(&flat), &arena, out, &fault))
			fail_msg("%s: %s (offset %zu)", fault.where, fault.what, fault.offset);
		if (!sample_equal(message, in, out))
			fail_msg("%s v%d, seed %llu: decoded to something else", api->name, version,
				 (unsigned long long)seed);
		buf_free(&flat);
		frame_free(&frame);
		arena_free(&arena);
	}
}

static void
what_was_encoded_is_decoded(void **state)
{
	(void)state;
	for_each_shape(round_trip);
}

static void
prefixes(const struct api *api, const struct message *message, int16_t version)
{
	struct arena arena = ARENA_EMPTY, scratch = ARENA_EMPTY;
	struct sample s = { .seed = 1, .version = version, .plain = true, .arena = &arena };
	void *in = sample_message(&s, message);
	void *out = arena_alloc(&arena, message_size(message));
	struct frame frame = FRAME_EMPTY;
	struct wire_fault fault;
	size_t n;

	encode(message, version, in, &frame);
	n = frame_size(&frame);
	for (size_t cut = 0; cut < n; cut++) {
		fault = (struct wire_fault){ 0 };
		if (decode_copy(message, version, buf_head(&frame.bytes), cut, &scratch, out, &fault))
			fail_msg("%s v%d: %zu of %zu bytes were enough", api->name, version, cut, n);
		assert_true(fault.offset <= cut);
		assert_non_null(strstr(fault.where, message_name(message)));
		assert_true(fault.what[0] != '\0');
		arena_reset(&scratch);
	}
	buf_append(&frame.bytes, "", 1);
	assert_false(decode_copy(message, version, buf_head(&frame.bytes), n + 1, &scratch, out, &fault));
	assert_string_equal(fault.what, "1 bytes left over");
	assert_int_equal(fault.offset, n);
	size_t leftover = 0;
	assert_true(
	    decode_front(message, version, buf_head(&frame.bytes), n + 1, &scratch, out, &fault, &leftover));
	assert_int_equal(leftover, 1);
	frame_free(&frame);
	arena_free(&arena);
	arena_free(&scratch);
}

static void
no_prefix_is_enough_and_nothing_may_be_left(void **state)
{
	(void)state;
	for_each_shape(prefixes);
}

/* Whatever single byte is changed: no crash, no read beyond; and what is accepted can be encoded again. */
static void
mutated(const struct api *api, const struct message *message, int16_t version)
{
	struct arena arena = ARENA_EMPTY, scratch = ARENA_EMPTY;
	struct sample s = { .seed = 2, .version = version, .plain = true, .arena = &arena };
	void *out = arena_alloc(&arena, message_size(message));
	struct frame frame = FRAME_EMPTY, again = FRAME_EMPTY;
	struct wire_fault fault;

	(void)api;
	encode(message, version, sample_message(&s, message), &frame);
	for (size_t i = 0; i < frame_size(&frame); i++) {
		uint8_t *at = buf_head(&frame.bytes) + i;
		uint8_t was = *at;

		for (int k = 0; k < 6; k++) {
			uint8_t *copy;

			*at = (uint8_t[]){ 0, 1, 0x7f, 0x80, 0xff, (uint8_t)(was + 1) }[k];
			copy = exactly(buf_head(&frame.bytes), frame_size(&frame));
			if (decode(message, version, copy, frame_size(&frame), &scratch, out, &fault))
				encode(message, version, out, &again);
			free(copy);
			frame_reset(&again);
			arena_reset(&scratch);
		}
		*at = was;
	}
	frame_free(&frame);
	frame_free(&again);
	arena_free(&arena);
	arena_free(&scratch);
}

static void
changed_bytes_do_no_harm(void **state)
{
	(void)state;
	for_each_shape(mutated);
}

static void
null_is_not_empty(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	struct metadata_request in;
	struct wire_fault fault;

	assert_true(decode_copy(&metadata_request_message, 1, "\xff\xff\xff\xff", 4, &arena, &in, &fault));
	assert_int_equal(in.topics.n, -1);
	assert_true(decode_copy(&metadata_request_message, 1, "\0\0\0\0", 4, &arena, &in, &fault));
	assert_int_equal(in.topics.n, 0);
	assert_true(in.allow_auto_topic_creation); /* a default that is not zero */

	assert_false(decode_copy(&metadata_request_message, 0, "\xff\xff\xff\xff", 4, &arena, &in, &fault));
	assert_string_equal(fault.where, "metadata_request v0: topics");
	assert_string_equal(fault.what, "null, which it may not be");
	assert_int_equal(fault.offset, 0);
	assert_false(decode_copy(&metadata_request_message, 1, "\xff\xff\xff\xfe", 4, &arena, &in, &fault));
	assert_string_equal(fault.what, "the count -2");
	arena_free(&arena);
}

/* A list may be null where its elements may not. */
static void
elements_are_never_null(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 0, 0, 0, 1, /* resources */
					 2, 0, 1, 't', 0, 0, 0, 1, 0xff, 0xff };
	struct arena arena = ARENA_EMPTY;
	struct describe_configs_request in;
	struct wire_fault fault;

	assert_false(
	    decode_copy(&describe_configs_request_message, 0, bytes, sizeof(bytes), &arena, &in, &fault));
	assert_string_equal(fault.where, "describe_configs_request v0: resources[0].configuration_keys[0]");
	arena_free(&arena);
}

static void
nullable_structs(void **state)
{
	(void)state;
	static const uint8_t none[] = { 1, 0, 0, 0, 9, 0xff, 0 };
	static const uint8_t some[] = { 1, 0, 0, 0, 9, 1, 2, 't', 0, 0, 0, 7, 0, 0 };
	struct arena arena = ARENA_EMPTY;
	struct describe_topic_partitions_request in;
	struct wire_fault fault;

	assert_true(decode_copy(&describe_topic_partitions_request_message, 0, none, sizeof(none), &arena,
				&in, &fault));
	assert_null(in.cursor);
	assert_int_equal(in.response_partition_limit, 9);
	assert_true(
	    decode(&describe_topic_partitions_request_message, 0, some, sizeof(some), &arena, &in, &fault));
	assert_non_null(in.cursor);
	assert_str(in.cursor->topic_name, "t");
	assert_int_equal(in.cursor->partition_index, 7);
	arena_free(&arena);
}

/* fetch_request v12: cluster_id is tag 0; 9 is nobody's. */
#define FETCH_V12_FIXED                                                                                      \
	0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,   \
	    1, 1, 1

static void
unknown_tags_are_passed_over(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { FETCH_V12_FIXED, 2, 0, 3, 3, 'i', 'd', 9, 2, 0xaa, 0xbb };
	struct arena arena = ARENA_EMPTY;
	struct fetch_request in;
	struct wire_fault fault;

	if (!decode(&fetch_request_message, 12, bytes, sizeof(bytes), &arena, &in, &fault))
		fail_msg("%s: %s", fault.where, fault.what);
	assert_str(in.cluster_id, "id");
	assert_int_equal(in.max_bytes, 3);
	assert_int_equal(in.replica_state.replica_id, -1); /* default within a struct of another version */
	arena_free(&arena);
}

static void
expect_fetch_fault(const uint8_t *at, size_t n, const char *where, const char *what)
{
	struct arena arena = ARENA_EMPTY;
	struct fetch_request in;
	struct wire_fault fault;

	assert_false(decode_copy(&fetch_request_message, 12, at, n, &arena, &in, &fault));
	assert_string_equal(fault.where, where);
	assert_string_equal(fault.what, what);
	arena_free(&arena);
}

static void
tags_keep_to_their_size(void **state)
{
	(void)state;
	static const uint8_t too_short[] = { FETCH_V12_FIXED, 1, 0, 2, 3, 'i', 'd' };
	static const uint8_t too_long[] = { FETCH_V12_FIXED, 1, 0, 4, 3, 'i', 'd', 0 };
	static const uint8_t beyond[] = { FETCH_V12_FIXED, 1, 9, 5, 0 };
	static const uint8_t many[] = { FETCH_V12_FIXED, 0x91, 0x4e };

	expect_fetch_fault(too_short, sizeof(too_short), "fetch_request v12: cluster_id",
			   "needs 2 bytes, 1 left");
	expect_fetch_fault(too_long, sizeof(too_long), "fetch_request v12: cluster_id",
			   "tag 0 has 1 bytes left over");
	expect_fetch_fault(beyond, sizeof(beyond), "fetch_request v12", "tag 9 needs 5 bytes, 1 left");
	expect_fetch_fault(many, sizeof(many), "fetch_request v12",
			   "10001 tagged fields, of which 10000 are allowed");
}

/* A count is not believed, and nothing is allocated for it, unless so many elements could follow. */
static void
hostile_counts(void **state)
{
	(void)state;
	static const uint8_t old[] = { 0x7f, 0xff, 0xff, 0xff, 0, 0 };
	static const uint8_t compact[] = { 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0 };
	static const uint8_t endless[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct arena arena = ARENA_EMPTY;
	struct metadata_request in;
	struct wire_fault fault;

	assert_false(decode_copy(&metadata_request_message, 1, old, sizeof(old), &arena, &in, &fault));
	assert_string_equal(fault.what, "2147483647 elements need 4294967294 bytes at least, 2 left");
	assert_false(
	    decode_copy(&metadata_request_message, 9, compact, sizeof(compact), &arena, &in, &fault));
	assert_string_equal(fault.what, "4294967294 elements need 8589934588 bytes at least, 2 left");
	assert_false(
	    decode_copy(&metadata_request_message, 9, endless, sizeof(endless), &arena, &in, &fault));
	assert_string_equal(fault.what, "a varint of more than 32 bits");
	assert_int_equal(arena.used, 0);
	arena_free(&arena);
}

/* create_topics v5 with as many topics, of as many configs each, as fit: 16 MB of honest-looking lies. */
static void
hostile_nesting_is_bounded(void **state)
{
	(void)state;
	enum { N = 16 * 1024 * 1024 };
	uint8_t *bytes = calloc(1, N);
	struct arena arena = ARENA_EMPTY;
	struct create_topics_request in;
	struct wire_fault fault;
	size_t at = 0;

	assert_non_null(bytes);
	memcpy(bytes, "\xc1\x84\x3d",
	       3); /* a million topics, of which the first says that it has as many configs */
	at = 3;
	memcpy(bytes + at, "\2t\0\0\0\1\0\1\1", 9);
	at += 9;
	memcpy(bytes + at, "\xc1\x84\x3d", 3);
	assert_false(decode(&create_topics_request_message, 5, bytes, N, &arena, &in, &fault));
	assert_string_equal(fault.where, "create_topics_request v5: topics[0].configs");
	assert_string_equal(fault.what, "1000000 more elements in a message that may have 1000000");
	assert_true(arena.used < (size_t)100 * 1000 * 1000);
	free(bytes);
	arena_free(&arena);
}

static void
long_strings(void **state)
{
	(void)state;
	enum { N = 40000 };
	uint8_t *bytes = calloc(1, N);
	struct arena arena = ARENA_EMPTY;
	struct api_versions_request in;
	struct wire_fault fault;

	assert_non_null(bytes);
	memcpy(bytes, "\x81\x80\x02", 3); /* 32768 bytes */
	assert_false(decode(&api_versions_request_message, 3, bytes, N, &arena, &in, &fault));
	assert_string_equal(fault.what, "a string of 32768 bytes, of which 32767 are allowed");
	memcpy(bytes, "\x80\x80\x02", 3);
	bytes[3 + 32767] = 1; /* an empty version */
	assert_true(decode(&api_versions_request_message, 3, bytes, 3 + 32767 + 2, &arena, &in, &fault));
	assert_int_equal(in.client_software_name.n, 32767);
	free(bytes);
	arena_free(&arena);
}

static void
versions_without_a_schema(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	struct fetch_request in;
	struct wire_fault fault;

	assert_false(decode_copy(&fetch_request_message, 3, "", 0, &arena, &in, &fault));
	assert_string_equal(fault.where, "fetch_request v3");
	assert_string_equal(fault.what, "the schema has v4 to v17");
	assert_false(decode_copy(&fetch_request_message, 18, "", 0, &arena, &in, &fault));
	assert_false(decode_copy(&fetch_request_message, -1, "", 0, &arena, &in, &fault));
	arena_free(&arena);
}

static void
the_path_leads_to_the_fault(void **state)
{
	(void)state;
	static const uint8_t bytes[] = {
		0, 1, 0,   0, 0,    9, 0, 0, 0, 2, /* acks, timeout, two topics */
		0, 1, 'a', 0, 0,    0, 0,          /* one without partitions */
		0, 1, 'b', 0, 0,    0, 1, 0, 0, 0,
		5, 0, 0,   3, 0xe8, 1, 2, 3, /* one with 1000 bytes of records */
	};
	struct arena arena = ARENA_EMPTY;
	struct produce_request in;
	struct wire_fault fault;

	assert_false(decode_copy(&produce_request_message, 0, bytes, sizeof(bytes), &arena, &in, &fault));
	assert_string_equal(fault.where, "produce_request v0: topic_data[1].partition_data[0].records");
	assert_string_equal(fault.what, "needs 1000 bytes, 3 left");
	assert_int_equal(fault.offset, 32);
	arena_free(&arena);
}

static void
strings_are_views(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 2, 'x', 1, 0 };
	struct arena arena = ARENA_EMPTY;
	struct api_versions_request in;
	struct wire_fault fault;

	assert_true(decode(&api_versions_request_message, 3, bytes, sizeof(bytes), &arena, &in, &fault));
	assert_ptr_equal(in.client_software_name.at, bytes + 1);
	assert_int_equal(in.client_software_version.n, 0);
	assert_int_equal(arena.used, 0);
	arena_free(&arena);
}

static void
codes_that_nobody_named_yet(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	struct api_versions_response in;
	struct wire_fault fault;

	assert_true(
	    decode_copy(&api_versions_response_message, 0, "\x7f\xff\0\0\0\0", 6, &arena, &in, &fault));
	assert_int_equal(in.error_code, 32767);
	assert_true(
	    decode_copy(&api_versions_response_message, 0, "\xff\xff\0\0\0\0", 6, &arena, &in, &fault));
	assert_int_equal(in.error_code, ERR_UNKNOWN_SERVER_ERROR);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_encoded_is_decoded),
		cmocka_unit_test(no_prefix_is_enough_and_nothing_may_be_left),
		cmocka_unit_test(changed_bytes_do_no_harm),
		cmocka_unit_test(null_is_not_empty),
		cmocka_unit_test(elements_are_never_null),
		cmocka_unit_test(nullable_structs),
		cmocka_unit_test(unknown_tags_are_passed_over),
		cmocka_unit_test(tags_keep_to_their_size),
		cmocka_unit_test(hostile_counts),
		cmocka_unit_test(hostile_nesting_is_bounded),
		cmocka_unit_test(long_strings),
		cmocka_unit_test(versions_without_a_schema),
		cmocka_unit_test(the_path_leads_to_the_fault),
		cmocka_unit_test(strings_are_views),
		cmocka_unit_test(codes_that_nobody_named_yet),
	};

	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
