/*
 * timeindex: spans of a partition's log and the greatest timestamp in each. log_find_time() and
 * log_max_timestamp() of store.h look for a span that can hold the answer, and walk the batches of that
 * span alone.
 *
 *	log start                                                           log end
 *	| (rest of) span 0 | span 1, closed |  ...  | span n, closed | open span |
 *
 * Timestamps need not ascend: a span's greatest is exact whatever the order, so the first span whose
 * greatest is >= t holds the first batch whose greatest is >= t. That of a span that is trimmed in part
 * may belong to a batch that is gone; the walk then finds nothing and goes on.
 */
#ifndef STORAGE_TIMEINDEX_H
#define STORAGE_TIMEINDEX_H

#include "storage/partition.h"

struct time_span {
	int64_t last_offset, max_timestamp, bytes;
	int64_t closed_ms; /* wall clock, when the last batch was appended at the latest */
};

/* Count a batch that is about to be appended at the log end; closes the open span where it is full. */
MUST_CHECK enum err timeindex_add(struct store_txn *txn, struct touched *touched, int64_t max_timestamp,
				  int32_t bytes);
/* Close the open span, if anything is in it. */
MUST_CHECK enum err timeindex_close(struct store_txn *txn, struct touched *touched);
/* Decode a row of `time`; false: it is none. */
bool timeindex_decode(struct bytes key, struct bytes value, struct time_span *out);

#endif
