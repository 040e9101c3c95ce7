/*
 * buf: a growing run of bytes, written at the end, consumed at the front.
 *
 *	data                at                end               cap
 *	|----- consumed ----|----- content ---|----- room ------|
 *
 * buf_check() holds this picture. Growth doubles; an exhausted heap aborts (check.h).
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t at, end, cap;
};

#define BUF_EMPTY ((struct buf){ 0 })

void buf_free(struct buf *b);
void buf_reset(struct buf *b);                /* no content; memory kept */
void buf_reserve(struct buf *b, size_t room); /* at least `room` bytes can be written at buf_tail() */
void buf_append(struct buf *b, const void *at, size_t n);
void buf_grew(struct buf *b, size_t n);    /* n bytes were written at the tail */
void buf_consume(struct buf *b, size_t n); /* n bytes at the front are done with; resets when empty */
void buf_check(const struct buf *b);

static inline size_t
buf_len(const struct buf *b)
{
	return b->end - b->at;
}

static inline uint8_t *
buf_head(const struct buf *b)
{
	return b->data + b->at;
}

static inline uint8_t *
buf_tail(const struct buf *b)
{
	return b->data + b->end;
}

static inline size_t
buf_room(const struct buf *b)
{
	return b->cap - b->end;
}

#endif
