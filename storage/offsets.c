/* offsets: how far groups have read. A row per group, topic and partition, all by number. */
#include "storage/env.h"
#include "storage/offsets.h"
#include "storage/pieces.h"

#define SMALL_BYTES 512 /* a row of this size takes no room to speak of where there was one before */

/*
 * Of a full disk only the margin for freeing is left: it is not for new rows, nor for rows that grow. A row that
 * becomes longer than it was needs a last slice that was not there, or was shorter.
 */
static enum err
may_write(struct store_txn *txn, const uint8_t *key, size_t n)
{
	uint8_t last[KEY_OFFS_BYTES + KEY_PIECE_BYTES];
	size_t piece = (n - 1) / ROW_BYTES;
	struct bytes row;
	if (!store_is_full(txn->store))
		return ERR_NONE;
	memcpy(last, key, KEY_OFFS_BYTES);
	put_u16(last + KEY_OFFS_BYTES, (uint16_t)piece);
	enum err e = txn_get(txn, TABLE_OFFS, last, sizeof(last), &row);
	if (e != ERR_NONE)
		return e;
	bool fits = row.n >= 0 && (n <= SMALL_BYTES || (size_t)row.n >= n - piece * ROW_BYTES);
	return fits ? ERR_NONE : ERR_KAFKA_STORAGE_ERROR;
}

enum err
offsets_commit(struct store_txn *txn, uint32_t group, uint32_t topic, int32_t partition,
	       const struct stored_offset *offset)
{
	uint8_t key[KEY_OFFS_BYTES], row[OFFS_FIXED_BYTES + OFFSET_METADATA_BYTES_MAX];
	size_t n = offset->metadata.n > 0 ? (size_t)offset->metadata.n : 0;
	CHECK(n <= OFFSET_METADATA_BYTES_MAX);
	put_u64(row, (uint64_t)offset->offset);
	put_u32(row + 8, (uint32_t)offset->leader_epoch);
	put_u64(row + 12, (uint64_t)offset->committed_ms);
	put_u64(row + 20, (uint64_t)offset->expires_ms);
	if (n > 0)
		memcpy(row + OFFS_FIXED_BYTES, offset->metadata.at, n);
	key_offs(key, group, topic, (uint32_t)partition);
	enum err e = may_write(txn, key, OFFS_FIXED_BYTES + n);
	if (e != ERR_NONE)
		return e;
	return pieces_put(txn, TABLE_OFFS, key, sizeof(key),
			  (struct bytes){ .at = row, .n = (int32_t)(OFFS_FIXED_BYTES + n) });
}

bool
offsets_decode(struct bytes row, struct stored_offset *out)
{
	if (row.n < OFFS_FIXED_BYTES)
		return false;
	*out = (struct stored_offset){
		.offset = (int64_t)get_u64(row.at),
		.leader_epoch = (int32_t)get_u32(row.at + 8),
		.committed_ms = (int64_t)get_u64(row.at + 12),
		.expires_ms = (int64_t)get_u64(row.at + 20),
		.metadata = { .at = (const char *)row.at + OFFS_FIXED_BYTES, .n = row.n - OFFS_FIXED_BYTES },
	};
	return true;
}

static enum err
damaged(struct store_txn *txn)
{
	return env_error(txn->store, MDB_CORRUPTED, "read a committed offset");
}

enum err
offsets_fetch(struct store_txn *txn, uint32_t group, uint32_t topic, int32_t partition, struct arena *arena,
	      struct stored_offset *out)
{
	uint8_t key[KEY_OFFS_BYTES];
	struct bytes row;
	*out = (struct stored_offset){ .offset = -1, .leader_epoch = -1, .expires_ms = -1 };
	out->metadata = STR("");
	key_offs(key, group, topic, (uint32_t)partition);
	enum err e = pieces_get(txn, TABLE_OFFS, key, sizeof(key), arena, &row);
	if (e != ERR_NONE || row.n < 0)
		return e;
	return offsets_decode(row, out) ? ERR_NONE : damaged(txn);
}

enum err
offsets_delete(struct store_txn *txn, uint32_t group, uint32_t topic, int32_t partition)
{
	uint8_t key[KEY_OFFS_BYTES];
	key_offs(key, group, topic, (uint32_t)partition);
	return pieces_del(txn, TABLE_OFFS, key, sizeof(key));
}

bool
offsets_next(struct store_txn *txn, uint32_t group, uint32_t *topic, int32_t *partition, struct arena *arena,
	     struct stored_offset *out, enum err *err)
{
	uint8_t key[KEY_OFFS_BYTES + KEY_PIECE_BYTES] = { 0 };
	struct scan s;
	key_offs(key, group, *topic, (uint32_t)*partition);
	scan_open(&s, txn, TABLE_OFFS);
	bool row = scan_from(&s, key, sizeof(key)) && s.key.n == sizeof(key) && get_u32(s.key.at) == group;
	if (row) {
		*topic = get_u32(s.key.at + 4);
		*partition = (int32_t)get_u32(s.key.at + 8);
		if (!offsets_decode(pieces_read(&s, arena), out) && s.err == ERR_NONE)
			s.err = damaged(txn);
	}
	*err = scan_close(&s);
	return *err == ERR_NONE && row;
}
