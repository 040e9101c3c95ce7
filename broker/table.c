#include "broker/table.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"

#define SHOWN_BYTES 120 /* of a text, for people */

void
table_add(struct table *t, const struct cell *cells)
{
	size_t columns = (size_t)t->column_n;
	if (t->row_n == t->row_room) {
		const struct cell *had = t->cells;
		t->row_room = t->row_room > 0 ? t->row_room * 2 : 16;
		t->cells = arena_array(t->arena, (size_t)t->row_room * columns, sizeof(*t->cells));
		if (t->row_n > 0)
			memcpy(t->cells, had, (size_t)t->row_n * columns * sizeof(*t->cells));
	}
	memcpy(t->cells + (size_t)t->row_n * columns, cells, columns * sizeof(*cells));
	t->row_n++;
}

const char *
table_time(int64_t wall_ms, struct arena *arena)
{
	if (wall_ms < 0)
		return "-";
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	char text[64];
	if (gmtime_r(&seconds, &tm) == NULL || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return arena_printf(arena, "%" PRId64 " ms", wall_ms);
	return arena_printf(arena, "%s.%03dZ", text, (int)(wall_ms % 1000));
}

/* --- characters ------------------------------------------------------------------------------------------
 */

/* Bytes of the UTF-8 character at `at`; 0 if it is none. */
static int
character_bytes(const uint8_t *at, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	int size = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc2 ? 2 : 0;
	if (size <= 1 || at[0] > 0xf4 || (size_t)size > n)
		return size == 1 ? 1 : 0;
	uint32_t code = at[0] & (0x7fu >> size);
	for (int i = 1; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	bool surrogate = code >= 0xd800 && code <= 0xdfff;
	return code >= least[size] && code <= 0x10ffff && !surrogate ? size : 0;
}

/* C1 controls, and the characters that change the direction of what follows, are UTF-8 but not for a
 * terminal. */
static bool
is_harmless(const uint8_t *at, int size)
{
	if (size == 1)
		return at[0] >= 0x20 && at[0] != 0x7f;
	if (size == 2)
		return at[0] != 0xc2 || at[1] >= 0xa0;
	return size != 3 || at[0] != 0xe2 || at[1] < 0x80 || at[1] > 0x81;
}

static bool
is_utf8(struct str s)
{
	for (int32_t i = 0; i < s.n;) {
		int size = character_bytes((const uint8_t *)s.at + i, (size_t)(s.n - i));
		if (size == 0)
			return false;
		i += size;
	}
	return true;
}

/* --- for people ------------------------------------------------------------------------------------------
 */

static void
append_c(struct buf *b, const char *c)
{
	buf_append(b, c, strlen(c));
}

/* Printable, with \xNN for what is not; long texts are cut. In the arena. */
static const char *
shown(struct str s, struct arena *arena)
{
	if (str_is_null(s))
		return "null";
	struct buf b = BUF_EMPTY;
	int32_t i = 0;
	while (i < s.n && i < SHOWN_BYTES) {
		const uint8_t *at = (const uint8_t *)s.at + i;
		int size = character_bytes(at, (size_t)(s.n - i));
		char escape[8];
		if (size > 0 && is_harmless(at, size)) {
			buf_append(&b, at, (size_t)size);
			i += size;
			continue;
		}
		(void)snprintf(escape, sizeof(escape), "\\x%02x", at[0]);
		append_c(&b, escape);
		i++;
	}
	if (i < s.n)
		append_c(&b, arena_printf(arena, "... (%d bytes)", s.n));
	char *text = str_c(arena, (struct str){ (const char *)buf_head(&b), (int32_t)buf_len(&b) });
	buf_free(&b);
	return text;
}

static const char *
cell_shown(const struct cell *cell, struct arena *arena)
{
	switch (cell->kind) {
	case CELL_IS_INT:
		return arena_printf(arena, "%" PRId64, cell->number);
	case CELL_IS_TIME:
		return table_time(cell->number, arena);
	default:
		return shown(cell->text, arena);
	}
}

/* Characters, not bytes. */
static int
width_of(const char *text)
{
	int n = 0;
	for (; *text != '\0'; text++)
		n += ((uint8_t)*text & 0xc0) != 0x80;
	return n;
}

static void
print_line(const struct table *t, const char *const *texts, const int *widths, const bool *right, FILE *out)
{
	const char *gap = t->indent != NULL ? t->indent : "";
	int owed = 0; /* blanks that are printed only before something else */

	for (int c = 0; c < t->column_n; c++) {
		if (t->columns[c].title == NULL)
			continue;
		int pad = widths[c] - width_of(texts[c]);
		(void)fprintf(out, "%s%*s%s", gap, owed + (right[c] ? pad : 0), "", texts[c]);
		owed = right[c] ? 0 : pad;
		gap = "  ";
	}
	(void)fputc('\n', out);
}

static void
print_columns(const struct table *t, FILE *out)
{
	size_t columns = (size_t)t->column_n;
	int *widths = arena_array(t->arena, columns, sizeof(*widths));
	bool *right = arena_array(t->arena, columns, sizeof(*right));
	const char **texts = arena_array(t->arena, columns * ((size_t)t->row_n + 1), sizeof(*texts));

	for (size_t c = 0; c < columns; c++) {
		texts[c] = t->columns[c].title != NULL ? t->columns[c].title : "";
		widths[c] = t->bare ? 0 : width_of(texts[c]);
	}
	for (size_t i = 0; i < columns * (size_t)t->row_n; i++) {
		size_t c = i % columns;
		texts[columns + i] = cell_shown(&t->cells[i], t->arena);
		int width = width_of(texts[columns + i]);
		widths[c] = width > widths[c] ? width : widths[c];
		right[c] = t->cells[i].kind == CELL_IS_INT;
	}
	for (size_t row = t->bare ? 1 : 0; row <= (size_t)t->row_n; row++)
		print_line(t, texts + row * columns, widths, right, out);
}

/* --- JSON ------------------------------------------------------------------------------------------------
 */

static void
print_json_string(struct str s, FILE *out)
{
	(void)fputc('"', out);
	for (int32_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.at[i];
		if (c == '"' || c == '\\')
			(void)fprintf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			(void)fprintf(out, "\\u%04x", c);
		else
			(void)fputc(c, out);
	}
	(void)fputc('"', out);
}

static void
print_json_text(struct str s, FILE *out)
{
	if (str_is_null(s)) {
		(void)fputs("null", out);
		return;
	}
	if (is_utf8(s)) {
		print_json_string(s, out);
		return;
	}
	(void)fputs("{\"hex\":\"", out);
	for (int32_t i = 0; i < s.n; i++)
		(void)fprintf(out, "%02x", (uint8_t)s.at[i]);
	(void)fputs("\"}", out);
}

static void
print_object(const struct table *t, const struct cell *row, FILE *out)
{
	const char *gap = "{";
	for (int c = 0; c < t->column_n; c++) {
		if (t->columns[c].key == NULL)
			continue;
		(void)fprintf(out, "%s\"%s\":", gap, t->columns[c].key);
		if (row[c].kind == CELL_IS_STR)
			print_json_text(row[c].text, out);
		else
			(void)fprintf(out, "%" PRId64, row[c].number);
		gap = ",";
	}
	(void)fputs("}\n", out);
}

void
table_print(const struct table *t, FILE *out, bool json)
{
	if (!json) {
		print_columns(t, out);
		return;
	}
	for (int row = 0; row < t->row_n; row++)
		print_object(t, t->cells + (size_t)row * (size_t)t->column_n, out);
}
