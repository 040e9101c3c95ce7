#include "broker/dispatch.h"

#include <string.h>

#include "broker/api/handlers.h"
#include "broker/api/scatter.h"
#include "broker/call.h"
#include "broker/connection.h"
#include "broker/coordinator.h"
#include "broker/explain.h"
#include "broker/worker.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/diag.h"
#include "protocol/messages.h"

#define SMALL_BYTES 2048

static bool
refuse(const struct connection *c, const struct request_header *h, const char *why)
{
	diag_warn_often("connection closed: request refused", D_INT("connection", c->id),
			D_C("client", c->peer), D_INT("api_key", h->api_key),
			D_INT("api_version", h->api_version), D_C("reason", why));
	return false;
}

static bool
refuse_fault(const struct connection *c, const struct request_header *h, const struct wire_fault *fault)
{
	diag_warn_often("connection closed: malformed request", D_INT("connection", c->id),
			D_C("client", c->peer), D_INT("api_key", h->api_key),
			D_INT("api_version", h->api_version), D_C("where", fault->where),
			D_C("reason", fault->what), D_INT("offset", fault->offset));
	return false;
}

static struct call *
call_begin(struct connection *c, const struct handler *handler, const struct request_header *h)
{
	struct call *call = call_new(c->worker);

	call->connection = c;
	call->handler = handler;
	call->api = api_find(h->api_key);
	call->version = h->api_version;
	call->correlation_id = h->correlation_id;
	call->client_id = h->client_id;
	call->client_host = c->internal ? str_keep(&call->arena, c->client_host) : c->client_host;
	call->received_ns = clock_monotonic_ns();
	call->chunk = c->chunk;
	chunk_hold(c->chunk);
	c->holding_n++;
	connection_take(c, call);
	return call;
}

/* A version of ApiVersions that we do not know is answered in the oldest shape, with what we do know
 * (KIP-511). */
static bool
answer_unknown_api_versions(struct connection *c, const struct handler *handler,
			    const struct request_header *h)
{
	struct call *call = call_begin(c, handler, h);
	struct api_versions_response *out;

	call->version = 0;
	call_prepare_answer(call);
	out = call->out;
	api_versions_fill(out, &call->arena);
	out->error_code = ERR_UNSUPPORTED_VERSION;
	call_finish(call);
	return true;
}

/* The call leaves the queue without an answer. */
static void
finish_silently(struct call *call)
{
	call->silent = true;
	call_finish(call);
}

/* What the handler decided. */
static bool
proceed(struct call *call, enum next next)
{
	switch (next) {
	case NEXT_WRITE:
		turn_add(call->worker, &call->job);
		return true;
	case NEXT_WAIT:
		return true;
	case NEXT_PROMISE:
		turn_park(call->worker, &call->job);
		return true;
	case NEXT_ANSWER:
		call_finish(call);
		return true;
	case NEXT_SILENT:
		finish_silently(call);
		return true;
	case NEXT_CLOSE:
		break;
	}
	finish_silently(call);
	return false;
}

/*
 * A small request is copied, so that it does not hold a whole chunk for as long as it waits: a thousand waiting
 * consumers must not cost a hundred megabytes.
 */
static const uint8_t *
own_if_small(struct call *call, const uint8_t *frame, size_t bytes)
{
	if (bytes > SMALL_BYTES)
		return frame;
	uint8_t *own = arena_alloc(&call->arena, bytes);
	memcpy(own, frame, bytes);
	if (call->client_id.at != NULL)
		call->client_id.at = (const char *)own + (call->client_id.at - (const char *)frame);
	call_drop_chunk(call);
	return own;
}

/* What follows the request is ignored, as Kafka does: some clients send more than they should. */
static bool
decode_request(struct call *call, struct wire_fault *fault)
{
	size_t leftover;

	call->in = arena_alloc(&call->arena, message_size(call->api->request));
	if (!decode_front(call->api->request, call->version, call->body, call->body_bytes, &call->arena,
			  call->in, fault, &leftover))
		return false;
	if (leftover > 0)
		diag_debug("bytes left over behind a request", D_C("api", call->api->kafka_name),
			   D_INT("version", call->version), D_INT("connection", call->connection->id),
			   D_INT("bytes", leftover));
	return true;
}

/* Known API and version, or the exception that ApiVersions is. False: *ok says whether the connection may
 * stay. */
static bool
is_served(struct connection *c, const struct handler *handler, struct request_header *h, const uint8_t *frame,
	  size_t bytes, bool *ok)
{
	if (handler == NULL) {
		*ok = refuse(c, h, "unknown or unsupported API key");
		return false;
	}
	if (h->api_version >= handler->min && h->api_version <= handler->max)
		return true;
	if (h->api_key != API_API_VERSIONS || bytes < 8) {
		*ok = refuse(c, h, "unsupported version of this API");
		return false;
	}
	h->correlation_id = (int32_t)get_u32(frame + 4);
	*ok = answer_unknown_api_versions(c, handler, h);
	return false;
}

bool
dispatch(struct connection *c, const uint8_t *frame, size_t bytes)
{
	struct request_header h = { .api_key = -1, .api_version = -1 };
	struct wire_fault fault;
	bool ok;
	int head = request_header_decode(frame, bytes, &h, &fault);
	const struct handler *handler = handler_find(h.api_key);

	if (bytes >= 4 && !is_served(c, handler, &h, frame, bytes, &ok))
		return ok;
	if (head < 0 || handler == NULL)
		return refuse_fault(c, &h, &fault);

	struct call *call = call_begin(c, handler, &h);
	frame = own_if_small(call, frame, bytes);
	call->body = frame + head;
	call->body_bytes = bytes - (size_t)head;
	explain_request(call, bytes);
	if (!decode_request(call, &fault)) {
		finish_silently(call);
		fault.offset += (size_t)head; /* counted from the header on, as `broker wire` does */
		return refuse_fault(c, &h, &fault);
	}
	call_prepare_answer(call);
	if (!proceed(call, handler->handle(call)))
		return refuse(c, &h, "the request cannot be answered");
	return true;
}

/* --- the table of what is served --- */

#define WRITES(name) .handle = name##_handle, .write = name##_write, .failed = name##_failed
#define READS(name)  .handle = name##_handle
#define WAITS(name)  .handle = name##_handle, .failed = name##_failed, .forget = group_call_forget
#define ALONE        .alone = true

const struct handler handlers[] = {
	{ API_PRODUCE, 3, 13, 0, WRITES(produce),
	  .keep = produce_keep }, /* 0: librdkafka before 2.11 compresses only then (KAFKA-18659) */
	{ API_FETCH, 4, 17, 4, READS(fetch), .answer = fetch_answer, .forget = fetch_forget },
	{ API_LIST_OFFSETS, 1, 10, 1, READS(list_offsets), .answer = list_offsets_answer },
	{ API_METADATA, 0, 13, 0, WRITES(metadata) },
	{ API_OFFSET_COMMIT, 2, 10, 2, WRITES(offset_commit), .forget = group_call_forget },
	{ API_OFFSET_FETCH, 1, 10, 1, READS(offset_fetch), ALONE },
	{ API_FIND_COORDINATOR, 0, 6, 0, READS(find_coordinator) },
	{ API_JOIN_GROUP, 0, 9, 0, WAITS(join_group), ALONE, .hangup = group_call_hangup },
	{ API_HEARTBEAT, 0, 4, 0, WAITS(heartbeat) },
	{ API_LEAVE_GROUP, 0, 5, 0, WAITS(leave_group) },
	{ API_SYNC_GROUP, 0, 5, 0, WAITS(sync_group), ALONE, .hangup = group_call_hangup },
	{ API_DESCRIBE_GROUPS, 0, 6, 0, READS(describe_groups), ALONE, .forget = scatter_forget },
	{ API_LIST_GROUPS, 0, 5, 0, READS(list_groups), ALONE, .forget = scatter_forget },
	{ API_API_VERSIONS, 0, 4, 0, READS(api_versions) },
	{ API_CREATE_TOPICS, 0, 7, 0, WRITES(create_topics) },
	{ API_DELETE_TOPICS, 0, 6, 0, WRITES(delete_topics) },
	{ API_INIT_PRODUCER_ID, 0, 5, 0, WRITES(init_producer_id) },
	{ API_OFFSET_FOR_LEADER_EPOCH, 2, 4, 2, READS(offset_for_leader_epoch) },
	{ API_DESCRIBE_CONFIGS, 0, 4, 0, READS(describe_configs) },
	{ API_CREATE_PARTITIONS, 0, 3, 0, WRITES(create_partitions) },
	{ API_DELETE_GROUPS, 0, 2, 0, WRITES(delete_groups), .forget = scatter_forget },
	{ API_OFFSET_DELETE, 0, 0, 0, WRITES(offset_delete), .forget = group_call_forget },
	{ API_DESCRIBE_CLUSTER, 0, 2, 0, READS(describe_cluster) },
	{ API_DESCRIBE_TOPIC_PARTITIONS, 0, 0, 0, READS(describe_topic_partitions) },
};
const int handler_count = sizeof(handlers) / sizeof(handlers[0]);

const struct handler *
handler_find(int16_t key)
{
	for (int i = 0; i < handler_count; i++)
		if (handlers[i].key == key)
			return &handlers[i];
	return NULL;
}
