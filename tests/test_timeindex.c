/* Searches by time, against a model that looks at every record. */
#include "storage/timeindex.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "storage/txn.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

#define RECORDS_MAX 20000

struct model {
	int64_t timestamp[RECORDS_MAX];
	int64_t batch_end[RECORDS_MAX]; /* of the batch that the record is in */
	int64_t n;
};

struct play {
	struct store_fixture f;
	struct topic topic;
	struct model model;
	uint64_t seed;
};

static void
add(struct play *p, struct store_txn *txn, const struct batch_spec *spec)
{
	struct append_result result;
	MUST(fixture_append_in(&p->f, txn, &p->topic, 0, spec, &result));
	struct model *m = &p->model;
	int64_t end = m->n + spec->count;
	for (int32_t i = 0; i < spec->count; i++) {
		m->timestamp[m->n] = spec->timestamp + spec->timestamp_step * i;
		m->batch_end[m->n++] = end;
	}
}

/* Timestamps that ascend by and large, with outliers to both sides, in batches of all codecs and sizes. */
static void
add_randomly(struct play *p, struct store_txn *txn, int64_t clock)
{
	uint64_t r = test_random(&p->seed);
	struct batch_spec spec = { .count = 1 + (int32_t)(r % 6),
				   .value_bytes = r % 7 == 0 ? 100000 : (int32_t)(r % 3000),
				   .codec = r % 5 < 2 ? (enum batch_codec)(r % 5) : CODEC_NONE,
				   .timestamp = clock + (int64_t)(test_random(&p->seed) % 50),
				   .timestamp_step = (int64_t)(test_random(&p->seed) % 7) - 2 };
	if (test_random(&p->seed) % 40 == 0)
		spec.timestamp += 100000; /* a clock that is fast */
	if (test_random(&p->seed) % 40 == 0)
		spec.timestamp /= 2; /* one that is slow */
	/* A compressed batch is not opened: its header must be right for the model to agree. */
	if (spec.codec != CODEC_NONE && spec.timestamp_step < 0)
		spec.timestamp_step = 0;
	add(p, txn, &spec);
}

static struct log_position
find(const struct model *m, int64_t start, int64_t timestamp, int64_t end)
{
	for (int64_t i = start; i < m->n && m->batch_end[i] <= end; i++)
		if (m->timestamp[i] >= timestamp)
			return (struct log_position){ i, m->timestamp[i] };
	return (struct log_position){ -1, -1 };
}

static struct log_position
find_max(const struct model *m, int64_t start, int64_t end)
{
	struct log_position best = { -1, -1 };
	for (int64_t i = start; i < m->n && m->batch_end[i] <= end; i++)
		if (m->timestamp[i] > best.timestamp)
			best = (struct log_position){ i, m->timestamp[i] };
	return best;
}

static void
assert_position(struct log_position is, struct log_position should)
{
	assert_int_equal(is.offset, should.offset);
	assert_int_equal(is.timestamp, should.timestamp);
}

static void
compare(struct play *p, struct store_txn *txn, int64_t start, int64_t end, int64_t timestamp)
{
	struct log_position found;
	MUST(log_find_time(txn, &p->topic, 0, timestamp, end, &found));
	assert_position(found, find(&p->model, start, timestamp, end));
}

static void
play_begin(struct play *p)
{
	memset(p, 0, sizeof(*p));
	p->seed = test_seed();
	fixture_begin(&p->f, DURABILITY_RELAXED);
	p->topic = fixture_topic(&p->f, "t", 2);
}

static void
searches_against_the_model(void **state)
{
	(void)state;
	static struct play p;
	play_begin(&p);
	for (int t = 0; t < 120; t++) {
		struct store_txn *txn = fixture_write(&p.f);
		for (int i = 0; i < 8; i++)
			add_randomly(&p, txn, 1000 + t * 40);
		fixture_commit(txn);
		arena_reset(&p.f.arena);
		p.topic.name = STR("t");
	}
	struct store_txn *txn = fixture_read(&p.f);
	struct log_position max;
	for (int i = 0; i < 1500; i++) {
		if (i % 50 == 49) { /* a transaction looks into so many bytes only */
			store_read_end(txn);
			txn = fixture_read(&p.f);
		}
		int64_t end = i % 2 == 0 ? p.model.n : (int64_t)(test_random(&p.seed) % (uint64_t)p.model.n);
		compare(&p, txn, 0, end, (int64_t)(test_random(&p.seed) % 8000));
		if (i % 11 != 0) /* of both kinds of end */
			continue;
		MUST(log_max_timestamp(txn, &p.topic, 0, end, &max));
		assert_position(max, find_max(&p.model, 0, end));
	}
	compare(&p, txn, 0, p.model.n, 0);
	compare(&p, txn, 0, p.model.n, 105799);
	compare(&p, txn, 0, p.model.n, INT64_MAX);
	store_read_end(txn);
	fixture_end(&p.f);
}

/*
 * The same after the front was let go: the first span's greatest timestamp may be that of a batch which
 * is no more.
 */
static void
searches_in_a_trimmed_log(void **state)
{
	(void)state;
	static struct play p;
	play_begin(&p);
	for (int t = 0; t < 60; t++) {
		struct store_txn *txn = fixture_write(&p.f);
		for (int i = 0; i < 8; i++)
			add_randomly(&p, txn, 1000 + t * 40);
		fixture_commit(txn);
	}
	struct clean_rules rules = { .retention_ms = -1,
				     .delete_by_default = true,
				     .producer_expiry_ms = -1 };
	for (int64_t keep = fixture_partition(&p.f, &p.topic, 0).bytes; keep > 0; keep -= 700000) {
		rules.retention_bytes = keep;
		fixture_clean(&p.f, &rules);
		int64_t start = fixture_partition(&p.f, &p.topic, 0).log_start;
		struct store_txn *txn = fixture_read(&p.f);
		struct log_position max;
		for (int i = 0; i < 100; i++)
			compare(&p, txn, start, p.model.n, (int64_t)(test_random(&p.seed) % 8000));
		MUST(log_max_timestamp(txn, &p.topic, 0, p.model.n, &max));
		assert_position(max, find_max(&p.model, start, p.model.n));
		store_read_end(txn);
	}
	fixture_end(&p.f);
}

/*
 * The front was let go by its offset, which may be within a batch, and nothing is freed yet. Times descend:
 * what is below the log start would be found first, and is the greatest.
 */
static void
searches_above_the_log_start(void **state)
{
	(void)state;
	static struct play p;
	play_begin(&p);
	for (int t = 0; t < 24; t++) {
		struct store_txn *txn = fixture_write(&p.f);
		add(&p, txn,
		    &(struct batch_spec){ .count = 4,
					  .value_bytes = 30000,
					  .codec = t % 3 == 0 ? CODEC_ZSTD : CODEC_NONE,
					  .timestamp = 9000 - t * 10 });
		fixture_commit(txn);
	}
	for (int64_t start = 0; start < p.model.n; start++) {
		struct store_txn *txn = fixture_write(&p.f);
		struct log_position max;
		MUST(log_trim(txn, &p.topic, 0, start));
		fixture_commit(txn);
		txn = fixture_read(&p.f);
		for (int64_t time = 0; time < 9500; time += 1500)
			compare(&p, txn, start, p.model.n, time);
		MUST(log_max_timestamp(txn, &p.topic, 0, p.model.n, &max));
		assert_position(max, find_max(&p.model, start, p.model.n));
		store_read_end(txn);
	}
	fixture_end(&p.f);
}

static void
an_empty_log_has_no_times(void **state)
{
	(void)state;
	static struct play p;
	play_begin(&p);
	struct store_txn *txn = fixture_read(&p.f);
	struct log_position found;
	MUST(log_find_time(txn, &p.topic, 1, 0, 0, &found));
	assert_position(found, (struct log_position){ -1, -1 });
	MUST(log_max_timestamp(txn, &p.topic, 1, 0, &found));
	assert_position(found, (struct log_position){ -1, -1 });
	assert_int_equal(log_find_time(txn, &p.topic, 2, 0, 0, &found), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	store_read_end(txn);
	fixture_end(&p.f);
}

/* The topic's clock instead of the producer's: header, checksum and answer agree. */
static void
log_append_time(void **state)
{
	(void)state;
	static struct play p;
	play_begin(&p);
	struct store_txn *txn = fixture_write(&p.f);
	batches_make(&p.f.batch, &(struct batch_spec){ .count = 3, .timestamp = 5 });
	struct batch batch = batches_check(&p.f.batch), stored;
	struct append_result result;
	MUST(log_append(txn, &p.topic, 0, buf_head(&p.f.batch), &batch, 7777, &result));
	assert_int_equal(result.log_append_time_ms, 7777);
	fixture_commit(txn);

	txn = fixture_read(&p.f);
	struct log_position found;
	MUST(log_find_time(txn, &p.topic, 0, 6, 3, &found));
	assert_position(found, (struct log_position){ 0, 7777 });
	struct log_slice slice;
	MUST(log_read(txn, &p.topic, 0, 0, 3, 10000, true, &p.f.arena, &slice));
	assert_true(batch_parse(slice.iov[0].iov_base, slice.iov[0].iov_len, &stored));
	assert_true(batch_is_log_append_time(&stored));
	assert_int_equal(stored.max_timestamp, 7777);
	store_read_end(txn);
	batches_seal(&p.f.batch); /* what was stamped is sealed already */
	assert_int_equal(get_u32(buf_head(&p.f.batch) + 17), stored.crc);
	fixture_end(&p.f);
}

/* Damage inside a compressed batch, which nobody opened before: an answer all the same. */
static void
a_damaged_batch_does_not_stop_a_search(void **state)
{
	(void)state;
	static struct play p;
	play_begin(&p);
	struct store_txn *txn = fixture_write(&p.f);
	batches_make(&p.f.batch, &(struct batch_spec){ .count = 3, .codec = CODEC_ZSTD, .timestamp = 50 });
	memset(buf_head(&p.f.batch) + BATCH_HEADER_BYTES, 0xff, 10);
	batches_seal(&p.f.batch);
	struct batch batch = batches_check(&p.f.batch);
	struct append_result result;
	MUST(log_append(txn, &p.topic, 0, buf_head(&p.f.batch), &batch, -1, &result));
	fixture_commit(txn);
	txn = fixture_read(&p.f);
	struct log_position found;
	MUST(log_find_time(txn, &p.topic, 0, 50, 3, &found));
	assert_position(found, (struct log_position){ 0, 50 });
	store_read_end(txn);
	fixture_end(&p.f);
}

/* Records of some MB, small when compressed, none of them as young as the header says. */
static void
add_bomb(struct play *p, enum batch_codec codec, int32_t count, int32_t value_bytes, int64_t header_max)
{
	struct store_txn *txn = fixture_write(&p->f);
	batches_make(&p->f.batch, &(struct batch_spec){ .count = count,
							.value_bytes = value_bytes,
							.codec = codec,
							.timestamp = 10,
							.timestamp_step = 1 });
	put_u64(buf_head(&p->f.batch) + 35, (uint64_t)header_max);
	batches_seal(&p->f.batch);
	struct batch batch = batches_check(&p->f.batch);
	struct append_result result;
	MUST(log_append(txn, &p->topic, 0, buf_head(&p->f.batch), &batch, -1, &result));
	fixture_commit(txn);
}

static void
assert_found(struct play *p, struct store_txn *txn, int64_t timestamp, int64_t offset,
	     int64_t found_timestamp)
{
	struct log_position found;
	MUST(log_find_time(txn, &p->topic, 0, timestamp, INT64_MAX, &found));
	assert_position(found, (struct log_position){ offset, found_timestamp });
}

/* However often a client asks: one transaction looks into so much, and then answers with whole batches. */
static void
a_transaction_opens_so_much_and_no_more(void **state)
{
	(void)state;
	for (enum batch_codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		static struct play p;
		play_begin(&p);
		add_bomb(&p, codec, 2, 20 << 20, 1000);
		fixture_append(&p.f, &p.topic, 0, &(struct batch_spec){ .timestamp = 1000 });
		for (int again = 0; again < 2; again++) {
			struct store_txn *txn = fixture_read(&p.f);
			assert_found(&p, txn, 500, 2, 1000);
			assert_in_range(txn->searched_bytes, 40 << 20, 48 << 20);
			assert_found(&p, txn, 500, 0, 1000); /* 24 MB are left */
			for (int i = 0; i < 100000; i++)
				assert_found(&p, txn, 500, 0, 1000);
			assert_int_equal(txn->searched_bytes, 64 << 20);
			store_read_end(txn);
		}
		fixture_end(&p.f);
	}
}

/* Nothing is opened behind the record that is found. */
static void
opening_ends_with_the_first_hit(void **state)
{
	(void)state;
	static const enum batch_codec codecs[] = { CODEC_GZIP, CODEC_LZ4, CODEC_ZSTD };
	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
		static struct play p;
		play_begin(&p);
		add_bomb(&p, codecs[i], 3, 10 << 20, 12);
		struct store_txn *txn = fixture_read(&p.f);
		assert_found(&p, txn, 5, 0, 10);
		assert_in_range(txn->searched_bytes, 1, 1 << 20);
		assert_found(&p, txn, 11, 1, 11);
		assert_in_range(txn->searched_bytes, 10 << 20, 12 << 20);
		store_read_end(txn);
		fixture_end(&p.f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(searches_against_the_model),
		cmocka_unit_test(searches_in_a_trimmed_log),
		cmocka_unit_test(searches_above_the_log_start),
		cmocka_unit_test(an_empty_log_has_no_times),
		cmocka_unit_test(log_append_time),
		cmocka_unit_test(a_damaged_batch_does_not_stop_a_search),
		cmocka_unit_test(a_transaction_opens_so_much_and_no_more),
		cmocka_unit_test(opening_ends_with_the_first_hit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
