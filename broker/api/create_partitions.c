/* CreatePartitions: makes topics wider (KIP-195). As CreateTopics: checked in handle(), done in write(),
 * durable first. */
#include "broker/api/handlers.h"
#include "broker/api/repeats.h"
#include "broker/api/topics.h"
#include "common/diag.h"
#include "protocol/messages.h"

struct plan {
	const struct create_partitions_request_topic *in;
	struct create_partitions_response_result *out;
};

struct create_partitions_own {
	struct plan *plans;
	int32_t n;
	int64_t partitions; /* added by all plans */
};

/* Tell the client why. */
#define SAY(call, out, ...) ((out)->error_message = str_of(arena_printf(&(call)->arena, __VA_ARGS__)))

static enum err
check_count(struct call *call, const struct create_partitions_request_topic *in, int32_t had,
	    struct create_partitions_response_result *out)
{
	const struct create_partitions_own *own = call->own;

	if (in->count <= had) {
		SAY(call, out, "the topic has %d partitions already; %d would not be more", had, in->count);
		return ERR_INVALID_PARTITIONS;
	}
	if (in->count > PARTITIONS_MAX) {
		SAY(call, out, "%d partitions are more than the %d that a topic may be given", in->count,
		    PARTITIONS_MAX);
		return ERR_INVALID_PARTITIONS;
	}
	if (own->partitions + in->count - had > PARTITIONS_MAX) {
		SAY(call, out, "one request may add %d partitions in all", PARTITIONS_MAX);
		return ERR_POLICY_VIOLATION;
	}
	return ERR_NONE;
}

/* For each new partition a list of brokers, which can only be: this one. */
static enum err
check_assignments(struct call *call, const struct create_partitions_request_topic *in, int32_t added,
		  struct create_partitions_response_result *out)
{
	int32_t self = call_config(call)->node_id;

	if (in->assignments.n < 0)
		return ERR_NONE;
	if (in->assignments.n != added) {
		SAY(call, out, "%d partitions are added, but %d are assigned", added, in->assignments.n);
		return ERR_INVALID_REPLICA_ASSIGNMENT;
	}
	for (int32_t i = 0; i < added; i++) {
		const struct create_partitions_request_assignment *a = &in->assignments.at[i];
		if (a->broker_ids.n != 1 || a->broker_ids.at[0] != self) {
			SAY(call, out, "the only broker to assign to is %d", self);
			return ERR_INVALID_REPLICA_ASSIGNMENT;
		}
	}
	return ERR_NONE;
}

static enum err
check_topic(struct call *call, const struct create_partitions_request_topic *in,
	    struct create_partitions_response_result *out)
{
	struct create_partitions_own *own = call->own;
	struct topic topic;

	enum err e = topic_by_name(call_read(call), in->name, &call->arena, &topic);
	if (e != ERR_NONE) {
		out->error_message = str_of(err_text(e));
		return e;
	}
	e = check_count(call, in, topic.partitions, out);
	if (e == ERR_NONE)
		e = check_assignments(call, in, in->count - topic.partitions, out);
	if (e != ERR_NONE)
		return e;
	own->plans[own->n++] = (struct plan){ .in = in, .out = out };
	own->partitions += in->count - topic.partitions;
	call->job.bytes += TOPIC_BYTES;
	return ERR_NONE;
}

static void
plan_topics(struct call *call, const struct create_partitions_request *in,
	    struct create_partitions_response *out)
{
	struct create_partitions_own *own = call->own = arena_alloc(&call->arena, sizeof(*own));
	own->plans = arena_array(&call->arena, (size_t)in->topics.n, sizeof(*own->plans));

	struct str *names = arena_array(&call->arena, (size_t)in->topics.n, sizeof(*names));
	for (int32_t i = 0; i < in->topics.n; i++)
		names[i] = in->topics.at[i].name;
	const uint8_t *repeats = repeats_find(names, in->topics.n, &call->arena);

	CALL_LIST(call, out->results, in->topics.n);
	out->results.n = 0;
	for (int32_t i = 0; i < in->topics.n; i++) {
		if (repeats[i] == REPEAT_AGAIN)
			continue;
		struct create_partitions_response_result *next = &out->results.at[out->results.n++];
		next->name = in->topics.at[i].name;
		next->error_message = STR_NULL;
		next->error_code = ERR_INVALID_REQUEST;
		if (repeats[i] == REPEAT_FIRST)
			next->error_message = STR("the request names the topic more than once");
		else
			next->error_code = check_topic(call, &in->topics.at[i], next);
	}
}

enum next
create_partitions_handle(struct call *call)
{
	const struct create_partitions_request *in = call->in;

	plan_topics(call, in, call->out);
	const struct create_partitions_own *own = call->own;
	return own->n > 0 && !in->validate_only ? NEXT_WRITE : NEXT_ANSWER;
}

enum next
create_partitions_write(struct call *call, struct store_txn *txn)
{
	const struct create_partitions_own *own = call->own;

	for (int32_t i = 0; i < own->n; i++) {
		const struct plan *plan = &own->plans[i];
		struct topic topic;
		enum err e = topic_by_name(txn, plan->in->name, &call->arena, &topic);
		if (e == ERR_NONE)
			e = topic_grow(txn, &topic, plan->in->count);
		plan->out->error_code = e;
		if (e != ERR_NONE)
			plan->out->error_message = str_of(err_text(e));
		else
			diag_info("partitions added", D_STR("topic", plan->in->name),
				  D_INT("partitions", plan->in->count), D_STR("client_id", call->client_id));
	}
	return NEXT_PROMISE;
}

void
create_partitions_failed(struct call *call, enum err error)
{
	const struct create_partitions_own *own = call->own;

	for (int32_t i = 0; i < own->n; i++) {
		own->plans[i].out->error_code = error;
		own->plans[i].out->error_message = str_of(err_text(error));
	}
}
