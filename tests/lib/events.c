#include "tests/lib/events.h"

#include <string.h>

#include "common/bytes.h"
#include "tests/lib/traffic.h"

#define CLIENTS 4

static enum event_kind
event_kind(uint8_t byte)
{
	int kind = byte % 16;
	return kind < EVENT_BYTES ? EVENT_REQUEST : kind < EVENT_END ? EVENT_BYTES : (enum event_kind)kind;
}

size_t
events_read(struct events *out, const uint8_t *from, size_t n)
{
	const uint8_t *at = from;
	out->n = 0;
	while (n >= EVENT_HEAD && out->n < EVENTS_MOST) {
		struct event e = { .what = event_kind(at[0]), .whom = at[1], .n = get_u16(at + 2) };
		at += EVENT_HEAD;
		n -= EVENT_HEAD;
		if (e.n > n)
			e.n = (uint16_t)n;
		e.at = at;
		at += e.n;
		n -= e.n;
		out->at[out->n++] = e;
		if (e.what == EVENT_END)
			break;
	}
	return n < EVENT_HEAD ? (size_t)(at - from) + n : (size_t)(at - from);
}

size_t
events_write(const struct events *events, size_t most, struct buf *out)
{
	for (int i = 0; i < events->n; i++) {
		const struct event *e = &events->at[i];
		uint8_t head[EVENT_HEAD] = { (uint8_t)e->what, e->whom };
		if (buf_len(out) + EVENT_HEAD + e->n > most)
			break;
		put_u16(head + 2, e->n);
		buf_append(out, head, sizeof(head));
		buf_append(out, e->at, e->n);
	}
	return buf_len(out);
}

static void
keep(struct event *e, struct arena *arena, const uint8_t *at, size_t n)
{
	e->n = n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;
	uint8_t *copy = arena_alloc(arena, e->n);
	if (e->n > 0)
		memcpy(copy, at, e->n);
	e->at = copy;
}

static void
insert(struct events *events, int at, struct event e)
{
	if (events->n == EVENTS_MOST)
		return;
	memmove(&events->at[at + 1], &events->at[at], (size_t)(events->n++ - at) * sizeof(e));
	events->at[at] = e;
}

static void
take_out(struct events *events, int at)
{
	memmove(&events->at[at], &events->at[at + 1], (size_t)(--events->n - at) * sizeof(events->at[0]));
}

static struct event
new_request(struct sample *s)
{
	struct buf frame = BUF_EMPTY;
	traffic_request(s, &frame);
	struct event e = { .what = EVENT_REQUEST, .whom = (uint8_t)sample_below(s, CLIENTS) };
	keep(&e, s->arena, buf_head(&frame), buf_len(&frame));
	buf_free(&frame);
	return e;
}

static struct event
new_event(struct sample *s)
{
	static const enum event_kind others[] = { EVENT_TURN, EVENT_TURN, EVENT_HANGUP, EVENT_VANISH,
						  EVENT_CLEAN };
	if (sample_below(s, 4) != 0)
		return new_request(s);
	return (struct event){ .what = others[sample_below(s, 5)], .whom = (uint8_t)sample_random(s) };
}

static void
change(struct sample *s, struct event *e, size_t (*bytes)(uint8_t *at, size_t n, size_t most))
{
	struct buf frame = BUF_EMPTY;
	uint64_t how = sample_below(s, 8);

	if (how == 0) {
		e->whom = (uint8_t)sample_random(s);
	} else if (how < 6) {
		if (e->what == EVENT_REQUEST && traffic_change(s, e->at, e->n, &frame))
			keep(e, s->arena, buf_head(&frame), buf_len(&frame));
	} else if (e->n > 0) {
		buf_append(&frame, e->at, e->n);
		buf_reserve(&frame, 64);
		size_t n = bytes(buf_head(&frame), e->n, e->n + 64u);
		keep(e, s->arena, buf_head(&frame), n);
	}
	buf_free(&frame);
}

size_t
events_mutate(struct sample *s, uint8_t *data, size_t n, size_t most,
	      size_t (*bytes)(uint8_t *at, size_t n, size_t most))
{
	struct arena arena = ARENA_EMPTY, *before = s->arena;
	struct events events;

	s->arena = &arena; /* cppcheck-suppress autoVariables; for as long as this takes */
	(void)events_read(&events, data, n);
	for (uint64_t changes = 1 + sample_below(s, 3); changes > 0; changes--) {
		int at = (int)sample_below(s, (uint64_t)events.n + 1);
		uint64_t how = events.n == 0 ? 0 : sample_below(s, 5);
		if (how < 2)
			insert(&events, at, new_event(s));
		else if (how == 2)
			insert(&events, at, events.at[sample_below(s, (uint64_t)events.n)]);
		else if (how == 3)
			take_out(&events, at % events.n);
		else
			change(s, &events.at[at % events.n], bytes);
	}
	struct buf out = BUF_EMPTY;
	n = events_write(&events, most, &out);
	if (n > 0)
		memcpy(data, buf_head(&out), n);
	buf_free(&out);
	arena_free(&arena);
	s->arena = before;
	return n;
}
