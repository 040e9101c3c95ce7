/* SyncGroup: the leader's assignments, and each member's own. */
#include "broker/api/handlers.h"
#include "broker/coordinator.h"
#include "common/clock.h"
#include "protocol/messages.h"

static struct group_sync
read_request(struct call *call)
{
	const struct sync_group_request *in = call->in;
	struct group_assignment *assignments =
	    arena_array(&call->arena, (size_t)in->assignments.n, sizeof(*assignments));

	for (int32_t i = 0; i < in->assignments.n; i++) {
		assignments[i].member_id = in->assignments.at[i].member_id;
		assignments[i].assignment = in->assignments.at[i].assignment;
	}
	return (struct group_sync){
		.generation = in->generation_id,
		.member_id = in->member_id,
		.instance_id = in->group_instance_id,
		.protocol_type = in->protocol_type,
		.protocol = in->protocol_name,
		.assignments = assignments,
		.assignment_n = in->assignments.n,
	};
}

/* Where it waits, what it brought is with the group, or with the group's owner. */
static enum next
wait_lightly(struct call *call)
{
	if (!call->finished)
		call_drop_request(call, NULL);
	return NEXT_WAIT;
}

/* From v5 on the request says what protocol the member thinks that it has joined with (KIP-559). */
static bool
is_complete(const struct call *call)
{
	const struct sync_group_request *in = call->in;

	return call->version < 5 || (!str_is_null(in->protocol_type) && !str_is_null(in->protocol_name));
}

enum next
sync_group_handle(struct call *call)
{
	const struct sync_group_request *in = call->in;

	if (in->group_id.n <= 0) {
		sync_group_failed(call, ERR_INVALID_GROUP_ID);
		return NEXT_ANSWER;
	}
	if (!is_complete(call)) {
		sync_group_failed(call, ERR_INCONSISTENT_GROUP_PROTOCOL);
		return NEXT_ANSWER;
	}
	if (!coordinator_is_here(call, in->group_id)) {
		coordinator_forward(call, in->group_id);
		return wait_lightly(call);
	}
	struct group_sync sync = read_request(call);
	struct group_event *e = coordinator_begin(call, in->group_id);
	group_sync(e->group, clock_monotonic_ms(), &sync, call, &e->actions);
	coordinator_end(e);
	return wait_lightly(call);
}

/*
 * Clients do not expect COORDINATOR_LOAD_IN_PROGRESS here. As in Kafka they are told to join again, without looking
 * for the coordinator.
 */
void
sync_group_failed(struct call *call, enum err error)
{
	struct sync_group_response *out = call->out;

	out->error_code = error == ERR_COORDINATOR_LOAD_IN_PROGRESS ? ERR_REBALANCE_IN_PROGRESS : error;
}

void
sync_group_fill(struct call *call, const struct group_action *a)
{
	struct sync_group_response *out = call->out;

	out->error_code = a->error;
	out->protocol_type = str_keep(&call->arena, a->protocol_type);
	out->protocol_name = str_keep(&call->arena, a->protocol);
	out->assignment = bytes_keep(&call->arena, a->assignment);
}
