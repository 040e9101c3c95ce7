#include "common/protocol/field.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

/*
 * frame.c: answers and requests as they go over the wire: a size (int32), a header, a body. Records that
 * were given as iovecs are not copied; the frame remembers where they belong (frame_splice), and
 * frame_iov() deals them in.
 */

void
frame_reset(struct frame *f)
{
	buf_reset(&f->bytes);
	f->splice_n = 0;
	f->spliced = 0;
}

void
frame_free(struct frame *f)
{
	buf_free(&f->bytes);
	free(f->splices);
	*f = FRAME_EMPTY;
}

size_t
frame_size(const struct frame *f)
{
	return buf_len(&f->bytes) + f->spliced;
}

void
frame_splice(struct frame *f, const struct iovec *iov, int32_t iov_n, size_t bytes)
{
	if (f->splice_n == f->splice_cap) {
		f->splice_cap = f->splice_cap > 0 ? 2 * f->splice_cap : 8;
		f->splices = realloc(f->splices, (size_t)f->splice_cap * sizeof(*f->splices));
		CHECK(f->splices != NULL);
	}
	f->splices[f->splice_n++] = (struct splice){ buf_len(&f->bytes), iov, iov_n };
	f->spliced += bytes;
}

/* Where the frame's own bytes end that come before splice i; after the last, where they end. */
static size_t
piece_end(const struct frame *f, int i)
{
	return i < f->splice_n ? f->splices[i].at : buf_len(&f->bytes);
}

int
frame_iov_count(const struct frame *f)
{
	size_t from = 0;
	int n = 0;

	for (int i = 0; i <= f->splice_n; i++) {
		n += piece_end(f, i) > from;
		from = piece_end(f, i);
		if (i < f->splice_n)
			n += f->splices[i].iov_n;
	}
	return n;
}

void
frame_iov(const struct frame *f, struct iovec *out)
{
	size_t from = 0;

	for (int i = 0; i <= f->splice_n; i++) {
		size_t end = piece_end(f, i);

		if (end > from)
			*out++ = (struct iovec){ buf_head(&f->bytes) + from, end - from };
		from = end;
		for (int32_t k = 0; i < f->splice_n && k < f->splices[i].iov_n; k++)
			*out++ = f->splices[i].iov[k];
	}
}

/* The size goes in front when it is known; it does not count itself. */
static void
begin(struct buf *bytes)
{
	buf_append(bytes, (uint8_t[4]){ 0 }, 4);
}

void
response_encode(const struct api *api, int16_t version, int32_t correlation_id, const void *in,
		struct frame *out)
{
	size_t at = buf_len(&out->bytes);
	size_t before = frame_size(out);
	uint8_t header[5] = { 0 };

	begin(&out->bytes);
	put_u32(header, (uint32_t)correlation_id);
	buf_append(&out->bytes, header, response_header_size(api, version));
	encode(api->response, version, in, out);
	put_u32(buf_head(&out->bytes) + at, (uint32_t)(frame_size(out) - before - 4));
}

void
request_encode(const struct api *api, const struct request_header *header, const void *in, struct buf *out)
{
	struct frame frame = FRAME_EMPTY;
	uint8_t size[4];

	request_header_encode(&frame.bytes, api, header);
	encode(api->request, header->api_version, in, &frame);
	put_u32(size, (uint32_t)frame_size(&frame));
	buf_append(out, size, sizeof(size));
	frame_flatten(&frame, out);
	frame_free(&frame);
}

void
frame_flatten(const struct frame *f, struct buf *out)
{
	size_t from = 0;

	buf_reserve(out, frame_size(f));
	for (int i = 0; i <= f->splice_n; i++) {
		size_t end = piece_end(f, i);

		if (end > from)
			buf_append(out, buf_head(&f->bytes) + from, end - from);
		from = end;
		for (int32_t k = 0; i < f->splice_n && k < f->splices[i].iov_n; k++)
			if (f->splices[i].iov[k].iov_len > 0)
				buf_append(out, f->splices[i].iov[k].iov_base, f->splices[i].iov[k].iov_len);
	}
}
