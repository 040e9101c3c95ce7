/* groups: groups by number, and their expiry, for the files of storage/. The rest is in store.h. */
#ifndef STORAGE_GROUPS_H
#define STORAGE_GROUPS_H

#include "storage/txn.h"

/* GROUP_ID_NOT_FOUND. What *out points to lives in the arena. */
MUST_CHECK enum err groups_by_number(struct store_txn *txn, uint32_t number, struct arena *arena,
				     struct stored_group *out);

#endif
