#include "broker/acceptor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/diag.h"
#include "common/faultpoint.h"

#define UNDER_WAY_MOST    64    /* connections in a worker's socket */
#define WORKERS_PAUSE_S   0.002 /* until a worker has taken some, or is there again */
#define RESOURCES_PAUSE_S 0.1   /* out of descriptors or memory */
#define ACCEPTS_PER_TURN  64
#define COMPLAIN_EVERY_MS 10000
#define DESCRIPTORS_KEPT  40 /* of a worker's: its loop, its store, and some for luck */

/* --- addresses --- */

static struct census_address
address_of(const struct sockaddr_storage *peer)
{
	struct census_address address = { .at = { [10] = 0xff, [11] = 0xff } };

	if (peer->ss_family == AF_INET6)
		memcpy(address.at, &((const struct sockaddr_in6 *)peer)->sin6_addr, 16);
	else if (peer->ss_family == AF_INET)
		memcpy(address.at + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
	return address;
}

static void
peer_text(const struct census_address *address, char out[INET6_ADDRSTRLEN])
{
	static const uint8_t ipv4[12] = { [10] = 0xff, [11] = 0xff };

	if (memcmp(address->at, ipv4, sizeof(ipv4)) == 0)
		inet_ntop(AF_INET, address->at + 12, out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, address->at, out, INET6_ADDRSTRLEN);
}

static void
add_limit(struct acceptor *a, const struct sockaddr *address, socklen_t n, int32_t most)
{
	struct sockaddr_storage peer = { 0 };

	memcpy(&peer, address, n);
	a->limit = realloc(a->limit, (size_t)(a->limit_n + 1) * sizeof(*a->limit));
	CHECK(a->limit != NULL);
	a->limit[a->limit_n++] = (struct address_limit){ .address = address_of(&peer), .most = most };
}

/* max.connections.per.ip.overrides: a name stands for all its addresses. */
static void
look_up_limits(struct acceptor *a)
{
	const struct overrides *overrides = &a->family->config->per_ip_overrides;
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };

	for (int32_t i = 0; i < overrides->n; i++) {
		struct addrinfo *list = NULL;
		int rc = getaddrinfo(overrides->at[i].host, NULL, &hints, &list);
		if (rc != 0)
			diag_warn("max.connections.per.ip.overrides: this host is not known",
				  D_C("host", overrides->at[i].host), D_C("reason", gai_strerror(rc)));
		for (struct addrinfo *ai = list; rc == 0 && ai != NULL; ai = ai->ai_next)
			add_limit(a, ai->ai_addr, ai->ai_addrlen, overrides->at[i].number);
		if (rc == 0)
			freeaddrinfo(list);
	}
}

/* --- how busy workers are --- */

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

/* --- limits --- */

/*
 * Something that a client can bring about as often as it likes is worth a line at the beginning, and another every ten
 * seconds with how often it was meanwhile. 0: nothing is to be said now.
 */
static int64_t
times_to_say(struct complaint *c)
{
	int64_t now = clock_monotonic_ms(), n = ++c->n;

	if (c->said_ms != 0 && now - c->said_ms < COMPLAIN_EVERY_MS)
		return 0;
	c->said_ms = now;
	c->n = 0;
	return n;
}

static void
refuse(struct acceptor *a, enum refusal why, int64_t limit, const char *client)
{
	static const char *const events[REFUSAL_N] = {
		[REFUSAL_ALL] = "connection refused: max.connections reached",
		[REFUSAL_ADDRESS] = "connection refused: max.connections.per.ip reached",
		[REFUSAL_DESCRIPTORS] = "connection refused: no worker has a descriptor left (ulimit -n)",
		[REFUSAL_CENSUS] = "connection refused: more than the broker can count",
	};
	int64_t times = times_to_say(&a->refused[why]);

	if (times > 0)
		diag_warn(events[why], D_INT("limit", limit), D_C("client", client), D_INT("refused", times));
}

static int32_t
limit_of(const struct acceptor *a, const struct census_address *address)
{
	for (int32_t i = 0; i < a->limit_n; i++)
		if (memcmp(&a->limit[i].address, address, sizeof(*address)) == 0)
			return a->limit[i].most;
	return a->family->config->max_connections_per_ip;
}

static bool
is_refused(struct acceptor *a, int slot, const struct census_address *address)
{
	int32_t all = a->family->config->max_connections, here = limit_of(a, address);
	char client[INET6_ADDRSTRLEN];

	if (connections_in_all(a) < (uint32_t)all && connections_of(a, slot) < a->worker_most &&
	    (here == INT32_MAX || census_count(&a->census, address) < here))
		return false;
	peer_text(address, client);
	if (connections_in_all(a) >= (uint32_t)all)
		refuse(a, REFUSAL_ALL, all, client);
	else if (connections_of(a, slot) >= a->worker_most)
		refuse(a, REFUSAL_DESCRIPTORS, a->worker_most, client);
	else
		refuse(a, REFUSAL_ADDRESS, here, client);
	return true;
}

/* --- a connection's way --- */

/* Counted before it is sent: the worker may have taken it before we are back. The worker has a copy of its own then. */
static void
send_to(struct acceptor *a, int slot, int fd, const struct arrival *arrival)
{
	atomic_fetch_add(&a->family->shared->slot[slot].handed, 1);
	FAULT_POINT("handoff.counted");
	bool sent = handoff_send(&a->family->handoff[slot], fd, arrival);
	FAULT_POINT("handoff.sent");
	if (!sent) {
		atomic_fetch_sub(&a->family->shared->slot[slot].handed, 1);
		atomic_store(&a->family->shared->ended[arrival->entry], 1);
		diag_warn("connection refused: it cannot be handed over", D_INT("worker", slot),
			  D_C("reason", strerror(errno)));
	}
	close(fd);
}

static void
admit(struct acceptor *a, int slot, int fd, const struct sockaddr_storage *peer, uint8_t listener)
{
	struct census_address address = address_of(peer);
	struct arrival arrival = { .listener = listener };

	char client[INET6_ADDRSTRLEN];

	if (is_refused(a, slot, &address)) {
		close(fd);
		return;
	}
	if ((arrival.entry = census_add(&a->census, &address, slot)) < 0) {
		peer_text(&address, client);
		refuse(a, REFUSAL_CENSUS, CENSUS_MOST, client);
		close(fd);
		return;
	}
	send_to(a, slot, fd, &arrival);
}

/* Let new clients wait in the kernel's backlog for a moment. */
static void
pause_for(struct acceptor *a, double seconds)
{
	acceptor_stop(a);
	a->pause.repeat = seconds;
	ev_timer_again(a->loop, &a->pause);
}

/* False: nothing more is to be had for now. */
static bool
accept_failed(struct acceptor *a)
{
	if (errno == ECONNABORTED || errno == EINTR)
		return true;
	if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
		return false;
	int64_t times = times_to_say(&a->starved);
	if (times > 0)
		diag_warn("cannot accept connections for now", D_C("reason", strerror(errno)),
			  D_INT("times", times));
	pause_for(a, RESOURCES_PAUSE_S);
	return false;
}

static void
on_accept(struct ev_loop *loop, ev_io *w, int revents)
{
	struct acceptor *a = w->data;
	const struct listener_socket *s = &a->listeners->socket[w - a->watchers];

	(void)loop, (void)revents;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage peer = { 0 };
		socklen_t n = sizeof(peer);
		int slot = least_busy_worker(a);
		if (slot < 0) {
			pause_for(a, WORKERS_PAUSE_S);
			return;
		}
		int fd = accept4(s->fd, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			admit(a, slot, fd, &peer, s->listener);
		else if (!accept_failed(a))
			return;
	}
}

static void
on_pause_over(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	acceptor_start(w->data);
}

/* What a worker may have open, less what it inherits and its connections to and from other workers. */
static uint32_t
descriptors_for_clients(int workers)
{
	struct rlimit limit;
	int used = dup(STDERR_FILENO); /* the lowest that is free */

	if (used >= 0)
		close(used);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	rlim_t kept = (rlim_t)(used > 0 ? used : 0) + (rlim_t)workers * 2 + DESCRIPTORS_KEPT;
	if (limit.rlim_cur >= UINT32_MAX)
		return UINT32_MAX;
	return limit.rlim_cur > kept ? (uint32_t)(limit.rlim_cur - kept) : 1;
}

void
acceptor_init(struct acceptor *a, struct ev_loop *loop, struct family *family,
	      const struct children *children, const struct listeners *listeners)
{
	*a =
	    (struct acceptor){ .loop = loop, .family = family, .children = children, .listeners = listeners };
	census_init(&a->census, family->shared->ended);
	look_up_limits(a);
	a->worker_most = descriptors_for_clients(family->config->workers);
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

void
acceptor_bury(struct acceptor *a, int slot)
{
	struct shared_slot *shared = &a->family->shared->slot[slot];
	struct {
		int fd;
		struct arrival arrival;
	} left[UNDER_WAY_MOST];
	enum handoff_result result;
	int n = 0;

	while (n < UNDER_WAY_MOST && (result = handoff_receive(&a->family->handoff[slot], &left[n].fd,
							       &left[n].arrival)) != HANDOFF_NOTHING) {
		if (result == HANDOFF_CONNECTION)
			census_move(&a->census, left[n++].arrival.entry, STORE_SLOTS);
	}
	atomic_store(&shared->connections, 0);
	atomic_store(&shared->handed, 0);
	atomic_store(&shared->taken, 0);
	census_bury(&a->census, slot);
	for (int i = 0; i < n; i++) {
		int other = least_busy_worker(a);
		census_move(&a->census, left[i].arrival.entry, other >= 0 ? other : slot);
		send_to(a, other >= 0 ? other : slot, left[i].fd, &left[i].arrival);
	}
}
