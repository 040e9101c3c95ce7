/*
 * fuzz_dispatch: what clients send, served as in the broker: connections, dispatch, handlers, groups, forwarding
 * between two workers, commits and checkpoints, over a real store in memory.
 *
 * The input is a list of events (events.h). Connections are 0 to 3, of worker 0 and 1 in turn; 3 does not read before
 * the end. After the last event everybody
 * who is left stops sending and must get every answer that he is owed, in order, of the right shape, and then the end
 * of the connection. Then nothing of it may be left in the workers. The store goes on from input to input, is
 * audited now and then, and begins anew when it has grown. What has been sent since then is kept in FUZZ_HISTORY
 * (a file, if set) as one input, should a crash not come again from the last one alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker/cleaner_groups.h"
#include "broker/connection.h"
#include "broker/dispatch.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/diag.h"
#include "protocol/messages.h"
#include "tests/lib/audit.h"
#include "tests/lib/events.h"
#include "tests/lib/traffic.h"
#include "tests/lib/workers.h"

#define WORKERS       2
#define CLIENTS       4
#define SLOW          3    /* reads at the end only */
#define INPUTS_MOST   2000 /* per store */
#define TOPICS_MOST   64
#define AUDIT_EVERY   128
#define PATIENCE_MS   5000
#define TURNS_MOST    30 /* in which all is done that does not wait for time */
#define REQUEST_BYTES (1 << 20)
#define SESSION_MS    20 /* so long a rebalance may wait for a member that an earlier input left behind */

struct talker {
	int fd; /* -1: not connected, or gone */
	struct buf said, heard;
	bool ended;   /* the broker closed */
	bool hung_up; /* we did */
};

static struct workers *ws;
static struct audit audit;
static struct talker talkers[CLIENTS];
static struct traffic_known known;
static uint32_t inputs, known_n;
static bool idled; /* in this input */
static int history = -1;

/* --- the broker ------------------------------------------------------------------------------------------- */

static void
begin(void)
{
	ws = workers_begin(WORKERS);
	ws->config.request_max_bytes = REQUEST_BYTES;
	ws->config.num_partitions = 2;
	ws->config.group_max_session_ms = SESSION_MS;
	for (int i = 0; i < WORKERS; i++)
		coordinator_reloaded(ws->at[i]);
	ws->config.topic.max_message_bytes = REQUEST_BYTES;
	inputs = 0;
	memset(&known, 0, sizeof(known));
	for (int i = 0; i < TRAFFIC_KNOWN; i++) {
		const char name[] = { 't', (char)('0' + i), '\0' };
		known.topics[i] = fixture_topic(&ws->store, name, 2).id;
	}
	fixture_checkpoint(&ws->store);
	if (history >= 0)
		CHECK(ftruncate(history, 0) == 0 && lseek(history, 0, SEEK_SET) == 0);
}

static void
end(void)
{
	audit_store(&audit, ws->store.store, true);
	audit_end(&audit);
	workers_end(ws);
	ws = NULL;
}

static void
begin_once(void)
{
	if (ws != NULL)
		return;
	diag_setup(DIAG_ERROR, DIAG_TEXT);
	(void)signal(SIGPIPE, SIG_IGN);
	if (getenv("FUZZ_HISTORY") != NULL)
		history = open(getenv("FUZZ_HISTORY"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	begin();
	CHECK(atexit(end) == 0);
}

/* Each connection ends where its input did, so that all inputs together are one that does the same. */
static void
remember(const struct events *events)
{
	struct buf out = BUF_EMPTY;
	if (history < 0)
		return;
	events_write(events, SIZE_MAX, &out);
	buf_append(&out, (const uint8_t[]){ EVENT_END, 0, 0, 0 }, EVENT_HEAD);
	CHECK(write(history, buf_head(&out), buf_len(&out)) == (ssize_t)buf_len(&out));
	buf_free(&out);
}

static void
clean(void)
{
	const struct clean_rules rules = { .retention_ms = 1000,
					   .retention_bytes = 20000,
					   .delete_by_default = true,
					   .producer_expiry_ms = 86400000,
					   .offsets_retention_ms = 86400000,
					   .readers = &cleaner_groups,
					   .now_ms = clock_wall_ms() };
	bool more;
	CHECK(store_clean(ws->store.store, &rules, &more) == ERR_NONE);
}

/* --- clients ---------------------------------------------------------------------------------------------- */

static void
listen_to(struct talker *t)
{
	while (t->fd >= 0 && !t->ended) {
		buf_reserve(&t->heard, 65536);
		ssize_t n = recv(t->fd, buf_tail(&t->heard), buf_room(&t->heard), MSG_DONTWAIT);
		if (n > 0)
			buf_grew(&t->heard, (size_t)n);
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			t->ended = true;
		else
			return;
	}
}

static void
take_turns(int n)
{
	while (n-- > 0) {
		workers_turn(ws);
		for (int i = 0; i < CLIENTS; i++)
			if (i != SLOW)
				listen_to(&talkers[i]);
	}
}

static void
connect_talker(int i)
{
	struct talker *t = &talkers[i];
	if (t->fd >= 0 || t->hung_up)
		return;
	t->fd = workers_connect(ws, i % WORKERS).fd;
	CHECK(fcntl(t->fd, F_SETFL, O_NONBLOCK) == 0);
}

/* What the broker does not take, because it waits for something, is not sent, nor is anything behind it. */
static void
say(struct talker *t, const uint8_t *at, size_t n)
{
	for (int tries = 0; n > 0 && t->fd >= 0 && !t->hung_up && !t->ended && tries < 20; tries++) {
		ssize_t sent = send(t->fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent > 0) {
			buf_append(&t->said, at, (size_t)sent);
			at += sent;
			n -= (size_t)sent;
		}
		if (n > 0)
			take_turns(1);
	}
	if (n > 0 && t->fd >= 0) {
		shutdown(t->fd, SHUT_WR);
		t->hung_up = true;
	}
}

static void
request(struct talker *t, const struct event *e)
{
	struct buf frame = BUF_EMPTY;
	uint8_t size[4];
	put_u32(size, e->n);
	buf_append(&frame, size, sizeof(size));
	buf_append(&frame, e->at, e->n);
	traffic_fill(&known, buf_head(&frame) + 4, e->n);
	say(t, buf_head(&frame), buf_len(&frame));
	buf_free(&frame);
}

static void
happen(const struct event *e)
{
	struct talker *t = &talkers[e->whom % CLIENTS];
	switch (e->what) {
	case EVENT_TURN:
		take_turns(1 + e->whom / 64);
		return;
	case EVENT_CLEAN:
		clean();
		return;
	case EVENT_HANGUP:
		if (t->fd >= 0)
			shutdown(t->fd, SHUT_WR);
		t->hung_up = t->fd >= 0;
		return;
	case EVENT_VANISH:
		if (t->fd >= 0)
			close(t->fd);
		t->fd = -1;
		buf_reset(&t->said);
		buf_reset(&t->heard);
		t->hung_up = t->ended = false;
		return;
	case EVENT_BYTES:
		connect_talker(e->whom % CLIENTS);
		say(t, e->at, e->n);
		return;
	case EVENT_REQUEST:
		connect_talker(e->whom % CLIENTS);
		request(t, e);
		return;
	case EVENT_END:
		return;
	}
}

/* --- answers ---------------------------------------------------------------------------------------------- */

struct owed {
	const struct api *api;
	int16_t version;
	int32_t id;
	bool is_silent; /* acks=0: no answer, or the end of the connection */
};

/* The next request in what was said; false: there is none, or the broker has to close here. */
static bool
next_request(struct buf *said, struct arena *arena, struct owed *out)
{
	struct request_header h = { .api_key = -1 };
	struct wire_fault fault;
	size_t leftover, n;
	const uint8_t *at = buf_head(said) + 4;

	if (buf_len(said) < 4 || (n = get_u32(buf_head(said))) == 0 || n > REQUEST_BYTES ||
	    buf_len(said) - 4 < n)
		return false;
	int head = request_header_decode(at, n, &h, &fault);
	const struct handler *handler = n >= 4 ? handler_find(h.api_key) : NULL;
	if (handler == NULL)
		return false;
	*out = (struct owed){ .api = api_find(h.api_key), .version = h.api_version, .id = h.correlation_id };
	bool is_served = h.api_version >= handler->min && h.api_version <= handler->max;
	if (!is_served && h.api_key == API_API_VERSIONS && n >= 8) {
		out->version = 0;
		out->id = (int32_t)get_u32(at + 4);
	} else if (!is_served || head < 0) {
		return false;
	} else {
		void *in = arena_alloc(arena, message_size(out->api->request));
		if (!decode_front(out->api->request, h.api_version, at + head, n - (size_t)head, arena, in,
				  &fault, &leftover))
			return false;
		out->is_silent = h.api_key == API_PRODUCE && ((struct produce_request *)in)->acks == 0;
	}
	buf_consume(said, 4 + n);
	return true;
}

/* What later requests can use. */
static void
learn(const struct owed *owed, const void *out)
{
	if (owed->api->key != API_JOIN_GROUP)
		return;
	struct str id = ((const struct join_group_response *)out)->member_id;
	if (id.n == TRAFFIC_MEMBER_BYTES)
		memcpy(known.members[known_n++ % TRAFFIC_KNOWN], id.at, TRAFFIC_MEMBER_BYTES);
}

/* Decode the next whole answer; false: there is none. */
static bool
next_answer(struct buf *heard, struct arena *arena, const struct owed *owed)
{
	struct wire_fault fault;
	int32_t id;
	size_t n;

	if (buf_len(heard) < 4 || buf_len(heard) - 4 < (n = get_u32(buf_head(heard))))
		return false;
	const uint8_t *at = buf_head(heard) + 4;
	int head = response_header_decode(at, n, owed->api, owed->version, &id);
	CHECK(head > 0 && id == owed->id);
	void *out = arena_alloc(arena, message_size(owed->api->response));
	CHECK(decode(owed->api->response, owed->version, at + head, n - (size_t)head, arena, out, &fault));
	learn(owed, out);
	buf_consume(heard, 4 + n);
	return true;
}

static void
judge(struct talker *t, bool all)
{
	struct arena arena = ARENA_EMPTY;
	struct owed owed;
	bool silent = false;

	while (next_request(&t->said, &arena, &owed)) {
		silent = silent || owed.is_silent;
		if (!owed.is_silent && !next_answer(&t->heard, &arena, &owed)) {
			CHECK(!all || silent); /* owed an answer */
			break;
		}
	}
	CHECK(buf_len(&t->heard) == 0 || !all); /* an answer to nothing, or half of one */
	arena_free(&arena);
}

/* --- the end of an input ---------------------------------------------------------------------------------- */

static bool
all_ended(void)
{
	for (int i = 0; i < CLIENTS; i++)
		if (talkers[i].fd >= 0 && !talkers[i].ended)
			return false;
	return true;
}

static bool
is_idle(const struct worker *w)
{
	LIST_EACH (&w->connections, it) {
		const struct connection *c = LIST_OF(it, struct connection, in_worker);
		if (!c->internal || c->call_n > 0 || c->chunk != NULL)
			return false;
	}
	return list_is_empty(&w->parked) && list_is_empty(&w->turn.jobs) && list_is_empty(&w->waits.all);
}

/* Everybody who is still there waits for an answer. */
static bool
all_owed(void)
{
	for (int i = 0; i < WORKERS; i++)
		LIST_EACH (&ws->at[i]->connections, it) {
			const struct connection *c = LIST_OF(it, struct connection, in_worker);
			if (!c->internal && c->call_n == 0)
				return false;
		}
	return true;
}

/* As after connections.max.idle.ms: what they have sent and nobody has read yet is not read any more. */
static void
let_idle(void)
{
	for (int i = 0; i < WORKERS; i++)
		worker_check_idle(ws->at[i], INT64_MAX);
	idled = true;
}

static void
wait_for(bool (*what)(void))
{
	int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
	for (int i = 0; !what(); i++) {
		take_turns(1);
		listen_to(&talkers[SLOW]);
		CHECK(clock_monotonic_ms() < deadline_ms);
		if (i >= TURNS_MOST && !idled && all_owed())
			let_idle();
		if (i > TURNS_MOST)
			nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
}

static bool
all_idle(void)
{
	for (int i = 0; i < WORKERS; i++)
		if (!is_idle(ws->at[i]))
			return false;
	return true;
}

/* Nothing of the clients is left in this worker. */
static void
check_empty(const struct worker *w)
{
	CHECK(w->connection_n == 0 && atomic_load(&w->slot->connections) == 0);
	CHECK(w->pending_bytes == 0 && w->chunks.bytes == 0);
	CHECK(list_is_empty(&w->flushing) && list_is_empty(&w->starved));
	CHECK(list_is_empty(&w->beginners) && list_is_empty(&w->later));
	CHECK(w->call_n == 0 && w->answer_bytes == 0);
	CHECK(w->sessions.n == 0 && w->sessions.bytes == 0);
	CHECK(w->snapshot == NULL && w->scratch.used == 0);
	for (int i = 0; i < WORKERS; i++)
		for (int j = 0; w->forward.link[i] != NULL && j < FORWARD_BUCKETS; j++)
			CHECK(list_is_empty(&w->forward.link[i]->under_way[j]));
	for (struct coordinator_slot *s = NULL; (s = coordinator_next(ws->at[w->base.slot], s)) != NULL;)
		group_check(s->group);
}

static void
finish(void)
{
	for (int i = 0; i < CLIENTS; i++)
		if (talkers[i].fd >= 0)
			shutdown(talkers[i].fd, SHUT_WR);
	wait_for(all_ended);
	for (int i = 0; i < CLIENTS; i++) {
		struct talker *t = &talkers[i];
		if (t->fd < 0)
			continue;
		close(t->fd);
		judge(t, !idled);
	}
	wait_for(all_idle);
	for (int i = 0; i < WORKERS; i++)
		check_empty(ws->at[i]);
}

static void
live(const struct events *events)
{
	for (int i = 0; i < CLIENTS; i++) {
		buf_reset(&talkers[i].said);
		buf_reset(&talkers[i].heard);
		talkers[i].fd = -1;
		talkers[i].ended = talkers[i].hung_up = false;
	}
	idled = false;
	remember(events);
	for (int i = 0; i < events->n; i++)
		happen(&events->at[i]);
	finish();
	int topics = audit_store(&audit, ws->store.store, inputs % AUDIT_EVERY == 0);
	if (++inputs >= INPUTS_MOST || topics > TOPICS_MOST) {
		end();
		begin();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct events events;

	begin_once();
	for (size_t used; n > 0; data += used, n -= used) {
		used = events_read(&events, data, n);
		live(&events);
	}
	return 0;
}

/* --- inputs that a broker understands --------------------------------------------------------------------- */

/* libFuzzer's; not there where a corpus is only played again. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned int seed);

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned int seed)
{
	struct sample s = { .seed = seed };

	if (sample_below(&s, 16) == 0)
		return LLVMFuzzerMutate(data, n, most);
	return events_mutate(&s, data, n, most, LLVMFuzzerMutate);
}
