/*
 * Metadata: the broker's address, and topics with their partitions.
 *
 * Happy path: handle() answers everything from the worker's snapshot. Where the request names topics that do
 * not exist, and both the client and auto.create.topics.enable allow it, write() creates them and completes
 * the same answer: Kafka answers UNKNOWN_TOPIC_OR_PARTITION first and has the client ask again, which not
 * every client does.
 *
 * When the commit is lost, only the topics that write() had completed become errors: the others were there
 * before.
 */
#include "broker/api/handlers.h"
#include "broker/api/repeats.h"
#include "broker/api/topic_settings.h"
#include "broker/api/topics.h"
#include "common/diag.h"
#include "protocol/messages.h"

/* Topics that one request may bring into being by naming them; the rest stay unknown, and clients ask again.
 */
#define AUTO_CREATE_MAX 1000

struct metadata_own {
	struct metadata_response_topic **missing;
	int32_t n;
	int32_t node_id;
};

static void
answer_broker(struct call *call, struct metadata_response *out)
{
	CALL_LIST(call, out->brokers, 1);
	struct metadata_response_broker *self = out->brokers.at;
	self->node_id = call_config(call)->node_id;
	self->rack = STR_NULL;
	call_advertised(call, &self->host, &self->port);

	out->cluster_id = str_keep(&call->arena, store_cluster_id(call_store(call)));
	out->controller_id = self->node_id;
	const struct metadata_request *in = call->in;
	if (in->include_cluster_authorized_operations)
		out->cluster_authorized_operations = OPERATIONS_CLUSTER;
}

/* All partitions have the same one replica, so all share one list of it. */
static void
answer_partitions(struct call *call, int32_t n, struct metadata_response_topic *out)
{
	int32_t *self = arena_alloc(&call->arena, sizeof(*self));
	*self = call_config(call)->node_id;
	CALL_LIST(call, out->partitions, n);
	for (int32_t i = 0; i < n; i++) {
		struct metadata_response_partition *p = &out->partitions.at[i];
		p->partition_index = i;
		p->leader_id = *self;
		p->replica_nodes.at = p->isr_nodes.at = self;
		p->replica_nodes.n = p->isr_nodes.n = 1;
	}
}

/* topic->name is copied unless the request has it already. */
static void
answer_topic(struct call *call, const struct topic *topic, struct metadata_response_topic *out)
{
	const struct metadata_request *in = call->in;

	out->error_code = ERR_NONE;
	if (out->name.n <= 0)
		out->name = str_keep(&call->arena, topic->name);
	out->topic_id = topic->id;
	out->is_internal = topic_is_internal(out->name);
	if (in->include_topic_authorized_operations)
		out->topic_authorized_operations = OPERATIONS_TOPIC;
	answer_partitions(call, topic->partitions, out);
}

/* The answer has no error of its own: half of the topics would be taken for all of them. */
static enum next
answer_all(struct call *call, struct metadata_response *out)
{
	struct store_txn *txn = call_read(call);
	struct topic topic;
	enum err e;
	int32_t room = 0;

	for (struct str last = STR_NULL; topic_after(txn, last, &call->arena, &topic, &e);) {
		if (out->topics.n == room) {
			struct metadata_response_topic *had = out->topics.at;
			int32_t n = out->topics.n;
			room = room > 0 ? room * 2 : 16;
			CALL_LIST(call, out->topics, room);
			out->topics.n = n;
			for (int32_t i = 0; i < n; i++)
				out->topics.at[i] = had[i];
		}
		struct metadata_response_topic *next = &out->topics.at[out->topics.n++];
		message_defaults(&metadata_response_topic_message, next);
		answer_topic(call, &topic, next);
		last = next->name;
	}
	return e == ERR_NONE ? NEXT_ANSWER : NEXT_CLOSE;
}

/* Before v12 a topic goes by its name alone, although v10 has room for an id. */
static enum err
check_request(const struct call *call, const struct metadata_request_topic *in)
{
	bool by_id = !uuid_is_zero(in->topic_id);
	if (call->version < 12)
		return by_id || str_is_null(in->name) ? ERR_INVALID_REQUEST : ERR_NONE;
	return !by_id && str_is_null(in->name) ? ERR_INVALID_REQUEST : ERR_NONE;
}

static enum err
answer_one(struct call *call, const struct metadata_request_topic *in, struct metadata_response_topic *out)
{
	message_defaults(&metadata_response_topic_message, out);
	bool by_id = !uuid_is_zero(in->topic_id);
	out->topic_id = in->topic_id;
	if (!by_id || call->version < 12)
		out->name = in->name;
	if (call->version < 12 && str_is_null(out->name))
		out->name = STR("");
	enum err e = check_request(call, in);
	if (e != ERR_NONE)
		return e;

	struct topic topic;
	e = topic_find(call_read(call), in->name, in->topic_id, &call->arena, &topic);
	if (e == ERR_NONE)
		answer_topic(call, &topic, out);
	else if (by_id)
		out->name = STR_NULL;
	else if (topic_name_check(in->name) != ERR_NONE)
		e = ERR_INVALID_TOPIC_EXCEPTION;
	return e;
}

static void
answer_named(struct call *call, const struct metadata_request *in, struct metadata_response *out)
{
	struct str *keys = arena_array(&call->arena, (size_t)in->topics.n, sizeof(*keys));
	for (int32_t i = 0; i < in->topics.n; i++) {
		const struct metadata_request_topic *topic = &in->topics.at[i];
		keys[i] = topic->name;
		if (!uuid_is_zero(topic->topic_id))
			keys[i] = (struct str){ (const char *)topic->topic_id.b, sizeof(topic->topic_id.b) };
	}
	const uint8_t *repeats = repeats_find(keys, in->topics.n, &call->arena);

	CALL_LIST(call, out->topics, in->topics.n);
	out->topics.n = 0;
	for (int32_t i = 0; i < in->topics.n; i++) {
		if (repeats[i] == REPEAT_AGAIN)
			continue;
		struct metadata_response_topic *next = &out->topics.at[out->topics.n++];
		next->error_code = answer_one(call, &in->topics.at[i], next);
	}
}

/* Remember what is to be created. False: nothing is. */
static bool
plan_creation(struct call *call, struct metadata_response *out)
{
	const struct config *config = call_config(call);
	const struct metadata_request *in = call->in;
	if (!config->auto_create_topics || !in->allow_auto_topic_creation)
		return false;

	struct metadata_own *own = arena_alloc(&call->arena, sizeof(*own));
	own->missing =
	    arena_array(&call->arena, (size_t)out->topics.n, sizeof(struct metadata_response_topic *));
	for (int32_t i = 0; i < out->topics.n && own->n < AUTO_CREATE_MAX; i++) {
		struct metadata_response_topic *topic = &out->topics.at[i];
		if (topic->error_code == ERR_UNKNOWN_TOPIC_OR_PARTITION && !topic_is_internal(topic->name))
			own->missing[own->n++] = topic;
	}
	call->own = own;
	call->job.bytes = (size_t)own->n * TOPIC_BYTES;
	return own->n > 0;
}

enum next
metadata_handle(struct call *call)
{
	const struct metadata_request *in = call->in;
	struct metadata_response *out = call->out;

	answer_broker(call, out);
	if (in->topics.n < 0 || (call->version == 0 && in->topics.n == 0))
		return answer_all(call, out);
	answer_named(call, in, out);
	return plan_creation(call, out) ? NEXT_WRITE : NEXT_ANSWER;
}

/* The topic may have come into being since handle(), by another connection. */
static enum err
find_or_create(struct call *call, struct store_txn *txn, struct str name, struct topic *out)
{
	enum err e = topic_by_name(txn, name, &call->arena, out);
	if (e != ERR_UNKNOWN_TOPIC_OR_PARTITION)
		return e;
	if (call_config(call)->default_replication_factor > 1)
		return ERR_INVALID_REPLICATION_FACTOR;
	e = topic_create(txn, name, call_config(call)->num_partitions, NULL, 0, &call->arena, out);
	if (e == ERR_NONE)
		diag_info("topic created as asked for by Metadata", D_STR("topic", name),
			  D_INT("partitions", out->partitions), D_STR("client_id", call->client_id));
	return e;
}

enum next
metadata_write(struct call *call, struct store_txn *txn)
{
	const struct metadata_own *own = call->own;

	for (int32_t i = 0; i < own->n; i++) {
		struct topic topic;
		own->missing[i]->error_code = find_or_create(call, txn, own->missing[i]->name, &topic);
		if (own->missing[i]->error_code == ERR_NONE)
			answer_topic(call, &topic, own->missing[i]);
	}
	return NEXT_PROMISE;
}

void
metadata_failed(struct call *call, enum err error)
{
	const struct metadata_own *own = call->own;

	for (int32_t i = 0; i < own->n; i++) {
		struct str name = own->missing[i]->name;
		message_defaults(&metadata_response_topic_message, own->missing[i]);
		own->missing[i]->name = name;
		own->missing[i]->error_code = error;
	}
}
