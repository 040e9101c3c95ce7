/* LeaveGroup: members go, one (v0-2) or several (v3+, KIP-345). Answered when the group without them is durable. */
#include "broker/api/handlers.h"
#include "broker/coordinator.h"
#include "common/clock.h"
#include "protocol/messages.h"

static void
leave(struct call *call, struct group_event *e)
{
	const struct leave_group_request *in = call->in;
	struct leave_group_response *out = call->out;
	int64_t now = clock_monotonic_ms();

	if (call->version < 3) {
		out->error_code = group_leave(e->group, now, in->member_id, STR_NULL, &e->actions);
		return;
	}
	CALL_LIST(call, out->members, in->members.n);
	for (int32_t i = 0; i < in->members.n; i++) {
		const struct leave_group_request_member_identity *m = &in->members.at[i];
		out->members.at[i].member_id = m->member_id;
		out->members.at[i].group_instance_id = m->group_instance_id;
		out->members.at[i].error_code =
		    group_leave(e->group, now, m->member_id, m->group_instance_id, &e->actions);
	}
}

enum next
leave_group_handle(struct call *call)
{
	const struct leave_group_request *in = call->in;

	if (in->group_id.n <= 0) {
		leave_group_failed(call, ERR_INVALID_GROUP_ID);
		return NEXT_ANSWER;
	}
	if (!coordinator_is_here(call, in->group_id))
		return coordinator_forward(call, in->group_id);

	struct group_event *e = coordinator_begin(call, in->group_id);
	e->call = call;
	leave(call, e);
	return coordinator_end(e);
}

void
leave_group_failed(struct call *call, enum err error)
{
	struct leave_group_response *out = call->out;

	out->error_code = error;
	out->members.n = 0;
}
