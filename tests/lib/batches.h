/* batches: record batches for tests, valid in every byte unless the test breaks one. */
#ifndef TESTS_LIB_BATCHES_H
#define TESTS_LIB_BATCHES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "storage/batch.h"

struct batch_spec {
	int32_t count;       /* of records; 0 counts as 1 */
	int32_t value_bytes; /* of each; their content is a function of `seed` */
	uint64_t seed;
	enum batch_codec codec;
	int64_t timestamp, timestamp_step; /* of the first record, and from one to the next */
	bool keyless;
	bool idempotent; /* the next three count */
	int64_t producer_id;
	int16_t producer_epoch;
	int32_t base_sequence;
};

/* Replace b's content by the batch. */
void batches_make(struct buf *b, const struct batch_spec *spec);
/* The same bytes checked and decoded; aborts where batch_check() refuses. */
struct batch batches_check(const struct buf *b);
/* Compute the checksum anew, after the test changed something behind it. */
void batches_seal(struct buf *b);
/* Compress, in Java's framing where snappy_java. */
void batches_compress(struct buf *out, enum batch_codec codec, const void *at, size_t n, bool snappy_java);

/* A small generator of reproducible numbers: xorshift. Never give it 0. */
uint64_t test_random(uint64_t *state);
/* Of FORKA_TEST_SEED, or a fixed one. */
uint64_t test_seed(void);

#endif
