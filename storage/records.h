/*
 * records: one record out of the bytes of a batch. The reader of a whole batch is in batch.h.
 *
 * Sticky failure: after the first thing that does not fit, a source gives zeros and stays failed.
 */
#ifndef STORAGE_RECORDS_H
#define STORAGE_RECORDS_H

#include "storage/batch.h"

struct record_source {
	const uint8_t *at, *end;
	bool failed;
};

/* The record at the front of the source, exactly as long as it says; false: it cannot be. */
bool record_read(struct record_source *from, const struct batch *b, struct record *out);

#endif
