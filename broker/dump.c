/*
 * dump: what the store holds, for people and programs. Reads only, also while a broker works on it: it joins
 * the processes that share the store as a reader, and keeps no snapshot open while it prints.
 *
 *	broker dump                        the topics
 *	broker dump TOPIC                  a topic, its settings, its partitions
 *	broker dump TOPIC PARTITION        a partition's batches and records
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/dump_groups.h"
#include "broker/dump_records.h"
#include "broker/table.h"
#include "broker/tools.h"
#include "common/config.h"
#include "storage/store.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

#define RECORDS_SHOWN 100 /* unless --count says otherwise */

struct asked {
	const char *dir;
	enum { ASKED_TOPICS, ASKED_GROUPS, ASKED_OFFSETS } what;
	const char *group;     /* NULL: all */
	const char *topic;     /* NULL: all */
	const char *partition; /* NULL: all */
	struct dump_range range;
	bool json;
};

static const char usage[] =
    "Usage: broker dump [-d DIR] [--json] [TOPIC [PARTITION [--offset N] [--count N]]]\n"
    "       broker dump [-d DIR] [--json] --groups [GROUP]\n"
    "       broker dump [-d DIR] [--json] --offsets [GROUP]\n"
    "\n"
    "Print what the store in DIR (./data) holds: its topics; or a topic's partitions; or a partition's\n"
    "batches and records; or its consumer groups; or a group and its members; or the offsets that groups\n"
    "have committed. Reads only, and may be used while the broker runs.\n"
    "\n"
    "  -d, --dir DIR   the store's directory\n"
    "  --offset N      begin at this record (the log's first)\n"
    "  --count N       stop after so many records (100)\n"
    "  --groups        groups instead of topics\n"
    "  --offsets       committed offsets\n"
    "  --json          a JSON object a line, texts in full; times in ms since 1970\n"
    "  -h, --help      this text\n";

/* --- the command line ------------------------------------------------------------------------------------
 */

static bool
parse_number(const char *flag, const char *text, int64_t *out)
{
	if (str_to_int64(str_of(text), out) && *out >= 0)
		return true;
	(void)fprintf(stderr, "broker dump: %s: '%s' is not a number from 0 on\n", flag, text);
	return false;
}

static int
refuse(void)
{
	(void)fputs(usage, stderr);
	return EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int
parse_flags(int argc, char **argv, struct asked *asked)
{
	enum { FLAG_OFFSET = 256, FLAG_COUNT, FLAG_JSON, FLAG_GROUPS, FLAG_OFFSETS };
	static const struct option flags[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "offset", required_argument, NULL, FLAG_OFFSET },
		{ "count", required_argument, NULL, FLAG_COUNT },
		{ "json", no_argument, NULL, FLAG_JSON },
		{ "groups", no_argument, NULL, FLAG_GROUPS },
		{ "offsets", no_argument, NULL, FLAG_OFFSETS },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int flag;

	optind = 0; /* the broker's own command line went through getopt before */
	while ((flag = getopt_long(argc, argv, "d:h", flags, NULL)) != -1) {
		if (flag == 'd')
			asked->dir = optarg;
		else if (flag == FLAG_JSON)
			asked->json = true;
		else if ((flag == FLAG_GROUPS || flag == FLAG_OFFSETS) && asked->what == ASKED_TOPICS)
			asked->what = flag == FLAG_GROUPS ? ASKED_GROUPS : ASKED_OFFSETS;
		else if (flag == FLAG_GROUPS || flag == FLAG_OFFSETS)
			return refuse();
		else if (flag == 'h')
			return fputs(usage, stdout) == EOF ? EXIT_FAILED : EXIT_OK;
		else if (flag == '?' ||
			 !parse_number(flag == FLAG_COUNT ? "--count" : "--offset", optarg,
				       flag == FLAG_COUNT ? &asked->range.count : &asked->range.offset))
			return EXIT_USAGE;
	}
	return -1;
}

static int
parse_args(int argc, char **argv, struct asked *asked)
{
	int status = parse_flags(argc, argv, asked);
	if (status >= 0)
		return status;
	int n = argc - optind;
	if (n > (asked->what == ASKED_TOPICS ? 2 : 1) || (n < 2 && asked->range.offset >= 0))
		return refuse();
	if (asked->what != ASKED_TOPICS) {
		asked->group = n > 0 ? argv[optind] : NULL;
		return -1;
	}
	asked->topic = n > 0 ? argv[optind] : NULL;
	asked->partition = n > 1 ? argv[optind + 1] : NULL;
	return -1;
}

/* --- topics ----------------------------------------------------------------------------------------------
 */

struct totals {
	int64_t records, bytes;
};

/* Of all partitions. Offsets count as records, although compaction and control batches leave gaps. */
static enum err
sum_partitions(struct store_txn *txn, const struct topic *topic, struct totals *out)
{
	*out = (struct totals){ 0 };
	for (int32_t i = 0; i < topic->partitions; i++) {
		struct partition p;
		enum err e = partition_state(txn, topic, i, &p);
		if (e != ERR_NONE)
			return e;
		out->records += p.log_end - p.log_start;
		out->bytes += p.bytes;
	}
	return ERR_NONE;
}

static struct str
uuid_str(struct uuid id, struct arena *arena)
{
	char text[UUID_TEXT];
	uuid_text(id, text);
	return str_keep(arena, str_of(text));
}

static enum err
add_topics(struct store_txn *txn, struct table *table)
{
	struct topic topic;
	enum err e;
	for (struct str last = STR_NULL; topic_after(txn, last, table->arena, &topic, &e);) {
		struct totals totals;
		e = sum_partitions(txn, &topic, &totals);
		if (e != ERR_NONE)
			return e;
		last = str_keep(table->arena, topic.name);
		const struct cell cells[] = {
			CELL_STR(last),
			CELL_STR(uuid_str(topic.id, table->arena)),
			CELL_INT(topic.partitions),
			CELL_INT(totals.records),
			CELL_INT(totals.bytes),
			CELL_TIME(topic.created_ms),
		};
		table_add(table, cells);
	}
	return e;
}

static enum err
dump_topics(struct store *store, bool json, struct arena *arena)
{
	static const struct column columns[] = {
		{ "TOPIC", "topic" },     { "ID", "id" },       { "PARTITIONS", "partitions" },
		{ "RECORDS", "records" }, { "BYTES", "bytes" }, { "CREATED", "created_ms" },
	};
	struct table table = { .columns = columns, .column_n = 6, .arena = arena };
	struct store_txn *txn;

	enum err e = store_read(store, &txn);
	if (e != ERR_NONE)
		return e;
	e = add_topics(txn, &table);
	store_read_end(txn);
	if (e == ERR_NONE)
		table_print(&table, stdout, json);
	return e;
}

/* --- a topic ---------------------------------------------------------------------------------------------
 */

/* A copy that outlives the snapshot. */
static enum err
find_topic(struct store *store, const char *name, struct arena *arena, struct topic *out)
{
	struct store_txn *txn;
	enum err e = store_read(store, &txn);
	if (e != ERR_NONE)
		return e;
	e = topic_by_name(txn, str_of(name), arena, out);
	if (e == ERR_NONE) {
		struct topic_setting *settings =
		    arena_array(arena, (size_t)out->setting_n, sizeof(*settings));
		for (int32_t i = 0; i < out->setting_n; i++) {
			settings[i].key = str_keep(arena, out->settings[i].key);
			settings[i].value = str_keep(arena, out->settings[i].value);
		}
		out->settings = settings;
		out->name = str_of(name);
	}
	store_read_end(txn);
	return e;
}

static void
print_topic(const struct topic *topic, struct arena *arena)
{
	printf("topic %.*s, id %s, created %s\n", STR_ARG(topic->name), uuid_str(topic->id, arena).at,
	       table_time(topic->created_ms, arena));
	struct table table = { .columns = (struct column[]){ { "OPTION", NULL }, { "VALUE", NULL } },
			       .column_n = 2,
			       .arena = arena,
			       .indent = "  ",
			       .bare = true };
	for (int32_t i = 0; i < topic->setting_n; i++)
		table_add(&table, (struct cell[]){ CELL_STR(topic->settings[i].key),
						   CELL_STR(topic->settings[i].value) });
	table_print(&table, stdout, false);
}

static enum err
add_partitions(struct store_txn *txn, const struct topic *topic, struct table *table)
{
	for (int32_t i = 0; i < topic->partitions; i++) {
		struct partition p;
		enum err e = partition_state(txn, topic, i, &p);
		if (e != ERR_NONE)
			return e;
		const struct cell cells[] = {
			CELL_STR(topic->name),
			CELL_INT(i),
			CELL_INT(p.log_start),
			CELL_INT(p.log_end),
			CELL_INT(p.log_end - p.log_start),
			CELL_INT(p.bytes),
		};
		table_add(table, cells);
	}
	return ERR_NONE;
}

static enum err
dump_partitions(struct store *store, const struct topic *topic, bool json, struct arena *arena)
{
	static const struct column columns[] = {
		{ NULL, "topic" },        { "PARTITION", "partition" }, { "LOG START", "log_start" },
		{ "LOG END", "log_end" }, { "RECORDS", "records" },     { "BYTES", "bytes" },
	};
	struct table table = { .columns = columns, .column_n = 6, .arena = arena };
	struct store_txn *txn;

	enum err e = store_read(store, &txn);
	if (e != ERR_NONE)
		return e;
	e = add_partitions(txn, topic, &table);
	store_read_end(txn);
	if (e != ERR_NONE)
		return e;
	if (!json)
		print_topic(topic, arena);
	table_print(&table, stdout, json);
	return ERR_NONE;
}

/* --- the tool --------------------------------------------------------------------------------------------
 */

static enum err
dump_what_was_asked(struct store *store, const struct asked *asked, struct arena *arena)
{
	struct topic topic;
	int64_t partition = 0;

	if (asked->what == ASKED_GROUPS)
		return dump_groups(store, asked->group, asked->json);
	if (asked->what == ASKED_OFFSETS)
		return dump_offsets(store, asked->group, asked->json);
	if (asked->topic == NULL)
		return dump_topics(store, asked->json, arena);
	enum err e = find_topic(store, asked->topic, arena, &topic);
	if (e != ERR_NONE)
		return e;
	if (asked->partition == NULL)
		return dump_partitions(store, &topic, asked->json, arena);
	if (!str_to_int64(str_of(asked->partition), &partition) || partition < 0 ||
	    partition >= topic.partitions)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	return dump_records(store, &topic, (int32_t)partition, &asked->range, asked->json);
}

static int
tell(enum err e, const struct asked *asked)
{
	bool written = fflush(stdout) == 0 && !ferror(stdout);
	if (e != ERR_NONE)
		(void)fprintf(stderr, "broker dump: %s: %s\n", asked->dir, err_text(e));
	else if (!written)
		perror("broker dump");
	return e == ERR_NONE && written ? EXIT_OK : EXIT_FAILED;
}

static int
dump_store(const struct asked *asked, int64_t map_bytes)
{
	struct store_options options = {
		.dir = asked->dir,
		.map_bytes = (uint64_t)map_bytes,
		.read_only = true,
	};
	struct arena arena = ARENA_EMPTY;
	struct store *store;

	enum err e = store_open(&options, &store);
	if (e == ERR_NONE) {
		e = dump_what_was_asked(store, asked, &arena);
		store_close(store);
	}
	arena_free(&arena);
	return tell(e, asked);
}

int
dump_main(int argc, char **argv)
{
	struct config standard;
	config_init(&standard);
	struct asked asked = { .dir = standard.dir, .range = { .offset = -1, .count = RECORDS_SHOWN } };

	int status = parse_args(argc, argv, &asked);
	if (status < 0)
		status = dump_store(&asked, standard.map_bytes);
	config_free(&standard);
	return status;
}
