/*
 * acceptor: takes new connections from the listeners and deals each to the worker that has the fewest.
 *
 * Part of the supervisor. A connection costs it accept, sendmsg and close, and not a byte of it is read.
 * While no worker can take one, new clients wait in the kernel's backlog.
 */
#ifndef BROKER_ACCEPTOR_H
#define BROKER_ACCEPTOR_H

#include <ev.h>
#include <stdbool.h>

#include "broker/children.h"
#include "broker/listener.h"

struct acceptor {
	struct ev_loop *loop;
	struct family *family;
	const struct children *children;
	const struct listeners *listeners;
	ev_io watchers[LISTENER_SOCKETS];
	ev_timer pause;
};

/* The listeners are open; all that is given must outlive the acceptor. */
void acceptor_init(struct acceptor *a, struct ev_loop *loop, struct family *family,
		   const struct children *children, const struct listeners *listeners);
void acceptor_start(struct acceptor *a);
void acceptor_stop(struct acceptor *a);

#endif
