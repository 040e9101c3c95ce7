/*
 * pieces: values that may be larger than a row, cut in slices of ROW_BYTES under one key and a number:
 *
 *	key, piece 0    ROW_BYTES
 *	key, piece 1    ROW_BYTES
 *	key, piece 2    the rest
 *
 * Most values have one piece, and cost what a plain row costs. The keys of a table are of one length, so
 * that nothing comes between the pieces of a value.
 */
#ifndef STORAGE_PIECES_H
#define STORAGE_PIECES_H

#include "storage/txn.h"

#define PIECES_KEY_MAX 32 /* bytes, without the piece */

/* Write all slices, and delete what an earlier, longer value had more. */
MUST_CHECK enum err pieces_put(struct store_txn *txn, enum table table, const void *key, size_t key_n,
			       struct bytes value);
/* out->n == -1: there is no such value. A copy in the arena. */
MUST_CHECK enum err pieces_get(struct store_txn *txn, enum table table, const void *key, size_t key_n,
			       struct arena *arena, struct bytes *out);
MUST_CHECK enum err pieces_del(struct store_txn *txn, enum table table, const void *key, size_t key_n);
/*
 * The value whose first slice the scan stands on, as a copy in the arena; the scan stands on its last
 * then.
 */
struct bytes pieces_read(struct scan *s, struct arena *arena);

#endif
