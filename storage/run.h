/*
 * run: walk the rows of one run, batch by batch, without copying more than a header.
 *
 * Rows are fetched from the scan only as far as they are asked for, and put as pieces of the map at the
 * end of a slice (log_read's answer grows in this way). A header may straddle two rows, a batch many.
 *
 * Begin with the scan on a run's first row, then ask for the headers at 0, at 0 + its bytes, and so on.
 * When the run is complete the scan stands on the next run's first row.
 */
#ifndef STORAGE_RUN_H
#define STORAGE_RUN_H

#include "storage/store.h"
#include "storage/txn.h"

struct run_walk {
	struct scan *scan;
	struct arena *arena;
	struct log_slice *slice;
	int32_t first;  /* piece of the slice with which the run begins */
	int32_t loaded; /* bytes of the run in the slice */
	bool complete;  /* all of them */
	bool more;      /* the scan stands on a row, of this or another run or partition */
	int64_t last_offset;
	uint8_t key[KEY_LOG_BYTES]; /* of its first row */
	int32_t at_piece, at_byte;  /* where the walk is: a piece, and the run's byte with which it begins */
};

struct run_batch {
	int64_t base_offset, last_offset, max_timestamp;
	int32_t bytes;
};

void run_walk_begin(struct run_walk *w, struct scan *scan, struct arena *arena, struct log_slice *slice);
/* Fetch rows until `bytes` of the run are there or it is complete. */
void run_walk_load(struct run_walk *w, int64_t bytes);
/*
 * The batch that begins at byte `pos`, which must not go backwards from call to call; false: no whole
 * batch begins there.
 */
bool run_walk_header(struct run_walk *w, int32_t pos, struct run_batch *out);
/* Copy n bytes from byte `pos` on; false: the run is shorter. */
bool run_walk_copy(struct run_walk *w, int32_t pos, void *to, int32_t n);
/* Keep only bytes [from, to) of the run in the slice. */
void run_walk_cut(struct run_walk *w, int32_t from, int32_t to);

#endif
