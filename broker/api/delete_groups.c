/*
 * DeleteGroups: groups without members go, with their offsets (KIP-229), each at its owner. A group that is named
 * twice is answered once.
 */
#include "broker/api/handlers.h"
#include "broker/api/repeats.h"
#include "broker/api/scatter.h"
#include "broker/coordinator.h"
#include "protocol/messages.h"

static enum err
check(struct call *call, struct str id)
{
	struct coordinator_slot *slot = coordinator_find(call->worker, id);
	enum err e = ERR_NONE;

	if (coordinator_is_absent(slot))
		e = ERR_GROUP_ID_NOT_FOUND;
	else if (group_view(slot->group).state != GROUP_EMPTY)
		e = ERR_NON_EMPTY_GROUP;
	coordinator_done(slot);
	return e;
}

/* --- several owners ------------------------------------------------------------------------------------ */

/* The part's groups are those of the owner, in the order of the request. */
static void
take(struct call *call, int owner, const void *answer)
{
	const struct delete_groups_request *in = call->in;
	const struct delete_groups_response *part = answer;
	struct delete_groups_response *out = call->out;
	int32_t next = 0;

	for (int32_t i = 0; i < in->groups_names.n; i++) {
		if (coordinator_owner(call->worker, in->groups_names.at[i]) != owner)
			continue;
		out->results.at[i].error_code = part != NULL && next < part->results.n
						    ? part->results.at[next++].error_code
						    : ERR_NOT_COORDINATOR;
	}
}

static void
ask(struct call *call, struct scatter *s, int owner)
{
	const struct delete_groups_request *in = call->in;
	struct delete_groups_request part = *in;

	CALL_LIST(call, part.groups_names, in->groups_names.n);
	part.groups_names.n = 0;
	for (int32_t i = 0; i < in->groups_names.n; i++)
		if (coordinator_owner(call->worker, in->groups_names.at[i]) == owner)
			part.groups_names.at[part.groups_names.n++] = in->groups_names.at[i];
	if (part.groups_names.n > 0)
		scatter_to(s, owner, &part);
}

/* --- what is asked ------------------------------------------------------------------------------------- */

enum next
delete_groups_handle(struct call *call)
{
	struct delete_groups_request *in = call->in;
	struct delete_groups_response *out = call->out;

	in->groups_names.n = repeats_drop(in->groups_names.at, in->groups_names.n, &call->arena);
	CALL_LIST(call, out->results, in->groups_names.n);
	for (int32_t i = 0; i < in->groups_names.n; i++)
		out->results.at[i].group_id = in->groups_names.at[i];
	if (scatter_is_needless(call)) {
		for (int32_t i = 0; i < in->groups_names.n; i++)
			out->results.at[i].error_code = check(call, in->groups_names.at[i]);
		return NEXT_WRITE;
	}
	struct scatter *s = scatter_begin(call, take);
	for (int i = 0; i < call_config(call)->workers; i++)
		ask(call, s, i);
	return scatter_wait(s);
}

enum next
delete_groups_write(struct call *call, struct store_txn *txn)
{
	struct delete_groups_response *out = call->out;

	for (int32_t i = 0; i < out->results.n; i++) {
		if (out->results.at[i].error_code != ERR_NONE)
			continue;
		out->results.at[i].error_code = groups_delete(txn, out->results.at[i].group_id);
		coordinator_deleted(call->worker, out->results.at[i].group_id);
	}
	call_clean(call);
	return NEXT_PROMISE;
}

void
delete_groups_failed(struct call *call, enum err error)
{
	struct delete_groups_response *out = call->out;

	for (int32_t i = 0; i < out->results.n; i++)
		out->results.at[i].error_code =
		    error == ERR_KAFKA_STORAGE_ERROR ? ERR_COORDINATOR_NOT_AVAILABLE : error;
}
