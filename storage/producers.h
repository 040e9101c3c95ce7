/*
 * producers: what each idempotent producer did last in each partition (KIP-98), so that its retry is not
 * stored twice and a gap in its sequence is not taken for order.
 *
 * The last five batches of a producer's newest epoch are remembered, in the transaction that appends, and
 * looked up in it: a commit whose process died before it could answer is found like any other.
 *
 *	known batch again        same epoch, same sequences: a duplicate, the original's offset is the answer
 *	lower epoch              INVALID_PRODUCER_EPOCH
 *	higher epoch             must begin at sequence 0; the old epoch's batches are forgotten
 *	same epoch               must follow the last sequence; 2^31-1 is followed by 0
 *	producer not known here  may begin anywhere: retention or expiry may have forgotten it
 */
#ifndef STORAGE_PRODUCERS_H
#define STORAGE_PRODUCERS_H

#include "storage/partition.h"

struct producer_batch {
	int32_t last_sequence, last_offset_delta;
	int64_t last_offset, timestamp;
};

struct producer {
	int16_t epoch;
	int16_t batch_n;
	int64_t appended_ms;                       /* wall clock; for expiry */
	struct producer_batch batch[PROD_BATCHES]; /* oldest first */
};

void producer_decode(const uint8_t row[PROD_BYTES], struct producer *out);
void producer_encode(const struct producer *producer, uint8_t row[PROD_BYTES]);

/*
 * May this batch follow? *producer is what is known, to be given to producers_add(). Not idempotent:
 * always.
 */
MUST_CHECK enum err producers_check(struct store_txn *txn, const struct touched *touched,
				    const struct batch *batch, struct producer *producer, bool *duplicate,
				    struct producer_batch *original);
/* Remember the batch that was just appended. */
MUST_CHECK enum err producers_add(struct store_txn *txn, const struct touched *touched,
				  const struct batch *batch, int64_t timestamp, struct producer *producer);

#endif
