/*
 * wakeup: one eventfd per process, so that a process can be woken whose loop sleeps.
 *
 * A write costs ten microseconds and a look at a flag one nanosecond, so the eventfd is written only if
 * the sleeper's flag says that it sleeps. The order that makes this safe:
 *
 *	sleeper   says what it waits for -> wakeup_sleep() (flag, full fence) -> looks once more -> blocks
 *	waker     changes what is waited for -> wakeup_send() (full fence, flag?) -> write
 *
 * The eventfds are made by the supervisor before the forks and outlive every process; a wake-up of a
 * process that died is found by its successor.
 */
#ifndef BROKER_WAKEUP_H
#define BROKER_WAKEUP_H

#include "broker/shared.h"

struct wakeup {
	int fd[STORE_SLOTS];
	struct shared *shared;
};

void wakeup_create(struct wakeup *w, struct shared *shared, int slots);
/* Wake the process in this slot if it sleeps. */
void wakeup_send(const struct wakeup *w, int slot);
/* About to block: from here on others must write to wake us. */
void wakeup_sleep(const struct wakeup *w, int slot);
/* Awake: spare the others their writes. */
void wakeup_awake(const struct wakeup *w, int slot);
/* Take what was written; the fd is readable no longer. */
void wakeup_drain(const struct wakeup *w, int slot);

#endif
