/*
 * Idempotence (KIP-98): what is a duplicate, what is out of order, and that both are known after a
 * restart.
 */
#include "storage/producers.h"

#include <string.h>

#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

#define SEQUENCE_MAX INT32_MAX

/* One append by one producer, and what must come of it. */
struct step {
	int64_t id;
	int16_t epoch;
	int32_t sequence, count;
	enum err err;
	bool duplicate;
	int64_t base_offset; /* where it succeeds */
};

static struct append_result
take_step(struct store_fixture *f, struct store_txn *txn, const struct topic *t, int index,
	  const struct step *s, int n)
{
	struct batch_spec spec = { .count = s->count,
				   .idempotent = true,
				   .producer_id = s->id,
				   .producer_epoch = s->epoch,
				   .base_sequence = s->sequence };
	struct append_result result = { 0 };
	enum err e = fixture_append_in(f, txn, t, index, &spec, &result);
	if (e != s->err)
		fail_msg("step %d: %s instead of %s", n, err_name(e), err_name(s->err));
	if (e == ERR_NONE && (result.duplicate != s->duplicate || result.base_offset != s->base_offset))
		fail_msg("step %d: offset %d, duplicate %d", n, (int)result.base_offset, result.duplicate);
	return result;
}

static const struct step history[] = {
	/* an unknown producer may begin anywhere */
	{ 7, 0, 0, 3, ERR_NONE, false, 0 },
	{ 8, 0, 41, 1, ERR_NONE, false, 3 },
	/* in order */
	{ 7, 0, 3, 2, ERR_NONE, false, 4 },
	{ 7, 0, 5, 1, ERR_NONE, false, 6 },
	/* retries of all three, in any order */
	{ 7, 0, 5, 1, ERR_NONE, true, 6 },
	{ 7, 0, 0, 3, ERR_NONE, true, 0 },
	{ 7, 0, 3, 2, ERR_NONE, true, 4 },
	{ 8, 0, 41, 1, ERR_NONE, true, 3 },
	/* a gap, an overlap, the right beginning with another count */
	{ 7, 0, 7, 1, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false, 0 },
	{ 7, 0, 4, 1, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false, 0 },
	{ 7, 0, 0, 2, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false, 0 },
	{ 8, 0, 43, 1, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false, 0 },
	/* an error changes nothing */
	{ 7, 0, 6, 1, ERR_NONE, false, 7 },
	{ 8, 0, 42, 1, ERR_NONE, false, 8 },
	/* the sixth batch pushes the first out: its retry cannot be told from an old sequence */
	{ 7, 0, 7, 1, ERR_NONE, false, 9 },
	{ 7, 0, 8, 1, ERR_NONE, false, 10 },
	{ 7, 0, 0, 3, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false, 0 },
	{ 7, 0, 3, 2, ERR_NONE, true, 4 },
	/* epochs */
	{ 7, 2, 5, 1, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false, 0 },
	{ 7, 2, 0, 1, ERR_NONE, false, 11 },
	{ 7, 2, 0, 1, ERR_NONE, true, 11 },
	{ 7, 1, 0, 1, ERR_INVALID_PRODUCER_EPOCH, false, 0 },
	{ 7, 0, 9, 1, ERR_INVALID_PRODUCER_EPOCH, false, 0 },
	{ 7, 0, 8, 1, ERR_INVALID_PRODUCER_EPOCH, false, 0 }, /* also what once was a duplicate */
	{ 7, 2, 1, 1, ERR_NONE, false, 12 },
	/* sequences begin again behind 2^31-1 */
	{ 9, 0, SEQUENCE_MAX - 2, 2, ERR_NONE, false, 13 },
	{ 9, 0, SEQUENCE_MAX, 1, ERR_NONE, false, 15 },
	{ 9, 0, 1, 1, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false, 0 },
	{ 9, 0, 0, 1, ERR_NONE, false, 16 },
	{ 9, 0, SEQUENCE_MAX, 1, ERR_NONE, true, 15 },
	/* and within a batch */
	{ 10, 0, SEQUENCE_MAX - 1, 4, ERR_NONE, false, 17 },
	{ 10, 0, SEQUENCE_MAX - 1, 4, ERR_NONE, true, 17 },
	{ 10, 0, 3, 1, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false, 0 },
	{ 10, 0, 2, 1, ERR_NONE, false, 21 },
};
#define STEPS ((int)(sizeof(history) / sizeof(history[0])))

enum pace { ALL_IN_ONE, EACH_ITS_OWN, RESTARTS };

/* The answers are the same whether the steps share a transaction, or a process. */
static void
go(enum pace pace)
{
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 2);
	struct store_txn *txn = fixture_write(&f);
	for (int i = 0; i < STEPS; i++) {
		take_step(&f, txn, &t, 1, &history[i], i);
		if (pace == ALL_IN_ONE)
			continue;
		fixture_commit(txn);
		if (pace == RESTARTS) {
			fixture_close(&f, i % 2 == 0);
			fixture_open(&f);
		}
		txn = fixture_write(&f);
	}
	fixture_commit(txn);
	assert_int_equal(fixture_partition(&f, &t, 1).log_end, 22);
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 0);
	fixture_end(&f);
}

static void
within_one_transaction(void **state)
{
	(void)state;
	go(ALL_IN_ONE);
}

static void
over_transactions(void **state)
{
	(void)state;
	go(EACH_ITS_OWN);
}

static void
over_restarts(void **state)
{
	(void)state;
	go(RESTARTS);
}

static void
aborting_forgets(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	static const struct step first = { 1, 0, 0, 5, ERR_NONE, false, 0 };
	struct store_txn *txn = fixture_write(&f);
	take_step(&f, txn, &t, 0, &first, 0);
	store_abort(txn);
	txn = fixture_write(&f);
	take_step(&f, txn, &t, 0, &first, 1); /* not a duplicate */
	fixture_commit(txn);
	fixture_end(&f);
}

static void
partitions_do_not_share(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 2);
	static const struct step first = { 1, 0, 0, 5, ERR_NONE, false, 0 };
	struct store_txn *txn = fixture_write(&f);
	take_step(&f, txn, &t, 0, &first, 0);
	take_step(&f, txn, &t, 1, &first, 1);
	fixture_commit(txn);
	fixture_end(&f);
}

/*
 * A duplicate's answer promises what the original's did: its commit number is one that covers the
 * original.
 */
static void
a_duplicate_waits_for_its_original(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	static const struct step first = { 1, 0, 0, 5, ERR_NONE, false, 0 },
				 again = { 1, 0, 0, 5, ERR_NONE, true, 0 };
	struct store_txn *txn = fixture_write(&f);
	take_step(&f, txn, &t, 0, &first, 0);
	uint64_t original = fixture_commit(txn);
	assert_false(store_is_durable(f.store, original));
	txn = fixture_write(&f);
	take_step(&f, txn, &t, 0, &again, 1);
	assert_int_equal(fixture_commit(txn), original);
	fixture_checkpoint(&f);
	assert_true(store_is_durable(f.store, original));
	fixture_end(&f);
}

static void
log_append_time_of_a_duplicate(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	struct batch_spec spec = { .count = 2, .idempotent = true, .producer_id = 1, .timestamp = 5 };
	for (int i = 0; i < 2; i++) {
		struct store_txn *txn = fixture_write(&f);
		struct append_result result;
		batches_make(&f.batch, &spec);
		struct batch batch = batches_check(&f.batch);
		MUST(log_append(txn, &t, 0, buf_head(&f.batch), &batch, 1000 + i, &result));
		assert_int_equal(result.duplicate, i);
		assert_int_equal(result.log_append_time_ms, 1000);
		fixture_commit(txn);
	}
	fixture_end(&f);
}

static void
producer_ids_are_never_given_twice(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	int64_t last = -1, id;
	for (int i = 0; i < 6; i++) {
		struct store_txn *txn = fixture_write(&f);
		for (int k = 0; k < 3; k++) {
			MUST(producer_id_next(txn, &id));
			assert_true(id > last);
			last = id;
		}
		fixture_commit(txn);
		fixture_close(&f, i % 2 == 0);
		fixture_open(&f);
	}
	fixture_end(&f);
}

static void
rows_are_encoded_whole(void **state)
{
	(void)state;
	struct producer p, again;
	memset(&p, 0, sizeof(p)); /* its padding, too */
	memset(&again, 0, sizeof(again));
	p.epoch = 3;
	p.batch_n = 2;
	p.appended_ms = 1234567890123;
	p.batch[0] = (struct producer_batch){ 5, 2, 1ll << 40, -1 };
	p.batch[1] = (struct producer_batch){ INT32_MAX, 0, INT64_MAX, 77 };
	uint8_t row[PROD_BYTES];
	producer_encode(&p, row);
	producer_decode(row, &again);
	assert_memory_equal(&p, &again, sizeof(p));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(within_one_transaction),
		cmocka_unit_test(over_transactions),
		cmocka_unit_test(over_restarts),
		cmocka_unit_test(aborting_forgets),
		cmocka_unit_test(partitions_do_not_share),
		cmocka_unit_test(a_duplicate_waits_for_its_original),
		cmocka_unit_test(log_append_time_of_a_duplicate),
		cmocka_unit_test(producer_ids_are_never_given_twice),
		cmocka_unit_test(rows_are_encoded_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
