#include "storage/producers.h"

#include "storage/env.h"

#define NO_EPOCH (-1) /* nothing is known */

void
producer_decode(const uint8_t row[PROD_BYTES], struct producer *out)
{
	out->epoch = (int16_t)get_u16(row);
	out->batch_n = (int16_t)get_u16(row + 2);
	out->appended_ms = (int64_t)get_u64(row + 4);
	for (int i = 0; i < PROD_BATCHES; i++) {
		const uint8_t *at = row + 12 + i * 24;
		out->batch[i] = (struct producer_batch){ .last_sequence = (int32_t)get_u32(at),
							 .last_offset_delta = (int32_t)get_u32(at + 4),
							 .last_offset = (int64_t)get_u64(at + 8),
							 .timestamp = (int64_t)get_u64(at + 16) };
	}
}

void
producer_encode(const struct producer *producer, uint8_t row[PROD_BYTES])
{
	memset(row, 0, PROD_BYTES);
	put_u16(row, (uint16_t)producer->epoch);
	put_u16(row + 2, (uint16_t)producer->batch_n);
	put_u64(row + 4, (uint64_t)producer->appended_ms);
	for (int i = 0; i < producer->batch_n; i++) {
		uint8_t *at = row + 12 + i * 24;
		put_u32(at, (uint32_t)producer->batch[i].last_sequence);
		put_u32(at + 4, (uint32_t)producer->batch[i].last_offset_delta);
		put_u64(at + 8, (uint64_t)producer->batch[i].last_offset);
		put_u64(at + 16, (uint64_t)producer->batch[i].timestamp);
	}
}

/* Sequences run from 0 to 2^31-1 and begin again. */
static int32_t
sequence_plus(int32_t sequence, int32_t n)
{
	return (int32_t)(((uint32_t)sequence + (uint32_t)n) & INT32_MAX);
}

static enum err
load(struct store_txn *txn, const struct touched *touched, int64_t id, struct producer *out)
{
	uint8_t key[KEY_PROD_BYTES];
	key_numbered(key, touched->topic, touched->index, id);
	struct bytes row;
	enum err e = txn_get(txn, TABLE_PROD, key, sizeof(key), &row);
	if (e != ERR_NONE)
		return e;
	*out = (struct producer){ .epoch = NO_EPOCH };
	if (row.n < 0)
		return ERR_NONE;
	if (row.n != PROD_BYTES || get_u16(row.at + 2) > PROD_BATCHES)
		return env_error(txn->store, MDB_CORRUPTED, "read a producer's row");
	producer_decode(row.at, out);
	return ERR_NONE;
}

static bool
find_duplicate(const struct producer *p, const struct batch *batch, struct producer_batch *original)
{
	int32_t last = sequence_plus(batch->base_sequence, batch->last_offset_delta);
	for (int i = 0; i < p->batch_n; i++) {
		if (p->batch[i].last_sequence == last &&
		    p->batch[i].last_offset_delta == batch->last_offset_delta) {
			*original = p->batch[i];
			return true;
		}
	}
	return false;
}

static enum err
check_order(const struct producer *p, const struct batch *batch)
{
	if (p->batch_n == 0 && p->epoch == NO_EPOCH)
		return ERR_NONE;
	if (batch->producer_epoch < p->epoch)
		return ERR_INVALID_PRODUCER_EPOCH;
	int32_t expected = 0;
	if (batch->producer_epoch == p->epoch && p->batch_n > 0)
		expected = sequence_plus(p->batch[p->batch_n - 1].last_sequence, 1);
	return batch->base_sequence == expected ? ERR_NONE : ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

enum err
producers_check(struct store_txn *txn, const struct touched *touched, const struct batch *batch,
		struct producer *producer, bool *duplicate, struct producer_batch *original)
{
	*duplicate = false;
	if (batch->producer_id < 0)
		return ERR_NONE;
	enum err e = load(txn, touched, batch->producer_id, producer);
	if (e != ERR_NONE)
		return e;
	*duplicate = batch->producer_epoch == producer->epoch && find_duplicate(producer, batch, original);
	return *duplicate ? ERR_NONE : check_order(producer, batch);
}

enum err
producers_add(struct store_txn *txn, const struct touched *touched, const struct batch *batch,
	      int64_t timestamp, struct producer *p)
{
	if (batch->producer_id < 0)
		return ERR_NONE;
	if (p->epoch != batch->producer_epoch)
		p->batch_n = 0;
	p->epoch = batch->producer_epoch;
	p->appended_ms = txn_now_ms(txn);
	if (p->batch_n == PROD_BATCHES) {
		memmove(&p->batch[0], &p->batch[1], (PROD_BATCHES - 1) * sizeof(p->batch[0]));
		p->batch_n--;
	}
	p->batch[p->batch_n++] = (struct producer_batch){
		.last_sequence = sequence_plus(batch->base_sequence, batch->last_offset_delta),
		.last_offset_delta = batch->last_offset_delta,
		.last_offset = touched->part.log_end - 1,
		.timestamp = timestamp,
	};
	uint8_t key[KEY_PROD_BYTES], row[PROD_BYTES];
	key_numbered(key, touched->topic, touched->index, batch->producer_id);
	producer_encode(p, row);
	return txn_put(txn, TABLE_PROD, key, sizeof(key), row, sizeof(row));
}

enum err
producer_id_next(struct store_txn *txn, int64_t *out)
{
	struct bytes row;
	enum err e = txn_get(txn, TABLE_SYS, "next.producer", 13, &row);
	if (e != ERR_NONE)
		return e;
	uint64_t next = row.n == 8 ? get_u64(row.at) : 0;
	uint8_t value[8];
	put_u64(value, next + 1);
	*out = (int64_t)next;
	return txn_put(txn, TABLE_SYS, "next.producer", 13, value, sizeof(value));
}
