#include "common/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Blocks form a chain, newest first; only the newest is filled. The oldest, which is the one that is kept,
 * has BLOCK_BYTES; each later one is at least as large as all before it together, so a long request needs
 * few.
 */
#define BLOCK_BYTES ((size_t)8 * 1024 - sizeof(struct arena_block))

struct arena_block {
	struct arena_block *older;
	size_t size, used; /* bytes in data */
	_Alignas(max_align_t) uint8_t data[];
};

static size_t
align_up(size_t bytes)
{
	size_t mask = _Alignof(max_align_t) - 1;
	CHECK(bytes <= SIZE_MAX - mask);
	return (bytes + mask) & ~mask;
}

static void
add_block(struct arena *arena, size_t bytes)
{
	size_t size = arena->head == NULL ? BLOCK_BYTES : arena->head->size * 2;
	if (size < bytes)
		size = bytes;
	CHECK(size <= SIZE_MAX - sizeof(struct arena_block));
	struct arena_block *block = malloc(sizeof(*block) + size);
	CHECK(block != NULL);
	*block = (struct arena_block){ .older = arena->head, .size = size };
	arena->head = block;
}

void *
arena_alloc(struct arena *arena, size_t bytes)
{
	bytes = align_up(bytes > 0 ? bytes : 1);
	if (arena->head == NULL || arena->head->size - arena->head->used < bytes)
		add_block(arena, bytes);
	struct arena_block *block = arena->head;
	void *at = block->data + block->used;
	block->used += bytes;
	arena->used += bytes;
	return memset(at, 0, bytes);
}

void *
arena_array(struct arena *arena, size_t n, size_t size)
{
	size_t bytes;
	CHECK(!__builtin_mul_overflow(n, size, &bytes));
	return arena_alloc(arena, bytes);
}

void *
arena_grow(struct arena *arena, void *at, int32_t n, size_t size)
{
	if (n != 0 && (n & (n - 1)) != 0)
		return at;
	void *bigger = arena_array(arena, n == 0 ? 1 : (size_t)n * 2, size);
	if (n > 0)
		memcpy(bigger, at, (size_t)n * size);
	return bigger;
}

char *
arena_printf(struct arena *arena, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	CHECK(n >= 0);

	char *text = arena_alloc(arena, (size_t)n + 1);
	va_start(args, fmt);
	(void)vsnprintf(text, (size_t)n + 1, fmt, args);
	va_end(args);
	return text;
}

/* Free all blocks newer than the oldest, and give that one back. */
static struct arena_block *
drop_newer(struct arena *arena)
{
	struct arena_block *block = arena->head;
	while (block != NULL && block->older != NULL) {
		struct arena_block *older = block->older;
		free(block);
		block = older;
	}
	return block;
}

void
arena_reset(struct arena *arena)
{
	arena->head = drop_newer(arena);
	arena->used = 0;
	if (arena->head == NULL)
		return;
	arena->head->used = 0;
	/* A first request that was huge must not stay in memory for ever. */
	if (arena->head->size > BLOCK_BYTES) {
		free(arena->head);
		arena->head = NULL;
	}
}

void
arena_free(struct arena *arena)
{
	free(drop_newer(arena));
	*arena = ARENA_EMPTY;
}
