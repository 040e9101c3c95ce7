/*
 * acceptor: takes new connections from the listeners and deals each to the worker that has the fewest.
 *
 * Whoever is over a limit (max.connections, max.connections.per.ip, descriptors of the workers) is closed at once.
 *
 * Part of the supervisor. A connection costs it accept, sendmsg and close, and not a byte of it is read.
 * While no worker can take one, new clients wait in the kernel's backlog.
 */
#ifndef BROKER_ACCEPTOR_H
#define BROKER_ACCEPTOR_H

#include <ev.h>
#include <stdbool.h>

#include "broker/census.h"
#include "broker/children.h"
#include "broker/listener.h"

/* Why a connection is closed as soon as it is accepted. */
enum refusal { REFUSAL_ALL, REFUSAL_ADDRESS, REFUSAL_DESCRIPTORS, REFUSAL_CENSUS, REFUSAL_N };

struct complaint {
	int64_t said_ms; /* monotonic; 0: never */
	int64_t n;       /* since then */
};

struct address_limit {
	struct census_address address;
	int32_t most;
};

struct acceptor {
	struct ev_loop *loop;
	struct family *family;
	const struct children *children;
	const struct listeners *listeners;
	ev_io watchers[LISTENER_SOCKETS];
	ev_timer pause;
	struct census census;
	struct address_limit *limit; /* max.connections.per.ip.overrides */
	int32_t limit_n;
	uint32_t worker_most; /* connections that a worker has descriptors for */
	struct complaint refused[REFUSAL_N], starved;
};

/* The listeners are open; all that is given must outlive the acceptor. */
void acceptor_init(struct acceptor *a, struct ev_loop *loop, struct family *family,
		   const struct children *children, const struct listeners *listeners);
void acceptor_start(struct acceptor *a);
/*
 * The worker in this slot is dead, and its successor not yet forked. Its connections are gone with it, but for those
 * that it had not taken: these are handed to others.
 */
void acceptor_bury(struct acceptor *a, int slot);
void acceptor_stop(struct acceptor *a);

#endif
