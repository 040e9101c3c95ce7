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
/* No raw block grows by more: the best of its elements makes 64 bytes of 3. */
#define SNAPPY_GROWTH_MAX 22

struct codec_stream {
	enum batch_codec codec;
	enum codec_state state;
	const uint8_t *at; /* compressed bytes not taken yet */
	size_t n;
	size_t max_bytes, opened;
	size_t hint; /* lz4, zstd; 0: at the end of a frame */
	z_stream gzip;
	LZ4F_dctx *lz4;
	ZSTD_DStream *zstd;
	struct {
		bool java, begun;
		uint8_t *block; /* the one that is being given */
		size_t n, given, cap;
	} snappy;
};

/* --- a step: at most `room` opened bytes to `to`; how many ------------------------------------------- */

static size_t
step_gzip(struct codec_stream *s, uint8_t *to, size_t room)
{
	z_stream *z = &s->gzip;
	z->next_in = (Bytef *)(uintptr_t)s->at;
	z->avail_in = (uInt)s->n;
	z->next_out = to;
	z->avail_out = (uInt)room;
	int rc = inflate(z, Z_NO_FLUSH);
	size_t given = room - z->avail_out;
	s->at += s->n - z->avail_in;
	s->n = z->avail_in;
	if (rc == Z_STREAM_END && s->n > 0)
		rc = inflateReset(z);
	if (rc != Z_OK)
		s->state = rc == Z_STREAM_END ? CODEC_ENDED : CODEC_DAMAGED;
	return given;
}

/* What a step with frames did: took `in` bytes and gave `given`. */
static size_t
framed(struct codec_stream *s, bool failed, size_t in, size_t given)
{
	s->at += in;
	s->n -= in;
	if (failed || (in == 0 && given == 0))
		s->state = CODEC_DAMAGED;
	else if (s->n == 0 && s->hint == 0)
		s->state = CODEC_ENDED;
	return failed ? 0 : given;
}

static size_t
step_lz4(struct codec_stream *s, uint8_t *to, size_t room)
{
	size_t in = s->n;
	s->hint = LZ4F_decompress(s->lz4, to, &room, s->at, &in, NULL);
	return framed(s, LZ4F_isError(s->hint), in, room);
}

static size_t
step_zstd(struct codec_stream *s, uint8_t *to, size_t room)
{
	ZSTD_inBuffer in = { .src = s->at, .size = s->n };
	ZSTD_outBuffer out = { .dst = to, .size = room };
	s->hint = ZSTD_decompressStream(s->zstd, &out, &in);
	return framed(s, ZSTD_isError(s->hint), in.pos, out.pos);
}

/* A raw block can only be opened whole. */
static enum codec_state
open_block(struct codec_stream *s, const char *at, size_t n)
{
	size_t opened;
	if (snappy_uncompressed_length(at, n, &opened) != SNAPPY_OK || opened / SNAPPY_GROWTH_MAX > n)
		return CODEC_DAMAGED;
	if (opened > s->max_bytes - s->opened)
		return CODEC_TOO_LARGE;
	if (opened > s->snappy.cap) {
		s->snappy.block = realloc(s->snappy.block, opened);
		CHECK(s->snappy.block != NULL);
		s->snappy.cap = opened;
	}
	if (opened > 0 && snappy_uncompress(at, n, (char *)s->snappy.block, &opened) != SNAPPY_OK)
		return CODEC_DAMAGED;
	s->snappy.n = opened;
	s->snappy.given = 0;
	s->opened += opened;
	return CODEC_MORE;
}

static enum codec_state
next_block(struct codec_stream *s)
{
	const uint8_t *at = s->at;
	size_t n = s->n;
	if (n == 0 && (s->snappy.java || s->snappy.begun))
		return CODEC_ENDED;
	if (s->snappy.java) {
		if (n < 4 || get_u32(at) > n - 4)
			return CODEC_DAMAGED;
		n = get_u32(at);
		at += 4;
	}
	s->n -= (size_t)(at - s->at) + n;
	s->at = at + n;
	s->snappy.begun = true;
	return open_block(s, (const char *)at, n);
}

static size_t
step_snappy(struct codec_stream *s, uint8_t *to, size_t room)
{
	size_t left = s->snappy.n - s->snappy.given;
	if (left == 0) {
		s->state = next_block(s);
		return 0;
	}
	if (left < room)
		room = left;
	memcpy(to, s->snappy.block + s->snappy.given, room);
	s->snappy.given += room;
	return room;
}

/* --- streams ---------------------------------------------------------------------------------------- */

static bool
begin(struct codec_stream *s)
{
	static const uint8_t java[8] = { 0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0 };
	switch (s->codec) {
	case CODEC_GZIP:
		return s->n <= UINT32_MAX && inflateInit2(&s->gzip, GZIP_WINDOW) == Z_OK;
	case CODEC_SNAPPY:
		s->snappy.java = s->n >= JAVA_HEADER_BYTES && memcmp(s->at, java, sizeof(java)) == 0;
		s->at += s->snappy.java ? JAVA_HEADER_BYTES : 0;
		s->n -= s->snappy.java ? JAVA_HEADER_BYTES : 0;
		return true;
	case CODEC_LZ4:
		return !LZ4F_isError(LZ4F_createDecompressionContext(&s->lz4, LZ4F_VERSION));
	case CODEC_ZSTD:
		s->zstd = ZSTD_createDStream();
		CHECK(s->zstd != NULL);
		return true;
	case CODEC_NONE:
		break;
	}
	return false;
}

struct codec_stream *
codec_stream_open(enum batch_codec codec, const uint8_t *at, size_t n, size_t max_bytes)
{
	struct codec_stream *s = malloc(sizeof(*s));
	CHECK(s != NULL);
	*s = (struct codec_stream){ .codec = codec, .at = at, .n = n, .max_bytes = max_bytes, .hint = 1 };
	s->state = begin(s) ? CODEC_MORE : CODEC_DAMAGED;
	return s;
}

static size_t
step(struct codec_stream *s, uint8_t *to, size_t room)
{
	if (s->codec == CODEC_SNAPPY)
		return step_snappy(s, to, room); /* counts whole blocks */
	if (room > s->max_bytes - s->opened)
		room = s->max_bytes - s->opened;
	if (room == 0) {
		s->state = CODEC_TOO_LARGE;
		return 0;
	}
	size_t given = s->codec == CODEC_GZIP  ? step_gzip(s, to, room)
		       : s->codec == CODEC_LZ4 ? step_lz4(s, to, room)
					       : step_zstd(s, to, room);
	s->opened += given;
	return given;
}

size_t
codec_stream_read(struct codec_stream *s, uint8_t *to, size_t n)
{
	size_t given = 0;
	while (s->state == CODEC_MORE && given < n)
		given += step(s, to + given, n - given);
	return given;
}

enum codec_state
codec_stream_state(const struct codec_stream *s)
{
	return s->state;
}

size_t
codec_stream_opened(const struct codec_stream *s)
{
	return s->opened;
}

void
codec_stream_close(struct codec_stream *s)
{
	inflateEnd(&s->gzip); /* does nothing where it was never begun; the same holds for the others */
	LZ4F_freeDecompressionContext(s->lz4);
	ZSTD_freeDStream(s->zstd);
	free(s->snappy.block);
	free(s);
}

/* --- all at once ------------------------------------------------------------------------------------ */

enum err
codec_open(enum batch_codec codec, const uint8_t *at, size_t n, size_t max_bytes, uint8_t **out,
	   size_t *out_n)
{
	struct codec_stream *s = codec_stream_open(codec, at, n, max_bytes);
	uint8_t *opened = NULL;
	size_t got = 0;
	for (size_t cap = 0; s->state == CODEC_MORE;) {
		if (got == cap) {
			cap = cap > 0 ? cap * 2 : GROW_FROM;
			uint8_t *larger = realloc(opened, cap);
			CHECK(larger != NULL);
			opened = larger;
		}
		got += codec_stream_read(s, opened + got, cap - got);
	}
	bool good = s->state == CODEC_ENDED;
	codec_stream_close(s);
	if (!good) {
		free(opened);
		return ERR_CORRUPT_MESSAGE;
	}
	*out = opened;
	*out_n = got;
	return ERR_NONE;
}
