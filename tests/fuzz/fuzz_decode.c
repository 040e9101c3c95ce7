#include <stdint.h>
#include <string.h>

#include "common/bytes.h"
#include "common/protocol/protocol.h"
#include "tests/lib/sample.h"

/*
 * Input: key int16, version int16, a byte (odd: response), and a body. Whatever it is, decoding comes to
 * an end without harm; what is accepted is encoded, decoded again to the same, and encoded again to the
 * same bytes. Everything is described, too, with its header as well.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
explain(const struct message *message, int16_t version, const uint8_t *at, size_t n)
{
	struct buf out = BUF_EMPTY;

	describe(message, version, at, n, n % 2 == 0, &out);
	for (size_t i = 0; i < buf_len(&out); i++)
		CHECK(buf_head(&out)[i] == '\n' || (buf_head(&out)[i] >= ' ' && buf_head(&out)[i] < 0x7f));
	buf_free(&out);
}

static void
explain_frame(const uint8_t *at, size_t n)
{
	struct buf out = BUF_EMPTY;
	struct request_header header;

	(void)describe_request(at, n, n % 2 == 0, &out, &header);
	if (n >= 4 && api_find(header.api_key) != NULL)
		describe_response(api_find(header.api_key), header.api_version, at, n, true, &out);
	buf_free(&out);
}

static void
round_trip(const struct message *message, int16_t version, const void *first, struct arena *arena)
{
	struct frame once = FRAME_EMPTY, twice = FRAME_EMPTY;
	struct wire_fault fault;
	void *second = arena_alloc(arena, message_size(message));

	encode(message, version, first, &once);
	CHECK(decode(message, version, buf_head(&once.bytes), buf_len(&once.bytes), arena, second, &fault));
	CHECK(sample_equal(message, first, second));
	encode(message, version, second, &twice);
	CHECK(frame_size(&once) == frame_size(&twice));
	CHECK(memcmp(buf_head(&once.bytes), buf_head(&twice.bytes), frame_size(&once)) == 0);
	frame_free(&once);
	frame_free(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = ARENA_EMPTY;
	struct wire_fault fault;
	const struct api *api;
	const struct message *message;
	int16_t version;
	void *first;

	explain_frame(data, size);
	if (size < 5)
		return 0;
	api = api_find((int16_t)get_u16(data));
	if (api == NULL)
		return -1;
	version = (int16_t)get_u16(data + 2);
	message = data[4] % 2 == 0 ? api->request : api->response;
	first = arena_alloc(&arena, message_size(message));
	if (decode(message, version, data + 5, size - 5, &arena, first, &fault) && size > 5)
		round_trip(message, version, first, &arena);
	CHECK(arena.used < (size_t)512 * 1024 * 1024);
	explain(message, version, data + 5, size - 5);
	arena_free(&arena);
	return 0;
}
