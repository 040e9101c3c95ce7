/*
 * sample: random messages of any API and version, made from the same tables that the codec walks.
 *
 *	struct sample s = { .seed = 7, .version = 9, .arena = &arena };
 *	void *in = sample_message(&s, api->request);
 *
 * The same seed gives the same message. Fields that the version has get values that are likely to be
 * mistaken: least and greatest numbers, null, empty, lengths about which a varint grows. The others have
 * their defaults, so that what was encoded and decoded again must be equal.
 */
#ifndef TESTS_LIB_SAMPLE_H
#define TESTS_LIB_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/protocol/protocol.h"

struct sample {
	uint64_t seed;
	int16_t version;
	bool plain;          /* printable strings, no nulls, no huge values, records that are real batches */
	bool spliced;        /* records as iovecs now and then */
	struct arena *arena; /* everything lives here */
};

uint64_t sample_random(struct sample *s);
uint64_t sample_below(struct sample *s, uint64_t n);
void *sample_message(struct sample *s, const struct message *message);

/*
 * Equal in every field, whatever the version; null differs from empty, records are compared by their
 * bytes.
 */
bool sample_equal(const struct message *message, const void *a, const void *b);

/*
 * A record batch of magic 2 with n records "k<i>" and "value-<i>", correct length and CRC, not
 * compressed.
 */
struct bytes sample_batch(struct arena *arena, int64_t base_offset, int n);

#endif
