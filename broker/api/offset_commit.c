/*
 * OffsetCommit: how far a group has read. The group's owner says whether this client may (its generation, its
 * membership); the offsets are written in the same turn, and answered when they are durable.
 */
#include "broker/api/handlers.h"
#include "broker/api/topics.h"
#include "broker/coordinator.h"
#include "common/clock.h"
#include "protocol/messages.h"

#define OFFSET_BYTES 64 /* that one adds to a transaction, roughly */

/* Every partition's error, and how much there is to write. */
static void
prepare(struct call *call, enum err error)
{
	const struct offset_commit_request *in = call->in;
	struct offset_commit_response *out = call->out;

	CALL_LIST(call, out->topics, in->topics.n);
	for (int32_t t = 0; t < in->topics.n; t++) {
		const struct offset_commit_request_topic *topic = &in->topics.at[t];
		struct offset_commit_response_topic *to = &out->topics.at[t];
		to->name = topic->name;
		to->topic_id = topic->topic_id;
		CALL_LIST(call, to->partitions, topic->partitions.n);
		for (int32_t p = 0; p < topic->partitions.n; p++) {
			const struct offset_commit_request_partition *from = &topic->partitions.at[p];
			to->partitions.at[p].partition_index = from->partition_index;
			to->partitions.at[p].error_code = error;
			if (error == ERR_NONE &&
			    from->committed_metadata.n > call_config(call)->offset_metadata_max)
				to->partitions.at[p].error_code = ERR_OFFSET_METADATA_TOO_LARGE;
			call->job.bytes +=
			    OFFSET_BYTES +
			    (size_t)(from->committed_metadata.n > 0 ? from->committed_metadata.n : 0);
		}
	}
}

static enum err
check(struct call *call)
{
	const struct offset_commit_request *in = call->in;
	struct coordinator_slot *slot = coordinator_find(call->worker, in->group_id);
	int32_t generation = in->generation_id_or_member_epoch;
	enum err e;

	if (coordinator_is_absent(slot) && generation >= 0)
		e = call->version >= 9 ? ERR_GROUP_ID_NOT_FOUND : ERR_ILLEGAL_GENERATION;
	else
		e = group_may_commit(slot->group, clock_monotonic_ms(), generation, in->member_id,
				     in->group_instance_id);
	coordinator_done(slot);
	return e;
}

enum next
offset_commit_handle(struct call *call)
{
	const struct offset_commit_request *in = call->in;

	if (!coordinator_is_here(call, in->group_id))
		return coordinator_forward(call, in->group_id);

	enum err e = check(call);
	prepare(call, e);
	return e == ERR_NONE && in->topics.n > 0 ? NEXT_WRITE : NEXT_ANSWER;
}

static enum err
write_partition(struct call *call, struct store_txn *txn, uint32_t group, const struct topic *topic,
		const struct offset_commit_request_partition *in)
{
	const struct offset_commit_request *request = call->in;
	int64_t now = clock_wall_ms();
	const struct stored_offset offset = {
		.offset = in->committed_offset,
		.leader_epoch = in->committed_leader_epoch,
		.committed_ms = now,
		.expires_ms = request->retention_time_ms >= 0 ? now + request->retention_time_ms : -1,
		.metadata = in->committed_metadata,
	};

	if (in->partition_index < 0 || in->partition_index >= topic->partitions)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	return offsets_commit(txn, group, topic->number, in->partition_index, &offset);
}

static void
write_topic(struct call *call, struct store_txn *txn, uint32_t group,
	    const struct offset_commit_request_topic *in, struct offset_commit_response_topic *out)
{
	struct topic topic;
	enum err e = topic_find(txn, in->name, in->topic_id, &call->arena, &topic);

	if (e == ERR_NONE)
		out->name = topic.name;
	for (int32_t i = 0; i < in->partitions.n; i++) {
		if (out->partitions.at[i].error_code != ERR_NONE)
			continue;
		out->partitions.at[i].error_code =
		    e != ERR_NONE ? e : write_partition(call, txn, group, &topic, &in->partitions.at[i]);
	}
}

enum next
offset_commit_write(struct call *call, struct store_txn *txn)
{
	const struct offset_commit_request *in = call->in;
	struct offset_commit_response *out = call->out;
	uint32_t group;

	enum err e = groups_open(txn, in->group_id, &group);
	if (e != ERR_NONE) {
		offset_commit_failed(call, e);
		return NEXT_ANSWER;
	}
	for (int32_t i = 0; i < in->topics.n; i++)
		write_topic(call, txn, group, &in->topics.at[i], &out->topics.at[i]);
	return NEXT_PROMISE;
}

/* Clients ask again after COORDINATOR_NOT_AVAILABLE; KAFKA_STORAGE_ERROR is no answer that they expect here. */
void
offset_commit_failed(struct call *call, enum err error)
{
	call->job.bytes = 0;
	prepare(call, error == ERR_KAFKA_STORAGE_ERROR ? ERR_COORDINATOR_NOT_AVAILABLE : error);
}
