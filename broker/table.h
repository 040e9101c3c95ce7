/*
 * table: rows of named values, as aligned columns for people or as a JSON object a line for programs.
 *
 *	static const struct column columns[] = { { "TOPIC", "topic" }, { "BYTES", "bytes" } };
 *	struct table t = { .columns = columns, .column_n = 2, .arena = &arena };
 *	table_add(&t, (struct cell[]){ CELL_STR(name), CELL_INT(bytes) });
 *	table_print(&t, stdout, json);
 *
 * For people, what is not printable is escaped, so that no stored byte commands the terminal, and what is
 * long is cut. JSON has everything: a string where the bytes are UTF-8, else {"hex": "..."}; times in ms
 * since 1970.
 */
#ifndef BROKER_TABLE_H
#define BROKER_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/arena.h"
#include "common/str.h"

struct column {
	const char *title; /* over the column; NULL: no column for people */
	const char *key;   /* in JSON; NULL: not in JSON */
};

struct cell {
	enum { CELL_IS_INT, CELL_IS_STR, CELL_IS_TIME } kind;
	int64_t number; /* or ms since 1970; negative: none */
	struct str text;
};

#define CELL_INT(v)  ((struct cell){ .kind = CELL_IS_INT, .number = (v) })
#define CELL_STR(s)  ((struct cell){ .kind = CELL_IS_STR, .text = (s) })
#define CELL_TIME(v) ((struct cell){ .kind = CELL_IS_TIME, .number = (v) })

struct table {
	const struct column *columns;
	int column_n;
	struct arena *arena; /* cells and what is printed; the cells' texts are not copied */
	const char *indent;  /* before each line for people; may be NULL */
	bool bare;           /* no line of titles */
	struct cell *cells;
	int row_n, row_room;
};

/* column_n cells; their texts have to live until table_print(). */
void table_add(struct table *t, const struct cell *cells);
void table_print(const struct table *t, FILE *out, bool json);

/* "2026-11-22T14:40:15.123Z", or "-" for a negative time. */
const char *table_time(int64_t wall_ms, struct arena *arena);

#endif
