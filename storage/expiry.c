#include "storage/expiry.h"

#include "storage/groups.h"
#include "storage/offsets.h"
#include "storage/pieces.h"

#define FORGET_GROUP_MS 60000

/* The group whose offsets are looked at, and the topic of the last of them. */
struct looker {
	struct store_txn *txn;
	const struct clean_rules *rules;
	struct stored_group group;
	uint32_t topic;
	bool topic_known, topic_is_there;
	enum err err;
};

static bool
topic_is_gone(struct looker *l, uint32_t number)
{
	struct topic topic;
	if (l->topic_known && l->topic == number)
		return !l->topic_is_there;
	enum err e = topic_by_number(l->txn, number, &l->txn->arena, &topic);
	if (e != ERR_NONE && e != ERR_UNKNOWN_TOPIC_OR_PARTITION)
		l->err = e;
	l->topic = number;
	l->topic_known = true;
	l->topic_is_there = e != ERR_UNKNOWN_TOPIC_OR_PARTITION;
	return !l->topic_is_there;
}

static bool
is_old(const struct looker *l, const struct stored_offset *offset)
{
	int64_t now = l->rules->now_ms, empty = l->group.empty_since_ms;
	if (empty < 0)
		return false;
	if (offset->expires_ms >= 0)
		return now >= offset->expires_ms;
	int64_t since = offset->committed_ms > empty ? offset->committed_ms : empty;
	return l->rules->offsets_retention_ms > 0 && now - since >= l->rules->offsets_retention_ms;
}

static bool
is_offset_of(const struct scan *s, uint32_t group)
{
	return s->key.n == KEY_OFFS_BYTES + KEY_PIECE_BYTES && get_u32(s->key.at) == group;
}

/* Further pieces go with the first, of which there is always one. */
static bool
may_go(struct looker *l, const struct scan *s)
{
	struct stored_offset offset;
	if (get_u16(s->key.at + KEY_OFFS_BYTES) != 0)
		return false;
	return topic_is_gone(l, get_u32(s->key.at + 4)) ||
	       (offsets_decode(s->value, &offset) && is_old(l, &offset));
}

static bool
has_offsets(struct looker *l)
{
	struct scan s;
	uint8_t key[KEY_OFFS_BYTES + KEY_PIECE_BYTES] = { 0 };
	key_offs(key, l->group.number, 0, 0);
	scan_open(&s, l->txn, TABLE_OFFS);
	bool row = scan_from(&s, key, sizeof(key)) && is_offset_of(&s, l->group.number);
	enum err e = scan_close(&s);
	if (e != ERR_NONE)
		l->err = e;
	return row || e != ERR_NONE;
}

static bool
group_may_go(struct looker *l)
{
	return l->group.empty_since_ms >= 0 && l->rules->offsets_retention_ms > 0 &&
	       l->rules->now_ms - l->group.empty_since_ms >= FORGET_GROUP_MS && !has_offsets(l);
}

/* The first offset of the group from `at` on that may go; its key to `at`. */
static bool
find_offset(struct looker *l, uint8_t at[KEY_OFFS_BYTES], int *look_rows)
{
	struct scan s;
	bool found = false;
	scan_open(&s, l->txn, TABLE_OFFS);
	bool row = scan_from(&s, at, KEY_OFFS_BYTES);
	while (row && !found && is_offset_of(&s, l->group.number) && --*look_rows > 0) {
		memcpy(at, s.key.at, KEY_OFFS_BYTES);
		found = may_go(l, &s);
		row = found || scan_next(&s);
	}
	enum err e = scan_close(&s);
	if (e != ERR_NONE)
		l->err = e;
	return found;
}

/* The group of the round's key, or the first behind it; false: there are no more. */
static bool
next_group(struct looker *l, uint8_t at[KEY_OFFS_BYTES])
{
	uint32_t number = get_u32(at);
	if (!groups_after(l->txn, number > 0 ? number - 1 : 0, &l->txn->arena, &l->group))
		return false;
	if (l->group.number != number)
		key_offs(at, l->group.number, 0, 0);
	return true;
}

enum err
expiry_find(struct store_txn *txn, struct clean_round *round, const struct clean_rules *rules, int look_rows,
	    bool *found)
{
	struct looker l = { .txn = txn, .rules = rules };
	*found = false;
	while (look_rows-- > 0 && l.err == ERR_NONE) {
		if (!next_group(&l, round->at)) {
			*round = (struct clean_round){ .phase = CLEAN_PARTITIONS };
			return ERR_NONE;
		}
		*found = find_offset(&l, round->at, &look_rows);
		if (*found || look_rows <= 0)
			break;
		*found = group_may_go(&l);
		if (*found)
			break;
		key_offs(round->at, l.group.number + 1, 0, 0);
	}
	return l.err;
}

static int
delete_offsets(struct looker *l, const uint8_t at[KEY_OFFS_BYTES], int rows)
{
	struct scan s;
	uint8_t gone[KEY_OFFS_BYTES] = { 0 };
	int deleted = 0;
	scan_open(&s, l->txn, TABLE_OFFS);
	bool row = scan_from(&s, at, KEY_OFFS_BYTES);
	while (row && is_offset_of(&s, l->group.number)) {
		bool rest = deleted > 0 && memcmp(s.key.at, gone, KEY_OFFS_BYTES) == 0;
		if (!rest && deleted >= rows)
			break;
		if (rest || may_go(l, &s)) {
			memcpy(gone, s.key.at, KEY_OFFS_BYTES);
			if (!scan_delete(&s))
				break;
			deleted++;
		}
		row = scan_next(&s);
	}
	enum err e = scan_close(&s);
	if (e != ERR_NONE)
		l->err = e;
	return deleted;
}

enum err
expiry_run(struct store_txn *txn, const struct clean_round *round, const struct clean_rules *rules, int rows,
	   bool *changed)
{
	struct looker l = { .txn = txn, .rules = rules };
	*changed = false;
	enum err e = groups_by_number(txn, get_u32(round->at), &txn->arena, &l.group);
	if (e != ERR_NONE)
		return e == ERR_GROUP_ID_NOT_FOUND ? ERR_NONE : e;
	*changed = delete_offsets(&l, round->at, rows) > 0;
	if (l.err == ERR_NONE && group_may_go(&l)) {
		*changed = true;
		return groups_delete(txn, l.group.id);
	}
	return l.err;
}
