#include "tests/lib/batches.h"

#include <stdlib.h>
#include <string.h>

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/varint.h"

#define JAVA_BLOCK_BYTES 32768

uint64_t
test_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

uint64_t
test_seed(void)
{
	const char *seed = getenv("FORKA_TEST_SEED");
	uint64_t n = seed != NULL ? strtoull(seed, NULL, 10) : 0;
	return n != 0 ? n * 0x9E3779B97F4A7C15ull | 1 : 88172645463325252ull;
}

/* --- compression ------------------------------------------------------------------------------------ */

static void
gzip(struct buf *out, const void *at, size_t n)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)at, .avail_in = (uInt)n };
	CHECK(deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	buf_reserve(out, n + n / 100 + 1024);
	z.next_out = buf_tail(out);
	z.avail_out = (uInt)buf_room(out);
	CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
	buf_grew(out, z.total_out);
	deflateEnd(&z);
}

static void
snappy_raw(struct buf *out, const void *at, size_t n)
{
	size_t room = snappy_max_compressed_length(n);
	buf_reserve(out, room);
	CHECK(snappy_compress(at, n, (char *)buf_tail(out), &room) == SNAPPY_OK);
	buf_grew(out, room);
}

static void
snappy_java_framed(struct buf *out, const uint8_t *at, size_t n)
{
	static const uint8_t header[16] = { 0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1 };
	buf_append(out, header, sizeof(header));
	while (n > 0) {
		size_t here = n < JAVA_BLOCK_BYTES ? n : JAVA_BLOCK_BYTES;
		struct buf block = BUF_EMPTY;
		snappy_raw(&block, at, here);
		uint8_t length[4];
		put_u32(length, (uint32_t)buf_len(&block));
		buf_append(out, length, sizeof(length));
		buf_append(out, buf_head(&block), buf_len(&block));
		buf_free(&block);
		at += here;
		n -= here;
	}
}

void
batches_compress(struct buf *out, enum batch_codec codec, const void *at, size_t n, bool snappy_java)
{
	size_t room;
	switch (codec) {
	case CODEC_GZIP:
		gzip(out, at, n);
		break;
	case CODEC_SNAPPY:
		if (snappy_java)
			snappy_java_framed(out, at, n);
		else
			snappy_raw(out, at, n);
		break;
	case CODEC_LZ4:
		buf_reserve(out, LZ4F_compressFrameBound(n, NULL));
		room = LZ4F_compressFrame(buf_tail(out), buf_room(out), at, n, NULL);
		CHECK(!LZ4F_isError(room));
		buf_grew(out, room);
		break;
	case CODEC_ZSTD:
		buf_reserve(out, ZSTD_compressBound(n));
		room = ZSTD_compress(buf_tail(out), buf_room(out), at, n, 1);
		CHECK(!ZSTD_isError(room));
		buf_grew(out, room);
		break;
	case CODEC_NONE:
		buf_append(out, at, n);
		break;
	}
}

/* --- records ---------------------------------------------------------------------------------------- */

static void
add_i32(struct buf *b, int32_t v)
{
	uint8_t raw[VARINT32_MAX];
	buf_append(b, raw, (size_t)varint_put_i32(raw, v));
}

static void
add_i64(struct buf *b, int64_t v)
{
	uint8_t raw[VARINT64_MAX];
	buf_append(b, raw, (size_t)varint_put_i64(raw, v));
}

static void
add_value(struct buf *b, int32_t n, uint64_t seed)
{
	add_i32(b, n);
	buf_reserve(b, (size_t)n);
	for (int32_t i = 0; i < n; i++)
		buf_tail(b)[i] = (uint8_t)(seed * 31 + (uint64_t)i * 7);
	buf_grew(b, (size_t)n);
}

static void
add_record(struct buf *b, const struct batch_spec *spec, int32_t i)
{
	struct buf body = BUF_EMPTY;
	uint8_t attributes = 0;
	buf_append(&body, &attributes, 1);
	add_i64(&body, spec->timestamp_step * i);
	add_i32(&body, i);
	if (spec->keyless) {
		add_i32(&body, -1);
	} else {
		add_i32(&body, 4);
		uint8_t key[4];
		put_u32(key, (uint32_t)i);
		buf_append(&body, key, sizeof(key));
	}
	add_value(&body, spec->value_bytes, spec->seed + (uint64_t)i);
	add_i32(&body, 0); /* headers */
	add_i32(b, (int32_t)buf_len(&body));
	buf_append(b, buf_head(&body), buf_len(&body));
	buf_free(&body);
}

void
batches_seal(struct buf *b)
{
	uint8_t *at = buf_head(b);
	put_u32(at + 17, crc32c(at + 21, buf_len(b) - 21));
}

void
batches_make(struct buf *b, const struct batch_spec *spec)
{
	int32_t count = spec->count > 0 ? spec->count : 1;
	struct buf records = BUF_EMPTY;
	for (int32_t i = 0; i < count; i++)
		add_record(&records, spec, i);
	uint8_t header[BATCH_HEADER_BYTES] = { [16] = 2 };
	buf_reset(b);
	buf_append(b, header, sizeof(header));
	batches_compress(b, spec->codec, buf_head(&records), buf_len(&records), false);
	buf_free(&records);

	int64_t last = spec->timestamp + spec->timestamp_step * (count - 1);
	uint8_t *at = buf_head(b);
	put_u32(at + 8, (uint32_t)buf_len(b) - 12);
	put_u32(at + 12, (uint32_t)-1);
	put_u16(at + 21, (uint16_t)spec->codec);
	put_u32(at + 23, (uint32_t)count - 1);
	put_u64(at + 27, (uint64_t)spec->timestamp);
	put_u64(at + 35, (uint64_t)(last > spec->timestamp ? last : spec->timestamp));
	put_u64(at + 43, spec->idempotent ? (uint64_t)spec->producer_id : UINT64_MAX);
	put_u16(at + 51, spec->idempotent ? (uint16_t)spec->producer_epoch : UINT16_MAX);
	put_u32(at + 53, spec->idempotent ? (uint32_t)spec->base_sequence : UINT32_MAX);
	put_u32(at + 57, (uint32_t)count);
	batches_seal(b);
}

struct batch
batches_check(const struct buf *b)
{
	struct batch_rules rules = { .max_bytes = INT32_MAX, .zstd_allowed = true };
	struct batch batch;
	struct batch_fault fault;
	CHECK(batch_check(buf_head(b), buf_len(b), &rules, &batch, &fault) == ERR_NONE);
	return batch;
}
