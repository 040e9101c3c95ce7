#include "storage/partition.h"

#include "common/diag.h"
#include "storage/catalog.h"
#include "storage/env.h"

/* --- the row ---------------------------------------------------------------------------------------- */

static int64_t
get_i64(const uint8_t *at)
{
	return (int64_t)get_u64(at);
}

void
part_decode(const uint8_t row[PART_BYTES], struct part *out)
{
	out->log_start = get_i64(row + PART_LOG_START);
	out->log_end = get_i64(row + PART_LOG_END);
	out->row_start = get_i64(row + PART_ROW_START);
	out->bytes = get_i64(row + PART_BYTES_HELD);
	out->leader_epoch = (int32_t)get_u32(row + PART_LEADER_EPOCH);
	out->span.start = get_i64(row + PART_SPAN_START);
	out->span.bytes = get_i64(row + PART_SPAN_BYTES);
	out->span.max_timestamp = get_i64(row + PART_SPAN_MAX);
	out->span.opened_ms = get_i64(row + PART_SPAN_OPENED);
	for (int i = 0; i < PART_TRAIL; i++) {
		out->trail[i].end = get_i64(row + PART_TRAIL_END(i));
		out->trail[i].commit = get_u64(row + PART_TRAIL_COMMIT(i));
	}
}

void
part_encode(const struct part *part, uint8_t row[PART_BYTES])
{
	put_u64(row + PART_LOG_START, (uint64_t)part->log_start);
	put_u64(row + PART_LOG_END, (uint64_t)part->log_end);
	put_u64(row + PART_ROW_START, (uint64_t)part->row_start);
	put_u64(row + PART_BYTES_HELD, (uint64_t)part->bytes);
	put_u32(row + PART_LEADER_EPOCH, (uint32_t)part->leader_epoch);
	put_u64(row + PART_SPAN_START, (uint64_t)part->span.start);
	put_u64(row + PART_SPAN_BYTES, (uint64_t)part->span.bytes);
	put_u64(row + PART_SPAN_MAX, (uint64_t)part->span.max_timestamp);
	put_u64(row + PART_SPAN_OPENED, (uint64_t)part->span.opened_ms);
	for (int i = 0; i < PART_TRAIL; i++) {
		put_u64(row + PART_TRAIL_END(i), (uint64_t)part->trail[i].end);
		put_u64(row + PART_TRAIL_COMMIT(i), part->trail[i].commit);
	}
}

/* --- the trail -------------------------------------------------------------------------------------- */

/* Index of the newest pair whose commit is <= `commit`; the first one where there is none. */
static int
newest_until(const struct part *part, uint64_t commit)
{
	int newest = 0;
	for (int i = 1; i < PART_TRAIL; i++)
		if (part->trail[i].commit <= commit && part->trail[i].commit >= part->trail[newest].commit)
			newest = i;
	return newest;
}

void
part_trail_add(struct part *part, uint64_t durable, uint64_t syncing, uint64_t commit)
{
	struct part old = *part;
	int kept = newest_until(&old, durable), soon = newest_until(&old, syncing);
	if (old.trail[soon].commit < old.trail[kept].commit)
		soon = kept; /* no checkpoint under way */
	part->trail[0] = old.trail[kept];
	part->trail[1] = old.trail[soon];
	part->trail[2].end = part->log_end;
	part->trail[2].commit = commit;
}

int64_t
part_high_watermark(const struct store *store, const struct part *part)
{
	if (store->durability == DURABILITY_RELAXED)
		return part->log_end;
	int64_t end = part->trail[newest_until(part, atomic_load(&store->shared->durable))].end;
	return end < part->log_start ? part->log_start : end;
}

static enum err
mend_row(struct store_txn *txn, const struct scan *s, uint64_t newest, bool *mended)
{
	struct part part;
	part_decode(s->value.at, &part);
	for (int i = 0; i < PART_TRAIL; i++) {
		if (part.trail[i].commit <= newest)
			continue;
		/* The last pair is the log end; with commit 0 in all three it is what counts. */
		for (int k = 0; k < PART_TRAIL; k++) {
			part.trail[k].end = part.log_end;
			part.trail[k].commit = 0;
		}
		uint8_t key[KEY_PART_BYTES], row[PART_BYTES];
		memcpy(key, s->key.at, sizeof(key));
		part_encode(&part, row);
		*mended = true;
		return txn_put(txn, TABLE_PART, key, sizeof(key), row, sizeof(row));
	}
	return ERR_NONE;
}

enum err
part_trails_mend(struct store_txn *txn)
{
	uint64_t newest = store_snapshot(txn);
	bool mended = false;
	enum err e = ERR_NONE;
	struct scan s;
	scan_open(&s, txn, TABLE_PART);
	uint8_t key[KEY_PART_BYTES] = { 0 };
	for (bool row = scan_from(&s, key, sizeof(key)); row && e == ERR_NONE; row = scan_next(&s))
		if (s.key.n == KEY_PART_BYTES && s.value.n == PART_BYTES)
			e = mend_row(txn, &s, newest, &mended);
	enum err scanned = scan_close(&s);
	if (mended)
		diag_info("store was copied, its commits count anew", D_INT("commit", newest));
	return e != ERR_NONE ? e : scanned;
}

/* --- load and touch --------------------------------------------------------------------------------- */

static struct touched *
find_touched(struct store_txn *txn, uint32_t topic, uint32_t index)
{
	/* A turn touches a few dozen partitions at most; the newest is the likeliest. */
	for (int32_t i = txn->touched_n - 1; i >= 0; i--)
		if (txn->touched[i]->index == index && txn->touched[i]->topic == topic)
			return txn->touched[i];
	return NULL;
}

static enum err
load_row(struct store_txn *txn, uint32_t topic, uint32_t index, struct part *out)
{
	uint8_t key[KEY_PART_BYTES];
	key_part(key, topic, index);
	struct bytes row;
	enum err e = txn_get(txn, TABLE_PART, key, sizeof(key), &row);
	if (e != ERR_NONE)
		return e;
	if (row.n == PART_BYTES)
		part_decode(row.at, out);
	else if (row.n < 0)
		*out = (struct part){ .span.max_timestamp = TIMESTAMP_NONE };
	else
		return env_error(txn->store, MDB_CORRUPTED, "read a partition's row");
	return ERR_NONE;
}

enum err
part_load(struct store_txn *txn, uint32_t topic, uint32_t index, struct part *out)
{
	struct touched *touched = find_touched(txn, topic, index);
	if (touched == NULL)
		return load_row(txn, topic, index, out);
	*out = touched->part;
	return ERR_NONE;
}

enum err
part_touch(struct store_txn *txn, uint32_t topic, uint32_t index, struct touched **out)
{
	CHECK(txn->write);
	*out = find_touched(txn, topic, index);
	if (*out != NULL)
		return ERR_NONE;
	struct part part;
	/* Rows of a topic that was deleted a moment ago would never be freed. */
	enum err e = catalog_check(txn, topic);
	if (e == ERR_NONE)
		e = load_row(txn, topic, index, &part);
	if (e != ERR_NONE)
		return e;
	txn->touched = arena_grow(&txn->arena, txn->touched, txn->touched_n, sizeof(*txn->touched));
	*out = arena_alloc(&txn->arena, sizeof(**out));
	txn->touched[txn->touched_n++] = *out;
	**out = (struct touched){ .topic = topic, .index = index, .part = part };
	return ERR_NONE;
}

enum err
part_flush(struct store_txn *txn)
{
	for (int32_t i = 0; i < txn->touched_n; i++) {
		struct touched *touched = txn->touched[i];
		if (!touched->changed)
			continue;
		uint8_t key[KEY_PART_BYTES], row[PART_BYTES];
		key_part(key, touched->topic, touched->index);
		part_encode(&touched->part, row);
		enum err e = txn_put(txn, TABLE_PART, key, sizeof(key), row, sizeof(row));
		if (e != ERR_NONE)
			return e;
		touched->changed = false;
	}
	return ERR_NONE;
}

/* --- store.h ---------------------------------------------------------------------------------------- */

enum err
partition_state(struct store_txn *txn, const struct topic *topic, int32_t index, struct partition *out)
{
	if (index < 0 || index >= topic->partitions)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	struct part part;
	enum err e = part_load(txn, topic->number, (uint32_t)index, &part);
	if (e != ERR_NONE)
		return e;
	int64_t high_watermark = part_high_watermark(txn->store, &part);
	*out = (struct partition){
		.log_start = part.log_start,
		.log_end = part.log_end,
		.high_watermark = high_watermark,
		.last_stable = high_watermark, /* no transactions yet */
		.leader_epoch = part.leader_epoch,
		.bytes = part.bytes,
	};
	return ERR_NONE;
}
