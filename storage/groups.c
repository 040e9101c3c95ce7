/*
 * groups: by name and by number. Offsets bear the number, which is never used again: a group that is
 * deleted and made again under its old name has none of the old one's offsets, which store_clean() frees
 * in its own time.
 *
 * A group id may be 32,767 bytes long and a key 511. Of a long id the key has the beginning and a hash;
 * the group's number behind them keeps apart what these do not, and the id itself is in the group's row.
 */
#include "storage/env.h"
#include "storage/groups.h"
#include "storage/pieces.h"

#define ID_IN_KEY_MAX 400
#define LONG_BYTES    (1 + ID_IN_KEY_MAX + 8) /* of the key of a long id, before the number */
#define NAME_KEY_MAX  (LONG_BYTES + 4)

/* --- names ------------------------------------------------------------------------------------------ */

static size_t
id_bytes(struct str id)
{
	return id.n > 0 ? (size_t)id.n : 0;
}

/* FNV-1a */
static uint64_t
hash(struct str id)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < id_bytes(id); i++)
		h = (h ^ (uint8_t)id.at[i]) * 0x100000001b3u;
	return h;
}

static bool
is_long(struct str id)
{
	return id_bytes(id) > ID_IN_KEY_MAX;
}

/* The whole key of a short id, that of a long one up to the number. */
static size_t
name_key(uint8_t key[NAME_KEY_MAX], struct str id)
{
	size_t n = is_long(id) ? ID_IN_KEY_MAX : id_bytes(id);
	key[0] = is_long(id) ? 'l' : 's';
	if (n > 0)
		memcpy(key + 1, id.at, n);
	if (!is_long(id))
		return 1 + n;
	put_u64(key + 1 + n, hash(id));
	return LONG_BYTES;
}

static size_t
name_key_of(uint8_t key[NAME_KEY_MAX], struct str id, uint32_t number)
{
	size_t n = name_key(key, id);
	if (!is_long(id))
		return n;
	put_u32(key + n, number);
	return n + 4;
}

/* --- the row ---------------------------------------------------------------------------------------- */

static bool
decode(uint32_t number, struct bytes row, struct stored_group *out)
{
	if (row.n < 2 || row.n < 2 + get_u16(row.at) + 8)
		return false;
	int32_t n = get_u16(row.at), fixed = 2 + n + 8;
	*out = (struct stored_group){
		.number = number,
		.id = { .at = (const char *)row.at + 2, .n = n },
		.empty_since_ms = (int64_t)get_u64(row.at + 2 + n),
		.state = { .at = row.at + fixed, .n = row.n - fixed },
	};
	return true;
}

static enum err
damaged(struct store_txn *txn)
{
	return env_error(txn->store, MDB_CORRUPTED, "read a group's row");
}

static enum err
put_group(struct store_txn *txn, const struct stored_group *g)
{
	size_t id_n = id_bytes(g->id), state_n = (size_t)g->state.n, n = 2 + id_n + 8 + state_n;
	uint8_t key[KEY_GROUP_BYTES], *row = arena_alloc(&txn->arena, n);
	put_u16(row, (uint16_t)id_n);
	if (id_n > 0)
		memcpy(row + 2, g->id.at, id_n);
	put_u64(row + 2 + id_n, (uint64_t)g->empty_since_ms);
	if (state_n > 0)
		memcpy(row + 2 + id_n + 8, g->state.at, state_n);
	put_u32(key, g->number);
	return pieces_put(txn, TABLE_GROUP, key, sizeof(key), (struct bytes){ .at = row, .n = (int32_t)n });
}

enum err
groups_by_number(struct store_txn *txn, uint32_t number, struct arena *arena, struct stored_group *out)
{
	uint8_t key[KEY_GROUP_BYTES];
	struct bytes row;
	put_u32(key, number);
	enum err e = pieces_get(txn, TABLE_GROUP, key, sizeof(key), arena, &row);
	if (e != ERR_NONE)
		return e;
	if (row.n < 0)
		return ERR_GROUP_ID_NOT_FOUND;
	return decode(number, row, out) ? ERR_NONE : damaged(txn);
}

/* --- finding ---------------------------------------------------------------------------------------- */

static enum err
find_short(struct store_txn *txn, const uint8_t *key, size_t n, uint32_t *number)
{
	struct bytes row;
	enum err e = txn_get(txn, TABLE_GNAME, key, n, &row);
	if (e != ERR_NONE)
		return e;
	if (row.n != 4)
		return ERR_GROUP_ID_NOT_FOUND;
	*number = get_u32(row.at);
	return ERR_NONE;
}

/* Is this the group's id? Without a copy of its row, which may be large. */
static bool
has_id(struct store_txn *txn, uint32_t number, struct str id, enum err *e)
{
	uint8_t key[KEY_GROUP_BYTES + KEY_PIECE_BYTES] = { 0 };
	struct scan s;
	put_u32(key, number);
	scan_open(&s, txn, TABLE_GROUP);
	bool same = scan_from(&s, key, sizeof(key)) && s.key.n == sizeof(key) &&
		    memcmp(s.key.at, key, KEY_GROUP_BYTES) == 0 && s.value.n > 2 &&
		    get_u16(s.value.at) == id.n;
	for (int32_t at = 0, skip = 2; same && at < id.n; skip = 0) {
		int32_t n = s.value.n - skip < id.n - at ? s.value.n - skip : id.n - at;
		same = memcmp(s.value.at + skip, id.at + at, (size_t)n) == 0;
		at += n;
		if (same && at < id.n)
			same = scan_next(&s) && memcmp(s.key.at, key, KEY_GROUP_BYTES) == 0 && s.value.n > 0;
	}
	*e = scan_close(&s);
	return same && *e == ERR_NONE;
}

/* Of those with the same beginning and hash, the one whose id it is. */
static enum err
find_long(struct store_txn *txn, struct str id, const uint8_t *key, size_t n, uint32_t *number)
{
	struct scan s;
	bool found = false;
	enum err e = ERR_NONE;
	scan_open(&s, txn, TABLE_GNAME);
	bool row = scan_from(&s, key, n);
	while (row && !found && e == ERR_NONE && s.key.n == (int32_t)n + 4 && memcmp(s.key.at, key, n) == 0) {
		*number = get_u32(s.key.at + n);
		found = has_id(txn, *number, id, &e);
		row = scan_next(&s);
	}
	enum err scanned = scan_close(&s);
	if (e != ERR_NONE || scanned != ERR_NONE)
		return e != ERR_NONE ? e : scanned;
	return found ? ERR_NONE : ERR_GROUP_ID_NOT_FOUND;
}

enum err
groups_number(struct store_txn *txn, struct str id, uint32_t *number)
{
	uint8_t key[NAME_KEY_MAX];
	size_t n = name_key(key, id);
	return is_long(id) ? find_long(txn, id, key, n, number) : find_short(txn, key, n, number);
}

enum err
groups_find(struct store_txn *txn, struct str id, struct arena *arena, struct stored_group *out)
{
	uint32_t number;
	enum err e = groups_number(txn, id, &number);
	return e != ERR_NONE ? e : groups_by_number(txn, number, arena, out);
}

/* The first slice of the first group behind `number`. */
static bool
find_after(struct scan *s, uint32_t number)
{
	uint8_t key[KEY_GROUP_BYTES + KEY_PIECE_BYTES] = { 0 };
	put_u32(key, number + 1);
	return number < UINT32_MAX && scan_from(s, key, sizeof(key)) && s->key.n == sizeof(key);
}

/* What is damaged is told, and hides nothing but itself. */
bool
groups_after(struct store_txn *txn, uint32_t number, struct arena *arena, struct stored_group *out,
	     enum err *err)
{
	struct scan s;
	bool good = false;
	scan_open(&s, txn, TABLE_GROUP);
	for (bool row = find_after(&s, number); row && !good; row = !good && find_after(&s, number)) {
		number = get_u32(s.key.at);
		good = decode(number, pieces_read(&s, arena), out);
		if (!good && s.err == ERR_NONE)
			(void)damaged(txn);
	}
	*err = scan_close(&s);
	return *err == ERR_NONE && good;
}

/* All is in the first slice, unless the id is long. */
static bool
decode_head(struct scan *s, struct arena *arena, struct group_head *out)
{
	int32_t n = s->value.n, fixed = n >= 2 ? 2 + get_u16(s->value.at) + 8 : INT32_MAX;
	struct stored_group group;
	out->number = get_u32(s->key.at);
	if (fixed < n || (fixed == n && n < ROW_BYTES)) {
		out->empty_since_ms = (int64_t)get_u64(s->value.at + fixed - 8);
		out->has_state = fixed < n;
		return true;
	}
	if (!decode(out->number, pieces_read(s, arena), &group))
		return false;
	out->empty_since_ms = group.empty_since_ms;
	out->has_state = group.state.n > 0;
	return true;
}

bool
groups_head_after(struct store_txn *txn, uint32_t number, struct arena *arena, struct group_head *out,
		  enum err *err)
{
	struct scan s;
	bool good = false;
	scan_open(&s, txn, TABLE_GROUP);
	for (bool row = find_after(&s, number); row && !good; row = !good && find_after(&s, number)) {
		number = get_u32(s.key.at);
		good = decode_head(&s, arena, out);
		if (!good && s.err == ERR_NONE)
			(void)damaged(txn);
	}
	*err = scan_close(&s);
	return *err == ERR_NONE && good;
}

/* --- changing --------------------------------------------------------------------------------------- */

static enum err
next_number(struct store_txn *txn, uint32_t *number)
{
	struct bytes row;
	enum err e = txn_get(txn, TABLE_SYS, "next.group", 10, &row);
	if (e != ERR_NONE)
		return e;
	uint8_t value[4];
	*number = row.n == 4 ? get_u32(row.at) : 1;
	put_u32(value, *number + 1);
	return txn_put(txn, TABLE_SYS, "next.group", 10, value, sizeof(value));
}

/* A name, and the number that it leads to; not yet the group's row. */
static enum err
create(struct store_txn *txn, struct str id, uint32_t *number)
{
	uint8_t key[NAME_KEY_MAX], value[4];
	enum err e = next_number(txn, number);
	if (e != ERR_NONE)
		return e;
	put_u32(value, *number);
	return txn_put(txn, TABLE_GNAME, key, name_key_of(key, id, *number), value, sizeof(value));
}

enum err
groups_open(struct store_txn *txn, struct str id, uint32_t *number)
{
	enum err e = groups_number(txn, id, number);
	if (e != ERR_GROUP_ID_NOT_FOUND)
		return e;
	if (store_is_full(txn->store))
		return ERR_KAFKA_STORAGE_ERROR;
	e = create(txn, id, number);
	if (e != ERR_NONE)
		return e;
	const struct stored_group group = {
		.number = *number,
		.id = id,
		.empty_since_ms = txn_now_ms(txn),
	};
	return put_group(txn, &group);
}

enum err
groups_save(struct store_txn *txn, struct str id, struct bytes state, int64_t empty_since_ms)
{
	uint32_t number;
	enum err e = groups_number(txn, id, &number);
	if (e == ERR_GROUP_ID_NOT_FOUND)
		e = create(txn, id, &number);
	if (e != ERR_NONE)
		return e;
	const struct stored_group group = {
		.number = number,
		.id = id,
		.empty_since_ms = empty_since_ms,
		.state = state,
	};
	return put_group(txn, &group);
}

enum err
groups_forget(struct store_txn *txn, struct str id, uint32_t number)
{
	uint8_t name[NAME_KEY_MAX], key[KEY_GROUP_BYTES];
	enum err e = txn_del(txn, TABLE_GNAME, name, name_key_of(name, id, number));
	put_u32(key, number);
	return e != ERR_NONE ? e : pieces_del(txn, TABLE_GROUP, key, sizeof(key));
}

enum err
groups_delete(struct store_txn *txn, struct str id)
{
	uint8_t gone[KEY_GGONE_BYTES];
	uint32_t number;
	enum err e = groups_number(txn, id, &number);
	if (e == ERR_NONE)
		e = groups_forget(txn, id, number);
	if (e != ERR_NONE)
		return e;
	key_ggone(gone, number);
	return txn_put(txn, TABLE_SYS, gone, sizeof(gone), "", 0);
}
