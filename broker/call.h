/*
 * call: one request on its way through a worker.
 *
 *	bytes -> decode -> handle() ------------------------------> answer       reads only
 *	                       \--> write() in the turn's commit --> answer
 *	                        \                                \--> parked until durable --> answer
 *	                         \--> waits (a fetch without enough data) -------> answer
 *
 * A connection's calls form a queue and are answered strictly in that order, however they overtake each
 * other inside.
 *
 * A handler never sees a byte: `in` is the decoded request, `out` the answer's struct, set to its
 * defaults. Lists and strings for `out` come from the call's arena or are views of the request; both live
 * until the answer is sent. A handler never waits, never writes to a socket and never frees: it returns
 * what is to happen next.
 */
#ifndef BROKER_CALL_H
#define BROKER_CALL_H

#include <ev.h>
#include <stdint.h>

#include "broker/job.h"
#include "common/arena.h"
#include "common/config.h"
#include "common/list.h"
#include "common/protocol/protocol.h"
#include "storage/store.h"

struct call;
struct chunk;
struct connection;
struct worker;

enum next {
	NEXT_ANSWER, /* `out` is complete */
	NEXT_WRITE,  /* handle(): call write() in this turn's transaction */
	NEXT_PROMISE, /* `out` is complete, to be sent once the commit is durable (from handle(): job.commit) */
	NEXT_WAIT,    /* parked by the handler, which calls call_ready() later */
	NEXT_SILENT, /* no answer is wanted (Produce with acks=0) */
	NEXT_CLOSE,  /* close the connection, as Kafka does where it cannot answer */
};

/* A row for each API that is served; what has no row is not advertised. */
struct handler {
	int16_t key;
	int16_t min, max;      /* versions served */
	int16_t advertise_min; /* lowest version told to clients: below min only for Produce (KAFKA-18659) */
	enum next (*handle)(struct call *call);
	/* For NEXT_WRITE: change the store; reads through txn see this turn's changes. */
	enum next (*write)(struct call *call, struct store_txn *txn);
	/* The turn's transaction was lost: `out` must say `error` wherever it promised something. */
	void (*failed)(struct call *call, enum err error);
	/* Written, and parked: what `out` has of the request is to be copied to the arena, as the request goes. (NULL:
	 * it stays.) */
	void (*keep)(struct call *call);
	/* Fill `out` at the moment of sending, from a snapshot that stays open until the bytes are with the
	 * socket. */
	void (*answer)(struct call *call);
	/* The client sends no more, and is probably gone: what could wait for long is answered now. */
	void (*hangup)(struct call *call);
	/* The answer may be large, or long in coming: nothing behind it on its connection is begun before it is
	 * sent. (Kafka does so with every request.) */
	bool alone;
	/* The call ends unanswered or answered: stop timers, leave lists. */
	void (*forget)(struct call *call);
};

extern const struct handler handlers[]; /* by ascending key */
extern const int handler_count;
const struct handler *handler_find(int16_t key); /* NULL: not served */

/* An answer that is made of many parts gets no further part when it holds so much already. */
#define CALL_ANSWER_BYTES (32 * 1024 * 1024)

struct call {
	struct list in_connection; /* the connection's queue, oldest first */
	struct job job;            /* what it writes and waits for */
	struct connection *connection;
	const struct handler *handler;
	const struct api *api;
	int16_t version;
	int32_t correlation_id;
	struct str client_id, client_host;
	struct chunk *chunk; /* holds the frame; NULL: the arena does */
	const uint8_t *body; /* behind the header */
	size_t body_bytes;
	int64_t received_ns; /* monotonic */
	struct arena arena;
	void *in, *out;      /* struct <api>_request, struct <api>_response */
	bool finished;       /* may be sent when it is its turn */
	bool silent;         /* finished, and nothing is sent */
	bool alone;          /* as its handler says, or call_stand_alone() */
	size_t answer_bytes; /* finished or parked: what it counts for in its connection */
	struct call *next_spare;
	void *own; /* the handler's own state: in the arena, or freed by forget() */
	struct worker *worker;
};

/* What a handler may ask. */
const struct config *call_config(const struct call *call);
struct store *call_store(const struct call *call);
/* The worker's snapshot, begun at the first use in this callback, ended by the caller of the handler. Never
 * NULL: a worker that cannot read its store ends itself. In write() use the given txn instead. */
struct store_txn *call_read(struct call *call);
/* The address that this client should use from now on: advertised.listeners, or the one it connected to. */
void call_advertised(const struct call *call, struct str *host, int32_t *port);
/* A partition's log end (or existence) changes with this turn's commit: wakes the consumers that wait for it.
 */
void call_touch(struct call *call, uint32_t topic_number, int32_t partition);

/* This turn's commit leaves rows behind that the cleaner should free soon. */
void call_clean(struct call *call);

/* n zeroed elements for a list of the answer, and the list set: CALL_LIST(call, out->topics, n) */
#define CALL_LIST(call, list, count)                                                                         \
	((list).n = (int32_t)(count),                                                                        \
	 (list).at = arena_array(&(call)->arena, (size_t)(count), sizeof(*(list).at)))

/* A waiting call can be answered now. */
void call_ready(struct call *call);

/* Nothing behind it on its connection is begun before it is sent, as with handler.alone. From handle(). */
void call_stand_alone(struct call *call);

/* No answer for this call; close the connection once those before it are answered. */
void call_close(struct call *call);

/* The bytes of the request are needed no longer: `in` and `body` are not to be looked at any more. */
void call_drop_chunk(struct call *call);
/*
 * The request has been understood and what is left is to wait, perhaps for minutes: its bytes go, and so does
 * everything in the arena. Left are client_id, client_host, `out` with its defaults, and the string *keep (NULL: none);
 * `in` is NULL. `own` must not be in the arena.
 */
void call_drop_request(struct call *call, struct str *keep);

/* `out` as a handler finds it: set to its defaults. */
void call_prepare_answer(struct call *call);

/* For dispatch and connection: a call with an empty arena, and back. */
struct call *call_new(struct worker *w);
void call_recycle(struct call *call);

#endif
