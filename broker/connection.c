/*
 * The happy path: bytes arrive in a chunk, each whole frame becomes a call, finished calls at the head of the
 * queue are encoded together into the worker's frame and written with one writev, record batches straight
 * from the store's map.
 *
 * What can go wrong: a size that is no size (TLS, HTTP, garbage: said so and closed before any allocation); a
 * client that does not read (pending; reading stops); one that hangs up (what is finished is still sent);
 * bytes that are no request (closed).
 */
#include "broker/connection.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/call.h"
#include "broker/chunk.h"
#include "broker/dispatch.h"
#include "broker/explain.h"
#include "broker/worker.h"
#include "common/bytes.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/diag.h"

#define SIZE_BYTES       4
#define TRUSTED_FRAME    (1024 * 1024) /* room is made at once; for larger frames as their bytes arrive */
#define GATHER_BYTES     (256 * 1024)  /* answers that are sent together */
#define FRAME_KEEP_BYTES (1024 * 1024) /* a larger one is not kept for the next answers */
#define IOV_AT_ONCE      1024

/* --- open, close --- */

static void on_readable(struct ev_loop *loop, ev_io *w, int revents);
static void on_writable(struct ev_loop *loop, ev_io *w, int revents);

static void
remember_addresses(struct connection *c)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);
	char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "0";

	if (getpeername(c->fd, (struct sockaddr *)&addr, &len) == 0)
		getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
			    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(c->peer, sizeof(c->peer), addr.ss_family == AF_INET6 ? "[%.50s]:%.5s" : "%.50s:%.5s", host,
		 port);
	snprintf(c->peer_host, sizeof(c->peer_host), "%.45s", host);
	len = sizeof(addr);
	if (getsockname(c->fd, (struct sockaddr *)&addr, &len) == 0)
		getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
			    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(c->local_host, sizeof(c->local_host), "%.45s", host);
	c->local_port = (uint16_t)strtol(port, NULL, 10);
}

/* Of clients; those of other workers do not count. */
static void
count(struct connection *c, int change)
{
	struct worker *w = c->worker;

	if (c->internal)
		return;
	w->connection_n += (uint32_t)change;
	atomic_store(&w->slot->connections, w->connection_n);
}

static struct connection *
open_any(struct worker *w, int fd, bool internal)
{
	struct connection *c = calloc(1, sizeof(*c));

	CHECK(c != NULL);
	c->worker = w;
	c->fd = fd;
	c->internal = internal;
	count(c, 1);
	c->id = w->next_connection_id++;
	c->active_ms = clock_monotonic_ms();
	list_init(&c->calls);
	list_init(&c->in_flushing);
	list_init(&c->in_starved);
	list_append(&w->connections, &c->in_worker);
	ev_io_init(&c->readable, on_readable, fd, EV_READ);
	ev_io_init(&c->writable, on_writable, fd, EV_WRITE);
	c->readable.data = c->writable.data = c;
	ev_io_start(w->base.loop, &c->readable);
	return c;
}

void
connection_open(struct worker *w, int fd, uint8_t listener)
{
	struct connection *c = open_any(w, fd, false);
	int one = 1;

	c->listener = listener;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	remember_addresses(c);
	c->client_host = str_of(c->peer_host);
	diag_debug("connection opened", D_INT("connection", c->id), D_C("client", c->peer));
}

void
connection_open_internal(struct worker *w, int fd)
{
	struct connection *c = open_any(w, fd, true);

	snprintf(c->peer, sizeof(c->peer), "another worker");
	c->greeted = true;
	diag_debug("connection opened", D_INT("connection", c->id), D_C("client", c->peer));
}

static void
call_free(struct call *call)
{
	struct worker *w = call->worker;

	if (call->handler->forget != NULL)
		call->handler->forget(call);
	list_remove(&call->job.in_list);
	list_remove(&call->in_connection);
	call->connection->call_n--;
	chunk_release(&w->chunks, call->chunk);
	call_recycle(call);
}

static void
connection_close(struct connection *c)
{
	struct worker *w = c->worker;

	LIST_EACH (&c->calls, it)
		call_free(LIST_OF(it, struct call, in_connection));
	diag_debug("connection closed", D_INT("connection", c->id), D_C("client", c->peer));
	ev_io_stop(w->base.loop, &c->readable);
	ev_io_stop(w->base.loop, &c->writable);
	list_remove(&c->in_worker);
	list_remove(&c->in_flushing);
	list_remove(&c->in_starved);
	chunk_release(&w->chunks, c->chunk);
	w->pending_bytes -= buf_len(&c->pending);
	buf_free(&c->pending);
	close(c->fd);
	count(c, -1);
	free(c);
}

void
connection_mark(struct connection *c)
{
	list_remove(&c->in_flushing);
	list_append(&c->worker->flushing, &c->in_flushing);
}

void
connection_doom(struct connection *c)
{
	c->doomed = true;
	connection_mark(c);
}

void
connection_refuse(struct connection *c)
{
	c->refused = true;
	connection_mark(c);
}

void
connection_drain(struct connection *c)
{
	c->hangup = true;
	waits_look_for(c->worker, c);
	LIST_EACH (&c->calls, it) {
		struct call *call = LIST_OF(it, struct call, in_connection);
		if (!call->finished && call->handler->hangup != NULL)
			call->handler->hangup(call);
	}
	connection_mark(c);
}

/* --- receiving --- */

static bool
has_room(const struct connection *c)
{
	return c->call_n < (c->internal ? CALLS_MOST_INTERNAL : CALLS_MOST) && buf_len(&c->pending) == 0;
}

static bool
may_read(const struct connection *c)
{
	return !c->doomed && !c->hangup && !c->refused && has_room(c);
}

/* The first in that queue goes on, one request at a time, so that somebody always does. */
bool
connection_is_starved(const struct connection *c)
{
	return !list_is_empty(&c->in_starved) && (c->worker->starved.next != &c->in_starved || c->call_n > 0);
}

static void
reading_update(struct connection *c)
{
	struct ev_loop *loop = c->worker->base.loop;
	bool starved = connection_is_starved(c);

	if (may_read(c) && !starved)
		ev_io_start(loop, &c->readable);
	else
		ev_io_stop(loop, &c->readable);
}

/* What a size field that cannot be one probably is. */
static const char *
guess_protocol(const uint8_t *at)
{
	static const char *const http[] = { "GET ", "POST", "PUT ", "HEAD", "HTTP", "OPTI", "DELE", "PRI " };

	if (at[0] == 0x16 && at[1] == 0x03)
		return "TLS: the client is set to SSL, this listener is PLAINTEXT";
	for (size_t i = 0; i < sizeof(http) / sizeof(http[0]); i++)
		if (memcmp(at, http[i], 4) == 0)
			return "HTTP: this port speaks Kafka's protocol";
	return "neither a Kafka request nor TLS nor HTTP, or a request above socket.request.max.bytes";
}

/* The size of the frame that begins here, or -1: cannot be one, and is said so. */
static int64_t
frame_size_check(struct connection *c, const uint8_t *at)
{
	int32_t size = (int32_t)get_u32(at);

	if (size > 0 && (size <= c->worker->config->request_max_bytes || c->internal) &&
	    (c->greeted || !(at[0] == 0x16 && at[1] == 0x03)))
		return size;
	diag_warn("connection closed: bytes that are no request", D_INT("connection", c->id),
		  D_C("client", c->peer), D_C("looks_like", guess_protocol(at)), D_INT("size", size),
		  D_INT("socket.request.max.bytes", c->worker->config->request_max_bytes),
		  D_HEX("bytes", ((struct str){ .at = (const char *)at, .n = 4 })));
	return -1;
}

/* Another worker says that the client behind this request is gone. */
static void
forget_call(struct connection *c, int32_t correlation_id)
{
	LIST_EACH (&c->calls, it) {
		struct call *call = LIST_OF(it, struct call, in_connection);
		if (call->correlation_id != correlation_id || call->finished)
			continue;
		if (call->handler->forget == NULL || !list_is_empty(&call->job.in_list))
			return; /* it is about to be answered */
		call->handler->forget(call);
		call->silent = true;
		call_finish(call);
		return;
	}
}

static bool
serve_internal(struct connection *c, const uint8_t *frame, size_t bytes)
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
	return dispatch(c, frame + n, bytes - n);
}

/* Make calls of the whole frames that were received. */
static void
parse_frames(struct connection *c)
{
	while (c->chunk != NULL && !c->doomed && !c->refused && has_room(c)) {
		struct chunk *chunk = c->chunk;
		size_t have = chunk->used - chunk->parsed;
		const uint8_t *at = chunk->data + chunk->parsed;
		int64_t size;

		if (have == 0) {
			c->chunk = NULL;
			chunk_release(&c->worker->chunks, chunk);
			return;
		}
		if (have < SIZE_BYTES)
			return;
		if ((size = frame_size_check(c, at)) < 0) {
			connection_refuse(c);
			return;
		}
		if (have < SIZE_BYTES + (size_t)size)
			return;
		c->greeted = true;
		chunk->parsed += SIZE_BYTES + (size_t)size;
		if (!(c->internal ? serve_internal(c, at + SIZE_BYTES, (size_t)size)
				  : dispatch(c, at + SIZE_BYTES, (size_t)size)))
			connection_refuse(c);
	}
}

/* How much room the frame that is being received wants now. */
static size_t
room_wanted(const struct connection *c)
{
	const struct chunk *chunk = c->chunk;
	size_t have = chunk->used - chunk->parsed;

	if (have < SIZE_BYTES)
		return SIZE_BYTES + 4096;
	size_t frame = SIZE_BYTES + (size_t)get_u32(chunk->data + chunk->parsed);
	if (frame <= TRUSTED_FRAME || frame <= have * 2)
		return frame;
	return have * 2 > TRUSTED_FRAME ? have * 2 : TRUSTED_FRAME;
}

/* Over the budget only one connection may go on, lest all wait for each other's half-received requests. */
static bool
must_starve(struct connection *c)
{
	struct worker *w = c->worker;

	if (c->internal) /* whose clients are held back by the worker that received their requests */
		return false;
	if (worker_is_full(w) && list_is_empty(&c->in_starved))
		list_append(&w->starved, &c->in_starved);
	return connection_is_starved(c);
}

/* Bytes came, or were taken: the last in the worker's list, which is in this order. */
static void
stays_active(struct connection *c)
{
	c->active_ms = clock_monotonic_ms();
	list_remove(&c->in_worker);
	list_append(&c->worker->connections, &c->in_worker);
}

static void
receive(struct connection *c)
{
	struct worker *w = c->worker;

	if (c->chunk == NULL)
		c->chunk = chunk_new(&w->chunks, CHUNK_BYTES);
	c->chunk = chunk_with_room(&w->chunks, c->chunk, room_wanted(c));
	struct chunk *chunk = c->chunk;
	ssize_t n = recv(c->fd, chunk->data + chunk->used, chunk->cap - chunk->used, 0);
	if (n > 0) {
		chunk->used += (size_t)n;
		stays_active(c);
		return;
	}
	if (n == 0)
		connection_drain(c);
	else if (errno != EAGAIN && errno != EINTR)
		c->doomed = true;
	connection_mark(c);
}

static void
on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct connection *c = watcher->data;
	struct worker *w = c->worker;

	(void)loop, (void)revents;
	if (must_starve(c)) {
		reading_update(c);
		return;
	}
	receive(c);
	parse_frames(c);
	if (c->chunk == NULL)
		list_remove(&c->in_starved); /* served; the next may go on */
	else
		c->chunk = chunk_slim(&w->chunks, c->chunk);
	reading_update(c);
	worker_read_end(w);
}

void
connection_feed(struct connection *c)
{
	if (!worker_is_full(c->worker))
		list_remove(&c->in_starved);
	reading_update(c);
}

/* --- answering --- */

void
call_finish(struct call *call)
{
	call->finished = true;
	if (call->connection->internal || call->connection->calls.next == &call->in_connection)
		connection_mark(call->connection);
}

/*
 * Encode the finished calls at the head of the queue, another worker's wherever they are, until enough is
 * gathered. They move to `sent`.
 */
static void
gather_answers(struct connection *c, struct frame *frame, struct list *sent)
{
	list_init(sent);
	LIST_EACH (&c->calls, it) {
		struct call *call = LIST_OF(it, struct call, in_connection);
		if (frame_size(frame) >= GATHER_BYTES || (!call->finished && !c->internal))
			return;
		if (!call->finished)
			continue;
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
send_answers(struct connection *c)
{
	struct frame *frame = &c->worker->frame;
	struct list sent;
	bool any;

	frame_reset(frame);
	gather_answers(c, frame, &sent);
	any = !list_is_empty(&sent);
	if (frame_size(frame) > 0)
		send_frame(c, frame);
	LIST_EACH (&sent, it)
		call_free(LIST_OF(it, struct call, in_connection));
	return any;
}

static void
send_pending(struct connection *c)
{
	ssize_t n = send(c->fd, buf_head(&c->pending), buf_len(&c->pending), MSG_NOSIGNAL);

	if (n < 0) {
		send_failed(c);
		return;
	}
	stays_active(c);
	c->worker->pending_bytes -= (size_t)n;
	buf_consume(&c->pending, (size_t)n);
	if (buf_len(&c->pending) == 0)
		buf_free(&c->pending);
}

static void
on_writable(struct ev_loop *loop, ev_io *watcher, int revents)
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
	return c->doomed || ((c->hangup || c->refused) && c->call_n == 0 && buf_len(&c->pending) == 0);
}

void
connection_flush(struct connection *c)
{
	struct ev_loop *loop = c->worker->base.loop;

	list_remove(&c->in_flushing);
	while (!c->doomed && buf_len(&c->pending) == 0 && send_answers(c))
		;
	if (!c->doomed)
		parse_frames(c); /* what had to wait for room in the queue */
	if (is_over(c)) {
		connection_close(c);
		return;
	}
	reading_update(c);
	if (buf_len(&c->pending) > 0)
		ev_io_start(loop, &c->writable);
	else
		ev_io_stop(loop, &c->writable);
}
