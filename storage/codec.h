/*
 * codec: open compressed records, all at once, into memory that never grows beyond a bound, whatever the
 * bytes claim.
 *
 *	gzip     any number of members in a row
 *	snappy   a raw block, or the framing of Java's snappy library: 16 bytes that begin with
 *	         82 53 4e 41 50 50 59 00, then blocks, each a big-endian u32 length and a raw block
 *	lz4      frames
 *	zstd     frames
 */
#ifndef STORAGE_CODEC_H
#define STORAGE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "storage/batch.h"

/* *out is malloc'd. CORRUPT_MESSAGE: damaged, or larger than max_bytes when opened. */
MUST_CHECK enum err codec_open(enum batch_codec codec, const uint8_t *at, size_t n, size_t max_bytes,
			       uint8_t **out, size_t *out_n);

#endif
