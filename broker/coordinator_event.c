/*
 * An event: the group has changed, and the actions say who is to be told what. If they say that the group must be
 * saved, its state goes into this turn's transaction; the event is ready when that is durable, others at once. The
 * answers of the first event of a slot are given when it is ready, then those of the next.
 *
 * What can go wrong: the commit fails (all that is behind it in the slot was decided on something that is not true:
 * refused, with all who wait in the group); a client goes (nothing here points to its call any more).
 */
#include "broker/coordinator_slot.h"

#include <stdlib.h>

#include "broker/api/handlers.h"
#include "broker/worker.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/diag.h"
#include "common/faultpoint.h"

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

/* --- answering ----------------------------------------------------------------------------------------- */

/* The call waits no longer. */
static void
release(struct call *call)
{
	((struct group_call *)call->own)->slot = NULL;
	call_ready(call);
}

static void
refuse(struct call *call)
{
	call->handler->failed(call, ERR_NOT_COORDINATOR);
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
refuse_answers(struct group_event *e)
{
	for (int32_t i = 0; i < e->actions.n; i++)
		if (e->actions.at[i].waiter != NULL)
			refuse(e->actions.at[i].waiter);
	if (e->call != NULL)
		refuse(e->call);
}

void
coordinator_refuse_waiters(struct coordinator_slot *slot)
{
	struct arena arena = ARENA_EMPTY;
	void **waiters;
	int32_t n = group_waiters(slot->group, &arena, &waiters);

	for (int32_t i = 0; i < n; i++) {
		group_forget_waiter(slot->group, clock_monotonic_ms(), waiters[i]);
		refuse(waiters[i]);
	}
	arena_free(&arena);
}

void
coordinator_done(struct coordinator_slot *slot)
{
	while (!list_is_empty(&slot->events)) {
		struct group_event *e = LIST_OF(slot->events.next, struct group_event, in_slot);
		if (!e->ready)
			break;
		list_remove(&e->in_slot);
		give_answers(e);
		event_free(e);
	}
	coordinator_rest(slot);
}

void
coordinator_forget(struct coordinator_slot *slot, struct call *call)
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
	coordinator_arm(slot);
}

/* --- saving -------------------------------------------------------------------------------------------- */

static struct group_event *
event_of(struct job *job)
{
	return LIST_OF(job, struct group_event, job);
}

/* An error of the engine loses the whole transaction: then save_failed() is told. */
static enum promise
save_write(struct job *job, struct store_txn *txn)
{
	struct group_event *e = event_of(job);
	const struct bytes state = { .at = buf_head(&e->state), .n = (int32_t)buf_len(&e->state) };

	enum err error = groups_save(txn, e->slot->id, state, e->empty_since_ms);
	CHECK(error == ERR_NONE || store_failed(txn));
	return WHEN_DURABLE;
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
		refuse_answers(later);
		event_free(later);
	}
	coordinator_refuse_waiters(slot);
	coordinator_discard(slot);
}

static void
save_done(struct job *job)
{
	struct group_event *e = event_of(job);

	FAULT_POINT("group.saved");
	e->ready = true;
	coordinator_done(e->slot);
}

static const struct job_kind save_job = { .write = save_write, .done = save_done, .failed = save_failed };

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

void
coordinator_wait_for(struct coordinator_slot *slot, uint64_t commit)
{
	static const struct job_kind barrier = { .done = save_done };
	struct worker *w = slot->worker;

	if (store_is_durable(w->store, commit))
		return;
	struct group_event *e = event_new(slot);
	e->job.kind = &barrier;
	e->job.commit = commit;
	list_append(&slot->events, &e->in_slot);
	/* Not turn_park(): done now it would free the slot under our caller. */
	list_append(&w->parked, &e->job.in_list);
}

/* --- events -------------------------------------------------------------------------------------------- */

struct group_event *
coordinator_begin(struct call *call, struct str group_id)
{
	struct coordinator_slot *slot = coordinator_find(call->worker, group_id);

	group_call_of(call)->slot = slot;
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
		coordinator_refuse_waiters(slot);
	coordinator_arm(slot);
	coordinator_done(slot);
	return NEXT_WAIT;
}

void
coordinator_tick(struct coordinator_slot *slot, int64_t now_ms)
{
	struct group_event *e = event_new(slot);

	group_tick(slot->group, now_ms, &e->actions);
	coordinator_end(e);
}
