#include "broker/acceptor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/diag.h"
#include "common/faultpoint.h"

#define UNDER_WAY_MOST    64    /* connections in a worker's socket */
#define WORKERS_PAUSE_S   0.002 /* until a worker has taken some, or is there again */
#define RESOURCES_PAUSE_S 0.1   /* out of descriptors or memory */
#define ACCEPTS_PER_TURN  64

/* Handed over, not yet taken: still in the worker's socket. */
static uint32_t
under_way(const struct acceptor *a, int slot)
{
	const struct shared_slot *shared = &a->family->shared->slot[slot];

	return atomic_load(&shared->handed) - atomic_load(&shared->taken);
}

static uint32_t
connections_of(const struct acceptor *a, int slot)
{
	return atomic_load(&a->family->shared->slot[slot].connections) + under_way(a, slot);
}

/* One that is stopped comes after all others: it may go on, or be killed and leave them to its successor. */
static bool
is_better(const struct acceptor *a, int slot, int than)
{
	bool stopped = a->children->child[slot].stopped;

	if (than < 0 || stopped != a->children->child[than].stopped)
		return than < 0 || !stopped;
	return connections_of(a, slot) < connections_of(a, than);
}

/* The live worker with the fewest connections that has room for another; -1: none. */
static int
least_busy_worker(const struct acceptor *a)
{
	int best = -1;

	for (int i = 0; i < a->family->config->workers; i++)
		if (a->children->child[i].pid != 0 && under_way(a, i) < UNDER_WAY_MOST &&
		    is_better(a, i, best))
			best = i;
	return best;
}

static uint32_t
connections_in_all(const struct acceptor *a)
{
	uint32_t n = 0;

	for (int i = 0; i < a->family->config->workers; i++)
		n += connections_of(a, i);
	return n;
}

/* Counted before it is sent: the worker may have taken it before we are back. */
static void
send_to(struct acceptor *a, int slot, int fd, uint8_t listener)
{
	atomic_fetch_add(&a->family->shared->slot[slot].handed, 1);
	FAULT_POINT("handoff.counted");
	if (handoff_send(&a->family->handoff[slot], fd, listener)) {
		FAULT_POINT("handoff.sent");
		return;
	}
	atomic_fetch_sub(&a->family->shared->slot[slot].handed, 1);
	diag_warn("connection refused: it cannot be handed over", D_INT("worker", slot),
		  D_C("reason", strerror(errno)));
}

static void
hand_over(struct acceptor *a, int slot, int fd, uint8_t listener)
{
	const struct config *config = a->family->config;

	if (connections_in_all(a) >= (uint32_t)config->max_connections)
		diag_warn("connection refused: max.connections reached",
			  D_INT("max.connections", config->max_connections));
	else
		send_to(a, slot, fd, listener);
	close(fd); /* the worker has its own copy now */
}

/* Let new clients wait in the kernel's backlog for a moment. */
static void
pause_for(struct acceptor *a, double seconds)
{
	acceptor_stop(a);
	a->pause.repeat = seconds;
	ev_timer_again(a->loop, &a->pause);
}

static void
on_accept(struct ev_loop *loop, ev_io *w, int revents)
{
	struct acceptor *a = w->data;
	const struct listener_socket *s = &a->listeners->socket[w - a->watchers];

	(void)loop, (void)revents;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int slot = least_busy_worker(a);
		if (slot < 0) {
			pause_for(a, WORKERS_PAUSE_S);
			return;
		}
		/* cppcheck-suppress nullPointer ; the peer's address is the worker's to ask for */
		int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			hand_over(a, slot, fd, s->listener);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			diag_warn("cannot accept connections for now", D_C("reason", strerror(errno)));
			pause_for(a, RESOURCES_PAUSE_S);
			return;
		}
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

static void
on_pause_over(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	acceptor_start(w->data);
}

void
acceptor_init(struct acceptor *a, struct ev_loop *loop, struct family *family,
	      const struct children *children, const struct listeners *listeners)
{
	*a =
	    (struct acceptor){ .loop = loop, .family = family, .children = children, .listeners = listeners };
	for (int i = 0; i < listeners->n; i++) {
		ev_io_init(&a->watchers[i], on_accept, listeners->socket[i].fd, EV_READ);
		a->watchers[i].data = a;
	}
	ev_init(&a->pause, on_pause_over);
	a->pause.data = a;
}

void
acceptor_start(struct acceptor *a)
{
	ev_timer_stop(a->loop, &a->pause);
	for (int i = 0; i < a->listeners->n; i++)
		ev_io_start(a->loop, &a->watchers[i]);
}

void
acceptor_stop(struct acceptor *a)
{
	ev_timer_stop(a->loop, &a->pause);
	for (int i = 0; i < a->listeners->n; i++)
		ev_io_stop(a->loop, &a->watchers[i]);
}
