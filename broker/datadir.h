/*
 * datadir: one broker at a time on a data directory.
 *
 * The lock is flock(2) on DIR/broker.lock. Every child inherits it, so it is free only when the last process
 * of a broker is gone: a new broker can never meet the old one's checkpointer. Children die with their
 * supervisor at once (PR_SET_PDEATHSIG), so a restart right after SIGKILL waits milliseconds. The file holds
 * the supervisor's pid.
 */
#ifndef BROKER_DATADIR_H
#define BROKER_DATADIR_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Create the directory where needed and take the lock. Returns the descriptor to keep open, or -1: *holder is
 * the pid of the broker that has it, or 0 where the directory itself is at fault (said in diag).
 */
int datadir_lock(const char *dir, pid_t *holder);

#endif
