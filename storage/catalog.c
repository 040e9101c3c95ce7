/*
 * catalog: topics. Three tables that always change together: `topic` by number, and `tname` and `tid`,
 * which lead to the number. A row of `tname` stands for all names that differ in '.' and '_' alone, of which
 * one topic at most has one; so a single look-up says whether a name is free. Rows of a topic's partitions bear its number, which is never used again: a
 * topic that is deleted and made again under its old name has nothing in common with the old one, whose
 * rows store_clean() frees in its own time.
 */
#include "storage/catalog.h"

#include "common/clock.h"
#include "common/faultpoint.h"
#include "storage/catalog_cache.h"
#include "storage/env.h"

#define NAME_MAX_BYTES 249
#define FIXED_BYTES    (16 + 4 + 8 + 2) /* of a row, before the name */

/* --- the row ---------------------------------------------------------------------------------------- */

/* Reads a row from front to back; stops at the first thing that does not fit. */
struct row_reader {
	const uint8_t *at;
	int32_t left;
	bool failed;
};

static const uint8_t *
take(struct row_reader *r, int32_t n)
{
	static const uint8_t zeros[16];
	if (r->failed || n > r->left) {
		r->failed = true;
		return zeros;
	}
	const uint8_t *at = r->at;
	r->at += n;
	r->left -= n;
	return at;
}

static struct str
take_str(struct row_reader *r, struct arena *arena)
{
	int32_t n = get_u16(take(r, 2));
	const uint8_t *at = take(r, n);
	return r->failed ? STR_NULL : str_keep(arena, (struct str){ .at = (const char *)at, .n = n });
}

static bool
decode(uint32_t number, struct bytes row, struct arena *arena, struct topic *out)
{
	struct row_reader r = { .at = row.at, .left = row.n };
	*out = (struct topic){ .number = number };
	memcpy(out->id.b, take(&r, 16), 16);
	out->partitions = (int32_t)get_u32(take(&r, 4));
	out->created_ms = (int64_t)get_u64(take(&r, 8));
	out->name = take_str(&r, arena);
	int32_t n = get_u16(take(&r, 2));
	if (r.failed)
		return false;
	struct topic_setting *settings = arena_array(arena, (size_t)n, sizeof(*settings));
	for (int32_t i = 0; i < n && !r.failed; i++) {
		settings[i].key = take_str(&r, arena);
		settings[i].value = take_str(&r, arena);
	}
	out->settings = settings;
	out->setting_n = n;
	return !r.failed && r.left == 0;
}

/* A null value is stored as an empty one. */
static size_t
str_bytes(struct str s)
{
	return s.n > 0 ? (size_t)s.n : 0;
}

static uint8_t *
put_str(uint8_t *at, struct str s)
{
	size_t n = str_bytes(s);
	put_u16(at, (uint16_t)n);
	if (n > 0)
		memcpy(at + 2, s.at, n);
	return at + 2 + n;
}

static size_t
row_bytes(const struct topic *topic)
{
	size_t n = FIXED_BYTES + str_bytes(topic->name) + 2;
	for (int32_t i = 0; i < topic->setting_n; i++)
		n += 4 + str_bytes(topic->settings[i].key) + str_bytes(topic->settings[i].value);
	return n;
}

static enum err
put_topic(struct store_txn *txn, const struct topic *topic)
{
	uint8_t row[ROW_BYTES], key[KEY_TOPIC_BYTES];
	if (row_bytes(topic) > sizeof(row))
		return ERR_INVALID_CONFIG;
	memcpy(row, topic->id.b, 16);
	put_u32(row + 16, (uint32_t)topic->partitions);
	put_u64(row + 20, (uint64_t)topic->created_ms);
	uint8_t *at = put_str(row + 28, topic->name);
	put_u16(at, (uint16_t)topic->setting_n);
	at += 2;
	for (int32_t i = 0; i < topic->setting_n; i++)
		at = put_str(put_str(at, topic->settings[i].key), topic->settings[i].value);
	put_u32(key, topic->number);
	catalog_cache_changes(txn);
	return txn_put(txn, TABLE_TOPIC, key, sizeof(key), row, (size_t)(at - row));
}

/* --- finding ---------------------------------------------------------------------------------------- */

/* row->n == -1: there is none. */
static enum err
row_of(struct store_txn *txn, uint32_t number, struct bytes *row)
{
	if (catalog_cache_row(txn, number, row))
		return ERR_NONE;
	uint8_t key[KEY_TOPIC_BYTES];
	put_u32(key, number);
	enum err e = txn_get(txn, TABLE_TOPIC, key, sizeof(key), row);
	if (e == ERR_NONE)
		catalog_cache_keep_row(txn, number, *row);
	return e;
}

enum err
catalog_check(struct store_txn *txn, uint32_t number)
{
	struct bytes row;
	enum err e = row_of(txn, number, &row);
	return e == ERR_NONE && row.n < 0 ? ERR_UNKNOWN_TOPIC_OR_PARTITION : e;
}

enum err
topic_by_number(struct store_txn *txn, uint32_t number, struct arena *arena, struct topic *out)
{
	struct bytes row;
	enum err e = row_of(txn, number, &row);
	if (e != ERR_NONE)
		return e;
	if (row.n < 0)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	return decode(number, row, arena, out) ? ERR_NONE
					       : env_error(txn->store, MDB_CORRUPTED, "read a topic's row");
}

/* The number that a row of `tname` or `tid` leads to. */
static enum err
find_number(struct store_txn *txn, enum table table, const void *key, size_t n, uint32_t *number, bool *found)
{
	struct bytes row;
	enum err e = txn_get(txn, table, key, n, &row);
	*found = e == ERR_NONE && row.n == 4;
	*number = *found ? get_u32(row.at) : 0;
	return e;
}

static enum err
find(struct store_txn *txn, enum table table, const void *key, size_t n, enum err absent, struct arena *arena,
     struct topic *out)
{
	uint32_t number;
	bool found;
	enum err e = find_number(txn, table, key, n, &number, &found);
	if (e != ERR_NONE || !found)
		return e != ERR_NONE ? e : absent;
	e = topic_by_number(txn, number, arena, out);
	if (e == ERR_NONE)
		catalog_cache_keep_number(txn, table, key, n, number);
	return e == ERR_UNKNOWN_TOPIC_OR_PARTITION ? absent : e;
}

/* Perhaps another topic: the caller compares. */
static bool
find_cached(struct store_txn *txn, enum table table, const void *key, size_t n, struct arena *arena,
	    struct topic *out)
{
	uint32_t number;
	return catalog_cache_number(txn, table, key, n, &number) &&
	       topic_by_number(txn, number, arena, out) == ERR_NONE;
}

/*
 * Key of `tname`. Kafka names metrics after topics, with '_' for '.'; so names that differ in nothing else
 * must not coexist, and share one key.
 */
struct name_key {
	char at[NAME_MAX_BYTES];
	size_t n;
};

/* False: no topic can have this name. */
static bool
name_key(struct name_key *key, struct str name)
{
	key->n = 0;
	if (name.n <= 0 || name.n > NAME_MAX_BYTES)
		return false;
	for (; key->n < (size_t)name.n; key->n++)
		key->at[key->n] = name.at[key->n] == '.' ? '_' : name.at[key->n];
	return true;
}

enum err
topic_by_name(struct store_txn *txn, struct str name, struct arena *arena, struct topic *out)
{
	struct name_key key;
	if (!name_key(&key, name))
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (find_cached(txn, TABLE_TNAME, key.at, key.n, arena, out) && str_eq(out->name, name))
		return ERR_NONE;
	enum err e = find(txn, TABLE_TNAME, key.at, key.n, ERR_UNKNOWN_TOPIC_OR_PARTITION, arena, out);
	if (e == ERR_NONE && !str_eq(out->name, name))
		e = ERR_UNKNOWN_TOPIC_OR_PARTITION;
	return e;
}

enum err
topic_by_id(struct store_txn *txn, struct uuid id, struct arena *arena, struct topic *out)
{
	if (find_cached(txn, TABLE_TID, id.b, sizeof(id.b), arena, out) && uuid_eq(out->id, id))
		return ERR_NONE;
	return find(txn, TABLE_TID, id.b, sizeof(id.b), ERR_UNKNOWN_TOPIC_ID, arena, out);
}

bool
topic_after(struct store_txn *txn, struct str name, struct arena *arena, struct topic *out, enum err *err)
{
	if (name.n > NAME_MAX_BYTES)
		name.n = NAME_MAX_BYTES; /* what is after the one is after the other */
	struct name_key key;
	bool first = !name_key(&key, name);
	struct scan s;
	scan_open(&s, txn, TABLE_TNAME);
	bool row = scan_from(&s, first ? "\0" : key.at, first ? 1 : key.n);
	if (row && !first && (size_t)s.key.n == key.n && memcmp(s.key.at, key.at, key.n) == 0)
		row = scan_next(&s);
	uint32_t number = row && s.value.n == 4 ? get_u32(s.value.at) : 0;
	*err = scan_close(&s);
	if (*err == ERR_NONE && row)
		*err = topic_by_number(txn, number, arena, out);
	return *err == ERR_NONE && row;
}

struct str
topic_setting(const struct topic *topic, const char *key)
{
	for (int32_t i = 0; i < topic->setting_n; i++)
		if (str_is(topic->settings[i].key, key))
			return topic->settings[i].value;
	return STR_NULL;
}

/* --- names ------------------------------------------------------------------------------------------ */

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
	       c == '_' || c == '-';
}

enum err
topic_name_check(struct str name)
{
	if (name.n <= 0 || name.n > NAME_MAX_BYTES || str_is(name, ".") || str_is(name, ".."))
		return ERR_INVALID_TOPIC_EXCEPTION;
	for (int32_t i = 0; i < name.n; i++)
		if (!is_name_char(name.at[i]))
			return ERR_INVALID_TOPIC_EXCEPTION;
	return ERR_NONE;
}

enum err
topic_name_free(struct store_txn *txn, struct str name)
{
	struct name_key key;
	uint32_t number;
	bool found;
	struct topic other;
	enum err e = topic_name_check(name);
	if (e == ERR_NONE && !name_key(&key, name))
		e = ERR_INVALID_TOPIC_EXCEPTION;
	if (e == ERR_NONE)
		e = find_number(txn, TABLE_TNAME, key.at, key.n, &number, &found);
	if (e != ERR_NONE || !found)
		return e;
	e = topic_by_number(txn, number, &txn->arena, &other);
	if (e != ERR_NONE)
		return e;
	return str_eq(other.name, name) ? ERR_TOPIC_ALREADY_EXISTS : ERR_INVALID_TOPIC_EXCEPTION;
}

/* --- changing --------------------------------------------------------------------------------------- */

static enum err
next_number(struct store_txn *txn, uint32_t *out)
{
	struct bytes row;
	enum err e = txn_get(txn, TABLE_SYS, "next.topic", 10, &row);
	if (e != ERR_NONE)
		return e;
	*out = row.n == 4 ? get_u32(row.at) : 1;
	CHECK(*out != UINT32_MAX);
	uint8_t value[4];
	put_u32(value, *out + 1);
	return txn_put(txn, TABLE_SYS, "next.topic", 10, value, sizeof(value));
}

static enum err
put_names(struct store_txn *txn, const struct topic *topic)
{
	uint8_t number[4];
	put_u32(number, topic->number);
	struct name_key key;
	bool fits = name_key(&key, topic->name);
	CHECK(fits);
	enum err e = txn_put(txn, TABLE_TNAME, key.at, key.n, number, sizeof(number));
	return e == ERR_NONE
		   ? txn_put(txn, TABLE_TID, topic->id.b, sizeof(topic->id.b), number, sizeof(number))
		   : e;
}

enum err
topic_create(struct store_txn *txn, struct str name, int32_t partitions, const struct topic_setting *settings,
	     int32_t setting_n, struct arena *arena, struct topic *out)
{
	if (partitions <= 0)
		return ERR_INVALID_PARTITIONS;
	enum err e = topic_name_free(txn, name);
	struct topic topic = {
		.id = uuid_random(), .name = name, .partitions = partitions, .created_ms = clock_wall_ms()
	};
	topic.settings = settings;
	topic.setting_n = setting_n;
	if (e == ERR_NONE && row_bytes(&topic) > ROW_BYTES)
		e = ERR_INVALID_CONFIG; /* before anything is written */
	if (e == ERR_NONE)
		e = next_number(txn, &topic.number);
	if (e == ERR_NONE)
		e = put_topic(txn, &topic);
	if (e == ERR_NONE)
		e = put_names(txn, &topic);
	FAULT_POINT("topic.created");
	return e == ERR_NONE ? topic_by_number(txn, topic.number, arena, out) : e;
}

enum err
topic_grow(struct store_txn *txn, const struct topic *topic, int32_t partitions)
{
	struct topic now; /* as this transaction sees it, not as the caller saw it some time ago */
	enum err e = topic_by_number(txn, topic->number, &txn->arena, &now);
	if (e != ERR_NONE)
		return e;
	if (partitions <= now.partitions)
		return ERR_INVALID_PARTITIONS;
	now.partitions = partitions;
	return put_topic(txn, &now);
}

enum err
topic_configure(struct store_txn *txn, const struct topic *topic, const struct topic_setting *settings,
		int32_t setting_n)
{
	struct topic now; /* as this transaction sees it, not as the caller saw it some time ago */
	enum err e = topic_by_number(txn, topic->number, &txn->arena, &now);
	if (e != ERR_NONE)
		return e;
	now.settings = settings;
	now.setting_n = setting_n;
	return put_topic(txn, &now);
}

enum err
topic_delete(struct store_txn *txn, const struct topic *topic)
{
	struct topic now; /* as this transaction sees it, not as the caller saw it some time ago */
	enum err e = topic_by_number(txn, topic->number, &txn->arena, &now);
	uint8_t key[KEY_TOPIC_BYTES], gone[KEY_GONE_BYTES];
	put_u32(key, topic->number);
	key_gone(gone, topic->number);
	struct name_key name;
	catalog_cache_changes(txn);
	if (e == ERR_NONE && name_key(&name, now.name))
		e = txn_del(txn, TABLE_TNAME, name.at, name.n);
	if (e == ERR_NONE)
		e = txn_del(txn, TABLE_TID, now.id.b, sizeof(now.id.b));
	if (e == ERR_NONE)
		e = txn_del(txn, TABLE_TOPIC, key, sizeof(key));
	FAULT_POINT("topic.deleted");
	return e == ERR_NONE ? txn_put(txn, TABLE_SYS, gone, sizeof(gone), "", 0) : e;
}
