#include "broker/explain.h"

#include <stdlib.h>
#include <string.h>

#include "broker/connection.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/diag.h"

static void
explain_fields(const struct call *call, const struct message *message, const uint8_t *at, size_t n)
{
	struct buf text = BUF_EMPTY;

	describe(message, call->version, at, n, false, &text);
	diag_block(DIAG_TRACE, message_name(message),
		   (struct str){ .at = (const char *)buf_head(&text), .n = (int32_t)buf_len(&text) });
	buf_free(&text);
}

void
explain_request(const struct call *call, size_t bytes)
{
	if (!diag_on(DIAG_DEBUG))
		return;
	diag_debug("request", D_C("api", call->api->kafka_name), D_INT("version", call->version),
		   D_INT("correlation_id", call->correlation_id), D_STR("client_id", call->client_id),
		   D_INT("connection", call->connection->id), D_C("client", call->connection->peer),
		   D_INT("bytes", bytes + 4)); /* as on the wire, size field included */
	if (diag_on(DIAG_TRACE))
		explain_fields(call, call->api->request, call->body, call->body_bytes);
}

/* The end of a frame as one run of bytes; the caller frees. */
static uint8_t *
frame_end(const struct frame *frame, size_t bytes)
{
	int n = frame_iov_count(frame);
	struct iovec *iov = calloc((size_t)n + 1, sizeof(*iov));
	uint8_t *all = malloc(frame_size(frame)), *at = all;

	CHECK(iov != NULL && all != NULL);
	frame_iov(frame, iov);
	for (int i = 0; i < n; i++) {
		memcpy(at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	free(iov);
	memmove(all, at - bytes, bytes);
	return all;
}

void
explain_answer(const struct call *call, const struct frame *frame, size_t bytes)
{
	if (!diag_on(DIAG_DEBUG))
		return;
	diag_debug("answer", D_C("api", call->api->kafka_name), D_INT("version", call->version),
		   D_INT("correlation_id", call->correlation_id), D_STR("client_id", call->client_id),
		   D_INT("connection", call->connection->id), D_INT("bytes", bytes),
		   D_INT("us", (clock_monotonic_ns() - call->received_ns) / 1000));
	if (!diag_on(DIAG_TRACE))
		return;
	uint8_t *all = frame_end(frame, bytes);
	size_t head = 4 + response_header_size(call->api, call->version);
	explain_fields(call, call->api->response, all + head, bytes - head);
	free(all);
}
