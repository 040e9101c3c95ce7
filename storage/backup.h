/*
 * backup: the store as it is at one moment, whole, in another directory, while everybody works on.
 * store_backup() in store.h does it.
 *
 * What it copies is a snapshot: a reader on the newest commit N, whose pages nobody uses again while it is
 * open. The one thing of N that does change is its meta page: commit N + 2 writes over it. So the meta page
 * is read, and then it is looked whether N is the newest commit still. If it is, nobody had begun to write
 * over what was read; if not, again with a newer snapshot. No lock is taken, hence no writer ever waits for a
 * backup, however slow the disk is that it goes to, and a backup that is stopped or killed holds up nobody.
 * (The engine's own mdb_env_copyfd2() writes the meta pages to the target under the writer lock.)
 *
 *	DIR/data.mdb.unfinished   locked (flock) by who writes it
 *	DIR/data.mdb              its name when it is complete and on disk, its directory too
 *
 * The copy needs no `ckpt`: it was synced, and both its meta pages lead to the same trees.
 *
 * Data goes to the target past the page cache (O_DIRECT, where there is such a thing): the broker's pages
 * stay in it, and nobody who writes is held up because too much waits to be written.
 *
 * What can go wrong: the target is full or fails (nothing is left of it); this process is killed (the
 * unfinished file stays, which is no store, and which the next backup writes over; the reader's slot is
 * freed by store_reap()).
 */
#ifndef STORAGE_BACKUP_H
#define STORAGE_BACKUP_H

#include <stdbool.h>

/* Does the directory hold an unfinished backup, and no store? Says so in diag. */
bool backup_is_unfinished(const char *dir);

#endif
