/*
 * expiry: which committed offsets go, and which groups; store_clean()'s part that is about groups.
 *
 * An offset is kept for offsets.retention.minutes, or until the time that came with it (OffsetCommit
 * v2-4). From when on that counts, and for whom, depends on its group (KIP-211, KAFKA-4682):
 *
 *	nobody ever joined it               since the commit
 *	it has no members any more          since the last one left, or the commit, whichever is later
 *	it has members                      since the commit, but only of a topic that none of them reads
 *
 * What a member reads is for clean_rules.readers to say, who keeps everything where he cannot tell.
 * Besides:
 *
 *	the topic was deleted                        the offset goes
 *	no members and no offsets, for a minute      the group goes
 *
 * Other processes save groups and commit offsets meanwhile. What is found in a snapshot is looked at
 * again in the transaction that lets it go; whoever writes later finds no group, and makes it anew
 * (groups_open, groups_save). So all that a member can lose is an offset that had expired before it
 * came.
 */
#ifndef STORAGE_EXPIRY_H
#define STORAGE_EXPIRY_H

#include "storage/clean.h"
#include "storage/txn.h"

/*
 * Move the round to the first thing that may go, looking at so many rows. At the end the next round
 * begins.
 */
MUST_CHECK enum err expiry_find(struct store_txn *txn, struct clean_round *round,
				const struct clean_rules *rules, int look_rows, bool *found);
/* Let go what the round stands on, and what follows: so many rows, of so many looked at. */
MUST_CHECK enum err expiry_run(struct store_txn *txn, const struct clean_round *round,
			       const struct clean_rules *rules, int look_rows, int rows, bool *changed);

#endif
