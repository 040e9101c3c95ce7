/*
 * read: log_read(), the hot path of fetching. Rows of the map become pieces of the answer; nothing is
 * copied.
 *
 * Most runs are taken whole: one that ends below `end` and fits the budget is never looked into. Only
 * where the answer begins within a run, or ends in one, are batch headers walked: one run of RUN_BYTES at
 * either end.
 */
#include "storage/ahead.h"
#include "storage/append.h"
#include "storage/env.h"
#include "storage/partition.h"
#include "storage/run.h"

struct reading {
	struct run_walk run;
	struct log_slice *out;
	int64_t offset, end;
	int32_t budget;
	bool at_least_one; /* and none was given yet */
};

static enum err
damaged(struct store_txn *txn)
{
	return env_error(txn->store, MDB_CORRUPTED, "read a run of batches");
}

/* First byte of the batch that holds the wanted offset; false: the run has none. */
static bool
find_begin(struct reading *r, int32_t *from)
{
	struct run_batch b;
	for (*from = 0; run_walk_header(&r->run, *from, &b); *from += b.bytes)
		if (b.last_offset >= r->offset)
			return true;
	return false;
}

/* Byte behind the last batch that may be given, batch by batch; false: what should be a header is none. */
static bool
find_end(struct reading *r, int32_t from, int32_t *to)
{
	struct run_walk *w = &r->run;
	for (*to = from; !w->complete || *to < w->loaded;) {
		struct run_batch b;
		if (!run_walk_header(w, *to, &b))
			return false;
		if (b.last_offset >= r->end)
			return true;
		if ((int64_t)*to - from + b.bytes > r->budget && !r->at_least_one)
			return true;
		run_walk_load(w, (int64_t)*to + b.bytes);
		if (*to + b.bytes > w->loaded)
			return false;
		*to += b.bytes;
		r->at_least_one = false;
		r->out->next_offset = b.last_offset + 1;
	}
	return true;
}

/* The whole rest of the run, if it fits without a look at the batches in it. */
static bool
take_rest(struct reading *r, int32_t from, int32_t *to)
{
	struct run_walk *w = &r->run;
	if (w->last_offset >= r->end)
		return false;
	/*
	 * Near the end of the budget: do not fetch the rows of a batch that will not be given. Before, a
	 * look into the run would cost more than it saves: nothing else in here touches the data.
	 */
	struct run_batch first;
	if (r->budget < RUN_BYTES && (!run_walk_header(w, from, &first) || first.bytes > r->budget))
		return false;
	run_walk_load(w, (int64_t)from + r->budget + 1);
	if (!w->complete || w->loaded - from > r->budget)
		return false;
	*to = w->loaded;
	r->at_least_one = false;
	r->out->next_offset = w->last_offset + 1;
	return true;
}

/* *more: the next run may follow. */
static bool
read_run(struct reading *r, bool *more)
{
	int32_t from = 0, to;
	if (r->out->next_offset == r->offset && !find_begin(r, &from))
		return false;
	if (!take_rest(r, from, &to) && !find_end(r, from, &to))
		return false;
	struct run_walk *w = &r->run;
	bool whole = w->complete && to == w->loaded;
	run_walk_cut(w, from, to);
	r->budget = to - from > r->budget ? 0 : r->budget - (to - from);
	*more = whole && w->more && r->budget > 0;
	return true;
}

static enum err
read_runs(struct store_txn *txn, uint32_t topic, uint32_t index, struct arena *arena, struct reading *r)
{
	struct scan s;
	scan_open(&s, txn, TABLE_LOG);
	uint8_t key[KEY_LOG_BYTES];
	key_log(key, topic, index, r->offset, 0);
	bool more = scan_from(&s, key, sizeof(key)), whole = true;
	while (more && whole && memcmp(s.key.at, key, KEY_PART_BYTES) == 0) {
		run_walk_begin(&r->run, &s, arena, r->out);
		whole = read_run(r, &more);
	}
	enum err e = scan_close(&s);
	return e != ERR_NONE || whole ? e : damaged(txn);
}

enum err
log_read(struct store_txn *txn, const struct topic *topic, int32_t index, int64_t offset, int64_t end,
	 int32_t max_bytes, bool at_least_one, struct arena *arena, struct log_slice *out)
{
	if (index < 0 || index >= topic->partitions)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	struct part part;
	enum err e = txn->write ? append_flush(txn) : ERR_NONE;
	if (e == ERR_NONE)
		e = part_load(txn, topic->number, (uint32_t)index, &part);
	if (e != ERR_NONE)
		return e;
	if (offset < part.log_start || offset > part.log_end)
		return ERR_OFFSET_OUT_OF_RANGE;
	*out = (struct log_slice){ .next_offset = offset };
	if (offset >= end || offset == part.log_end || (max_bytes <= 0 && !at_least_one))
		return ERR_NONE;
	struct reading r = { .out = out,
			     .offset = offset,
			     .end = end,
			     .budget = max_bytes > 0 ? max_bytes : 0,
			     .at_least_one = at_least_one };
	e = read_runs(txn, topic->number, (uint32_t)index, arena, &r);
	if (e != ERR_NONE)
		*out = (struct log_slice){ .next_offset = offset };
	else if (!txn->write && out->iov_n > 0 && out->next_offset < end)
		ahead_of(&txn->store->ahead, out->iov[out->iov_n - 1].iov_base);
	return e;
}
