#include "storage/append.h"

#include "common/crc32c.h"
#include "storage/env.h"
#include "storage/producers.h"
#include "storage/timeindex.h"

/* The engine spills beyond 512 MB, and leaks when it does. */
#define TXN_BYTES_MAX ((uint64_t)256 * 1024 * 1024)

#define AT_LEADER_EPOCH  12
#define AT_CRC           17
#define AT_ATTRIBUTES    21
#define AT_MAX_TIMESTAMP 35
#define ATTR_LOG_APPEND  0x08u

/* --- runs become rows ------------------------------------------------------------------------------- */

/* Where in the pieces the next byte is to be taken from. */
struct source {
	const struct iovec *piece;
	size_t at;
};

static void
take(struct source *from, uint8_t *to, size_t n)
{
	while (n > 0) {
		size_t here = from->piece->iov_len - from->at;
		if (here > n)
			here = n;
		memcpy(to, (const uint8_t *)from->piece->iov_base + from->at, here);
		to += here;
		n -= here;
		from->at += here;
		if (from->at == from->piece->iov_len) {
			from->piece++;
			from->at = 0;
		}
	}
}

/*
 * A row above LEAF_BYTES gets a page of its own, others lie in a leaf among the keys. There a long one costs more than
 * a page: only one or two of them fit, so nearly every append to such a partition would split a leaf. Therefore,
 * instead of a whole row and such a rest, the end of a run is two halves, a page each.
 */
#define LEAF_BYTES       2010
#define SHORT_REST_BYTES (ROW_BYTES / 3)

static size_t
next_row_bytes(int64_t left)
{
	if (left > ROW_BYTES + SHORT_REST_BYTES && left <= ROW_BYTES + LEAF_BYTES)
		return (size_t)(left + 1) / 2;
	return (size_t)(left < ROW_BYTES ? left : ROW_BYTES);
}

static void
write_run(struct scan *s, struct touched *touched)
{
	struct pending_run *run = &touched->run;
	struct source from = { .piece = run->piece };
	size_t n;
	for (int64_t pos = 0; pos < run->bytes; pos += (int64_t)n) {
		n = next_row_bytes(run->bytes - pos);
		uint8_t key[KEY_LOG_BYTES];
		key_log(key, touched->topic, touched->index, run->last_offset, (uint32_t)pos);
		uint8_t *row = scan_new_row(s, key, sizeof(key), n);
		if (row == NULL)
			break;
		take(&from, row, n);
	}
	run->bytes = 0;
	run->piece_n = 0;
}

/* One cursor for all runs: in the neighbourhood of the last one it need not go down the tree again. */
static enum err
write_runs(struct store_txn *txn, struct touched *const *touched, int32_t n)
{
	if (n == 0)
		return ERR_NONE;
	struct scan s;
	scan_open(&s, txn, TABLE_LOG);
	for (int32_t i = 0; i < n && s.err == ERR_NONE; i++)
		write_run(&s, touched[i]);
	return scan_close(&s);
}

enum err
append_flush(struct store_txn *txn)
{
	return write_runs(txn, txn->touched, txn->touched_n);
}

static void
add_piece(struct store_txn *txn, struct pending_run *run, uint8_t *at, int32_t bytes)
{
	if (run->piece_n == run->piece_cap) {
		int32_t cap = run->piece_cap > 0 ? run->piece_cap * 2 : 8;
		struct iovec *bigger = arena_array(&txn->arena, (size_t)cap, sizeof(*bigger));
		if (run->piece_n > 0)
			memcpy(bigger, run->piece, (size_t)run->piece_n * sizeof(*bigger));
		run->piece = bigger;
		run->piece_cap = cap;
	}
	run->piece[run->piece_n++] = (struct iovec){ .iov_base = at, .iov_len = (size_t)bytes };
	run->bytes += bytes;
}

/* --- the batch's own bytes -------------------------------------------------------------------------- */

/* Neither of the two is covered by the CRC; the timestamps are. */
static void
stamp(uint8_t *at, const struct batch *batch, const struct part *part, int64_t log_append_time_ms)
{
	put_u64(at, (uint64_t)part->log_end);
	put_u32(at + AT_LEADER_EPOCH, (uint32_t)part->leader_epoch);
	uint16_t attributes = get_u16(at + AT_ATTRIBUTES);
	int64_t max_timestamp = batch->max_timestamp;
	if (log_append_time_ms >= 0) {
		attributes |= ATTR_LOG_APPEND;
		max_timestamp = log_append_time_ms;
	}
	if (attributes == get_u16(at + AT_ATTRIBUTES) &&
	    (uint64_t)max_timestamp == get_u64(at + AT_MAX_TIMESTAMP))
		return;
	put_u16(at + AT_ATTRIBUTES, attributes);
	put_u64(at + AT_MAX_TIMESTAMP, (uint64_t)max_timestamp);
	put_u32(at + AT_CRC, crc32c(at + AT_ATTRIBUTES, (size_t)batch->bytes - AT_ATTRIBUTES));
}

/* --- store.h ---------------------------------------------------------------------------------------- */

static enum err
add(struct store_txn *txn, struct touched *touched, uint8_t *at, const struct batch *batch,
    int64_t max_timestamp)
{
	struct part *part = &touched->part;
	struct pending_run *run = &touched->run;
	enum err e = ERR_NONE;
	if (run->bytes > 0 && run->bytes + batch->bytes > RUN_BYTES)
		e = write_runs(txn, &touched, 1);
	if (e == ERR_NONE)
		e = timeindex_add(txn, touched, max_timestamp, batch->bytes);
	if (e != ERR_NONE)
		return e;
	add_piece(txn, run, at, batch->bytes);
	run->last_offset = part->log_end + batch->last_offset_delta;
	part->log_end = run->last_offset + 1;
	part->bytes += batch->bytes;
	const struct store_shared *shared = txn->store->shared;
	part_trail_add(part, atomic_load(&shared->durable), atomic_load(&shared->syncing), txn_number(txn));
	touched->changed = true;
	txn->changed = true;
	txn->appended_bytes += (uint64_t)batch->bytes;
	return ERR_NONE;
}

static enum err
may_append(const struct store_txn *txn, const struct topic *topic, int32_t index, const struct batch *batch)
{
	CHECK(txn->write);
	if (index < 0 || index >= topic->partitions)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (txn->failed || store_is_full(txn->store))
		return ERR_KAFKA_STORAGE_ERROR;
	if (txn->appended_bytes > 0 && txn->appended_bytes + (uint64_t)batch->bytes > TXN_BYTES_MAX)
		return ERR_RECORD_LIST_TOO_LARGE;
	return ERR_NONE;
}

enum err
log_append(struct store_txn *txn, const struct topic *topic, int32_t index, uint8_t *at,
	   const struct batch *batch, int64_t log_append_time_ms, struct append_result *out)
{
	enum err e = may_append(txn, topic, index, batch);
	struct touched *touched;
	if (e == ERR_NONE)
		e = part_touch(txn, topic->number, (uint32_t)index, &touched);
	struct producer producer;
	struct producer_batch original;
	bool duplicate = false;
	if (e == ERR_NONE)
		e = producers_check(txn, touched, batch, &producer, &duplicate, &original);
	if (e != ERR_NONE)
		return e;
	*out =
	    (struct append_result){ .base_offset = touched->part.log_end,
				    .log_start = touched->part.log_start,
				    .log_append_time_ms = log_append_time_ms >= 0 ? log_append_time_ms : -1,
				    .duplicate = duplicate };
	if (duplicate) {
		out->base_offset = original.last_offset - original.last_offset_delta;
		if (log_append_time_ms >= 0)
			out->log_append_time_ms = original.timestamp;
		return ERR_NONE;
	}
	int64_t max_timestamp = log_append_time_ms >= 0 ? log_append_time_ms : batch->max_timestamp;
	stamp(at, batch, &touched->part, log_append_time_ms);
	e = add(txn, touched, at, batch, max_timestamp);
	return e == ERR_NONE ? producers_add(txn, touched, batch, max_timestamp, &producer) : e;
}
