/*
 * ApiVersions: what this broker speaks, computed from the table of handlers, so that nothing can be promised
 * that is not served. No features: transaction.version and group.version would have clients use what is not
 * there (KIP-584).
 */
#include "broker/api/handlers.h"
#include "protocol/messages.h"

static bool
is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? as KIP-511 wants it */
static bool
software_is_named_well(struct str name)
{
	if (name.n <= 0 || !is_alphanumeric(name.at[0]) || !is_alphanumeric(name.at[name.n - 1]))
		return false;
	for (int32_t i = 0; i < name.n; i++)
		if (!is_alphanumeric(name.at[i]) && name.at[i] != '-' && name.at[i] != '.')
			return false;
	return true;
}

void
api_versions_fill(struct api_versions_response *out, struct arena *arena)
{
	out->finalized_features_epoch = -1;
	out->api_keys.n = handler_count;
	out->api_keys.at = arena_array(arena, (size_t)handler_count, sizeof(*out->api_keys.at));
	for (int i = 0; i < handler_count; i++) {
		out->api_keys.at[i].api_key = handlers[i].key;
		out->api_keys.at[i].min_version = handlers[i].advertise_min;
		out->api_keys.at[i].max_version = handlers[i].max;
	}
}

enum next
api_versions_handle(struct call *call)
{
	const struct api_versions_request *in = call->in;
	struct api_versions_response *out = call->out;

	if (call->version >= 3 && (!software_is_named_well(in->client_software_name) ||
				   !software_is_named_well(in->client_software_version))) {
		out->error_code = ERR_INVALID_REQUEST;
		return NEXT_ANSWER;
	}
	api_versions_fill(out, &call->arena);
	return NEXT_ANSWER;
}
