/* catalog: what other files of storage/ ask it. The rest is in store.h. */
#ifndef STORAGE_CATALOG_H
#define STORAGE_CATALOG_H

#include "storage/store.h"

/* UNKNOWN_TOPIC_OR_PARTITION: there is no topic of this number. */
MUST_CHECK enum err catalog_check(struct store_txn *txn, uint32_t number);

#endif
