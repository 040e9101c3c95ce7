/*
 * trim: let go of the oldest runs of a partition.
 *
 * The log start moves past a run before its rows go, in the same transaction or an earlier one: a run of
 * more rows than a step may delete is out of reach first and freed by later steps. `row start` in the
 * partition's row remembers where such freeing stands. Nothing at or above the high watermark is let go.
 */
#ifndef STORAGE_TRIM_H
#define STORAGE_TRIM_H

#include "storage/partition.h"

/* Of the log; with those of the time index below 400: more would free too many pages at once. */
#define TRIM_ROWS_MAX 384

struct trim {
	int64_t until;      /* runs that end before this offset may go */
	int64_t keep_bytes; /* so may older ones, as long as this much remains; -1: none for their size */
};

/* Would trim_step() do anything? */
bool trim_is_due(struct store_txn *txn, uint32_t topic, uint32_t index, const struct part *part,
		 const struct trim *trim);
MUST_CHECK enum err trim_step(struct store_txn *txn, struct touched *touched, const struct trim *trim);

#endif
