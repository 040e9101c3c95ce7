/*
 * codec: open compressed records, piece by piece or all at once; never more of them than a bound, whatever
 * the bytes claim.
 *
 *	gzip     any number of members in a row
 *	snappy   a raw block, or the framing of Java's snappy library: 16 bytes that begin with
 *	         82 53 4e 41 50 50 59 00, then blocks, each a big-endian u32 length and a raw block
 *	lz4      frames
 *	zstd     frames
 *
 * A stream holds what its library needs, tens of KB to a few hundred, and of snappy a block.
 *
 *	codec_stream_open -> codec_stream_read until it gives less than was asked for
 *	-> codec_stream_state: ended, or why not -> codec_stream_close
 */
#ifndef STORAGE_CODEC_H
#define STORAGE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "storage/batch.h"

enum codec_state {
	CODEC_MORE,
	CODEC_ENDED,
	CODEC_DAMAGED,
	CODEC_TOO_LARGE, /* than max_bytes */
};

struct codec_stream;
/* The n bytes at `at` must stay until codec_stream_close(). Never NULL; it may be damaged from the start. */
struct codec_stream *codec_stream_open(enum batch_codec codec, const uint8_t *at, size_t n, size_t max_bytes);
/* The next opened bytes, n of them unless the state is another than CODEC_MORE afterwards. */
size_t codec_stream_read(struct codec_stream *s, uint8_t *to, size_t n);
enum codec_state codec_stream_state(const struct codec_stream *s);
/* Bytes opened so far, those of a snappy block not yet read included. */
size_t codec_stream_opened(const struct codec_stream *s);
void codec_stream_close(struct codec_stream *s);

/* *out is malloc'd. CORRUPT_MESSAGE: damaged, or larger than max_bytes when opened. */
MUST_CHECK enum err codec_open(enum batch_codec codec, const uint8_t *at, size_t n, size_t max_bytes,
			       uint8_t **out, size_t *out_n);

#endif
