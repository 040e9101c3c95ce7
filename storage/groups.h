/*
 * groups: groups by number, and what expiry looks at, for the files of storage/. The rest is in store.h.
 */
#ifndef STORAGE_GROUPS_H
#define STORAGE_GROUPS_H

#include "storage/txn.h"

/* GROUP_ID_NOT_FOUND. What *out points to lives in the arena. */
MUST_CHECK enum err groups_by_number(struct store_txn *txn, uint32_t number, struct arena *arena,
				     struct stored_group *out);

/* Of a group all but its id and its state, which may be megabytes. */
struct group_head {
	uint32_t number;
	int64_t empty_since_ms; /* as in stored_group */
	bool has_state;         /* false: nobody ever joined, offsets were committed */
};
/*
 * The first group whose number is above `number`; false at the end, and on failure: *err tells. Needs the arena for
 * long ids only.
 */
bool groups_head_after(struct store_txn *txn, uint32_t number, struct arena *arena, struct group_head *out,
		       enum err *err);

/* Delete a group that has no offsets. */
MUST_CHECK enum err groups_forget(struct store_txn *txn, struct str id, uint32_t number);

#endif
