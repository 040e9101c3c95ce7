/*
 * OffsetForLeaderEpoch: where a leader's records end (KIP-320). There is one leader, of epoch 0, whose
 * records end where the log does. Of any other epoch nothing is known, which is answered as -1 and -1,
 * without an error.
 */
#include "broker/api/handlers.h"
#include "broker/api/topics.h"
#include "protocol/messages.h"

static enum err
answer_partition(struct call *call, const struct topic *topic,
		 const struct offset_for_leader_epoch_request_partition *in,
		 struct offset_for_leader_epoch_response_partition *out)
{
	struct partition partition;
	enum err e =
	    partition_find(call_read(call), topic, in->partition, in->current_leader_epoch, &partition);
	if (e != ERR_NONE || in->leader_epoch != partition.leader_epoch)
		return e;
	out->leader_epoch = partition.leader_epoch;
	out->end_offset = partition.log_end;
	return ERR_NONE;
}

static void
answer_topic(struct call *call, const struct offset_for_leader_epoch_request_topic *in,
	     struct offset_for_leader_epoch_response_topic *out)
{
	struct topic topic;
	enum err e = topic_by_name(call_read(call), in->topic, &call->arena, &topic);

	out->topic = in->topic;
	CALL_LIST(call, out->partitions, in->partitions.n);
	for (int32_t i = 0; i < in->partitions.n; i++) {
		struct offset_for_leader_epoch_response_partition *p = &out->partitions.at[i];
		p->partition = in->partitions.at[i].partition;
		p->leader_epoch = -1;
		p->end_offset = -1;
		p->error_code = e != ERR_NONE ? e : answer_partition(call, &topic, &in->partitions.at[i], p);
	}
}

enum next
offset_for_leader_epoch_handle(struct call *call)
{
	const struct offset_for_leader_epoch_request *in = call->in;
	struct offset_for_leader_epoch_response *out = call->out;

	CALL_LIST(call, out->topics, in->topics.n);
	for (int32_t i = 0; i < in->topics.n; i++)
		answer_topic(call, &in->topics.at[i], &out->topics.at[i]);
	return NEXT_ANSWER;
}
