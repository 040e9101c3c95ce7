/*
 * wire_frames: cuts a run of bytes into frames: an int32 that says how many bytes follow, and those bytes.
 *
 *	wire_frames_put(f, at, n);
 *	while ((piece = wire_frames_next(f)).kind != WIRE_NOTHING)
 *		...                                     piece.at lives until the next call for this f
 *
 * Every byte that was put comes out once, in order, as part of a piece. Memory is bounded: of a frame larger
 * than WIRE_FRAME_MAX the beginning comes out as soon as so much is there, and the rest as it comes in.
 */
#ifndef BROKER_WIRE_FRAMES_H
#define BROKER_WIRE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define WIRE_SIZE_BYTES 4
#define WIRE_FRAME_MAX  ((size_t)4 * 1024 * 1024)     /* bytes of one frame that are kept */
#define WIRE_SIZE_MAX   ((uint32_t)256 * 1024 * 1024) /* of a frame; TLS and HTTP look like more */

enum wire_piece_kind {
	WIRE_NOTHING, /* until more is put */
	WIRE_FRAME,   /* a whole frame, its size included */
	WIRE_HEAD,    /* the beginning of a frame that is too large to keep */
	WIRE_REST,    /* more of that frame */
	WIRE_LOST,    /* no frame: a size that is none stood here; nothing after it can be cut */
};

struct wire_piece {
	enum wire_piece_kind kind;
	const uint8_t *at;
	size_t n;
	size_t whole; /* WIRE_FRAME, WIRE_HEAD: bytes of the whole frame */
};

struct wire_frames {
	struct buf kept;
	size_t given;   /* bytes of `kept` that the last next() returned */
	size_t passing; /* bytes still to come of a frame whose head was given */
	bool lost;
};

#define WIRE_FRAMES_EMPTY ((struct wire_frames){ 0 })

void wire_frames_put(struct wire_frames *f, const uint8_t *at, size_t n);
struct wire_piece wire_frames_next(struct wire_frames *f);
/* Bytes of a frame that has begun and is not whole. */
size_t wire_frames_unfinished(const struct wire_frames *f);
/* Forget what is kept: the next byte begins a frame. */
void wire_frames_reset(struct wire_frames *f);
void wire_frames_free(struct wire_frames *f);

#endif
