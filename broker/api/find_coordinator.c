/*
 * FindCoordinator: every group is coordinated by this broker, whichever of its workers that is; clients see
 * one address.
 *
 * Transactions are not served yet. Of the errors that could say so, COORDINATOR_NOT_AVAILABLE would be
 * retriable: producers would ask again until their time-out. TRANSACTIONAL_ID_AUTHORIZATION_FAILED is fatal
 * at once in the Java client, librdkafka and KafkaJS alike, and comes with a message that tells the true
 * reason.
 */
#include "broker/api/handlers.h"
#include "protocol/messages.h"

/* What a coordinator is asked for; key_type on the wire. */
enum {
	KEY_GROUP,
	KEY_TRANSACTION,
	KEY_SHARE, /* v6, KIP-932 */
};

static enum err
coordinates(int8_t key_type, struct str *message)
{
	switch (key_type) {
	case KEY_GROUP:
		*message = STR_NULL;
		return ERR_NONE;
	case KEY_TRANSACTION:
		*message = STR("transactions are not supported by this broker yet");
		return ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	case KEY_SHARE:
		*message = STR("share groups are not supported by this broker");
		return ERR_INVALID_REQUEST;
	default:
		*message = STR("there are no coordinators of that key type");
		return ERR_INVALID_REQUEST;
	}
}

static void
locate(struct call *call, struct str key, int8_t key_type, struct find_coordinator_response_coordinator *out)
{
	out->key = key;
	out->node_id = -1;
	out->port = -1;
	out->error_code = coordinates(key_type, &out->error_message);
	if (out->error_code != ERR_NONE)
		return;
	out->node_id = call_config(call)->node_id;
	call_advertised(call, &out->host, &out->port);
}

enum next
find_coordinator_handle(struct call *call)
{
	const struct find_coordinator_request *in = call->in;
	struct find_coordinator_response *out = call->out;

	if (call->version < 4) { /* one key in, a flat answer out */
		struct find_coordinator_response_coordinator found = { 0 };
		locate(call, in->key, in->key_type, &found);
		out->error_code = found.error_code;
		out->error_message = found.error_message;
		out->node_id = found.node_id;
		out->host = found.host;
		out->port = found.port;
		return NEXT_ANSWER;
	}
	CALL_LIST(call, out->coordinators, in->coordinator_keys.n);
	for (int32_t i = 0; i < in->coordinator_keys.n; i++)
		locate(call, in->coordinator_keys.at[i], in->key_type, &out->coordinators.at[i]);
	return NEXT_ANSWER;
}
