/*
 * workers: several workers in the test's own process, over one temporary store, turn by turn.
 *
 *	struct workers *ws = workers_begin(2);
 *	struct client c = workers_connect(ws, 0);             a connection to worker 0
 *	client_send(&c, API_JOIN_GROUP, 3, &request);
 *	struct join_group_response *r = workers_receive(ws, &c);
 *	workers_end(ws);
 *
 * Everything but worker_main() is the real thing: connections, dispatch, turns, forwarding over real sockets.
 * Nothing happens but in workers_turn(), so that a test can say what comes before what: requests that were
 * sent before a turn are all read in it, and written in one transaction. The test is the checkpointer;
 * `hold` keeps it from making anything durable.
 *
 * A worker that is killed ends as by SIGKILL: its sockets close, nothing of it runs any more.
 */
#ifndef TESTS_LIB_WORKERS_H
#define TESTS_LIB_WORKERS_H

#include <stdbool.h>

#include "broker/worker.h"
#include "tests/lib/client.h"
#include "tests/lib/store_fixture.h"

#define WORKERS_MOST 4

struct workers {
	struct store_fixture store;
	struct config config; /* to be changed at will */
	struct family family;
	struct worker *at[WORKERS_MOST]; /* NULL: dead */
	bool frozen[WORKERS_MOST];       /* as by SIGSTOP: has no turns */
	bool hold;                       /* no checkpoints */
};

/* Without initial rebalance delay, and with any session time-out. */
struct workers *workers_begin(int n);
void workers_end(struct workers *ws);

void workers_kill(struct workers *ws, int slot);
/* The successor of one that was killed. */
void workers_start(struct workers *ws, int slot);

struct client workers_connect(struct workers *ws, int slot);
/* Each worker reads what there is, commits, sends; then a checkpoint if somebody waits for one. */
void workers_turn(struct workers *ws);
/* So many turns that everything under way between clients and workers has arrived. */
void workers_settle(struct workers *ws);
/* Turns until the client is answered; fails the test after some seconds. */
void *workers_receive(struct workers *ws, struct client *c);
void *workers_call(struct workers *ws, struct client *c, int16_t key, int16_t version, const void *request);
/* Settled, and not answered. */
bool workers_is_quiet(struct workers *ws, struct client *c);
/* Settled, answered all, and closed by the broker. */
bool workers_is_closed(struct workers *ws, struct client *c);
/* Turns until what() is true; fails the test after some seconds. */
void workers_wait(struct workers *ws, bool (*what)(struct workers *ws));

/* The n-th name of a group that this worker owns (static memory, a few names at a time). */
const char *workers_group(const struct workers *ws, int slot, int n);

#endif
