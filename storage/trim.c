#include "storage/trim.h"

#include "storage/env.h"

#define TIME_ROWS_MAX 16 /* a step passes two spans at most, but for runs of one huge batch */

struct old_run {
	int64_t last_offset, bytes;
};

static bool
is_of(const struct scan *s, uint32_t topic, uint32_t index)
{
	return get_u32(s->key.at) == topic && get_u32(s->key.at + 4) == index;
}

/* All of the run's bytes: its last row tells where it ends. */
static int64_t
run_bytes(struct scan *probe, uint32_t topic, uint32_t index, int64_t last_offset)
{
	uint8_t key[KEY_LOG_BYTES];
	key_log(key, topic, index, last_offset, UINT32_MAX);
	if (!scan_before(probe, key, sizeof(key)))
		return 0;
	return (int64_t)get_u32(probe->key.at + 16) + probe->value.n;
}

static bool
may_go(const struct store *store, const struct part *part, const struct trim *trim, const struct old_run *run)
{
	if (run->last_offset >= part_high_watermark(store, part))
		return false;
	return run->last_offset < trim->until ||
	       (trim->keep_bytes >= 0 && part->bytes - run->bytes >= trim->keep_bytes);
}

bool
trim_is_due(struct store_txn *txn, uint32_t topic, uint32_t index, const struct part *part,
	    const struct trim *trim)
{
	if (part->row_start < part->log_start)
		return true;
	if (trim->until <= part->log_start && (trim->keep_bytes < 0 || part->bytes <= trim->keep_bytes))
		return false;
	struct scan s;
	scan_open(&s, txn, TABLE_LOG);
	uint8_t key[KEY_LOG_BYTES];
	key_log(key, topic, index, part->log_start, 0);
	bool due = false;
	if (scan_from(&s, key, sizeof(key)) && is_of(&s, topic, index)) {
		struct old_run run = { .last_offset = (int64_t)get_u64(s.key.at + 8) };
		run.bytes = run_bytes(&s, topic, index, run.last_offset);
		due = may_go(txn->store, part, trim, &run);
	}
	return scan_close(&s) == ERR_NONE && due;
}

/* The log start moves behind the run, if it is to go; true also for one that it has passed already. */
static bool
pass(struct store_txn *txn, struct touched *touched, const struct trim *trim, struct scan *probe,
     int64_t last_offset)
{
	struct part *part = &touched->part;
	if (last_offset < part->log_start)
		return true;
	struct old_run run = { .last_offset = last_offset };
	run.bytes = run_bytes(probe, touched->topic, touched->index, last_offset);
	if (!may_go(txn->store, part, trim, &run))
		return false;
	part->log_start = last_offset + 1;
	touched->changed = true;
	return true;
}

static bool
free_row(struct touched *touched, struct scan *s)
{
	int32_t bytes = s->value.n;
	if (!scan_delete(s))
		return false;
	touched->part.bytes -= bytes;
	touched->changed = true;
	return true;
}

static enum err
trim_rows(struct store_txn *txn, struct touched *touched, const struct trim *trim)
{
	struct part *part = &touched->part;
	struct scan s, probe;
	scan_open(&s, txn, TABLE_LOG);
	scan_open(&probe, txn, TABLE_LOG);
	uint8_t key[KEY_LOG_BYTES];
	key_log(key, touched->topic, touched->index, part->row_start, 0);
	bool row = scan_from(&s, key, sizeof(key));
	int64_t at = INT64_MAX; /* the run that is being freed; beyond all: there are no rows */
	for (int n = 0; row && is_of(&s, touched->topic, touched->index); n++) {
		at = (int64_t)get_u64(s.key.at + 8);
		if (n == TRIM_ROWS_MAX || !pass(txn, touched, trim, &probe, at) || !free_row(touched, &s))
			break;
		at = INT64_MAX;
		row = scan_next(&s);
	}
	int64_t row_start = at < part->log_start ? at : part->log_start;
	touched->changed |= row_start != part->row_start;
	part->row_start = row_start;
	enum err e = scan_close(&probe);
	enum err scanned = scan_close(&s);
	return e != ERR_NONE ? e : scanned;
}

/* Spans of which nothing is left. */
static enum err
trim_spans(struct store_txn *txn, struct touched *touched)
{
	struct part *part = &touched->part;
	if (part->log_start == part->log_end) {
		part->span.bytes = 0;
		part->span.max_timestamp = TIMESTAMP_NONE;
	}
	struct scan s;
	scan_open(&s, txn, TABLE_TIME);
	uint8_t key[KEY_TIME_BYTES];
	key_numbered(key, touched->topic, touched->index, 0);
	bool row = scan_from(&s, key, sizeof(key));
	for (int n = 0; n < TIME_ROWS_MAX && row && is_of(&s, touched->topic, touched->index); n++) {
		if ((int64_t)get_u64(s.key.at + 8) >= part->log_start || !scan_delete(&s))
			break;
		row = scan_next(&s);
	}
	return scan_close(&s);
}

enum err
log_trim(struct store_txn *txn, const struct topic *topic, int32_t index, int64_t before)
{
	if (index < 0 || index >= topic->partitions)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	struct touched *touched;
	enum err e = part_touch(txn, topic->number, (uint32_t)index, &touched);
	if (e != ERR_NONE)
		return e;
	if (before < 0 || before > part_high_watermark(txn->store, &touched->part))
		return ERR_OFFSET_OUT_OF_RANGE;
	if (before > touched->part.log_start) {
		touched->part.log_start = before;
		touched->changed = txn->changed = true;
	}
	return ERR_NONE;
}

enum err
trim_step(struct store_txn *txn, struct touched *touched, const struct trim *trim)
{
	enum err e = trim_rows(txn, touched, trim);
	return e == ERR_NONE ? trim_spans(txn, touched) : e;
}
