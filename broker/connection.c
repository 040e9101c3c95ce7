/*
 * A connection from its beginning to its end, and receiving: bytes arrive in a chunk, each whole frame becomes a
 * call. Answering is in connection_send.c, what is different between workers in connection_internal.c.
 *
 * What can go wrong: a size that is no size (TLS, HTTP, garbage: said so and closed before any allocation); a
 * client that hangs up (what is finished is still sent); bytes that are no request (closed).
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
#include "broker/pressure.h"
#include "broker/fetch_session.h"
#include "broker/worker.h"
#include "common/bytes.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/diag.h"

#define SIZE_BYTES    4
#define TRUSTED_FRAME (1024 * 1024) /* room is made at once; for larger frames as their bytes arrive */
#define TIGHT_FRAME   4096          /* the same, while memory is tight */

/* --- open, close --- */

static void on_readable(struct ev_loop *loop, ev_io *w, int revents);

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

struct connection *
connection_new(struct worker *w, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));

	CHECK(c != NULL);
	c->worker = w;
	c->fd = fd;
	c->id = w->next_connection_id++;
	c->active_ms = clock_monotonic_ms();
	list_init(&c->calls);
	list_init(&c->in_flushing);
	list_init(&c->in_later);
	list_init(&c->in_starved);
	list_append(&w->connections, &c->in_worker);
	ev_io_init(&c->readable, on_readable, fd, EV_READ);
	ev_io_init(&c->writable, connection_on_writable, fd, EV_WRITE);
	c->readable.data = c->writable.data = c;
	ev_io_start(w->base.loop, &c->readable);
	return c;
}

void
connection_open(struct worker *w, int fd, const struct arrival *arrival)
{
	struct connection *c = connection_new(w, fd);
	int one = 1;

	count(c, 1);
	c->listener = arrival->listener;
	c->entry = arrival->entry;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	remember_addresses(c);
	c->client_host = str_of(c->peer_host);
	diag_debug("connection opened", D_INT("connection", c->id), D_C("client", c->peer));
}

void
call_end(struct call *call)
{
	if (call->handler->forget != NULL)
		call->handler->forget(call);
	list_remove(&call->job.in_list);
	list_remove(&call->in_connection);
	call->connection->call_n--;
	call->worker->call_n -= !call->connection->internal;
	call->connection->alone_n -= call->alone;
	call->connection->answer_bytes -= call->answer_bytes;
	call->worker->answer_bytes -= call->answer_bytes;
	call_drop_chunk(call);
	call_recycle(call);
}

void
connection_close(struct connection *c)
{
	struct worker *w = c->worker;
	struct list *calls;

	for (int i = 0; (calls = connection_calls(c, i)) != NULL; i++)
		LIST_EACH (calls, it)
			call_end(LIST_OF(it, struct call, in_connection));
	diag_debug("connection closed", D_INT("connection", c->id), D_C("client", c->peer));
	ev_io_stop(w->base.loop, &c->readable);
	ev_io_stop(w->base.loop, &c->writable);
	list_remove(&c->in_worker);
	list_remove(&c->in_flushing);
	list_remove(&c->in_later);
	list_remove(&c->in_starved);
	pressure_count(c);
	fetch_session_free(c->session);
	chunk_release(&w->chunks, c->chunk);
	w->pending_bytes -= buf_len(&c->pending);
	buf_free(&c->pending);
	close(c->fd);
	count(c, -1);
	if (!c->internal)
		atomic_store(&w->shared->ended[c->entry], 1);
	free(c->waiting);
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
	struct list *calls;

	c->hangup = true;
	waits_look_for(c->worker, c);
	for (int i = 0; (calls = connection_calls(c, i)) != NULL; i++)
		LIST_EACH (calls, it) {
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
	int most = pressure_is_crowded(c->worker) ? 1 : CALLS_MOST;

	return (c->internal || c->call_n < most) && buf_len(&c->pending) == 0 &&
	       c->answer_bytes < ANSWERS_BYTES_MOST;
}

/* Of other workers' connections each call is somebody else's. */
static bool
is_held_up(const struct connection *c)
{
	return c->alone_n > 0 && !c->internal;
}

/* One that is held up is read only as long as nothing comes: to see its client go. */
static bool
may_read(const struct connection *c)
{
	return !c->doomed && !c->hangup && !c->refused && list_is_empty(&c->in_later) && has_room(c) &&
	       !(is_held_up(c) && c->chunk != NULL);
}

void
connection_update(struct connection *c)
{
	struct ev_loop *loop = c->worker->base.loop;
	bool may = may_read(c);

	if (!may)
		list_remove(&c->in_starved); /* it is not memory that it waits for */
	pressure_count(c);
	if (may && !pressure_is_starved(c))
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
	diag_warn_often("connection closed: bytes that are no request", D_INT("connection", c->id),
			D_C("client", c->peer), D_C("looks_like", guess_protocol(at)), D_INT("size", size),
			D_INT("socket.request.max.bytes", c->worker->config->request_max_bytes),
			D_HEX("bytes", ((struct str){ .at = (const char *)at, .n = 4 })));
	return -1;
}

static void
go_on_later(struct connection *c)
{
	list_remove(&c->in_later);
	list_append(&c->worker->later, &c->in_later);
}

bool
connection_has_had_its_turn(struct connection *c)
{
	if (c->internal || (c->turn_n < TURN_REQUESTS && c->turn_bytes < TURN_ANSWER_BYTES))
		return false;
	go_on_later(c);
	return true;
}

/* What others asked for took long enough, if not what it asked for itself. */
static bool
must_wait_for_next_turn(struct connection *c)
{
	if (connection_has_had_its_turn(c))
		return true;
	if (!worker_is_late(c->worker))
		return false;
	go_on_later(c);
	return true;
}

static void
begin_turn(struct connection *c)
{
	c->turn_n = 0;
	c->turn_bytes = 0;
}

void
connection_parse(struct connection *c)
{
	while (c->chunk != NULL && !c->doomed && !c->refused) {
		struct chunk *chunk = c->chunk;
		size_t have = chunk->used - chunk->parsed;
		const uint8_t *at = chunk->data + chunk->parsed;
		int64_t size;

		if (have == 0) {
			c->chunk = NULL;
			chunk_release(&c->worker->chunks, chunk);
			return;
		}
		if (have < SIZE_BYTES || !has_room(c) || is_held_up(c))
			return;
		if (must_wait_for_next_turn(c))
			return;
		if ((size = frame_size_check(c, at)) < 0) {
			connection_refuse(c);
			return;
		}
		if (have < SIZE_BYTES + (size_t)size)
			return;
		c->greeted = true;
		c->pace.ms = 0;
		c->turn_n++;
		chunk->parsed += SIZE_BYTES + (size_t)size;
		if (!(c->internal ? connection_serve_internal(c, at + SIZE_BYTES, (size_t)size)
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

	if (pressure_sips(c))
		return have + 1;
	if (have < SIZE_BYTES)
		return SIZE_BYTES + 4096;
	size_t frame = SIZE_BYTES + (size_t)get_u32(chunk->data + chunk->parsed);
	size_t trusted = pressure_is_tight(c->worker) ? TIGHT_FRAME : TRUSTED_FRAME;
	if (frame <= trusted || frame <= have * 2)
		return frame;
	if (chunk->used < chunk->cap)
		return have + 1; /* what there is; only a full chunk is moved, not with every packet */
	return have * 2 > trusted ? have * 2 : trusted;
}

/* Over the budget only some connections may go on, lest all wait for each other's half-received requests. */
static bool
must_starve(struct connection *c)
{
	if (c->internal) /* whose clients are held back by the worker that received their requests */
		return false;
	if (pressure_is_full(c->worker))
		pressure_queue(c);
	return pressure_is_starved(c);
}

void
connection_stays_active(struct connection *c)
{
	c->active_ms = clock_monotonic_ms();
	list_remove(&c->in_worker);
	list_append(&c->worker->connections, &c->in_worker);
}

/* False: there is no memory; the connection ends. */
static bool
make_room(struct connection *c)
{
	struct worker *w = c->worker;

	if (c->chunk == NULL)
		c->chunk = chunk_new(&w->chunks, CHUNK_BYTES);
	struct chunk *chunk = c->chunk;
	if (chunk != NULL)
		chunk = chunk_with_room(&w->chunks, chunk, room_wanted(c));
	if (chunk != NULL) {
		c->chunk = chunk;
		return true;
	}
	diag_warn_often("connection closed: there is no memory for its request", D_INT("connection", c->id),
			D_C("client", c->peer), D_INT("requests_bytes", w->chunks.bytes));
	connection_doom(c);
	return false;
}

static void
receive(struct connection *c)
{
	bool sips = pressure_sips(c);

	if (!make_room(c))
		return;
	struct chunk *chunk = c->chunk;
	size_t room = chunk->cap - chunk->used;
	size_t most = sips && room > PRESSURE_SIP_BYTES ? PRESSURE_SIP_BYTES : room;
	ssize_t n = recv(c->fd, chunk->data + chunk->used, most, 0);
	if (n > 0) {
		chunk->used += (size_t)n;
		c->moved += (uint64_t)n;
		connection_stays_active(c);
		return;
	}
	if (n == 0)
		connection_drain(c);
	else if (errno != EAGAIN && errno != EINTR)
		c->doomed = true;
	connection_mark(c);
}

/* What was received. */
static void
serve(struct connection *c)
{
	struct worker *w = c->worker;

	connection_parse(c);
	if (c->chunk == NULL || is_held_up(c))
		list_remove(&c->in_starved); /* served, or not to be served now; the next may go on */
	else
		c->chunk = chunk_slim(&w->chunks, c->chunk, pressure_is_tight(w));
	connection_update(c);
	worker_read_end(w);
	if (turn_is_full(w))
		turn_run(w);
}

static void
on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct connection *c = watcher->data;

	(void)loop, (void)revents;
	if (c->internal && connection_sender_is_gone(c)) {
		connection_doom(c);
		return;
	}
	if (must_starve(c)) {
		connection_update(c);
		return;
	}
	begin_turn(c);
	receive(c);
	serve(c);
}

void
connection_resume(struct connection *c)
{
	list_remove(&c->in_later);
	if (c->internal && connection_sender_is_gone(c)) {
		connection_doom(c);
		return;
	}
	begin_turn(c);
	serve(c);
	connection_mark(c); /* the end of one that has hung up may have waited for this */
}

void
connection_feed(struct connection *c)
{
	if (!pressure_is_full(c->worker))
		list_remove(&c->in_starved);
	connection_update(c);
}
