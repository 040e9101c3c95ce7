/*
 * reserve: room on the disk that is taken before it is needed, so that a full disk stops appends and
 * nothing else.
 *
 * The checkpointer keeps RESERVE_BYTES of blocks allocated behind the file's last page, without making
 * the file longer. When the disk refuses them, disk_full is set: appends are refused, while deletion,
 * which needs a few pages itself, goes on out of the reserve. It is cleared when the disk gives the
 * blocks again, or when enough pages inside the file have become free: the file never shrinks, so room
 * made by retention is inside it.
 */
#ifndef STORAGE_RESERVE_H
#define STORAGE_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

#define RESERVE_BYTES ((uint64_t)64 * 1024 * 1024)
/* Of the map, beyond what the configuration allows: for the largest transaction, and deletion after it. */
#define MAP_MARGIN_BYTES ((uint64_t)512 * 1024 * 1024)

struct store;

struct reserve {
	uint64_t allocated_to; /* byte of the file up to which blocks are there */
	int64_t looked_ms;     /* monotonic; when room_bytes was estimated last */
	bool unsupported;      /* this file system cannot allocate ahead: a full disk is found out by failing
				  commits */
};

/* Where the file ends, in bytes. */
uint64_t reserve_file_end(struct store *store);
/*
 * A commit made the file longer, from `before` on: beyond the configured size no more appends are taken.
 * The map goes on a bit further, so that whatever frees space still finds some.
 */
void reserve_note_growth(struct store *store, uint64_t before);
/*
 * Keep it, and decide about disk_full. Cheap where nothing is to be done; the checkpointer's, at each
 * checkpoint.
 */
void reserve_keep(struct store *store);

#endif
