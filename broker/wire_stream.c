#include "broker/wire_stream.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

struct wire_segment {
	struct wire_segment *later;
	uint32_t seq, n;
	uint8_t bytes[];
};

/* How far a stands behind b; negative: before it. Numbers wrap, but never lie half the circle apart. */
static int32_t
distance(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

void
wire_stream_begin(struct wire_stream *s, uint32_t seq)
{
	s->began = true;
	s->next = seq;
}

void
wire_stream_put(struct wire_stream *s, uint32_t seq, const uint8_t *at, uint32_t n)
{
	struct wire_segment **where = &s->held, *segment;

	if (!s->began)
		wire_stream_begin(s, seq);
	if (n == 0 || distance(seq + n, s->next) <= 0)
		return; /* sent again, and seen before */
	segment = malloc(sizeof(*segment) + n);
	CHECK(segment != NULL);
	segment->seq = seq;
	segment->n = n;
	memcpy(segment->bytes, at, n);
	while (*where != NULL && distance((*where)->seq, seq) <= 0)
		where = &(*where)->later;
	segment->later = *where;
	*where = segment;
	s->held_n++;
}

static void
take_first(struct wire_stream *s)
{
	free(s->given);
	s->given = s->held;
	s->held = s->held->later;
	s->held_n--;
}

struct wire_stream_next
wire_stream_next(struct wire_stream *s, bool hopeless)
{
	while (s->held != NULL && distance(s->held->seq, s->next) <= 0) {
		uint32_t known = s->next - s->held->seq;

		take_first(s);
		if (known >= s->given->n)
			continue; /* all of it overlaps what was given */
		s->next = s->given->seq + s->given->n;
		return (struct wire_stream_next){ WIRE_STREAM_BYTES, s->given->bytes + known,
						  s->given->n - known };
	}
	if (s->held != NULL && (hopeless || s->held_n > WIRE_HELD_MAX)) {
		uint32_t missing = s->held->seq - s->next;

		s->next = s->held->seq;
		return (struct wire_stream_next){ WIRE_STREAM_HOLE, NULL, missing };
	}
	return (struct wire_stream_next){ WIRE_STREAM_WAITS, NULL, 0 };
}

void
wire_stream_free(struct wire_stream *s)
{
	while (s->held != NULL)
		take_first(s);
	free(s->given);
	*s = WIRE_STREAM_EMPTY;
}
