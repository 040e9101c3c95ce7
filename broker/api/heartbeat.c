/* Heartbeat: a member lives, and learns whether the group rebalances. Answered at once, as it promises nothing. */
#include "broker/api/handlers.h"
#include "broker/coordinator.h"
#include "common/clock.h"
#include "protocol/messages.h"

enum next
heartbeat_handle(struct call *call)
{
	const struct heartbeat_request *in = call->in;
	struct heartbeat_response *out = call->out;

	if (in->group_id.n <= 0) {
		out->error_code = ERR_INVALID_GROUP_ID;
		return NEXT_ANSWER;
	}
	if (!coordinator_is_here(call, in->group_id))
		return coordinator_forward(call, in->group_id);

	struct coordinator_slot *slot = coordinator_find(call->worker, in->group_id);
	out->error_code = group_heartbeat(slot->group, clock_monotonic_ms(), in->member_id,
					  in->group_instance_id, in->generation_id);
	coordinator_done(slot);
	return NEXT_ANSWER;
}

/* While the coordinator is being started again all is well, as far as anybody knows; Kafka says so, too. */
void
heartbeat_failed(struct call *call, enum err error)
{
	struct heartbeat_response *out = call->out;

	out->error_code = error == ERR_COORDINATOR_LOAD_IN_PROGRESS ? ERR_NONE : error;
}
