#include "broker/coordinator.h"

#include <stdlib.h>
#include <string.h>

#include "broker/api/handlers.h"
#include "broker/call.h"
#include "broker/connection.h"
#include "broker/worker.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/diag.h"

/* The loop stood still for so long: hear what members have said meanwhile before missing them. */
#define STALLED_MS 500
#define PAUSE_MS   500

/* --- who owns what ------------------------------------------------------------------------------------- */

/* FNV-1a */
static uint32_t
hash(struct str id)
{
	uint32_t h = 0x811c9dc5u;

	for (int32_t i = 0; i < id.n; i++)
		h = (h ^ (uint8_t)id.at[i]) * 0x01000193u;
	return h ^ (h >> 16);
}

int
coordinator_owner(const struct worker *w, struct str group_id)
{
	return (int)(hash(group_id) % (uint32_t)w->config->workers);
}

bool
coordinator_is_here(const struct call *call, struct str group_id)
{
	return call->connection->internal ||
	       coordinator_owner(call->worker, group_id) == call->worker->base.slot;
}

static struct group_call *
own(struct call *call)
{
	if (call->own == NULL)
		call->own = arena_alloc(&call->arena, sizeof(struct group_call));
	return call->own;
}

/* The owner's answer, in bytes that live as long as the call. */
static void
on_answered(struct forwarded *f, const uint8_t *body, size_t bytes)
{
	struct call *call = f->call;
	struct wire_fault fault;
	uint8_t *copy = arena_alloc(&call->arena, bytes + 1);

	memcpy(copy, body, bytes);
	if (!decode(call->api->response, call->version, copy, bytes, &call->arena, call->out, &fault)) {
		diag_error("another worker's answer cannot be read", D_C("where", fault.where),
			   D_C("reason", fault.what));
		message_defaults(call->api->response, call->out);
		call->handler->failed(call, ERR_UNKNOWN_SERVER_ERROR);
	}
	call_ready(call);
}

/*
 * The owner died. Its successor is there in a moment, behind the same address: who looks for another coordinator
 * only loses time, and librdkafka, if it has just lost another connection, so much that its session ends.
 */
static void
on_broken(struct forwarded *f)
{
	f->call->handler->failed(f->call, ERR_COORDINATOR_LOAD_IN_PROGRESS);
	call_ready(f->call);
}

enum next
coordinator_forward(struct call *call, struct str group_id)
{
	struct group_call *g = own(call);

	g->is_forwarded = true;
	g->forwarded.answered = on_answered;
	g->forwarded.broken = on_broken;
	forward_send(call, coordinator_owner(call->worker, group_id), &g->forwarded, call->body,
		     call->body_bytes);
	return NEXT_WAIT;
}

/* --- slots --------------------------------------------------------------------------------------------- */

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents);
static void settle(struct coordinator_slot *slot);
static void save_done(struct job *job);

static struct group_event *
event_new(struct coordinator_slot *slot)
{
	struct group_event *e = calloc(1, sizeof(*e));

	CHECK(e != NULL);
	e->slot = slot;
	e->group = slot->group;
	e->actions.arena = &e->arena;
	e->actions.why = STR_NULL;
	list_init(&e->in_slot);
	list_init(&e->job.in_list);
	return e;
}

static void
event_free(struct group_event *e)
{
	list_remove(&e->in_slot);
	list_remove(&e->job.in_list);
	buf_free(&e->state);
	arena_free(&e->arena);
	free(e);
}

/* What was read may not be durable yet: a predecessor died with it. Nobody is told before it is. */
static void
wait_for_what_was_read(struct coordinator_slot *slot)
{
	static const struct job_kind barrier = { .done = save_done };
	struct worker *w = slot->worker;
	uint64_t commit = store_snapshot(worker_read(w));

	if (store_is_durable(w->store, commit))
		return;
	struct group_event *e = event_new(slot);
	e->job.kind = &barrier;
	e->job.commit = commit;
	list_append(&slot->events, &e->in_slot);
	turn_park(w, &e->job);
}

static void
load(struct coordinator_slot *slot)
{
	struct worker *w = slot->worker;
	struct arena arena = ARENA_EMPTY;
	struct stored_group stored;
	const struct group_rules *rules = &w->coordinator.rules;
	enum err e = groups_find(worker_read(w), slot->id, &arena, &stored);

	slot->stored = e == ERR_NONE;
	if (e == ERR_NONE && stored.state.n > 0) {
		slot->group = group_decode(slot->id, rules, stored.state, clock_monotonic_ms());
		if (slot->group == NULL)
			diag_error("a group's state cannot be read: its members begin anew",
				   D_STR("group", slot->id));
	} else if (e != ERR_NONE && e != ERR_GROUP_ID_NOT_FOUND) {
		diag_error("a group cannot be read: its members begin anew", D_STR("group", slot->id),
			   D_C("error", err_name(e)));
	}
	if (slot->group == NULL)
		slot->group = group_new(slot->id, rules);
	arena_free(&arena);
	if (slot->stored)
		wait_for_what_was_read(slot);
}

static struct list *
bucket(struct worker *w, struct str id)
{
	return &w->coordinator.slots[(hash(id) / (uint32_t)w->config->workers) % COORDINATOR_BUCKETS];
}

struct coordinator_slot *
coordinator_peek(struct worker *w, struct str group_id)
{
	LIST_EACH (bucket(w, group_id), it) {
		struct coordinator_slot *slot = LIST_OF(it, struct coordinator_slot, in_bucket);
		if (str_eq(slot->id, group_id))
			return slot;
	}
	return NULL;
}

static struct coordinator_slot *
slot_new(struct worker *w, struct str id)
{
	struct coordinator_slot *slot = calloc(1, sizeof(*slot));
	char *copy = malloc((size_t)id.n + 1);

	CHECK(slot != NULL && copy != NULL);
	if (id.n > 0)
		memcpy(copy, id.at, (size_t)id.n);
	slot->id = (struct str){ .at = copy, .n = id.n };
	slot->worker = w;
	slot->armed_ms = INT64_MAX;
	list_init(&slot->events);
	ev_init(&slot->timer, on_timer);
	ev_set_priority(&slot->timer, EV_MINPRI); /* what was received comes first */
	slot->timer.data = slot;
	list_append(bucket(w, id), &slot->in_bucket);
	return slot;
}

static void
slot_free(struct coordinator_slot *slot)
{
	ev_timer_stop(slot->worker->base.loop, &slot->timer);
	list_remove(&slot->in_bucket);
	group_free(slot->group);
	free((void *)(uintptr_t)slot->id.at);
	free(slot);
}

struct coordinator_slot *
coordinator_find(struct worker *w, struct str group_id)
{
	struct coordinator_slot *slot = coordinator_peek(w, group_id);

	if (slot == NULL)
		slot = slot_new(w, group_id);
	if (slot->group == NULL)
		load(slot);
	return slot;
}

struct coordinator_slot *
coordinator_next(struct worker *w, const struct coordinator_slot *slot)
{
	struct list *head = slot == NULL ? w->coordinator.slots : bucket(w, slot->id);
	struct list *next = slot == NULL ? head->next : slot->in_bucket.next;

	while (next == head) {
		if (++head == w->coordinator.slots + COORDINATOR_BUCKETS)
			return NULL;
		next = head->next;
	}
	return LIST_OF(next, struct coordinator_slot, in_bucket);
}

bool
coordinator_is_absent(const struct coordinator_slot *slot)
{
	return !slot->stored && group_is_idle(slot->group);
}

/* Whoever joins from here on is saved behind it. */
void
coordinator_deleted(struct worker *w, struct str group_id)
{
	struct coordinator_slot *slot = coordinator_peek(w, group_id);

	if (slot != NULL && slot->group != NULL && group_is_idle(slot->group))
		slot->stored = false;
}

/* --- time ---------------------------------------------------------------------------------------------- */

static void
arm(struct coordinator_slot *slot, int64_t at_ms)
{
	struct ev_loop *loop = slot->worker->base.loop;
	int64_t in_ms = at_ms - clock_monotonic_ms();

	ev_timer_stop(loop, &slot->timer);
	slot->armed_ms = at_ms;
	if (at_ms == INT64_MAX)
		return;
	ev_timer_set(&slot->timer, in_ms > 0 ? (double)in_ms / 1000 + 0.001 : 0, 0);
	ev_timer_start(loop, &slot->timer);
}

/* A heartbeat moves the deadline only further away: the timer finds that out when it fires. */
static void
arm_if_earlier(struct coordinator_slot *slot)
{
	int64_t deadline = slot->group != NULL ? group_deadline(slot->group) : INT64_MAX;

	if (deadline < slot->armed_ms)
		arm(slot, deadline);
}

static void
on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	struct coordinator_slot *slot = watcher->data;
	struct worker *w = slot->worker;
	int64_t now = clock_monotonic_ms(), late_ms = now - slot->armed_ms;

	(void)loop, (void)revents;
	slot->armed_ms = INT64_MAX;
	if (slot->group == NULL)
		load(slot);
	if (late_ms > STALLED_MS) {
		arm(slot, now + PAUSE_MS);
	} else if (group_deadline(slot->group) <= now) {
		struct group_event *e = event_new(slot);
		group_tick(slot->group, now, &e->actions);
		coordinator_end(e);
	} else {
		coordinator_done(slot);
	}
	worker_read_end(w);
}

/* --- answering ----------------------------------------------------------------------------------------- */

/* The call waits no longer. */
static void
release(struct call *call)
{
	((struct group_call *)call->own)->slot = NULL;
	call_ready(call);
}

static void
refuse(struct call *call, enum err error)
{
	call->handler->failed(call, error);
	release(call);
}

static void
give_answers(struct group_event *e)
{
	for (int32_t i = 0; i < e->actions.n; i++) {
		const struct group_action *a = &e->actions.at[i];
		if (a->waiter == NULL)
			continue;
		if (a->kind == GROUP_ANSWER_JOIN)
			join_group_fill(a->waiter, &a->joined);
		else
			sync_group_fill(a->waiter, a);
		release(a->waiter);
	}
	if (e->call != NULL)
		release(e->call);
}

static void
refuse_answers(struct group_event *e, enum err error)
{
	for (int32_t i = 0; i < e->actions.n; i++)
		if (e->actions.at[i].waiter != NULL)
			refuse(e->actions.at[i].waiter, error);
	if (e->call != NULL)
		refuse(e->call, error);
}

/* Everybody whose answer is not decided yet. */
static void
refuse_waiters(struct coordinator_slot *slot, enum err error)
{
	struct arena arena = ARENA_EMPTY;
	void **waiters;
	int32_t n = group_waiters(slot->group, &arena, &waiters);

	for (int32_t i = 0; i < n; i++) {
		group_forget_waiter(slot->group, clock_monotonic_ms(), waiters[i]);
		refuse(waiters[i], error);
	}
	arena_free(&arena);
}

/* Answer what is durable; forget the group if there is nothing more to it than is in the store. */
static void
settle(struct coordinator_slot *slot)
{
	while (!list_is_empty(&slot->events)) {
		struct group_event *e = LIST_OF(slot->events.next, struct group_event, in_slot);
		if (!e->ready)
			break;
		list_remove(&e->in_slot);
		give_answers(e);
		event_free(e);
	}
	if (list_is_empty(&slot->events) && slot->group != NULL && group_is_idle(slot->group))
		slot_free(slot);
	else
		arm_if_earlier(slot);
}

void
coordinator_done(struct coordinator_slot *slot)
{
	settle(slot);
}

/* --- saving -------------------------------------------------------------------------------------------- */

static struct group_event *
event_of(struct job *job)
{
	return LIST_OF(job, struct group_event, job);
}

static enum promise
save_write(struct job *job, struct store_txn *txn)
{
	struct group_event *e = event_of(job);
	const struct bytes state = { .at = buf_head(&e->state), .n = (int32_t)buf_len(&e->state) };

	e->error = groups_save(txn, e->slot->id, state, e->empty_since_ms);
	return e->error == ERR_NONE ? WHEN_DURABLE : WHEN_COMMITTED;
}

/* What memory says was never stored, nor will be what was decided after it. */
static void
save_failed(struct job *job, enum err error)
{
	struct group_event *e = event_of(job);
	struct coordinator_slot *slot = e->slot;
	struct list *it = &e->in_slot;

	diag_error("a group cannot be saved: it goes on from what is stored", D_STR("group", slot->id),
		   D_C("error", err_name(error)));
	while (it != &slot->events) {
		struct group_event *later = LIST_OF(it, struct group_event, in_slot);
		it = it->next;
		refuse_answers(later, ERR_NOT_COORDINATOR);
		event_free(later);
	}
	refuse_waiters(slot, ERR_NOT_COORDINATOR);
	group_free(slot->group);
	slot->group = NULL;
	arm(slot, clock_monotonic_ms()); /* loads it, so that members that are gone are missed */
}

static void
save_done(struct job *job)
{
	struct group_event *e = event_of(job);

	if (e->error != ERR_NONE) {
		save_failed(job, e->error);
		return;
	}
	e->ready = true;
	settle(e->slot);
}

static const struct job_kind save_job = { save_write, save_done, save_failed };

static void
save(struct group_event *e)
{
	struct coordinator_slot *slot = e->slot;

	group_encode(slot->group, &e->state);
	e->empty_since_ms = group_view(slot->group).member_n == 0 ? clock_wall_ms() : -1;
	e->job.kind = &save_job;
	e->job.bytes = buf_len(&e->state);
	slot->stored = true;
	turn_add(slot->worker, &e->job);
}

/* --- events -------------------------------------------------------------------------------------------- */

struct group_event *
coordinator_begin(struct call *call, struct str group_id)
{
	struct coordinator_slot *slot = coordinator_find(call->worker, group_id);

	own(call)->slot = slot;
	return event_new(slot);
}

static void
say(const struct group_event *e)
{
	struct group_view view = group_view(e->slot->group);

	if (e->actions.why.at != NULL)
		diag_info("group rebalances", D_STR("group", view.id), D_STR("because", e->actions.why),
			  D_INT("generation", view.generation), D_INT("members", view.member_n));
	if (e->actions.n > 0 && e->actions.at[0].kind == GROUP_SAVE)
		diag_debug("group is saved", D_STR("group", view.id),
			   D_C("state", group_state_name(view.state)), D_INT("generation", view.generation),
			   D_INT("members", view.member_n));
}

enum next
coordinator_end(struct group_event *e)
{
	struct coordinator_slot *slot = e->slot;

	say(e);
	list_append(&slot->events, &e->in_slot);
	if (e->actions.n > 0 && e->actions.at[0].kind == GROUP_SAVE)
		save(e);
	else
		e->ready = true;
	if (slot->worker->coordinator.draining)
		refuse_waiters(slot, ERR_NOT_COORDINATOR);
	settle(slot);
	return NEXT_WAIT;
}

/* The client is gone: in the group, and in what is about to be answered. */
static void
forget(struct coordinator_slot *slot, struct call *call)
{
	LIST_EACH (&slot->events, it) {
		struct group_event *e = LIST_OF(it, struct group_event, in_slot);
		for (int32_t i = 0; i < e->actions.n; i++)
			if (e->actions.at[i].waiter == call)
				e->actions.at[i].waiter = NULL;
		if (e->call == call)
			e->call = NULL;
	}
	if (slot->group != NULL)
		group_forget_waiter(slot->group, clock_monotonic_ms(), call);
	arm_if_earlier(slot);
}

void
group_call_forget(struct call *call)
{
	struct group_call *g = call->own;

	if (g == NULL)
		return;
	if (g->is_forwarded)
		forward_forget(&g->forwarded);
	if (g->slot != NULL)
		forget(g->slot, call);
	g->slot = NULL;
}

void
group_call_hangup(struct call *call)
{
	struct group_call *g = call->own;

	if (g == NULL || (g->slot == NULL && !g->is_forwarded))
		return;
	group_call_forget(call);
	call->handler->failed(call, ERR_NOT_COORDINATOR);
	call_ready(call);
}

/* --- beginning and end --------------------------------------------------------------------------------- */

static struct group_rules
rules_of(const struct config *config)
{
	return (struct group_rules){
		.min_session_timeout_ms = config->group_min_session_ms,
		.max_session_timeout_ms = config->group_max_session_ms,
		.initial_rebalance_delay_ms = config->group_initial_delay_ms,
		.max_size = config->group_max_size,
	};
}

void
coordinator_reloaded(struct worker *w)
{
	w->coordinator.rules = rules_of(w->config);
}

void
coordinator_start(struct worker *w)
{
	struct arena arena = ARENA_EMPTY;
	struct stored_group stored;

	for (int i = 0; i < COORDINATOR_BUCKETS; i++)
		list_init(&w->coordinator.slots[i]);
	w->coordinator.rules = rules_of(w->config);
	for (uint32_t last = 0; groups_after(worker_read(w), last, &arena, &stored);) {
		last = stored.number;
		if (stored.empty_since_ms < 0 && coordinator_owner(w, stored.id) == w->base.slot)
			coordinator_done(coordinator_find(w, stored.id));
		arena_reset(&arena);
	}
	arena_free(&arena);
}

void
coordinator_drain(struct worker *w)
{
	w->coordinator.draining = true;
	for (struct coordinator_slot *s = coordinator_next(w, NULL); s != NULL; s = coordinator_next(w, s))
		if (s->group != NULL)
			refuse_waiters(s, ERR_NOT_COORDINATOR);
}
