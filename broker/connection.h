/*
 * connection: one client's TCP connection, a queue of calls, and the order in which they are answered.
 *
 *	socket -> chunk -> frames -> calls [ oldest ... newest ] -> answers -> socket
 *
 * Calls are served as they come and finish in any order; answers leave strictly in the order of the
 * requests (the client pairs them up by it). What the socket does not take is copied to `pending`, and no
 * further answer is made until it is gone; a client that does not read so costs one answer, not many.
 *
 * Reading stops while the connection has CALLS_MOST calls, while something is pending, and while the worker is
 * over its memory budget. Nothing is begun behind finished calls that together hold more than ANSWERS_BYTES_MOST, nor
 * behind one whose answer may be large (call.alone): so a client has one large answer at a time in memory.
 *
 * A connection may also come from another worker, which passes on requests of its own clients (forward.h). It
 * is `internal`: its answers leave in any order, as soon as they are finished, and each of its frames begins
 * with an envelope that says for whom it is:
 *
 *	size u32, length u8, so many bytes: the client's address, request     serve this request
 *	size u32, 255 u8, correlation id i32                                  the client is gone
 *
 * It has no limit of calls of its own: each of them is a client's, who is held back by the worker that he is connected
 * to. Its answers are limited as a client's are.
 *
 * Nothing here closes a connection in the middle of something: connection_doom() marks it,
 * connection_flush() ends it.
 */
#ifndef BROKER_CONNECTION_H
#define BROKER_CONNECTION_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/list.h"
#include "common/str.h"

struct arrival;
struct call;
struct chunk;
struct fetch_session;
struct worker;

#define CALLS_MOST 128
/* What a connection is served before others have their turn: requests, and bytes of answers. */
#define TURN_REQUESTS     128
#define TURN_ANSWER_BYTES (1024 * 1024)
/* What a worker works at requests before it looks at its events, sends and commits: so long, and the last one's time. */
#define TURN_NS            (20 * 1000 * 1000)
#define CALL_BYTES         8192 /* what a small one takes */
#define ANSWERS_BYTES_MOST (8 * 1024 * 1024)

struct connection {
	struct list in_worker;   /* least recently active first */
	struct list in_flushing; /* in the worker's flushing list, or nowhere */
	struct list in_later;    /* in the worker's later list, or nowhere */
	struct list in_starved;  /* in the worker's starved list, or its beginners, or nowhere */
	struct list calls;       /* oldest first; internal: those that are finished */
	struct list *waiting;    /* internal: those that are not, in buckets by correlation id */
	int call_n;              /* of both */
	int turn_n;              /* requests of this turn */
	size_t turn_bytes;       /* of answers that were sent in it */
	int holding_n;           /* of those, the ones that hold a chunk */
	int alone_n;             /* of those, the ones that nothing may be begun behind (call.alone) */
	size_t answer_bytes;     /* memory of those that are finished, or parked, and not sent yet */
	struct worker *worker;
	struct chunk *chunk; /* being received into; NULL when nothing is half received */
	struct buf pending;
	int64_t pending_since_ms; /* monotonic: when the socket began to refuse */
	ev_io readable, writable;
	struct fetch_session *session; /* NULL: it has none */
	int64_t active_ms;             /* monotonic: when bytes last came */
	uint64_t moved; /* bytes so far: received, or answers' that were pending and are taken */
	struct {
		int64_t ms; /* monotonic; 0: nothing is watched */
		uint64_t moved;
	} pace; /* while memory is short, and this request half there: since when, from how many bytes on */
	size_t begun_bytes; /* of this request, as a beginner, in worker.begun_bytes (pressure.h) */
	int64_t begun_ms;   /* monotonic: since when it is there */
	uint64_t id;        /* for diagnostics */
	int fd;
	uint8_t listener; /* index in the configuration */
	int32_t entry;    /* in the census */
	uint32_t fetches; /* without a session, so far; where the next one begins to serve */
	bool doomed;      /* to be closed at the next flush */
	bool hangup;      /* the client sends no more; close when all is answered */
	bool refused;     /* what it sent is no request of ours: read no further, close when all before is
			     answered */
	bool greeted;     /* the first frame was seen */
	bool internal;    /* from another worker */
	bool begins;      /* the queue that it starves in is that of the beginners */
	struct str client_host; /* of the present request's client */
	uint16_t local_port;
	char local_host[46]; /* the address that the client connected to */
	char peer[64];       /* "127.0.0.1:50412" */
	char peer_host[46];  /* "127.0.0.1" */
};

/* Serve this socket from now on. Takes the descriptor. */
void connection_open(struct worker *w, int fd, const struct arrival *arrival);
/* The same, of another worker. */
void connection_open_internal(struct worker *w, int fd);
/* Close at the next flush, without answering what is unanswered. */
void connection_doom(struct connection *c);
/* Take no further request; close once those before are answered. */
void connection_refuse(struct connection *c);
/* Send what is finished, in order; read on where that made room; end the connection where it is doomed. */
void connection_flush(struct connection *c);
/* In the worker's flushing list from now on. */
void connection_mark(struct connection *c);
/* Its next turn: it had sent more than is served in one. */
void connection_resume(struct connection *c);
/* Read on if the memory budget allows it now, or if this is one that goes on all the same. */
void connection_feed(struct connection *c);
/* No more requests come, or are read (SIGTERM): answer what there is, waiting fetches at once, then close. */
void connection_drain(struct connection *c);

/* Read on, or no longer, as things are now. */
void connection_update(struct connection *c);

/* A new call of it, from dispatch. */
void connection_take(struct connection *c, struct call *call);
/* What is in its arena counts as memory of answers from now on: it is finished, or its answer waits for the disk. */
void call_count_answer(struct call *call);
/* A call is finished; its answer goes out when it is its turn. */
void call_finish(struct call *call);

#define ENVELOPE_GONE 255

/* --- between connection.c, connection_send.c and connection_internal.c --- */

struct connection *connection_new(struct worker *w, int fd);
void connection_close(struct connection *c);
/* All lists of calls, for i = 0, 1, ...; NULL at the end. */
struct list *connection_calls(struct connection *c, int i);
/* Answered or not: let go of everything that it holds. */
void call_end(struct call *call);
/* Make calls of the whole frames that were received, if there is room for them. */
void connection_parse(struct connection *c);
/* It has had its turn; if so, it is in the worker's later list. */
bool connection_has_had_its_turn(struct connection *c);
/* Bytes came, or were taken: the last in the worker's list, which is in this order. */
void connection_stays_active(struct connection *c);
/*
 * Nobody will send more, though there may be something left to be read. Internal: the worker at the other end is dead.
 * What it has sent is not to be begun: its clients are gone, may have come back by another way, and what they say there
 * (a commit) is newer.
 */
bool connection_sender_is_gone(const struct connection *c);
/* One frame, without its size. False: it is none. */
bool connection_serve_internal(struct connection *c, const uint8_t *frame, size_t bytes);
void connection_on_writable(struct ev_loop *loop, ev_io *watcher, int revents);

#endif
