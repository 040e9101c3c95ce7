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
 * one partition read a million times. Kafka collapses such entries into one. Java's client builds its request
 * from a map, so it cannot send them. (A topic may come several times: Java's does.)
 *
 * Fetch sessions (KIP-227) are not kept: every answer says session 0 and names every partition that was
 * asked for.
 *
 * Batches that zstd compressed go out to versions below 10, too: Kafka refuses them only where the topic's own
 * compression.type is zstd (KIP-110), and here it is always `producer`.
 */
#include "broker/api/handlers.h"
#include "broker/api/repeats.h"
#include "broker/connection.h"
#include "broker/worker.h"
#include "protocol/messages.h"

struct fetching {
	struct wait wait;
	ev_timer deadline;
	struct call *call;
	bool waiting;
};

/* One asked partition, resolved. */
struct target {
	enum err error;
	struct topic topic;
	struct partition state;
	int64_t end; /* first offset that this reader may not see */
};

static enum err
find_topic(struct call *call, struct arena *arena, const struct fetch_request_topic *asked, struct topic *out)
{
	if (call->version >= 13)
		return topic_by_id(call_read(call), asked->topic_id, arena, out);
	return topic_by_name(call_read(call), asked->topic, arena, out);
}

static enum err
check_epoch(int32_t wanted, const struct partition *state)
{
	if (wanted < 0 || wanted == state->leader_epoch)
		return ERR_NONE;
	return wanted < state->leader_epoch ? ERR_FENCED_LEADER_EPOCH : ERR_UNKNOWN_LEADER_EPOCH;
}

static void
resolve(struct call *call, const struct fetch_request_partition *asked, struct target *t)
{
	const struct fetch_request *in = call->in;

	if (t->error == ERR_NONE)
		t->error = partition_state(call_read(call), &t->topic, asked->partition, &t->state);
	if (t->error == ERR_NONE)
		t->error = check_epoch(asked->current_leader_epoch, &t->state);
	if (t->error == ERR_NONE &&
	    (asked->fetch_offset < t->state.log_start || asked->fetch_offset > t->state.log_end))
		t->error = ERR_OFFSET_OUT_OF_RANGE;
	t->end = in->isolation_level == 1 ? t->state.last_stable : t->state.high_watermark;
}

/* Whole batches for one partition within its and the request's budget. */
static enum err
read_batches(struct call *call, const struct target *t, const struct fetch_request_partition *asked,
	     int32_t budget, bool at_least_one, struct arena *arena, struct log_slice *slice)
{
	int32_t most = asked->partition_max_bytes < budget ? asked->partition_max_bytes : budget;

	*slice = (struct log_slice){ 0 };
	if (asked->fetch_offset >= t->end || (most <= 0 && !at_least_one))
		return ERR_NONE;
	return log_read(call_read(call), &t->topic, asked->partition, asked->fetch_offset, t->end,
			most < 0 ? 0 : most, at_least_one, arena, slice);
}

/* --- is there enough? --- */

/* How many bytes this partition could give now, counted no further than `enough`. */
static int64_t
available(struct call *call, struct target *t, const struct fetch_request_partition *asked, int32_t enough,
	  struct arena *scratch, bool *pending)
{
	struct log_slice slice;

	*pending |= t->end < t->state.log_end;
	if (asked->fetch_offset >= t->end)
		return 0;
	if (enough <= 1)
		return 1;
	if (read_batches(call, t, asked, enough, true, scratch, &slice) != ERR_NONE)
		return enough;
	return slice.bytes;
}

static int32_t
bytes_most(struct call *call)
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
	int32_t most = bytes_most(call);

	return in->min_bytes < most ? in->min_bytes : most;
}

/* Enough bytes, or an error, which is never kept waiting. *pending: some of it is committed, not yet visible.
 */
static bool
is_enough(struct call *call, bool *pending)
{
	const struct fetch_request *in = call->in;
	struct arena *scratch = &call->worker->scratch;
	int32_t wanted = bytes_wanted(call);
	int64_t bytes = 0;
	bool enough = wanted <= 0;

	for (int32_t i = 0; i < in->topics.n && !enough; i++) {
		const struct fetch_request_topic *asked = &in->topics.at[i];
		struct target t = { 0 };
		t.error = find_topic(call, scratch, asked, &t.topic);
		for (int32_t p = 0; p < asked->partitions.n && !enough; p++) {
			struct target one = t;
			resolve(call, &asked->partitions.at[p], &one);
			if (one.error == ERR_NONE)
				bytes += available(call, &one, &asked->partitions.at[p],
						   (int32_t)(wanted - bytes), scratch, pending);
			enough = one.error != ERR_NONE || bytes >= wanted;
		}
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
	return !call->connection->hangup && !worker_is_full(call->worker);
}

/* Look whether it is enough by now; if so, or if the client has hung up, the wait is over. */
static bool
look(struct wait *wait)
{
	struct fetching *f = wait->call->own;
	struct worker *w = wait->call->worker;
	bool pending = false;

	wait->seen = waits_seen(w);
	if (may_wait(wait->call) && !is_enough(wait->call, &pending)) {
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

static int32_t
count_partitions(const struct fetch_request *in)
{
	int32_t n = 0;

	for (int32_t i = 0; i < in->topics.n; i++)
		n += in->topics.at[i].partitions.n;
	return n;
}

static void
note_hashes(struct call *call, struct wait *wait)
{
	const struct fetch_request *in = call->in;

	wait->hashes = arena_array(&call->arena, (size_t)count_partitions(in), sizeof(*wait->hashes));
	for (int32_t i = 0; i < in->topics.n; i++) {
		struct topic topic;
		if (find_topic(call, &call->arena, &in->topics.at[i], &topic) != ERR_NONE)
			continue;
		for (int32_t p = 0; p < in->topics.at[i].partitions.n; p++)
			wait->hashes[wait->n++] =
			    (uint16_t)wait_hash(topic.number, in->topics.at[i].partitions.at[p].partition);
	}
}

static enum next
begin_waiting(struct call *call)
{
	const struct fetch_request *in = call->in;
	struct worker *w = call->worker;
	struct fetching *f = arena_alloc(&call->arena, sizeof(*f));

	call->own = f;
	f->call = call;
	f->waiting = true;
	f->wait.call = call;
	f->wait.look = look;
	note_hashes(call, &f->wait);
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
names_a_partition_twice(struct call *call)
{
	const struct fetch_request *in = call->in;
	struct arena *scratch = &call->worker->scratch;
	struct str *topics = arena_array(scratch, (size_t)in->topics.n, sizeof(*topics));
	uint64_t *all = arena_array(scratch, (size_t)count_partitions(in), sizeof(*all));
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
	bool pending = false;

	if (in->session_id != 0) { /* none was ever given */
		out->error_code = ERR_FETCH_SESSION_ID_NOT_FOUND;
		return NEXT_ANSWER;
	}
	if (names_a_partition_twice(call)) {
		out->error_code = ERR_INVALID_REQUEST;
		return NEXT_ANSWER;
	}
	if (in->max_wait_ms <= 0 || !may_wait(call) || is_enough(call, &pending))
		return NEXT_ANSWER;
	return begin_waiting(call);
}

void
fetch_forget(struct call *call)
{
	if (call->own != NULL)
		stop_waiting(call->own);
}

/* --- the answer --- */

static void
answer_error(struct fetch_response_partition_data *out, enum err error)
{
	out->error_code = error;
	out->high_watermark = -1;
	out->last_stable_offset = -1;
	out->log_start_offset = -1;
	out->aborted_transactions.n = -1;
}

static void
answer_partition(struct call *call, const struct fetch_request_partition *asked, struct target *t,
		 int32_t budget, bool at_least_one, struct fetch_response_partition_data *out)
{
	const struct fetch_request *in = call->in;
	struct log_slice slice;

	resolve(call, asked, t);
	if (t->error == ERR_NONE)
		t->error = read_batches(call, t, asked, budget, at_least_one, &call->arena, &slice);
	if (t->error != ERR_NONE) {
		answer_error(out, t->error);
		return;
	}
	out->high_watermark = t->state.high_watermark;
	out->last_stable_offset = t->state.last_stable;
	out->log_start_offset = t->state.log_start;
	out->aborted_transactions.n = in->isolation_level == 1 ? 0 : -1;
	out->records = (struct records){ .n = slice.bytes, .iov = slice.iov, .iov_n = slice.iov_n };
}

/* The answer names what was asked, in the order in which it was asked. */
static void
lay_out(struct call *call)
{
	const struct fetch_request *in = call->in;
	struct fetch_response *out = call->out;

	CALL_LIST(call, out->responses, in->topics.n);
	for (int32_t i = 0; i < in->topics.n; i++) {
		const struct fetch_request_topic *asked = &in->topics.at[i];
		struct fetch_response_topic_response *topic = &out->responses.at[i];
		topic->topic = asked->topic;
		topic->topic_id = asked->topic_id;
		CALL_LIST(call, topic->partitions, asked->partitions.n);
		for (int32_t p = 0; p < asked->partitions.n; p++) {
			message_defaults(&fetch_response_partition_data_message, &topic->partitions.at[p]);
			topic->partitions.at[p].partition_index = asked->partitions.at[p].partition;
			topic->partitions.at[p].records = (struct records){ .n = 0 };
		}
	}
}

/* Partitions are given their bytes from this one on, round the whole request. */
static int32_t
first_to_serve(struct call *call)
{
	int32_t n = count_partitions(call->in);

	return n > 0 ? (int32_t)(call->connection->fetches++ % (uint32_t)n) : 0;
}

struct answering {
	int32_t budget;
	bool any; /* a partition gave something */
};

/* Serve the partitions numbered from..to-1, counted over the whole request. */
static void
answer_range(struct call *call, int32_t from, int32_t to, struct answering *a)
{
	const struct fetch_request *in = call->in;
	struct fetch_response *out = call->out;
	int32_t number = 0;

	for (int32_t i = 0; i < in->topics.n && number < to; i++) {
		const struct fetch_request_topic *asked = &in->topics.at[i];
		struct target t = { 0 };
		if (number + asked->partitions.n > from)
			t.error = find_topic(call, &call->arena, asked, &t.topic);
		for (int32_t p = 0; p < asked->partitions.n; p++, number++) {
			struct fetch_response_partition_data *answer = &out->responses.at[i].partitions.at[p];
			struct target one = t;
			if (number < from || number >= to)
				continue;
			answer_partition(call, &asked->partitions.at[p], &one, a->budget, !a->any, answer);
			a->any |= answer->records.n > 0;
			a->budget -= answer->records.n;
		}
	}
}

void
fetch_answer(struct call *call)
{
	const struct fetch_response *out = call->out;
	int32_t first = first_to_serve(call);
	struct answering a = { .budget = bytes_most(call) };

	if (out->error_code != ERR_NONE)
		return;
	lay_out(call);
	answer_range(call, first, INT32_MAX, &a);
	answer_range(call, 0, first, &a);
}
