/* Records of stored batches, in every compression, whole and damaged. */
#include "storage/records.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "storage/codec.h"
#include "storage/heads.h"
#include "tests/lib/batches.h"
#include "tests/lib/test.h"

#define OPENED_MAX ((size_t)1 << 20)

static void
assert_heads(const struct batch *batch, const struct batch_spec *spec)
{
	struct heads heads;
	struct record_head head;
	int32_t n = 0;
	heads_open(&heads, batch, OPENED_MAX);
	for (; heads_next(&heads, &head); n++) {
		assert_int_equal(head.offset, batch->base_offset + n);
		assert_int_equal(head.timestamp, spec->timestamp + spec->timestamp_step * n);
		assert_int_equal(head.key_bytes, 4);
	}
	assert_int_equal(n, spec->count);
	assert_int_equal(heads_end(&heads), CODEC_ENDED);
	heads_close(&heads);
}

static void
assert_records(const struct batch *batch, const struct batch_spec *spec)
{
	struct record_reader *reader;
	struct record record;
	int32_t n = 0;
	assert_int_equal(records_open(batch, OPENED_MAX, &reader), ERR_NONE);
	for (; records_next(reader, &record); n++) {
		assert_int_equal(record.offset, batch->base_offset + n);
		assert_int_equal(record.timestamp, spec->timestamp + spec->timestamp_step * n);
		assert_int_equal(record.key.n, 4);
		assert_int_equal(get_u32(record.key.at), n);
		assert_int_equal(record.value.n, spec->value_bytes);
		for (int32_t i = 0; i < record.value.n; i++)
			assert_int_equal(record.value.at[i],
					 (uint8_t)((spec->seed + (uint64_t)n) * 31 + (uint64_t)i * 7));
		assert_int_equal(record.header_count, 0);
	}
	assert_int_equal(n, spec->count);
	assert_false(records_failed(reader));
	records_close(reader);
	assert_heads(batch, spec);
}

static void
all_codecs(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	for (enum batch_codec codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++) {
		struct batch_spec spec = { .count = 40,
					   .value_bytes = 700,
					   .codec = codec,
					   .timestamp = 1700000000000,
					   .timestamp_step = 3,
					   .seed = codec };
		batches_make(&b, &spec);
		put_u64(buf_head(&b), 1000);
		struct batch batch = batches_check(&b);
		assert_records(&batch, &spec);
	}
	buf_free(&b);
}

/* Replace the records of an uncompressed batch by what `squeeze` made of them. */
static void
recompress(struct buf *b, enum batch_codec codec, bool snappy_java, int parts)
{
	struct buf out = BUF_EMPTY;
	buf_append(&out, buf_head(b), BATCH_HEADER_BYTES);
	const uint8_t *at = buf_head(b) + BATCH_HEADER_BYTES;
	size_t left = buf_len(b) - BATCH_HEADER_BYTES;
	for (int i = parts; i > 0; i--) {
		size_t here = left / (size_t)i;
		batches_compress(&out, codec, at, here, snappy_java);
		at += here;
		left -= here;
	}
	buf_free(b);
	*b = out;
	put_u32(buf_head(b) + 8, (uint32_t)buf_len(b) - 12);
	put_u16(buf_head(b) + 21, (uint16_t)codec);
	batches_seal(b);
}

static void
other_framings(void **state)
{
	(void)state;
	static const struct {
		enum batch_codec codec;
		bool snappy_java;
		int parts;
	} ways[] = {
		{ CODEC_SNAPPY, true, 1 }, /* 70 KB: three blocks */
		{ CODEC_GZIP, false, 3 },  /* members in a row */
		{ CODEC_LZ4, false, 2 },   /* frames in a row */
		{ CODEC_ZSTD, false, 2 },
	};
	struct buf b = BUF_EMPTY;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct batch_spec spec = { .count = 100, .value_bytes = 700 };
		batches_make(&b, &spec);
		recompress(&b, ways[i].codec, ways[i].snappy_java, ways[i].parts);
		struct batch batch = batches_check(&b);
		assert_records(&batch, &spec);
	}
	buf_free(&b);
}

static void
log_append_time_holds_for_all(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	batches_make(&b, &(struct batch_spec){ .count = 3, .timestamp = 10, .timestamp_step = 1 });
	put_u16(buf_head(&b) + 21, 0x08);
	put_u64(buf_head(&b) + 35, 9999);
	struct batch batch;
	assert_true(batch_parse(buf_head(&b), buf_len(&b), &batch));
	struct record_reader *reader;
	struct record record;
	assert_int_equal(records_open(&batch, OPENED_MAX, &reader), ERR_NONE);
	while (records_next(reader, &record))
		assert_int_equal(record.timestamp, 9999);
	records_close(reader);
	buf_free(&b);
}

/* 64 MB of zeros in a few KB: refused at the bound, not opened. */
static void
bombs_do_not_go_off(void **state)
{
	(void)state;
	size_t n = (size_t)64 << 20;
	uint8_t *zeros = calloc(1, n), *out;
	struct buf b = BUF_EMPTY;
	for (enum batch_codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		buf_reset(&b);
		batches_compress(&b, codec, zeros, n, false);
		assert_int_equal(codec_open(codec, buf_head(&b), buf_len(&b), OPENED_MAX, &out, &n),
				 ERR_CORRUPT_MESSAGE);
		n = (size_t)64 << 20;
	}
	buf_free(&b);
	free(zeros);
}

static void
every_prefix_is_damage(void **state)
{
	(void)state;
	uint8_t plain[500], *out;
	size_t out_n;
	struct buf b = BUF_EMPTY;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * i);
	for (int way = CODEC_GZIP; way <= CODEC_ZSTD + 1; way++) {
		bool java = way > CODEC_ZSTD;
		enum batch_codec codec = java ? CODEC_SNAPPY : (enum batch_codec)way;
		buf_reset(&b);
		batches_compress(&b, codec, plain, sizeof(plain), java);
		for (size_t n = java ? 17 : 0; n < buf_len(&b);
		     n++) { /* Java's header alone is an empty stream */
			uint8_t *copy = malloc(n + 1);
			memcpy(copy, buf_head(&b), n);
			assert_int_equal(codec_open(codec, copy, n, OPENED_MAX, &out, &out_n),
					 ERR_CORRUPT_MESSAGE);
			free(copy);
		}
		assert_int_equal(codec_open(codec, buf_head(&b), buf_len(&b), OPENED_MAX, &out, &out_n),
				 ERR_NONE);
		assert_int_equal(out_n, sizeof(plain));
		assert_memory_equal(out, plain, sizeof(plain));
		free(out);
	}
	buf_free(&b);
}

/* Records that end too early, or go on behind the last. */
static void
damaged_records_are_told(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	for (int32_t claimed = 2; claimed <= 4; claimed++) {
		batches_make(&b, &(struct batch_spec){ .count = 3, .codec = CODEC_LZ4 });
		put_u32(buf_head(&b) + 57, (uint32_t)claimed);
		struct batch batch;
		assert_true(batch_parse(buf_head(&b), buf_len(&b), &batch));
		struct record_reader *reader;
		struct record record;
		int32_t n = 0;
		assert_int_equal(records_open(&batch, OPENED_MAX, &reader), ERR_NONE);
		while (records_next(reader, &record))
			n++;
		assert_int_equal(n, claimed < 3 ? claimed : 3);
		assert_int_equal(records_failed(reader), claimed != 3);
		records_close(reader);

		struct heads heads;
		struct record_head head;
		heads_open(&heads, &batch, OPENED_MAX);
		for (n = 0; heads_next(&heads, &head);)
			n++;
		assert_int_equal(n, claimed < 3 ? claimed : 3);
		assert_int_equal(heads_end(&heads), claimed == 3 ? CODEC_ENDED : CODEC_DAMAGED);
		heads_close(&heads);
	}
	buf_free(&b);
}

/* Whatever byte of a record is cut off or changed, heads stay within the batch. */
static void
damaged_heads_are_told(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	batches_make(&b, &(struct batch_spec){ .count = 2, .value_bytes = 3 });
	for (int32_t n = BATCH_HEADER_BYTES; n < (int32_t)buf_len(&b); n++) {
		uint8_t *copy =
		    malloc((size_t)n); /* of exactly that size: a sanitizer sees a read beyond it */
		memcpy(copy, buf_head(&b), (size_t)n);
		struct batch batch = { .at = copy, .bytes = n, .count = 2 };
		struct heads heads;
		struct record_head head;
		heads_open(&heads, &batch, OPENED_MAX);
		while (heads_next(&heads, &head))
			;
		assert_int_equal(heads_end(&heads), CODEC_DAMAGED);
		heads_close(&heads);
		free(copy);
	}
	buf_free(&b);
}

static void
headers_are_a_view(void **state)
{
	(void)state;
	/* length 20, no attributes, deltas 0, null key, value "v", 2 headers: "a" = "bc", "dd" = null */
	static const uint8_t raw[] = { 30, 0, 0, 0, 1, 2, 'v', 4, 2, 'a', 4, 'b', 'c', 4, 'd', 'd', 1 };
	uint8_t record_bytes[sizeof(raw)];
	memcpy(record_bytes, raw, sizeof(raw));
	record_bytes[0] = (sizeof(raw) - 1) * 2;
	struct record_source from = { .at = record_bytes, .end = record_bytes + sizeof(raw) };
	struct batch batch = { .base_offset = 5 };
	struct record record;
	assert_true(record_read(&from, &batch, &record));
	assert_int_equal(record.key.n, -1);
	assert_int_equal(record.value.n, 1);
	assert_int_equal(record.header_count, 2);
	assert_int_equal(record.headers.n, 9);
	assert_ptr_equal(record.headers.at, record_bytes + 8);

	record_bytes[8] = 1; /* a header's key must not be null */
	from = (struct record_source){ .at = record_bytes, .end = record_bytes + sizeof(raw) };
	assert_false(record_read(&from, &batch, &record));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_codecs),
		cmocka_unit_test(other_framings),
		cmocka_unit_test(log_append_time_holds_for_all),
		cmocka_unit_test(bombs_do_not_go_off),
		cmocka_unit_test(every_prefix_is_damage),
		cmocka_unit_test(damaged_records_are_told),
		cmocka_unit_test(damaged_heads_are_told),
		cmocka_unit_test(headers_are_a_view),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
