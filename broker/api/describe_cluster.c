/* DescribeCluster: this one broker, for administrators (KIP-700). It is its own controller; none is ever
 * fenced. */
#include "broker/api/handlers.h"
#include "broker/api/topics.h"
#include "protocol/messages.h"

enum { ENDPOINT_BROKERS = 1, ENDPOINT_CONTROLLERS = 2 };

static bool
refuse_endpoint(struct call *call, int8_t endpoint_type, struct describe_cluster_response *out)
{
	switch (endpoint_type) {
	case ENDPOINT_BROKERS:
		return false;
	case ENDPOINT_CONTROLLERS:
		out->error_code = ERR_MISMATCHED_ENDPOINT_TYPE;
		out->error_message = STR("this is a broker's endpoint, there are no controllers behind it");
		return true;
	default:
		out->error_code = ERR_UNSUPPORTED_ENDPOINT_TYPE;
		out->error_message =
		    str_of(arena_printf(&call->arena, "there are no endpoints of type %d", endpoint_type));
		return true;
	}
}

enum next
describe_cluster_handle(struct call *call)
{
	const struct describe_cluster_request *in = call->in;
	struct describe_cluster_response *out = call->out;

	if (refuse_endpoint(call, in->endpoint_type, out))
		return NEXT_ANSWER;
	CALL_LIST(call, out->brokers, 1);
	struct describe_cluster_response_broker *self = out->brokers.at;
	self->broker_id = call_config(call)->node_id;
	self->rack = STR_NULL;
	call_advertised(call, &self->host, &self->port);

	out->endpoint_type = ENDPOINT_BROKERS;
	out->cluster_id = str_keep(&call->arena, store_cluster_id(call_store(call)));
	out->controller_id = self->broker_id;
	if (in->include_cluster_authorized_operations)
		out->cluster_authorized_operations = OPERATIONS_CLUSTER;
	return NEXT_ANSWER;
}
