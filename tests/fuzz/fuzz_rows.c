/*
 * fuzz_rows: a store whose rows are damaged, with pages that are whole: what a fault of our own, or of the disk below,
 * may leave. (Damaged pages are the engine's matter: it does not survive all of them.)
 *
 * After a first byte the input is a list of changes: table u8, row u8, position u8, length u8, and so many bytes. The
 * row's value has these bytes at four times that position from then on, and grows where it must; no bytes: it ends
 * there. Rows from 128 on are the same ones again, but then the key is changed, and the row is a new one.
 *
 * Everything that can be read is read, everything that writes is tried, and it comes to an end. In most inputs all of it
 * happens in one transaction, which is undone; where the first byte is 1 it is committed, cleaned, and the store
 * made anew.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/cleaner_groups.h"
#include "broker/group.h"
#include "common/clock.h"
#include "common/diag.h"
#include "storage/txn.h"
#include "tests/lib/store_fixture.h"

#define STEPS_MOST      2000 /* of the cleaner */
#define PARTITIONS_MOST 8
#define READS_MOST      64
#define COMMIT          1

static struct store_fixture f;
static bool is_open;

/* --- a small store with a row of every kind --------------------------------------------------------------- */

static void
fill_topic(const char *name, int batches)
{
	struct topic t = fixture_topic_with(&f, name, 2, (const char *const[]){ "retention.ms=1000", NULL });
	for (int i = 0; i < batches; i++)
		fixture_append(&f, &t, i % 2,
			       &(struct batch_spec){ .count = 3,
						     .value_bytes = i % 4 == 0 ? 9000 : 10,
						     .codec = i % 3 == 0 ? CODEC_LZ4 : CODEC_NONE,
						     .timestamp = 1000 + i,
						     .idempotent = i % 2 == 1,
						     .producer_id = 5,
						     .base_sequence = i / 2 * 3 });
}

/* A row of `time` as if there had been a megabyte, which would take its time. */
static void
close_span(const char *topic)
{
	uint8_t key[KEY_TIME_BYTES], value[TIME_BYTES];
	struct topic t;
	struct store_txn *txn = fixture_write(&f);
	MUST(topic_by_name(txn, str_of(topic), &f.arena, &t));
	for (int64_t last = 5; last < 12; last += 6) {
		key_numbered(key, t.number, 0, last);
		put_u64(value, 1000 + (uint64_t)last);
		put_u64(value + 8, 9000);
		put_u64(value + 16, 1000);
		MUST(txn_put(txn, TABLE_TIME, key, sizeof(key), value, sizeof(value)));
	}
	fixture_commit(txn);
}

static void
fill_group(const char *id, const char *topic)
{
	static const uint8_t state[] = "the broker's own";
	struct stored_offset offset = { .offset = 3, .expires_ms = -1, .metadata = STR("m") };
	struct topic t;
	uint32_t number;
	struct store_txn *txn = fixture_write(&f);
	MUST(topic_by_name(txn, str_of(topic), &f.arena, &t));
	MUST(groups_save(txn, str_of(id), (struct bytes){ .at = state, .n = sizeof(state) }, 1));
	MUST(groups_open(txn, str_of(id), &number));
	for (int32_t i = 0; i < 2; i++)
		MUST(offsets_commit(txn, number, t.number, i, &offset));
	fixture_commit(txn);
}

static void
delete_some(void)
{
	struct topic t;
	struct store_txn *txn = fixture_write(&f);
	MUST(topic_by_name(txn, STR("gone"), &f.arena, &t));
	MUST(topic_delete(txn, &t));
	MUST(groups_delete(txn, STR("ggone")));
	fixture_commit(txn);
}

static void
close_store(void)
{
	if (is_open)
		fixture_end(&f);
	is_open = false;
}

static void
open_store(void)
{
	static bool once;
	if (!once)
		CHECK(atexit(close_store) == 0);
	once = is_open = true;
	diag_setup(DIAG_ERROR, DIAG_TEXT);
	fixture_begin(&f, DURABILITY_DURABLE);
	fill_topic("t", 8);
	fill_topic("gone", 4);
	close_span("t");
	fill_group("g", "t");
	fill_group("ggone", "gone");
	delete_some();
	fixture_checkpoint(&f);
}

/* --- damage ----------------------------------------------------------------------------------------------- */

/* The n-th row, counted round and round. */
static bool
find_row(struct store_txn *txn, enum table table, int n, struct scan *s)
{
	scan_open(s, txn, table);
	bool row = scan_from(s, "", 1);
	if (!row)
		return false;
	for (; n > 0; n--)
		if (!scan_next(s) && !scan_from(s, "", 1))
			return false;
	return true;
}

static size_t
lay_over(uint8_t *to, struct bytes was, size_t at, const uint8_t *with, size_t n)
{
	size_t had = was.n < ROW_BYTES ? (size_t)was.n : ROW_BYTES;
	memset(to, 0, ROW_BYTES);
	memcpy(to, was.at, had);
	if (at > ROW_BYTES - n)
		at = ROW_BYTES - n;
	memcpy(to + at, with, n);
	return n == 0 || at + n > had ? at + n : had;
}

static void
change_row(struct store_txn *txn, const uint8_t *head, const uint8_t *with, size_t n)
{
	uint8_t key[64], value[ROW_BYTES], changed[ROW_BYTES];
	enum table table = (enum table)(head[0] % TABLE_N);
	struct scan s;
	bool found = find_row(txn, table, head[1] % 128, &s);
	size_t key_n = 0, value_n = 0;
	if (found && s.key.n < (int32_t)sizeof(key)) {
		key_n = (size_t)s.key.n;
		memcpy(key, s.key.at, key_n);
		value_n = (size_t)s.value.n < sizeof(value) ? (size_t)s.value.n : sizeof(value);
		memcpy(value, s.value.at, value_n);
	}
	(void)scan_close(&s);
	if (key_n == 0)
		return;
	struct bytes was = { .at = value, .n = (int32_t)value_n };
	if (head[1] >= 128) {
		for (size_t i = 0; i < n; i++)
			key[(head[2] + i) % key_n] = with[i];
	} else {
		value_n = lay_over(changed, was, (size_t)head[2] * 4, with, n);
		was.at = changed;
	}
	(void)!txn_put(txn, table, key, key_n, was.at, value_n);
}

static void
damage(struct store_txn *txn, const uint8_t *at, size_t n)
{
	while (n >= 4) {
		size_t bytes = at[3] < n - 4 ? at[3] : n - 4;
		change_row(txn, at, at + 4, bytes);
		at += 4 + bytes;
		n -= 4 + bytes;
	}
}

/* --- all that reads --------------------------------------------------------------------------------------- */

static void
read_slice(const struct log_slice *slice)
{
	volatile uint8_t sum = 0; /* both ends can be read */
	for (int32_t i = 0; i < slice->iov_n; i++) {
		const uint8_t *at = slice->iov[i].iov_base;
		size_t n = slice->iov[i].iov_len;
		if (n > 0)
			sum ^= at[0] ^ at[n - 1];
	}
	(void)sum;
}

static void
read_log(struct store_txn *txn, const struct topic *t, int32_t index, const struct partition *p)
{
	int64_t offset = p->log_start;
	for (int i = 0; i < READS_MOST; i++) {
		struct log_slice slice = { 0 };
		if (log_read(txn, t, index, offset, p->log_end, 100000, true, &f.arena, &slice) != ERR_NONE ||
		    slice.bytes <= 0)
			return;
		read_slice(&slice);
		if (slice.next_offset <= offset)
			return; /* the batch's own header is damaged: its checksum tells the consumer */
		offset = slice.next_offset;
	}
}

static void
read_partition(struct store_txn *txn, const struct topic *t, int32_t index)
{
	struct log_position at;
	struct partition p;
	if (partition_state(txn, t, index, &p) != ERR_NONE)
		return;
	read_log(txn, t, index, &p);
	for (int64_t time = -1; time < 1010; time += 337)
		(void)!log_find_time(txn, t, index, time, p.log_end, &at);
	(void)!log_max_timestamp(txn, t, index, p.log_end, &at);
}

static void
read_topics(struct store_txn *txn)
{
	struct topic t;
	struct str name = STR_NULL;
	enum err e; /* what cannot be read is what this is about */
	for (int n = 0; n < 100 && topic_after(txn, name, &f.arena, &t, &e); n++) {
		name = t.name;
		(void)!topic_by_id(txn, t.id, &f.arena, &t);
		(void)topic_setting(&t, "retention.ms");
		for (int32_t i = 0; i < t.partitions && i < PARTITIONS_MOST; i++)
			read_partition(txn, &t, i);
	}
}

static void
read_groups(struct store_txn *txn)
{
	static const struct group_rules rules;
	struct stored_group g = { 0 };
	struct stored_offset o;
	enum err e;
	for (int n = 0; n < 100 && groups_after(txn, g.number, &f.arena, &g, &e); n++) {
		uint32_t topic = 0;
		int32_t partition = 0;
		for (int i = 0; i < 100 && offsets_next(txn, g.number, &topic, &partition, &f.arena, &o, &e);
		     i++)
			partition++;
		group_free(group_decode(g.id, &rules, g.state, 0));
	}
	(void)!groups_find(txn, STR("g"), &f.arena, &g);
}

/* --- all that writes -------------------------------------------------------------------------------------- */

static void
write_topic(struct store_txn *txn, const char *name)
{
	struct append_result result;
	struct topic t;
	if (topic_by_name(txn, str_of(name), &f.arena, &t) != ERR_NONE)
		return;
	for (int32_t i = 0; i < 2; i++) {
		(void)!fixture_append_in(&f, txn, &t, i, &(struct batch_spec){ .count = 2 }, &result);
		(void)!fixture_append_in(
		    &f, txn, &t, i,
		    &(struct batch_spec){
			.count = 3, .idempotent = true, .producer_id = 5, .base_sequence = 12 },
		    &result);
		(void)!log_trim(txn, &t, i, 2);
	}
	(void)!topic_grow(txn, &t, t.partitions < 1000 ? t.partitions + 1 : 1);
	(void)!topic_delete(txn, &t);
}

static void
write_all(struct store_txn *txn)
{
	struct stored_offset offset = { .offset = 9, .metadata = STR("more") };
	struct topic t;
	int64_t producer;
	uint32_t group;
	write_topic(txn, "t");
	(void)!topic_create(txn, STR("new"), 3, NULL, 0, &f.arena, &t);
	(void)!producer_id_next(txn, &producer);
	if (groups_open(txn, STR("g"), &group) == ERR_NONE)
		(void)!offsets_commit(txn, group, 1, 0, &offset);
	(void)!groups_save(txn, STR("h"), (struct bytes){ .at = (const uint8_t *)"x", .n = 1 }, -1);
	(void)!groups_delete(txn, STR("g"));
}

static void
clean(void)
{
	struct clean_rules rules = { .retention_ms = 1,
				     .retention_bytes = 100,
				     .delete_by_default = true,
				     .producer_expiry_ms = 1,
				     .offsets_retention_ms = 1,
				     .readers = &cleaner_groups,
				     .now_ms = clock_wall_ms() };
	bool more = true;
	int steps = 0;
	for (; more && store_clean(f.store, &rules, &more) == ERR_NONE; steps++)
		CHECK(steps < STEPS_MOST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 1)
		return 0;
	if (!is_open)
		open_store();
	struct store_txn *txn = fixture_write(&f);
	uint64_t commit;
	damage(txn, data + 1, n - 1);
	if (data[0] != COMMIT) {
		read_topics(txn);
		read_groups(txn);
		write_all(txn);
		read_topics(txn);
		store_abort(txn);
		arena_reset(&f.arena);
		return 0;
	}
	if (store_commit(txn, &commit) == ERR_NONE)
		clean();
	close_store();
	return 0;
}
