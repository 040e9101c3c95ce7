#include "storage/records.h"

#include <stdlib.h>

#include "common/varint.h"
#include "storage/codec.h"

/*
 * A record (KIP-98): length varint (of what follows), attributes i8, timestamp delta varlong, offset
 * delta varint, key length varint and key, value length varint and value, header count varint, then per
 * header: key length varint, key, value length varint, value. Length -1 is null; a header's key is never
 * null.
 */

static struct bytes
fail(struct record_source *r)
{
	r->failed = true;
	r->at = r->end;
	return (struct bytes){ .at = r->at, .n = 0 };
}

/* The next n bytes. */
static inline struct bytes
read_bytes(struct record_source *r, int32_t n)
{
	if (n < 0 || n > r->end - r->at)
		return fail(r);
	const uint8_t *at = r->at;
	r->at += n;
	return (struct bytes){ .at = at, .n = n };
}

static int64_t
read_long(struct record_source *r, bool narrow)
{
	int64_t v = 0;
	int32_t v32 = 0;
	size_t n = (size_t)(r->end - r->at);
	int used = narrow ? varint_get_i32(r->at, n, &v32) : varint_get_i64(r->at, n, &v);
	if (used <= 0) {
		(void)fail(r);
		return 0;
	}
	r->at += used;
	return narrow ? v32 : v;
}

static inline int64_t
read_number(struct record_source *r, bool narrow)
{
	int32_t v;
	int used = varint_get_short(r->at, (size_t)(r->end - r->at), &v);
	if (used == 0)
		return read_long(r, narrow);
	r->at += used;
	return v;
}

static inline int32_t
read_i32(struct record_source *r)
{
	return (int32_t)read_number(r, true);
}

static inline int64_t
read_i64(struct record_source *r)
{
	return read_number(r, false);
}

static inline struct bytes
read_nullable(struct record_source *r)
{
	int32_t n = read_i32(r);
	if (n == -1)
		return (struct bytes){ .at = NULL, .n = -1 };
	return read_bytes(r, n);
}

static void
read_headers(struct record_source *r, struct record *out)
{
	const uint8_t *begin = r->at;
	for (int32_t i = 0; i < out->header_count && !r->failed; i++) {
		(void)read_bytes(r, read_i32(r));
		(void)read_nullable(r);
	}
	out->headers = (struct bytes){ .at = begin, .n = (int32_t)(r->at - begin) };
}

int64_t
record_offset(const struct batch *b, int32_t delta)
{
	return (int64_t)((uint64_t)b->base_offset + (uint64_t)(int64_t)delta);
}

int64_t
record_timestamp(const struct batch *b, int64_t delta_ms)
{
	return batch_is_log_append_time(b) ? b->max_timestamp
					   : (int64_t)((uint64_t)b->base_timestamp + (uint64_t)delta_ms);
}

bool
record_read(struct record_source *r, const struct batch *b, struct record *out)
{
	int32_t n = read_i32(r);
	struct bytes body = read_bytes(r, n);
	if (r->failed)
		return false;
	struct record_source in = { .at = body.at, .end = body.at + body.n };
	(void)read_bytes(&in, 1); /* attributes: none are in use */
	out->timestamp = record_timestamp(b, read_i64(&in));
	out->offset = record_offset(b, read_i32(&in));
	out->key = read_nullable(&in);
	out->value = read_nullable(&in);
	out->header_count = read_i32(&in);
	if (out->header_count < 0)
		in.failed = true;
	read_headers(&in, out);
	if (in.failed || in.at != in.end)
		r->failed = true;
	return !r->failed;
}

bool
record_read_head(struct record_source *r, const struct batch *b, struct record_head *out, int32_t *rest)
{
	int32_t n = read_i32(r);
	const uint8_t *body = r->at;
	(void)read_bytes(r, 1); /* attributes */
	out->timestamp = record_timestamp(b, read_i64(r));
	out->offset = record_offset(b, read_i32(r));
	out->key_bytes = read_i32(r);
	ptrdiff_t head = r->at - body;
	if (n < head || out->key_bytes < -1 || out->key_bytes > n - head)
		r->failed = true;
	*rest = r->failed ? 0 : n - (int32_t)head;
	return !r->failed;
}

struct record_reader {
	struct batch batch;
	struct record_source at;
	uint8_t *opened; /* where the batch was compressed */
	int32_t given;
};

enum err
records_open(const struct batch *b, size_t max_bytes, struct record_reader **out)
{
	const uint8_t *at = b->at + BATCH_HEADER_BYTES;
	size_t n = (size_t)b->bytes - BATCH_HEADER_BYTES;
	uint8_t *opened = NULL;
	if (batch_codec(b) != CODEC_NONE) {
		enum err e = codec_open(batch_codec(b), at, n, max_bytes, &opened, &n);
		if (e != ERR_NONE)
			return e;
		at = opened;
	}
	struct record_reader *r = malloc(sizeof(*r));
	CHECK(r != NULL);
	*r = (struct record_reader){ .batch = *b, .at = { .at = at, .end = at + n }, .opened = opened };
	*out = r;
	return ERR_NONE;
}

bool
records_next(struct record_reader *r, struct record *out)
{
	if (r->at.failed || r->given == r->batch.count)
		return false;
	r->given++;
	return record_read(&r->at, &r->batch, out);
}

bool
records_failed(const struct record_reader *r)
{
	return r->at.failed || (r->given == r->batch.count && r->at.at != r->at.end);
}

void
records_close(struct record_reader *r)
{
	free(r->opened);
	free(r);
}
