#include <string.h>

#include "common/bytes.h"
#include "storage/producers.h"
#include "storage/txn.h"
#include "tests/powercut/world_internal.h"

/* --- partitions -------------------------------------------------------------------------------------- */

/* The first batch of a slice, in one piece. */
static struct batch
first_batch(struct store_fixture *f, const struct log_slice *slice)
{
	buf_reset(&f->batch);
	for (int32_t i = 0; i < slice->iov_n; i++)
		buf_append(&f->batch, slice->iov[i].iov_base, slice->iov[i].iov_len);
	struct batch_rules rules = { .max_bytes = INT32_MAX, .zstd_allowed = true };
	struct batch_fault fault;
	struct batch batch;
	MUST(batch_check(buf_head(&f->batch), buf_len(&f->batch), &rules, &batch, &fault)); /* its CRC, too */
	return batch;
}

static void
check_batch(const struct batch *b, const struct entry *is)
{
	CHECK(is != NULL && b->crc == is->crc && b->bytes == is->bytes && b->count == is->count);
	CHECK(b->base_offset == is->base && b->last_offset_delta == is->count - 1 && b->leader_epoch == 0);
	CHECK(b->producer_id == is->producer);
	if (is->producer >= 0)
		CHECK(b->producer_epoch == is->epoch && b->base_sequence == is->sequence);
}

static void
check_log(struct store_fixture *f, struct store_txn *txn, const struct topic *topic, int p, int64_t start,
	  int64_t end)
{
	struct log_slice slice;
	struct arena arena = ARENA_EMPTY;
	for (int64_t offset = start; offset < end; offset = slice.next_offset) {
		MUST(log_read(txn, topic, p, offset, end, 1, true, &arena, &slice));
		struct batch batch = first_batch(f, &slice);
		check_batch(&batch, ledger_at(topic->number, p, batch.base_offset));
		CHECK(batch.base_offset == offset || (offset == start && batch.base_offset < offset));
		CHECK(slice.next_offset == batch.base_offset + batch.last_offset_delta + 1);
		arena_reset(&arena);
	}
	arena_free(&arena);
}

static void
check_producer(struct store_txn *txn, const struct topic *topic, int p, int i, int16_t epoch, int32_t next)
{
	uint8_t key[KEY_PROD_BYTES];
	struct bytes row;
	struct producer producer;
	key_numbered(key, topic->number, (uint32_t)p, i);
	MUST(txn_get(txn, TABLE_PROD, key, sizeof(key), &row));
	CHECK((row.n < 0) == (epoch < 0));
	if (row.n < 0)
		return;
	producer_decode(row.at, &producer);
	CHECK(producer.epoch == epoch && producer.batch_n > 0);
	CHECK(producer.batch[producer.batch_n - 1].last_sequence == next - 1);
	for (int b = 0; b < producer.batch_n; b++) {
		int64_t base = producer.batch[b].last_offset - producer.batch[b].last_offset_delta;
		const struct entry *is = ledger_at(topic->number, p, base);
		CHECK(is != NULL && is->producer == i && is->epoch == epoch);
		CHECK(is->sequence + is->count - 1 == producer.batch[b].last_sequence);
	}
}

static void
check_settings(const struct topic *topic, uint32_t settings)
{
	struct topic_setting setting[2];
	int32_t n = world_settings(settings, setting);
	CHECK(topic->setting_n == n);
	for (int32_t i = 0; i < n; i++)
		CHECK(str_eq(topic_setting(topic, "cleanup.policy"), setting[i].value) ||
		      str_eq(topic_setting(topic, "retention.ms"), setting[i].value));
}

static void
check_topic(struct store_fixture *f, const struct world *w, struct store_txn *txn, int t)
{
	const struct world_topic *is = &w->topic[t];
	struct topic topic, by_id;
	if (is->number == 0) {
		CHECK(world_topic_load(f, txn, t, &topic) == ERR_UNKNOWN_TOPIC_OR_PARTITION);
		return;
	}
	MUST(world_topic_load(f, txn, t, &topic));
	MUST(topic_by_id(txn, topic.id, &f->arena, &by_id));
	CHECK(topic.number == is->number && by_id.number == is->number);
	CHECK(topic.partitions == is->partitions && str_eq(topic.name, world_topic_name(t)));
	check_settings(&topic, is->settings);
	for (int p = 0; p < topic.partitions; p++) {
		struct partition state;
		MUST(partition_state(txn, &topic, p, &state));
		CHECK(state.log_start == is->partition[p].start && state.log_end == is->partition[p].end);
		check_log(f, txn, &topic, p, state.log_start, state.log_end);
		for (int i = 0; i < PRODUCERS; i++)
			check_producer(txn, &topic, p, i, is->partition[p].producer[i].epoch,
				       is->partition[p].producer[i].next);
	}
}

/* --- groups ------------------------------------------------------------------------------------------ */

static bool
same(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n <= 0 || memcmp(a.at, b.at, (size_t)a.n) == 0);
}

static void
check_offset(struct store_fixture *f, struct store_txn *txn, uint32_t group, uint32_t topic, int p,
	     int64_t offset)
{
	struct stored_offset row;
	MUST(offsets_fetch(txn, group, topic, p, &f->arena, &row));
	CHECK(row.offset == offset);
	if (offset < 0)
		return;
	struct stored_offset is = world_offset(f, offset);
	CHECK(row.leader_epoch == is.leader_epoch && row.committed_ms == is.committed_ms);
	CHECK(row.metadata.n == is.metadata.n &&
	      memcmp(row.metadata.at, is.metadata.at, (size_t)is.metadata.n) == 0);
}

static void
check_group(struct store_fixture *f, const struct world *w, struct store_txn *txn, int g)
{
	struct stored_group found;
	enum err e = groups_find(txn, world_group_id(g), &f->arena, &found);
	CHECK((e == ERR_GROUP_ID_NOT_FOUND) == (w->group[g].number == 0));
	if (w->group[g].number == 0)
		return;
	MUST(e);
	CHECK(found.number == w->group[g].number && str_eq(found.id, world_group_id(g)));
	if (w->group[g].saves > 0) {
		CHECK(found.empty_since_ms == world_empty_since(w->group[g].saves));
		CHECK(same(found.state, world_group_state(f, found.number, w->group[g].saves)));
	} else {
		CHECK(found.state.n == 0);
	}
	for (int t = 0; t < TOPICS; t++)
		for (int p = 0; p < PARTITIONS && w->topic[t].number != 0; p++)
			check_offset(f, txn, found.number, w->topic[t].number, p, w->group[g].offset[t][p]);
}

/* --- all --------------------------------------------------------------------------------------------- */

void
world_check(struct store_fixture *f, const struct world *w)
{
	struct store_txn *txn = fixture_read(f);
	struct bytes next;
	for (int g = 0; g < GROUPS; g++)
		check_group(f, w, txn, g);
	for (int t = 0; t < TOPICS; t++) {
		check_topic(f, w, txn, t);
		arena_reset(&f->arena);
	}
	MUST(txn_get(txn, TABLE_SYS, "next.producer", 13, &next));
	CHECK((next.n == 8 ? (int64_t)get_u64(next.at) : 0) == w->next_producer);
	store_read_end(txn);
}
