/* ListOffsets: where a partition begins and ends, and its first record at or after a time (KIP-79, KIP-734).
 */
#include "broker/api/handlers.h"
#include "broker/api/repeats.h"
#include "broker/api/topics.h"
#include "protocol/messages.h"

/* Timestamps that are names. */
enum {
	TIME_LATEST = -1,
	TIME_EARLIEST = -2,
	TIME_MAX = -3,            /* v7 */
	TIME_EARLIEST_LOCAL = -4, /* v8: nothing is tiered, so the same as the earliest */
	TIME_LATEST_TIERED = -5,  /* v9: nothing is tiered, so none */
};

#define CONSUMER       (-1) /* replica_id; any other is a debugging tool, which may see all there is */
#define READ_COMMITTED 1

static bool
timestamp_is_known(int64_t timestamp, int16_t version)
{
	if (timestamp >= TIME_EARLIEST)
		return true;
	return (timestamp == TIME_MAX && version >= 7) ||
	       (timestamp == TIME_EARLIEST_LOCAL && version >= 8) ||
	       (timestamp == TIME_LATEST_TIERED && version >= 9);
}

/* The first offset that this client may not see. */
static int64_t
visible_end(const struct list_offsets_request *in, const struct partition *partition)
{
	if (in->replica_id != CONSUMER)
		return partition->log_end;
	return in->isolation_level == READ_COMMITTED ? partition->last_stable : partition->high_watermark;
}

static enum err
locate(struct call *call, const struct topic *topic, int32_t index, int64_t timestamp,
       struct log_position *found, const struct partition *partition)
{
	struct store_txn *txn = call_read(call);
	int64_t end = visible_end(call->in, partition);

	switch (timestamp) {
	case TIME_LATEST:
		found->offset = end;
		return ERR_NONE;
	case TIME_EARLIEST:
	case TIME_EARLIEST_LOCAL:
		found->offset = partition->log_start;
		return ERR_NONE;
	case TIME_LATEST_TIERED:
		return ERR_NONE;
	case TIME_MAX:
		return log_max_timestamp(txn, topic, index, end, found);
	default:
		return log_find_time(txn, topic, index, timestamp, end, found);
	}
}

/*
 * Records that were acknowledged with acks=1 a moment ago are committed, but hidden until they are durable. A
 * client that asks for the end of what was just written shall find it: the answer waits for them.
 */
static bool
hidden_records_matter(const struct list_offsets_request *in, const struct partition *partition,
		      int64_t timestamp, const struct log_position *found)
{
	if (visible_end(in, partition) >= partition->log_end)
		return false;
	return timestamp == TIME_LATEST || timestamp == TIME_MAX || (timestamp >= 0 && found->offset < 0);
}

static enum err
answer_partition(struct call *call, const struct topic *topic,
		 const struct list_offsets_request_partition *in, struct list_offsets_response_partition *out)
{
	const struct list_offsets_request *request = call->in;
	if (request->isolation_level != 0 && request->isolation_level != READ_COMMITTED)
		return ERR_INVALID_REQUEST;
	if (!timestamp_is_known(in->timestamp, call->version))
		return ERR_UNSUPPORTED_VERSION;

	struct partition partition;
	enum err e =
	    partition_find(call_read(call), topic, in->partition_index, in->current_leader_epoch, &partition);
	if (e != ERR_NONE)
		return e;

	struct log_position found = { .offset = -1, .timestamp = -1 };
	e = locate(call, topic, in->partition_index, in->timestamp, &found, &partition);
	if (hidden_records_matter(request, &partition, in->timestamp, &found))
		call->job.commit = store_snapshot(call_read(call));
	if (e != ERR_NONE || found.offset < 0)
		return e;
	out->offset = found.offset;
	out->timestamp = found.timestamp;
	out->leader_epoch = partition.leader_epoch;
	return ERR_NONE;
}

/* What is asked for twice is refused, as in Kafka; else one request could ask for the same search without end. */
static const uint8_t *
find_repeated_partitions(struct call *call, const struct list_offsets_request_topic *in)
{
	struct str *keys = arena_array(&call->arena, (size_t)in->partitions.n, sizeof(*keys));

	for (int32_t i = 0; i < in->partitions.n; i++)
		keys[i] =
		    (struct str){ (const char *)&in->partitions.at[i].partition_index, sizeof(int32_t) };
	return repeats_find(keys, in->partitions.n, &call->arena);
}

static const uint8_t *
find_repeated_topics(struct call *call, const struct list_offsets_request *in)
{
	struct str *keys = arena_array(&call->arena, (size_t)in->topics.n, sizeof(*keys));

	for (int32_t i = 0; i < in->topics.n; i++)
		keys[i] = in->topics.at[i].name;
	return repeats_find(keys, in->topics.n, &call->arena);
}

static void
answer_topic(struct call *call, const struct list_offsets_request_topic *in, bool repeated,
	     struct list_offsets_response_topic *out)
{
	struct topic topic;
	const uint8_t *repeats = find_repeated_partitions(call, in);
	enum err e =
	    repeated ? ERR_INVALID_REQUEST : topic_by_name(call_read(call), in->name, &call->arena, &topic);

	out->name = in->name;
	CALL_LIST(call, out->partitions, in->partitions.n);
	for (int32_t i = 0; i < in->partitions.n; i++) {
		out->partitions.at[i].partition_index = in->partitions.at[i].partition_index;
		out->partitions.at[i].timestamp = -1;
		out->partitions.at[i].offset = -1;
		out->partitions.at[i].leader_epoch = -1;
		out->partitions.at[i].error_code =
		    e != ERR_NONE ? e
		    : repeats[i] != REPEAT_NONE
			? ERR_INVALID_REQUEST
			: answer_partition(call, &topic, &in->partitions.at[i], &out->partitions.at[i]);
	}
}

static void
fill(struct call *call)
{
	const struct list_offsets_request *in = call->in;
	struct list_offsets_response *out = call->out;

	const uint8_t *repeats = find_repeated_topics(call, in);

	CALL_LIST(call, out->topics, in->topics.n);
	for (int32_t i = 0; i < in->topics.n; i++)
		answer_topic(call, &in->topics.at[i], repeats[i] == REPEAT_AGAIN, &out->topics.at[i]);
}

enum next
list_offsets_handle(struct call *call)
{
	fill(call);
	return call->job.commit == 0 ? NEXT_ANSWER : NEXT_PROMISE;
}

/* What was hidden is durable now: look again. */
void
list_offsets_answer(struct call *call)
{
	if (call->job.commit != 0)
		fill(call);
}
