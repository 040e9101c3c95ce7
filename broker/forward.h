/*
 * forward: requests about groups that another worker coordinates.
 *
 *	client -> this worker -> forward_send() -> the owner's connection (internal, connection.h) -> its handler
 *	client <- call_ready()  <- answered()   <- the same frame as a client would get            <-
 *
 * One connection to each owner, made at the first need. A request keeps its bytes; only its header is made
 * anew, with a number of ours as the correlation id, since the answers come in any order. If the owner dies,
 * the connection breaks, and whatever was under way is told so (broken); the next request connects again and
 * waits for the owner's successor. A worker may forward to itself.
 *
 * What an owner that does not read (stopped, swapped out) may cost: FORWARD_BACKLOG_BYTES, one request, and nine bytes
 * for each request whose client has gone meanwhile. While there is more, requests are broken at once. The owner's
 * side is bounded by this one's: each request there is one that is under way here.
 */
#ifndef BROKER_FORWARD_H
#define BROKER_FORWARD_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/list.h"
#include "storage/store.h"

struct call;
struct worker;

/* A request under way, or part of one; stays where it is until its call ends. */
struct forwarded {
	struct list in_link; /* where it is is whether it is under way */
	struct call *call;
	int32_t id;
	int owner;
	/* The body of the answer, of the call's version; gone when this returns. */
	void (*answered)(struct forwarded *f, const uint8_t *body, size_t bytes);
	void (*broken)(struct forwarded *f);
};

#define FORWARD_BUCKETS       256
#define FORWARD_BACKLOG_BYTES (16 << 20)

/* The way to one owner. */
struct forward_link {
	struct worker *worker;
	int owner;
	int fd; /* -1: not connected */
	ev_io readable, writable;
	struct buf out, in;
	struct list under_way[FORWARD_BUCKETS]; /* requests without an answer, by id */
};

struct forward {
	struct forward_link *link[STORE_SLOTS]; /* by owner; NULL: never needed */
	uint32_t next_id;
	ev_io arrivals; /* other workers that connect to this one */
	ev_timer pause; /* no more of them for a moment */
};

void forward_start(struct worker *w);
/*
 * Send the call's request, with this body, to the worker `owner`. Exactly one of answered() and broken() will
 * be called, broken() perhaps at once.
 */
void forward_send(struct call *call, int owner, struct forwarded *f, const void *body, size_t bytes);
/* SIGTERM: requests to owners that are gone are broken, as nobody will succeed those. */
void forward_drain(struct worker *w);
/* The call ends: do not wait for the answer, and tell the owner so. */
void forward_forget(struct forwarded *f);

#endif
