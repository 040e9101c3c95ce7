/*
 * recovery: what start-up does about a power cut. store_recover() in store.h does it; this tells whether
 * it must.
 *
 * The side file's newest whole slot decides:
 *
 *	no slot, or a clean one   nothing: the file is as it was closed
 *	this boot's               nothing, ever: the page cache is newer than the disk; processes died, the
 *	                          machine did not
 *	                          (unless a sync had failed: then as below)
 *	an earlier boot's         the file is a mixture: the slot's meta pages are put back, which makes it
 *	                          that snapshot
 *
 * Putting back twice, or being cut off while doing so, harms nothing: the slot stays until the first
 * checkpoint of the new run, which comes before any write.
 *
 * A data file whose own meta pages are both older than the slot is not the one that the slot speaks of: a
 * backup was put in its place. It is left alone. (Who restores a backup should remove `ckpt` beside it.)
 */
#ifndef STORAGE_RECOVERY_H
#define STORAGE_RECOVERY_H

#include <stdbool.h>

bool recovery_is_due(const char *dir);

/*
 * A sync of this store failed: the next start, in the same boot or not, is to go back to the last checkpoint. Kept as
 * a file DIR/disk.failed, which need not be durable, since after a reboot that happens anyway.
 */
void recovery_order(const char *dir);

#endif
