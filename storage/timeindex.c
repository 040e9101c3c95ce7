#include "storage/timeindex.h"

#include <stdlib.h>

#include "storage/append.h"
#include "storage/env.h"
#include "storage/heads.h"
#include "storage/run.h"

/* --- spans ------------------------------------------------------------------------------------------ */

bool
timeindex_decode(struct bytes key, struct bytes value, struct time_span *out)
{
	if (key.n != KEY_TIME_BYTES || value.n != TIME_BYTES)
		return false;
	*out = (struct time_span){ .last_offset = (int64_t)get_u64(key.at + 8),
				   .max_timestamp = (int64_t)get_u64(value.at),
				   .bytes = (int64_t)get_u64(value.at + 8),
				   .closed_ms = (int64_t)get_u64(value.at + 16) };
	return true;
}

static void
open_span(struct part *part)
{
	part->span.start = part->log_end;
	part->span.bytes = 0;
	part->span.max_timestamp = TIMESTAMP_NONE;
}

enum err
timeindex_close(struct store_txn *txn, struct touched *touched)
{
	struct part *part = &touched->part;
	if (part->span.bytes == 0)
		return ERR_NONE;
	uint8_t key[KEY_TIME_BYTES], value[TIME_BYTES];
	key_numbered(key, touched->topic, touched->index, part->log_end - 1);
	put_u64(value, (uint64_t)part->span.max_timestamp);
	put_u64(value + 8, (uint64_t)part->span.bytes);
	put_u64(value + 16, (uint64_t)txn_now_ms(txn));
	enum err e = txn_put(txn, TABLE_TIME, key, sizeof(key), value, sizeof(value));
	if (e != ERR_NONE)
		return e;
	open_span(part);
	touched->changed = true;
	return ERR_NONE;
}

enum err
timeindex_add(struct store_txn *txn, struct touched *touched, int64_t max_timestamp, int32_t bytes)
{
	struct part *part = &touched->part;
	enum err e = part->span.bytes >= SPAN_BYTES ? timeindex_close(txn, touched) : ERR_NONE;
	if (e != ERR_NONE)
		return e;
	if (part->span.bytes == 0) {
		open_span(part);
		part->span.opened_ms = txn_now_ms(txn);
	}
	part->span.bytes += bytes;
	if (max_timestamp > part->span.max_timestamp)
		part->span.max_timestamp = max_timestamp;
	return ERR_NONE;
}

/* --- walking the batches of an interval ------------------------------------------------------------- */

struct walk {
	struct scan scan;
	struct arena arena;
	struct log_slice rows; /* of the run under it */
	struct run_walk run;
	uint8_t prefix[KEY_PART_BYTES];
	bool row, in_run;
	int32_t pos;
	int64_t from, until;
	struct run_batch batch; /* where it stands */
	int32_t batch_pos;      /* the batch's first byte in the run */
};

/* Batches that hold an offset in [from, until). */
static void
walk_open(struct walk *w, struct store_txn *txn, uint32_t topic, uint32_t index, int64_t from, int64_t until)
{
	*w = (struct walk){ .from = from, .until = until };
	scan_open(&w->scan, txn, TABLE_LOG);
	uint8_t key[KEY_LOG_BYTES];
	key_log(key, topic, index, from, 0);
	memcpy(w->prefix, key, KEY_PART_BYTES);
	w->row = scan_from(&w->scan, key, sizeof(key));
}

static enum err
walk_close(struct walk *w)
{
	arena_free(&w->arena);
	return scan_close(&w->scan);
}

static bool
begin_run(struct walk *w)
{
	if (!w->row || memcmp(w->scan.key.at, w->prefix, KEY_PART_BYTES) != 0)
		return false;
	w->rows.iov_n = 0;
	w->rows.bytes = 0;
	run_walk_begin(&w->run, &w->scan, &w->arena, &w->rows);
	w->pos = 0;
	w->in_run = true;
	return true;
}

/* By key: the rows of the last batch need not be fetched. */
static void
leave_run(struct walk *w)
{
	uint8_t key[KEY_LOG_BYTES];
	memcpy(key, w->run.key, sizeof(key));
	put_u32(key + 16, UINT32_MAX);
	w->row = scan_from(&w->scan, key, sizeof(key));
	w->in_run = false;
}

static bool
walk_next(struct walk *w)
{
	for (;;) {
		if (w->in_run && w->batch.last_offset >= w->run.last_offset)
			leave_run(w);
		if (!w->in_run && !begin_run(w))
			return false;
		if (!run_walk_header(&w->run, w->pos, &w->batch)) {
			if (w->scan.err == ERR_NONE)
				w->scan.err =
				    env_error(w->scan.txn->store, MDB_CORRUPTED, "walk a run of batches");
			return false;
		}
		w->batch_pos = w->pos;
		w->pos += w->batch.bytes;
		if (w->batch.base_offset >= w->until)
			return false;
		if (w->batch.last_offset >= w->from)
			return true;
	}
}

/* --- the record within a batch ---------------------------------------------------------------------- */

/*
 * Batches are copied and opened at a client's word, as often as it asks, and a few KB of them may open to
 * GB. So a transaction looks into this much of them; from then on its answers are whole batches.
 */
#define SEARCHED_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* As near as the header leads. */
static struct log_position
whole_batch(const struct run_batch *batch, int64_t from)
{
	int64_t offset = batch->base_offset < from ? from : batch->base_offset;
	return (struct log_position){ .offset = offset, .timestamp = batch->max_timestamp };
}

static bool
spend(struct store_txn *txn, size_t bytes)
{
	size_t left = SEARCHED_BYTES_MAX - txn->searched_bytes;
	txn->searched_bytes += bytes < left ? bytes : left;
	return bytes < left;
}

enum found { FOUND, FOUND_NONE, FOUND_UNKNOWN };

/*
 * The first record at or behind `from` (the log may begin within the batch) whose timestamp is >= t; none,
 * in spite of the header; or unknown: compressed by a client, never opened by us, and damaged, or too large.
 */
static enum found
find_record(struct store_txn *txn, const struct batch *batch, int64_t from, int64_t timestamp_ms,
	    struct log_position *out)
{
	struct heads heads;
	struct record_head head;
	bool found = false;
	heads_open(&heads, batch, SEARCHED_BYTES_MAX - txn->searched_bytes);
	while (!found && heads_next(&heads, &head))
		found = head.offset >= from && head.timestamp >= timestamp_ms;
	if (found)
		*out = (struct log_position){ .offset = head.offset, .timestamp = head.timestamp };
	bool none = !found && heads_end(&heads) == CODEC_ENDED;
	(void)spend(txn, heads_opened(&heads));
	heads_close(&heads);
	return found ? FOUND : none ? FOUND_NONE : FOUND_UNKNOWN;
}

static bool
find_in_batch(struct walk *w, int64_t timestamp_ms, struct log_position *out)
{
	*out = whole_batch(&w->batch, w->from);
	if (!spend(w->scan.txn, (size_t)w->batch.bytes))
		return true;
	uint8_t *copy = malloc((size_t)w->batch.bytes);
	CHECK(copy != NULL);
	struct batch batch;
	enum found found = FOUND_UNKNOWN;
	if (run_walk_copy(&w->run, w->batch_pos, copy, w->batch.bytes) &&
	    batch_parse(copy, (size_t)w->batch.bytes, &batch))
		found = find_record(w->scan.txn, &batch, w->from, timestamp_ms, out);
	free(copy);
	if (found == FOUND_NONE)
		*out = (struct log_position){ .offset = -1, .timestamp = -1 };
	return found != FOUND_NONE;
}

/* --- searching -------------------------------------------------------------------------------------- */

struct search {
	struct store_txn *txn;
	uint32_t topic, index;
	struct part part;
	int64_t end;
};

static enum err
begin_search(struct search *s, struct store_txn *txn, const struct topic *topic, int32_t index, int64_t end)
{
	if (index < 0 || index >= topic->partitions)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	*s = (struct search){ .txn = txn, .topic = topic->number, .index = (uint32_t)index };
	enum err e = txn->write ? append_flush(txn) : ERR_NONE;
	if (e == ERR_NONE)
		e = part_load(txn, s->topic, s->index, &s->part);
	s->end = end < s->part.log_end ? end : s->part.log_end;
	return e;
}

/* First record with a timestamp >= t within offsets [from, until). */
static enum err
find_between(struct search *s, int64_t from, int64_t until, int64_t timestamp_ms, struct log_position *out)
{
	struct walk w;
	bool found = false;
	walk_open(&w, s->txn, s->topic, s->index, from, until);
	while (!found && walk_next(&w) && w.batch.last_offset < s->end)
		if (w.batch.max_timestamp >= timestamp_ms)
			found = find_in_batch(&w, timestamp_ms, out);
	return walk_close(&w);
}

/* The spans in order, from the one that holds the log start on; the open one comes last. */
struct span_walk {
	struct scan scan;
	struct search *search;
	int64_t start;
	bool row, open_given;
};

static void
spans_open(struct span_walk *w, struct search *search)
{
	*w = (struct span_walk){ .search = search, .start = search->part.log_start };
	scan_open(&w->scan, search->txn, TABLE_TIME);
	uint8_t key[KEY_TIME_BYTES];
	key_numbered(key, search->topic, search->index, w->start);
	w->row = scan_from(&w->scan, key, sizeof(key));
}

static bool
spans_next(struct span_walk *w, int64_t *start, struct time_span *out)
{
	const struct search *s = w->search;
	*start = w->start;
	if (*start >= s->end)
		return false;
	if (w->row && get_u32(w->scan.key.at) == s->topic && get_u32(w->scan.key.at + 4) == s->index) {
		if (!timeindex_decode(w->scan.key, w->scan.value, out))
			return false;
		w->start = out->last_offset + 1;
		w->row = scan_next(&w->scan);
		return true;
	}
	*out = (struct time_span){ .last_offset = s->part.log_end - 1,
				   .max_timestamp = s->part.span.max_timestamp };
	bool given = w->open_given;
	w->open_given = true;
	return !given;
}

enum err
log_find_time(struct store_txn *txn, const struct topic *topic, int32_t index, int64_t timestamp_ms,
	      int64_t end, struct log_position *out)
{
	*out = (struct log_position){ .offset = -1, .timestamp = -1 };
	struct search s;
	enum err e = begin_search(&s, txn, topic, index, end);
	if (e != ERR_NONE)
		return e;
	struct span_walk w;
	struct time_span span;
	int64_t start;
	spans_open(&w, &s);
	while (e == ERR_NONE && out->offset < 0 && spans_next(&w, &start, &span))
		if (span.max_timestamp >= timestamp_ms)
			e = find_between(&s, start, span.last_offset + 1, timestamp_ms, out);
	enum err scanned = scan_close(&w.scan);
	return e != ERR_NONE ? e : scanned;
}

/* The greatest timestamp of the whole batches below `end` in [from, until); raises *max. */
static enum err
max_between(struct search *s, int64_t from, int64_t until, int64_t *max)
{
	struct walk w;
	walk_open(&w, s->txn, s->topic, s->index, from, until);
	while (walk_next(&w) && w.batch.last_offset < s->end)
		if (w.batch.max_timestamp > *max)
			*max = w.batch.max_timestamp;
	return walk_close(&w);
}

/*
 * Closed spans that are whole, neither trimmed nor cut by `end`, say their greatest themselves; of at
 * most three others the batches are walked: the first, the one with `end` in it, the open one.
 */
static enum err
max_of_spans(struct search *s, int64_t *max)
{
	struct span_walk w;
	struct time_span span;
	int64_t start;
	enum err e = ERR_NONE;
	spans_open(&w, s);
	while (e == ERR_NONE && spans_next(&w, &start, &span)) {
		bool whole = start > s->part.log_start && span.last_offset < s->end && !w.open_given;
		if (span.max_timestamp <= *max)
			continue;
		if (whole)
			*max = span.max_timestamp;
		else
			e = max_between(s, start, span.last_offset + 1, max);
	}
	enum err scanned = scan_close(&w.scan);
	return e != ERR_NONE ? e : scanned;
}

enum err
log_max_timestamp(struct store_txn *txn, const struct topic *topic, int32_t index, int64_t end,
		  struct log_position *out)
{
	*out = (struct log_position){ .offset = -1, .timestamp = -1 };
	struct search s;
	enum err e = begin_search(&s, txn, topic, index, end);
	int64_t max = -1;
	if (e == ERR_NONE)
		e = max_of_spans(&s, &max);
	return e == ERR_NONE && max >= 0 ? log_find_time(txn, topic, index, max, end, out) : e;
}
