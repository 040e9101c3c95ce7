/*
 * The high watermark: three pairs of the trail must tell at any time what a list of all commits would.
 * Appends are put between the two halves of checkpoints in every order.
 */
#include "storage/partition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/checkpoint.h"
#include "storage/env.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

#define PARTITIONS 4

static void
rows_are_encoded_whole(void **state)
{
	(void)state;
	struct part p, again;
	memset(&p, 0, sizeof(p)); /* its padding, too */
	memset(&again, 0, sizeof(again));
	p.log_start = 1;
	p.log_end = 1ll << 40;
	p.row_start = 3;
	p.bytes = 4;
	p.leader_epoch = 5;
	p.span.start = 6;
	p.span.bytes = 7;
	p.span.max_timestamp = TIMESTAMP_NONE;
	p.span.opened_ms = 9;
	for (int i = 0; i < PART_TRAIL; i++) {
		p.trail[i].end = 10 + i;
		p.trail[i].commit = UINT64_MAX - (uint64_t)i;
	}
	uint8_t row[PART_BYTES];
	part_encode(&p, row);
	part_decode(row, &again);
	assert_memory_equal(&p, &again, sizeof(p));
}

/* All commits that moved the log end, as the trail would be if room did not matter. */
struct history {
	int64_t end[4096];
	uint64_t commit[4096];
	int n;
};

static int64_t
watermark(const struct history *h, uint64_t durable)
{
	int64_t end = 0;
	for (int i = 0; i < h->n && h->commit[i] <= durable; i++)
		end = h->end[i];
	return end;
}

/* Without a store: numbers alone, many more of them. */
static void
trail_against_history(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	static struct history h;
	for (int run = 0; run < 300; run++) {
		struct part part = { 0 };
		uint64_t durable = 0, syncing = 0, commit = 1;
		h.n = 0;
		struct store_shared shared;
		store_shared_init(&shared);
		struct store store = { .durability = DURABILITY_DURABLE, .shared = &shared };
		for (int i = 0; i < 300; i++) {
			switch (test_random(&seed) % 4) {
			case 0:
				syncing = commit; /* a checkpoint begins; perhaps one before it was never
						     finished */
				break;
			case 1:
				durable = syncing;
				break;
			case 2:
				commit++; /* of other partitions */
				break;
			default:
				part.log_end += (int64_t)(test_random(&seed) % 10) + 1;
				part_trail_add(&part, durable, syncing, ++commit);
				h.end[h.n] = part.log_end;
				h.commit[h.n++] = commit;
				break;
			}
			atomic_store(&shared.durable, durable);
			assert_int_equal(part_high_watermark(&store, &part), watermark(&h, durable));
			/* Whatever comes next, the answer for it is there already. */
			atomic_store(&shared.durable, syncing);
			assert_int_equal(part_high_watermark(&store, &part), watermark(&h, syncing));
			atomic_store(&shared.durable, commit);
			assert_int_equal(part_high_watermark(&store, &part), watermark(&h, commit));
		}
	}
}

struct play {
	struct store_fixture f;
	struct topic topic;
	struct history history[PARTITIONS];
	bool under_way;
	uint64_t seed;
};

static void
append_some(struct play *p)
{
	struct store_txn *txn = fixture_write(&p->f);
	int touched = 0;
	for (uint64_t n = test_random(&p->seed) % 4; n < 4; n++) {
		int i = (int)(test_random(&p->seed) % PARTITIONS);
		struct append_result result;
		MUST(fixture_append_in(&p->f, txn, &p->topic, i,
				       &(struct batch_spec){ .count = 1 + (int32_t)(n % 3) }, &result));
		touched |= 1 << i;
	}
	int64_t end[PARTITIONS];
	for (int i = 0; i < PARTITIONS; i++) {
		struct partition state;
		MUST(partition_state(txn, &p->topic, i, &state));
		end[i] = state.log_end;
	}
	uint64_t commit = fixture_commit(txn);
	for (int i = 0; i < PARTITIONS; i++) {
		struct history *h = &p->history[i];
		if ((touched & 1 << i) == 0)
			continue;
		h->end[h->n] = end[i];
		h->commit[h->n++] = commit;
	}
}

static void
checkpoint_half(struct play *p)
{
	if (p->under_way) {
		MUST(checkpoint_finish(p->f.store, false));
		p->under_way = false;
	} else {
		MUST(checkpoint_begin(p->f.store, &p->under_way));
	}
}

static void
check(struct play *p)
{
	uint64_t durable = atomic_load(&p->f.shared->durable);
	for (int i = 0; i < PARTITIONS; i++) {
		struct partition state = fixture_partition(&p->f, &p->topic, i);
		assert_int_equal(state.high_watermark, watermark(&p->history[i], durable));
		assert_int_equal(state.last_stable, state.high_watermark);
		assert_true(state.high_watermark <= state.log_end);
	}
}

/* A snapshot taken earlier knows less, and what it says was true then: at most what is true now. */
static void
check_old(struct play *p, struct store_txn *old, const struct history *then)
{
	uint64_t durable = atomic_load(&p->f.shared->durable);
	for (int i = 0; i < PARTITIONS; i++) {
		struct partition state;
		MUST(partition_state(old, &p->topic, i, &state));
		assert_int_equal(state.high_watermark, watermark(&then[i], durable));
	}
}

static void
appends_between_the_halves_of_checkpoints(void **state)
{
	(void)state;
	static struct play p;
	static struct history then[PARTITIONS];
	p = (struct play){ .seed = test_seed() };
	fixture_begin(&p.f, DURABILITY_DURABLE);
	p.topic = fixture_topic(&p.f, "t", PARTITIONS);
	for (int i = 0; i < 600; i++) {
		if (test_random(&p.seed) % 2 == 0)
			append_some(&p);
		else
			checkpoint_half(&p);
		check(&p);
		if (i % 10 != 0)
			continue;
		struct store_txn *old = fixture_read(&p.f);
		memcpy(then, p.history, sizeof(then));
		append_some(&p);
		checkpoint_half(&p);
		check_old(&p, old, then);
		append_some(&p);
		checkpoint_half(&p);
		check_old(&p, old, then);
		store_read_end(old);
	}
	fixture_end(&p.f);
}

static void
relaxed_shows_all(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_RELAXED);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 4 });
	assert_int_equal(fixture_partition(&f, &t, 0).high_watermark, 4);
	fixture_end(&f);
}

static void
strict_needs_no_checkpoint(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_STRICT);
	struct topic t = fixture_topic(&f, "t", 1);
	for (int i = 1; i <= 5; i++) {
		fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 4 });
		assert_int_equal(fixture_partition(&f, &t, 0).high_watermark, 4 * i);
	}
	struct store_txn *txn = fixture_write(&f);
	uint64_t commit = fixture_commit(txn);
	assert_true(store_is_durable(f.store, commit));
	fixture_end(&f);
}

/*
 * mdb_copy -c begins to count commits again; trails from before must not wait for numbers that are long
 * gone.
 */
static void
a_copied_store_counts_anew(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 2);
	for (int i = 0; i < 50; i++)
		fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 1 });
	char *copy = test_dir_make();
	assert_int_equal(mdb_env_copy2(f.store->env, copy, MDB_CP_COMPACT), 0);
	fixture_close(&f, true);
	test_dir_remove(f.dir);
	f.dir = copy;
	fixture_open(&f);
	assert_true(atomic_load(&f.shared->durable) < 20);
	assert_int_equal(fixture_partition(&f, &t, 0).high_watermark, 50);
	assert_int_equal(fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 2 }), 50);
	assert_int_equal(fixture_partition(&f, &t, 0).high_watermark, 50);
	fixture_checkpoint(&f);
	assert_int_equal(fixture_partition(&f, &t, 0).high_watermark, 52);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_encoded_whole),
		cmocka_unit_test(trail_against_history),
		cmocka_unit_test(appends_between_the_halves_of_checkpoints),
		cmocka_unit_test(relaxed_shows_all),
		cmocka_unit_test(strict_needs_no_checkpoint),
		cmocka_unit_test(a_copied_store_counts_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
