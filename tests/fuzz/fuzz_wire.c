#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/wire_address.h"
#include "broker/wire_hex.h"
#include "broker/wire_packet.h"
#include "broker/wire_stream.h"
#include "broker/wire_talk.h"

/*
 * Everything that `broker wire` does with bytes that others made: as hex, as packets of every kind of link, as TCP
 * segments, and as a conversation in two directions, cut into pieces by the input itself.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FILE *nowhere;

static void
as_hex(const uint8_t *at, size_t n)
{
	struct buf out = BUF_EMPTY;
	char why[200];

	(void)!wire_hex_parse((const char *)at, n, &out, why, sizeof(why));
	buf_free(&out);
}

static void
as_packet(const uint8_t *at, size_t n)
{
	static const int links[] = { 0, 1, 101, 108, 113, 276 };

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct wire_packet packet;

		if (wire_packet_parse(links[i], at, n, &packet) == WIRE_PACKET_TCP)
			CHECK(packet.at >= at && packet.n <= n && packet.at + packet.n <= at + n);
	}
}

/* Each piece: a byte for its number, one for its length. What comes out never exceeds what could have come in. */
static void
as_segments(const uint8_t *at, size_t n)
{
	struct wire_stream s = WIRE_STREAM_EMPTY;
	struct wire_stream_next next;
	size_t total = 0;

	while (n > 2) {
		size_t length = at[1] < n - 2 ? at[1] : n - 2;

		wire_stream_put(&s, at[0], at + 2, (uint32_t)length);
		for (next = wire_stream_next(&s, false); next.kind != WIRE_STREAM_WAITS;
		     next = wire_stream_next(&s, false))
			total += next.n;
		at += 2 + length;
		n -= 2 + length;
	}
	while (wire_stream_next(&s, true).kind != WIRE_STREAM_WAITS)
		;
	CHECK(total <= 512);
	wire_stream_free(&s);
}

static void
explain(const struct wire_message *m, struct wire_addresses *addresses, struct buf *out)
{
	static const struct wire_view whole = { .brief = false }, brief = { .brief = true };
	struct wire_view view = m->n % 2 == 0 ? whole : brief;
	char note[320];

	view.out = nowhere;
	wire_explain(&view, m);
	buf_reset(out);
	(void)wire_address_replace(m, addresses, out, note, sizeof(note));
}

/* Each piece: a byte of which the lowest bit is the direction and the others the length. */
static void
as_conversation(const uint8_t *at, size_t n)
{
	struct wire_addresses addresses = { { "localhost", 9092 }, { "127.0.0.1", 9093 }, false };
	struct buf out = BUF_EMPTY;
	struct wire_talk talk;

	wire_talk_init(&talk);
	while (n > 1) {
		enum wire_way way = at[0] % 2 == 0 ? WIRE_REQUEST : WIRE_RESPONSE;
		size_t length = at[0] / 2u < n - 1 ? at[0] / 2u : n - 1;
		struct wire_message m;
		struct wire_piece piece;

		(void)wire_talk_could_begin(&talk, way, at + 1, length);
		wire_talk_put(&talk, way, at + 1, length);
		for (piece = wire_talk_next(&talk, way, 1, &m); piece.kind != WIRE_NOTHING;
		     piece = wire_talk_next(&talk, way, 1, &m))
			if (piece.kind == WIRE_FRAME || piece.kind == WIRE_HEAD)
				explain(&m, &addresses, &out);
		at += 1 + length;
		n -= 1 + length;
	}
	wire_talk_free(&talk);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (nowhere == NULL)
		nowhere = fopen("/dev/null", "w");
	CHECK(nowhere != NULL);
	as_hex(data, size);
	as_packet(data, size);
	as_segments(data, size);
	as_conversation(data, size);
	return 0;
}
