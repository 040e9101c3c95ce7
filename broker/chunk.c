#include "broker/chunk.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#define FREE_MOST 16 /* kept for the next requests; two megabytes */

struct chunk *
chunk_new(struct chunk_pool *pool, size_t cap)
{
	struct chunk *c = pool->free;

	if (cap <= CHUNK_BYTES && c != NULL) {
		pool->free = c->next_free;
		pool->free_n--;
	} else {
		cap = cap < CHUNK_BYTES ? CHUNK_BYTES : cap;
		c = malloc(sizeof(*c) + cap);
		CHECK(c != NULL);
		c->cap = cap;
	}
	c->next_free = NULL;
	c->references = 1;
	c->used = c->parsed = 0;
	pool->bytes += c->cap;
	return c;
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
	struct chunk *bigger = chunk_new(pool, frame);
	memcpy(bigger->data, c->data + c->parsed, rest);
	bigger->used = rest;
	chunk_release(pool, c);
	return bigger;
}
