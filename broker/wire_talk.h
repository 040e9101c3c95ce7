/*
 * wire_talk: one connection's conversation. Both directions' bytes are cut into frames, and each response
 * is given to the request with its correlation id: only that says which API and version it is of.
 *
 *	wire_talk_put(t, WIRE_RESPONSE, at, n);
 *	while ((piece = wire_talk_next(t, WIRE_RESPONSE, now_us, &message)).kind != WIRE_NOTHING)
 *		if (piece.kind == WIRE_FRAME || piece.kind == WIRE_HEAD)
 *			...                             message is filled in, and lives as long as the piece
 *
 * A broker answers in order and answers Produce with acks = 0 not at all; so with each answer the requests
 * before its own are forgotten. Memory is bounded: WIRE_WAITING_MAX requests, and two frames
 * (wire_frames.h).
 */
#ifndef BROKER_WIRE_TALK_H
#define BROKER_WIRE_TALK_H

#include "broker/wire_explain.h"
#include "broker/wire_frames.h"

#define WIRE_WAITING_MAX 256

struct wire_waiting {
	int32_t correlation_id;
	int16_t api_key, api_version;
	int64_t sent_us;
};

struct wire_talk {
	struct wire_frames frames[2]; /* by enum wire_way */
	struct wire_waiting waiting[WIRE_WAITING_MAX];
	uint32_t first, n; /* of waiting: a ring */
};

void wire_talk_init(struct wire_talk *t);
void wire_talk_free(struct wire_talk *t);
void wire_talk_put(struct wire_talk *t, enum wire_way way, const uint8_t *at, size_t n);
struct wire_piece wire_talk_next(struct wire_talk *t, enum wire_way way, int64_t now_us,
				 struct wire_message *out);

/*
 * For captures that begin amid a conversation or have lost packets: forget a frame that has begun in this
 * direction; and, do these bytes look like the beginning of one?
 */
void wire_talk_lose(struct wire_talk *t, enum wire_way way);
bool wire_talk_could_begin(const struct wire_talk *t, enum wire_way way, const uint8_t *at, size_t n);

#endif
