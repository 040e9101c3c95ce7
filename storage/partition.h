/*
 * partition: the row of a partition, and what a write transaction does to it before the row is written.
 *
 * A write transaction touches a partition once: its row is decoded and kept, later appends of the turn
 * change it in memory, and the commit writes it. Batches wait in a run (append.h) in the same way. A read
 * in the same transaction sees these changes.
 *
 * The trail, and why three pairs suffice for the high watermark:
 *
 * Each commit that appends moves the log end; the high watermark is the log end that the newest *durable*
 * commit left. A pair (log end, commit) says: as of this commit the log ended there. For a value D of
 * shared->durable the high watermark is the log end of the newest pair whose commit is <= D.
 *
 * Which values can D take from the moment when transaction T, which appends, holds the writer lock?
 * `durable` only ever becomes what `syncing` was, and `syncing` changes only under the writer lock, so
 * while T holds it, it is fixed. D is therefore d, the value of `durable` now; or s, the value of
 * `syncing` now (which may become durable at any time, also while T runs); or a value that `syncing` gets
 * after T has committed, which is >= T.
 *
 * For D = d the newest pair <= d is needed, for D = s the newest pair <= s, and for D >= T that of T
 * itself. No other pair can be asked for again by somebody who sees T's row; who sees an older row sees
 * its older trail. So an append keeps those two and adds its own. The trail begins with (0, commit 0),
 * which is always durable.
 *
 * Strict: `durable` becomes T after commit T, and `syncing` is not used. If T's process dies before it
 * publishes, `durable` stays d until a later commit publishes a greater number, for which the newest pair
 * is the right one.
 */
#ifndef STORAGE_PARTITION_H
#define STORAGE_PARTITION_H

#include "storage/keys.h"
#include "storage/store.h"
#include "storage/txn.h"

struct part {
	int64_t log_start, log_end;
	int64_t row_start;
	int64_t bytes;
	int32_t leader_epoch;
	struct {
		int64_t start, bytes, max_timestamp, opened_ms;
	} span; /* the open one; bytes == 0: nothing in it */
	struct {
		int64_t end;
		uint64_t commit;
	} trail[PART_TRAIL]; /* by commit, ascending; unused pairs repeat the first */
};

/* Batches that wait to be joined; the bytes are the caller's. */
struct pending_run {
	struct iovec *piece;
	int32_t piece_n, piece_cap;
	int64_t bytes;
	int64_t last_offset;
};

struct touched {
	uint32_t topic, index;
	bool changed;
	struct part part;
	struct pending_run run;
};

#define TIMESTAMP_NONE INT64_MIN /* of a span: no batch yet */

void part_decode(const uint8_t row[PART_BYTES], struct part *out);
void part_encode(const struct part *part, uint8_t row[PART_BYTES]);

/* The partition as this transaction sees it; one that was never written to is empty. */
MUST_CHECK enum err part_load(struct store_txn *txn, uint32_t topic, uint32_t index, struct part *out);
/*
 * The same, to be changed; valid until the next part_touch(). UNKNOWN_TOPIC_OR_PARTITION: the topic is
 * gone.
 */
MUST_CHECK enum err part_touch(struct store_txn *txn, uint32_t topic, uint32_t index, struct touched **out);
/* Write the rows of all that was touched; at commit. */
MUST_CHECK enum err part_flush(struct store_txn *txn);

int64_t part_high_watermark(const struct store *store, const struct part *part);
/* The log end moved in write transaction `commit`. */
void part_trail_add(struct part *part, uint64_t durable, uint64_t syncing, uint64_t commit);
/*
 * Commits that this environment has not seen, as after mdb_copy -c, which counts from 1 again: they count
 * as durable.
 */
MUST_CHECK enum err part_trails_mend(struct store_txn *txn);

#endif
