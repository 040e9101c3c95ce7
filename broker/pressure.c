#include "broker/pressure.h"

#include "broker/connection.h"
#include "broker/worker.h"
#include "common/clock.h"
#include "common/diag.h"

#define LOOK_S        0.2
#define BEGINNING_MS  400  /* after so long a beginner has no more right to memory than others */
#define GIVE_WAY_MS   1000 /* clients that go on free it sooner */
#define STALLED_MS    5000
#define STALLED_BYTES 4096

static size_t
budget(const struct worker *w)
{
	return (size_t)w->config->queued_max_bytes;
}

/* Half the budget is for requests (beyond three eighths they wait for each other), half for answers that sockets did
 * not take. A quarter more is for calls. */
bool
pressure_is_full(const struct worker *w)
{
	return w->chunks.bytes > budget(w) / 8 * 3;
}

bool
pressure_is_tight(const struct worker *w)
{
	return w->chunks.bytes > budget(w) / 16 * 3;
}

bool
pressure_is_crowded(const struct worker *w)
{
	return w->call_n * (size_t)CALL_BYTES + w->answer_bytes > budget(w) / 4;
}

/* --- two queues --- */

static bool
is_beginner(const struct connection *c)
{
	return c->begins && !list_is_empty(&c->in_starved);
}

static size_t
begun_most(const struct worker *w)
{
	return budget(w) / 16;
}

static bool
beginners_have_enough(const struct worker *w)
{
	return w->begun_bytes > begun_most(w);
}

void
pressure_queue(struct connection *c)
{
	struct worker *w = c->worker;

	if (!list_is_empty(&c->in_starved))
		return;
	c->begins = c->chunk == NULL;
	list_append(c->begins ? &w->beginners : &w->starved, &c->in_starved);
}

/* The first in each queue goes on whatever there is, so that somebody always does. */
static bool
is_first(const struct connection *c)
{
	const struct worker *w = c->worker;

	return w->starved.next == &c->in_starved || w->beginners.next == &c->in_starved;
}

bool
pressure_sips(const struct connection *c)
{
	const struct chunk *chunk = c->chunk;
	bool little =
	    chunk == NULL || (chunk->cap <= CHUNK_SLIM_BYTES && chunk->used - chunk->parsed < chunk->cap);

	return little && is_beginner(c) && !is_first(c) && beginners_have_enough(c->worker);
}

/* One request at a time. */
bool
pressure_is_starved(const struct connection *c)
{
	bool goes_on =
	    is_first(c) || (is_beginner(c) && !beginners_have_enough(c->worker)) || pressure_sips(c);

	return !list_is_empty(&c->in_starved) && (!goes_on || c->holding_n > 0);
}

/* The least that half a request takes is part of what a connection costs: however many stand still with it, others begin. */
void
pressure_count(struct connection *c)
{
	size_t cap = is_beginner(c) && c->chunk != NULL ? c->chunk->cap : 0;
	size_t bytes = cap > CHUNK_SLIM_BYTES ? cap : 0;

	if (c->begun_bytes == 0 && bytes > 0)
		c->begun_ms = clock_monotonic_ms();
	c->worker->begun_bytes += bytes - c->begun_bytes;
	c->begun_bytes = bytes;
}

static void
feed(struct worker *w)
{
	LIST_EACH (&w->beginners, it)
		connection_feed(LIST_OF(it, struct connection, in_starved));
	while (!list_is_empty(&w->starved)) {
		struct list *first = w->starved.next;
		connection_feed(LIST_OF(first, struct connection, in_starved));
		if (w->starved.next == first)
			return; /* still over the budget; only the first goes on */
	}
}

/* Others wait to begin. The oldest that are not done with what they have begun are no beginners now, until half is free. */
static void
end_beginnings(struct worker *w, int64_t now_ms)
{
	if (!beginners_have_enough(w))
		return;
	LIST_EACH (&w->beginners, it) {
		struct connection *c = LIST_OF(it, struct connection, in_starved);
		if (w->begun_bytes <= begun_most(w) / 2)
			return;
		if (c->begun_bytes == 0 || now_ms - c->begun_ms < BEGINNING_MS)
			continue;
		list_remove(it);
		pressure_queue(c);
		connection_update(c);
	}
}

/* --- who gives way --- */

void
pressure_shed_slow_readers(struct worker *w)
{
	struct connection *slowest = NULL;

	if (w->pending_bytes <= budget(w) / 2)
		return;
	LIST_EACH (&w->connections, it) {
		struct connection *c = LIST_OF(it, struct connection, in_worker);
		if (buf_len(&c->pending) > 0 && !c->doomed && !c->internal &&
		    (slowest == NULL || c->pending_since_ms < slowest->pending_since_ms))
			slowest = c;
	}
	if (slowest == NULL)
		return;
	diag_warn_often("connection closed: the client does not read its answers",
			D_INT("connection", slowest->id), D_C("client", slowest->peer),
			D_INT("unsent_bytes", buf_len(&slowest->pending)));
	connection_doom(slowest);
	connection_flush(slowest); /* and is closed: its bytes count no more */
}

static bool
has_half(const struct connection *c)
{
	return c->chunk != NULL && !c->internal && !c->doomed;
}

/* What its half request holds. Who goes on all the same holds nothing in this sense: it is to grow. */
static size_t
held_by(const struct connection *c)
{
	bool goes_on = c->worker->starved.next == &c->in_starved || is_beginner(c);

	return has_half(c) && !goes_on ? c->chunk->cap : 0;
}

/* What calls hold does not count, they are being served. */
static size_t
held_by_halves(const struct worker *w)
{
	size_t held = 0;

	LIST_EACH (&w->connections, it)
		held += held_by(LIST_OF(it, struct connection, in_worker));
	return held;
}

/* How much less is held by halves then. */
static size_t
give_way(struct connection *c)
{
	size_t held = held_by(c);

	diag_warn_often("connection closed: half a request, and no memory left for the rest of it",
			D_INT("connection", c->id), D_C("client", c->peer));
	connection_doom(c);
	connection_update(c);
	return held;
}

/*
 * Half requests alone hold more than half, and have for a while. First those that do not read their answers, then those
 * that wait for another.
 */
static void
shed_half_requests(struct worker *w, int64_t now_ms)
{
	size_t most = budget(w) / 2, held = w->chunks.bytes > most ? held_by_halves(w) : 0;

	if (held <= most)
		w->halves_over_ms = 0;
	else if (w->halves_over_ms == 0)
		w->halves_over_ms = now_ms;
	if (held <= most || now_ms - w->halves_over_ms < GIVE_WAY_MS)
		return;
	LIST_EACH (&w->connections, it) {
		struct connection *c = LIST_OF(it, struct connection, in_worker);
		if (held > most && has_half(c) && buf_len(&c->pending) > 0)
			held -= give_way(c);
	}
	const struct list *first = w->starved.next;
	LIST_EACH (&w->starved, it) {
		struct connection *c = LIST_OF(it, struct connection, in_starved);
		if (held > most && it != first && has_half(c))
			held -= give_way(c);
	}
}

void
pressure_relieve(struct worker *w)
{
	if (list_is_empty(&w->starved) && list_is_empty(&w->beginners))
		return;
	ev_timer_start(w->base.loop, &w->pressure);
	if (pressure_is_full(w)) {
		waits_look(w, true); /* over the budget no fetch waits: what they hold is wanted */
		worker_read_end(w);
	}
	feed(w);
}

/* Half a request is there, and in STALLED_MS hardly anything was added; or taken of the answers that are unsent. */
static bool
is_stalled(struct connection *c, int64_t now)
{
	bool is_its_turn = ev_is_active(&c->readable) || buf_len(&c->pending) > 0;

	if (c->chunk == NULL || c->internal || !is_its_turn) {
		c->pace.ms = 0;
		return false;
	}
	if (c->pace.ms != 0 && now - c->pace.ms < STALLED_MS)
		return false;
	bool stalled = c->pace.ms != 0 && c->moved - c->pace.moved < STALLED_BYTES;
	c->pace.ms = now;
	c->pace.moved = c->moved;
	return stalled;
}

void
pressure_look(struct worker *w, int64_t now_ms)
{
	end_beginnings(w, now_ms);
	shed_half_requests(w, now_ms);
	LIST_EACH (&w->connections, it) {
		struct connection *c = LIST_OF(it, struct connection, in_worker);
		if (!is_stalled(c, now_ms))
			continue;
		diag_warn_often(
		    "connection closed: half a request, then next to nothing, while memory is short",
		    D_INT("connection", c->id), D_C("client", c->peer));
		connection_doom(c);
	}
}

static void
on_pressure(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	struct worker *w = watcher->data;

	(void)revents;
	if (list_is_empty(&w->starved) && list_is_empty(&w->beginners))
		ev_timer_stop(loop, watcher);
	else
		pressure_look(w, clock_monotonic_ms());
}

void
pressure_init(struct worker *w)
{
	list_init(&w->starved);
	list_init(&w->beginners);
	ev_timer_init(&w->pressure, on_pressure, LOOK_S, LOOK_S);
	w->pressure.data = w;
}
