/*
 * live_broker: the real broker, as a child of the test, on a port of its own and a directory of its own.
 *
 *	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);     $BROKER (build/broker)
 *	... b.port ...
 *	assert_int_equal(live_broker_stop(&b), 0);                       SIGTERM; its exit status
 *
 * Its diagnostics go to DIR/broker.log; the port and the pids of its processes are read from there, as a
 * person would.
 */
#ifndef TESTS_LIB_LIVE_BROKER_H
#define TESTS_LIB_LIVE_BROKER_H

#include <sys/types.h>

struct live_broker {
	char dir[256];
	pid_t pid;
	int port;
};

/* Further arguments, NULL at the end. Returns when it is ready; fails the test otherwise. */
struct live_broker live_broker_start(const char *dir, ...);
int live_broker_stop(struct live_broker *b);
/* Kill all of it as a power switch for processes would; the store stays. */
void live_broker_kill(struct live_broker *b);
/* Pid of the newest process of this name ("worker-0"), or 0. */
pid_t live_broker_process(const struct live_broker *b, const char *name);
/* Wait until a process of this name with another pid than `old` was started. */
pid_t live_broker_successor(const struct live_broker *b, const char *name, pid_t old);
/* How often the log says this so far. */
int live_broker_said(const struct live_broker *b, const char *what);

#endif
