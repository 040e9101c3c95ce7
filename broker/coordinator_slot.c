/*
 * A slot is made when somebody asks for its group, and freed as soon as there is nothing more to the group than the
 * store has: no members, no ids given out, nothing to be saved or answered. One timer each: the group's deadline.
 *
 * What can go wrong: the store has no such group, or cannot say (it begins anew); the loop stood still, so that the
 * members' sessions end before their heartbeats are read (they are given time); nobody ever joins (the oldest go)
 */
#include "broker/coordinator_slot.h"

#include <stdlib.h>
#include <string.h>

#include "broker/worker.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/diag.h"

/* The loop stood still for so long: hear what members have said meanwhile before missing them. */
#define STALLED_MS 500
#define PAUSE_MS   500

/* What a slot, a group and a timer take, about, besides the id and what members bring. */
#define SLOT_COST 1024

/* --- whose it is, and where ----------------------------------------------------------------------------- */

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

/* --- memory -------------------------------------------------------------------------------------------- */

/* The slot costs so much, and nobody has joined; 0: that is not so (any more). */
static void
expect(struct coordinator_slot *slot, int64_t bytes)
{
	struct coordinator *c = &slot->worker->coordinator;

	c->expecting_bytes += bytes - slot->expecting_bytes;
	slot->expecting_bytes = bytes;
	list_remove(&slot->in_expecting);
	if (bytes > 0)
		list_append(&c->expecting, &slot->in_expecting);
}

/* Its members hold so much now. */
static void
account(struct coordinator_slot *slot, int64_t bytes)
{
	slot->worker->coordinator.bytes_left -= bytes - slot->bytes;
	slot->bytes = bytes;
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents);

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
	list_init(&slot->in_expecting);
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
	expect(slot, 0);
	account(slot, 0);
	group_free(slot->group);
	free((void *)(uintptr_t)slot->id.at);
	free(slot);
}

/* Nobody holds on to them: they have no events, and no member that waits. */
static void
forget_oldest(struct coordinator *c)
{
	while (c->expecting_bytes > COORDINATOR_EXPECTING_BYTES)
		slot_free(LIST_OF(c->expecting.next, struct coordinator_slot, in_expecting));
}

void
coordinator_rest(struct coordinator_slot *slot)
{
	struct coordinator *c = &slot->worker->coordinator;
	bool busy = slot->group == NULL || !list_is_empty(&slot->events);

	if (!busy && group_is_idle(slot->group)) {
		slot_free(slot);
		return;
	}
	account(slot, slot->group != NULL ? group_bytes(slot->group) : 0);
	if (busy || group_view(slot->group).state != GROUP_EMPTY)
		expect(slot, 0);
	else
		expect(slot, SLOT_COST + 2 * slot->id.n + group_pending_bytes(slot->group));
	forget_oldest(c);
}

/* --- time ---------------------------------------------------------------------------------------------- */

static void
arm_at(struct coordinator_slot *slot, int64_t at_ms)
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

/* A heartbeat moves the deadline only further away, and arms nothing: the timer finds that out when it fires. */
void
coordinator_arm(struct coordinator_slot *slot)
{
	int64_t deadline = slot->group != NULL ? group_deadline(slot->group) : INT64_MAX;

	if (!slot->paused && deadline < slot->armed_ms)
		arm_at(slot, deadline);
}

/* --- finding, loading ---------------------------------------------------------------------------------- */

/* What was read may not be durable yet: a predecessor died with it. */
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
	coordinator_arm(slot);
	if (slot->stored)
		coordinator_wait_for(slot, store_snapshot(worker_read(w)));
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

void
coordinator_discard(struct coordinator_slot *slot)
{
	group_free(slot->group);
	slot->group = NULL;
	slot->paused = false;
	arm_at(slot, clock_monotonic_ms());
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

static void
on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	struct coordinator_slot *slot = watcher->data;
	struct worker *w = slot->worker;
	int64_t now = clock_monotonic_ms(), late_ms = now - slot->armed_ms;
	bool was_paused = slot->paused;

	(void)loop, (void)revents;
	slot->armed_ms = INT64_MAX;
	slot->paused = false;
	if (slot->group == NULL)
		load(slot);
	/* Once: who stalls again and again still misses the dead. */
	if (late_ms > STALLED_MS && !was_paused) {
		arm_at(slot, now + PAUSE_MS);
		slot->paused = true;
	} else if (group_deadline(slot->group) <= now) {
		coordinator_tick(slot, now);
	} else {
		coordinator_arm(slot);
		coordinator_done(slot);
	}
	worker_read_end(w);
}
