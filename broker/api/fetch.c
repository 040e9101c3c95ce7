/*
 * 1 Fetch: record batches from given offsets on, straight from the store's map.
 *
 *	handle()   enough there, an error, or no wish to wait: finished. Else the call waits (waits.h) until
 *	           a commit or its deadline
 *	answer()   at the moment of sending: the rows' places in the map become iovecs, which the socket
 *	           takes without a copy
 *
 * Consumers see batches below the high watermark, read_committed ones below the last stable offset. The
 * first partition that has anything gives at least one whole batch, whatever the limits say (KIP-74).
 * Which partition is first changes from request to request, so that none starves behind another that is
 * always full.
 *
 * A request that names a partition twice is refused as a whole, before anything is read: else 16 MB of it could have
 * one partition read a million times. Kafka collapses such entries into one, as a session does here. Java's client
 * builds its request from a map, so it cannot send them. (A topic may come several times: Java's does.)
 *
 * What is to be read is what the request names, or what the connection's session knows (fetch_session.h). Of that, only
 * the active partitions are looked at, and the answer names only those of which there is something to tell.
 *
 * Batches that zstd compressed go out to versions below 10, too: Kafka refuses them only where the topic's own
 * compression.type is zstd (KIP-110), and here it is always `producer`.
 */
#include "broker/api/fetching.h"
#include "broker/api/handlers.h"
#include "broker/api/repeats.h"
#include "broker/connection.h"
#include "broker/pressure.h"
#include "broker/worker.h"
#include "common/clock.h"
#include "protocol/messages.h"

/* --- what is to be read --- */

static void
note_asked(struct fetching *f)
{
	const struct fetch_request *in = f->call->in;
	struct arena *arena = &f->call->arena;
	struct fetch_topic *topics = arena_array(arena, (size_t)in->topics.n, sizeof(*topics));
	int32_t n = 0;

	for (int32_t i = 0; i < in->topics.n; i++)
		n += in->topics.at[i].partitions.n;
	struct fetch_want *wants = arena_array(arena, (size_t)n, sizeof(*wants));
	f->asked = arena_array(arena, (size_t)n, sizeof(struct fetch_want *));
	for (int32_t i = 0; i < in->topics.n; i++) {
		const struct fetch_request_topic *topic = &in->topics.at[i];
		topics[i] = (struct fetch_topic){ .name = topic->topic, .id = topic->topic_id };
		for (int32_t p = 0; p < topic->partitions.n; p++, wants++) {
			*wants = fetch_want_of(&topics[i], &topic->partitions.at[p]);
			f->asked[f->asked_n++] = wants;
		}
	}
}

void
fetch_wake(struct fetching *f)
{
	struct worker *w = f->call->worker;

	if (f->session != NULL)
		fetch_session_wake(f->session, w->shared->appended, w->waits.losses, clock_monotonic_ms());
}

/* The session that the request begins, goes on with or ends; else what it names itself. */
static enum err
choose(struct fetching *f)
{
	struct call *call = f->call;
	const struct fetch_request *in = call->in;
	struct fetch_sessions_most most = { .n = call_config(call)->fetch_sessions_max,
					    .bytes = (size_t)call_config(call)->queued_max_bytes / 8 };
	enum err err = ERR_NONE;

	if (in->session_id != 0 || in->session_epoch != -1) {
		call_stand_alone(call); /* a session has one fetch at a time */
		err = fetch_session_begin(&call->worker->sessions, most, in, call->version >= 13,
					  clock_monotonic_ms(), &call->connection->session, &f->session);
	}
	if (err == ERR_NONE && f->session == NULL)
		note_asked(f);
	return err;
}

struct fetch_want **
fetch_wanted(const struct fetching *f, struct arena *arena, int32_t *n)
{
	*n = f->asked_n;
	return f->session != NULL ? fetch_partitions_active(&f->session->partitions, arena, n) : f->asked;
}

/* --- is there enough? --- */

/* How many bytes this partition could give now, counted no further than `enough`. */
static int64_t
available(struct call *call, const struct fetch_target *t, const struct fetch_want *want, int32_t enough,
	  struct arena *scratch, bool *pending)
{
	struct log_slice slice;

	*pending |= t->end < t->state.log_end;
	if (want->offset >= t->end)
		return 0;
	if (enough <= 1)
		return 1;
	if (fetch_read_batches(call, t, want, enough, true, scratch, &slice) != ERR_NONE)
		return enough;
	return slice.bytes;
}

int32_t
fetch_bytes_most(const struct call *call)
{
	const struct fetch_request *in = call->in;
	int32_t most = call_config(call)->fetch_max_bytes;

	return in->max_bytes < most ? in->max_bytes : most;
}

/* No client gets more by waiting than an answer carries; nor is more read to find out. */
static int32_t
bytes_wanted(struct call *call)
{
	const struct fetch_request *in = call->in;
	int32_t most = fetch_bytes_most(call);

	return in->min_bytes < most ? in->min_bytes : most;
}

/* Enough bytes, or an error, which is never kept waiting. *pending: some of it is committed, not yet visible.
 */
static bool
is_enough(struct fetching *f, bool *pending)
{
	struct call *call = f->call;
	struct arena *scratch = &call->worker->scratch;
	int32_t wanted = bytes_wanted(call), n;
	struct fetch_want **wants = fetch_wanted(f, scratch, &n);
	struct fetch_target t = { 0 };
	int64_t bytes = 0;
	bool enough = wanted <= 0;

	for (int32_t i = 0; i < n && !enough; i++) {
		fetch_resolve(call, wants[i], scratch, &t);
		if (t.error == ERR_NONE && f->session != NULL)
			fetch_partitions_place(&f->session->partitions, wants[i], fetch_place(wants[i], &t));
		if (t.error == ERR_NONE)
			bytes += available(call, &t, wants[i], (int32_t)(wanted - bytes), scratch, pending);
		enough = t.error != ERR_NONE || bytes >= wanted;
	}
	arena_reset(scratch);
	return enough;
}

/* --- waiting --- */

static void
stop_waiting(struct fetching *f)
{
	if (!f->waiting)
		return;
	f->waiting = false;
	ev_timer_stop(f->call->worker->base.loop, &f->deadline);
	waits_remove(f->call->worker, &f->wait);
}

/* Not after the client has hung up, nor while the memory that it holds is wanted by others. */
static bool
may_wait(const struct call *call)
{
	return !call->connection->hangup && !pressure_is_full(call->worker);
}

/* Look whether it is enough by now; if so, or if the client has hung up, the wait is over. */
static bool
look(struct wait *wait)
{
	struct fetching *f = wait->call->own;
	struct worker *w = wait->call->worker;
	bool pending = false;

	fetch_wake(f);
	if (f->session == NULL) /* which knows itself what has moved */
		wait->seen = waits_seen(w);
	if (may_wait(wait->call) && !is_enough(f, &pending)) {
		if (pending)
			waits_expect(w, wait, store_snapshot(worker_read(w)));
		return false;
	}
	stop_waiting(f);
	call_ready(wait->call);
	return true;
}

static void
on_deadline(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	struct fetching *f = watcher->data;

	(void)loop, (void)revents;
	stop_waiting(f);
	call_ready(f->call);
}

/* Where commits are to wake it. All was found: what is not there is an error, which does not wait. */
static void
note_hashes(struct fetching *f)
{
	struct wait *wait = &f->wait;
	struct call *call = f->call;
	struct fetch_target t = { 0 };

	if (f->session != NULL) {
		wait->hashes = fetch_partitions_hashes(&f->session->partitions, &call->arena, &wait->n);
		return;
	}
	wait->hashes = arena_array(&call->arena, (size_t)f->asked_n, sizeof(*wait->hashes));
	for (int32_t i = 0; i < f->asked_n; i++) {
		fetch_resolve_topic(call, f->asked[i], &call->arena, &t);
		if (t.topic_error == ERR_NONE)
			wait->hashes[wait->n++] = fetch_place(f->asked[i], &t);
	}
}

static enum next
begin_waiting(struct fetching *f)
{
	struct call *call = f->call;
	const struct fetch_request *in = call->in;
	struct worker *w = call->worker;

	f->waiting = true;
	f->wait.call = call;
	f->wait.look = look;
	note_hashes(f);
	waits_add(w, &f->wait);
	ev_timer_init(&f->deadline, on_deadline, in->max_wait_ms / 1000.0, 0);
	f->deadline.data = f;
	ev_timer_start(w->base.loop, &f->deadline);
	worker_read_end(w); /* what came since the first look must be seen by the second */
	look(&f->wait);
	return NEXT_WAIT;
}

/* --- what is asked --- */

static struct str
topic_key(const struct call *call, const struct fetch_request_topic *asked)
{
	if (call->version >= 13)
		return (struct str){ (const char *)&asked->topic_id, sizeof(asked->topic_id) };
	return asked->topic;
}

static bool
names_a_partition_twice(const struct fetching *f)
{
	struct call *call = f->call;
	const struct fetch_request *in = call->in;
	struct arena *scratch = &call->worker->scratch;
	struct str *topics = arena_array(scratch, (size_t)in->topics.n, sizeof(*topics));
	uint64_t *all = arena_array(scratch, (size_t)f->asked_n, sizeof(*all));
	int32_t n = 0;

	for (int32_t i = 0; i < in->topics.n; i++)
		topics[i] = topic_key(call, &in->topics.at[i]);
	const int32_t *first = repeats_first(topics, in->topics.n, scratch);
	for (int32_t i = 0; i < in->topics.n; i++)
		for (int32_t p = 0; p < in->topics.at[i].partitions.n; p++)
			all[n++] = (uint64_t)(uint32_t)first[i] << 32 |
				   (uint32_t)in->topics.at[i].partitions.at[p].partition;
	bool twice = repeats_number(all, n);
	arena_reset(scratch);
	return twice;
}

enum next
fetch_handle(struct call *call)
{
	const struct fetch_request *in = call->in;
	struct fetch_response *out = call->out;
	struct fetching *f = arena_alloc(&call->arena, sizeof(*f));
	bool pending = false;

	call->own = f;
	f->call = call;
	out->error_code = choose(f);
	int32_t n = f->session != NULL ? f->session->partitions.n : f->asked_n;
	if (out->error_code != ERR_NONE || n == 0)
		return NEXT_ANSWER;
	if (f->session == NULL && names_a_partition_twice(f)) {
		out->error_code = ERR_INVALID_REQUEST;
		return NEXT_ANSWER;
	}
	fetch_wake(f);
	if (in->max_wait_ms <= 0 || !may_wait(call) || is_enough(f, &pending))
		return NEXT_ANSWER;
	return begin_waiting(f);
}

void
fetch_forget(struct call *call)
{
	struct fetching *f = call->own;

	if (f == NULL)
		return;
	stop_waiting(f);
	if (f->session != NULL)
		fetch_session_release(f->session);
}
