#include "storage/expiry.h"

#include "storage/groups.h"
#include "storage/offsets.h"
#include "storage/pieces.h"

#define FORGET_GROUP_MS 60000

/* The group whose offsets are looked at, and the topic of the last of them: rows are sorted by topic. */
struct looker {
	struct store_txn *txn;
	const struct clean_rules *rules;
	struct group_head group;
	struct {
		bool tried;
		void *opened; /* by rules->readers; NULL: keeps everything */
		struct stored_group group;
		struct arena arena;
	} reader;
	struct {
		bool known, is_there;
		bool asked, is_read; /* by the group */
		uint32_t number;
		struct str name;
	} topic;
	enum err err;
};

/* --- what the group reads --------------------------------------------------------------------------- */

static void
end_group(struct looker *l)
{
	if (l->reader.opened != NULL)
		l->rules->readers->close(l->reader.opened);
	l->reader.opened = NULL;
	l->reader.tried = false;
	l->topic.asked = false;
	arena_reset(&l->reader.arena);
}

static enum err
end(struct looker *l)
{
	end_group(l);
	arena_free(&l->reader.arena);
	return l->err;
}

static void *
reader(struct looker *l)
{
	if (l->reader.tried || l->rules->readers == NULL)
		return l->reader.opened;
	l->reader.tried = true;
	enum err e = groups_by_number(l->txn, l->group.number, &l->reader.arena, &l->reader.group);
	if (e == ERR_NONE)
		l->reader.opened = l->rules->readers->open(&l->reader.group);
	else
		l->err = e;
	return l->reader.opened;
}

/* The topic that topic_is_gone() was asked about. */
static bool
reads_topic(struct looker *l)
{
	if (!l->topic.asked) {
		void *opened = reader(l);
		l->topic.is_read = opened == NULL || l->rules->readers->reads(opened, l->topic.name);
		l->topic.asked = true;
	}
	return l->topic.is_read;
}

static bool
topic_is_gone(struct looker *l, uint32_t number)
{
	struct topic topic;
	if (l->topic.known && l->topic.number == number)
		return !l->topic.is_there;
	enum err e = topic_by_number(l->txn, number, &l->txn->arena, &topic);
	if (e != ERR_NONE && e != ERR_UNKNOWN_TOPIC_OR_PARTITION)
		l->err = e;
	l->topic.number = number;
	l->topic.known = true;
	l->topic.asked = false;
	l->topic.is_there = e != ERR_UNKNOWN_TOPIC_OR_PARTITION;
	l->topic.name = e == ERR_NONE ? str_keep(&l->txn->arena, topic.name) : STR_NULL;
	return !l->topic.is_there;
}

/* --- what may go ------------------------------------------------------------------------------------ */

static bool
has_members(const struct looker *l)
{
	return l->group.empty_since_ms < 0;
}

static bool
is_old(const struct looker *l, const struct stored_offset *offset)
{
	int64_t now = l->rules->now_ms, since = offset->committed_ms;
	if (offset->expires_ms >= 0)
		return now >= offset->expires_ms;
	if (l->group.has_state && l->group.empty_since_ms > since)
		since = l->group.empty_since_ms;
	return l->rules->offsets_retention_ms > 0 && now - since >= l->rules->offsets_retention_ms;
}

static bool
is_offset_of(const struct scan *s, uint32_t group)
{
	return s->key.n == KEY_OFFS_BYTES + KEY_PIECE_BYTES && get_u32(s->key.at) == group;
}

/* Further pieces go with the first, of which there is always one. An error keeps everything. */
static bool
may_go(struct looker *l, const struct scan *s)
{
	struct stored_offset offset;
	if (get_u16(s->key.at + KEY_OFFS_BYTES) != 0)
		return false;
	bool goes =
	    topic_is_gone(l, get_u32(s->key.at + 4)) ||
	    (offsets_decode(s->value, &offset) && is_old(l, &offset) && !(has_members(l) && reads_topic(l)));
	return goes && l->err == ERR_NONE;
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
	return !has_members(l) && l->rules->offsets_retention_ms > 0 &&
	       l->rules->now_ms - l->group.empty_since_ms >= FORGET_GROUP_MS && !has_offsets(l);
}

/* --- finding ---------------------------------------------------------------------------------------- */

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
	end_group(l);
	if (!groups_head_after(l->txn, number > 0 ? number - 1 : 0, &l->reader.arena, &l->group, &l->err))
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
			break;
		}
		*found = find_offset(&l, round->at, &look_rows);
		if (*found || look_rows <= 0)
			break;
		*found = group_may_go(&l);
		if (*found)
			break;
		key_offs(round->at, l.group.number + 1, 0, 0);
	}
	return end(&l);
}

/* --- letting go ------------------------------------------------------------------------------------- */

#define GROUP_ROWS 2 /* name and row, of one piece mostly */

/* What may still be done in this transaction. */
struct budget {
	int look_rows, rows;
};

static void
delete_offsets(struct looker *l, const uint8_t at[KEY_OFFS_BYTES], struct budget *left)
{
	struct scan s;
	uint8_t gone[KEY_OFFS_BYTES] = { 0 }; /* no group has the number 0 */
	scan_open(&s, l->txn, TABLE_OFFS);
	bool row = scan_from(&s, at, KEY_OFFS_BYTES);
	while (row && is_offset_of(&s, l->group.number)) {
		bool rest = memcmp(s.key.at, gone, KEY_OFFS_BYTES) == 0;
		if (!rest && (left->rows <= 0 || --left->look_rows < 0))
			break;
		if (rest || may_go(l, &s)) {
			memcpy(gone, s.key.at, KEY_OFFS_BYTES);
			if (!scan_delete(&s))
				break;
			left->rows--;
		}
		row = scan_next(&s);
	}
	enum err e = scan_close(&s);
	if (e != ERR_NONE)
		l->err = e;
}

static void
delete_group(struct looker *l, struct budget *left)
{
	struct stored_group group;
	l->err = groups_by_number(l->txn, l->group.number, &l->reader.arena, &group);
	if (l->err == ERR_NONE)
		l->err = groups_forget(l->txn, group.id, group.number);
	left->rows -= GROUP_ROWS;
}

/*
 * Groups without members often go many at a time, so those behind are looked at, too; what members read
 * takes longer to find out, so the next group that has some waits for a step of its own.
 */
enum err
expiry_run(struct store_txn *txn, const struct clean_round *round, const struct clean_rules *rules,
	   int look_rows, int rows, bool *changed)
{
	struct looker l = { .txn = txn, .rules = rules };
	struct budget left = { .look_rows = look_rows, .rows = rows };
	uint8_t at[KEY_OFFS_BYTES];
	memcpy(at, round->at, sizeof(at));
	for (bool first = true; left.rows > 0 && left.look_rows-- > 0 && next_group(&l, at); first = false) {
		if (!first && has_members(&l))
			break;
		delete_offsets(&l, at, &left);
		if (l.err == ERR_NONE && group_may_go(&l))
			delete_group(&l, &left);
		if (l.err != ERR_NONE)
			break;
		key_offs(at, l.group.number + 1, 0, 0);
	}
	*changed = left.rows < rows;
	return end(&l);
}
