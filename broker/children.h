/*
 * children: the processes below the supervisor, as a table of kinds and a table of slots.
 *
 * A slot is taken before the fork and freed by the reaper. A child that dies is replaced at once; one that
 * dies soon after its start waits longer each time (100 ms doubling to 10 s), until it has lived for ten
 * seconds.
 *
 * Exit statuses of children: 0 it was asked to leave; 2 (CHILD_HOPELESS) another try would end the same, stop
 * the broker; anything else, or a signal: start another.
 */
#ifndef BROKER_CHILDREN_H
#define BROKER_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/forward_socket.h"
#include "broker/handoff.h"
#include "broker/shared.h"
#include "broker/wakeup.h"
#include "common/config.h"

#define CHILD_HOPELESS 2

enum child_kind { CHILD_WORKER, CHILD_CHECKPOINTER, CHILD_CLEANER };

/* What a child finds in its memory after the fork. */
struct family {
	const struct config *config;
	struct shared *shared;
	struct wakeup wakeup;
	struct handoff handoff[STORE_SLOTS];        /* one per worker */
	struct forward_socket forward[STORE_SLOTS]; /* likewise */
	int alive_pipe[2];     /* nobody writes; its end of file tells children that the supervisor is gone */
	int supervisor_wakeup; /* slot in wakeup that rings the supervisor: prepared, deaths foreseen */
	int64_t started_ns;
	void (*leave_parent)(void); /* in a child: let go of the supervisor's loop and listeners */
};

struct child {
	enum child_kind kind;
	char name[24]; /* "worker-2" */
	pid_t pid;     /* 0: not running */
	int64_t started_ms;
	int64_t not_before_ms; /* back-off */
	int64_t backoff_ms;
	bool wanted;
	bool stopped; /* it was, by a signal, and has not gone on yet */
};

struct children {
	struct family *family;
	struct child child[STORE_SLOTS];
	int n; /* workers, then the checkpointer, then the cleaner */
};

void children_init(struct children *c, struct family *family);
int children_checkpointer(const struct children *c); /* slots */
int children_cleaner(const struct children *c);
int children_running(const struct children *c, enum child_kind kind);

/* Fork every wanted child that is not running and whose back-off is over. Returns ms until the next may
 * start, or -1. */
int64_t children_spawn(struct children *c);
/* Who died, was stopped or goes on. Returns the slot and its wait status, or -1: nobody (more). */
int children_wait(struct children *c, int *status);
void children_signal(const struct children *c, enum child_kind kind, int signal_number);
void children_want(struct children *c, enum child_kind kind, bool wanted);
/* Whoever of this kind waits for his turn to be started again waits so long at most. */
void children_hurry(struct children *c, enum child_kind kind, int64_t most_ms);

/* The processes' mains: never return. */
_Noreturn void worker_main(struct family *family, int slot);
_Noreturn void checkpointer_main(struct family *family, int slot);
_Noreturn void cleaner_main(struct family *family, int slot);

#endif
