#include "common/protocol/describe.h"

#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/varint.h"

/*
 * describe_records.c: record batches, for people. The broker itself looks at little more than the header
 * (storage/), and never at a single record unless it must.
 *
 * A batch of magic 2 (KIP-98), offsets of its header's fields:
 *
 *	 0 base offset int64                   27 base timestamp int64, in ms
 *	 8 length int32, of all after it       35 max timestamp int64
 *	12 partition leader epoch int32        43 producer id int64, -1 none
 *	16 magic int8                          51 producer epoch int16
 *	17 CRC-32C of all after it             53 base sequence int32
 *	21 attributes int16                    57 count of records int32
 *	23 last offset delta int32             61 records, compressed together
 */
#define HEADER_BYTES 61
#define LENGTH_END   12 /* length counts from here */
#define CRC_FROM     21

#define ATTRIBUTE_CODEC         0x07
#define ATTRIBUTE_LOG_APPEND    0x08
#define ATTRIBUTE_TRANSACTIONAL 0x10
#define ATTRIBUTE_CONTROL       0x20

/* A record being read; `at` never passes `end`. */
struct record {
	struct lines *lines;
	int depth;
	const uint8_t *at, *end;
	bool bad;
};

static const char *
codec_name(int attributes)
{
	static const char *const names[] = { "none", "gzip", "snappy", "lz4", "zstd", "5?", "6?", "7?" };

	return names[attributes & ATTRIBUTE_CODEC];
}

static void
fault(struct record *r, const char *what)
{
	if (!r->bad)
		line_add(r->lines, r->depth, "!!", r->at, r->at, "%s", what);
	r->bad = true;
	r->at = r->end;
}

static int64_t
take_varint(struct record *r)
{
	int64_t value = 0;
	int used = varint_get_i64(r->at, (size_t)(r->end - r->at), &value);

	if (used <= 0) {
		fault(r, "no varint");
		return 0;
	}
	r->at += used;
	return value;
}

static void
add_varint(struct record *r, const char *name)
{
	const uint8_t *from = r->at;
	int64_t value = take_varint(r);

	if (!r->bad)
		line_add(r->lines, r->depth, name, from, r->at, "%lld", (long long)value);
}

/* A key or value: a varint length, -1 null, and bytes. */
static const uint8_t *
take_blob(struct record *r, int32_t *n)
{
	int64_t length = take_varint(r);
	const uint8_t *blob = r->at;

	*n = -1;
	if (r->bad || length < 0)
		return NULL;
	if (length > r->end - r->at) {
		fault(r, "longer than the record");
		return NULL;
	}
	r->at += length;
	*n = (int32_t)length;
	return blob;
}

static void
add_blob(struct record *r, const char *name)
{
	char text[VALUE_TEXT];
	const uint8_t *from = r->at;
	int32_t n;
	const uint8_t *blob = take_blob(r, &n);

	if (!r->bad)
		line_add(r->lines, r->depth, name, from, r->at, "%s", quote(text, blob, n));
}

/* A control record's key: version int16, type int16. */
static void
add_control_key(struct record *r)
{
	const uint8_t *from = r->at;
	int32_t n;
	const uint8_t *key = take_blob(r, &n);
	int type;

	if (r->bad)
		return;
	if (n < 4) {
		line_add(r->lines, r->depth, "key", from, r->at, "of a control record, too short");
		return;
	}
	type = (int16_t)get_u16(key + 2);
	line_add(r->lines, r->depth, "key", from, r->at, "control: %s (%d)",
		 type == 0   ? "abort"
		 : type == 1 ? "commit"
			     : "other",
		 type);
}

static void
add_header(struct record *r, int64_t index)
{
	char key_text[VALUE_TEXT], value_text[VALUE_TEXT], name[40];
	const uint8_t *from = r->at;
	int32_t key_n, value_n;
	const uint8_t *key = take_blob(r, &key_n), *value = take_blob(r, &value_n);

	if (r->bad)
		return;
	snprintf(name, sizeof(name), "headers[%lld]", (long long)index);
	line_add(r->lines, r->depth, name, from, r->at, "%.120s: %.160s", quote(key_text, key, key_n),
		 quote(value_text, value, value_n));
}

static void
add_headers(struct record *r)
{
	const uint8_t *from = r->at;
	int64_t n = take_varint(r);

	if (r->bad)
		return;
	line_add(r->lines, r->depth, "headers", from, r->at, "%lld", (long long)n);
	for (int64_t i = 0; i < n && !r->bad; i++)
		add_header(r, i);
}

static void
add_record_fields(struct record *r, bool control)
{
	const uint8_t *from = r->at;

	if (r->at == r->end) {
		fault(r, "an empty record");
		return;
	}
	r->at++;
	line_add(r->lines, r->depth, "attributes", from, r->at, "%d", *from);
	add_varint(r, "timestamp delta");
	add_varint(r, "offset delta");
	if (control)
		add_control_key(r);
	else
		add_blob(r, "key");
	add_blob(r, "value");
	add_headers(r);
	if (!r->bad && r->at != r->end)
		fault(r, "bytes left over in the record");
}

/* Records until the batch ends, whatever its count says; the count was shown. */
static void
add_records(struct lines *l, int depth, const uint8_t *at, const uint8_t *end, bool control)
{
	for (int i = 0; at < end && !l->full; i++) {
		struct record length = { l, depth, at, end, false };
		int64_t n = take_varint(&length);
		struct record r = { l, depth + 1, length.at, length.at, false };
		char name[40];

		if (length.bad)
			return;
		if (n < 0 || n > end - length.at) {
			line_add(l, depth, "!!", at, length.at, "a record of %lld bytes, %td left",
				 (long long)n, end - length.at);
			return;
		}
		snprintf(name, sizeof(name), "record[%d]", i);
		line_add(l, depth, name, at, length.at, "%lld bytes", (long long)n);
		r.end += n;
		add_record_fields(&r, control);
		at = r.end;
	}
}

static void
add_attributes(struct lines *l, int depth, const uint8_t *at)
{
	int attributes = get_u16(at);

	line_add(l, depth, "attributes", at, at + 2, "%d: codec %s, timestamps %s%s%s", attributes,
		 codec_name(attributes), attributes & ATTRIBUTE_LOG_APPEND ? "LogAppendTime" : "CreateTime",
		 attributes & ATTRIBUTE_TRANSACTIONAL ? ", transactional" : "",
		 attributes & ATTRIBUTE_CONTROL ? ", control" : "");
}

static void
add_crc(struct lines *l, int depth, const uint8_t *at, size_t batch_bytes)
{
	uint32_t said = get_u32(at + 17), is = crc32c(at + CRC_FROM, batch_bytes - CRC_FROM);

	if (said == is)
		line_add(l, depth, "crc", at + 17, at + 21, "%08x, right", said);
	else
		line_add(l, depth, "crc", at + 17, at + 21, "%08x, wrong: the bytes have %08x", said, is);
}

static void
add_number(struct lines *l, int depth, const char *name, const uint8_t *at, int bytes)
{
	int64_t value = bytes == 2   ? (int16_t)get_u16(at)
			: bytes == 4 ? (int32_t)get_u32(at)
				     : (int64_t)get_u64(at);

	line_add(l, depth, name, at, at + bytes, "%lld", (long long)value);
}

static void
add_time(struct lines *l, int depth, const char *name, const uint8_t *at)
{
	char text[VALUE_TEXT];

	line_add(l, depth, name, at, at + 8, "%s", time_text(text, (int64_t)get_u64(at)));
}

static void
add_batch_header(struct lines *l, int depth, const uint8_t *at, size_t batch_bytes)
{
	add_number(l, depth, "base offset", at, 8);
	add_number(l, depth, "batch length", at + 8, 4);
	add_number(l, depth, "partition leader epoch", at + 12, 4);
	line_add(l, depth, "magic", at + 16, at + 17, "%d", at[16]);
	add_crc(l, depth, at, batch_bytes);
	add_attributes(l, depth, at + 21);
	add_number(l, depth, "last offset delta", at + 23, 4);
	add_time(l, depth, "base timestamp", at + 27);
	add_time(l, depth, "max timestamp", at + 35);
	add_number(l, depth, "producer id", at + 43, 8);
	add_number(l, depth, "producer epoch", at + 51, 2);
	add_number(l, depth, "base sequence", at + 53, 4);
	add_number(l, depth, "records", at + 57, 4);
}

static void
add_batch(struct lines *l, int depth, const uint8_t *at, size_t batch_bytes)
{
	int attributes = get_u16(at + 21);

	add_batch_header(l, depth, at, batch_bytes);
	if ((attributes & ATTRIBUTE_CODEC) != 0)
		line_add(l, depth, "compressed records", at + HEADER_BYTES, at + batch_bytes, "%s, %zu bytes",
			 codec_name(attributes), batch_bytes - HEADER_BYTES);
	else
		add_records(l, depth, at + HEADER_BYTES, at + batch_bytes,
			    (attributes & ATTRIBUTE_CONTROL) != 0);
}

/* One batch of at most n bytes; returns how many it took, 0 if what follows could not be found. */
static size_t
describe_batch(struct lines *l, int depth, int index, const uint8_t *at, size_t n)
{
	char name[40];
	int32_t length;

	snprintf(name, sizeof(name), "batch[%d]", index);
	if (n < HEADER_BYTES) {
		line_add(l, depth, name, at, at + n, "cut after %zu bytes, within its header", n);
		return 0;
	}
	length = (int32_t)get_u32(at + 8);
	if (at[16] != 2) {
		line_add(l, depth, name, at, at + HEADER_BYTES, "magic %d: a message format of old", at[16]);
		return 0;
	}
	if (length < HEADER_BYTES - LENGTH_END) {
		line_add(l, depth, name, at, at + HEADER_BYTES, "a length of %d, less than its header's",
			 length);
		return 0;
	}
	if ((size_t)length + LENGTH_END > n) {
		line_add(l, depth, name, at, at + n, "base offset %lld, cut: %zu of %zu bytes",
			 (long long)get_u64(at), n, (size_t)length + LENGTH_END);
		return 0;
	}
	line_add(l, depth, name, at, at, "%zu bytes", (size_t)length + LENGTH_END);
	add_batch(l, depth + 1, at, (size_t)length + LENGTH_END);
	return (size_t)length + LENGTH_END;
}

void
describe_records(struct lines *l, int depth, const uint8_t *at, size_t n)
{
	size_t used;

	for (int i = 0; n > 0 && !l->full; i++) {
		used = describe_batch(l, depth, i, at, n);
		if (used == 0)
			return;
		at += used;
		n -= used;
	}
}
