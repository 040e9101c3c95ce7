/* catalog: topics by number, for the files of storage/. The rest is in store.h. */
#ifndef STORAGE_CATALOG_H
#define STORAGE_CATALOG_H

#include "storage/txn.h"

/* UNKNOWN_TOPIC_OR_PARTITION. */
MUST_CHECK enum err catalog_by_number(struct store_txn *txn, uint32_t number, struct arena *arena,
				      struct topic *out);

#endif
