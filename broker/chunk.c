#include "broker/chunk.h"

#include <stdlib.h>
#include <string.h>

#define FREE_MOST 16 /* kept for the next requests; two megabytes */

static struct chunk *
take_free(struct chunk_pool *pool)
{
	struct chunk *c = pool->free;

	pool->free = c->next_free;
	pool->free_n--;
	return c;
}

/* NULL: there is no memory. */
static struct chunk *
allocate(size_t cap)
{
	struct chunk *c = malloc(sizeof(*c) + cap);

	if (c != NULL)
		c->cap = cap;
	return c;
}

static struct chunk *
begin(struct chunk_pool *pool, struct chunk *c)
{
	c->next_free = NULL;
	c->references = 1;
	c->used = c->parsed = 0;
	pool->bytes += c->cap;
	if (pool->bytes > pool->most)
		pool->most = pool->bytes;
	return c;
}

size_t
chunk_pool_most(struct chunk_pool *pool)
{
	size_t most = pool->most;

	pool->most = pool->bytes;
	return most;
}

void
chunk_pool_empty(struct chunk_pool *pool)
{
	while (pool->free != NULL)
		free(take_free(pool));
}

struct chunk *
chunk_new(struct chunk_pool *pool, size_t cap)
{
	if (cap <= CHUNK_BYTES && pool->free != NULL)
		return begin(pool, take_free(pool));
	struct chunk *c = allocate(cap < CHUNK_BYTES ? CHUNK_BYTES : cap);
	return c != NULL ? begin(pool, c) : NULL;
}

static struct chunk *
move_rest(struct chunk_pool *pool, struct chunk *from, struct chunk *to)
{
	to->used = from->used - from->parsed;
	memcpy(to->data, from->data + from->parsed, to->used);
	chunk_release(pool, from);
	return to;
}

/* What a rest is given, rounded up: as much again as has come. */
static size_t
slim_bytes(const struct chunk *c, bool tight)
{
	size_t rest = c->used - c->parsed;

	if (rest <= CHUNK_SLIM_BYTES / 4)
		return CHUNK_SLIM_BYTES;
	return tight && c->references == 1
		   ? (rest * 2 + CHUNK_SLIM_BYTES - 1) / CHUNK_SLIM_BYTES * CHUNK_SLIM_BYTES
		   : c->cap;
}

struct chunk *
chunk_slim(struct chunk_pool *pool, struct chunk *c, bool tight)
{
	size_t cap = slim_bytes(c, tight);
	struct chunk *slim = cap < c->cap ? allocate(cap) : NULL;

	return slim != NULL ? move_rest(pool, c, begin(pool, slim)) : c;
}

void
chunk_hold(struct chunk *c)
{
	c->references++;
}

void
chunk_release(struct chunk_pool *pool, struct chunk *c)
{
	if (c == NULL || --c->references > 0)
		return;
	pool->bytes -= c->cap;
	if (c->cap != CHUNK_BYTES || pool->free_n == FREE_MOST) {
		free(c);
		return;
	}
	c->next_free = pool->free;
	pool->free = c;
	pool->free_n++;
}

struct chunk *
chunk_with_room(struct chunk_pool *pool, struct chunk *c, size_t frame)
{
	size_t rest = c->used - c->parsed;

	if (c->parsed + frame <= c->cap)
		return c;
	if (c->references == 1 && frame <= c->cap) {
		memmove(c->data, c->data + c->parsed, rest);
		c->parsed = 0;
		c->used = rest;
		return c;
	}
	struct chunk *larger = chunk_new(pool, frame);
	return larger != NULL ? move_rest(pool, c, larger) : NULL;
}
