#include "broker/coordinator.h"

#include <stdlib.h>
#include <string.h>

#include "broker/connection.h"
#include "broker/coordinator_slot.h"
#include "broker/worker.h"
#include "common/check.h"
#include "common/diag.h"
#include "common/faultpoint.h"

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
	w->coordinator.rules.bytes_left = &w->coordinator.bytes_left;
}

void
coordinator_start(struct worker *w)
{
	struct arena arena = ARENA_EMPTY;
	struct stored_group stored;
	enum err e;

	for (int i = 0; i < COORDINATOR_BUCKETS; i++)
		list_init(&w->coordinator.slots[i]);
	list_init(&w->coordinator.expecting);
	w->coordinator.bytes_left = COORDINATOR_BYTES;
	coordinator_reloaded(w);
	for (uint32_t last = 0; groups_after(worker_read(w), last, &arena, &stored, &e);) {
		last = stored.number;
		if (stored.empty_since_ms < 0 && coordinator_owner(w, stored.id) == w->base.slot)
			coordinator_done(coordinator_find(w, stored.id));
		FAULT_POINT("coordinator.loads");
		arena_reset(&arena);
	}
	/* Others are loaded when somebody asks for them; only members that never come back are not missed until then. */
	if (e != ERR_NONE)
		diag_error("not all groups could be loaded at the start", D_INT("worker", w->base.slot));
	arena_free(&arena);
}

void
coordinator_drain(struct worker *w)
{
	w->coordinator.draining = true;
	forward_drain(w);
	for (struct coordinator_slot *s = coordinator_next(w, NULL); s != NULL; s = coordinator_next(w, s))
		if (s->group != NULL)
			coordinator_refuse_waiters(s);
}

/* --- requests that another worker answers --------------------------------------------------------------- */

bool
coordinator_is_here(const struct call *call, struct str group_id)
{
	return call->connection->internal ||
	       coordinator_owner(call->worker, group_id) == call->worker->base.slot;
}

struct group_call *
group_call_of(struct call *call)
{
	if (call->own == NULL) {
		call->own = calloc(1, sizeof(struct group_call));
		CHECK(call->own != NULL);
	}
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
	struct group_call *g = group_call_of(call);

	g->is_forwarded = true;
	g->forwarded.answered = on_answered;
	g->forwarded.broken = on_broken;
	forward_send(call, coordinator_owner(call->worker, group_id), &g->forwarded, call->body,
		     call->body_bytes);
	return NEXT_WAIT;
}

/* --- clients that go ----------------------------------------------------------------------------------- */

/* It waits for nothing any more. */
static void
let_go(struct call *call, struct group_call *g)
{
	if (g->is_forwarded)
		forward_forget(&g->forwarded);
	if (g->slot != NULL)
		coordinator_forget(g->slot, call);
	g->slot = NULL;
}

void
group_call_forget(struct call *call)
{
	if (call->own == NULL)
		return;
	let_go(call, call->own);
	free(call->own);
	call->own = NULL;
}

void
group_call_hangup(struct call *call)
{
	struct group_call *g = call->own;

	if (g == NULL || (g->slot == NULL && !g->is_forwarded))
		return;
	let_go(call, g);
	call->handler->failed(call, ERR_NOT_COORDINATOR);
	call_ready(call);
}
