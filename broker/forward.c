#include "broker/forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/call.h"
#include "broker/connection.h"
#include "broker/worker.h"
#include "common/bytes.h"
#include "common/check.h"
#include "common/diag.h"
#include "common/faultpoint.h"

#define RECEIVE_BYTES    (64 * 1024)
#define KEEP_BYTES       (1024 * 1024) /* a larger buffer is not kept for what comes next */
#define SIZE_BYTES       4
#define ARRIVALS_PAUSE_S 0.1 /* out of descriptors or memory */

static struct list *
bucket(struct forward_link *l, int32_t id)
{
	return &l->under_way[(uint32_t)id % FORWARD_BUCKETS];
}

static bool
owner_is_gone(const struct forward_link *l)
{
	return atomic_load(&l->worker->shared->slot[l->owner].pid) == 0;
}

static void
let_go_if_large(struct buf *b)
{
	if (buf_len(b) == 0 && b->cap > KEEP_BYTES)
		buf_free(b);
}

/* --- breaking --- */

static void
fail_all(struct forward_link *l)
{
	for (int i = 0; i < FORWARD_BUCKETS; i++) {
		while (!list_is_empty(&l->under_way[i])) {
			struct forwarded *f = LIST_OF(l->under_way[i].next, struct forwarded, in_link);
			list_remove(&f->in_link);
			f->broken(f);
		}
	}
}

static void
link_break(struct forward_link *l)
{
	struct worker *w = l->worker;

	if (l->fd < 0)
		return;
	ev_io_stop(w->base.loop, &l->readable);
	ev_io_stop(w->base.loop, &l->writable);
	close(l->fd);
	l->fd = -1;
	buf_free(&l->out);
	buf_free(&l->in);
	diag_debug("connection to another worker is gone", D_INT("worker", l->owner));
	fail_all(l);
}

/* --- receiving --- */

static struct forwarded *
find(struct forward_link *l, int32_t id)
{
	LIST_EACH (bucket(l, id), it) {
		struct forwarded *f = LIST_OF(it, struct forwarded, in_link);
		if (f->id == id)
			return f;
	}
	return NULL; /* its client is gone */
}

static void
take_answer(struct forward_link *l, const uint8_t *frame, size_t bytes)
{
	struct forwarded *f = bytes >= 4 ? find(l, (int32_t)get_u32(frame)) : NULL;
	int32_t id;

	if (f == NULL)
		return;
	int head = response_header_decode(frame, bytes, f->call->api, f->call->version, &id);
	CHECK(head >= 0);
	FAULT_POINT("forward.received");
	list_remove(&f->in_link);
	f->answered(f, frame + head, bytes - (size_t)head);
}

static void
take_answers(struct forward_link *l)
{
	while (l->fd >= 0 && buf_len(&l->in) >= SIZE_BYTES) {
		size_t size = get_u32(buf_head(&l->in));
		if (buf_len(&l->in) < SIZE_BYTES + size)
			return;
		take_answer(l, buf_head(&l->in) + SIZE_BYTES, size);
		buf_consume(&l->in, SIZE_BYTES + size);
	}
	let_go_if_large(&l->in);
}

static void
on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct forward_link *l = watcher->data;

	(void)loop, (void)revents;
	buf_reserve(&l->in, RECEIVE_BYTES);
	ssize_t n = recv(l->fd, buf_tail(&l->in), buf_room(&l->in), 0);
	if (n > 0) {
		buf_grew(&l->in, (size_t)n);
		take_answers(l);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		link_break(l);
	}
	worker_read_end(l->worker);
}

/* --- sending --- */

static void
flush(struct forward_link *l)
{
	while (buf_len(&l->out) > 0) {
		ssize_t n = send(l->fd, buf_head(&l->out), buf_len(&l->out), MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			link_break(l);
			return;
		}
		if (n < 0)
			break;
		buf_consume(&l->out, (size_t)n);
	}
	let_go_if_large(&l->out);
	if (buf_len(&l->out) > 0)
		ev_io_start(l->worker->base.loop, &l->writable);
	else
		ev_io_stop(l->worker->base.loop, &l->writable);
}

static void
on_writable(struct ev_loop *loop, ev_io *watcher, int revents)
{
	(void)loop, (void)revents;
	flush(watcher->data);
}

static bool
link_connect(struct forward_link *l)
{
	struct worker *w = l->worker;

	if (l->fd >= 0)
		return true;
	l->fd = forward_socket_connect(&w->base.family->forward[l->owner]);
	if (l->fd < 0) {
		diag_warn("another worker cannot be reached", D_INT("worker", l->owner),
			  D_C("reason", strerror(errno)));
		return false;
	}
	ev_io_init(&l->readable, on_readable, l->fd, EV_READ);
	ev_io_init(&l->writable, on_writable, l->fd, EV_WRITE);
	l->readable.data = l->writable.data = l;
	ev_io_start(w->base.loop, &l->readable);
	return true;
}

static struct forward_link *
link_to(struct worker *w, int owner)
{
	struct forward_link *l = w->forward.link[owner];

	if (l != NULL)
		return l;
	l = w->forward.link[owner] = calloc(1, sizeof(*l));
	CHECK(l != NULL);
	l->worker = w;
	l->owner = owner;
	l->fd = -1;
	for (int i = 0; i < FORWARD_BUCKETS; i++)
		list_init(&l->under_way[i]);
	return l;
}

/* The envelope (connection.h) and the request in it. */
static void
put_request(struct buf *out, const struct call *call, int32_t id, const void *body, size_t bytes)
{
	const struct request_header header = {
		.api_key = call->api->key,
		.api_version = call->version,
		.correlation_id = id,
		.client_id = call->client_id,
	};
	uint8_t length = (uint8_t)(call->client_host.n > 0 ? call->client_host.n : 0),
		size[SIZE_BYTES] = { 0 };
	size_t begin = buf_len(out);

	buf_append(out, size, SIZE_BYTES);
	buf_append(out, &length, 1);
	buf_append(out, call->client_host.at, length);
	request_header_encode(out, call->api, &header);
	buf_append(out, body, bytes);
	put_u32(buf_head(out) + begin, (uint32_t)(buf_len(out) - begin - SIZE_BYTES));
}

void
forward_send(struct call *call, int owner, struct forwarded *f, const void *body, size_t bytes)
{
	struct worker *w = call->worker;
	struct forward_link *l = link_to(w, owner);

	f->call = call;
	f->owner = owner;
	f->id = (int32_t)(w->forward.next_id++ & INT32_MAX);
	list_init(&f->in_link);
	if (buf_len(&l->out) > FORWARD_BACKLOG_BYTES || (w->draining && owner_is_gone(l)) ||
	    !link_connect(l)) {
		f->broken(f);
		return;
	}
	list_append(bucket(l, f->id), &f->in_link);
	put_request(&l->out, call, f->id, body, bytes);
	flush(l);
	FAULT_POINT("forward.sent");
}

void
forward_forget(struct forwarded *f)
{
	struct forward_link *l = f->call->worker->forward.link[f->owner];
	uint8_t frame[SIZE_BYTES + 5];

	if (list_is_empty(&f->in_link))
		return;
	list_remove(&f->in_link);
	put_u32(frame, 5);
	frame[SIZE_BYTES] = ENVELOPE_GONE;
	put_u32(frame + SIZE_BYTES + 1, (uint32_t)f->id);
	buf_append(&l->out, frame, sizeof(frame));
	flush(l);
}

void
forward_drain(struct worker *w)
{
	for (int i = 0; i < w->config->workers; i++)
		if (w->forward.link[i] != NULL && owner_is_gone(w->forward.link[i]))
			link_break(w->forward.link[i]);
}

/* --- the owner's side --- */

static void
on_arrivals(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct worker *w = watcher->data;
	int fd;

	(void)revents;
	while ((fd = forward_socket_accept(&w->base.family->forward[w->base.slot])) >= 0)
		connection_open_internal(w, fd);
	/* They wait in the kernel's queue, which would ring again and again. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		ev_io_stop(loop, watcher);
		ev_timer_again(loop, &w->forward.pause);
	}
}

static void
on_pause_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct worker *w = timer->data;

	(void)revents;
	ev_timer_stop(loop, timer);
	ev_io_start(loop, &w->forward.arrivals);
}

void
forward_start(struct worker *w)
{
	ev_io *arrivals = &w->forward.arrivals;

	w->forward.next_id = 1;
	ev_timer_init(&w->forward.pause, on_pause_over, 0, ARRIVALS_PAUSE_S);
	ev_io_init(arrivals, on_arrivals, w->base.family->forward[w->base.slot].fd, EV_READ);
	arrivals->data = w->forward.pause.data = w;
	ev_io_start(w->base.loop, arrivals);
}
