/*
 * DescribeGroups: groups with their members, each told by its owner. A group that is named twice is answered once;
 * Kafka answers it as often, and nobody asks so.
 */
#include "broker/api/handlers.h"
#include "broker/api/repeats.h"
#include "broker/api/scatter.h"
#include "broker/api/topics.h"
#include "broker/coordinator.h"
#include "protocol/messages.h"

#define OPERATIONS_GROUP 0x0d48 /* read delete describe describe_configs alter_configs */

static struct str
keep(struct arena *arena, struct str s)
{
	return str_is_null(s) ? STR("") : str_keep(arena, s);
}

static void
fill_members(struct call *call, const struct group *group, int32_t n,
	     struct describe_groups_response_group *out)
{
	struct arena *arena = &call->arena;

	out->members.n = n;
	out->members.at = NEW_LIST(arena, describe_groups_response_member, n);
	for (int32_t i = 0; i < n; i++) {
		struct group_member_view m = group_member_view(group, i);
		out->members.at[i].member_id = str_keep(arena, m.member_id);
		out->members.at[i].group_instance_id = str_keep(arena, m.instance_id);
		out->members.at[i].client_id = keep(arena, m.client_id);
		out->members.at[i].client_host = keep(arena, m.client_host);
		out->members.at[i].member_metadata = bytes_keep(arena, m.metadata);
		out->members.at[i].member_assignment = bytes_keep(arena, m.assignment);
	}
}

static void
fill_absent(struct call *call, struct str id, struct describe_groups_response_group *out)
{
	out->group_state = STR("Dead");
	if (call->version < 6)
		return;
	out->error_code = ERR_GROUP_ID_NOT_FOUND;
	out->error_message = str_of(arena_printf(&call->arena, "Group %.*s not found.", STR_ARG(id)));
}

static void
describe_group(struct call *call, struct str id, struct describe_groups_response_group *out)
{
	const struct describe_groups_request *in = call->in;
	struct coordinator_slot *slot = coordinator_find(call->worker, id);
	struct group_view view = group_view(slot->group);

	out->group_id = id;
	if (call->arena.used > CALL_ANSWER_BYTES) {
		out->error_code =
		    ERR_COORDINATOR_NOT_AVAILABLE; /* to be asked for again, without so many others */
	} else if (coordinator_is_absent(slot)) {
		fill_absent(call, id, out);
	} else {
		out->group_state = str_of(group_state_name(view.state));
		out->protocol_type = keep(&call->arena, view.protocol_type);
		out->protocol_data = keep(&call->arena, view.protocol);
		fill_members(call, slot->group, view.member_n, out);
	}
	coordinator_done(slot);
	if (in->include_authorized_operations && out->error_code == ERR_NONE)
		out->authorized_operations = OPERATIONS_GROUP;
}

/* --- several owners ------------------------------------------------------------------------------------ */

/* The part's groups are those of the owner, in the order of the request. */
static void
take(struct call *call, int owner, const void *answer)
{
	const struct describe_groups_request *in = call->in;
	const struct describe_groups_response *part = answer;
	struct describe_groups_response *out = call->out;
	int32_t next = 0;

	for (int32_t i = 0; i < in->groups.n; i++) {
		if (coordinator_owner(call->worker, in->groups.at[i]) != owner)
			continue;
		if (part != NULL && next < part->groups.n)
			out->groups.at[i] = part->groups.at[next++];
		else
			out->groups.at[i].error_code = ERR_NOT_COORDINATOR;
	}
}

static void
ask(struct call *call, struct scatter *s, int owner)
{
	const struct describe_groups_request *in = call->in;
	struct describe_groups_request part = *in;

	CALL_LIST(call, part.groups, in->groups.n);
	part.groups.n = 0;
	for (int32_t i = 0; i < in->groups.n; i++)
		if (coordinator_owner(call->worker, in->groups.at[i]) == owner)
			part.groups.at[part.groups.n++] = in->groups.at[i];
	if (part.groups.n > 0)
		scatter_to(s, owner, &part);
}

enum next
describe_groups_handle(struct call *call)
{
	struct describe_groups_request *in = call->in;
	struct describe_groups_response *out = call->out;

	in->groups.n = repeats_drop(in->groups.at, in->groups.n, &call->arena);
	out->groups.n = in->groups.n;
	out->groups.at = NEW_LIST(&call->arena, describe_groups_response_group, in->groups.n);
	for (int32_t i = 0; i < in->groups.n; i++)
		out->groups.at[i].group_id = in->groups.at[i];
	if (scatter_is_needless(call)) {
		for (int32_t i = 0; i < in->groups.n; i++)
			describe_group(call, in->groups.at[i], &out->groups.at[i]);
		return NEXT_ANSWER;
	}
	struct scatter *s = scatter_begin(call, take);
	for (int i = 0; i < call_config(call)->workers; i++)
		ask(call, s, i);
	return scatter_wait(s);
}
