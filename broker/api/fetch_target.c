#include "broker/api/fetching.h"
#include "broker/shared.h"
#include "protocol/messages.h"

static enum err
find_topic(struct call *call, struct arena *arena, const struct fetch_topic *wanted, struct topic *out)
{
	if (call->version >= 13)
		return topic_by_id(call_read(call), wanted->id, arena, out);
	return topic_by_name(call_read(call), wanted->name, arena, out);
}

static enum err
check_epoch(int32_t wanted, const struct partition *state)
{
	if (wanted < 0 || wanted == state->leader_epoch)
		return ERR_NONE;
	return wanted < state->leader_epoch ? ERR_FENCED_LEADER_EPOCH : ERR_UNKNOWN_LEADER_EPOCH;
}

void
fetch_resolve_topic(struct call *call, const struct fetch_want *want, struct arena *arena,
		    struct fetch_target *t)
{
	if (t->wanted != want->topic)
		t->topic_error = find_topic(call, arena, want->topic, &t->topic);
	t->wanted = want->topic;
}

void
fetch_resolve(struct call *call, const struct fetch_want *want, struct arena *arena, struct fetch_target *t)
{
	const struct fetch_request *in = call->in;

	fetch_resolve_topic(call, want, arena, t);
	t->error = t->topic_error;
	if (t->error == ERR_NONE)
		t->error = partition_state(call_read(call), &t->topic, want->partition, &t->state);
	if (t->error == ERR_NONE)
		t->error = check_epoch(want->leader_epoch, &t->state);
	if (t->error == ERR_NONE && (want->offset < t->state.log_start || want->offset > t->state.log_end))
		t->error = ERR_OFFSET_OUT_OF_RANGE;
	t->end = in->isolation_level == 1 ? t->state.last_stable : t->state.high_watermark;
}

uint16_t
fetch_place(const struct fetch_want *want, const struct fetch_target *t)
{
	return (uint16_t)wait_hash(t->topic.number, want->partition);
}

enum err
fetch_read_batches(struct call *call, const struct fetch_target *t, const struct fetch_want *want,
		   int32_t budget, bool at_least_one, struct arena *arena, struct log_slice *slice)
{
	int32_t most = want->max_bytes < budget ? want->max_bytes : budget;

	*slice = (struct log_slice){ 0 };
	if (want->offset >= t->end || (most <= 0 && !at_least_one))
		return ERR_NONE;
	return log_read(call_read(call), &t->topic, want->partition, want->offset, t->end,
			most < 0 ? 0 : most, at_least_one, arena, slice);
}
