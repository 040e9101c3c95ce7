/*
 * What log_append() put into the log, log_read() gives again: against a model that keeps every batch as
 * plain bytes, from every offset, for budgets and ends of all kinds.
 */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "storage/keys.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

#define PARTITIONS 3
#define BATCHES    400

/* One partition as it ought to be. */
struct model {
	struct buf bytes;
	struct {
		int64_t base, last;
		size_t at, n;
	} batch[BATCHES];
	int n;
	int64_t log_end;
};

struct log {
	struct store_fixture f;
	struct topic topic;
	struct model model[PARTITIONS];
	uint64_t seed;
};

static void
log_begin(struct log *l)
{
	memset(l, 0, sizeof(*l));
	fixture_begin(&l->f, DURABILITY_RELAXED);
	l->topic = fixture_topic(&l->f, "t", PARTITIONS);
	l->seed = test_seed();
}

static void
log_finish(struct log *l)
{
	for (int i = 0; i < PARTITIONS; i++)
		buf_free(&l->model[i].bytes);
	fixture_end(&l->f);
}

static void
add(struct log *l, struct store_txn *txn, int index, int32_t count, int32_t value_bytes)
{
	struct model *m = &l->model[index];
	batches_make(&l->f.batch, &(struct batch_spec){
				      .count = count, .value_bytes = value_bytes, .seed = (uint64_t)m->n });
	size_t n = buf_len(&l->f.batch);
	uint8_t *at = arena_alloc(&l->f.arena, n);
	memcpy(at, buf_head(&l->f.batch), n);
	struct batch batch = batches_check(&l->f.batch);
	struct append_result result;
	MUST(log_append(txn, &l->topic, index, at, &batch, -1, &result));
	assert_int_equal(result.base_offset, m->log_end);
	assert_false(result.duplicate);
	assert_int_equal(result.log_append_time_ms, -1);

	put_u64(buf_head(&l->f.batch), (uint64_t)m->log_end);
	put_u32(buf_head(&l->f.batch) + 12, 0);
	m->batch[m->n].base = m->log_end;
	m->batch[m->n].at = buf_len(&m->bytes);
	m->batch[m->n].n = n;
	m->log_end += count;
	m->batch[m->n++].last = m->log_end - 1;
	buf_append(&m->bytes, buf_head(&l->f.batch), n);
}

/* What a read must give: batches [*from, *to) of the model. */
static void
expect(const struct model *m, int64_t offset, int64_t end, int32_t max_bytes, bool at_least_one, int *from,
       int *to)
{
	*from = 0;
	while (*from < m->n && m->batch[*from].last < offset)
		++*from;
	int64_t sum = 0;
	for (*to = *from; *to < m->n && m->batch[*to].last < end; ++*to) {
		sum += (int64_t)m->batch[*to].n;
		if (sum > max_bytes && !(at_least_one && *to == *from))
			break;
	}
	if (offset >= end)
		*to = *from;
}

static void
assert_slice(const struct model *m, const struct log_slice *slice, int from, int to, int64_t offset)
{
	size_t n = 0, at = from < m->n ? m->batch[from].at : 0;
	for (int i = from; i < to; i++)
		n += m->batch[i].n;
	assert_int_equal(slice->bytes, n);
	assert_int_equal(slice->next_offset, to > from ? m->batch[to - 1].last + 1 : offset);
	size_t sum = 0;
	for (int32_t i = 0; i < slice->iov_n; i++) {
		assert_true(slice->iov[i].iov_len > 0 && slice->iov[i].iov_len <= ROW_BYTES);
		assert_true(sum + slice->iov[i].iov_len <= n);
		assert_memory_equal(slice->iov[i].iov_base, buf_head(&m->bytes) + at + sum,
				    slice->iov[i].iov_len);
		sum += slice->iov[i].iov_len;
	}
	assert_int_equal(sum, n);
}

static void
check_read(struct log *l, struct store_txn *txn, int index, int64_t offset, int64_t end, int32_t max_bytes,
	   bool at_least_one)
{
	struct arena arena = ARENA_EMPTY;
	struct log_slice slice;
	int from, to;
	MUST(log_read(txn, &l->topic, index, offset, end, max_bytes, at_least_one, &arena, &slice));
	expect(&l->model[index], offset, end, max_bytes, at_least_one, &from, &to);
	assert_slice(&l->model[index], &slice, from, to, offset);
	arena_free(&arena);
}

static void
read_all_ways(struct log *l, struct store_txn *txn)
{
	static const int32_t budgets[] = { 0,    1,    61,    100,   4079,   4080,
					   4081, 8160, 65280, 65281, 300000, INT32_MAX };
	for (int p = 0; p < PARTITIONS; p++) {
		struct model *m = &l->model[p];
		for (int64_t offset = 0; offset <= m->log_end; offset++) {
			int32_t budget = budgets[test_random(&l->seed) % 12];
			if (test_random(&l->seed) % 3 == 0)
				budget = (int32_t)(test_random(&l->seed) % 100000);
			int64_t end = m->log_end;
			if (test_random(&l->seed) % 3 == 0)
				end = (int64_t)(test_random(&l->seed) % (uint64_t)(m->log_end + 1));
			check_read(l, txn, p, offset, end, budget, test_random(&l->seed) % 2 == 0);
		}
		/* Budgets that end exactly at a batch, and a byte before. */
		for (int i = 0; i < m->n; i++) {
			int32_t exact = 0;
			for (int k = i; k < m->n && k < i + 6; k++) {
				exact += (int32_t)m->batch[k].n;
				check_read(l, txn, p, m->batch[i].base, m->log_end, exact, false);
				check_read(l, txn, p, m->batch[i].last, m->log_end, exact - 1, true);
			}
		}
	}
}

/* Sizes that make runs of many batches, of one, headers that straddle rows, and rows of every length. */
static int32_t
random_value_bytes(struct log *l)
{
	switch (test_random(&l->seed) % 8) {
	case 0:
		return (int32_t)(test_random(&l->seed) % 200000);
	case 1:
		return (int32_t)(3900 + test_random(&l->seed) % 200);
	case 2:
		return (int32_t)(test_random(&l->seed) % 20000);
	default:
		return (int32_t)(test_random(&l->seed) % 600);
	}
}

static void
random_log_against_the_model(void **state)
{
	(void)state;
	struct log l;
	log_begin(&l);
	for (int t = 0; t < 60; t++) {
		struct store_txn *txn = fixture_write(&l.f);
		for (uint64_t b = test_random(&l.seed) % 14; b < 14; b++) {
			int p = (int)(test_random(&l.seed) % PARTITIONS);
			if (l.model[p].n < BATCHES)
				add(&l, txn, p, 1 + (int32_t)(test_random(&l.seed) % 4),
				    random_value_bytes(&l));
		}
		/* A transaction sees its own appends, flushed early by the look at them. */
		if (t % 20 == 7)
			read_all_ways(&l, txn);
		fixture_commit(txn);
	}
	struct store_txn *txn = fixture_read(&l.f);
	read_all_ways(&l, txn);
	for (int p = 0; p < PARTITIONS; p++) {
		struct partition state_now;
		MUST(partition_state(txn, &l.topic, p, &state_now));
		assert_int_equal(state_now.log_end, l.model[p].log_end);
		assert_int_equal(state_now.bytes, buf_len(&l.model[p].bytes));
	}
	store_read_end(txn);
	log_finish(&l);
}

/* Batches of 1 to 300 bytes of records in one run: every alignment of a header against the ends of rows. */
static void
headers_straddle_rows(void **state)
{
	(void)state;
	struct log l;
	log_begin(&l);
	struct store_txn *txn = fixture_write(&l.f);
	for (int i = 0; i < 390; i++)
		add(&l, txn, 0, 1, i % 300);
	fixture_commit(txn);
	txn = fixture_read(&l.f);
	for (int64_t offset = 0; offset < 390; offset++)
		for (int32_t budget = 1; budget < 40000; budget += 1237)
			check_read(&l, txn, 0, offset, 390, budget, true);
	store_read_end(txn);
	log_finish(&l);
}

/* A batch of so many bytes, alone in its run. */
static void
add_run(struct log *l, int32_t bytes)
{
	int32_t value_bytes = bytes - 100;
	do {
		batches_make(&l->f.batch, &(struct batch_spec){ .count = 1, .value_bytes = value_bytes });
		value_bytes += bytes - (int32_t)buf_len(&l->f.batch);
	} while (buf_len(&l->f.batch) != (size_t)bytes);
	struct store_txn *txn = fixture_write(&l->f);
	add(l, txn, 0, 1, value_bytes);
	fixture_commit(txn);
}

/* Rows that lie among the keys are short: of a long rest and the row before it, two halves are made. */
static void
the_ends_of_runs(void **state)
{
	(void)state;
	static const struct {
		int32_t bytes, rows[4];
	} known[] = {
		{ 1990, { 1990 } },
		{ 4080, { 4080 } },
		{ 4080 + 200, { 4080, 200 } },
		{ 4080 + 1360, { 4080, 1360 } },
		{ 4080 + 1361, { 2721, 2720 } },
		{ 4080 + 2010, { 3045, 3045 } },
		{ 4080 + 2011, { 4080, 2011 } },
		{ 2 * 4080 + 1990, { 4080, 3035, 3035 } },
		{ 3 * 4080, { 4080, 4080, 4080 } },
	};
	struct log l;
	log_begin(&l);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		add_run(&l, known[i].bytes);
		struct store_txn *txn = fixture_read(&l.f);
		struct log_slice slice;
		MUST(log_read(txn, &l.topic, 0, (int64_t)i, (int64_t)i + 1, 1, true, &l.f.arena, &slice));
		assert_slice(&l.model[0], &slice, (int)i, (int)i + 1, (int64_t)i);
		for (int32_t k = 0; k < 4; k++)
			assert_int_equal(k < slice.iov_n ? slice.iov[k].iov_len : 0, known[i].rows[k]);
		store_read_end(txn);
	}
	log_finish(&l);
}

static void
outside_of_the_log(void **state)
{
	(void)state;
	struct log l;
	struct log_slice slice;
	log_begin(&l);
	struct store_txn *txn = fixture_write(&l.f);
	add(&l, txn, 1, 10, 10);
	fixture_commit(txn);
	txn = fixture_read(&l.f);
	assert_int_equal(log_read(txn, &l.topic, 1, -1, 10, 100, true, &l.f.arena, &slice),
			 ERR_OFFSET_OUT_OF_RANGE);
	assert_int_equal(log_read(txn, &l.topic, 1, 11, 10, 100, true, &l.f.arena, &slice),
			 ERR_OFFSET_OUT_OF_RANGE);
	assert_int_equal(log_read(txn, &l.topic, 9, 0, 10, 100, true, &l.f.arena, &slice),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(log_read(txn, &l.topic, -1, 0, 10, 100, true, &l.f.arena, &slice),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	/* Between the end that consumers may see and the log's own end there is nothing, yet. */
	assert_int_equal(log_read(txn, &l.topic, 1, 7, 5, 100, true, &l.f.arena, &slice), ERR_NONE);
	assert_int_equal(slice.bytes, 0);
	assert_int_equal(slice.next_offset, 7);
	/* Empty partitions can be read at 0. */
	assert_int_equal(log_read(txn, &l.topic, 0, 0, 0, 100, true, &l.f.arena, &slice), ERR_NONE);
	assert_int_equal(log_read(txn, &l.topic, 0, 1, 0, 100, true, &l.f.arena, &slice),
			 ERR_OFFSET_OUT_OF_RANGE);
	store_read_end(txn);
	log_finish(&l);
}

/* A snapshot does not move, however much is appended behind it. */
static void
snapshots_stand_still(void **state)
{
	(void)state;
	struct log l;
	log_begin(&l);
	struct store_txn *txn = fixture_write(&l.f);
	for (int i = 0; i < 20; i++)
		add(&l, txn, 0, 3, 1000);
	fixture_commit(txn);
	struct store_txn *old = fixture_read(&l.f);
	struct model before = l.model[0];
	for (int i = 0; i < 50; i++) {
		txn = fixture_write(&l.f);
		add(&l, txn, 0, 3, 1000);
		fixture_commit(txn);
		fixture_checkpoint(&l.f);
	}
	struct partition p;
	MUST(partition_state(old, &l.topic, 0, &p));
	assert_int_equal(p.log_end, before.log_end);
	struct log_slice slice;
	MUST(log_read(old, &l.topic, 0, 0, p.log_end, INT32_MAX, true, &l.f.arena, &slice));
	before.bytes = l.model[0].bytes;
	assert_slice(&before, &slice, 0, before.n, 0);
	store_read_end(old);
	log_finish(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_log_against_the_model),
		cmocka_unit_test(headers_straddle_rows),
		cmocka_unit_test(the_ends_of_runs),
		cmocka_unit_test(outside_of_the_log),
		cmocka_unit_test(snapshots_stand_still),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
