#include "storage/heads.h"

#include <stdlib.h>
#include <string.h>

#include "common/varint.h"

#define WINDOW_BYTES   (16 * 1024)
#define HEAD_BYTES_MAX (3 * VARINT32_MAX + VARINT64_MAX + 1)

void
heads_open(struct heads *h, const struct batch *batch, size_t max_bytes)
{
	const uint8_t *at = batch->at + BATCH_HEADER_BYTES, *end = batch->at + batch->bytes;
	*h = (struct heads){ .batch = batch, .at = at, .end = end };
	if (batch_codec(batch) == CODEC_NONE)
		return;
	h->stream = codec_stream_open(batch_codec(batch), at, (size_t)(end - at), max_bytes);
	h->window = malloc(WINDOW_BYTES);
	CHECK(h->window != NULL);
	h->at = h->end = h->window;
}

void
heads_close(struct heads *h)
{
	if (h->stream != NULL)
		codec_stream_close(h->stream);
	free(h->window);
}

size_t
heads_opened(const struct heads *h)
{
	return h->stream != NULL ? codec_stream_opened(h->stream) : 0;
}

/* As many bytes in the window as it takes, or as there are. */
static size_t
fill(struct heads *h, size_t wanted)
{
	size_t left = (size_t)(h->end - h->at);
	if (left >= wanted || h->stream == NULL)
		return left;
	memmove(h->window, h->at, left);
	left += codec_stream_read(h->stream, h->window + left, WINDOW_BYTES - left);
	h->at = h->window;
	h->end = h->window + left;
	return left;
}

/* Pass over the rest of the last record; false: it is not all there. */
static bool
skip(struct heads *h)
{
	while (h->skip > 0) {
		size_t here = fill(h, 1);
		if (here == 0)
			return false;
		int32_t n = here < (size_t)h->skip ? (int32_t)here : h->skip;
		h->at += n;
		h->skip -= n;
	}
	return true;
}

bool
heads_next(struct heads *h, struct record_head *out)
{
	if (h->damaged || h->given == h->batch->count)
		return false;
	h->damaged = !skip(h);
	if (h->damaged)
		return false;
	size_t n = fill(h, HEAD_BYTES_MAX);
	struct record_source from = { .at = h->at, .end = h->at + n };
	h->damaged = !record_read_head(&from, h->batch, out, &h->skip);
	h->at = from.at;
	h->given += !h->damaged;
	return !h->damaged;
}

enum codec_state
heads_end(struct heads *h)
{
	enum codec_state behind = CODEC_ENDED;
	bool whole = !h->damaged && skip(h) && fill(h, 1) == 0;
	if (h->stream != NULL)
		behind = codec_stream_state(h->stream);
	if (behind == CODEC_TOO_LARGE)
		return behind;
	return whole && behind == CODEC_ENDED ? CODEC_ENDED : CODEC_DAMAGED;
}
