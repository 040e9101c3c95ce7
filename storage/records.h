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

/*
 * A record's own, of the deltas it has. These are a client's: they may be anything, the sum is taken modulo
 * 2^64 as Java does.
 */
int64_t record_offset(const struct batch *b, int32_t delta);
int64_t record_timestamp(const struct batch *b, int64_t delta_ms);

/* The record at the front of the source, exactly as long as it says; false: it cannot be. */
bool record_read(struct record_source *from, const struct batch *b, struct record *out);

struct record_head {
	int64_t offset, timestamp; /* as in struct record */
	int32_t key_bytes;         /* -1: null */
};
/*
 * The same, but only the fields up to the length of the key, which is where the source stands afterwards.
 * The record has `rest` bytes behind that, which need not be in the source.
 */
bool record_read_head(struct record_source *from, const struct batch *b, struct record_head *out,
		      int32_t *rest);

#endif
