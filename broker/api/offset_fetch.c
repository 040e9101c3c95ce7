/*
 * OffsetFetch: what OffsetCommit kept. Any worker reads it from the store; the answer waits until what it tells
 * is durable, lest a power cut make a consumer's position go back.
 *
 * Nothing committed is no error, nor is a topic that is not there: offset -1 (several clients give up on
 * UNKNOWN_TOPIC_OR_PARTITION here). No transaction is ever open yet, so everything is stable.
 *
 * There are two shapes, for one group (v1-7) and for many (v8+). The older is made of the newer.
 */
#include "broker/api/handlers.h"
#include "broker/api/topics.h"
#include "protocol/messages.h"

static void
set_partition(struct offset_fetch_response_group_partition *out, int32_t index,
	      const struct stored_offset *offset)
{
	out->partition_index = index;
	out->committed_offset = offset->offset;
	out->committed_leader_epoch = offset->leader_epoch;
	out->metadata = offset->metadata;
}

/* --- some partitions ----------------------------------------------------------------------------------- */

/* known: the group and the topic are there. */
static enum err
fetch_partition(struct call *call, bool known, uint32_t group, uint32_t topic, int32_t index,
		struct offset_fetch_response_group_partition *out)
{
	struct stored_offset offset = { .offset = -1, .leader_epoch = -1, .metadata = STR("") };
	enum err e = ERR_NONE;

	if (known && index >= 0)
		e = offsets_fetch(call_read(call), group, topic, index, &call->arena, &offset);
	set_partition(out, index, &offset);
	return e;
}

/* A topic that is not there has no offsets; one that cannot be read may have some. */
static enum err
fetch_topic(struct call *call, bool known, uint32_t group, const struct offset_fetch_request_group_topic *in,
	    struct offset_fetch_response_group_topic *out)
{
	struct topic topic = { 0 };
	enum err e = call->version < 10 ? topic_by_name(call_read(call), in->name, &call->arena, &topic)
					: topic_by_id(call_read(call), in->topic_id, &call->arena, &topic);
	enum err failed = e == ERR_KAFKA_STORAGE_ERROR ? e : ERR_NONE;

	out->name = in->name;
	out->topic_id = in->topic_id;
	CALL_LIST(call, out->partitions, in->partition_indexes.n);
	for (int32_t i = 0; i < in->partition_indexes.n; i++) {
		struct offset_fetch_response_group_partition *p = &out->partitions.at[i];
		enum err f = fetch_partition(call, known && e == ERR_NONE, group, topic.number,
					     in->partition_indexes.at[i], p);
		p->error_code = e == ERR_UNKNOWN_TOPIC_ID ? e : f != ERR_NONE ? f : failed;
		if (f != ERR_NONE)
			failed = f;
	}
	return failed;
}

/* --- all partitions ------------------------------------------------------------------------------------ */

static struct offset_fetch_response_group_topic *
add_topic(struct call *call, const struct topic *topic, struct offset_fetch_response_group *out)
{
	out->topics.at = arena_grow(&call->arena, out->topics.at, out->topics.n, sizeof(*out->topics.at));
	struct offset_fetch_response_group_topic *t = &out->topics.at[out->topics.n++];
	t->name = topic->name;
	t->topic_id = topic->id;
	return t;
}

static void
add_partition(struct call *call, struct offset_fetch_response_group_topic *out, int32_t index,
	      const struct stored_offset *offset)
{
	out->partitions.at =
	    arena_grow(&call->arena, out->partitions.at, out->partitions.n, sizeof(*out->partitions.at));
	set_partition(&out->partitions.at[out->partitions.n++], index, offset);
}

static enum err
fetch_all(struct call *call, uint32_t group, struct offset_fetch_response_group *out)
{
	struct offset_fetch_response_group_topic *t = NULL;
	struct stored_offset offset;
	struct store_txn *txn = call_read(call);
	uint32_t topic = 0, last = 0;
	enum err e;

	for (int32_t p = 0; offsets_next(txn, group, &topic, &p, &call->arena, &offset, &e); p++) {
		struct topic found;
		if (topic != last) {
			e = topic_by_number(txn, topic, &call->arena, &found);
			if (e != ERR_NONE && e != ERR_UNKNOWN_TOPIC_OR_PARTITION)
				return e;
			t = e == ERR_NONE ? add_topic(call, &found, out) : NULL;
		}
		last = topic;
		if (t != NULL)
			add_partition(call, t, p, &offset);
	}
	return e;
}

/* --- groups -------------------------------------------------------------------------------------------- */

static void
fetch_group(struct call *call, const struct offset_fetch_request_group *in,
	    struct offset_fetch_response_group *out)
{
	uint32_t group = 0;
	enum err e = groups_number(call_read(call), in->group_id, &group);
	bool known = e == ERR_NONE, failed = !known && e != ERR_GROUP_ID_NOT_FOUND;

	out->group_id = in->group_id;
	if (!failed && call->arena.used <= CALL_ANSWER_BYTES) {
		if (in->topics.n < 0 && known)
			failed = fetch_all(call, group, out) != ERR_NONE;
		if (in->topics.n > 0)
			CALL_LIST(call, out->topics, in->topics.n);
		for (int32_t i = 0; i < in->topics.n; i++)
			failed |= fetch_topic(call, known, group, &in->topics.at[i], &out->topics.at[i]) !=
				  ERR_NONE;
	} else {
		failed = true; /* or to be asked for again, without so many others */
	}
	/* A part of the offsets is no answer: what is missing would be read as "none was committed". */
	if (failed)
		out->error_code = ERR_COORDINATOR_NOT_AVAILABLE;
}

/* v1-7: one group, its topics a list of another type. */
static struct offset_fetch_request_group
as_group(struct call *call)
{
	const struct offset_fetch_request *in = call->in;
	struct offset_fetch_request_group group = { .group_id = in->group_id };

	group.topics.n = in->topics.n;
	if (in->topics.n > 0)
		CALL_LIST(call, group.topics, in->topics.n);
	for (int32_t i = 0; i < in->topics.n; i++) {
		group.topics.at[i].name = in->topics.at[i].name;
		group.topics.at[i].partition_indexes.at = in->topics.at[i].partition_indexes.at;
		group.topics.at[i].partition_indexes.n = in->topics.at[i].partition_indexes.n;
	}
	return group;
}

static void
from_group(struct call *call, const struct offset_fetch_response_group *group)
{
	struct offset_fetch_response *out = call->out;

	out->error_code = group->error_code;
	CALL_LIST(call, out->topics, group->topics.n);
	for (int32_t t = 0; t < group->topics.n; t++) {
		const struct offset_fetch_response_group_topic *from = &group->topics.at[t];
		struct offset_fetch_response_topic *to = &out->topics.at[t];
		to->name = from->name;
		CALL_LIST(call, to->partitions, from->partitions.n);
		for (int32_t p = 0; p < from->partitions.n; p++) {
			to->partitions.at[p].partition_index = from->partitions.at[p].partition_index;
			to->partitions.at[p].committed_offset = from->partitions.at[p].committed_offset;
			to->partitions.at[p].committed_leader_epoch =
			    from->partitions.at[p].committed_leader_epoch;
			to->partitions.at[p].metadata = from->partitions.at[p].metadata;
			to->partitions.at[p].error_code = from->partitions.at[p].error_code;
		}
	}
}

enum next
offset_fetch_handle(struct call *call)
{
	const struct offset_fetch_request *in = call->in;
	struct offset_fetch_response *out = call->out;

	if (call->version < 8) {
		const struct offset_fetch_request_group asked = as_group(call);
		struct offset_fetch_response_group answer = { 0 };
		fetch_group(call, &asked, &answer);
		from_group(call, &answer);
	} else {
		CALL_LIST(call, out->groups, in->groups.n);
		for (int32_t i = 0; i < in->groups.n; i++)
			fetch_group(call, &in->groups.at[i], &out->groups.at[i]);
	}
	call->job.commit = store_snapshot(call_read(call));
	return NEXT_PROMISE;
}
