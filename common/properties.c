/*
 * Three steps for each pair: join the physical lines to a logical one, split it into key and value at the
 * first separator that is not escaped, undo the escapes of both.
 */
#include "common/properties.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"

struct reader {
	struct str rest; /* not read yet */
	int line;        /* number of the next physical line */
	struct buf logical;
	struct buf key, value; /* unescaped, NUL-terminated */
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

/* Takes a physical line off the text, without its end ("\n", "\r\n" or "\r"). */
static struct str
take_line(struct reader *r)
{
	struct str *rest = &r->rest, line = { .at = rest->at, .n = 0 };
	while (line.n < rest->n && rest->at[line.n] != '\n' && rest->at[line.n] != '\r')
		line.n++;
	int32_t used = line.n;
	if (used < rest->n)
		used += used + 1 < rest->n && rest->at[used] == '\r' && rest->at[used + 1] == '\n' ? 2 : 1;
	*rest = (struct str){ .at = rest->at + used, .n = rest->n - used };
	r->line++;
	return line;
}

static struct str
skip_blanks(struct str s)
{
	while (s.n > 0 && is_blank(*s.at))
		s = (struct str){ .at = s.at + 1, .n = s.n - 1 };
	return s;
}

/* An odd number of backslashes at the end: the last one is not itself escaped. */
static bool
is_continued(struct str line)
{
	int32_t n = 0;
	while (n < line.n && line.at[line.n - 1 - n] == '\\')
		n++;
	return n % 2 == 1;
}

/* The next logical line that says something; false at the end. *line is the number it begins on. */
static bool
next_logical(struct reader *r, int *line)
{
	buf_reset(&r->logical);
	while (r->rest.n > 0) {
		*line = r->line;
		struct str s = skip_blanks(take_line(r));
		if (s.n == 0 || *s.at == '#' || *s.at == '!')
			continue;
		while (is_continued(s)) {
			buf_append(&r->logical, s.at, (size_t)s.n - 1);
			s = r->rest.n > 0 ? skip_blanks(take_line(r)) : STR("");
		}
		buf_append(&r->logical, s.at, (size_t)s.n);
		return true;
	}
	return false;
}

static int
hex4(struct str s)
{
	int code = 0;
	if (s.n < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		const char *digits = "0123456789abcdefABCDEF", *found = strchr(digits, s.at[i]);
		if (s.at[i] == '\0' || found == NULL)
			return -1;
		int v = (int)(found - digits);
		code = code * 16 + (v < 16 ? v : v - 6);
	}
	return code;
}

static void
append_utf8(struct buf *out, int code)
{
	uint8_t b[3];
	size_t n = 0;
	if (code < 0x80) {
		b[n++] = (uint8_t)code;
	} else if (code < 0x800) {
		b[n++] = (uint8_t)(0xc0 | code >> 6);
		b[n++] = (uint8_t)(0x80 | (code & 0x3f));
	} else {
		b[n++] = (uint8_t)(0xe0 | code >> 12);
		b[n++] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
		b[n++] = (uint8_t)(0x80 | (code & 0x3f));
	}
	buf_append(out, b, n);
}

/* What follows a backslash; bytes used, or 0 for a \u that is none (or half a surrogate pair, or NUL). */
static int32_t
append_escape(struct buf *out, struct str s)
{
	static const char letters[] = "tnrf", meant[] = "\t\n\r\f";
	if (*s.at == 'u') {
		int code = hex4((struct str){ .at = s.at + 1, .n = s.n - 1 });
		if (code <= 0 || (code >= 0xd800 && code <= 0xdfff))
			return 0;
		append_utf8(out, code);
		return 5;
	}
	const char *found = *s.at != '\0' ? strchr(letters, *s.at) : NULL;
	buf_append(out, found != NULL ? &meant[found - letters] : s.at, 1);
	return 1;
}

/* *kept: where the last byte ends that is no blank or was escaped; blanks behind it may be trimmed. */
static bool
unescape(struct str s, struct buf *out, size_t *kept)
{
	buf_reset(out);
	*kept = 0;
	for (int32_t i = 0; i < s.n; i++) {
		if (s.at[i] == '\0')
			return false;
		if (s.at[i] == '\\' && i + 1 < s.n) {
			int32_t used =
			    append_escape(out, (struct str){ .at = s.at + i + 1, .n = s.n - i - 1 });
			if (used == 0)
				return false;
			i += used;
			*kept = buf_len(out);
		} else {
			buf_append(out, &s.at[i], 1);
			if (!is_blank(s.at[i]))
				*kept = buf_len(out);
		}
	}
	return true;
}

static void
end_at(struct buf *b, size_t n)
{
	b->end = b->at + n;
	buf_append(b, "", 1);
}

static bool
split(struct reader *r)
{
	struct str s = { .at = (const char *)buf_head(&r->logical), .n = (int32_t)buf_len(&r->logical) };
	int32_t i = 0;
	while (i < s.n && s.at[i] != '=' && s.at[i] != ':' && !is_blank(s.at[i]))
		i += s.at[i] == '\\' && i + 1 < s.n ? 2 : 1;
	struct str key = { .at = s.at, .n = i };
	struct str value = skip_blanks((struct str){ .at = s.at + i, .n = s.n - i });
	if (value.n > 0 && (*value.at == '=' || *value.at == ':'))
		value = skip_blanks((struct str){ .at = value.at + 1, .n = value.n - 1 });

	size_t key_end, value_end;
	if (!unescape(key, &r->key, &key_end) || !unescape(value, &r->value, &value_end))
		return false;
	end_at(&r->key, buf_len(&r->key));
	end_at(&r->value, value_end);
	return true;
}

bool
properties_parse(struct str text, properties_fn *fn, void *context, char *why, size_t why_size)
{
	struct reader r = { .rest = text, .line = 1 };
	bool good = true;
	int line;
	while (good && next_logical(&r, &line)) {
		good = split(&r);
		if (good)
			good = fn(context, line, (const char *)buf_head(&r.key),
				  (const char *)buf_head(&r.value));
		else
			(void)snprintf(why, why_size, "line %d: a wrong \\u escape, or a NUL byte", line);
	}
	buf_free(&r.logical);
	buf_free(&r.key);
	buf_free(&r.value);
	return good;
}
