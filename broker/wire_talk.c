#include "broker/wire_talk.h"

#include "common/bytes.h"

#define KEY_MAX     255 /* of what could be a request: no API has a larger key, */
#define VERSION_MAX 40  /* and none a larger version, by far */

void
wire_talk_init(struct wire_talk *t)
{
	*t = (struct wire_talk){ 0 };
}

void
wire_talk_free(struct wire_talk *t)
{
	wire_frames_free(&t->frames[WIRE_REQUEST]);
	wire_frames_free(&t->frames[WIRE_RESPONSE]);
}

void
wire_talk_put(struct wire_talk *t, enum wire_way way, const uint8_t *at, size_t n)
{
	wire_frames_put(&t->frames[way], at, n);
}

static struct wire_waiting *
waiting_at(struct wire_talk *t, uint32_t i)
{
	return &t->waiting[(t->first + i) % WIRE_WAITING_MAX];
}

/* The i oldest are not waited for any longer. */
static void
forget(struct wire_talk *t, uint32_t i)
{
	t->first = (t->first + i) % WIRE_WAITING_MAX;
	t->n -= i;
}

static void
remember(struct wire_talk *t, const struct wire_message *request)
{
	if (t->n == WIRE_WAITING_MAX)
		forget(t, 1);
	*waiting_at(t, t->n++) = (struct wire_waiting){ request->correlation_id, request->api_key,
							request->api_version, request->time_us };
}

static void
pair(struct wire_talk *t, struct wire_message *response)
{
	for (uint32_t i = 0; i < t->n; i++) {
		const struct wire_waiting *w = waiting_at(t, i);

		if (w->correlation_id != response->correlation_id)
			continue;
		response->is_known = true;
		response->api_key = w->api_key;
		response->api_version = w->api_version;
		if (w->sent_us >= 0 && response->time_us >= w->sent_us)
			response->took_us = response->time_us - w->sent_us;
		forget(t, i + 1);
		return;
	}
}

struct wire_piece
wire_talk_next(struct wire_talk *t, enum wire_way way, int64_t now_us, struct wire_message *out)
{
	struct wire_piece piece = wire_frames_next(&t->frames[way]);

	if (piece.kind != WIRE_FRAME && piece.kind != WIRE_HEAD)
		return piece;
	*out = (struct wire_message){ .way = way, .at = piece.at, .n = piece.n, .whole = piece.whole };
	out->time_us = now_us;
	out->took_us = -1;
	wire_message_read(out);
	if (way == WIRE_RESPONSE)
		pair(t, out);
	else if (out->is_known)
		remember(t, out);
	return piece;
}

void
wire_talk_lose(struct wire_talk *t, enum wire_way way)
{
	wire_frames_reset(&t->frames[way]);
}

static bool
could_be_request(const uint8_t *at, size_t n)
{
	struct request_header header;
	struct wire_fault fault;

	return request_header_decode(at, n, &header, &fault) >= 0 && header.api_key >= 0 &&
	       header.api_key <= KEY_MAX && header.api_version >= 0 && header.api_version <= VERSION_MAX;
}

static bool
is_waited_for(const struct wire_talk *t, int32_t correlation_id)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->waiting[(t->first + i) % WIRE_WAITING_MAX].correlation_id == correlation_id)
			return true;
	return false;
}

bool
wire_talk_could_begin(const struct wire_talk *t, enum wire_way way, const uint8_t *at, size_t n)
{
	if (n < WIRE_SIZE_BYTES + 4 || get_u32(at) < 4 || get_u32(at) > WIRE_SIZE_MAX)
		return false;
	if (way == WIRE_REQUEST)
		return could_be_request(at + WIRE_SIZE_BYTES, n - WIRE_SIZE_BYTES);
	return is_waited_for(t, (int32_t)get_u32(at + WIRE_SIZE_BYTES));
}
