#include "broker/dump_records.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/table.h"
#include "common/buf.h"

#define READ_BYTES (1 << 20)           /* of batches, per snapshot */
#define OPENED_MAX ((size_t)256 << 20) /* of a compressed batch */

struct dump {
	struct store *store;
	const struct topic *topic;
	int32_t partition;
	bool json;
	int64_t next, left; /* offset to go on at; records still to be printed */
	struct arena arena; /* of one read */
	struct buf batches; /* a copy: whole batches */
};

/* --- reading ---------------------------------------------------------------------------------------------
 */

static void
copy_slice(struct dump *d, const struct log_slice *slice)
{
	buf_reset(&d->batches);
	for (int32_t i = 0; i < slice->iov_n; i++)
		buf_append(&d->batches, slice->iov[i].iov_base, slice->iov[i].iov_len);
}

/* Copy the batches from d->next on, as many as fit; none at the log's end. */
static enum err
read_some(struct dump *d)
{
	struct store_txn *txn;
	struct partition partition;
	struct log_slice slice = { 0 };

	arena_reset(&d->arena);
	enum err e = store_read(d->store, &txn);
	if (e != ERR_NONE)
		return e;
	e = partition_state(txn, d->topic, d->partition, &partition);
	if (e == ERR_NONE && d->next < 0)
		d->next = partition.log_start;
	if (e == ERR_NONE)
		e = log_read(txn, d->topic, d->partition, d->next, partition.log_end, READ_BYTES, true,
			     &d->arena, &slice);
	if (e == ERR_NONE)
		copy_slice(d, &slice);
	store_read_end(txn);
	return e;
}

/* --- printing --------------------------------------------------------------------------------------------
 */

static const struct column columns[] = {
	{ "OFFSET", "offset" }, { "TIMESTAMP", "timestamp" }, { "KEY", "key" },
	{ "VALUE", "value" },   { "HEADERS", "headers" },     { NULL, "batch" },
	{ NULL, "codec" },      { NULL, "producer_id" },
};

static void
print_batch(const struct dump *d, const struct batch *b)
{
	if (d->json)
		return;
	printf("batch %" PRId64 " to %" PRId64 ": %d records, %d bytes, codec %s, %s, crc %08x",
	       b->base_offset, b->base_offset + b->last_offset_delta, b->count, b->bytes,
	       batch_codec_name(batch_codec(b)), batch_is_log_append_time(b) ? "LogAppendTime" : "CreateTime",
	       b->crc);
	if (b->producer_id >= 0)
		printf(", producer %" PRId64 " epoch %d sequence %d", b->producer_id, b->producer_epoch,
		       b->base_sequence);
	if (batch_is_transactional(b))
		printf(", transactional");
	if (batch_is_control(b))
		printf(", control");
	printf("\n");
}

static struct str
as_str(struct bytes b)
{
	return (struct str){ .at = (const char *)b.at, .n = b.n };
}

/* The batch's records from d->next on. Texts are copied: the reader gives them up as it goes on. */
static void
add_records(struct dump *d, const struct batch *b, struct record_reader *reader, struct table *table)
{
	struct record record;
	struct str codec = str_of(batch_codec_name(batch_codec(b)));

	while (d->left > 0 && records_next(reader, &record)) {
		if (record.offset < d->next)
			continue;
		const struct cell cells[] = {
			CELL_INT(record.offset),
			CELL_TIME(record.timestamp),
			CELL_STR(str_keep(&d->arena, as_str(record.key))),
			CELL_STR(str_keep(&d->arena, as_str(record.value))),
			CELL_INT(record.header_count),
			CELL_INT(b->base_offset),
			CELL_STR(codec),
			CELL_INT(b->producer_id),
		};
		table_add(table, cells);
		d->left--;
	}
}

static enum err
dump_batch(struct dump *d, const struct batch *b)
{
	struct table table = {
		.columns = columns,
		.column_n = sizeof(columns) / sizeof(columns[0]),
		.arena = &d->arena,
		.indent = "  ",
	};
	struct record_reader *reader;

	print_batch(d, b);
	enum err e = records_open(b, OPENED_MAX, &reader);
	if (e != ERR_NONE)
		return e;
	add_records(d, b, reader, &table);
	if (records_failed(reader))
		e = ERR_CORRUPT_MESSAGE;
	records_close(reader);
	table_print(&table, stdout, d->json);
	d->next = b->base_offset + b->last_offset_delta + 1;
	return e;
}

/* What read_some() copied. */
static enum err
dump_copied(struct dump *d)
{
	while (buf_len(&d->batches) > 0 && d->left > 0) {
		struct batch batch;
		if (!batch_parse(buf_head(&d->batches), buf_len(&d->batches), &batch))
			return ERR_CORRUPT_MESSAGE;
		enum err e = dump_batch(d, &batch);
		if (e != ERR_NONE)
			return e;
		buf_consume(&d->batches, (size_t)batch.bytes);
	}
	return ERR_NONE;
}

enum err
dump_records(struct store *store, const struct topic *topic, int32_t partition,
	     const struct dump_range *range, bool json)
{
	struct dump d = {
		.store = store,
		.topic = topic,
		.partition = partition,
		.json = json,
		.next = range->offset,
		.left = range->count,
	};
	enum err e = ERR_NONE;

	while (e == ERR_NONE && d.left > 0) {
		e = read_some(&d);
		if (e != ERR_NONE || buf_len(&d.batches) == 0)
			break;
		e = dump_copied(&d);
	}
	buf_free(&d.batches);
	arena_free(&d.arena);
	return e;
}
