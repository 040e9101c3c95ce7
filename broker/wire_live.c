#include "broker/wire_live.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker/wire_address.h"
#include "broker/wire_net.h"
#include "broker/wire_talk.h"
#include "common/list.h"

/*
 * wire_live.c: one loop around poll(2). A client and its connection to the broker are a pair; each side has
 * bytes that wait to be written to it. Bytes are passed on frame by frame, as wire_talk cuts them.
 *
 *	side[CLIENT]  --- read, cut: requests --->   side[BROKER].out ---> written
 *	              <-- written --- side[CLIENT].out  <--- cut, perhaps changed: responses --- read
 *
 * Nothing is read for a side that already has OUT_FULL bytes to take, so memory is bounded: PAIRS_MAX
 * pairs, for each two frames that are not whole yet and two runs of bytes to write. Who ends its half of
 * the conversation has that passed on too, after all that it said before.
 */
#define PAIRS_MAX  256
#define READ_BYTES ((size_t)64 * 1024)
#define OUT_FULL   ((size_t)1024 * 1024)
#define NAME_BYTES 128

enum { CLIENT, BROKER };

struct side {
	int fd;
	struct buf out;
	bool ended;   /* said all it had to say */
	bool told;    /* was told that the other side ended */
	bool waiting; /* the connection is not made yet */
};

struct pair {
	struct list link;
	struct side side[2];
	struct wire_talk talk;
	char name[NAME_BYTES];
	char our_host[WIRE_HOST_BYTES];
	struct wire_addresses addresses;
	bool broken;  /* to be closed */
	bool strange; /* not Kafka's protocol, and that was said */
};

struct live {
	const struct wire_view *view;
	struct wire_target to;
	int listener;
	struct list pairs;
	int pair_n, pairs_seen;
	bool several; /* the cluster has more brokers than ours */
};

static volatile sig_atomic_t asked_to_end;

static void
on_signal(int signal)
{
	(void)signal;
	asked_to_end = 1;
}

static int64_t
now_us(void)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_REALTIME, &t) == 0);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* --- pairs ------------------------------------------------------------------------------------ */

static void
pair_close(struct live *l, struct pair *p)
{
	wire_note(l->view, p->name, now_us(), "closed");
	close(p->side[CLIENT].fd);
	close(p->side[BROKER].fd);
	buf_free(&p->side[CLIENT].out);
	buf_free(&p->side[BROKER].out);
	wire_talk_free(&p->talk);
	list_remove(&p->link);
	l->pair_n--;
	free(p);
}

static struct pair *
pair_new(struct live *l, int client, int broker)
{
	struct pair *p = calloc(1, sizeof(*p));

	CHECK(p != NULL);
	p->side[CLIENT].fd = client;
	p->side[BROKER].fd = broker;
	p->addresses.theirs = (struct wire_address){ l->to.host, l->to.port };
	p->addresses.ours.host = p->our_host;
	p->addresses.ours.port = wire_net_own(client, p->our_host);
	wire_talk_init(&p->talk);
	list_append(&l->pairs, &p->link);
	l->pair_n++;
	return p;
}

static void
refuse(const struct live *l, int client, const char *name, const char *why)
{
	wire_note(l->view, name, now_us(), "refused: %s", why);
	close(client);
}

static void
accept_client(struct live *l)
{
	struct sockaddr_storage peer;
	socklen_t peer_bytes;
	int broker, client = wire_net_accept(l->listener, &peer, &peer_bytes);
	char name[NAME_BYTES];
	struct pair *p;
	bool waiting;

	if (client < 0)
		return;
	snprintf(name, sizeof(name), "#%d ", ++l->pairs_seen);
	wire_net_text(&peer, peer_bytes, name + strlen(name), sizeof(name) - strlen(name));
	if (l->pair_n == PAIRS_MAX) {
		refuse(l, client, name, "too many connections");
		return;
	}
	broker = wire_net_dial(&l->to, &waiting);
	if (broker < 0) {
		refuse(l, client, name, strerror(errno));
		return;
	}
	p = pair_new(l, client, broker);
	p->side[BROKER].waiting = waiting;
	memcpy(p->name, name, sizeof(name));
	wire_note(l->view, name, now_us(), "opened");
}

/* --- what passes ------------------------------------------------------------------------------ */

/* Explain a message and pass it on; `to` is whom it is for. */
static void
pass_message(struct live *l, struct pair *p, struct wire_message *m, struct side *to)
{
	char note[320] = "";
	enum wire_replaced replaced;

	m->connection = p->name;
	wire_explain(l->view, m);
	p->addresses.several |= l->several;
	replaced = wire_address_replace(m, &p->addresses, &to->out, note, sizeof(note));
	l->several |= p->addresses.several;
	if (replaced != WIRE_ADDRESS_REPLACED)
		buf_append(&to->out, m->at, m->n);
	if (replaced != WIRE_ADDRESS_NONE && wire_view_wants(l->view, m))
		wire_note(l->view, p->name, m->time_us, "%s", note);
}

static void
pass(struct live *l, struct pair *p, enum wire_way way, const uint8_t *at, size_t n)
{
	struct side *to = &p->side[way == WIRE_REQUEST ? BROKER : CLIENT];
	struct wire_message message;
	struct wire_piece piece;

	wire_talk_put(&p->talk, way, at, n);
	for (;;) {
		piece = wire_talk_next(&p->talk, way, now_us(), &message);
		if (piece.kind == WIRE_NOTHING)
			return;
		if (piece.kind == WIRE_FRAME || piece.kind == WIRE_HEAD) {
			pass_message(l, p, &message, to);
			continue;
		}
		buf_append(&to->out, piece.at, piece.n);
		if (piece.kind == WIRE_LOST && !p->strange) {
			wire_note(l->view, p->name, now_us(),
				  "this is not Kafka's protocol (or TLS hides it): passed on, not explained");
			p->strange = true;
		}
	}
}

/* --- reading and writing ---------------------------------------------------------------------- */

static bool
is_passing_trouble(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static void
read_side(struct live *l, struct pair *p, int which)
{
	static uint8_t bytes[READ_BYTES];
	ssize_t n = recv(p->side[which].fd, bytes, sizeof(bytes), 0);

	if (n > 0)
		pass(l, p, which == CLIENT ? WIRE_REQUEST : WIRE_RESPONSE, bytes, (size_t)n);
	else if (n == 0)
		p->side[which].ended = true;
	else if (!is_passing_trouble())
		p->broken = true;
}

static void
write_side(struct pair *p, int which)
{
	struct side *s = &p->side[which];
	ssize_t n = send(s->fd, buf_head(&s->out), buf_len(&s->out), MSG_NOSIGNAL);

	if (n >= 0)
		buf_consume(&s->out, (size_t)n);
	else if (!is_passing_trouble())
		p->broken = true;
}

static void
finish_dial(struct live *l, struct pair *p)
{
	int why = wire_net_dialed(p->side[BROKER].fd);

	p->side[BROKER].waiting = false;
	if (why == 0)
		return;
	wire_note(l->view, p->name, now_us(), "the broker cannot be reached: %s", strerror(why));
	p->broken = true;
}

/* A frame that will not be completed is passed on as far as it came; then the end itself. */
static void
pass_end(struct pair *p, int from)
{
	struct side *to = &p->side[1 - from];
	struct wire_frames *frames = &p->talk.frames[from == CLIENT ? WIRE_REQUEST : WIRE_RESPONSE];

	if (!p->side[from].ended || to->told || to->waiting)
		return;
	if (buf_len(&frames->kept) > 0) {
		buf_append(&to->out, buf_head(&frames->kept), buf_len(&frames->kept));
		wire_frames_reset(frames);
	}
	if (buf_len(&to->out) > 0)
		return;
	shutdown(to->fd, SHUT_WR);
	to->told = true;
}

/* A client that has ended may still be given answers; one that was told that the broker ended gets no more.
 */
static bool
is_done(const struct pair *p)
{
	return p->broken || p->side[CLIENT].told;
}

static void
serve_side(struct live *l, struct pair *p, int which, short happened)
{
	struct side *s = &p->side[which];

	if (s->waiting && (happened & (POLLOUT | POLLERR | POLLHUP)) != 0) {
		finish_dial(l, p);
		return;
	}
	if ((happened & POLLOUT) != 0)
		write_side(p, which);
	if ((happened & (POLLIN | POLLHUP | POLLERR)) != 0 && !p->broken)
		read_side(l, p, which);
}

static void
serve_pair(struct live *l, struct pair *p, const struct pollfd polled[2])
{
	for (int which = CLIENT; which <= BROKER && !p->broken; which++)
		serve_side(l, p, which, polled[which].revents);
	for (int which = CLIENT; which <= BROKER && !p->broken; which++)
		if (!p->side[which].waiting && buf_len(&p->side[which].out) > 0)
			write_side(p, which);
	pass_end(p, CLIENT);
	pass_end(p, BROKER);
	if (is_done(p))
		pair_close(l, p);
}

/* --- the loop --------------------------------------------------------------------------------- */

/* What to wait for; nothing at all, not even a hang-up, where fd is -1. */
static struct pollfd
poll_side(const struct pair *p, int which)
{
	const struct side *s = &p->side[which], *other = &p->side[1 - which];
	short events = 0;

	if (s->waiting)
		return (struct pollfd){ s->fd, POLLOUT, 0 };
	if (!s->ended && buf_len(&other->out) < OUT_FULL)
		events |= POLLIN;
	if (buf_len(&s->out) > 0)
		events |= POLLOUT;
	return (struct pollfd){ events != 0 ? s->fd : -1, events, 0 };
}

static void
loop(struct live *l, const sigset_t *while_waiting)
{
	static struct pollfd polled[1 + 2 * PAIRS_MAX];

	while (!asked_to_end) {
		nfds_t n = 1;

		polled[0] = (struct pollfd){ l->listener, POLLIN, 0 };
		LIST_EACH (&l->pairs, it) {
			polled[n++] = poll_side(LIST_OF(it, struct pair, link), CLIENT);
			polled[n++] = poll_side(LIST_OF(it, struct pair, link), BROKER);
		}
		fflush(l->view->out);
		if (ppoll(polled, n, NULL, while_waiting) < 0)
			continue; /* a signal */
		n = 1;
		LIST_EACH (&l->pairs, it) {
			serve_pair(l, LIST_OF(it, struct pair, link), &polled[n]);
			n += 2;
		}
		if ((polled[0].revents & POLLIN) != 0)
			accept_client(l);
	}
}

/* Signals are let through only while poll waits, so that none slips in between the question and the wait. */
static void
catch_signals(sigset_t *while_waiting)
{
	struct sigaction act = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, while_waiting);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
}

bool
wire_live_run(const struct wire_live_options *options, const struct wire_view *view)
{
	struct live live = { .view = view };
	char host[WIRE_HOST_BYTES];
	sigset_t while_waiting;
	int port;

	list_init(&live.pairs);
	if (!wire_net_find(options->to, &live.to))
		return false;
	live.listener = wire_net_listen(options->listen);
	if (live.listener < 0)
		return false;
	catch_signals(&while_waiting);
	port = wire_net_own(live.listener, host);
	fprintf(stderr, "broker wire: listening on %s port %d for %s; Ctrl-C ends\n", host, port,
		options->to);
	loop(&live, &while_waiting);
	while (!list_is_empty(&live.pairs))
		pair_close(&live, LIST_OF(live.pairs.next, struct pair, link));
	close(live.listener);
	fprintf(stderr, "broker wire: %d connections were explained\n", live.pairs_seen);
	return true;
}
