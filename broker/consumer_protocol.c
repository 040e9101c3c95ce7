#include "broker/consumer_protocol.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"

/* NULL, and failed: they are not there. */
static const uint8_t *
take(struct consumer_reader *r, int32_t n)
{
	if (r->failed || n < 0 || n > r->end - r->at) {
		r->failed = true;
		return NULL;
	}
	r->at += n;
	return r->at - n;
}

/* A number of things; there is no such list as null. */
static int32_t
take_n(struct consumer_reader *r)
{
	const uint8_t *at = take(r, 4);
	int32_t n = at != NULL ? (int32_t)get_u32(at) : 0;
	if (n < 0)
		r->failed = true;
	return n < 0 ? 0 : n;
}

static struct consumer_reader
begin(struct bytes b, bool is_assignment)
{
	struct consumer_reader r = { .at = b.at,
				     .end = b.n > 0 ? b.at + b.n : b.at,
				     .is_assignment = is_assignment };
	(void)take(&r, 2);
	r.topics = take_n(&r);
	return r;
}

struct consumer_reader
consumer_subscription(struct bytes metadata)
{
	return begin(metadata, false);
}

struct consumer_reader
consumer_assignment(struct bytes assignment)
{
	return begin(assignment, true);
}

bool
consumer_topic(struct consumer_reader *r, struct str *topic)
{
	for (int32_t passed; consumer_partition(r, &passed);)
		;
	if (r->failed || r->topics == 0)
		return false;
	r->topics--;
	const uint8_t *length = take(r, 2);
	int32_t n = length != NULL ? (int16_t)get_u16(length) : 0;
	const uint8_t *name = take(r, n);
	if (r->is_assignment)
		r->partitions = take_n(r);
	*topic = (struct str){ .at = (const char *)name, .n = n };
	return !r->failed;
}

bool
consumer_partition(struct consumer_reader *r, int32_t *partition)
{
	if (r->failed || r->partitions == 0)
		return false;
	r->partitions--;
	const uint8_t *at = take(r, 4);
	if (at != NULL)
		*partition = (int32_t)get_u32(at);
	return at != NULL;
}

bool
consumer_failed(const struct consumer_reader *r)
{
	return r->failed;
}

/* --- for people ------------------------------------------------------------------------------------- */

static void
append(struct buf *out, const char *before, struct str s)
{
	if (buf_len(out) > 0)
		buf_append(out, before, strlen(before));
	buf_append(out, s.at, (size_t)s.n);
}

static struct str
keep(struct buf *text, const struct consumer_reader *r, struct arena *arena)
{
	struct str s = { .at = (const char *)buf_head(text), .n = (int32_t)buf_len(text) };
	s = r->failed ? STR_NULL : s.n > 0 ? str_keep(arena, s) : STR("");
	buf_free(text);
	return s;
}

struct str
consumer_subscription_text(struct bytes metadata, struct arena *arena)
{
	struct consumer_reader r = consumer_subscription(metadata);
	struct buf text = BUF_EMPTY;
	struct str topic;

	while (consumer_topic(&r, &topic))
		append(&text, ", ", topic);
	return keep(&text, &r, arena);
}

static void
append_run(struct buf *out, bool is_first, int32_t from, int32_t to)
{
	char text[40];
	int n = from == to
		    ? snprintf(text, sizeof(text), "%s%" PRId32, is_first ? " " : ",", from)
		    : snprintf(text, sizeof(text), "%s%" PRId32 "-%" PRId32, is_first ? " " : ",", from, to);
	buf_append(out, text, (size_t)n);
}

/* Neighbours that follow each other are joined. */
static void
append_partitions(struct buf *out, struct consumer_reader *r)
{
	int32_t from = 0, to = 0, next;
	bool is_first = true, is_open = false;

	while (consumer_partition(r, &next)) {
		if (is_open && to < INT32_MAX && next == to + 1) {
			to = next;
			continue;
		}
		if (is_open) {
			append_run(out, is_first, from, to);
			is_first = false;
		}
		from = to = next;
		is_open = true;
	}
	if (is_open)
		append_run(out, is_first, from, to);
}

struct str
consumer_assignment_text(struct bytes assignment, struct arena *arena)
{
	struct consumer_reader r = consumer_assignment(assignment);
	struct buf text = BUF_EMPTY;
	struct str topic;

	while (consumer_topic(&r, &topic)) {
		append(&text, "; ", topic);
		append_partitions(&text, &r);
	}
	return keep(&text, &r, arena);
}
