/*
 * child_loop: what every process below the supervisor has in its event loop: a bell (its eventfd), orders to
 * leave (SIGTERM) and to look at the configuration again (SIGHUP), and the end of the supervisor (end of file on the pipe nobody writes to;
 * PR_SET_PDEATHSIG is the first line).
 */
#ifndef BROKER_CHILD_LOOP_H
#define BROKER_CHILD_LOOP_H

#include <ev.h>

#include "broker/children.h"

struct child_loop {
	struct ev_loop *loop;
	struct family *family;
	int slot;
	void (*rung)(void *arg);     /* the eventfd was written */
	void (*leave)(void *arg);    /* SIGTERM: finish and exit 0 */
	void (*reloaded)(void *arg); /* SIGHUP: the configuration may have changed; NULL: nothing to do */
	void *arg;
	ev_io bell, alive;
	ev_signal term, hup;
};

/* Begins a process: from here on it is watched, and is as if awake until it first blocks. */
void child_loop_start(struct child_loop *c, struct family *family, int slot);
/* The loop was blocked and is no longer, a turn begins. For the check watcher of each process. */
void child_loop_awake(struct child_loop *c);
/* Open this process's handle on the store. A process without its store has nothing to do: ends it on failure.
 */
struct store *child_store(const struct family *family, int slot);

#endif
