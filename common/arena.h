/*
 * Arena: memory of one request, given back all at once.
 *
 * Allocation is a pointer bump; nothing is freed one by one. Blocks are kept by arena_reset() up to the
 * first, so that a worker that serves small requests never calls malloc. Zeroed, aligned for any type, never
 * NULL (an exhausted heap aborts: check.h).
 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "common/check.h"

struct arena_block;

struct arena {
	struct arena_block *head; /* block being filled; the first allocated is the last in the chain */
	size_t used;              /* bytes handed out since the last reset */
};

#define ARENA_EMPTY ((struct arena){ 0 })

void *arena_alloc(struct arena *arena, size_t bytes) __attribute__((malloc));
/* n elements of `size` bytes each; aborts on overflow, so bound n first. */
void *arena_array(struct arena *arena, size_t n, size_t size);
/*
 * Room for one more element behind the n that are at `at` (NULL: none yet): `at` itself, or at each power of two a
 * copy with twice the room, zeroed behind the n.
 */
void *arena_grow(struct arena *arena, void *at, int32_t n, size_t size);
char *arena_printf(struct arena *arena, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Forget everything, keep one block for the next request. */
void arena_reset(struct arena *arena);
/* Forget everything, keep nothing. The arena may be used again. */
void arena_free(struct arena *arena);

#endif
