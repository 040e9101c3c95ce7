#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "common/protocol/protocol.h"
#include "protocol/messages.h"

static const uint8_t old[] = { 0, 3, 0, 1, 0, 0, 0, 7, 0, 2, 'm', 'e', 'B', 'O', 'D', 'Y' };
static const uint8_t flexible[] = { 0, 3, 0, 9, 0xff, 0xff, 0xff, 0xff, 0, 2, 'm', 'e', 0, 'B' };
static const uint8_t tagged[] = { 0, 3, 0, 9, 0, 0, 0, 7, 0, 0, 2, 0, 1, 'x', 5, 0, 'B' };

static void
expect_header(const uint8_t *at, size_t n, int length, int version, int correlation_id, const char *client_id)
{
	struct request_header header;
	struct wire_fault fault;

	assert_int_equal(request_header_decode(at, n, &header, &fault), length);
	assert_int_equal(header.api_key, 3);
	assert_int_equal(header.api_version, version);
	assert_int_equal(header.correlation_id, correlation_id);
	assert_str(header.client_id, client_id);
}

static void
all_request_headers(void **state)
{
	(void)state;
	static const uint8_t null_client[] = { 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff };
	static const uint8_t null_flexible[] = { 0, 3, 0, 9, 0, 0, 0, 7, 0xff, 0xff, 0 };

	expect_header(old, sizeof(old), 12, 1, 7, "me");
	expect_header(flexible, sizeof(flexible), 13, 9, -1, "me");
	expect_header(tagged, sizeof(tagged), 16, 9, 7, "");
	expect_header(null_client, sizeof(null_client), 10, 1, 7, NULL);
	expect_header(null_flexible, sizeof(null_flexible), 11, 9, 7, NULL);
}

/* From a block of just those bytes, so that a sanitizer sees a read beyond them. */
static int
decode_prefix(const uint8_t *at, size_t n, struct request_header *header, struct wire_fault *fault)
{
	uint8_t *copy = malloc(n + 1);
	int length;

	assert_non_null(copy);
	memcpy(copy + 1, at, n);
	length = request_header_decode(copy + 1, n, header, fault);
	free(copy);
	return length;
}

static void
cut_headers(void **state)
{
	(void)state;
	struct request_header header;
	struct wire_fault fault;

	for (size_t n = 0; n < 12; n++) {
		assert_int_equal(decode_prefix(old, n, &header, &fault), -1);
		assert_true(strncmp(fault.where, "request header: ", 16) == 0);
		if (n >= 4)
			assert_int_equal(header.api_key, 3);
		if (n >= 8)
			assert_int_equal(header.correlation_id, 7);
	}
	for (size_t n = 0; n < 16; n++)
		assert_int_equal(decode_prefix(tagged, n, &header, &fault), -1);
}

static void
senseless_client_ids(void **state)
{
	(void)state;
	static const uint8_t negative[] = { 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xfe, 'x' };
	static const uint8_t tags[] = { 0, 3, 0, 9, 0, 0, 0, 7, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f };
	struct request_header header;
	struct wire_fault fault;

	assert_int_equal(decode_prefix(negative, sizeof(negative), &header, &fault), -1);
	assert_string_equal(fault.where, "request header: client_id");
	assert_int_equal(decode_prefix(tags, sizeof(tags), &header, &fault), -1);
	assert_string_equal(fault.where, "request header: tagged fields");
}

/*
 * Of an API that nobody described only the part that all headers share is read, so that the log can name
 * it.
 */
static void
unknown_apis(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 0x03, 0xe7, 0, 9, 0, 0, 0, 7, 0, 1, 'c', 0, 1, 2 };
	struct request_header header;
	struct wire_fault fault;

	assert_null(api_find(999));
	assert_int_equal(request_header_decode(bytes, sizeof(bytes), &header, &fault), 11);
	assert_int_equal(header.api_key, 999);
	assert_str(header.client_id, "c");
}

static void
encoded_headers_are_decoded(void **state)
{
	(void)state;
	for (int i = 0; i < api_count; i++) {
		for (int16_t v = apis[i].min; v <= apis[i].max; v++) {
			struct request_header in = { apis[i].key, v, 77, v % 2 ? STR_NULL : STR("client") },
					      out;
			struct wire_fault fault;
			struct buf bytes = BUF_EMPTY;
			int32_t correlation_id;
			uint8_t response[8] = { 0, 0, 0, 9 };

			request_header_encode(&bytes, &apis[i], &in);
			assert_int_equal(
			    request_header_decode(buf_head(&bytes), buf_len(&bytes), &out, &fault),
			    buf_len(&bytes));
			assert_int_equal(out.api_key, in.api_key);
			assert_int_equal(out.api_version, in.api_version);
			assert_int_equal(out.correlation_id, 77);
			assert_true(str_eq(in.client_id, out.client_id));
			assert_int_equal(response_header_decode(response, 8, &apis[i], v, &correlation_id),
					 response_header_size(&apis[i], v));
			assert_int_equal(correlation_id, 9);
			buf_free(&bytes);
		}
	}
}

/* KIP-511: a client that asked in v3 may be answered in v0, and must be able to tell. */
static void
api_versions_has_no_tags_in_its_header(void **state)
{
	(void)state;
	const struct api *api = api_find(API_API_VERSIONS);

	for (int16_t v = api->min; v <= api->max; v++)
		assert_int_equal(response_header_size(api, v), 4);
	assert_int_equal(response_header_size(api_find(API_METADATA), 8), 4);
	assert_int_equal(response_header_size(api_find(API_METADATA), 9), 5);
}

static void
cut_response_headers(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 0, 0, 0, 1, 1, 0, 1, 'x' };
	const struct api *api = api_find(API_METADATA);
	int32_t correlation_id;

	assert_int_equal(response_header_decode(bytes, 8, api, 9, &correlation_id), 8);
	for (size_t n = 0; n < 8; n++)
		assert_int_equal(response_header_decode(bytes, n, api, 9, &correlation_id), -1);
	assert_int_equal(response_header_decode(bytes, 4, api, 8, &correlation_id), 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_request_headers),
		cmocka_unit_test(cut_headers),
		cmocka_unit_test(senseless_client_ids),
		cmocka_unit_test(unknown_apis),
		cmocka_unit_test(encoded_headers_are_decoded),
		cmocka_unit_test(api_versions_has_no_tags_in_its_header),
		cmocka_unit_test(cut_response_headers),
	};

	return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}
