#include "common/endpoint.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"

#define HOST_MAX 255

/* Says why, and is false. */
PRINTF_LIKE(3, 4)
static bool
refuse(char *why, size_t why_size, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(why, why_size, fmt, args);
	va_end(args);
	return false;
}

static struct str
part(struct str s, int32_t from, int32_t to)
{
	return (struct str){ .at = s.at + from, .n = to - from };
}

static struct str
trim(struct str s)
{
	int32_t from = 0, to = s.n > 0 ? s.n : 0;
	while (from < to && isspace((unsigned char)s.at[from]))
		from++;
	while (to > from && isspace((unsigned char)s.at[to - 1]))
		to--;
	return part(s, from, to);
}

static int32_t
find(struct str s, const char *what)
{
	const char *at = s.n > 0 ? memmem(s.at, (size_t)s.n, what, strlen(what)) : NULL;
	return at != NULL ? (int32_t)(at - s.at) : -1;
}

static bool
name_is_valid(struct str name)
{
	for (int32_t i = 0; i < name.n; i++) {
		if (!isalnum((unsigned char)name.at[i]) && name.at[i] != '_' && name.at[i] != '-')
			return false;
	}
	return name.n > 0;
}

static const char *
keep_upper(struct arena *arena, struct str name)
{
	char *c = str_c(arena, name);
	for (char *p = c; *p != '\0'; p++)
		*p = (char)toupper((unsigned char)*p);
	return c;
}

/* Names of hosts, IPv4 addresses, and what stands between an IPv6 address's brackets (with a %zone). */
static bool
host_is_valid(struct str host, bool bracketed)
{
	const char *marks = bracketed ? ".:%" : ".-_";
	for (int32_t i = 0; i < host.n; i++) {
		unsigned char c = (unsigned char)host.at[i];
		if (!isalnum(c) && (c == '\0' || strchr(marks, c) == NULL))
			return false;
	}
	return host.n <= HOST_MAX && (!bracketed || host.n > 0);
}

static bool
parse_port(struct str text, struct endpoint *out)
{
	int64_t port;
	if (!str_to_int64(text, &port) || port < 0 || port > UINT16_MAX)
		return false;
	out->port = (uint16_t)port;
	return true;
}

/* "host:port", "[v6]:port" or ":port". */
static bool
parse_address(struct str s, struct arena *arena, struct endpoint *out, char *why, size_t why_size)
{
	int32_t colon = s.n - 1;
	while (colon >= 0 && s.at[colon] != ':')
		colon--;
	if (colon < 0)
		return refuse(why, why_size, "'%.*s' has no port", STR_ARG(s));

	struct str host = part(s, 0, colon);
	bool bracketed = host.n >= 2 && host.at[0] == '[' && host.at[host.n - 1] == ']';
	if (bracketed)
		host = part(host, 1, host.n - 1);
	if (!host_is_valid(host, bracketed))
		return refuse(why, why_size, "'%.*s' is not a host (IPv6 addresses stand in brackets)",
			      STR_ARG(host));
	if (!parse_port(part(s, colon + 1, s.n), out))
		return refuse(why, why_size, "'%.*s' is not a port", STR_ARG(part(s, colon + 1, s.n)));
	out->host = str_c(arena, host);
	return true;
}

static bool
parse_one(struct str s, struct arena *arena, struct endpoint *out, char *why, size_t why_size)
{
	int32_t mark = find(s, "://");
	if (mark < 0 || !name_is_valid(part(s, 0, mark)))
		return refuse(why, why_size, "'%.*s' is not NAME://host:port", STR_ARG(s));
	out->name = keep_upper(arena, part(s, 0, mark));
	if (strncmp(out->name, "SASL", 4) == 0 || strcmp(out->name, "SSL") == 0)
		return refuse(why, why_size, "%s is not served: there is no TLS and no SASL, only PLAINTEXT",
			      out->name);
	return parse_address(part(s, mark + 3, s.n), arena, out, why, why_size);
}

bool
endpoints_parse(struct str text, struct arena *arena, struct endpoints *out, char *why, size_t why_size)
{
	struct endpoints list = { .at = arena_array(arena, ENDPOINTS_MAX, sizeof(struct endpoint)) };
	text = trim(text);
	while (text.n > 0) {
		int32_t comma = find(text, ",");
		struct str one = trim(part(text, 0, comma < 0 ? text.n : comma));
		text = comma < 0 ? STR("") : part(text, comma + 1, text.n);
		if (list.n == ENDPOINTS_MAX)
			return refuse(why, why_size, "more than %d listeners", ENDPOINTS_MAX);
		struct endpoint *e = &list.at[list.n];
		if (!parse_one(one, arena, e, why, why_size))
			return false;
		if (endpoints_find(&list, e->name) != NULL)
			return refuse(why, why_size, "two listeners are called %s", e->name);
		list.n++;
	}
	*out = list;
	return true;
}

char *
endpoints_text(const struct endpoints *list, struct arena *arena)
{
	char *text = arena_printf(arena, "%s", "");
	for (int32_t i = 0; i < list->n; i++) {
		const struct endpoint *e = &list->at[i];
		bool v6 = strchr(e->host, ':') != NULL;
		text = arena_printf(arena, "%s%s%s://%s%s%s:%u", text, i > 0 ? "," : "", e->name,
				    v6 ? "[" : "", e->host, v6 ? "]" : "", (unsigned)e->port);
	}
	return text;
}

const struct endpoint *
endpoints_find(const struct endpoints *list, const char *name)
{
	for (int32_t i = 0; i < list->n; i++) {
		if (strcmp(list->at[i].name, name) == 0)
			return &list->at[i];
	}
	return NULL;
}
