/*
 * worker: one process that serves connections. One libev loop, one thread, its own handle on the shared
 * store.
 *
 *	readable              bytes -> calls -> dispatch: finished at once, or joins the turn, or waits
 *	before the loop blocks    turn_run() commits what the turn gathered; what became durable is finished;
 *	                      waiting fetches are looked at where their partitions moved; and then, in one
 *	                      place, answers are sent and connections end
 *
 * Everything a worker knows is in this struct; all of it dies with the process, and nothing of it is
 * missed: what was promised is in the store.
 */
#ifndef BROKER_WORKER_H
#define BROKER_WORKER_H

#include <ev.h>

#include "broker/call.h"
#include "broker/child_loop.h"
#include "broker/chunk.h"
#include "broker/coordinator.h"
#include "broker/fetch_session.h"
#include "broker/forward.h"
#include "broker/thrift.h"
#include "broker/turn.h"
#include "broker/waits.h"
#include "common/list.h"

struct worker {
	struct child_loop base;
	const struct config *config;
	struct shared *shared;
	struct shared_slot *slot; /* our own */
	struct store *store;
	struct store_txn *snapshot; /* open within one callback at most */

	struct list connections; /* least recently active first */
	struct list flushing;    /* connections with something to send or to end, in this turn */
	struct list later;       /* connections that have had their turn and have more to say */
	struct list starved;     /* connections that wait for the memory budget, with half a request */
	struct list beginners;   /* those that began while it was used up (pressure.h) */
	size_t begun_bytes;      /* what these have received, if it is more than a little */
	int64_t halves_over_ms;  /* monotonic: since when half requests hold too much; 0: they do not */
	uint32_t connection_n;
	uint64_t next_connection_id;
	struct chunk_pool chunks;
	struct call *spare_calls; /* freed calls, arenas kept */
	int spare_call_n;
	struct frame frame;   /* answers being sent */
	struct arena scratch; /* empty between two uses */
	size_t pending_bytes; /* answers that sockets did not take yet */
	size_t answer_bytes;  /* memory of answers that are finished and not sent yet */
	uint32_t call_n;      /* of clients */

	struct turn turn;
	int64_t awake_since_ns;         /* when this turn of the loop began */
	struct thrift thrift;           /* its own memory */
	struct list parked;             /* jobs that wait for their commit to be durable, oldest first */
	struct waits waits;             /* fetches that wait for data */
	struct fetch_sessions sessions; /* of its connections */
	struct coordinator coordinator; /* the groups that are ours */
	struct forward forward;         /* the way to the others' */

	ev_io arrivals;
	ev_timer idle_check, pressure, write_retry;
	ev_prepare before_sleep;
	ev_check after_sleep;
	ev_idle again; /* keeps the loop from sleeping */
	ev_signal usr1;
	bool draining;
};

/* The snapshot of this callback: begun at first use. */
struct store_txn *worker_read(struct worker *w);
/* Every callback that may have read ends with this. */
void worker_read_end(struct worker *w);
/* All that there is to do without waiting: before the loop blocks. */
void worker_work(struct worker *w);
/* Let go of connections whose client has said nothing since then. */
void worker_check_idle(struct worker *w, int64_t before_ms);
/* This turn of the loop has taken its time: no further request is begun in it. */
bool worker_is_late(const struct worker *w);
/* A turn of the loop begins. Connections that have had their turn have the next one. */
void worker_resume(struct worker *w);
/* Answer what waited for commits that are durable now. */
void worker_release_parked(struct worker *w);

#endif
