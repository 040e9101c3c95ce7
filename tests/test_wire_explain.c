#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/wire_explain.h"
#include "broker/wire_frames.h"
#include "common/bytes.h"
#include "protocol/messages.h"
#include "tests/lib/sample.h"

static char *
explained(struct wire_view view, const struct wire_message *m)
{
	char *text = NULL;
	size_t n = 0;

	view.out = open_memstream(&text, &n);
	assert_non_null(view.out);
	wire_explain(&view, m);
	fclose(view.out);
	return text;
}

static void
expect(const struct wire_message *m, const char *text)
{
	char *found = explained((struct wire_view){ 0 }, m);

	assert_string_equal(found, text);
	free(found);
}

static void
expect_brief(const struct wire_message *m, const char *text)
{
	char *found = explained((struct wire_view){ .brief = true }, m);

	assert_string_equal(found, text);
	free(found);
}

static struct wire_message
request(const void *frame, size_t n)
{
	struct wire_message m = {
		.way = WIRE_REQUEST, .at = frame, .n = n, .whole = n, .time_us = -1, .took_us = -1
	};

	wire_message_read(&m);
	return m;
}

static struct wire_message
response(const void *frame, size_t n, int16_t key, int16_t version)
{
	struct wire_message m = {
		.way = WIRE_RESPONSE, .at = frame, .n = n, .whole = n, .time_us = -1, .took_us = -1
	};

	m.is_known = key >= 0;
	m.api_key = key;
	m.api_version = version;
	wire_message_read(&m);
	return m;
}

/* A string literal's bytes without its NUL. */
#define BYTES(literal) (literal), sizeof(literal) - 1

static void
requests(void **state)
{
	(void)state;
	struct wire_message m = request(BYTES("\0\0\0\x16\0\x12\0\3\0\0\0\1\0\2me\0\4me1\0041.0\0"));

	expect(&m, "--- ApiVersions v3 request, id 1, 26 bytes, client \"me\"\n"
		   "      00 00 00 16              size                            22\n"
		   "0000  00 12                    api_key                         18 ApiVersions\n"
		   "0002  00 03                    api_version                     3\n"
		   "0004  00 00 00 01              correlation_id                  1\n"
		   "0008  00 02 6d 65              client_id                       \"me\"\n"
		   "000c  00                       tagged fields                   none\n"
		   "000d  04 6d 65 31              client_software_name            \"me1\"\n"
		   "0011  04 31 2e 30              client_software_version         \"1.0\"\n"
		   "0015  00                       tagged fields                   none\n"
		   "\n");
	m.connection = "#1 127.0.0.1:50412";
	m.time_us = 1700000000123456;
	expect_brief(
	    &m, "2023-11-14T22:13:20.123456Z  #1 127.0.0.1:50412 -> ApiVersions v3 request, id 1, 26 bytes, "
		"client \"me\"\n");
}

static void
bare_request(void **state)
{
	(void)state;
	struct wire_message m = { .at = (const uint8_t *)"\0\3\0\1\0\0\0\7\xff\xff\xff\xff\xff\xff",
				  .n = 14,
				  .whole = 14,
				  .bare = true,
				  .time_us = -1,
				  .took_us = -1 };

	wire_message_read(&m);
	expect(&m, "--- Metadata v1 request, id 7, 14 bytes, client null\n"
		   "0000  00 03                    api_key                         3 Metadata\n"
		   "0002  00 01                    api_version                     1\n"
		   "0004  00 00 00 07              correlation_id                  7\n"
		   "0008  ff ff                    client_id                       null\n"
		   "000a  ff ff ff ff              topics                          null\n"
		   "\n");
}

static void
responses(void **state)
{
	(void)state;
	struct find_coordinator_response out = { .error_code = ERR_COORDINATOR_NOT_AVAILABLE,
						 .error_message = STR_NULL,
						 .node_id = -1,
						 .host = STR(""),
						 .port = -1 };
	struct frame frame = FRAME_EMPTY;
	struct wire_message m;

	response_encode(api_find(API_FIND_COORDINATOR), 3, 7, &out, &frame);
	m = response(buf_head(&frame.bytes), buf_len(&frame.bytes), API_FIND_COORDINATOR, 3);
	m.took_us = 1500;
	expect(&m,
	       "--- FindCoordinator v3 response, id 7, 26 bytes, after 1.500 ms\n"
	       "      00 00 00 16              size                            22\n"
	       "0000  00 00 00 07              correlation_id                  7\n"
	       "0004  00                       tagged fields                   none\n"
	       "0005  00 00 00 00              throttle_time_ms                0\n"
	       "0009  00 0f                    error_code                      15 COORDINATOR_NOT_AVAILABLE\n"
	       "000b  00                       error_message                   null\n"
	       "000c  ff ff ff ff              node_id                         -1\n"
	       "0010  01                       host                            \"\"\n"
	       "0011  ff ff ff ff              port                            -1\n"
	       "0015  00                       tagged fields                   none\n"
	       "\n");
	m.took_us = 42;
	expect_brief(
	    &m,
	    "FindCoordinator v3 response, id 7, 26 bytes, after 42 us, error 15 COORDINATOR_NOT_AVAILABLE\n");
	frame_free(&frame);
}

/* The first error that is one is named; text that only looks like one is not. */
static void
errors_in_brief(void **state)
{
	(void)state;
	struct create_topics_response_topic topics[2] = {
		{ .name = STR("error_code: 3"), .error_message = STR_NULL },
		{ .name = STR("t"), .error_message = STR("no"), .error_code = ERR_INVALID_PARTITIONS }
	};
	struct create_topics_response out = { .topics = { topics, 2 } };
	struct frame frame = FRAME_EMPTY;
	struct wire_message m;

	response_encode(api_find(API_CREATE_TOPICS), 2, 1, &out, &frame);
	m = response(buf_head(&frame.bytes), buf_len(&frame.bytes), API_CREATE_TOPICS, 2);
	expect_brief(&m, "CreateTopics v2 response, id 1, 44 bytes, error 37 INVALID_PARTITIONS\n");
	frame_reset(&frame);
	out.topics.n = 1;
	response_encode(api_find(API_CREATE_TOPICS), 2, 1, &out, &frame);
	m = response(buf_head(&frame.bytes), buf_len(&frame.bytes), API_CREATE_TOPICS, 2);
	expect_brief(&m, "CreateTopics v2 response, id 1, 35 bytes\n");
	frame_free(&frame);
}

/* An ApiVersions that the broker does not know is answered in version 0, whatever was asked for (KIP-511). */
static void
api_versions_steps_down(void **state)
{
	(void)state;
	struct wire_message m =
	    response(BYTES("\0\0\0\x10\0\0\0\1\0\x23\0\0\0\1\0\x12\0\0\0\3"), API_API_VERSIONS, 99);

	expect(&m, "--- ApiVersions v99 response, id 1, 20 bytes\n"
		   "      00 00 00 10              size                            16\n"
		   "0000  00 00 00 01              correlation_id                  1\n"
		   "0004  00 23                    error_code                      35 UNSUPPORTED_VERSION\n"
		   "0006  00 00 00 01              api_keys                        list of 1\n"
		   "000a                           api_keys[0]\n"
		   "000a  00 12                      api_key                       18\n"
		   "000c  00 00                      min_version                   0\n"
		   "000e  00 03                      max_version                   3\n"
		   "\n");
}

static void
what_cannot_be_explained(void **state)
{
	(void)state;
	struct wire_message m = request(BYTES("\0\0\0\x0f\3\xe7\0\5\0\0\0\1\xff\xffHello"));

	expect(&m, "--- API 999 v5 request, id 1, 19 bytes, client null\n"
		   "      00 00 00 0f              size                            15\n"
		   "0000  03 e7                    api_key                         999 unknown\n"
		   "0002  00 05                    api_version                     5\n"
		   "0004  00 00 00 01              correlation_id                  1\n"
		   "0008  ff ff                    client_id                       null\n"
		   "000a  48 65 6c 6c 6f                                  Hello\n"
		   "\n");
	m = response(BYTES("\0\0\0\6\0\0\0\1\x1b!"), -1, 0);
	expect(&m, "--- response to a request that was not seen, id 1, 10 bytes\n"
		   "      00 00 00 06              size                            6\n"
		   "0000  00 00 00 01 1b 21                               .....!\n"
		   "\n");
	m = request(BYTES("\0\0\0\6\0\3\0\1\0\0"));
	expect(&m, "--- what is no request, id 0, 10 bytes\n"
		   "      00 00 00 06              size                            6\n"
		   "!! request header: correlation_id: needs 4 bytes, 2 left (offset 4)\n"
		   "0000  00 03 00 01 00 00                               ......\n"
		   "\n");
	m = request(BYTES("\0\0\0\x0c\0\x12\0\x63\0\0\0\1\0\2me"));
	assert_true(m.is_known);
	expect(&m, "--- ApiVersions v99 request, id 1, 16 bytes\n"
		   "      00 00 00 0c              size                            12\n"
		   "!! request header: tagged fields: need more bytes than there are, 0 left (offset 12)\n"
		   "0000  00 12 00 63 00 00 00 01 00 02 6d 65             ...c......me\n"
		   "\n");
	m = request(BYTES("\0\0\0\x0c\0\3\0\x63\0\0\0\1\xff\xff\0\0"));
	expect(&m, "--- Metadata v99 request, id 1, 16 bytes, client null\n"
		   "      00 00 00 0c              size                            12\n"
		   "0000  00 03                    api_key                         3 Metadata\n"
		   "0002  00 63                    api_version                     99\n"
		   "0004  00 00 00 01              correlation_id                  1\n"
		   "0008  ff ff                    client_id                       null\n"
		   "000a  00                       tagged fields                   none\n"
		   "!! metadata_request v99: the schema has v0 to v13 (offset 11)\n"
		   "000b  00                                              .\n"
		   "\n");
	m = response(BYTES("\0\0\0\0"), -1, 0);
	expect(&m, "--- response to a request that was not seen, id -1, 4 bytes\n"
		   "      00 00 00 00              size                            0\n"
		   "\n");
}

/* Nothing that a client calls itself can command a terminal. */
static void
hostile_names(void **state)
{
	(void)state;
	struct wire_message m =
	    request(BYTES("\0\0\0\x1a\0\3\0\1\0\0\0\1\0\x0c\x1b[2J\n\"\\\0\xc3\xa4me\0\0\0\0"));
	char frame[4 + 10 + 100 + 4] = "\0\0\0\x72\0\3\0\1\0\0\0\1\0\x64";

	expect_brief(
	    &m, "Metadata v1 request, id 1, 30 bytes, client \"\\x1b[2J\\x0a\\\"\\\\\\x00\\xc3\\xa4me\"\n");
	memset(frame + 14, 'a', 100);
	m = request(frame, sizeof(frame));
	expect_brief(&m, "Metadata v1 request, id 1, 118 bytes, client "
			 "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"...\n");
}

static void
heads_of_large_frames(void **state)
{
	(void)state;
	struct wire_message m = request(BYTES("\0\0\1\0\0\3\0\1\0\0\0\1\xff\xff\0\0\0\1\0\5ab"));
	char *found;

	m.whole = 260;
	found = explained((struct wire_view){ 0 }, &m);
	assert_non_null(strstr(found, "Metadata v1 request, id 1, 260 bytes"));
	assert_non_null(strstr(found, "needs 5 bytes, 2 left"));
	assert_non_null(strstr(found, "(22 bytes of 260 are here)\n"));
	free(found);
}

static void
followed_apis(void **state)
{
	(void)state;
	struct wire_view view = { .brief = true,
				  .follow = { api_find(API_FETCH), api_find(API_METADATA) },
				  .follow_n = 1 };
	struct wire_message m = request(BYTES("\0\0\0\x0e\0\3\0\1\0\0\0\7\xff\xff\0\0\0\0"));
	char *found = explained(view, &m);

	assert_string_equal(found, "");
	free(found);
	view.follow_n = 2;
	found = explained(view, &m);
	assert_string_equal(found, "Metadata v1 request, id 7, 18 bytes, client null\n");
	free(found);
	m.is_known = false;
	found = explained(view, &m);
	assert_string_equal(found, "");
	free(found);
}

static void
names_of_apis(void **state)
{
	(void)state;
	assert_ptr_equal(wire_api_named("FindCoordinator"), api_find(API_FIND_COORDINATOR));
	assert_ptr_equal(wire_api_named("findcoordinator"), api_find(API_FIND_COORDINATOR));
	assert_ptr_equal(wire_api_named("find_coordinator"), api_find(API_FIND_COORDINATOR));
	assert_ptr_equal(wire_api_named("10"), api_find(API_FIND_COORDINATOR));
	assert_ptr_equal(wire_api_named("0"), api_find(API_PRODUCE));
	assert_null(wire_api_named("010"));
	assert_null(wire_api_named(""));
	assert_null(wire_api_named("Find"));
}

/* The bytes that a line shows are those at its offset; and the lines reach exactly to the frame's end. */
static void
check_lines(const char *text, const struct wire_message *m)
{
	size_t reached = 0, size = m->n - WIRE_SIZE_BYTES;

	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
		unsigned offset, byte;
		int used = 0;

		if (strncmp(line, "!!", 2) == 0)
			fail_msg("%.200s", line);
		if (sscanf(line, "%4x%n", &offset, &used) != 1 || used != 4)
			continue;
		for (int i = 0; i < 8 && sscanf(line + 6 + 3 * i, "%2x%n", &byte, &used) == 1 && used == 2;
		     i++) {
			assert_true(offset + (unsigned)i < size);
			assert_int_equal(m->at[WIRE_SIZE_BYTES + offset + (unsigned)i], byte);
			reached = offset + (unsigned)i + 1;
		}
	}
	if (strstr(text, "..") == NULL)
		assert_int_equal(reached, size);
}

static void
check_message(const struct wire_message *m)
{
	char *text = explained((struct wire_view){ 0 }, m);
	char *brief = explained((struct wire_view){ .brief = true }, m);

	check_lines(text, m);
	assert_ptr_equal(strchr(brief, '\n'), brief + strlen(brief) - 1);
	assert_memory_equal(text + 4, brief, 20);
	free(text);
	free(brief);
}

static void
every_message(void **state)
{
	(void)state;
	for (int i = 0; i < api_count; i++) {
		const struct api *api = &apis[i];

		for (int16_t version = api->min; version <= api->max; version++) {
			struct arena arena = ARENA_EMPTY;
			struct sample s = {
				.seed = (uint64_t)version, .version = version, .plain = true, .arena = &arena
			};
			struct request_header header = { api->key, version, 77, STR("me") };
			struct frame answer = FRAME_EMPTY;
			struct buf question = BUF_EMPTY;
			struct wire_message m;

			request_encode(api, &header, sample_message(&s, api->request), &question);
			m = request(buf_head(&question), buf_len(&question));
			check_message(&m);
			response_encode(api, version, 77, sample_message(&s, api->response), &answer);
			m = response(buf_head(&answer.bytes), buf_len(&answer.bytes), api->key, version);
			check_message(&m);
			buf_free(&question);
			frame_free(&answer);
			arena_free(&arena);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(bare_request),
		cmocka_unit_test(responses),
		cmocka_unit_test(errors_in_brief),
		cmocka_unit_test(api_versions_steps_down),
		cmocka_unit_test(what_cannot_be_explained),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(heads_of_large_frames),
		cmocka_unit_test(followed_apis),
		cmocka_unit_test(names_of_apis),
		cmocka_unit_test(every_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
