/* OffsetDelete: forget committed offsets of topics that no member of the group reads (KIP-496). */
#include "broker/api/handlers.h"
#include "broker/coordinator.h"
#include "protocol/messages.h"

static bool
is_consumer(const struct group_view *view)
{
	return str_is_null(view->protocol_type) || view->protocol_type.n == 0 ||
	       str_is(view->protocol_type, "consumer");
}

/* The error of each partition, as far as the group decides it. */
static enum err
check(struct call *call)
{
	const struct offset_delete_request *in = call->in;
	struct offset_delete_response *out = call->out;
	struct coordinator_slot *slot = coordinator_find(call->worker, in->group_id);
	struct group_view view = group_view(slot->group);
	enum err e = ERR_NONE;

	if (coordinator_is_absent(slot))
		e = ERR_GROUP_ID_NOT_FOUND;
	else if (view.member_n > 0 && !is_consumer(&view))
		e = ERR_NON_EMPTY_GROUP;
	for (int32_t t = 0; e == ERR_NONE && t < in->topics.n; t++)
		if (group_is_subscribed(slot->group, in->topics.at[t].name))
			for (int32_t p = 0; p < in->topics.at[t].partitions.n; p++)
				out->topics.at[t].partitions.at[p].error_code = ERR_GROUP_SUBSCRIBED_TO_TOPIC;
	coordinator_done(slot);
	return e;
}

static void
prepare(struct call *call)
{
	const struct offset_delete_request *in = call->in;
	struct offset_delete_response *out = call->out;

	CALL_LIST(call, out->topics, in->topics.n);
	for (int32_t t = 0; t < in->topics.n; t++) {
		out->topics.at[t].name = in->topics.at[t].name;
		CALL_LIST(call, out->topics.at[t].partitions, in->topics.at[t].partitions.n);
		for (int32_t p = 0; p < in->topics.at[t].partitions.n; p++)
			out->topics.at[t].partitions.at[p].partition_index =
			    in->topics.at[t].partitions.at[p].partition_index;
		call->job.bytes += (size_t)in->topics.at[t].partitions.n * 16;
	}
}

enum next
offset_delete_handle(struct call *call)
{
	const struct offset_delete_request *in = call->in;

	if (!coordinator_is_here(call, in->group_id))
		return coordinator_forward(call, in->group_id);

	prepare(call);
	enum err e = in->group_id.n > 0 ? check(call) : ERR_INVALID_GROUP_ID;
	if (e == ERR_NONE)
		return NEXT_WRITE;
	offset_delete_failed(call, e);
	return NEXT_ANSWER;
}

static void
write_topic(struct call *call, struct store_txn *txn, uint32_t group,
	    struct offset_delete_response_topic *out)
{
	struct topic topic;
	enum err e = topic_by_name(txn, out->name, &call->arena, &topic);

	for (int32_t i = 0; i < out->partitions.n; i++) {
		int32_t index = out->partitions.at[i].partition_index;
		if (out->partitions.at[i].error_code != ERR_NONE)
			continue;
		out->partitions.at[i].error_code = e != ERR_NONE ? e
						   : index < 0 || index >= topic.partitions
						       ? ERR_UNKNOWN_TOPIC_OR_PARTITION
						       : offsets_delete(txn, group, topic.number, index);
	}
}

enum next
offset_delete_write(struct call *call, struct store_txn *txn)
{
	const struct offset_delete_request *in = call->in;
	struct offset_delete_response *out = call->out;
	uint32_t group;

	enum err e = groups_number(txn, in->group_id, &group);
	if (e != ERR_NONE) {
		offset_delete_failed(call, e);
		return NEXT_ANSWER;
	}
	for (int32_t i = 0; i < out->topics.n; i++)
		write_topic(call, txn, group, &out->topics.at[i]);
	return NEXT_PROMISE;
}

void
offset_delete_failed(struct call *call, enum err error)
{
	struct offset_delete_response *out = call->out;

	out->error_code = error == ERR_KAFKA_STORAGE_ERROR ? ERR_COORDINATOR_NOT_AVAILABLE : error;
	out->topics.n = 0;
}
