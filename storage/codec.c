#include "storage/codec.h"

#include <stdlib.h>
#include <string.h>

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "common/bytes.h"

#define GROW_FROM         4096
#define JAVA_HEADER_BYTES 16
#define GZIP_WINDOW       (15 + 16) /* largest window; a gzip header, not zlib's */

/* What is written to: grows by doubling up to the bound. */
struct sink {
	uint8_t *at;
	size_t n, cap, max;
};

/* Room for at least one more byte; false at the bound. */
static bool
grow(struct sink *s)
{
	if (s->n < s->cap)
		return true;
	if (s->cap >= s->max)
		return false;
	size_t cap = s->cap > 0 ? s->cap * 2 : GROW_FROM;
	s->cap = cap < s->max ? cap : s->max;
	s->at = realloc(s->at, s->cap);
	CHECK(s->at != NULL);
	return true;
}

static bool
open_gzip(const uint8_t *at, size_t n, struct sink *out)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)at, .avail_in = (uInt)n };
	if (n > UINT32_MAX || inflateInit2(&z, GZIP_WINDOW) != Z_OK)
		return false;
	int rc = Z_OK;
	while (rc == Z_OK && grow(out)) {
		z.next_out = out->at + out->n;
		z.avail_out = (uInt)(out->cap - out->n);
		rc = inflate(&z, Z_NO_FLUSH);
		out->n = out->cap - z.avail_out;
		if (rc == Z_STREAM_END && z.avail_in > 0)
			rc = inflateReset(&z);
	}
	inflateEnd(&z);
	return rc == Z_STREAM_END;
}

static bool
open_raw_snappy(const uint8_t *at, size_t n, struct sink *out)
{
	size_t opened;
	if (snappy_uncompressed_length((const char *)at, n, &opened) != SNAPPY_OK ||
	    opened > out->max - out->n)
		return false;
	if (opened > out->cap - out->n) {
		out->cap = out->n + opened;
		out->at = realloc(out->at, out->cap);
		CHECK(out->at != NULL);
	}
	if (opened == 0)
		return true;
	if (snappy_uncompress((const char *)at, n, (char *)out->at + out->n, &opened) != SNAPPY_OK)
		return false;
	out->n += opened;
	return true;
}

static bool
open_snappy(const uint8_t *at, size_t n, struct sink *out)
{
	static const uint8_t java[8] = { 0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0 };
	if (n < JAVA_HEADER_BYTES || memcmp(at, java, sizeof(java)) != 0)
		return open_raw_snappy(at, n, out);
	for (at += JAVA_HEADER_BYTES, n -= JAVA_HEADER_BYTES; n > 0;) {
		if (n < 4 || get_u32(at) > n - 4)
			return false;
		size_t block = get_u32(at);
		if (!open_raw_snappy(at + 4, block, out))
			return false;
		at += 4 + block;
		n -= 4 + block;
	}
	return true;
}

static bool
open_lz4(const uint8_t *at, size_t n, struct sink *out)
{
	LZ4F_dctx *d;
	if (LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)))
		return false;
	size_t hint = 1; /* 0: at the end of a frame */
	bool good = true;
	while (good && (n > 0 || hint != 0) && grow(out)) {
		size_t in = n, room = out->cap - out->n;
		hint = LZ4F_decompress(d, out->at + out->n, &room, at, &in, NULL);
		good = !LZ4F_isError(hint) && (in > 0 || room > 0);
		at += in;
		n -= in;
		out->n += room;
	}
	LZ4F_freeDecompressionContext(d);
	return good && n == 0 && hint == 0;
}

static bool
open_zstd(const uint8_t *at, size_t n, struct sink *out)
{
	ZSTD_DStream *d = ZSTD_createDStream();
	CHECK(d != NULL);
	ZSTD_inBuffer in = { .src = at, .size = n };
	size_t hint = 1;
	bool good = true;
	while (good && (in.pos < in.size || hint != 0) && grow(out)) {
		ZSTD_outBuffer room = { .dst = out->at + out->n, .size = out->cap - out->n };
		size_t before = in.pos;
		hint = ZSTD_decompressStream(d, &room, &in);
		good = !ZSTD_isError(hint) && (in.pos > before || room.pos > 0);
		out->n += room.pos;
	}
	ZSTD_freeDStream(d);
	return good && in.pos == in.size && hint == 0;
}

enum err
codec_open(enum batch_codec codec, const uint8_t *at, size_t n, size_t max_bytes, uint8_t **out,
	   size_t *out_n)
{
	struct sink sink = { .max = max_bytes };
	bool good = false;
	switch (codec) {
	case CODEC_GZIP:
		good = open_gzip(at, n, &sink);
		break;
	case CODEC_SNAPPY:
		good = open_snappy(at, n, &sink);
		break;
	case CODEC_LZ4:
		good = open_lz4(at, n, &sink);
		break;
	case CODEC_ZSTD:
		good = open_zstd(at, n, &sink);
		break;
	case CODEC_NONE:
		break;
	}
	if (!good) {
		free(sink.at);
		return ERR_CORRUPT_MESSAGE;
	}
	*out = sink.at;
	*out_n = sink.n;
	return ERR_NONE;
}
