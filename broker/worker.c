#include "broker/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/connection.h"
#include "broker/pressure.h"
#include "broker/status.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/diag.h"
#include "common/faultpoint.h"

#define DRAIN_MOST_S 3.0 /* a client that does not take its last answers */

static struct worker worker;

struct store_txn *
worker_read(struct worker *w)
{
	if (w->snapshot == NULL && store_read(w->store, &w->snapshot) != ERR_NONE) {
		diag_error("the store cannot be read, leaving", D_C("data", w->config->dir));
		_exit(1);
	}
	return w->snapshot;
}

void
worker_read_end(struct worker *w)
{
	if (w->snapshot != NULL)
		store_read_end(w->snapshot);
	w->snapshot = NULL;
}

bool
worker_is_late(const struct worker *w)
{
	return clock_monotonic_ns() - w->awake_since_ns > TURN_NS;
}

void
worker_release_parked(struct worker *w)
{
	while (!list_is_empty(&w->parked)) {
		struct job *job = LIST_OF(w->parked.next, struct job, in_list);
		if (!store_is_durable(w->store, job->commit))
			return;
		list_remove(&job->in_list);
		job->kind->done(job);
	}
}

static void
look_at_waits(struct worker *w)
{
	uint32_t look = atomic_exchange(&w->slot->look, 0);

	if (look == LOOK_ALL)
		w->waits.losses++;
	if (look != 0)
		waits_look(w, look == LOOK_ALL);
}

static void
flush_connections(struct worker *w)
{
	while (!list_is_empty(&w->flushing)) {
		connection_flush(LIST_OF(w->flushing.next, struct connection, in_flushing));
		pressure_shed_slow_readers(w);
	}
}

void
worker_work(struct worker *w)
{
	thrift_note(w);
	do {
		turn_run(w);
		look_at_waits(w);
		flush_connections(w);
		worker_read_end(w);
	} while (turn_is_due(w) || !list_is_empty(&w->flushing));
	turn_run(w); /* nothing to commit any more; but what was parked by the flushes must be announced */
	pressure_relieve(w);
}

static bool
has_work(struct worker *w)
{
	if (atomic_load(&w->slot->look) != 0 || !list_is_empty(&w->flushing))
		return true;
	return !list_is_empty(&w->parked) &&
	       store_is_durable(w->store, LIST_OF(w->parked.next, struct job, in_list)->commit);
}

static void
leave_if_done(struct worker *w)
{
	if (!w->draining || !list_is_empty(&w->connections))
		return;
	store_close(w->store);
	exit(0);
}

/* How long clients with other wishes had to wait for this turn, and for the store's part in it. */
static void
count_stalls(struct worker *w)
{
	stall_add(&w->slot->turns, clock_monotonic_ns() - w->awake_since_ns);
	if (w->turn.store_ns > 0)
		stall_add(&w->slot->store, w->turn.store_ns);
	w->turn.store_ns = 0;
}

/* The loop is about to block: finish the turn, say that we sleep, and look once more (wakeup.h). */
static void
on_before_sleep(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	struct worker *w = watcher->data;

	(void)loop, (void)revents;
	worker_work(w);
	wakeup_sleep(&w->base.family->wakeup, w->base.slot);
	while (has_work(w)) {
		wakeup_awake(&w->base.family->wakeup, w->base.slot); /* who works is watched */
		worker_work(w);
		wakeup_sleep(&w->base.family->wakeup, w->base.slot);
	}
	leave_if_done(w);
	if (!list_is_empty(&w->later))
		ev_idle_start(w->base.loop, &w->again);
	count_stalls(w);
}

void
worker_resume(struct worker *w)
{
	struct list *last = w->later.prev;

	ev_idle_stop(w->base.loop, &w->again);
	w->awake_since_ns = clock_monotonic_ns();
	for (bool more = !list_is_empty(&w->later); more;) {
		struct list *first = w->later.next;
		connection_resume(LIST_OF(first, struct connection, in_later));
		more = first != last &&
		       !worker_is_late(w); /* the rest keep their order, and are the first then */
	}
}

static void
on_again(struct ev_loop *loop, ev_idle *watcher, int revents)
{
	(void)loop, (void)watcher, (void)revents; /* on_after_sleep does the work */
}

static void
on_after_sleep(struct ev_loop *loop, ev_check *watcher, int revents)
{
	struct worker *w = watcher->data;

	(void)loop, (void)revents;
	child_loop_awake(&w->base);
	worker_resume(w);
}

static void
on_rung(void *arg)
{
	(void)arg; /* on_before_sleep looks */
}

static void
on_arrivals(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct worker *w = watcher->data;
	enum handoff_result result;
	struct arrival arrival;
	int fd;

	(void)loop, (void)revents;
	while ((result = handoff_receive(&w->base.family->handoff[w->base.slot], &fd, &arrival)) !=
	       HANDOFF_NOTHING) {
		FAULT_POINT("handoff.taken");
		if (result == HANDOFF_CONNECTION)
			connection_open(w, fd, &arrival);
		else
			atomic_store(&w->shared->ended[arrival.entry], 1);
		FAULT_POINT("handoff.opened");
		atomic_fetch_add(&w->slot->taken,
				 1); /* after it counts as ours: never uncounted in between */
		if (result == HANDOFF_LOST)
			diag_warn("connection lost: no descriptor is left for it",
				  D_INT("connections", w->connection_n));
	}
}

/*
 * Connections without a call whose client has said nothing since then end. Where it is we who owe something: one that is
 * held up is not read, so a client that has gone with more behind is seen nowhere but here.
 */
void
worker_check_idle(struct worker *w, int64_t before_ms)
{
	LIST_EACH (&w->connections, it) {
		struct connection *c = LIST_OF(it, struct connection, in_worker);
		if (c->active_ms > before_ms)
			return; /* least recently active first */
		if (c->internal)
			continue;
		if (c->call_n > 0 && buf_len(&c->pending) == 0) {
			if (!c->hangup && connection_sender_is_gone(c))
				connection_drain(c);
			continue;
		}
		diag_debug("connection is idle, closing it", D_INT("connection", c->id),
			   D_C("client", c->peer));
		connection_doom(c);
	}
}

/* After connections.max.idle.ms. */
static void
on_idle_check(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	struct worker *w = watcher->data;

	(void)loop, (void)revents;
	if (w->config->idle_ms >= 0)
		worker_check_idle(w, clock_monotonic_ms() - w->config->idle_ms);
}

static void
on_drained_enough(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	struct worker *w = watcher->data;

	(void)loop, (void)revents;
	LIST_EACH (&w->connections, it)
		connection_doom(LIST_OF(it, struct connection, in_worker));
}

/* SIGTERM: no new requests; what waits for data is answered with what there is, what waits for a commit when
 * it is durable. */
static void
on_leave(void *arg)
{
	struct worker *w = arg;
	static ev_timer enough;

	if (w->draining)
		return; /* from the supervisor, and once more for the whole process group */
	w->draining = true;
	ev_io_stop(w->base.loop, &w->arrivals);
	LIST_EACH (&w->connections, it)
		connection_drain(LIST_OF(it, struct connection, in_worker));
	coordinator_drain(w);
	FAULT_POINT("worker.drains");
	ev_timer_init(&enough, on_drained_enough, DRAIN_MOST_S, 0);
	enough.data = w;
	ev_timer_start(w->base.loop, &enough);
}

static void
on_write_retry(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	(void)revents;
	ev_timer_stop(loop, watcher); /* on_before_sleep runs the turn */
}

static void
on_status(struct ev_loop *loop, ev_signal *watcher, int revents)
{
	(void)loop, (void)revents;
	status_of_worker(watcher->data);
}

static double
idle_check_every_s(const struct config *config)
{
	double tenth = (double)config->idle_ms / 10000;

	return tenth < 0.05 ? 0.05 : tenth > 30 ? 30 : tenth;
}

static void
set_idle_check(struct worker *w)
{
	ev_timer_stop(w->base.loop, &w->idle_check);
	ev_timer_set(&w->idle_check, idle_check_every_s(w->config), idle_check_every_s(w->config));
	ev_timer_start(w->base.loop, &w->idle_check);
}

static void
on_reloaded(void *arg)
{
	struct worker *w = arg;

	set_idle_check(w);
	coordinator_reloaded(w);
}

static void
watch(struct worker *w)
{
	ev_io_init(&w->arrivals, on_arrivals, w->base.family->handoff[w->base.slot].worker, EV_READ);
	ev_init(&w->idle_check, on_idle_check);
	ev_prepare_init(&w->before_sleep, on_before_sleep);
	ev_check_init(&w->after_sleep, on_after_sleep);
	ev_idle_init(&w->again, on_again);
	ev_init(&w->write_retry, on_write_retry);
	thrift_init(w);
	w->write_retry.repeat = 0.002;
	w->arrivals.data = w->idle_check.data = w->before_sleep.data = w->after_sleep.data = w;
	ev_io_start(w->base.loop, &w->arrivals);
	ev_signal_init(&w->usr1, on_status, SIGUSR1);
	w->usr1.data = w;
	ev_signal_start(w->base.loop, &w->usr1);
	set_idle_check(w);
	ev_prepare_start(w->base.loop, &w->before_sleep);
	ev_check_start(w->base.loop, &w->after_sleep);
}

_Noreturn void
worker_main(struct family *family, int slot)
{
	struct worker *w = &worker;

	w->base.rung = on_rung;
	w->base.leave = on_leave;
	w->base.reloaded = on_reloaded;
	w->base.arg = w;
	w->config = family->config;
	w->shared = family->shared;
	w->slot = &family->shared->slot[slot];
	list_init(&w->connections);
	list_init(&w->flushing);
	list_init(&w->later);
	list_init(&w->parked);
	turn_init(&w->turn);
	waits_init(&w->waits);
	pressure_init(w);
	fetch_sessions_init(&w->sessions);
	for (size_t i = 0; i < WAIT_HASHES / 64; i++)
		atomic_store(&w->slot->waits[i], 0); /* those of a predecessor */
	atomic_store(&w->slot->wants_commit, 0);
	stall_clear(&w->slot->turns);
	stall_clear(&w->slot->store);
	w->awake_since_ns = clock_monotonic_ns();
	child_loop_start(&w->base, family, slot);
	FAULT_POINT("worker.started");
	w->store = child_store(family, slot);
	FAULT_POINT("worker.opened");
	watch(w);
	coordinator_start(w);
	forward_start(w);
	FAULT_POINT("worker.ready");
	worker_read_end(w);
	ev_run(w->base.loop, 0);
	_exit(1);
}
