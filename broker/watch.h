/*
 * watch: what the supervisor does about a process that lives and does not move.
 *
 * Who dies is replaced in milliseconds. Who only stands still keeps what it has: its clients, its groups, and
 * at worst the store's writer lock, for which all others wait. So there is a bound to it:
 *
 *	stopped (SIGSTOP), and others wait for it: it has the writer lock or waits
 *	for it, or is the checkpointer, or has not opened its store yet                 1 s
 *	stopped, anybody else                                                          10 s
 *	has the writer lock and runs, or waits for a disk                              10 s
 *	runs and does not come round to the end of a turn of its loop                  30 s
 *
 * then it is killed, which is safe at any instruction. (SIGKILL; the last kind SIGABRT first, for a core that
 * shows the loop.) SIGCONT in time, and nothing happens but a line in the log.
 *
 * Who waits for the lock counts as well as who has it: a stopped process may have been given the wake-up that
 * the lock's last owner sent to one of those who wait, and then they all sleep.
 *
 * Why no healthy process is among them: nobody stops one but on purpose. A turn of the loop takes
 * microseconds, milliseconds where it has a lot to write, so that 30 s are a thousand times what is long.
 * What may take long is a disk, so time in which the process waits for one does not count (state D; killing
 * it would make no disk faster, and its successor would wait for the same), nor does the checkpointer's: its
 * turn is a sync, which takes what the disk takes. It is said in the log. With the lock it does count.
 *
 * A stop is heard of at once (SIGCHLD). The rest is looked at four times a second while any process is awake;
 * once all sleep in their loops the watch does so, too, and the first to wake rings (child_loop_awake).
 *
 * Bounds are counted in looks, not by the clock. Whoever stops the whole broker (Ctrl-Z, a frozen container)
 * stops these, too, and when it goes on nobody has to die for what the clock says.
 */
#ifndef BROKER_WATCH_H
#define BROKER_WATCH_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/children.h"

#define WATCH_EVERY_S 0.25
/* In looks. */
#define WATCH_STOPPED_NEEDED 4
#define WATCH_STOPPED        40
#define WATCH_LOCK           40
#define WATCH_TURN           120
#define WATCH_TURN_KILL      160
#define WATCH_SLOW_DISK      40

/* What is to be seen of a process. */
struct watch_view {
	bool stopped;
	bool needed; /* others wait for it: the checkpointer, or who starts and may have the engine's locks */
	bool in_lock;          /* has the writer lock, or waits for it */
	int64_t held_since_ns; /* names this holding of the lock; 0: it has not got it */
	bool asleep;           /* in its loop, waiting for events */
	uint32_t turn;         /* names this turn of its loop */
	bool waits_for_disk;   /* or is looked at by a debugger */
	bool syncs;            /* its turns take what the disk takes */
};

/* What was seen of it before, in looks. */
struct watched {
	int stopped, held, in_turn;
	int64_t held_since_ns;
	uint32_t turn;
};

enum watch_verdict {
	WATCH_FINE,
	WATCH_SAY_SLOW,
	WATCH_KILL_STOPPED_NEEDED,
	WATCH_KILL_STOPPED,
	WATCH_KILL_LOCK,
	WATCH_ABORT_TURN,
	WATCH_KILL_TURN,
};

/* One look. What is to be done comes up once for each time that the bound is reached. */
enum watch_verdict watch_judge(struct watched *w, const struct watch_view *now);

struct watch {
	struct ev_loop *loop;
	struct children *children;
	struct watched seen[STORE_SLOTS];
	ev_timer look;
};

void watch_init(struct watch *w, struct ev_loop *loop, struct children *children, double every_s);
/* Something moves: a process was started, stopped, or rang. */
void watch_wake(struct watch *w);
/* The process in this slot was stopped or goes on (wait status). Says so in the log. */
void watch_hear(struct watch *w, int slot, int status);
/* It died; its successor is another. */
void watch_forget(struct watch *w, int slot);

#endif
