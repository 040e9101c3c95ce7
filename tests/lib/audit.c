#include "tests/lib/audit.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/crc32c.h"

#define PIECE_BYTES (1 << 20)

struct audit_seen {
	uint32_t topic;
	int32_t index;
	struct partition p;
};

/* Where the partition is in the list, or would be. Topics' numbers grow, so the list is in their order. */
static int
place(const struct audit *a, uint32_t topic, int32_t index)
{
	int from = 0, to = a->n;
	while (from < to) {
		int mid = (from + to) / 2;
		const struct audit_seen *s = &a->seen[mid];
		if (s->topic < topic || (s->topic == topic && s->index < index))
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static struct audit_seen *
seen(struct audit *a, uint32_t topic, int32_t index)
{
	int at = place(a, topic, index);
	if (at < a->n && a->seen[at].topic == topic && a->seen[at].index == index)
		return &a->seen[at];
	if (a->n == a->room) {
		a->room = a->room > 0 ? a->room * 2 : 64;
		a->seen = realloc(a->seen, (size_t)a->room * sizeof(*a->seen));
		CHECK(a->seen != NULL);
	}
	memmove(&a->seen[at + 1], &a->seen[at], (size_t)(a->n++ - at) * sizeof(*a->seen));
	a->seen[at] = (struct audit_seen){ .topic = topic, .index = index };
	return &a->seen[at];
}

/* The first batch in these bytes, which must be whole and undamaged. */
static struct batch
first_batch(const uint8_t *at, size_t n)
{
	struct batch batch;
	CHECK(batch_parse(at, n, &batch));
	CHECK(crc32c(batch.at + 21, (size_t)batch.bytes - 21) == batch.crc);
	CHECK(batch.last_offset_delta >= 0);
	return batch;
}

/* Behind the last batch of the slice. */
static int64_t
read_slice(const struct log_slice *slice, int64_t offset, bool first)
{
	struct buf all = BUF_EMPTY;
	for (int32_t i = 0; i < slice->iov_n; i++)
		buf_append(&all, slice->iov[i].iov_base, slice->iov[i].iov_len);
	for (size_t at = 0; at < buf_len(&all);) {
		struct batch batch = first_batch(buf_head(&all) + at, buf_len(&all) - at);
		/* The log may begin within a batch. */
		CHECK(first ? batch.base_offset <= offset : batch.base_offset == offset);
		offset = batch.base_offset + batch.last_offset_delta + 1;
		at += (size_t)batch.bytes;
		first = false;
	}
	CHECK(offset == slice->next_offset);
	buf_free(&all);
	return offset;
}

static void
read_log(struct audit *a, struct store_txn *txn, const struct topic *t, int32_t index,
	 const struct partition *p)
{
	int64_t offset = p->log_start;
	while (offset < p->log_end) {
		struct log_slice slice = { 0 };
		CHECK(log_read(txn, t, index, offset, p->log_end, PIECE_BYTES, true, &a->arena, &slice) ==
		      ERR_NONE);
		CHECK(slice.bytes > 0);
		offset = read_slice(&slice, offset, offset == p->log_start);
	}
	CHECK(offset == p->log_end);
}

static void
look(struct audit *a, struct store_txn *txn, const struct topic *t, int32_t index, bool records)
{
	struct partition p;
	CHECK(partition_state(txn, t, index, &p) == ERR_NONE);
	CHECK(p.log_start >= 0 && p.log_start <= p.high_watermark && p.high_watermark <= p.log_end);
	CHECK(p.last_stable <= p.high_watermark);

	struct audit_seen *was = seen(a, t->number, index);
	CHECK(p.log_start >= was->p.log_start && p.log_end >= was->p.log_end);
	CHECK(p.high_watermark >= was->p.high_watermark);
	was->p = p;
	if (records)
		read_log(a, txn, t, index, &p);
}

int
audit_store(struct audit *a, struct store *store, bool records)
{
	struct store_txn *txn;
	struct topic t;
	enum err e = ERR_NONE;
	int n = 0;
	CHECK(store_read(store, &txn) == ERR_NONE);
	arena_reset(&a->arena);
	for (struct str name = STR_NULL; topic_after(txn, name, &a->arena, &t, &e); name = t.name, n++)
		for (int32_t i = 0; i < t.partitions && i < AUDIT_PARTITIONS; i++)
			look(a, txn, &t, i, records);
	CHECK(e == ERR_NONE);
	store_read_end(txn);
	return n;
}

void
audit_end(struct audit *a)
{
	free(a->seen);
	arena_free(&a->arena);
	*a = (struct audit){ 0 };
}
