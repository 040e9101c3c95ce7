#include "broker/wire_frames.h"

#include "common/bytes.h"

void
wire_frames_put(struct wire_frames *f, const uint8_t *at, size_t n)
{
	buf_append(&f->kept, at, n);
}

static struct wire_piece
give(struct wire_frames *f, enum wire_piece_kind kind, size_t n, size_t whole)
{
	f->given = n;
	return (struct wire_piece){ kind, buf_head(&f->kept), n, whole };
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

struct wire_piece
wire_frames_next(struct wire_frames *f)
{
	size_t n, whole;

	buf_consume(&f->kept, f->given);
	f->given = 0;
	n = buf_len(&f->kept);
	if (n > 0 && f->lost)
		return give(f, WIRE_LOST, n, 0);
	if (n > 0 && f->passing > 0) {
		n = least(n, f->passing);
		f->passing -= n;
		return give(f, WIRE_REST, n, 0);
	}
	if (n < WIRE_SIZE_BYTES)
		return (struct wire_piece){ WIRE_NOTHING, NULL, 0, 0 };
	if (get_u32(buf_head(&f->kept)) > WIRE_SIZE_MAX) {
		f->lost = true;
		return give(f, WIRE_LOST, n, 0);
	}
	whole = WIRE_SIZE_BYTES + get_u32(buf_head(&f->kept));
	if (n >= whole)
		return give(f, WIRE_FRAME, whole, whole);
	if (n < WIRE_FRAME_MAX)
		return (struct wire_piece){ WIRE_NOTHING, NULL, 0, 0 };
	f->passing = whole - n;
	return give(f, WIRE_HEAD, n, whole);
}

size_t
wire_frames_unfinished(const struct wire_frames *f)
{
	return buf_len(&f->kept) - f->given + (f->passing > 0 ? 1 : 0);
}

void
wire_frames_reset(struct wire_frames *f)
{
	buf_reset(&f->kept);
	f->given = f->passing = 0;
	f->lost = false;
}

void
wire_frames_free(struct wire_frames *f)
{
	buf_free(&f->kept);
	*f = WIRE_FRAMES_EMPTY;
}
