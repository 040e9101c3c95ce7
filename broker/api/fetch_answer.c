/* The answer of a fetch (fetch.c), made at the moment of sending. */
#include "broker/api/fetching.h"
#include "broker/api/handlers.h"
#include "broker/connection.h"
#include "broker/worker.h"
#include "protocol/messages.h"

struct answering {
	struct fetching *f;
	struct fetch_target t;
	uint64_t seen;  /* commits up to this one are accounted for */
	int32_t budget; /* bytes that are left */
	bool any;       /* a partition gave something */
};

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
answer_partition(struct answering *a, const struct fetch_want *want,
		 struct fetch_response_partition_data *out)
{
	struct call *call = a->f->call;
	const struct fetch_request *in = call->in;
	struct fetch_target *t = &a->t;
	struct log_slice slice;

	message_defaults(&fetch_response_partition_data_message, out);
	out->partition_index = want->partition;
	out->records = (struct records){ .n = 0 };
	fetch_resolve(call, want, &call->arena, t);
	if (t->error == ERR_NONE)
		t->error = fetch_read_batches(call, t, want, a->budget, !a->any, &call->arena, &slice);
	if (t->error != ERR_NONE) {
		answer_error(out, t->error);
		return;
	}
	out->high_watermark = t->state.high_watermark;
	out->last_stable_offset = t->state.last_stable;
	out->log_start_offset = t->state.log_start;
	out->aborted_transactions.n = in->isolation_level == 1 ? 0 : -1;
	out->records = (struct records){ .n = slice.bytes, .iov = slice.iov, .iov_n = slice.iov_n };
	a->any |= slice.bytes > 0;
	a->budget -= slice.bytes;
}

/* Partitions are given their bytes from a different one on each time, round the whole request. */
static void
answer_asked(struct answering *a, struct fetch_want **wants, struct fetch_response_partition_data *data,
	     int32_t n)
{
	uint32_t first = a->f->call->connection->fetches++;

	for (int32_t i = 0; i < n; i++) {
		uint32_t at = (first + (uint32_t)i) % (uint32_t)n;
		answer_partition(a, wants[at], &data[at]);
	}
}

/* Read to the end, all of it visible: whatever comes, comes with a new number in its place. */
static void
settle_if_quiet(struct answering *a, struct fetch_want *want)
{
	const struct fetch_target *t = &a->t;
	uint16_t hash;

	if (t->error != ERR_NONE || want->offset != t->state.log_end || t->end != t->state.log_end)
		return;
	hash = fetch_place(want, t);
	uint64_t mark = atomic_load(&a->f->call->worker->shared->appended[hash]);
	if (mark > a->seen)
		return;
	fetch_partitions_place(&a->f->session->partitions, want, hash);
	fetch_partitions_settle(&a->f->session->partitions, want, mark);
}

/* Those of which there is something to tell move to the front of `wants` and `data`; returns how many. */
static int32_t
answer_session(struct answering *a, struct fetch_want **wants, struct fetch_response_partition_data *data,
	       int32_t n)
{
	const struct fetch_request *in = a->f->call->in;
	int32_t told = 0;

	for (int32_t i = 0; i < n; i++) {
		if (a->any && a->budget <= 0 && in->session_epoch != 0)
			break; /* the others are first the next time; only a new session names all */
		struct fetch_want *want = wants[i];
		answer_partition(a, want, &data[told]);
		if (fetch_partitions_tell(&a->f->session->partitions, want, &data[told]))
			wants[told++] = want;
		settle_if_quiet(a, want);
	}
	return told;
}

/* Partitions of one topic in a row share its name. */
static void
group_by_topic(struct call *call, struct fetch_want **wants, struct fetch_response_partition_data *data,
	       int32_t n)
{
	struct fetch_response *out = call->out;
	struct fetch_response_topic_response *topic = NULL;
	int32_t topics = 0;

	for (int32_t i = 0; i < n; i++)
		topics += i == 0 || wants[i]->topic != wants[i - 1]->topic;
	CALL_LIST(call, out->responses, topics);
	topic = out->responses.at;
	for (int32_t i = 0; i < n; i++) {
		if (i > 0 && wants[i]->topic != wants[i - 1]->topic)
			topic++;
		topic->topic = wants[i]->topic->name;
		topic->topic_id = wants[i]->topic->id;
		if (topic->partitions.n++ == 0)
			topic->partitions.at = &data[i];
	}
}

void
fetch_answer(struct call *call)
{
	struct fetch_response *out = call->out;
	struct fetching *f = call->own;
	int32_t n;

	if (out->error_code != ERR_NONE)
		return;
	fetch_wake(f);
	struct answering a = { .f = f, .seen = waits_seen(call->worker), .budget = fetch_bytes_most(call) };
	struct fetch_want **wants = fetch_wanted(f, &call->arena, &n);
	struct fetch_response_partition_data *data = arena_array(&call->arena, (size_t)n, sizeof(*data));
	if (f->session == NULL) {
		answer_asked(&a, wants, data, n);
	} else {
		out->session_id = f->session->id;
		n = answer_session(&a, wants, data, n);
	}
	group_by_topic(call, wants, data, n);
}
