#include "storage/run.h"

#include "storage/env.h"

#define RUN_KEY_BYTES 16 /* of a log key: all but the position */
#define HEADER_NEEDED 43 /* base offset, length, last offset delta, timestamps */

void
run_walk_begin(struct run_walk *w, struct scan *scan, struct arena *arena, struct log_slice *slice)
{
	CHECK(scan->key.n == KEY_LOG_BYTES);
	*w = (struct run_walk){ .scan = scan, .arena = arena, .slice = slice, .more = true };
	w->first = w->at_piece = slice->iov_n;
	w->last_offset = (int64_t)get_u64(scan->key.at + 8);
	memcpy(w->key, scan->key.at, KEY_LOG_BYTES);
}

static void
add_piece(struct run_walk *w, struct bytes row)
{
	struct log_slice *slice = w->slice;
	if (slice->iov_n == slice->iov_cap) {
		int32_t cap = slice->iov_cap > 0 ? slice->iov_cap * 2 : 64;
		struct iovec *bigger = arena_array(w->arena, (size_t)cap, sizeof(*bigger));
		if (slice->iov_n > 0)
			memcpy(bigger, slice->iov, (size_t)slice->iov_n * sizeof(*bigger));
		slice->iov = bigger;
		slice->iov_cap = cap;
	}
	slice->iov[slice->iov_n++] =
	    (struct iovec){ .iov_base = (void *)(uintptr_t)row.at, .iov_len = (size_t)row.n };
	slice->bytes += row.n;
	w->loaded += row.n;
}

static bool
is_of_run(const struct run_walk *w, struct bytes key)
{
	return key.n == KEY_LOG_BYTES && memcmp(key.at, w->key, RUN_KEY_BYTES) == 0;
}

void
run_walk_load(struct run_walk *w, int64_t bytes)
{
	while (!w->complete && w->loaded < bytes) {
		add_piece(w, w->scan->value);
		w->more = scan_next(w->scan);
		w->complete = !w->more || !is_of_run(w, w->scan->key);
	}
}

/* Move the walk's place to the piece that holds byte `pos`. */
static void
seek(struct run_walk *w, int32_t pos)
{
	CHECK(pos >= w->at_byte && pos < w->loaded);
	while (pos - w->at_byte >= (int32_t)w->slice->iov[w->at_piece].iov_len)
		w->at_byte += (int32_t)w->slice->iov[w->at_piece++].iov_len;
}

bool
run_walk_copy(struct run_walk *w, int32_t pos, void *to, int32_t n)
{
	run_walk_load(w, (int64_t)pos + n);
	if (pos >= w->loaded || n > w->loaded - pos)
		return false;
	seek(w, pos);
	uint8_t *at = to;
	int32_t skip = pos - w->at_byte;
	for (const struct iovec *piece = &w->slice->iov[w->at_piece]; n > 0; piece++, skip = 0) {
		int32_t here = (int32_t)piece->iov_len - skip;
		if (here > n)
			here = n;
		memcpy(at, (const uint8_t *)piece->iov_base + skip, (size_t)here);
		at += here;
		n -= here;
	}
	return true;
}

bool
run_walk_header(struct run_walk *w, int32_t pos, struct run_batch *out)
{
	uint8_t raw[HEADER_NEEDED];
	if (!run_walk_copy(w, pos, raw, sizeof(raw)))
		return false;
	int64_t bytes = (int64_t)(int32_t)get_u32(raw + 8) + 12;
	if (bytes < BATCH_HEADER_BYTES || bytes > INT32_MAX - pos)
		return false;
	out->base_offset = (int64_t)get_u64(raw);
	out->last_offset = out->base_offset + (int32_t)get_u32(raw + 23);
	out->max_timestamp = (int64_t)get_u64(raw + 35);
	out->bytes = (int32_t)bytes;
	return true;
}

void
run_walk_cut(struct run_walk *w, int32_t from, int32_t to)
{
	struct log_slice *slice = w->slice;
	CHECK(from >= 0 && from <= to && to <= w->loaded);
	int32_t kept = w->first, byte = 0;
	for (int32_t i = w->first; i < slice->iov_n && byte < to; i++) {
		struct iovec piece = slice->iov[i];
		int32_t n = (int32_t)piece.iov_len, skip = from > byte ? from - byte : 0;
		int32_t end = to - byte < n ? to - byte : n;
		byte += n;
		if (skip >= end)
			continue;
		slice->iov[kept].iov_base = (uint8_t *)piece.iov_base + skip;
		slice->iov[kept++].iov_len = (size_t)(end - skip);
	}
	slice->iov_n = kept;
	slice->bytes -= w->loaded - (to - from);
}
