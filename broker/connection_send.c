/*
 * Answering: finished calls at the head of the queue are encoded together into the worker's frame and written with
 * one sendmsg, record batches straight from the store's map.
 *
 * What can go wrong: a client that does not read. What its socket does not take is pending, and until that is gone
 * nothing more is answered, nor read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/call.h"
#include "broker/connection.h"
#include "broker/explain.h"
#include "broker/worker.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/diag.h"
#include "common/faultpoint.h"

#define GATHER_BYTES (256 * 1024) /* answers that are sent together */
#define IOV_AT_ONCE  1024

/* Encode the finished calls at the head of the queue, until enough is gathered. They move to `sent`. */
static void
gather_answers(struct connection *c, struct frame *frame, struct list *sent)
{
	list_init(sent);
	LIST_EACH (&c->calls, it) {
		struct call *call = LIST_OF(it, struct call, in_connection);
		if (frame_size(frame) >= GATHER_BYTES || !call->finished)
			return;
		list_remove(&call->in_connection);
		list_append(sent, &call->in_connection);
		if (call->silent)
			continue;
		if (call->handler->answer != NULL)
			call->handler->answer(call);
		size_t before = frame_size(frame);
		response_encode(call->api, call->version, call->correlation_id, call->out, frame);
		explain_answer(call, frame, frame_size(frame) - before);
	}
}

/* Copy the bytes from `skip` on to the connection's pending answers. */
static void
keep_rest(struct connection *c, const struct iovec *iov, int n, size_t skip)
{
	for (int i = 0; i < n; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		if (buf_len(&c->pending) == 0)
			c->pending_since_ms = clock_monotonic_ms();
		buf_append(&c->pending, (const uint8_t *)iov[i].iov_base + skip, iov[i].iov_len - skip);
		c->worker->pending_bytes += iov[i].iov_len - skip;
		skip = 0;
	}
}

static bool
send_failed(struct connection *c)
{
	if (errno == EAGAIN || errno == EINTR)
		return false;
	diag_debug("answer cannot be sent", D_INT("connection", c->id), D_C("reason", strerror(errno)));
	connection_doom(c);
	return true;
}

/* Write the frame; what the socket does not take becomes pending. */
static void
send_frame(struct connection *c, const struct frame *frame)
{
	int n = frame_iov_count(frame), from = 0;
	struct iovec few[64], *iov = n <= 64 ? few : malloc((size_t)n * sizeof(*iov));

	CHECK(iov != NULL);
	frame_iov(frame, iov);
	while (from < n) {
		int count = n - from < IOV_AT_ONCE ? n - from : IOV_AT_ONCE;
		size_t size = 0;
		for (int i = 0; i < count; i++)
			size += iov[from + i].iov_len;
		struct msghdr msg = { .msg_iov = iov + from, .msg_iovlen = (size_t)count };
		ssize_t sent = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
		if (sent < 0 && send_failed(c))
			break;
		if (sent < 0 || (size_t)sent < size) {
			keep_rest(c, iov + from, n - from, sent < 0 ? 0 : (size_t)sent);
			break;
		}
		from += count;
	}
	if (iov != few)
		free(iov);
}

static bool
has_answer(const struct connection *c)
{
	return !list_is_empty(&c->calls) && LIST_OF(c->calls.next, struct call, in_connection)->finished;
}

static void
send_answers(struct connection *c)
{
	struct frame *frame = &c->worker->frame;
	struct list sent;

	frame_reset(frame);
	gather_answers(c, frame, &sent);
	if (frame_size(frame) > 0) {
		FAULT_POINT("answer.due");
		send_frame(c, frame);
		FAULT_POINT("answer.sent");
		if (c->internal)
			FAULT_POINT("forward.answered");
	}
	c->turn_bytes += frame_size(frame);
	LIST_EACH (&sent, it)
		call_end(LIST_OF(it, struct call, in_connection));
}

static void
send_pending(struct connection *c)
{
	ssize_t n = send(c->fd, buf_head(&c->pending), buf_len(&c->pending), MSG_NOSIGNAL);

	if (n < 0) {
		send_failed(c);
		return;
	}
	connection_stays_active(c);
	c->moved += (uint64_t)n;
	c->worker->pending_bytes -= (size_t)n;
	buf_consume(&c->pending, (size_t)n);
	if (buf_len(&c->pending) == 0)
		buf_free(&c->pending);
}

void
connection_on_writable(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct connection *c = watcher->data;

	(void)loop, (void)revents;
	send_pending(c);
	connection_mark(c);
}

/* Nothing more will come of it: all is answered, or cannot be. */
static bool
is_over(const struct connection *c)
{
	return c->doomed || ((c->hangup || c->refused) && c->call_n == 0 && buf_len(&c->pending) == 0 &&
			     list_is_empty(&c->in_later));
}

void
connection_flush(struct connection *c)
{
	struct ev_loop *loop = c->worker->base.loop;

	if (c->refused && !c->hangup)
		connection_drain(
		    c); /* its client could not be seen to go: what waits for long would hold it for as long */
	list_remove(&c->in_flushing);
	while (!c->doomed && buf_len(&c->pending) == 0 && has_answer(c) && !connection_has_had_its_turn(c))
		send_answers(c);
	if (!c->doomed)
		connection_parse(c); /* what had to wait for room in the queue */
	if (is_over(c)) {
		connection_close(c);
		return;
	}
	connection_update(c);
	if (buf_len(&c->pending) > 0)
		ev_io_start(loop, &c->writable);
	else
		ev_io_stop(loop, &c->writable);
}
