/*
 * chunk: memory that requests are received into and that decoded requests point into.
 *
 *	|-- frame --|---- frame ----|-- part of a frame ...|      room      |
 *	0                           parsed                 used             cap
 *
 * A connection fills one chunk at a time; each call holds a reference to the chunk of its frame, so that
 * views stay valid until it is answered, however many chunks the connection has filled since. An idle
 * connection holds none.
 *
 * All chunks of a worker together stay within its budget (queued.max.request.bytes): over it,
 * connections wait.
 */
#ifndef BROKER_CHUNK_H
#define BROKER_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_BYTES      (128 * 1024)
#define CHUNK_SLIM_BYTES 4096 /* the least that a rest is moved to */

struct chunk {
	struct chunk *next_free;
	uint32_t references;
	size_t cap, used, parsed;
	uint8_t data[];
};

/* One per worker. */
struct chunk_pool {
	struct chunk *free; /* of CHUNK_BYTES */
	int free_n;
	size_t bytes; /* in use by connections and calls */
	size_t most;  /* of these, since chunk_pool_most() */
};

/* The most that was in use at any moment since this was asked. */
size_t chunk_pool_most(struct chunk_pool *pool);
/* What is kept for the next requests is freed. */
void chunk_pool_empty(struct chunk_pool *pool);
/* One reference, the caller's. At least `cap` bytes, and at least CHUNK_BYTES. NULL: there is no memory. */
struct chunk *chunk_new(struct chunk_pool *pool, size_t cap);
void chunk_hold(struct chunk *c);
void chunk_release(struct chunk_pool *pool, struct chunk *c); /* NULL is allowed */
/*
 * For a connection that waits for the rest of a request: a rest that is small moves to a chunk of its own size; where
 * memory is tight any does, so that it holds twice what has come, at most. Takes over the caller's reference.
 */
struct chunk *chunk_slim(struct chunk_pool *pool, struct chunk *c, bool tight);
/*
 * A chunk with room for `frame` bytes from the first unparsed byte on: the same one, or the same tidied up,
 * or another that took over the caller's reference and the unparsed bytes. NULL: there is no memory for it, and nothing
 * has changed.
 */
struct chunk *chunk_with_room(struct chunk_pool *pool, struct chunk *c, size_t frame);

#endif
