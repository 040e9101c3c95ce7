#include "broker/wire_hex.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX 16 /* of a line with an offset, in every tool's output */
#define COLUMN_GAP     3  /* so many spaces end the bytes of such a line */
#define OFFSET_DIGITS  4  /* an offset has as many at least */

/* A line being read; `at` never passes `end`. */
struct cursor {
	const char *at, *end;
};

static size_t
digits_at(const char *at, const char *end)
{
	size_t n = 0;

	while (at + n < end && isxdigit((unsigned char)at[n]))
		n++;
	return n;
}

static size_t
spaces_at(const char *at, const char *end)
{
	size_t n = 0;

	while (at + n < end && (at[n] == ' ' || at[n] == '\t'))
		n++;
	return n;
}

/* "0x" and "\x" before digits. */
static size_t
prefix_at(const char *at, const char *end)
{
	return end - at >= 2 && (at[0] == '0' || at[0] == '\\') && (at[1] == 'x' || at[1] == 'X') ? 2 : 0;
}

/* Do these digits count the bytes that were read: in hex, or in octal as od has it? */
static bool
is_count(const char *at, size_t n, size_t count)
{
	char digits[32], *end;

	if (n >= sizeof(digits))
		return false;
	memcpy(digits, at, n);
	digits[n] = '\0';
	return strtoull(digits, NULL, 16) == count || (strtoull(digits, &end, 8) == count && *end == '\0');
}

/*
 * Length of the line's offset with all that belongs to it; 0: it has none. `count`: bytes read before this
 * line; in_dump: some line before had an offset.
 */
static size_t
offset_at(struct cursor line, size_t count, bool in_dump)
{
	size_t prefix = prefix_at(line.at, line.end);
	const char *digits = line.at + prefix;
	size_t n = digits_at(digits, line.end), gap, next;

	if (n < OFFSET_DIGITS)
		return 0;
	if (digits + n < line.end && digits[n] == ':')
		return spaces_at(digits + n + 1, line.end) > 0 ? prefix + n + 1 : 0; /* not 0000:0017 */
	if (!is_count(digits, n, count))
		return 0;
	gap = spaces_at(digits + n, line.end);
	if (digits + n + gap == line.end)
		return in_dump ? prefix + n : 0; /* the last line of od and hexdump -C */
	next = digits_at(digits + n + gap, line.end);
	return gap >= 2 || next < n ? prefix + n : 0;
}

static bool
is_separator(char c)
{
	return isspace((unsigned char)c) || strchr(":,-;{}[]()\"'", c) != NULL;
}

static void
skip_separators(struct cursor *line)
{
	while (line->at < line->end && is_separator(*line->at))
		line->at++;
	line->at += prefix_at(line->at, line->end);
}

static uint8_t
digit_value(char c)
{
	return (uint8_t)(isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10);
}

static void
append_digits(struct buf *out, const char *at, size_t n)
{
	for (size_t i = 0; i < n; i += 2) {
		uint8_t byte = (uint8_t)(digit_value(at[i]) << 4 | digit_value(at[i + 1]));

		buf_append(out, &byte, 1);
	}
}

/* The bytes of a line with an offset, up to its column of text. False: they are words of two swapped bytes.
 */
static bool
parse_dump_line(struct cursor line, bool may_be_swapped, struct buf *out)
{
	size_t from = buf_len(out), width = 0;

	while (line.at < line.end && buf_len(out) - from < LINE_BYTES_MAX) {
		size_t gap = spaces_at(line.at, line.end), n;

		line.at += gap;
		n = digits_at(line.at, line.end);
		if (n == 0 || n % 2 != 0 || (line.at + n < line.end && !isspace((unsigned char)line.at[n])))
			break;
		if (width != 0 && (gap >= COLUMN_GAP || (gap == 2 && width > 2)))
			break;
		width = width == 0 ? n : width;
		if (may_be_swapped && width == 4)
			return false;
		append_digits(out, line.at, n);
		line.at += n;
	}
	return true;
}

static bool
parse_plain_line(struct cursor line, struct buf *out, char *why, size_t why_size)
{
	for (skip_separators(&line); line.at < line.end; skip_separators(&line)) {
		size_t n = digits_at(line.at, line.end);

		if (n == 0) {
			snprintf(why, why_size, "no hex digit: '%c'",
				 isprint((unsigned char)*line.at) ? *line.at : '?');
			return false;
		}
		if (n % 2 != 0) {
			snprintf(why, why_size, "an odd number of hex digits: %.*s", n > 40 ? 40 : (int)n,
				 line.at);
			return false;
		}
		append_digits(out, line.at, n);
		line.at += n;
	}
	return true;
}

static bool
parse_line(struct cursor line, bool *in_dump, struct buf *out, char *why, size_t why_size)
{
	size_t offset;
	bool with_colon;

	line.at += spaces_at(line.at, line.end);
	offset = offset_at(line, buf_len(out), *in_dump);
	if (offset == 0)
		return parse_plain_line(line, out, why, why_size);
	*in_dump = true;
	with_colon = line.at[offset - 1] == ':';
	line.at += offset;
	if (parse_dump_line(line, !with_colon, out))
		return true;
	snprintf(why, why_size,
		 "words of two bytes, which plain hexdump and od -x swap: use hexdump -C, xxd or od -t x1");
	return false;
}

bool
wire_hex_parse(const char *text, size_t n, struct buf *out, char *why, size_t why_size)
{
	const char *end = text + n;
	bool in_dump = false;
	char what[160];

	for (int number = 1; text < end; number++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		struct cursor line = { text, newline != NULL ? newline : end };

		if (!parse_line(line, &in_dump, out, what, sizeof(what))) {
			snprintf(why, why_size, "line %d: %s", number, what);
			return false;
		}
		text = newline != NULL ? newline + 1 : end;
	}
	return true;
}
