#include "tests/lib/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/protocol/describe.h"
#include "common/protocol/protocol.h"
#include "protocol/messages.h"
#include "tests/lib/sample.h"

/* NUL-terminated, so that it can be compared. */
static const char *
text_of(struct buf *out)
{
	buf_append(out, "", 1);
	return (const char *)buf_head(out);
}

static void
expect_description(const struct message *message, int16_t version, const void *at, size_t n, bool hex,
		   const char *expected)
{
	struct buf out = BUF_EMPTY;

	describe(message, version, at, n, hex, &out);
	assert_string_equal(text_of(&out), expected);
	buf_free(&out);
}

static void
with_and_without_hex(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 0, 0, 0,   7, 2, 4,    'g',  'r', 'p', 0, 0, 0,
					 1, 2, 'h', 0, 0, 0x23, 0x84, 0,   14,  0, 0, 0 };

	expect_description(&find_coordinator_response_message, 4, bytes, sizeof(bytes), false,
			   "find_coordinator_response v4, 24 bytes\n"
			   "throttle_time_ms: 7\n"
			   "coordinators: list of 1\n"
			   "coordinators[0]\n"
			   "  key: \"grp\"\n"
			   "  node_id: 1\n"
			   "  host: \"h\"\n"
			   "  port: 9092\n"
			   "  error_code: 14 COORDINATOR_LOAD_IN_PROGRESS\n"
			   "  error_message: null\n");
	expect_description(
	    &find_coordinator_response_message, 4, bytes, sizeof(bytes), true,
	    "find_coordinator_response v4, 24 bytes\n"
	    "0000  00 00 00 07              throttle_time_ms                7\n"
	    "0004  02                       coordinators                    list of 1\n"
	    "0005                           coordinators[0]\n"
	    "0005  04 67 72 70                key                           \"grp\"\n"
	    "0009  00 00 00 01                node_id                       1\n"
	    "000d  02 68                      host                          \"h\"\n"
	    "000f  00 00 23 84                port                          9092\n"
	    "0013  00 0e                      error_code                    14 COORDINATOR_LOAD_IN_PROGRESS\n"
	    "0015  00                         error_message                 null\n"
	    "0016  00                         tagged fields                 none\n"
	    "0017  00                       tagged fields                   none\n");
}

static void
tagged_fields(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 0, 35, 1, 0, 0, 0, 0, 2, 1,   8,   0,  0,
					 0, 0,  0, 0, 0, 5, 9, 3, 'a', 'b', 'c' };

	expect_description(
	    &api_versions_response_message, 3, bytes, sizeof(bytes), true,
	    "api_versions_response v3, 23 bytes\n"
	    "0000  00 23                    error_code                      35 UNSUPPORTED_VERSION\n"
	    "0002  01                       api_keys                        empty\n"
	    "0003  00 00 00 00              throttle_time_ms                0\n"
	    "0007  02                       tagged fields                   2\n"
	    "0008  01 08                    tag                             1\n"
	    "000a  00 00 00 00 00 00 00 05  finalized_features_epoch        5\n"
	    "0012  09 03 61 62 63           tag                             9, unknown, passed over\n");
}

static void
the_fault_comes_last(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 0, 3, 'g', 'r' };

	expect_description(&find_coordinator_request_message, 1, bytes, sizeof(bytes), false,
			   "find_coordinator_request v1, 4 bytes\n"
			   "!! find_coordinator_request v1: key: needs 3 bytes, 2 left (offset 2)\n");
	expect_description(&find_coordinator_request_message, 1, NULL, 0, true,
			   "find_coordinator_request v1, 0 bytes\n"
			   "!! find_coordinator_request v1: key: needs 2 bytes, 0 left (offset 0)\n");
}

static void
headers(void **state)
{
	(void)state;
	static const uint8_t request[] = {
		0, 18, 0, 3, 0, 0, 0, 5, 0, 2, 'm', 'e', 0, 2, 'n', 3, '1', '0', 0
	};
	static const uint8_t response[] = { 0, 0, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0 };
	struct buf out = BUF_EMPTY;
	struct request_header header;

	assert_true(describe_request(request, sizeof(request), true, &out, &header));
	assert_int_equal(header.api_version, 3);
	describe_response(api_find(header.api_key), header.api_version, response, sizeof(response), true,
			  &out);
	assert_string_equal(text_of(&out),
			    "ApiVersions request v3, 19 bytes\n"
			    "0000  00 12                    api_key                         18 ApiVersions\n"
			    "0002  00 03                    api_version                     3\n"
			    "0004  00 00 00 05              correlation_id                  5\n"
			    "0008  00 02 6d 65              client_id                       \"me\"\n"
			    "000c  00                       tagged fields                   none\n"
			    "000d  02 6e                    client_software_name            \"n\"\n"
			    "000f  03 31 30                 client_software_version         \"10\"\n"
			    "0012  00                       tagged fields                   none\n"
			    "ApiVersions response v3, 12 bytes\n"
			    "0000  00 00 00 05              correlation_id                  5\n"
			    "0004  00 00                    error_code                      0 NONE\n"
			    "0006  01                       api_keys                        empty\n"
			    "0007  00 00 00 00              throttle_time_ms                0\n"
			    "000b  00                       tagged fields                   none\n");
	buf_reset(&out);
	assert_false(describe_request(request, 9, true, &out, &header));
	assert_string_equal(text_of(&out),
			    "!! request header: client_id: needs 2 bytes, 1 left (offset 8)\n");
	buf_free(&out);
}

static void
whatever_bytes_are_printable(void **state)
{
	(void)state;
	uint8_t bytes[3 + 255] = { 0x80, 2 }; /* 255 characters */
	struct buf out = BUF_EMPTY;

	for (int i = 0; i < 255; i++)
		bytes[2 + i] = (uint8_t)(i * 7);
	describe(&api_versions_request_message, 3, bytes, sizeof(bytes), true, &out);
	for (size_t i = 0; i < buf_len(&out); i++)
		assert_true(buf_head(&out)[i] == '\n' ||
			    (buf_head(&out)[i] >= ' ' && buf_head(&out)[i] < 0x7f));
	assert_non_null(strstr(text_of(&out), "\"\\x00\\x07\\x0e\\x15\\x1c#*18?FMT[bipw~\\x85"));
	assert_non_null(strstr(text_of(&out), "... (255 bytes)\n"));
	buf_free(&out);
}

/* ---- record batches */

/* The description of produce_request v3's only records field, from "batch" on. */
static const char *
described_records(struct buf *out, struct bytes records)
{
	struct lines l = { .out = out, .start = records.at, .limit = 1 << 20 };

	describe_records(&l, 0, records.at, (size_t)records.n);
	return text_of(out);
}

static void
record_batches(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	struct buf out = BUF_EMPTY;

	assert_string_equal(described_records(&out, sample_batch(&arena, 42, 1)),
			    "batch[0]: 80 bytes\n"
			    "  base offset: 42\n"
			    "  batch length: 68\n"
			    "  partition leader epoch: -1\n"
			    "  magic: 2\n"
			    "  crc: 354fba91, right\n"
			    "  attributes: 0: codec none, timestamps CreateTime\n"
			    "  last offset delta: 0\n"
			    "  base timestamp: 1700000000000 (2023-11-14T22:13:20.000Z)\n"
			    "  max timestamp: 1700000000000 (2023-11-14T22:13:20.000Z)\n"
			    "  producer id: -1\n"
			    "  producer epoch: -1\n"
			    "  base sequence: -1\n"
			    "  records: 1\n"
			    "  record[0]: 18 bytes\n"
			    "    attributes: 0\n"
			    "    timestamp delta: 0\n"
			    "    offset delta: 0\n"
			    "    key: \"k0\"\n"
			    "    value: \"value-0\"\n"
			    "    headers: 1\n"
			    "    headers[0]: \"h\": null\n");
	buf_free(&out);
	arena_free(&arena);
}

static struct bytes
batch_with(struct arena *arena, size_t at, uint8_t value)
{
	struct bytes batch = sample_batch(arena, 0, 2);

	((uint8_t *)(uintptr_t)batch.at)[at] = value;
	return batch;
}

static void
expect_in_records(struct bytes batch, const char *expected)
{
	struct buf out = BUF_EMPTY;

	if (strstr(described_records(&out, batch), expected) == NULL)
		fail_msg("\"%s\" is not in\n%s", expected, (const char *)buf_head(&out));
	buf_free(&out);
}

static void
odd_batches(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	struct bytes batch = sample_batch(&arena, 7, 2);

	expect_in_records(batch_with(&arena, 22, 0x3c),
			  "codec zstd, timestamps LogAppendTime, transactional, control");
	expect_in_records(batch_with(&arena, 22, 1), "  compressed records: gzip, 38 bytes\n");
	expect_in_records(batch_with(&arena, 22, 0x20), "key: of a control record, too short");
	expect_in_records(batch_with(&arena, 30, 1), ", wrong: the bytes have ");
	expect_in_records(batch_with(&arena, 16, 1), "magic 1: a message format of old");
	expect_in_records(batch_with(&arena, 11, 40), "a length of 40, less than its header's");
	expect_in_records(batch_with(&arena, 61, 0x7f), "!!: a record of -64 bytes, 37 left");
	expect_in_records(batch_with(&arena, 65, 0x7e), "    !!: longer than the record\n");
	expect_in_records(batch_with(&arena, 76, 0), "    !!: bytes left over in the record\n");
	batch.n -= 1;
	expect_in_records(batch, "batch[0]: base offset 7, cut: 98 of 99 bytes\n");
	batch.n = 60;
	expect_in_records(batch, "batch[0]: cut after 60 bytes, within its header\n");
	arena_free(&arena);
}

static void
control_batches(void **state)
{
	(void)state;
	static const uint8_t record[] = { 32, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 0, 0 };
	struct arena arena = ARENA_EMPTY;
	struct bytes batch = sample_batch(&arena, 0, 1);
	uint8_t *at = (uint8_t *)(uintptr_t)batch.at;

	memcpy(at + 61, record, sizeof(record));
	batch.n = 61 + (int32_t)sizeof(record);
	put_u32(at + 8, (uint32_t)batch.n - 12);
	at[22] = 0x30;
	put_u32(at + 17, crc32c(at + 21, (size_t)batch.n - 21));
	expect_in_records(batch,
			  "    key: control: commit (1)\n    value: \"\\x00\\x00\\x00\\x00\\x00\\x00\"\n");
	at[69] = 0;
	expect_in_records(batch, "    key: control: abort (0)\n");
	arena_free(&arena);
}

/* ---- every shape */

/* No fault, printable, and offsets that never go back. */
static void
described(const struct message *message, int16_t version, uint64_t seed, bool plain)
{
	struct arena arena = ARENA_EMPTY;
	struct sample s = { .seed = seed, .version = version, .plain = plain, .arena = &arena };
	struct frame frame = FRAME_EMPTY;
	struct buf out = BUF_EMPTY;
	char *line, *rest;
	size_t last = 0;

	encode(message, version, sample_message(&s, message), &frame);
	describe(message, version, buf_head(&frame.bytes), buf_len(&frame.bytes), true, &out);
	rest = (char *)(uintptr_t)text_of(&out);
	assert_true(strlen(rest) == buf_len(&out) - 1);
	(void)strsep(&rest, "\n");
	while ((line = strsep(&rest, "\n")) != NULL && line[0] != '\0') {
		size_t offset = strtoul(line, NULL, 16);

		if (plain)
			assert_null(strstr(line, "!!"));
		assert_true(last <= offset && offset <= buf_len(&frame.bytes));
		last = offset;
	}
	buf_free(&out);
	frame_free(&frame);
	arena_free(&arena);
}

static void
every_shape(void **state)
{
	(void)state;
	for (int i = 0; i < api_count; i++) {
		for (int16_t v = apis[i].min; v <= apis[i].max; v++) {
			for (uint64_t seed = 0; seed < 6; seed++) {
				described(apis[i].request, v, seed, seed % 2 == 0);
				described(apis[i].response, v, seed, seed % 2 == 0);
			}
		}
	}
}

/* A million topics of two bytes each make more text than anybody reads. */
static void
long_texts_are_cut(void **state)
{
	(void)state;
	enum { N = 500000 };
	uint8_t *bytes = calloc(1, 4 + 2 * N);
	struct buf out = BUF_EMPTY;

	assert_non_null(bytes);
	put_u32(bytes, N);
	describe(&metadata_request_message, 1, bytes, 4 + 2 * N, true, &out);
	assert_true(buf_len(&out) < LINES_BYTES_MAX + 1000);
	assert_memory_equal(buf_tail(&out) - 13, "... and more\n", 13);
	buf_free(&out);
	free(bytes);
}

/* ---- golden frames: tests/frames/README.md says how they are written */

#define FRAMES "tests/frames"

static char *
read_file(const char *name)
{
	char path[512];
	FILE *in;
	char *text = calloc(1, 1 << 20);

	snprintf(path, sizeof(path), "%s/%s", FRAMES, name);
	in = fopen(path, "r");
	if (in == NULL || text == NULL)
		fail_msg("%s: cannot be read; unit tests run in the project's own folder", path);
	assert_true(fread(text, 1, (1 << 20) - 1, in) > 0);
	fclose(in);
	return text;
}

static size_t
parse_hex(char *text, uint8_t *out, size_t size)
{
	size_t n = 0;

	for (char *word = strtok(text, " \n"); word != NULL; word = strtok(NULL, " \n")) {
		assert_true(n < size && strlen(word) == 2);
		out[n++] = (uint8_t)strtoul(word, NULL, 16);
	}
	return n;
}

/*
 * What was decoded is encoded to the same bytes again, as these frames have no fields that we do not
 * know.
 */
static void
expect_same_bytes(const struct message *message, int16_t version, const uint8_t *at, size_t n)
{
	struct arena arena = ARENA_EMPTY;
	struct frame again = FRAME_EMPTY;
	struct wire_fault fault;
	void *in = arena_alloc(&arena, message_size(message));

	if (!decode(message, version, at, n, &arena, in, &fault))
		fail_msg("%s: %s", fault.where, fault.what);
	encode(message, version, in, &again);
	assert_int_equal(frame_size(&again), n);
	assert_memory_equal(buf_head(&again.bytes), at, n);
	frame_free(&again);
	arena_free(&arena);
}

static void
one_golden_frame(const char *name)
{
	static uint8_t bytes[1 << 16];
	char *text = read_file(name), *at = text, *kind, *expected = strstr(text, "\n\n");
	int key, version;
	size_t n;
	struct buf out = BUF_EMPTY;
	struct request_header header;
	struct wire_fault fault;

	while (*at == '#')
		at = strchr(at, '\n') + 1;
	kind = strsep(&at, "\n");
	if (expected == NULL || expected < at || sscanf(kind, "%*s %d %d", &key, &version) != 2)
		fail_msg("%s: wanted: comments, request|response KEY VERSION, hex, an empty line, text",
			 name);
	*expected = '\0';
	n = parse_hex(at, bytes, sizeof(bytes));
	if (strncmp(kind, "request", 7) == 0) {
		int length = request_header_decode(bytes, n, &header, &fault);

		assert_true(length > 0);
		assert_int_equal(header.api_key, key);
		assert_int_equal(header.api_version, version);
		expect_same_bytes(api_find(header.api_key)->request, header.api_version, bytes + length,
				  n - (size_t)length);
		describe_request(bytes, n, true, &out, &header);
	} else {
		const struct api *api = api_find((int16_t)key);
		size_t length = response_header_size(api, (int16_t)version);

		expect_same_bytes(api->response, (int16_t)version, bytes + length, n - length);
		describe_response(api, (int16_t)version, bytes, n, true, &out);
	}
	if (strcmp(text_of(&out), expected + 2) != 0)
		fail_msg("%s: expected\n%sgot\n%s", name, expected + 2, (const char *)buf_head(&out));
	buf_free(&out);
	free(text);
}

static void
golden_frames(void **state)
{
	(void)state;
	struct dirent **names;
	int n = scandir(FRAMES, &names, NULL, alphasort), found = 0;

	for (int i = 0; i < n; i++) {
		if (strstr(names[i]->d_name, ".frame") != NULL) {
			one_golden_frame(names[i]->d_name);
			found++;
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	assert_true(found >= 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_and_without_hex),
		cmocka_unit_test(tagged_fields),
		cmocka_unit_test(the_fault_comes_last),
		cmocka_unit_test(headers),
		cmocka_unit_test(whatever_bytes_are_printable),
		cmocka_unit_test(record_batches),
		cmocka_unit_test(odd_batches),
		cmocka_unit_test(control_batches),
		cmocka_unit_test(every_shape),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(golden_frames),
	};

	return cmocka_run_group_tests_name("describe", tests, NULL, NULL);
}
