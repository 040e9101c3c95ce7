/* dump_records: a partition's batches and the records in them, for `broker dump`. */
#ifndef BROKER_DUMP_RECORDS_H
#define BROKER_DUMP_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "storage/store.h"

struct dump_range {
	int64_t offset; /* of the first record to show; -1: the log's first */
	int64_t count;  /* of records */
};

/*
 * Print to standard output. No snapshot is open while it prints, for whoever reads the output may be slow.
 * OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE (a batch that cannot be opened; those before it are printed).
 */
MUST_CHECK enum err dump_records(struct store *store, const struct topic *topic, int32_t partition,
				 const struct dump_range *range, bool json);

#endif
