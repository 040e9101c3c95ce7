/*
 * store_speed: how fast the store appends and reads, in figures for docs/benchmarks.md. Not a test: it
 * never fails.
 *
 *	store_speed [directory]     a store is made below it and removed again
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

#define PARTITIONS   100
#define SECONDS_EACH 1.0

struct speed {
	struct store_fixture f;
	struct topic topic;
	uint64_t seed;
};

static double
seconds_since(int64_t begin_ns)
{
	return (double)(clock_monotonic_ns() - begin_ns) / 1e9;
}

static double
append_some(struct speed *s, int32_t value_bytes, int batches, bool idempotent)
{
	batches_make(&s->f.batch, &(struct batch_spec){ .value_bytes = value_bytes,
							.idempotent = idempotent,
							.timestamp = clock_wall_ms() });
	struct batch batch = batches_check(&s->f.batch);
	struct store_txn *txn = fixture_write(&s->f);
	for (int i = 0; i < batches; i++) {
		struct append_result result;
		/* A producer of its own each time: what it costs to remember one, not to find it out of order. */
		batch.producer_id = idempotent ? (int64_t)(test_random(&s->seed) % 1000000000) : -1;
		MUST(log_append(txn, &s->topic, (int32_t)(test_random(&s->seed) % PARTITIONS),
				buf_head(&s->f.batch), &batch, -1, &result));
	}
	fixture_commit(txn);
	return (double)batch.bytes * batches;
}

/* Checkpoints and retention go on as they do in a broker, here in between. */
static void
measure_append(struct speed *s, int32_t value_bytes, int batches, bool idempotent)
{
	struct clean_rules rules = { .retention_ms = -1,
				     .retention_bytes = 4 << 20,
				     .delete_by_default = true,
				     .producer_expiry_ms = 0,
				     .now_ms = INT64_MAX };
	double bytes = 0, spent = 0;
	int64_t commits = 0;
	while (spent < SECONDS_EACH) {
		int64_t begin = clock_monotonic_ns();
		for (int i = 0; i < 50; i++, commits++)
			bytes += append_some(s, value_bytes, batches, idempotent);
		spent += seconds_since(begin);
		fixture_checkpoint(&s->f);
		fixture_clean(&s->f, &rules);
	}
	printf("append %7d B x %2d%s  %9.0f commits/s  %9.0f batches/s  %7.1f MB/s\n", value_bytes, batches,
	       idempotent ? " idempotent" : "	      ", (double)commits / spent,
	       (double)commits * batches / spent, bytes / spent / 1e6);
}

/* Fetches of 1 MB each from a partition of its own, again and again; `touch` also reads what was found. */
static void
measure_read(struct speed *s, int32_t value_bytes, int per_commit, bool touch)
{
	char name[32];
	snprintf(name, sizeof(name), "read-%d-%d-%d", value_bytes, per_commit, touch);
	struct topic made = fixture_topic(&s->f, name, 1), t = { .number = made.number, .partitions = 1 };
	int64_t end = 0, bytes = 0, fetches = 0;
	while (bytes < (value_bytes * per_commit < 1000 ? 8 : 64) << 20) {
		struct store_txn *txn = fixture_write(&s->f);
		struct append_result result;
		for (int i = 0; i < per_commit; i++)
			MUST(fixture_append_in(&s->f, txn, &t, 0,
					       &(struct batch_spec){ .value_bytes = value_bytes }, &result));
		fixture_commit(txn);
		arena_reset(&s->f.arena);
		end = result.base_offset + 1;
		bytes += (int64_t)per_commit * value_bytes;
		if (end % 1024 == 0)
			fixture_checkpoint(&s->f);
	}
	fixture_checkpoint(&s->f);
	double spent = 0, sum = 0;
	int64_t begin = clock_monotonic_ns(), pieces = 0;
	volatile uint64_t seen = 0;
	for (int64_t at = 0; spent < SECONDS_EACH; fetches++, spent = seconds_since(begin)) {
		struct log_slice slice;
		struct store_txn *txn = fixture_read(&s->f);
		MUST(log_read(txn, &t, 0, at, end, 1 << 20, true, &s->f.arena, &slice));
		for (int32_t i = 0; touch && i < slice.iov_n; i++)
			for (size_t k = 0; k + 8 <= slice.iov[i].iov_len; k += 8)
				seen += *(const uint64_t *)((const char *)slice.iov[i].iov_base + k);
		store_read_end(txn);
		sum += slice.bytes;
		pieces += slice.iov_n;
		at = slice.next_offset < end ? slice.next_offset : 0;
		arena_reset(&s->f.arena);
	}
	printf("read   %7d B, %2d a run%s %9.1f us a MB  %9.0f MB/s  %5.0f pieces a MB\n", value_bytes,
	       per_commit, touch ? ", touched" : "	  ", spent * 1e6 / (sum / 1048576), sum / spent / 1e6,
	       (double)pieces / (sum / 1048576));
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		setenv("TMPDIR", argv[1], 1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	struct speed s = { .seed = 88172645463325252ull };
	fixture_begin(&s.f, DURABILITY_DURABLE);
	s.topic = fixture_topic(&s.f, "append", PARTITIONS);
	static const int32_t bytes[] = { 100, 1000, 16000, 256000, 1000000 };
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
		for (int n = 1; n <= 64 && n * bytes[i] <= 4000000; n *= 8)
			measure_append(&s, bytes[i], n, false);
	measure_append(&s, 100, 8, true);
	measure_read(&s, 100, 64, false);
	measure_read(&s, 1000, 8, false);
	measure_read(&s, 16000, 1, false);
	measure_read(&s, 1000000, 1, false);
	measure_read(&s, 100, 1, false);
	measure_read(&s, 100, 64, true);
	measure_read(&s, 16000, 1, true);
	fixture_end(&s.f);
	return 0;
}
