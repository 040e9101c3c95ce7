#include "broker/dump_groups.h"

#include <inttypes.h>
#include <stdio.h>

#include "broker/consumer_protocol.h"
#include "broker/group.h"
#include "broker/table.h"

/* Of one snapshot; then it is printed, and the next one goes on where it ended. */
#define ROWS_MAX  10000
#define BYTES_MAX ((size_t)16 << 20)

#define COLUMNS(columns) .columns = (columns), .column_n = sizeof(columns) / sizeof((columns)[0])

/* Not NULL; a state that cannot be read, or none, is an empty group's. */
static struct group *
decode(const struct stored_group *stored, bool *readable)
{
	static const struct group_rules none;
	struct group *g = NULL;

	if (stored->state.n > 0)
		g = group_decode(stored->id, &none, stored->state, 0);
	*readable = g != NULL || stored->state.n == 0;
	return g != NULL ? g : group_new(stored->id, &none);
}

static const char *
state_of(const struct group_view *view, bool readable)
{
	return readable ? group_state_name(view->state) : "unreadable";
}

static struct str
or_empty(struct str s)
{
	return str_is_null(s) ? STR("") : s;
}

/* --- all groups ------------------------------------------------------------------------------------- */

static void
add_group(const struct stored_group *stored, struct table *table)
{
	bool readable;
	struct group *g = decode(stored, &readable);
	struct group_view view = group_view(g);
	const struct cell cells[] = {
		CELL_STR(str_keep(table->arena, stored->id)),
		CELL_INT(stored->number),
		CELL_STR(str_of(state_of(&view, readable))),
		CELL_INT(view.generation),
		CELL_STR(str_keep(table->arena, or_empty(view.protocol_type))),
		CELL_STR(str_keep(table->arena, view.protocol)),
		CELL_INT(view.member_n),
		CELL_TIME(stored->empty_since_ms),
	};
	table_add(table, cells);
	group_free(g);
}

/* Those behind `last`, as many as fit; *more: there may be others behind them. */
static enum err
add_groups(struct store *store, uint32_t *last, struct table *table, bool *more)
{
	struct arena arena = ARENA_EMPTY; /* of one state */
	struct stored_group stored;
	struct store_txn *txn;

	enum err e = store_read(store, &txn);
	if (e != ERR_NONE)
		return e;
	*more = true;
	while (table->row_n < ROWS_MAX && table->arena->used < BYTES_MAX) {
		*more = groups_after(txn, *last, &arena, &stored, &e);
		if (!*more)
			break;
		add_group(&stored, table);
		*last = stored.number;
		arena_reset(&arena);
	}
	store_read_end(txn);
	arena_free(&arena);
	return e;
}

static enum err
dump_all_groups(struct store *store, bool json)
{
	static const struct column columns[] = {
		{ "GROUP", "group" },        { "NUMBER", "number" },
		{ "STATE", "state" },        { "GENERATION", "generation" },
		{ "TYPE", "protocol_type" }, { "PROTOCOL", "protocol" },
		{ "MEMBERS", "members" },    { "EMPTY SINCE", "empty_since_ms" },
	};
	struct arena arena = ARENA_EMPTY;
	enum err e = ERR_NONE;
	uint32_t last = 0;

	for (bool more = true; more && e == ERR_NONE; arena_reset(&arena)) {
		struct table table = { COLUMNS(columns), .arena = &arena };
		e = add_groups(store, &last, &table, &more);
		if (e == ERR_NONE)
			table_print(&table, stdout, json);
	}
	arena_free(&arena);
	return e;
}

/* --- a group and its members ------------------------------------------------------------------------ */

static enum err
load(struct store *store, const char *id, struct arena *arena, struct stored_group *out)
{
	struct store_txn *txn;

	enum err e = store_read(store, &txn);
	if (e != ERR_NONE)
		return e;
	e = groups_find(txn, str_of(id), arena, out);
	store_read_end(txn);
	return e;
}

static struct str
as_str(struct bytes b)
{
	return (struct str){ .at = (const char *)b.at, .n = b.n };
}

/* In words if it is the consumers' protocol and can be read, else the bytes themselves. */
static struct str
explain(const struct group_view *view, struct bytes b, struct str (*text)(struct bytes, struct arena *),
	struct arena *arena)
{
	struct str s = STR_NULL;

	if (b.n > 0 && str_is(view->protocol_type, "consumer"))
		s = text(b, arena);
	return str_is_null(s) ? as_str(b) : s;
}

static void
add_members(const struct group *g, struct table *table)
{
	const struct group_view view = group_view(g);

	for (int32_t i = 0; i < view.member_n; i++) {
		const struct group_member_view m = group_member_view(g, i);
		const struct cell cells[] = {
			CELL_STR(view.id),
			CELL_STR(m.member_id),
			CELL_STR(m.instance_id),
			CELL_STR(m.client_id),
			CELL_STR(m.client_host),
			CELL_STR(explain(&view, m.metadata, consumer_subscription_text, table->arena)),
			CELL_STR(explain(&view, m.assignment, consumer_assignment_text, table->arena)),
		};
		table_add(table, cells);
	}
}

/* The words of clients are printed as a table does: escaped. */
static void
print_group(const struct stored_group *stored, const struct group_view *view, bool readable,
	    struct arena *arena)
{
	struct table table = { .columns = (struct column[]){ { "WHAT", NULL }, { "IS", NULL } },
			       .column_n = 2,
			       .arena = arena,
			       .bare = true };
	const struct {
		const char *what;
		struct str is;
	} rows[] = {
		{ "group", stored->id },
		{ "number", str_of(arena_printf(arena, "%" PRIu32, stored->number)) },
		{ "state", str_of(state_of(view, readable)) },
		{ "generation", str_of(arena_printf(arena, "%" PRId32, view->generation)) },
		{ "protocol type", or_empty(view->protocol_type) },
		{ "protocol", view->protocol },
		{ "leader", or_empty(view->leader) },
		{ "empty since", str_of(table_time(stored->empty_since_ms, arena)) },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		table_add(&table, (struct cell[]){ CELL_STR(str_of(rows[i].what)), CELL_STR(rows[i].is) });
	table_print(&table, stdout, false);
}

static enum err
dump_group(struct store *store, const char *id, bool json)
{
	static const struct column columns[] = {
		{ NULL, "group" },
		{ "MEMBER", "member" },
		{ "INSTANCE", "instance" },
		{ "CLIENT", "client" },
		{ "HOST", "host" },
		{ "SUBSCRIPTION", "subscription" },
		{ "ASSIGNMENT", "assignment" },
	};
	struct arena arena = ARENA_EMPTY;
	struct table table = { COLUMNS(columns), .arena = &arena, .indent = "  " };
	struct stored_group stored;
	bool readable;

	enum err e = load(store, id, &arena, &stored);
	if (e == ERR_NONE) {
		struct group *g = decode(&stored, &readable);
		const struct group_view view = group_view(g);
		if (!json)
			print_group(&stored, &view, readable, &arena);
		add_members(g, &table);
		if (json || view.member_n > 0)
			table_print(&table, stdout, json);
		group_free(g);
	}
	arena_free(&arena);
	return e;
}

enum err
dump_groups(struct store *store, const char *id, bool json)
{
	return id == NULL ? dump_all_groups(store, json) : dump_group(store, id, json);
}

/* --- offsets ---------------------------------------------------------------------------------------- */

struct offsets_dump {
	struct store *store;
	bool json, one_group;
	struct {
		uint32_t group, topic;
		int32_t partition;
	} next;        /* to go on at; the group may be gone by then */
	struct str id; /* of that group, in group_arena */
	struct arena group_arena, arena;
};

/* The group to go on with, or the first behind it; false: there are no more, or *e. */
static bool
find_group(struct offsets_dump *d, struct store_txn *txn, enum err *e)
{
	struct stored_group group;

	arena_reset(&d->group_arena);
	if (!groups_after(txn, d->next.group - 1, &d->group_arena, &group, e))
		return false;
	if (d->one_group && group.number != d->next.group)
		return false;
	if (group.number != d->next.group) {
		d->next.topic = 0;
		d->next.partition = 0;
	}
	d->next.group = group.number;
	d->id = group.id;
	return true;
}

static enum err
add_offset(struct offsets_dump *d, struct store_txn *txn, struct str id, const struct stored_offset *offset,
	   struct table *table)
{
	struct topic topic;

	enum err e = topic_by_number(txn, d->next.topic, table->arena, &topic);
	if (e != ERR_NONE && e != ERR_UNKNOWN_TOPIC_OR_PARTITION)
		return e;
	struct str name = e == ERR_NONE ? str_keep(table->arena, topic.name) : STR_NULL;
	const struct cell cells[] = {
		CELL_STR(id),
		CELL_STR(e == ERR_NONE
			     ? name
			     : str_of(arena_printf(table->arena, "(deleted: %" PRIu32 ")", d->next.topic))),
		CELL_STR(name),
		CELL_INT(d->next.partition),
		CELL_INT(offset->offset),
		CELL_INT(offset->leader_epoch),
		CELL_TIME(offset->committed_ms),
		CELL_TIME(offset->expires_ms),
		CELL_STR(offset->metadata),
	};
	table_add(table, cells);
	return ERR_NONE;
}

/* Of the group, as many as fit; *more: there may be others behind them. */
static enum err
add_offsets(struct offsets_dump *d, struct store_txn *txn, struct table *table, bool *more)
{
	struct str id = str_keep(table->arena, d->id);
	struct stored_offset offset;
	enum err e;

	while (table->row_n < ROWS_MAX && table->arena->used < BYTES_MAX) {
		*more = offsets_next(txn, d->next.group, &d->next.topic, &d->next.partition, table->arena,
				     &offset, &e);
		if (!*more)
			return e;
		e = add_offset(d, txn, id, &offset, table);
		if (e != ERR_NONE)
			return e;
		d->next.partition++; /* an index of a partition is less than INT32_MAX */
	}
	return ERR_NONE;
}

static enum err
add_from_one_snapshot(struct offsets_dump *d, struct table *table, bool *more)
{
	struct store_txn *txn;

	enum err e = store_read(d->store, &txn);
	if (e != ERR_NONE)
		return e;
	while (e == ERR_NONE && table->row_n < ROWS_MAX && table->arena->used < BYTES_MAX) {
		bool more_of_group = true;
		*more = find_group(d, txn, &e);
		if (!*more)
			break;
		e = add_offsets(d, txn, table, &more_of_group);
		if (more_of_group)
			continue; /* it is full */
		d->next.group++;
		d->next.topic = 0;
		d->next.partition = 0;
		*more = !d->one_group && d->next.group != 0;
		if (!*more)
			break;
	}
	store_read_end(txn);
	return e;
}

static enum err
print_offsets(struct offsets_dump *d)
{
	const struct column columns[] = {
		{ d->one_group ? NULL : "GROUP", "group" },
		{ "TOPIC", NULL },
		{ NULL, "topic" }, /* null where it is deleted */
		{ "PARTITION", "partition" },
		{ "OFFSET", "offset" },
		{ "EPOCH", "leader_epoch" },
		{ "COMMITTED", "committed_ms" },
		{ "EXPIRES", "expires_ms" },
		{ "METADATA", "metadata" },
	};
	enum err e = ERR_NONE;

	for (bool more = true; more && e == ERR_NONE; arena_reset(&d->arena)) {
		struct table table = { COLUMNS(columns), .arena = &d->arena };
		e = add_from_one_snapshot(d, &table, &more);
		if (e == ERR_NONE)
			table_print(&table, stdout, d->json);
	}
	return e;
}

enum err
dump_offsets(struct store *store, const char *id, bool json)
{
	struct offsets_dump d = { .store = store, .json = json, .one_group = id != NULL, .next.group = 1 };
	struct stored_group group;
	enum err e = ERR_NONE;

	if (id != NULL) {
		e = load(store, id, &d.group_arena, &group);
		if (e == ERR_NONE)
			d.next.group = group.number;
	}
	if (e == ERR_NONE)
		e = print_offsets(&d);
	arena_free(&d.group_arena);
	arena_free(&d.arena);
	return e;
}
