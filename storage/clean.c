/*
 * clean: store_clean(), a small step at a time.
 *
 * A round goes over all partitions, then over all producers, then over all groups, and remembers in between where it is. What
 * there is to do is looked for in a snapshot, without the writer lock; only where something is found a
 * write transaction is begun, and looks again. Deleted topics and groups come first, at any time.
 *
 * Rows of one page each cost the same wherever they lie, so it does not matter to the engine in which
 * order partitions are cleaned; within a partition the oldest goes first.
 *
 * What may go is decided by spans of the time index for retention.ms, and by runs for retention.bytes.
 * Kafka decides by segments, a thousand times as large, and so keeps more. A span that is still open goes
 * when all of it is old, as Kafka's active segment does; so that a slow partition's span does not stay
 * open for ever, it is closed after a quarter of the retention time.
 */
#include "common/faultpoint.h"
#include "storage/env.h"
#include "storage/expiry.h"
#include "storage/producers.h"
#include "storage/timeindex.h"
#include "storage/trim.h"

#define ROWS_MAX        400  /* deleted in one transaction */
#define LOOK_ROWS_MAX   1000 /* looked at in one step */
#define SPANS_MAX       64   /* of a partition, in one step: it can free fewer */
#define CLOSES_PER_SPAN 4    /* a slow partition's span is closed after this part of the retention time */

/* --- deleted topics and groups ---------------------------------------------------------------------- */

/* The first key of n bytes, of which the last four are a number and those before are as here. */
static enum err
find_gone(struct store_txn *txn, const uint8_t *key, int32_t n, bool *found, uint32_t *number)
{
	struct scan s;
	scan_open(&s, txn, TABLE_SYS);
	*found = scan_from(&s, key, (size_t)n) && s.key.n == n && memcmp(s.key.at, key, (size_t)n - 4) == 0;
	*number = *found ? get_u32(s.key.at + n - 4) : 0;
	return scan_close(&s);
}

static enum err
find_gone_topic(struct store_txn *txn, bool *found, uint32_t *topic)
{
	uint8_t key[KEY_GONE_BYTES];
	key_gone(key, 0);
	return find_gone(txn, key, sizeof(key), found, topic);
}

static enum err
find_gone_group(struct store_txn *txn, bool *found, uint32_t *group)
{
	uint8_t key[KEY_GGONE_BYTES];
	key_ggone(key, 0);
	return find_gone(txn, key, sizeof(key), found, group);
}

/* Rows whose key begins with the topic's or group's number. */
static enum err
free_rows(struct store_txn *txn, enum table table, uint32_t topic, int *budget)
{
	struct scan s;
	scan_open(&s, txn, table);
	uint8_t key[KEY_TOPIC_BYTES];
	put_u32(key, topic);
	bool row = scan_from(&s, key, sizeof(key));
	while (*budget > 0 && row && get_u32(s.key.at) == topic && scan_delete(&s)) {
		--*budget;
		row = scan_next(&s);
	}
	return scan_close(&s);
}

static enum err
free_topic(struct store_txn *txn, uint32_t topic)
{
	static const enum table tables[] = { TABLE_PART, TABLE_LOG, TABLE_TIME, TABLE_PROD };
	int budget = ROWS_MAX;
	enum err e = ERR_NONE;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && e == ERR_NONE; i++)
		e = free_rows(txn, tables[i], topic, &budget);
	if (e != ERR_NONE || budget == 0)
		return e;
	uint8_t key[KEY_GONE_BYTES];
	key_gone(key, topic);
	return txn_del(txn, TABLE_SYS, key, sizeof(key));
}

static enum err
free_group(struct store_txn *txn, uint32_t group)
{
	uint8_t key[KEY_GGONE_BYTES];
	int budget = ROWS_MAX;
	enum err e = free_rows(txn, TABLE_OFFS, group, &budget);
	if (e != ERR_NONE || budget == 0)
		return e;
	key_ggone(key, group);
	return txn_del(txn, TABLE_SYS, key, sizeof(key));
}

/* --- what a topic keeps ----------------------------------------------------------------------------- */

struct limits {
	bool known; /* false: deleted meanwhile, leave its partitions alone */
	uint32_t topic;
	int64_t ms, bytes; /* -1: without limit */
};

static int64_t
number_setting(const struct topic *topic, const char *key, int64_t otherwise)
{
	struct str value = topic_setting(topic, key);
	int64_t number;
	return !str_is_null(value) && str_to_int64(value, &number) ? number : otherwise;
}

/* cleanup.policy is a list: "delete", "compact", or both. */
static bool
lists(struct str list, struct str word)
{
	int32_t begin = 0;
	for (int32_t i = 0; i <= list.n; i++) {
		if (i < list.n && list.at[i] != ',' && list.at[i] != ' ')
			continue;
		if (str_eq((struct str){ .at = list.at + begin, .n = i - begin }, word))
			return true;
		begin = i + 1;
	}
	return false;
}

static enum err
load_limits(struct store_txn *txn, uint32_t topic, const struct clean_rules *rules, struct limits *out)
{
	if (out->known && out->topic == topic)
		return ERR_NONE;
	*out = (struct limits){ .topic = topic, .ms = -1, .bytes = -1 };
	struct topic t;
	enum err e = topic_by_number(txn, topic, &txn->arena, &t);
	if (e == ERR_UNKNOWN_TOPIC_OR_PARTITION)
		return ERR_NONE;
	if (e != ERR_NONE)
		return e;
	out->known = true;
	struct str policy = topic_setting(&t, "cleanup.policy");
	if (str_is_null(policy) ? !rules->delete_by_default : !lists(policy, STR("delete")))
		return ERR_NONE;
	out->ms = number_setting(&t, "retention.ms", rules->retention_ms);
	out->bytes = number_setting(&t, "retention.bytes", rules->retention_bytes);
	return ERR_NONE;
}

/* --- partitions ------------------------------------------------------------------------------------- */

struct plan {
	struct trim trim;
	bool close_span;
};

/* Batches without timestamps are as old as their arrival. */
static bool
is_old(int64_t max_timestamp, int64_t arrived_ms, int64_t limit_ms, int64_t now_ms)
{
	int64_t stamp = max_timestamp >= 0 ? max_timestamp : arrived_ms;
	return now_ms - stamp > limit_ms;
}

/* Behind the last of the spans at the front that are old, all of them. */
static enum err
old_until(struct store_txn *txn, uint32_t topic, uint32_t index, const struct part *part, int64_t limit_ms,
	  int64_t now_ms, int64_t *until)
{
	*until = part->log_start;
	struct scan s;
	scan_open(&s, txn, TABLE_TIME);
	uint8_t key[KEY_TIME_BYTES];
	key_numbered(key, topic, index, part->log_start);
	bool row = scan_from(&s, key, sizeof(key)), old = true;
	int n = 0;
	for (; old && n < SPANS_MAX && row && memcmp(s.key.at, key, KEY_PART_BYTES) == 0; n++) {
		struct time_span span;
		old = timeindex_decode(s.key, s.value, &span) &&
		      is_old(span.max_timestamp, span.closed_ms, limit_ms, now_ms);
		if (old)
			*until = span.last_offset + 1;
		row = scan_next(&s);
	}
	if (old && n < SPANS_MAX && part->span.bytes > 0 &&
	    is_old(part->span.max_timestamp, part->span.opened_ms, limit_ms, now_ms))
		*until = part->log_end;
	return scan_close(&s);
}

static enum err
make_plan(struct store_txn *txn, uint32_t index, const struct part *part, const struct limits *limits,
	  int64_t now_ms, struct plan *out)
{
	*out = (struct plan){ .trim = { .until = part->log_start, .keep_bytes = limits->bytes } };
	if (limits->ms < 0)
		return ERR_NONE;
	enum err e = old_until(txn, limits->topic, index, part, limits->ms, now_ms, &out->trim.until);
	out->close_span = part->span.bytes > 0 && out->trim.until < part->log_end &&
			  now_ms - part->span.opened_ms > limits->ms / CLOSES_PER_SPAN;
	return e;
}

static enum err
clean_partition(struct store_txn *txn, uint32_t topic, uint32_t index, const struct clean_rules *rules,
		bool *changed)
{
	struct touched *touched;
	struct limits limits = { 0 };
	struct plan plan;
	enum err e = part_touch(txn, topic, index, &touched);
	*changed = false;
	if (e != ERR_NONE)
		return e == ERR_UNKNOWN_TOPIC_OR_PARTITION ? ERR_NONE : e;
	e = load_limits(txn, topic, rules, &limits);
	if (e == ERR_NONE)
		e = make_plan(txn, index, &touched->part, &limits, rules->now_ms, &plan);
	if (e == ERR_NONE && plan.close_span)
		e = timeindex_close(txn, touched);
	if (e == ERR_NONE)
		e = trim_step(txn, touched, &plan.trim);
	*changed = touched->changed;
	return e;
}

/*
 * Go on from where the round is to the first partition with something to do; *found false: none in this
 * step.
 */
static enum err
find_partition(struct store_txn *txn, struct clean_round *round, const struct clean_rules *rules, bool *found)
{
	struct scan s;
	struct limits limits = { 0 };
	enum err e = ERR_NONE;
	*found = false;
	scan_open(&s, txn, TABLE_PART);
	bool row = scan_from(&s, round->at, KEY_PART_BYTES);
	for (int n = 0; row && e == ERR_NONE && n < LOOK_ROWS_MAX; n++, row = scan_next(&s)) {
		memcpy(round->at, s.key.at, KEY_PART_BYTES);
		uint32_t topic = get_u32(s.key.at), index = get_u32(s.key.at + 4);
		struct part part;
		struct plan plan;
		e = load_limits(txn, topic, rules, &limits);
		if (e != ERR_NONE || !limits.known)
			continue;
		part_decode(s.value.at, &part);
		e = make_plan(txn, index, &part, &limits, rules->now_ms, &plan);
		if (e == ERR_NONE && (plan.close_span || trim_is_due(txn, topic, index, &part, &plan.trim))) {
			*found = true;
			break;
		}
	}
	if (!row)
		*round = (struct clean_round){ .phase = CLEAN_PRODUCERS };
	enum err scanned = scan_close(&s);
	return e != ERR_NONE ? e : scanned;
}

/* --- producers -------------------------------------------------------------------------------------- */

static bool
is_forgotten(struct bytes row, const struct clean_rules *rules)
{
	struct producer producer;
	if (row.n != PROD_BYTES)
		return false;
	producer_decode(row.at, &producer);
	return rules->now_ms - producer.appended_ms > rules->producer_expiry_ms;
}

static enum err
find_producer(struct store_txn *txn, struct clean_round *round, const struct clean_rules *rules, bool *found)
{
	struct scan s;
	*found = false;
	scan_open(&s, txn, TABLE_PROD);
	bool row = rules->producer_expiry_ms >= 0 && scan_from(&s, round->at, KEY_PROD_BYTES);
	for (int n = 0; row && !*found && n < LOOK_ROWS_MAX; n++) {
		memcpy(round->at, s.key.at, KEY_PROD_BYTES);
		*found = is_forgotten(s.value, rules);
		if (!*found)
			row = scan_next(&s);
	}
	if (!row)
		*round = (struct clean_round){ .phase = CLEAN_GROUPS };
	return scan_close(&s);
}

static enum err
clean_producers(struct store_txn *txn, const struct clean_round *round, const struct clean_rules *rules)
{
	struct scan s;
	scan_open(&s, txn, TABLE_PROD);
	bool row = scan_from(&s, round->at, KEY_PROD_BYTES);
	int deleted = 0;
	for (int n = 0; row && n < LOOK_ROWS_MAX && deleted < ROWS_MAX; n++, row = scan_next(&s)) {
		if (!is_forgotten(s.value, rules))
			continue;
		if (!scan_delete(&s))
			break;
		deleted++;
	}
	return scan_close(&s);
}

/* --- a step ----------------------------------------------------------------------------------------- */

struct task {
	enum { TASK_NONE, TASK_TOPIC, TASK_GONE_GROUP, TASK_PARTITION, TASK_PRODUCERS, TASK_GROUP } kind;
	uint32_t topic, index, group;
	bool round_ended;
};

static enum err
find_task(struct store_txn *txn, struct clean_round *round, const struct clean_rules *rules, struct task *out)
{
	*out = (struct task){ 0 };
	bool found;
	enum err e = find_gone_topic(txn, &found, &out->topic);
	if (e != ERR_NONE || found) {
		out->kind = TASK_TOPIC;
		return e;
	}
	e = find_gone_group(txn, &found, &out->group);
	if (e != ERR_NONE || found) {
		out->kind = TASK_GONE_GROUP;
		return e;
	}
	if (rules->deleted_only) {
		out->round_ended = true;
		return ERR_NONE;
	}
	if (round->phase == CLEAN_PARTITIONS) {
		e = find_partition(txn, round, rules, &found);
		out->kind = found ? TASK_PARTITION : TASK_NONE;
		out->topic = get_u32(round->at);
		out->index = get_u32(round->at + 4);
		return e;
	}
	if (round->phase == CLEAN_PRODUCERS) {
		e = find_producer(txn, round, rules, &found);
		out->kind = found ? TASK_PRODUCERS : TASK_NONE;
		return e;
	}
	e = expiry_find(txn, round, rules, LOOK_ROWS_MAX, &found);
	out->kind = found ? TASK_GROUP : TASK_NONE;
	out->round_ended = round->phase == CLEAN_PARTITIONS;
	return e;
}

/* The key right behind. */
static void
step_over(struct clean_round *round, size_t n)
{
	while (n > 0 && ++round->at[n - 1] == 0)
		n--;
}

static enum err
do_task(struct store_txn *txn, struct clean_round *round, const struct clean_rules *rules,
	const struct task *task)
{
	bool changed = true;
	enum err e = ERR_NONE;
	switch (task->kind) {
	case TASK_TOPIC:
		e = free_topic(txn, task->topic);
		FAULT_POINT("clean.topic");
		break;
	case TASK_GONE_GROUP:
		e = free_group(txn, task->group);
		FAULT_POINT("clean.group");
		break;
	case TASK_GROUP:
		e = expiry_run(txn, round, rules, LOOK_ROWS_MAX, ROWS_MAX, &changed);
		FAULT_POINT("clean.offsets");
		break;
	case TASK_PARTITION:
		e = clean_partition(txn, task->topic, task->index, rules, &changed);
		FAULT_POINT("clean.partition");
		break;
	case TASK_PRODUCERS:
		e = clean_producers(txn, round, rules);
		FAULT_POINT("clean.producers");
		break;
	case TASK_NONE:
		break;
	}
	/* What the snapshot promised is not there any more: do not look at it again in this round. */
	if (e == ERR_NONE && !changed)
		step_over(round, task->kind == TASK_GROUP ? KEY_OFFS_BYTES : KEY_PART_BYTES);
	return e;
}

enum err
store_clean(struct store *store, const struct clean_rules *rules, bool *more)
{
	*more = false;
	struct store_txn *txn;
	struct task task;
	enum err e = store_read(store, &txn);
	if (e != ERR_NONE)
		return e;
	e = find_task(txn, &store->round, rules, &task);
	store_read_end(txn);
	if (e == ERR_NONE)
		*more = !task.round_ended;
	if (e != ERR_NONE || task.kind == TASK_NONE)
		return e;
	e = store_write(store, &txn);
	if (e != ERR_NONE)
		return e;
	e = do_task(txn, &store->round, rules, &task);
	if (e != ERR_NONE) {
		store_abort(txn);
		return e;
	}
	uint64_t commit;
	return store_commit(txn, &commit);
}
