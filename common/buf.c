#include "common/buf.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#define FIRST_CAP 256

void
buf_free(struct buf *b)
{
	free(b->data);
	*b = BUF_EMPTY;
}

void
buf_reset(struct buf *b)
{
	b->at = b->end = 0;
}

/* Content to the front, so that the consumed part becomes room. */
static void
slide(struct buf *b)
{
	memmove(b->data, buf_head(b), buf_len(b));
	b->end -= b->at;
	b->at = 0;
}

static void
grow(struct buf *b, size_t need)
{
	size_t cap = b->cap > 0 ? b->cap : FIRST_CAP;
	while (cap < need)
		CHECK(!__builtin_mul_overflow(cap, (size_t)2, &cap));
	b->data = realloc(b->data, cap);
	CHECK(b->data != NULL);
	b->cap = cap;
}

void
buf_reserve(struct buf *b, size_t room)
{
	if (b->data == NULL) {
		grow(b, room);
		return;
	}
	if (buf_room(b) >= room)
		return;
	/* Sliding costs a copy of the content; where that is less than what was consumed it has been earned.
	 */
	if (b->at > 0 && buf_len(b) <= b->at && b->cap - buf_len(b) >= room) {
		slide(b);
		return;
	}
	size_t need;
	CHECK(!__builtin_add_overflow(b->end, room, &need));
	grow(b, need);
}

void
buf_append(struct buf *b, const void *at, size_t n)
{
	if (n == 0)
		return;
	buf_reserve(b, n);
	memcpy(buf_tail(b), at, n);
	b->end += n;
}

void
buf_grew(struct buf *b, size_t n)
{
	CHECK(n <= buf_room(b));
	b->end += n;
}

void
buf_consume(struct buf *b, size_t n)
{
	CHECK(n <= buf_len(b));
	b->at += n;
	if (b->at == b->end)
		buf_reset(b);
}

void
buf_check(const struct buf *b)
{
	CHECK(b->at <= b->end);
	CHECK(b->end <= b->cap);
	CHECK(b->data != NULL || b->cap == 0);
	CHECK(b->at == 0 || b->at < b->end); /* an empty buf begins at its front */
}
