#include "storage/pieces.h"

static size_t
key_of(uint8_t full[PIECES_KEY_MAX + KEY_PIECE_BYTES], const void *key, size_t n, size_t piece)
{
	CHECK(n <= PIECES_KEY_MAX && piece <= UINT16_MAX);
	memcpy(full, key, n);
	put_u16(full + n, (uint16_t)piece);
	return n + KEY_PIECE_BYTES;
}

static bool
is_piece_of(const struct scan *s, const void *key, size_t n)
{
	return s->key.n == (int32_t)(n + KEY_PIECE_BYTES) && memcmp(s->key.at, key, n) == 0;
}

/* From the row that the scan stands on. */
static void
del_rest(struct scan *s, bool row, const void *key, size_t key_n)
{
	while (row && is_piece_of(s, key, key_n) && scan_delete(s))
		row = scan_next(s);
}

/* The row behind the last one written is mostly on the same page: to look there costs no search. */
enum err
pieces_put(struct store_txn *txn, enum table table, const void *key, size_t key_n, struct bytes value)
{
	uint8_t full[PIECES_KEY_MAX + KEY_PIECE_BYTES];
	size_t n = (size_t)value.n, piece = 0;
	bool put = true;
	struct scan s;
	scan_open(&s, txn, table);
	for (size_t at = 0; put && (at < n || piece == 0); at += ROW_BYTES, piece++) {
		size_t bytes = n - at < ROW_BYTES ? n - at : ROW_BYTES;
		put = scan_put(&s, full, key_of(full, key, key_n, piece), value.at + at, bytes);
	}
	del_rest(&s, put && scan_next(&s), key, key_n);
	return scan_close(&s);
}

/* How many bytes the slices from here on have together; the scan stands on the last. */
static size_t
measure(struct scan *s, const uint8_t *key, size_t key_n)
{
	size_t n = 0;
	for (bool row = true; row && is_piece_of(s, key, key_n); row = scan_next(s))
		n += (size_t)s->value.n;
	return n;
}

struct bytes
pieces_read(struct scan *s, struct arena *arena)
{
	uint8_t key[PIECES_KEY_MAX + KEY_PIECE_BYTES];
	size_t key_n = (size_t)s->key.n - KEY_PIECE_BYTES, bytes = 0;
	CHECK(key_n <= PIECES_KEY_MAX);
	memcpy(key, s->key.at, key_n + KEY_PIECE_BYTES);
	if (s->value.n < ROW_BYTES) { /* the only one */
		uint8_t *copy = arena_alloc(arena, (size_t)s->value.n);
		memcpy(copy, s->value.at, (size_t)s->value.n);
		return (struct bytes){ .at = copy, .n = s->value.n };
	}
	size_t n = measure(s, key, key_n);
	uint8_t *copy = arena_alloc(arena, n);
	bool row = scan_from(s, key, key_n + KEY_PIECE_BYTES);
	while (row && is_piece_of(s, key, key_n) && bytes + (size_t)s->value.n <= n) {
		memcpy(copy + bytes, s->value.at, (size_t)s->value.n);
		bytes += (size_t)s->value.n;
		row = bytes < n && scan_next(s);
	}
	return (struct bytes){ .at = copy, .n = (int32_t)bytes };
}

enum err
pieces_get(struct store_txn *txn, enum table table, const void *key, size_t key_n, struct arena *arena,
	   struct bytes *out)
{
	uint8_t full[PIECES_KEY_MAX + KEY_PIECE_BYTES];
	struct scan s;
	*out = (struct bytes){ .at = NULL, .n = -1 };
	scan_open(&s, txn, table);
	if (scan_from(&s, full, key_of(full, key, key_n, 0)) && is_piece_of(&s, key, key_n))
		*out = pieces_read(&s, arena);
	return scan_close(&s);
}

enum err
pieces_del(struct store_txn *txn, enum table table, const void *key, size_t key_n)
{
	uint8_t full[PIECES_KEY_MAX + KEY_PIECE_BYTES];
	struct scan s;
	scan_open(&s, txn, table);
	del_rest(&s, scan_from(&s, full, key_of(full, key, key_n, 0)), key, key_n);
	return scan_close(&s);
}
