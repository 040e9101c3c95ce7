#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "storage/groups.h"
#include "storage/partition.h"
#include "storage/producers.h"
#include "storage/run.h"
#include "storage/timeindex.h"
#include "storage/txn.h"
#include "tests/powercut/audit.h"

/* --- rows of any table ------------------------------------------------------------------------------- */

static bool
is_there(struct store_txn *txn, enum table table, const void *key, size_t n)
{
	struct bytes row;
	MUST(txn_get(txn, table, key, n, &row));
	return row.n >= 0;
}

static bool
topic_is_there(struct store_txn *txn, uint32_t topic)
{
	uint8_t key[KEY_TOPIC_BYTES];
	put_u32(key, topic);
	return is_there(txn, TABLE_TOPIC, key, sizeof(key));
}

/* Of a deleted topic the cleaner has not freed all yet. */
static bool
topic_is_gone(struct store_txn *txn, uint32_t topic)
{
	uint8_t key[KEY_GONE_BYTES];
	key_gone(key, topic);
	return is_there(txn, TABLE_SYS, key, sizeof(key));
}

static bool
group_is_gone(struct store_txn *txn, uint32_t group)
{
	uint8_t key[KEY_GGONE_BYTES];
	key_ggone(key, group);
	return is_there(txn, TABLE_SYS, key, sizeof(key));
}

static uint32_t
next_number(struct store_txn *txn, const char *item)
{
	struct bytes row;
	MUST(txn_get(txn, TABLE_SYS, item, strlen(item), &row));
	return row.n == 4 ? get_u32(row.at) : 1;
}

/* Call f with each row. */
static int
each(struct store_txn *txn, enum table table, void (*f)(struct store_txn *, const struct scan *))
{
	struct scan s;
	int n = 0;
	scan_open(&s, txn, table);
	for (bool row = scan_from(&s, "", 1); row; row = scan_next(&s), n++)
		f(txn, &s);
	MUST(scan_close(&s));
	return n;
}

/* --- topics ------------------------------------------------------------------------------------------ */

static void
name_leads_to_topic(struct store_txn *txn, const struct scan *s)
{
	CHECK(s->value.n == 4 && topic_is_there(txn, get_u32(s->value.at)));
	(void)s;
}

static void
id_leads_to_its_topic(struct store_txn *txn, const struct scan *s)
{
	struct bytes row;
	CHECK(s->key.n == 16 && s->value.n == 4);
	MUST(txn_get(txn, TABLE_TOPIC, s->value.at, 4, &row));
	CHECK(row.n > 16 && memcmp(row.at, s->key.at, 16) == 0);
}

static void
topic_is_in_order(struct store_txn *txn, const struct scan *s)
{
	struct topic topic, same;
	struct arena arena = ARENA_EMPTY;
	MUST(topic_by_number(txn, get_u32(s->key.at), &arena, &topic));
	MUST(topic_by_name(txn, topic.name, &arena, &same));
	CHECK(same.number == topic.number && topic.number < next_number(txn, "next.topic"));
	CHECK(!topic_is_gone(txn, topic.number));
	arena_free(&arena);
}

static void
audit_topics(struct store_txn *txn)
{
	int topics = each(txn, TABLE_TOPIC, topic_is_in_order);
	CHECK(each(txn, TABLE_TNAME, name_leads_to_topic) == topics);
	CHECK(each(txn, TABLE_TID, id_leads_to_its_topic) == topics);
}

/* --- a partition's log, and what is known about it --------------------------------------------------- */

struct seen_batch {
	struct batch header;
	int64_t last_offset;
};

static struct log {
	struct seen_batch *batch;
	size_t n, cap;
	int64_t bytes;
} seen;

static void
see_batch(const uint8_t *at, size_t n, const uint8_t **behind)
{
	if (seen.n == seen.cap) {
		seen.cap = seen.cap > 0 ? seen.cap * 2 : 64;
		seen.batch = realloc(seen.batch, seen.cap * sizeof(*seen.batch));
		CHECK(seen.batch != NULL);
	}
	struct seen_batch *b = &seen.batch[seen.n++];
	struct batch_rules rules = { .max_bytes = INT32_MAX, .zstd_allowed = true };
	struct batch_fault fault;
	CHECK(n >= BATCH_HEADER_BYTES);
	size_t bytes = (size_t)get_u32(at + 8) + 12;
	CHECK(bytes <= n);
	MUST(batch_check(at, bytes, &rules, &b->header, &fault));
	b->last_offset = b->header.base_offset + b->header.last_offset_delta;
	CHECK(seen.n == 1 || b->header.base_offset == b[-1].last_offset + 1);
	*behind = at + bytes;
}

/* All rows of `log`: whole runs, whole batches, no gap. */
static void
see_log(struct store_txn *txn, const uint8_t prefix[KEY_PART_BYTES])
{
	static uint8_t run[1 << 20];
	size_t n = 0;
	struct scan s;
	seen.n = 0;
	seen.bytes = 0;
	scan_open(&s, txn, TABLE_LOG);
	bool row = scan_from(&s, prefix, KEY_PART_BYTES);
	while (row && memcmp(s.key.at, prefix, KEY_PART_BYTES) == 0) {
		int64_t last = (int64_t)get_u64(s.key.at + 8);
		CHECK(s.key.n == KEY_LOG_BYTES && get_u32(s.key.at + 16) == n);
		CHECK(n + (size_t)s.value.n <= sizeof(run));
		memcpy(run + n, s.value.at, (size_t)s.value.n);
		n += (size_t)s.value.n;
		seen.bytes += s.value.n;
		row = scan_next(&s);
		bool ends = !row || memcmp(s.key.at, prefix, KEY_PART_BYTES) != 0 ||
			    (int64_t)get_u64(s.key.at + 8) != last;
		if (!ends)
			continue;
		for (const uint8_t *at = run; at < run + n;)
			see_batch(at, (size_t)(run + n - at), &at);
		CHECK(seen.batch[seen.n - 1].last_offset == last);
		n = 0;
	}
	MUST(scan_close(&s));
}

/* The rows of a run that is out of reach may be freed in part. */
static void
partition_is_in_order(const struct part *part)
{
	CHECK(part->row_start <= part->log_start && part->log_start <= part->log_end);
	CHECK(part->bytes == seen.bytes);
	if (part->log_start < part->log_end)
		CHECK(seen.n > 0 && seen.batch[0].header.base_offset <= part->log_start);
	if (seen.n > 0)
		CHECK(seen.batch[seen.n - 1].last_offset + 1 == part->log_end);
}

/* What the time index says of the batches in [from, until). Of those at its front some may be freed. */
static void
check_span(int64_t from, int64_t until, int64_t bytes, int64_t max_timestamp)
{
	int64_t sum = 0, max = TIMESTAMP_NONE;
	bool cut = seen.n == 0 || seen.batch[0].header.base_offset > from;
	for (size_t i = 0; i < seen.n; i++) {
		const struct seen_batch *b = &seen.batch[i];
		if (b->header.base_offset < from || b->header.base_offset >= until)
			continue;
		CHECK(b->last_offset < until); /* a batch is in one span */
		sum += b->header.bytes;
		max = b->header.max_timestamp > max ? b->header.max_timestamp : max;
	}
	CHECK(cut ? sum <= bytes && max <= max_timestamp : sum == bytes && max == max_timestamp);
}

/* Spans follow one another up to the open one, without a gap. */
static void
audit_spans(struct store_txn *txn, const uint8_t prefix[KEY_PART_BYTES], const struct part *part)
{
	struct scan s;
	int64_t from = 0, first = seen.n > 0 ? seen.batch[0].header.base_offset : part->log_end;
	scan_open(&s, txn, TABLE_TIME);
	bool row = scan_from(&s, prefix, KEY_PART_BYTES);
	for (; row && memcmp(s.key.at, prefix, KEY_PART_BYTES) == 0; row = scan_next(&s)) {
		struct time_span span;
		CHECK(timeindex_decode(s.key, s.value, &span) && span.last_offset >= from);
		check_span(from, span.last_offset + 1, span.bytes, span.max_timestamp);
		from = span.last_offset + 1;
	}
	MUST(scan_close(&s));
	if (part->span.bytes > 0) {
		CHECK(part->span.start == from || (from == 0 && part->span.start <= first));
		check_span(part->span.start, part->log_end, part->span.bytes, part->span.max_timestamp);
	} else {
		CHECK(from == part->log_end || part->log_start == part->log_end);
	}
}

/* What a producer is remembered to have appended is in the log, if it is still there. */
static void
audit_producers(struct store_txn *txn, const uint8_t prefix[KEY_PART_BYTES], const struct part *part)
{
	struct scan s;
	struct producer producer;
	scan_open(&s, txn, TABLE_PROD);
	bool row = scan_from(&s, prefix, KEY_PART_BYTES);
	for (; row && memcmp(s.key.at, prefix, KEY_PART_BYTES) == 0; row = scan_next(&s)) {
		CHECK(s.key.n == KEY_PROD_BYTES && s.value.n == PROD_BYTES);
		producer_decode(s.value.at, &producer);
		CHECK(producer.batch_n >= 0 && producer.batch_n <= PROD_BATCHES);
		for (int i = 0; i < producer.batch_n; i++) {
			const struct producer_batch *is = &producer.batch[i];
			CHECK(is->last_offset < part->log_end);
			for (size_t b = 0; b < seen.n; b++)
				if (seen.batch[b].last_offset == is->last_offset)
					CHECK(seen.batch[b].header.producer_id ==
						  (int64_t)get_u64(s.key.at + 8) &&
					      seen.batch[b].header.producer_epoch == producer.epoch &&
					      seen.batch[b].header.last_offset_delta ==
						  is->last_offset_delta);
		}
	}
	MUST(scan_close(&s));
}

static void
audit_partition(struct store_txn *txn, const struct scan *s)
{
	struct part part;
	uint8_t prefix[KEY_PART_BYTES];
	CHECK(s->key.n == KEY_PART_BYTES && s->value.n == PART_BYTES);
	memcpy(prefix, s->key.at, sizeof(prefix));
	if (topic_is_gone(txn, get_u32(prefix)))
		return;
	CHECK(topic_is_there(txn, get_u32(prefix)));
	part_decode(s->value.at, &part);
	see_log(txn, prefix);
	partition_is_in_order(&part);
	audit_spans(txn, prefix, &part);
	audit_producers(txn, prefix, &part);
}

/* No row of a partition without its own. */
static void
has_a_partition(struct store_txn *txn, const struct scan *s)
{
	CHECK(topic_is_gone(txn, get_u32(s->key.at)) || is_there(txn, TABLE_PART, s->key.at, KEY_PART_BYTES));
}

static void
audit_partitions(struct store_txn *txn)
{
	each(txn, TABLE_PART, audit_partition);
	each(txn, TABLE_LOG, has_a_partition);
	each(txn, TABLE_TIME, has_a_partition);
	each(txn, TABLE_PROD, has_a_partition);
}

/* --- groups ------------------------------------------------------------------------------------------ */

static void
name_leads_to_group(struct store_txn *txn, const struct scan *s)
{
	struct stored_group group;
	struct arena arena = ARENA_EMPTY;
	uint32_t number;
	CHECK(s->value.n == 4);
	MUST(groups_by_number(txn, get_u32(s->value.at), &arena, &group));
	MUST(groups_number(txn, group.id, &number));
	CHECK(number == group.number && number < next_number(txn, "next.group"));
	CHECK(!group_is_gone(txn, number));
	arena_free(&arena);
}

static void
offset_has_a_group(struct store_txn *txn, const struct scan *s)
{
	uint8_t key[KEY_GROUP_BYTES + KEY_PIECE_BYTES] = { 0 };
	memcpy(key, s->key.at, KEY_GROUP_BYTES);
	CHECK(s->key.n == KEY_OFFS_BYTES + KEY_PIECE_BYTES);
	CHECK(is_there(txn, TABLE_GROUP, key, sizeof(key)) || group_is_gone(txn, get_u32(s->key.at)));
}

static int groups;

static void
count_first_pieces(struct store_txn *txn, const struct scan *s)
{
	(void)txn;
	CHECK(s->key.n == KEY_GROUP_BYTES + KEY_PIECE_BYTES);
	groups += get_u16(s->key.at + KEY_GROUP_BYTES) == 0;
}

static void
audit_groups(struct store_txn *txn)
{
	groups = 0;
	each(txn, TABLE_GROUP, count_first_pieces);
	CHECK(each(txn, TABLE_GNAME, name_leads_to_group) == groups);
	each(txn, TABLE_OFFS, offset_has_a_group);
}

void
audit_rows(struct store_fixture *f)
{
	struct store_txn *txn = fixture_read(f);
	audit_topics(txn);
	audit_partitions(txn);
	audit_groups(txn);
	store_read_end(txn);
}
