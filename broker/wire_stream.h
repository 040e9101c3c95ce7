/*
 * wire_stream: one direction of a TCP connection, put together again from segments as a capture has them:
 * late, twice, overlapping, or not at all.
 *
 *	wire_stream_put(s, seq, at, n);
 *	while ((next = wire_stream_next(s, false)).kind != WIRE_STREAM_WAITS)
 *		...
 *
 *	          next                          next: the sequence number of the byte that is due
 *	|- given -|      |- held -|   |- held -|
 *	           missing
 *
 * A segment that is not due yet is held. When more than WIRE_HELD_MAX are, or when the capture ends
 * (`hopeless`), what is missing before the first is given up as a hole.
 */
#ifndef BROKER_WIRE_STREAM_H
#define BROKER_WIRE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HELD_MAX 64

struct wire_segment;

struct wire_stream {
	bool began;    /* `next` is known */
	uint32_t next; /* as TCP counts: modulo 2^32 */
	struct wire_segment *held, *given;
	int held_n;
};

enum wire_stream_kind {
	WIRE_STREAM_WAITS, /* nothing is due */
	WIRE_STREAM_BYTES, /* the n bytes at `at`, which live until the next call */
	WIRE_STREAM_HOLE,  /* n bytes are missing here */
};

struct wire_stream_next {
	enum wire_stream_kind kind;
	const uint8_t *at;
	uint32_t n;
};

#define WIRE_STREAM_EMPTY ((struct wire_stream){ 0 })

/* The first byte to come has this number: known from the connection's SYN, or else from the first segment. */
void wire_stream_begin(struct wire_stream *s, uint32_t seq);
void wire_stream_put(struct wire_stream *s, uint32_t seq, const uint8_t *at, uint32_t n);
struct wire_stream_next wire_stream_next(struct wire_stream *s, bool hopeless);
void wire_stream_free(struct wire_stream *s);

#endif
