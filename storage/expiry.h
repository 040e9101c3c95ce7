/*
 * expiry: which committed offsets go, and which groups; store_clean()'s part that is about groups.
 *
 *	the topic was deleted                                           the offset goes
 *	no members, and a time is set with the offset that has come     the offset goes (OffsetCommit v2-4)
 *	no members, for offsets.retention.minutes, nor a commit         the offset goes
 *	no members and no offsets, for a minute                         the group goes
 */
#ifndef STORAGE_EXPIRY_H
#define STORAGE_EXPIRY_H

#include "storage/clean.h"
#include "storage/txn.h"

/* Move the round to the first thing that may go, looking at so many rows. At the end the next round begins. */
MUST_CHECK enum err expiry_find(struct store_txn *txn, struct clean_round *round,
				const struct clean_rules *rules, int look_rows, bool *found);
/* Let go what the round stands on, and what follows in the same group, so many rows. */
MUST_CHECK enum err expiry_run(struct store_txn *txn, const struct clean_round *round,
			       const struct clean_rules *rules, int rows, bool *changed);

#endif
