/* JoinGroup: into the group's next generation. What happens is group_join.c's; here are the words of the wire. */
#include "broker/api/handlers.h"
#include "broker/coordinator.h"
#include "common/clock.h"
#include "protocol/messages.h"

/* As Kafka tells it, which has it from Java. */
static struct str
host_of(struct call *call)
{
	return str_of(arena_printf(&call->arena, "/%.*s", STR_ARG(call->client_host)));
}

static struct group_join
read_request(struct call *call)
{
	const struct join_group_request *in = call->in;
	struct group_protocol *protocols =
	    arena_array(&call->arena, (size_t)in->protocols.n, sizeof(*protocols));

	for (int32_t i = 0; i < in->protocols.n; i++) {
		protocols[i].name = in->protocols.at[i].name;
		protocols[i].metadata = in->protocols.at[i].metadata;
	}
	return (struct group_join){
		.version = call->version,
		.member_id = in->member_id,
		.instance_id = in->group_instance_id,
		.client_id = str_is_null(call->client_id) ? STR("") : call->client_id,
		.client_host = host_of(call),
		.protocol_type = in->protocol_type,
		.reason = in->reason,
		.session_timeout_ms = in->session_timeout_ms,
		.rebalance_timeout_ms = in->rebalance_timeout_ms,
		.protocols = protocols,
		.protocol_n = in->protocols.n,
	};
}

/* It may wait for minutes: what it brought is in the group now, or with the group's owner. */
static enum next
wait_lightly(struct call *call)
{
	struct join_group_response *out = call->out;
	struct str member_id = out->member_id;

	if (call->finished)
		return NEXT_WAIT;
	call_drop_request(call, &member_id);
	out = call->out;
	out->member_id = member_id;
	return NEXT_WAIT;
}

/* On a full disk no group comes into being; those that are there go on. */
static bool
has_place(struct call *call)
{
	const struct join_group_request *in = call->in;
	struct coordinator_slot *slot = coordinator_find(call->worker, in->group_id);
	bool stored = slot->stored;

	coordinator_done(slot);
	return stored || !store_is_full(call_store(call));
}

enum next
join_group_handle(struct call *call)
{
	const struct join_group_request *in = call->in;
	struct join_group_response *out = call->out;

	out->member_id = in->member_id;
	if (in->group_id.n <= 0) {
		join_group_failed(call, ERR_INVALID_GROUP_ID);
		return NEXT_ANSWER;
	}
	if (!coordinator_is_here(call, in->group_id)) {
		coordinator_forward(call, in->group_id);
		return wait_lightly(call);
	}
	if (!has_place(call)) {
		join_group_failed(call, ERR_COORDINATOR_NOT_AVAILABLE);
		return NEXT_ANSWER;
	}
	struct group_join join = read_request(call);
	struct group_event *e = coordinator_begin(call, in->group_id);
	group_join(e->group, clock_monotonic_ms(), &join, call, &e->actions);
	coordinator_end(e);
	return wait_lightly(call);
}

/* out->member_id is the request's, from the beginning on. */
void
join_group_failed(struct call *call, enum err error)
{
	struct join_group_response *out = call->out;

	out->error_code = error;
	out->generation_id = -1;
}

static void
fill_members(struct call *call, const struct group_joined *joined)
{
	struct join_group_response *out = call->out;

	out->members.n = joined->member_n;
	out->members.at = NEW_LIST(&call->arena, join_group_response_member, joined->member_n);
	for (int32_t i = 0; i < joined->member_n; i++) {
		const struct group_joined_member *m = &joined->members[i];
		out->members.at[i].member_id = str_keep(&call->arena, m->member_id);
		out->members.at[i].group_instance_id = str_keep(&call->arena, m->instance_id);
		out->members.at[i].metadata = bytes_keep(&call->arena, m->metadata);
	}
}

void
join_group_fill(struct call *call, const struct group_joined *joined)
{
	struct join_group_response *out = call->out;

	out->error_code = joined->error;
	out->generation_id = joined->generation;
	out->protocol_type = str_keep(&call->arena, joined->protocol_type);
	out->protocol_name = str_keep(&call->arena, joined->protocol);
	out->leader = str_keep(&call->arena, joined->leader);
	out->member_id = str_keep(&call->arena, joined->member_id);
	out->skip_assignment = joined->skip_assignment;
	fill_members(call, joined);
}
