#include "storage/batch.h"

#include "common/bytes.h"
#include "common/crc32c.h"
#include "storage/heads.h"
#include "storage/records.h"

#define LENGTH_AT        12 /* the length field counts from here */
#define CRC_FROM         21
#define CODEC_MAX        CODEC_ZSTD
#define RECORD_BYTES_MIN 7 /* length, attributes, two deltas, key, value, headers: a byte each */
/*
 * What a compressed batch may grow to when the gate opens it: far more than clients put into a batch (they
 * count its bytes before compression, 1 MB or some), and a fraction of a second's work.
 */
#define OPENED_BYTES_MAX ((size_t)64 * 1024 * 1024)

#define ATTR_LOG_APPEND_TIME 0x08
#define ATTR_TRANSACTIONAL   0x10
#define ATTR_CONTROL         0x20

bool
batch_is_log_append_time(const struct batch *b)
{
	return (b->attributes & ATTR_LOG_APPEND_TIME) != 0;
}

bool
batch_is_transactional(const struct batch *b)
{
	return (b->attributes & ATTR_TRANSACTIONAL) != 0;
}

bool
batch_is_control(const struct batch *b)
{
	return (b->attributes & ATTR_CONTROL) != 0;
}

const char *
batch_codec_name(enum batch_codec codec)
{
	static const char *const name[] = { "none", "gzip", "snappy", "lz4", "zstd" };
	return (size_t)codec < sizeof(name) / sizeof(name[0]) ? name[codec] : "unknown";
}

bool
batch_parse(const uint8_t *at, size_t n, struct batch *out)
{
	if (n < BATCH_HEADER_BYTES)
		return false;
	int64_t bytes = (int64_t)(int32_t)get_u32(at + 8) + LENGTH_AT;
	if (bytes < BATCH_HEADER_BYTES || bytes > INT32_MAX || (uint64_t)bytes > n)
		return false;
	*out = (struct batch){
		.at = at,
		.bytes = (int32_t)bytes,
		.base_offset = (int64_t)get_u64(at),
		.leader_epoch = (int32_t)get_u32(at + 12),
		.crc = get_u32(at + 17),
		.attributes = (int16_t)get_u16(at + 21),
		.last_offset_delta = (int32_t)get_u32(at + 23),
		.base_timestamp = (int64_t)get_u64(at + 27),
		.max_timestamp = (int64_t)get_u64(at + 35),
		.producer_id = (int64_t)get_u64(at + 43),
		.producer_epoch = (int16_t)get_u16(at + 51),
		.base_sequence = (int32_t)get_u32(at + 53),
		.count = (int32_t)get_u32(at + 57),
	};
	return true;
}

/* --- the gate --------------------------------------------------------------------------------------- */

static enum err
refuse(struct batch_fault *fault, enum err e, int32_t record, const char *why)
{
	*fault = (struct batch_fault){ .record = record, .why = why };
	return e;
}

/* Before anything else of the batch is believed. */
static enum err
check_frame(const uint8_t *at, size_t n, const struct batch_rules *rules, struct batch *out,
	    struct batch_fault *fault)
{
	if (n > 16 && (at[16] == 0 || at[16] == 1))
		return refuse(fault, ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, -1,
			      "message format 0 or 1, only 2 is taken");
	if (!batch_parse(at, n, out))
		return refuse(fault, ERR_CORRUPT_MESSAGE, -1,
			      "the batch is cut off, or its length cannot be");
	if (at[16] != 2)
		return refuse(fault, ERR_CORRUPT_MESSAGE, -1, "unknown message format");
	if ((size_t)out->bytes < n)
		return refuse(fault, ERR_INVALID_RECORD, -1, "more than one batch for a partition");
	if (out->bytes > rules->max_bytes)
		return refuse(fault, ERR_MESSAGE_TOO_LARGE, -1, "the batch is larger than max.message.bytes");
	if (crc32c(at + CRC_FROM, n - CRC_FROM) != out->crc)
		return refuse(fault, ERR_CORRUPT_MESSAGE, -1, "the checksum does not match");
	return ERR_NONE;
}

static enum err
check_header(const struct batch *b, const struct batch_rules *rules, struct batch_fault *fault)
{
	enum batch_codec codec = batch_codec(b);
	if (codec > CODEC_MAX)
		return refuse(fault, ERR_UNSUPPORTED_COMPRESSION_TYPE, -1, "unknown compression");
	if (codec == CODEC_ZSTD && !rules->zstd_allowed)
		return refuse(fault, ERR_UNSUPPORTED_COMPRESSION_TYPE, -1,
			      "zstd needs Produce version 7 or later");
	if (b->count <= 0 || b->last_offset_delta < 0)
		return refuse(fault, ERR_INVALID_RECORD, -1, "the batch has no records");
	if ((int64_t)b->last_offset_delta + 1 != b->count)
		return refuse(fault, ERR_INVALID_RECORD, -1, "record count and last offset delta disagree");
	if (batch_is_control(b))
		return refuse(fault, ERR_INVALID_RECORD, -1, "clients must not write control records");
	if (b->producer_id >= 0 && b->base_sequence < 0)
		return refuse(fault, ERR_INVALID_RECORD, -1, "a producer id without a sequence number");
	if (batch_is_log_append_time(b))
		return refuse(fault, ERR_INVALID_TIMESTAMP, -1,
			      "clients must not set the timestamp type LogAppendTime");
	return ERR_NONE;
}

/*
 * All records, one behind another up to the very end. Finds the greatest timestamp, which the header may
 * have wrong.
 */
static enum err
walk_plain(struct batch *b, const struct batch_rules *rules, struct batch_fault *fault)
{
	struct record_source r = { .at = b->at + BATCH_HEADER_BYTES, .end = b->at + b->bytes };
	if (b->count > (r.end - r.at) / RECORD_BYTES_MIN)
		return refuse(fault, ERR_INVALID_RECORD, -1, "more records than fit");
	int64_t max_timestamp = -1;
	for (int32_t i = 0; i < b->count; i++) {
		struct record record;
		if (!record_read(&r, b, &record))
			return refuse(fault, ERR_INVALID_RECORD, i, "the record's lengths cannot be");
		if (record.offset - b->base_offset != i)
			return refuse(fault, ERR_INVALID_RECORD, i,
				      "the record's offset delta is out of order");
		if (rules->keys_required && record.key.n < 0)
			return refuse(fault, ERR_INVALID_RECORD, i,
				      "a compacted topic takes no record without a key");
		if (record.timestamp > max_timestamp)
			max_timestamp = record.timestamp;
	}
	if (r.at != r.end)
		return refuse(fault, ERR_INVALID_RECORD, -1, "bytes behind the last record");
	b->max_timestamp = max_timestamp;
	return ERR_NONE;
}

static enum err
walk_keys(const struct batch *b, struct batch_fault *fault)
{
	struct heads heads;
	struct record_head head;
	int32_t n = 0;
	bool keyed = true;
	heads_open(&heads, b, OPENED_BYTES_MAX);
	while (keyed && heads_next(&heads, &head)) {
		keyed = head.key_bytes >= 0;
		n += keyed;
	}
	enum codec_state end = keyed ? heads_end(&heads) : CODEC_ENDED;
	heads_close(&heads);
	if (!keyed)
		return refuse(fault, ERR_INVALID_RECORD, n,
			      "a compacted topic takes no record without a key");
	if (end == CODEC_TOO_LARGE) /* a producer that can splits the batch and tries again */
		return refuse(fault, ERR_MESSAGE_TOO_LARGE, -1, "the batch is larger than 64 MB when opened");
	if (end != CODEC_ENDED)
		return refuse(fault, ERR_INVALID_RECORD, n,
			      "the compressed records cannot be opened, or the record's lengths cannot be");
	return ERR_NONE;
}

enum err
batch_check(const uint8_t *at, size_t n, const struct batch_rules *rules, struct batch *out,
	    struct batch_fault *fault)
{
	*fault = (struct batch_fault){ .record = -1, .why = "" };
	enum err e = check_frame(at, n, rules, out, fault);
	if (e == ERR_NONE)
		e = check_header(out, rules, fault);
	if (e != ERR_NONE)
		return e;
	if (batch_codec(out) == CODEC_NONE)
		return walk_plain(out, rules, fault);
	return rules->keys_required ? walk_keys(out, fault) : ERR_NONE;
}
