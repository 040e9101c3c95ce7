/*
 * The owner's end of a connection between workers (forward.h): envelopes, and answers in any order. So thousands of
 * JoinGroup requests may wait here while the heartbeats behind them are answered.
 *
 * Calls wait in buckets by their correlation id, which the other worker has given them, until they are finished;
 * then they join the queue, which holds nothing else. There is no limit to them: each is one of a client's, whose
 * own connection has one.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/call.h"
#include "broker/connection.h"
#include "broker/dispatch.h"
#include "broker/worker.h"
#include "common/bytes.h"
#include "common/check.h"
#include "common/diag.h"
#include "common/faultpoint.h"

#define BUCKETS 1024

static struct list *
bucket(const struct connection *c, int32_t correlation_id)
{
	return &c->waiting[(uint32_t)correlation_id % BUCKETS];
}

void
connection_open_internal(struct worker *w, int fd)
{
	struct connection *c = connection_new(w, fd);

	c->waiting = malloc(BUCKETS * sizeof(*c->waiting));
	CHECK(c->waiting != NULL);
	for (int i = 0; i < BUCKETS; i++)
		list_init(&c->waiting[i]);
	c->internal = true;
	c->greeted = true;
	snprintf(c->peer, sizeof(c->peer), "another worker");
	diag_debug("connection opened", D_INT("connection", c->id), D_C("client", c->peer));
}

struct list *
connection_calls(struct connection *c, int i)
{
	int buckets = c->internal ? BUCKETS : 0;

	if (i < buckets)
		return &c->waiting[i];
	return i == buckets ? &c->calls : NULL;
}

/* --- calls --- */

void
connection_take(struct connection *c, struct call *call)
{
	list_append(c->internal ? bucket(c, call->correlation_id) : &c->calls, &call->in_connection);
	c->call_n++;
	c->worker->call_n += !c->internal;
	call->alone = call->handler->alone;
	c->alone_n += call->alone;
}

void
call_count_answer(struct call *call)
{
	struct connection *c = call->connection;

	c->answer_bytes += call->arena.used - call->answer_bytes;
	c->worker->answer_bytes += call->arena.used - call->answer_bytes;
	call->answer_bytes = call->arena.used;
}

void
call_finish(struct call *call)
{
	struct connection *c = call->connection;

	call->finished = true;
	call_count_answer(call);
	if (c->internal) {
		list_remove(&call->in_connection);
		list_append(&c->calls, &call->in_connection);
	}
	if (c->calls.next == &call->in_connection)
		connection_mark(c);
}

/* The client behind this request is gone. What is about to be written, or to be answered, goes its way. */
static void
forget_call(struct connection *c, int32_t correlation_id)
{
	LIST_EACH (bucket(c, correlation_id), it) {
		struct call *call = LIST_OF(it, struct call, in_connection);
		if (call->correlation_id != correlation_id || !list_is_empty(&call->job.in_list))
			continue;
		call->silent = true;
		call_finish(call);
		return;
	}
}

bool
connection_sender_is_gone(const struct connection *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

bool
connection_serve_internal(struct connection *c, const uint8_t *frame, size_t bytes)
{
	if (frame[0] == ENVELOPE_GONE) {
		if (bytes >= 5)
			forget_call(c, (int32_t)get_u32(frame + 1));
		return bytes >= 5;
	}
	size_t n = (size_t)frame[0] + 1;
	if (bytes <= n)
		return false;
	c->client_host = (struct str){ .at = (const char *)frame + 1, .n = frame[0] };
	FAULT_POINT("forward.taken");
	return dispatch(c, frame + n, bytes - n);
}
