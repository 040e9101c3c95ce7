/*
 * batch: one RecordBatch (message format v2, KIP-98), as clients send it and as the log keeps it.
 *
 *	byte  0 base offset i64      8 length i32 (of what follows)   12 leader epoch i32
 *	     16 magic i8 (2)        17 crc u32 (of 21..)              21 attributes i16
 *	     23 last offset delta   27 base timestamp i64             35 max timestamp i64
 *	     43 producer id i64     51 producer epoch i16             53 base sequence i32
 *	     57 record count i32    61 the records, compressed together or not at all
 *
 * The CRC begins behind base offset and leader epoch, so the broker stamps those two without computing it
 * again; all else stays exactly as it came. batch_check() is the gate: nothing that it refused is ever
 * stored.
 */
#ifndef STORAGE_BATCH_H
#define STORAGE_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/check.h"
#include "common/err.h"
#include "common/str.h"

#define BATCH_HEADER_BYTES 61

enum batch_codec { CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD };

/* A batch's header, decoded; `at` is a view of the whole batch, header included, `bytes` long. */
struct batch {
	const uint8_t *at;
	int32_t bytes;
	int64_t base_offset;
	int32_t leader_epoch;
	uint32_t crc;
	int16_t attributes;
	int32_t last_offset_delta;
	int64_t base_timestamp, max_timestamp; /* ms */
	int64_t producer_id;                   /* -1: not idempotent */
	int16_t producer_epoch;
	int32_t base_sequence;
	int32_t count;
};

static inline enum batch_codec
batch_codec(const struct batch *b)
{
	return (enum batch_codec)(b->attributes & 7);
}

bool batch_is_log_append_time(const struct batch *b);
bool batch_is_transactional(const struct batch *b);
bool batch_is_control(const struct batch *b);

/* Read the header's fields; no judgement but that 61 bytes are there and the length is whole and fits n. */
MUST_CHECK bool batch_parse(const uint8_t *at, size_t n, struct batch *out);

/* What a topic asks of the batches that it takes. */
struct batch_rules {
	int32_t max_bytes;  /* max.message.bytes */
	bool keys_required; /* cleanup.policy has compact */
	bool zstd_allowed;  /* false for Produce below v7 */
};

/* Why a batch was refused: the whole batch (record == -1), or this record of it (record_errors, KIP-467). */
struct batch_fault {
	int32_t record;
	const char *why; /* static text */
};

/*
 * Check that the n bytes at `at` are exactly one valid batch from a producer, and decode its header.
 * Uncompressed records are walked one by one (lengths, offset deltas, counts, keys where required);
 * compressed ones are opened only where keys are required, up to 64 MB, and only looked at for keys.
 *
 *	CORRUPT_MESSAGE                  cut, wrong CRC, a length that cannot be
 *	INVALID_RECORD                   more than one batch, control batch from a client, record without
 *	                                 key, bad deltas, lengths or counts, compression that is damaged
 *	UNSUPPORTED_FOR_MESSAGE_FORMAT   magic 0 or 1
 *	UNSUPPORTED_COMPRESSION_TYPE     zstd where not allowed, unknown codec
 *	MESSAGE_TOO_LARGE                over max_bytes, or over 64 MB when opened
 */
MUST_CHECK enum err batch_check(const uint8_t *at, size_t n, const struct batch_rules *rules,
				struct batch *out, struct batch_fault *fault);

/* One record within a batch. Views live as long as the batch and, where it was compressed, the reader. */
struct record {
	int64_t offset, timestamp; /* absolute; of a LogAppendTime batch its max timestamp */
	struct bytes key, value;   /* n == -1: null */
	int32_t header_count;
	struct bytes headers; /* encoded */
};

/*
 * Walk the records of a stored batch, opening its compression (libz, libsnappy raw and in Java's framing,
 * liblz4 frames, libzstd). Decompressed size is bounded by `max_bytes`. records_open -> records_next
 * until false -> records_failed? -> records_close
 */
struct record_reader;
MUST_CHECK enum err records_open(const struct batch *b, size_t max_bytes, struct record_reader **out);
bool records_next(struct record_reader *r, struct record *out);
bool records_failed(const struct record_reader *r); /* stopped by damage, not by the end */
void records_close(struct record_reader *r);

/* Names as Kafka's configuration has them: "none", "gzip", "snappy", "lz4", "zstd". */
const char *batch_codec_name(enum batch_codec codec);

#endif
