#include "tests/lib/workers.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker/connection.h"
#include "broker/pressure.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "tests/lib/test.h"

#define PATIENCE_MS test_patience_ms(20000)
#define HOPS        12 /* more than from a client to another worker and back, with a commit */

static void
flush(struct worker *w)
{
	while (!list_is_empty(&w->flushing))
		connection_flush(LIST_OF(w->flushing.next, struct connection, in_flushing));
}

/* --- a worker's beginning and end ---------------------------------------------------------------------- */

static void
nothing(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	(void)loop, (void)watcher, (void)revents;
}

/* As worker_main(). */
void
workers_start(struct workers *ws, int slot)
{
	struct worker *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->base.loop = ev_loop_new(EVFLAG_AUTO);
	w->base.family = &ws->family;
	w->base.slot = slot;
	w->config = &ws->config;
	w->shared = ws->family.shared;
	w->slot = &w->shared->slot[slot];
	w->store = ws->store.store;
	list_init(&w->connections);
	list_init(&w->flushing);
	list_init(&w->later);
	list_init(&w->parked);
	turn_init(&w->turn);
	waits_init(&w->waits);
	fetch_sessions_init(&w->sessions);
	pressure_init(w);
	ev_set_cb(&w->pressure, nothing); /* who wants a look takes it */
	ev_init(&w->write_retry, nothing);
	thrift_init(w);
	coordinator_start(w);
	forward_start(w);
	worker_read_end(w);
	ws->at[slot] = w;
}

/* What it held stays reachable: a process that dies frees nothing, which is no leak. */
struct worker **workers_graves;
static size_t grave_n;

void
workers_kill(struct workers *ws, int slot)
{
	struct worker *w = ws->at[slot];

	if (w == NULL)
		return;
	LIST_EACH (&w->connections, it)
		close(LIST_OF(it, struct connection, in_worker)->fd);
	for (int i = 0; i < STORE_SLOTS; i++)
		if (w->forward.link[i] != NULL && w->forward.link[i]->fd >= 0)
			close(w->forward.link[i]->fd);
	ev_loop_destroy(w->base.loop);
	ws->at[slot] = NULL;
	struct worker **bigger = realloc(workers_graves, (grave_n + 1) * sizeof(struct worker *));
	assert_non_null(bigger);
	workers_graves = bigger;
	workers_graves[grave_n++] = w;
}

struct workers *
workers_begin(int n)
{
	struct workers *ws = calloc(1, sizeof(*ws));

	assert_non_null(ws);
	fixture_begin(&ws->store, DURABILITY_DURABLE);
	config_init(&ws->config);
	ws->config.workers = n;
	ws->config.group_initial_delay_ms = 0;
	ws->config.group_min_session_ms = 1;
	ws->family.config = &ws->config;
	ws->family.shared = shared_create();
	ws->family.wakeup.shared = ws->family.shared;
	for (int i = 0; i < n; i++)
		forward_socket_create(&ws->family.forward[i]);
	for (int i = 0; i < n; i++)
		workers_start(ws, i);
	atomic_store(&ws->family.shared->store.writes_ok, 1);
	return ws;
}

/* Every connection ends in whatever it was about. */
static void
close_all(struct worker *w)
{
	LIST_EACH (&w->connections, it)
		connection_doom(LIST_OF(it, struct connection, in_worker));
	flush(w);
	assert_true(list_is_empty(&w->connections));
}

void
workers_end(struct workers *ws)
{
	for (int i = 0; i < ws->config.workers; i++)
		if (ws->at[i] != NULL)
			close_all(ws->at[i]);
	for (int i = 0; i < ws->config.workers; i++) {
		workers_kill(ws, i);
		close(ws->family.forward[i].fd);
	}
	fixture_end(&ws->store);
	config_free(&ws->config);
	munmap(ws->family.shared, sizeof(*ws->family.shared));
	free(ws);
}

struct client
workers_connect(struct workers *ws, int slot)
{
	struct client c = { 0 };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	c.fd = pair[0];
	connection_open(ws->at[slot], pair[1], &(struct arrival){ .entry = 0 });
	return c;
}

/* --- turns --------------------------------------------------------------------------------------------- */

/* As its loop would once it is woken. */
static void
turn(struct worker *w)
{
	worker_resume(w);
	ev_run(w->base.loop, EVRUN_NOWAIT);
	worker_work(w);
	worker_read_end(w);
}

/* What the checkpointer does for those whose consumers wait. */
static void
checkpoint(struct workers *ws)
{
	fixture_checkpoint(&ws->store);
	for (int i = 0; i < ws->config.workers; i++)
		if (atomic_exchange(&ws->family.shared->slot[i].poked, 0) != 0)
			atomic_store(&ws->family.shared->slot[i].look, LOOK_APPENDED);
}

void
workers_turn(struct workers *ws)
{
	for (int i = 0; i < ws->config.workers; i++)
		if (ws->at[i] != NULL && !ws->frozen[i])
			turn(ws->at[i]);
	if (!ws->hold && atomic_exchange(&ws->family.shared->checkpoint_wanted, 0) != 0)
		checkpoint(ws);
}

void
workers_settle(struct workers *ws)
{
	for (int i = 0; i < HOPS; i++)
		workers_turn(ws);
}

static bool
has_answer(const struct client *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void
turn_or_give_up(struct workers *ws, int64_t deadline_ms)
{
	if (clock_monotonic_ms() > deadline_ms)
		fail_msg("waited for too long");
	workers_turn(ws);
}

/* Nothing moves any more but by time. */
static void
nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

/* An answer may be larger than what a socket holds. */
static void
receive_all(struct workers *ws, struct client *c, uint8_t *at, size_t n)
{
	int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
	size_t have = 0;

	while (have < n) {
		ssize_t got = recv(c->fd, at + have, n - have, MSG_DONTWAIT);
		if (got == 0)
			fail_msg("the connection was closed instead of an answer");
		if (got > 0) {
			have += (size_t)got;
			continue;
		}
		turn_or_give_up(ws, deadline_ms);
		if (!has_answer(c))
			nap();
	}
}

void *
workers_receive(struct workers *ws, struct client *c)
{
	uint8_t size[4];

	receive_all(ws, c, size, sizeof(size));
	size_t n = get_u32(size);
	uint8_t *frame = arena_alloc(&c->arena, n);
	receive_all(ws, c, frame, n);
	return client_take(c, frame, n);
}

void *
workers_call(struct workers *ws, struct client *c, int16_t key, int16_t version, const void *request)
{
	client_send(c, key, version, request);
	return workers_receive(ws, c);
}

bool
workers_is_quiet(struct workers *ws, struct client *c)
{
	workers_settle(ws);
	return !has_answer(c);
}

bool
workers_is_closed(struct workers *ws, struct client *c)
{
	char byte;

	workers_settle(ws);
	return recv(c->fd, &byte, 1, MSG_DONTWAIT) == 0;
}

void
workers_wait(struct workers *ws, bool (*what)(struct workers *ws))
{
	int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;

	while (!what(ws)) {
		turn_or_give_up(ws, deadline_ms);
		nap();
	}
}

const char *
workers_group(const struct workers *ws, int slot, int n)
{
	static char names[8][32];
	static int next;
	char *name = names[next++ % 8];

	for (int i = 0;; i++) {
		snprintf(name, sizeof(names[0]), "group-%d", i);
		if (coordinator_owner(ws->at[0] != NULL ? ws->at[0] : ws->at[1], str_of(name)) == slot &&
		    n-- == 0)
			return name;
	}
}
