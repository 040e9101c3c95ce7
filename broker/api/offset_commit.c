/*
 * OffsetCommit: how far a group has read. The group's owner says whether this client may (its generation, its
 * membership); the offsets are written in the same turn, and answered when they are durable.
 *
 * A group that is not there yet is made with its first offset: not for partitions that do not exist, and not
 * while the disk is full.
 */
#include "broker/api/handlers.h"
#include "broker/api/topics.h"
#include "broker/coordinator.h"
#include "common/clock.h"
#include "protocol/messages.h"

#define OFFSET_BYTES 64 /* that one adds to a transaction, roughly */
/* What is written at once keeps all other writers waiting. Kafka's bound is a record's size, at about as many. */
#define COMMIT_PARTITIONS_MAX 20000
#define COMMIT_BYTES_MAX      ((size_t)4 * 1024 * 1024)

/* --- metadata ------------------------------------------------------------------------------------------ */

static bool
is_continued(const uint8_t *at, int32_t n)
{
	for (int32_t i = 1; i < n; i++)
		if ((at[i] & 0xc0) != 0x80)
			return false;
	return true;
}

/* Of the character at the beginning of n bytes of UTF-8; 1: of what is none, too. */
static int32_t
character_bytes(const uint8_t *at, int32_t n)
{
	int32_t bytes = at[0] < 0xc2 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 1;

	if (bytes > n || !is_continued(at, bytes))
		return 1;
	bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
	bool surrogate = at[0] == 0xed && at[1] >= 0xa0, beyond = at[0] == 0xf4 && at[1] >= 0x90;
	return overlong || surrogate || beyond ? 1 : bytes;
}

/* As Java counts: in UTF-16, where what takes four bytes of UTF-8 is two units. */
static int32_t
utf16_units(struct str s)
{
	int32_t units = 0;

	for (int32_t at = 0; at < s.n;) {
		int32_t bytes = character_bytes((const uint8_t *)s.at + at, s.n - at);
		units += bytes == 4 ? 2 : 1;
		at += bytes;
	}
	return units;
}

static bool
is_metadata_too_large(const struct call *call, struct str metadata)
{
	int32_t most = call_config(call)->offset_metadata_max;

	if (metadata.n > OFFSET_METADATA_BYTES_MAX)
		return true;
	return metadata.n > most && utf16_units(metadata) > most;
}

/* --- what is asked ------------------------------------------------------------------------------------- */

/* Is it more than is written at once? */
static bool
is_too_large(struct call *call)
{
	const struct offset_commit_request *in = call->in;
	int32_t partitions = 0;

	for (int32_t t = 0; t < in->topics.n; t++) {
		const struct offset_commit_request_topic *topic = &in->topics.at[t];
		partitions += topic->partitions.n;
		for (int32_t p = 0; p < topic->partitions.n; p++) {
			int32_t metadata = topic->partitions.at[p].committed_metadata.n;
			call->job.bytes += OFFSET_BYTES + (size_t)(metadata > 0 ? metadata : 0);
		}
	}
	return partitions > COMMIT_PARTITIONS_MAX || call->job.bytes > COMMIT_BYTES_MAX;
}

/* Every partition's error. */
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
			if (error == ERR_NONE && is_metadata_too_large(call, from->committed_metadata))
				to->partitions.at[p].error_code = ERR_OFFSET_METADATA_TOO_LARGE;
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
	if (e == ERR_NONE && is_too_large(call))
		e = ERR_INVALID_COMMIT_OFFSET_SIZE;
	prepare(call, e);
	return e == ERR_NONE && in->topics.n > 0 ? NEXT_WRITE : NEXT_ANSWER;
}

/* --- writing ------------------------------------------------------------------------------------------- */

struct writing {
	struct call *call;
	struct store_txn *txn;
	int64_t now_ms;
	bool opened;
	uint32_t group;   /* once opened */
	enum err refused; /* once opened: whether the group may have offsets */
};

/* Clients ask again after COORDINATOR_NOT_AVAILABLE; KAFKA_STORAGE_ERROR is no answer that they expect here. */
static enum err
as_told(enum err e)
{
	return e == ERR_KAFKA_STORAGE_ERROR ? ERR_COORDINATOR_NOT_AVAILABLE : e;
}

static enum err
open_group(struct writing *w)
{
	const struct offset_commit_request *in = w->call->in;

	if (!w->opened)
		w->refused = groups_open(w->txn, in->group_id, &w->group);
	w->opened = true;
	return w->refused;
}

static int64_t
expires_ms(const struct writing *w)
{
	int64_t retention_ms = ((const struct offset_commit_request *)w->call->in)->retention_time_ms;

	if (retention_ms < 0)
		return -1;
	return retention_ms < INT64_MAX - w->now_ms ? w->now_ms + retention_ms : INT64_MAX;
}

static enum err
write_partition(struct writing *w, const struct topic *topic,
		const struct offset_commit_request_partition *in)
{
	const struct stored_offset offset = {
		.offset = in->committed_offset,
		.leader_epoch = in->committed_leader_epoch,
		.committed_ms = w->now_ms,
		.expires_ms = expires_ms(w),
		.metadata = in->committed_metadata,
	};

	if (in->partition_index < 0 || in->partition_index >= topic->partitions)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	enum err e = open_group(w);
	if (e == ERR_NONE)
		e = offsets_commit(w->txn, w->group, topic->number, in->partition_index, &offset);
	return as_told(e);
}

/* From version 10 on topics have ids only; all zeros is nobody's. */
static enum err
find_topic(struct writing *w, const struct offset_commit_request_topic *in, struct topic *out)
{
	struct arena *arena = &w->call->arena;

	return w->call->version >= 10 ? topic_by_id(w->txn, in->topic_id, arena, out)
				      : topic_by_name(w->txn, in->name, arena, out);
}

static void
write_topic(struct writing *w, const struct offset_commit_request_topic *in,
	    struct offset_commit_response_topic *out)
{
	struct topic topic;

	if (in->partitions.n == 0)
		return;
	enum err e = find_topic(w, in, &topic);
	for (int32_t i = 0; i < in->partitions.n; i++) {
		if (out->partitions.at[i].error_code != ERR_NONE)
			continue;
		out->partitions.at[i].error_code =
		    e != ERR_NONE ? as_told(e) : write_partition(w, &topic, &in->partitions.at[i]);
	}
}

enum next
offset_commit_write(struct call *call, struct store_txn *txn)
{
	const struct offset_commit_request *in = call->in;
	struct offset_commit_response *out = call->out;
	struct writing w = { .call = call, .txn = txn, .now_ms = clock_wall_ms() };

	for (int32_t i = 0; i < in->topics.n; i++)
		write_topic(&w, &in->topics.at[i], &out->topics.at[i]);
	return NEXT_PROMISE;
}

void
offset_commit_failed(struct call *call, enum err error)
{
	prepare(call, as_told(error));
}
