#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "storage/txn.h"
#include "tests/powercut/disk.h"
#include "tests/powercut/world_internal.h"

#define NUMBERS 1024 /* of topics, in a run */

/* --- the ledger -------------------------------------------------------------------------------------- */

static struct shelf {
	struct entry *at;
	int32_t n, cap;
} (*ledger)[PARTITIONS];

void
world_ledger_begin(void)
{
	ledger = disk_alloc(NUMBERS * sizeof(*ledger));
}

/* What was to come behind it never did: another history is written now. */
static void
ledger_add(uint32_t topic, int p, struct entry e)
{
	CHECK(topic < NUMBERS);
	struct shelf *shelf = &ledger[topic][p];
	while (shelf->n > 0 && shelf->at[shelf->n - 1].base >= e.base)
		shelf->n--;
	if (shelf->n == shelf->cap) {
		int32_t cap = shelf->cap > 0 ? shelf->cap * 2 : 16;
		struct entry *bigger = disk_alloc((size_t)cap * sizeof(*bigger));
		if (shelf->n > 0)
			memcpy(bigger, shelf->at, (size_t)shelf->n * sizeof(*bigger));
		shelf->at = bigger;
		shelf->cap = cap;
	}
	shelf->at[shelf->n++] = e;
}

const struct entry *
ledger_at(uint32_t topic, int p, int64_t base)
{
	const struct shelf *shelf = &ledger[topic][p];
	int32_t low = 0, high = shelf->n;
	while (low < high) {
		int32_t middle = low + (high - low) / 2;
		if (shelf->at[middle].base < base)
			low = middle + 1;
		else
			high = middle;
	}
	return low < shelf->n && shelf->at[low].base == base ? &shelf->at[low] : NULL;
}

/* --- topics ------------------------------------------------------------------------------------------ */

struct str
world_topic_name(int t)
{
	static const char *const name[TOPICS] = { "a", "b.long-name-with-a-dot", "c", "d_" };
	return str_of(name[t]);
}

enum err
world_topic_load(struct store_fixture *f, struct store_txn *txn, int t, struct topic *out)
{
	return topic_by_name(txn, world_topic_name(t), &f->arena, out);
}

int32_t
world_settings(uint32_t settings, struct topic_setting out[2])
{
	out[0] = (struct topic_setting){ STR("retention.ms"), STR("1000") };
	out[1] = (struct topic_setting){ STR("cleanup.policy"), STR("delete") };
	return (int32_t)(settings % 3);
}

static void
forget_offsets(struct world *w, int t)
{
	for (int g = 0; g < GROUPS; g++)
		memset(w->group[g].offset[t], 0xff, sizeof(w->group[g].offset[t]));
}

static void
forget_producers(struct world_topic *t)
{
	for (int p = 0; p < PARTITIONS; p++)
		for (int i = 0; i < PRODUCERS; i++)
			t->partition[p].producer[i].epoch = -1;
}

static void
make_topic(struct store_fixture *f, struct world *w, struct store_txn *txn, int t, uint64_t *seed)
{
	struct topic topic;
	struct topic_setting setting[2];
	uint32_t settings = (uint32_t)(test_random(seed) % 3);
	int32_t partitions = (int32_t)(1 + test_random(seed) % PARTITIONS);
	int32_t n = world_settings(settings, setting);
	MUST(topic_create(txn, world_topic_name(t), partitions, setting, n, &f->arena, &topic));
	w->topic[t] =
	    (struct world_topic){ .number = topic.number, .settings = settings, .partitions = partitions };
	forget_producers(&w->topic[t]);
}

static void
change_topic(struct store_fixture *f, struct world *w, struct store_txn *txn, int t, uint64_t *seed)
{
	struct world_topic *is = &w->topic[t];
	struct topic topic;
	struct topic_setting setting[2];
	MUST(world_topic_load(f, txn, t, &topic));
	switch (test_random(seed) % 3) {
	case 0:
		MUST(topic_delete(txn, &topic));
		memset(is, 0, sizeof(*is));
		forget_offsets(w, t);
		return;
	case 1:
		if (is->partitions < PARTITIONS)
			MUST(topic_grow(txn, &topic, ++is->partitions));
		return;
	default:
		is->settings = (uint32_t)(test_random(seed) % 3);
		MUST(topic_configure(txn, &topic, setting, world_settings(is->settings, setting)));
	}
}

/* --- records ----------------------------------------------------------------------------------------- */

static struct batch_spec
some_batch(uint64_t *seed)
{
	uint64_t h = test_random(seed);
	return (struct batch_spec){ .count = 1 + (int32_t)(h % 4),
				    .seed = h,
				    .producer_id = -1,
				    .timestamp = h % 3 == 0 ? NOW_MS - 5000 : NOW_MS,
				    .value_bytes = (int32_t)(h % 9 == 0 ? h % 9000 : h % 1000) };
}

/* Producer i goes on, or begins a new epoch. */
static void
choose_producer(struct world_topic *is, int p, struct batch_spec *spec, uint64_t *seed)
{
	int i = (int)(test_random(seed) % (PRODUCERS + 1));
	if (i == PRODUCERS)
		return;
	bool anew = is->partition[p].producer[i].epoch < 0 || test_random(seed) % 16 == 0;
	if (anew) {
		is->partition[p].producer[i].epoch++;
		is->partition[p].producer[i].next = 0;
	}
	spec->idempotent = true;
	spec->producer_id = i;
	spec->producer_epoch = is->partition[p].producer[i].epoch;
	spec->base_sequence = is->partition[p].producer[i].next;
	is->partition[p].producer[i].next += spec->count;
}

/* A retry of it adds nothing, and is told where the first one is. */
static void
append_again(struct store_fixture *f, struct store_txn *txn, const struct topic *topic, int p,
	     const struct batch_spec *spec, int64_t base)
{
	struct append_result result;
	MUST(fixture_append_in(f, txn, topic, p, spec, &result));
	CHECK(result.duplicate && result.base_offset == base);
}

static void
append(struct store_fixture *f, struct world *w, struct store_txn *txn, int t, int p, uint64_t *seed)
{
	struct world_topic *is = &w->topic[t];
	struct topic topic;
	struct append_result result;
	struct batch_spec spec = some_batch(seed);
	choose_producer(is, p, &spec, seed);
	MUST(world_topic_load(f, txn, t, &topic));
	MUST(fixture_append_in(f, txn, &topic, p, &spec, &result));
	CHECK(!result.duplicate && result.base_offset == is->partition[p].end);
	ledger_add(is->number, p,
		   (struct entry){ .base = result.base_offset,
				   .producer = spec.producer_id,
				   .count = spec.count,
				   .bytes = (int32_t)buf_len(&f->batch),
				   .sequence = spec.base_sequence,
				   .crc = get_u32(buf_head(&f->batch) + 17),
				   .epoch = spec.producer_epoch });
	is->partition[p].end += spec.count;
	if (spec.idempotent && test_random(seed) % 8 == 0)
		append_again(f, txn, &topic, p, &spec, result.base_offset);
}

/* As DeleteRecords does: anywhere up to the high watermark, also in the middle of a batch. */
static void
trim(struct store_fixture *f, struct world *w, struct store_txn *txn, int t, int p, uint64_t *seed)
{
	struct topic topic;
	struct partition state;
	MUST(world_topic_load(f, txn, t, &topic));
	MUST(partition_state(txn, &topic, p, &state));
	if (state.high_watermark <= state.log_start)
		return;
	uint64_t there = (uint64_t)(state.high_watermark - state.log_start);
	int64_t before = state.log_start + (int64_t)(test_random(seed) % there);
	MUST(log_trim(txn, &topic, p, before));
	w->topic[t].partition[p].start = before;
}

/* --- groups: the last one's id is long --------------------------------------------------------------- */

struct str
world_group_id(int g)
{
	static char id[700];
	memset(id, 'a' + g, sizeof(id));
	return (struct str){ .at = id, .n = g == GROUPS - 1 ? (int32_t)sizeof(id) : 2 };
}

int64_t
world_empty_since(uint32_t saves)
{
	return saves % 3 == 0 ? 1 : saves % 3 == 1 ? -1 : 2 * NOW_MS;
}

struct bytes
world_group_state(struct store_fixture *f, uint32_t number, uint32_t saves)
{
	int32_t n = 1 + (int32_t)((saves * 2654435761u) % 9000);
	uint8_t *at = arena_alloc(&f->arena, (size_t)n);
	for (int32_t i = 0; i < n; i++)
		at[i] = (uint8_t)((uint32_t)i * 31 + saves * 7 + number);
	return (struct bytes){ .at = at, .n = n };
}

bool
world_offset_expires(int64_t offset)
{
	return offset % 4 == 0;
}

struct stored_offset
world_offset(struct store_fixture *f, int64_t offset)
{
	int32_t n = offset % 7 == 0 ? 6000 : (int32_t)(offset % 50);
	char *at = arena_alloc(&f->arena, (size_t)n + 1);
	memset(at, 'a' + (int)(offset % 26), (size_t)n);
	return (struct stored_offset){ .offset = offset,
				       .leader_epoch = (int32_t)(offset % 3),
				       .committed_ms = world_offset_expires(offset) ? 1 : 2 * NOW_MS,
				       .expires_ms = -1,
				       .metadata = { .at = at, .n = n } };
}

static void
forget_group(struct world *w, int g)
{
	memset(&w->group[g], 0, sizeof(w->group[g]));
	memset(w->group[g].offset, 0xff, sizeof(w->group[g].offset));
}

static void
save_group(struct store_fixture *f, struct world *w, struct store_txn *txn, int g, uint64_t *seed)
{
	uint32_t number, saves = (uint32_t)(test_random(seed) % 1000 + 1);
	MUST(groups_open(txn, world_group_id(g), &number));
	CHECK(w->group[g].number == 0 || w->group[g].number == number);
	MUST(groups_save(txn, world_group_id(g), world_group_state(f, number, saves),
			 world_empty_since(saves)));
	w->group[g].number = number;
	w->group[g].saves = saves;
}

static void
commit_offsets(struct store_fixture *f, struct world *w, struct store_txn *txn, int g, uint64_t *seed)
{
	uint32_t number;
	MUST(groups_open(txn, world_group_id(g), &number));
	CHECK(w->group[g].number == 0 || w->group[g].number == number);
	w->group[g].number = number;
	for (int i = 0; i < 2; i++) {
		int t = (int)(test_random(seed) % TOPICS), p = (int)(test_random(seed) % PARTITIONS);
		int64_t offset = (int64_t)(test_random(seed) % 100000);
		struct stored_offset row = world_offset(f, offset);
		if (w->topic[t].number == 0)
			continue;
		if (test_random(seed) % 8 == 0)
			MUST(offsets_delete(txn, number, w->topic[t].number, p));
		else
			MUST(offsets_commit(txn, number, w->topic[t].number, p, &row));
		struct stored_offset now;
		MUST(offsets_fetch(txn, number, w->topic[t].number, p, &f->arena, &now));
		CHECK(now.offset == offset || now.offset == -1);
		w->group[g].offset[t][p] = now.offset;
	}
}

static void
change_group(struct store_fixture *f, struct world *w, struct store_txn *txn, uint64_t *seed)
{
	int g = (int)(test_random(seed) % GROUPS);
	uint64_t kind = test_random(seed) % 16;
	if (kind == 0 && w->group[g].number != 0) {
		MUST(groups_delete(txn, world_group_id(g)));
		forget_group(w, g);
	} else if (kind < 6) {
		save_group(f, w, txn, g, seed);
	} else {
		commit_offsets(f, w, txn, g, seed);
	}
}

/* --- anything ---------------------------------------------------------------------------------------- */

void
world_begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	for (int g = 0; g < GROUPS; g++)
		forget_group(w, g);
}

void
world_write(struct store_fixture *f, struct world *w, struct store_txn *txn, uint64_t *seed)
{
	int t = (int)(test_random(seed) % TOPICS);
	if (w->topic[t].number == 0)
		make_topic(f, w, txn, t, seed);
	else if (test_random(seed) % 20 == 0)
		change_topic(f, w, txn, t, seed);
	for (uint64_t n = test_random(seed) % 4; n < 4; n++) {
		t = (int)(test_random(seed) % TOPICS);
		if (w->topic[t].number == 0)
			continue;
		int p = (int)(test_random(seed) % (uint64_t)w->topic[t].partitions);
		if (test_random(seed) % 16 == 0)
			trim(f, w, txn, t, p, seed);
		else
			append(f, w, txn, t, p, seed);
	}
	for (uint64_t n = test_random(seed) % 3; n < 2; n++)
		change_group(f, w, txn, seed);
	int64_t id;
	if (test_random(seed) % 10 == 0) {
		MUST(producer_id_next(txn, &id));
		CHECK(id == w->next_producer++);
	}
}

void
world_clean(struct store_fixture *f, uint64_t *seed)
{
	bool more;
	uint64_t kind = test_random(seed);
	struct clean_rules rules = { .retention_ms = -1,
				     .retention_bytes = kind % 2 == 0 ? 8000 : 30000,
				     .delete_by_default = true,
				     .producer_expiry_ms = kind % 16 == 1 ? 1 : -1,
				     .offsets_retention_ms = 1,
				     .now_ms = NOW_MS,
				     .deleted_only = kind % 16 == 2 };
	MUST(store_clean(f->store, &rules, &more));
}

/* --- what the cleaner did ---------------------------------------------------------------------------- */

static void
look_at_partition(struct store_fixture *f, struct world *w, struct store_txn *txn, const struct topic *topic,
		  int t, int p)
{
	struct partition state;
	int64_t *start = &w->topic[t].partition[p].start;
	MUST(partition_state(txn, topic, p, &state));
	CHECK(state.log_start == *start ||
	      (state.log_start > *start && state.log_start <= state.high_watermark));
	*start = state.log_start;
	for (int i = 0; i < PRODUCERS; i++) {
		uint8_t key[KEY_PROD_BYTES];
		struct bytes row;
		key_numbered(key, topic->number, (uint32_t)p, i);
		MUST(txn_get(txn, TABLE_PROD, key, sizeof(key), &row));
		if (row.n < 0)
			w->topic[t].partition[p].producer[i].epoch = -1;
	}
	(void)f;
}

static void
look_at_group(struct store_fixture *f, struct world *w, struct store_txn *txn, int g)
{
	struct stored_offset row;
	uint32_t number;
	if (w->group[g].number == 0)
		return;
	enum err e = groups_number(txn, world_group_id(g), &number);
	if (e == ERR_GROUP_ID_NOT_FOUND) {
		for (int i = 0; i < TOPICS * PARTITIONS; i++) {
			int64_t offset = w->group[g].offset[i / PARTITIONS][i % PARTITIONS];
			CHECK(offset < 0 || world_offset_expires(offset));
		}
		forget_group(w, g);
		return;
	}
	MUST(e);
	for (int t = 0; t < TOPICS; t++) {
		for (int p = 0; p < PARTITIONS && w->topic[t].number != 0; p++) {
			int64_t *offset = &w->group[g].offset[t][p];
			MUST(offsets_fetch(txn, number, w->topic[t].number, p, &f->arena, &row));
			CHECK(row.offset == *offset || (row.offset < 0 && world_offset_expires(*offset)));
			*offset = row.offset;
		}
	}
}

void
world_look(struct store_fixture *f, struct world *w)
{
	struct store_txn *txn = fixture_read(f);
	for (int g = 0; g < GROUPS; g++)
		look_at_group(f, w, txn, g);
	for (int t = 0; t < TOPICS; t++) {
		struct topic topic;
		if (w->topic[t].number == 0)
			continue;
		MUST(world_topic_load(f, txn, t, &topic));
		for (int p = 0; p < topic.partitions; p++)
			look_at_partition(f, w, txn, &topic, t, p);
	}
	store_read_end(txn);
	arena_reset(&f->arena);
}
