/*
 * ahead: asks the disk in good time for what a reader of history will want next.
 *
 * Rows are sent from the map. Where the page cache does not hold one, sendmsg() stands still until the disk has
 * brought it, and the worker with it. The kernel reads on from there, but only after such a fault, and by as much as
 * the device's read_ahead_kb says: often 128 KB. Here the answers tell beforehand: partitions that were written
 * together lie together in the file, in the order of their offsets, so whoever moves forward through it soon wants
 * what comes next in the file.
 *
 * A place in the file at which somebody reads forward is a trail. An answer that ends a bit further on in the file
 * than one before moves the trail; then AHEAD_BYTES from there on are asked for, half of it at a time, unless they
 * are in memory. A single answer proves nothing: where the file is a jumble of old and new pages, nothing is asked for.
 *
 * In memory nobody reads from a disk: there this costs one mincore() for 4 MB.
 */
#ifndef STORAGE_AHEAD_H
#define STORAGE_AHEAD_H

#include <stdint.h>

#define AHEAD_BYTES  ((uintptr_t)8 << 20)
#define AHEAD_TRAILS 8 /* readers at different places; the one that was made first gives way */

struct ahead {
	struct ahead_trail {
		uintptr_t at;    /* as far as answers went; 0: no trail */
		uintptr_t asked; /* the disk was asked for what is before this */
	} trail[AHEAD_TRAILS];
	uint32_t oldest;
};

/* An answer ends with the row at this address of the map, and is not the last one. Never waits for the disk. */
void ahead_of(struct ahead *ahead, const void *row);
/* The same, but only tells what to ask for: *from to the address returned; 0: nothing. */
uintptr_t ahead_wanted(struct ahead *ahead, uintptr_t at, uintptr_t *from);

#endif
