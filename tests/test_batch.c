/* The gate: what batch_check() takes and what it refuses, and that no bytes whatever do it harm. */
#include "storage/batch.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "tests/lib/batches.h"
#include "tests/lib/test.h"

static const struct batch_rules lenient = { .max_bytes = 1 << 20, .zstd_allowed = true };

static enum err
check(const struct buf *b, const struct batch_rules *rules, struct batch_fault *fault)
{
	struct batch batch;
	return batch_check(buf_head(b), buf_len(b), rules, &batch, fault);
}

static void
header_is_decoded(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	batches_make(&b, &(struct batch_spec){ .count = 3,
					       .value_bytes = 10,
					       .timestamp = 1000,
					       .timestamp_step = 5,
					       .idempotent = true,
					       .producer_id = 77,
					       .producer_epoch = 2,
					       .base_sequence = 9 });
	struct batch batch = batches_check(&b);
	assert_int_equal(batch.bytes, buf_len(&b));
	assert_int_equal(batch.count, 3);
	assert_int_equal(batch.last_offset_delta, 2);
	assert_int_equal(batch.base_timestamp, 1000);
	assert_int_equal(batch.max_timestamp, 1010);
	assert_int_equal(batch.producer_id, 77);
	assert_int_equal(batch.producer_epoch, 2);
	assert_int_equal(batch.base_sequence, 9);
	assert_int_equal(batch_codec(&batch), CODEC_NONE);
	assert_false(batch_is_control(&batch));
	assert_false(batch_is_transactional(&batch));
	assert_false(batch_is_log_append_time(&batch));
	buf_free(&b);
}

/* One change to a valid batch of three records, sealed again or not, and what must come of it. */
struct refusal {
	const char *what;
	int at, bytes;
	uint64_t value;
	bool seal;
	enum err err;
};

static void
put_bytes(uint8_t *at, int bytes, uint64_t value)
{
	for (int i = bytes - 1; i >= 0; i--, value >>= 8)
		at[i] = (uint8_t)value;
}

static void
refusals(void **state)
{
	(void)state;
	static const struct refusal table[] = {
		{ "nothing changed", 0, 0, 0, false, ERR_NONE },
		{ "base offset is not judged", 0, 8, 12345, false, ERR_NONE },
		{ "leader epoch is not judged", 12, 4, 77, false, ERR_NONE },
		{ "magic 0", 16, 1, 0, true, ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT },
		{ "magic 1", 16, 1, 1, true, ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT },
		{ "magic 3", 16, 1, 3, true, ERR_CORRUPT_MESSAGE },
		{ "length 0", 8, 4, 0, true, ERR_CORRUPT_MESSAGE },
		{ "length negative", 8, 4, 0xffffffff, true, ERR_CORRUPT_MESSAGE },
		{ "length beyond the end", 8, 4, 100000, true, ERR_CORRUPT_MESSAGE },
		{ "length huge", 8, 4, 0x7fffffff, true, ERR_CORRUPT_MESSAGE },
		{ "length short: a second batch", 8, 4, 60, true, ERR_INVALID_RECORD },
		{ "checksum", 17, 4, 1, false, ERR_CORRUPT_MESSAGE },
		{ "a byte of a record", 80, 1, 0xee, false, ERR_CORRUPT_MESSAGE },
		{ "codec 5", 21, 2, 5, true, ERR_UNSUPPORTED_COMPRESSION_TYPE },
		{ "control batch", 21, 2, 0x20, true, ERR_INVALID_RECORD },
		{ "timestamp type LogAppendTime", 21, 2, 0x08, true, ERR_INVALID_TIMESTAMP },
		{ "count 0", 57, 4, 0, true, ERR_INVALID_RECORD },
		{ "count negative", 57, 4, 0xffffffff, true, ERR_INVALID_RECORD },
		{ "count 2 of 3", 57, 4, 2, true, ERR_INVALID_RECORD },
		{ "last offset delta 5", 23, 4, 5, true, ERR_INVALID_RECORD },
		{ "last offset delta negative", 23, 4, 0xffffffff, true, ERR_INVALID_RECORD },
		{ "producer without sequence", 43, 8, 5, true, ERR_INVALID_RECORD },
		{ "first record's length", 61, 1, 0x7e, true, ERR_INVALID_RECORD },
		{ "first record's length 0", 61, 1, 0, true, ERR_INVALID_RECORD },
		{ "first record's offset delta", 64, 1, 2, true, ERR_INVALID_RECORD },
		{ "first record's key length", 65, 1, 0x7e, true, ERR_INVALID_RECORD },
		{ "first record's key length -2", 65, 1, 3, true, ERR_INVALID_RECORD },
	};
	struct buf b = BUF_EMPTY;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct refusal *t = &table[i];
		struct batch_fault fault;
		batches_make(&b, &(struct batch_spec){ .count = 3, .value_bytes = 20 });
		put_bytes(buf_head(&b) + t->at, t->bytes, t->value);
		if (t->seal)
			batches_seal(&b);
		enum err e = check(&b, &lenient, &fault);
		if (e != t->err)
			fail_msg("%s: %s instead of %s", t->what, err_name(e), err_name(t->err));
		assert_true((fault.why[0] == '\0') == (e == ERR_NONE));
	}
	buf_free(&b);
}

/* Counts that agree with each other but not with the records. */
static void
counts_that_records_do_not_bear_out(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	for (uint32_t count = 1; count <= 5; count++) {
		struct batch_fault fault;
		batches_make(&b, &(struct batch_spec){ .count = 3 });
		put_u32(buf_head(&b) + 23, count - 1);
		put_u32(buf_head(&b) + 57, count);
		batches_seal(&b);
		assert_int_equal(check(&b, &lenient, &fault), count == 3 ? ERR_NONE : ERR_INVALID_RECORD);
	}
	put_u32(buf_head(&b) + 23, INT32_MAX - 1);
	put_u32(buf_head(&b) + 57, INT32_MAX);
	batches_seal(&b);
	struct batch_fault fault;
	assert_int_equal(check(&b, &lenient, &fault), ERR_INVALID_RECORD);
	buf_free(&b);
}

static void
rules_are_kept(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	struct batch_fault fault;
	batches_make(&b, &(struct batch_spec){ .count = 3, .value_bytes = 100 });
	struct batch_rules rules = { .max_bytes = (int32_t)buf_len(&b) };
	assert_int_equal(check(&b, &rules, &fault), ERR_NONE);
	rules.max_bytes--;
	assert_int_equal(check(&b, &rules, &fault), ERR_MESSAGE_TOO_LARGE);

	batches_make(&b, &(struct batch_spec){ .count = 3, .codec = CODEC_ZSTD });
	rules = (struct batch_rules){ .max_bytes = 1 << 20 };
	assert_int_equal(check(&b, &rules, &fault), ERR_UNSUPPORTED_COMPRESSION_TYPE);
	rules.zstd_allowed = true;
	assert_int_equal(check(&b, &rules, &fault), ERR_NONE);
	buf_free(&b);
}

static void
compacted_topics_want_keys(void **state)
{
	(void)state;
	struct batch_rules rules = { .max_bytes = 1 << 20, .keys_required = true, .zstd_allowed = true };
	struct buf b = BUF_EMPTY;
	for (enum batch_codec codec = CODEC_NONE; codec <= CODEC_ZSTD; codec++) {
		struct batch_fault fault;
		batches_make(&b, &(struct batch_spec){ .count = 4, .value_bytes = 300, .codec = codec });
		assert_int_equal(check(&b, &rules, &fault), ERR_NONE);
		batches_make(&b, &(struct batch_spec){ .count = 4, .codec = codec, .keyless = true });
		assert_int_equal(check(&b, &rules, &fault), ERR_INVALID_RECORD);
		assert_int_equal(fault.record, 0);
	}
	buf_free(&b);
}

/* Opened to look at the keys, but not without bound. */
static void
bombs_are_refused_where_keys_are_wanted(void **state)
{
	(void)state;
	struct batch_rules rules = { .max_bytes = 64 << 20, .keys_required = true, .zstd_allowed = true };
	struct buf b = BUF_EMPTY;
	for (enum batch_codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		struct batch_fault fault;
		batches_make(&b, &(struct batch_spec){ .count = 7, .value_bytes = 10 << 20, .codec = codec });
		assert_int_equal(check(&b, &rules, &fault), ERR_MESSAGE_TOO_LARGE);
		batches_make(&b, &(struct batch_spec){ .count = 6, .value_bytes = 10 << 20, .codec = codec });
		assert_int_equal(check(&b, &rules, &fault), ERR_NONE);
	}
	buf_free(&b);
}

/* The header's greatest timestamp is a client's word; uncompressed records tell the truth. */
static void
greatest_timestamp_is_found(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	batches_make(&b, &(struct batch_spec){ .count = 3, .timestamp = 5000, .timestamp_step = 10 });
	put_u64(buf_head(&b) + 35, 1);
	batches_seal(&b);
	assert_int_equal(batches_check(&b).max_timestamp, 5020);
	buf_free(&b);
}

static void
every_prefix_is_refused(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	batches_make(&b, &(struct batch_spec){ .count = 3, .value_bytes = 30 });
	for (size_t n = 0; n < buf_len(&b); n++) {
		uint8_t *copy = malloc(n + 1); /* of exactly that size: a sanitizer sees a read beyond it */
		memcpy(copy, buf_head(&b), n);
		struct batch batch;
		struct batch_fault fault;
		assert_int_equal(batch_check(copy, n, &lenient, &batch, &fault), ERR_CORRUPT_MESSAGE);
		free(copy);
	}
	buf_free(&b);
}

/* Random damage, sealed so that it gets past the checksum: any answer will do, as long as it is one. */
static void
damage_does_no_harm(void **state)
{
	(void)state;
	struct batch_rules rules = { .max_bytes = 1 << 20, .keys_required = true, .zstd_allowed = true };
	uint64_t seed = test_seed();
	struct buf b = BUF_EMPTY;
	int refused = 0;
	for (int i = 0; i < 20000; i++) {
		struct batch_fault fault;
		batches_make(&b,
			     &(struct batch_spec){ .count = 1 + i % 5, .value_bytes = 40, .codec = i % 5 });
		for (uint64_t k = test_random(&seed) % 4; k < 4; k++) {
			size_t at = 21 + test_random(&seed) % (buf_len(&b) - 21);
			buf_head(&b)[at] = (uint8_t)test_random(&seed);
		}
		batches_seal(&b);
		refused += check(&b, &rules, &fault) != ERR_NONE;
	}
	assert_in_range(refused, 1000, 19000); /* it hits what matters, and what does not */
	buf_free(&b);
}

static void
codecs_have_names(void **state)
{
	(void)state;
	assert_string_equal(batch_codec_name(CODEC_NONE), "none");
	assert_string_equal(batch_codec_name(CODEC_ZSTD), "zstd");
	assert_string_equal(batch_codec_name((enum batch_codec)6), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_decoded),
		cmocka_unit_test(refusals),
		cmocka_unit_test(counts_that_records_do_not_bear_out),
		cmocka_unit_test(rules_are_kept),
		cmocka_unit_test(compacted_topics_want_keys),
		cmocka_unit_test(bombs_are_refused_where_keys_are_wanted),
		cmocka_unit_test(greatest_timestamp_is_found),
		cmocka_unit_test(every_prefix_is_refused),
		cmocka_unit_test(damage_does_no_harm),
		cmocka_unit_test(codecs_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
