/* append: runs on their way into the log. log_append() itself is in store.h. */
#ifndef STORAGE_APPEND_H
#define STORAGE_APPEND_H

#include "storage/partition.h"

/* Write the batches that wait, of all partitions, as rows. The pieces may be forgotten afterwards. */
MUST_CHECK enum err append_flush(struct store_txn *txn);

#endif
