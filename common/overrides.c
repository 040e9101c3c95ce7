#include "common/overrides.h"

#include <stdio.h>
#include <string.h>

static struct str
trimmed(struct str s)
{
	while (s.n > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
		s = (struct str){ .at = s.at + 1, .n = s.n - 1 };
	while (s.n > 0 && (s.at[s.n - 1] == ' ' || s.at[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static struct str
without_brackets(struct str s)
{
	if (s.n >= 2 && s.at[0] == '[' && s.at[s.n - 1] == ']')
		return (struct str){ .at = s.at + 1, .n = s.n - 2 };
	return s;
}

static bool
parse_one(struct str text, struct arena *arena, struct override *out)
{
	const char *colon = text.n > 0 ? memrchr(text.at, ':', (size_t)text.n) : NULL;
	if (colon == NULL)
		return false;
	struct str host = { .at = text.at, .n = (int32_t)(colon - text.at) };
	struct str number = { .at = colon + 1, .n = text.n - host.n - 1 };
	int64_t v;
	host = without_brackets(trimmed(host));
	if (host.n == 0 || !str_to_int64(trimmed(number), &v) || v < 0 || v > INT32_MAX)
		return false;
	*out = (struct override){ .host = str_c(arena, host), .number = (int32_t)v };
	return true;
}

static int32_t
count_items(struct str text)
{
	int32_t n = 1;
	for (int32_t i = 0; i < text.n; i++)
		n += text.at[i] == ',';
	return n;
}

bool
overrides_parse(struct str text, struct arena *arena, struct overrides *out, char *why, size_t why_size)
{
	struct str rest = trimmed(text);
	struct overrides list = { 0 };
	if (rest.n > 0)
		list.at = arena_array(arena, (size_t)count_items(rest), sizeof(*list.at));
	while (rest.n > 0) {
		const char *comma = memchr(rest.at, ',', (size_t)rest.n);
		struct str item = { .at = rest.at, .n = comma != NULL ? (int32_t)(comma - rest.at) : rest.n };
		if (!parse_one(trimmed(item), arena, &list.at[list.n])) {
			(void)snprintf(why, why_size, "'%.*s' is not host:number", STR_ARG(item));
			return false;
		}
		list.n++;
		rest = comma != NULL ? (struct str){ .at = comma + 1, .n = rest.n - item.n - 1 }
				     : (struct str){ .at = "", .n = 0 };
	}
	*out = list;
	return true;
}

char *
overrides_text(const struct overrides *list, struct arena *arena)
{
	char *text = arena_printf(arena, "%s", "");
	for (int32_t i = 0; i < list->n; i++) {
		const struct override *o = &list->at[i];
		bool brackets = strchr(o->host, ':') != NULL;
		text = arena_printf(arena, "%s%s%s%s%s:%d", text, i > 0 ? "," : "", brackets ? "[" : "",
				    o->host, brackets ? "]" : "", (int)o->number);
	}
	return text;
}
