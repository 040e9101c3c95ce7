/* offsets: the row of a committed offset, for the files of storage/. The rest is in store.h. */
#ifndef STORAGE_OFFSETS_H
#define STORAGE_OFFSETS_H

#include "storage/txn.h"

#define OFFS_FIXED_BYTES 28 /* of a row, before the metadata */

/* False: no such row. The metadata views the row, as far as it is there. */
bool offsets_decode(struct bytes row, struct stored_offset *out);

#endif
