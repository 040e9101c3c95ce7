#include "common/protocol/describe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/protocol/field.h"

/*
 * describe.c: the decoder's walk, watched and written down. As it is the broker's own walk, what is shown
 * here is what the broker reads.
 */
#define HEX_BYTES      8  /* shown per line */
#define NAME_WIDTH     30 /* of indentation and name */
#define ELEMENTS_SHOWN 16 /* of a list of numbers or strings */

struct description {
	struct watcher watcher; /* first, so that it can be cast back */
	struct lines lines;
};

static void
add_hex(struct lines *l, const uint8_t *from, const uint8_t *to)
{
	char text[3 * HEX_BYTES + 1] = "";
	size_t n = (size_t)(to - from), shown = n > HEX_BYTES ? HEX_BYTES - 1 : n;
	char line[64];
	int length;

	for (size_t i = 0; i < shown; i++)
		snprintf(text + 3 * i, 4, "%02x ", from[i]);
	if (shown < n)
		snprintf(text + 3 * shown, 4, "..");
	length = snprintf(line, sizeof(line), "%04zx  %-*s ", (size_t)(from - l->start), 3 * HEX_BYTES, text);
	buf_append(l->out, line, (size_t)length);
}

void
line_add(struct lines *l, int depth, const char *name, const uint8_t *from, const uint8_t *to,
	 const char *fmt, ...)
{
	char value[VALUE_TEXT + 64], line[NAME_WIDTH + sizeof(value) + 128];
	int indent = 2 * depth, length;
	va_list args;

	if (l->full)
		return;
	if (buf_len(l->out) > l->limit) {
		buf_append(l->out, "... and more\n", 13);
		l->full = true;
		return;
	}
	va_start(args, fmt);
	vsnprintf(value, sizeof(value), fmt, args);
	va_end(args);
	if (l->hex)
		add_hex(l, from, to);
	if (value[0] == '\0')
		length = snprintf(line, sizeof(line), "%*s%.100s\n", indent, "", name);
	else if (l->hex)
		length = snprintf(line, sizeof(line), "%*s%-*.100s  %s\n", indent, "", NAME_WIDTH - indent,
				  name, value);
	else
		length = snprintf(line, sizeof(line), "%*s%.100s: %s\n", indent, "", name, value);
	buf_append(l->out, line, (size_t)length);
}

const char *
quote(char out[VALUE_TEXT], const void *at, int32_t n)
{
	const uint8_t *bytes = at;
	int32_t shown = n > VALUE_LENGTH_MAX ? VALUE_LENGTH_MAX : n;
	char *to = out;

	if (n < 0) {
		snprintf(out, VALUE_TEXT, "null");
		return out;
	}
	*to++ = '"';
	for (int32_t i = 0; i < shown; i++) {
		if (bytes[i] == '"' || bytes[i] == '\\')
			*to++ = '\\';
		if (bytes[i] >= ' ' && bytes[i] < 0x7f)
			*to++ = (char)bytes[i];
		else
			to += sprintf(to, "\\x%02x", bytes[i]);
	}
	*to++ = '"';
	*to = '\0';
	if (shown < n)
		sprintf(to, "... (%d bytes)", n);
	return out;
}

const char *
time_text(char out[VALUE_TEXT], int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char date[40];

	if (ms < 0 || gmtime_r(&seconds, &tm) == NULL ||
	    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		snprintf(out, VALUE_TEXT, "%lld", (long long)ms);
	else
		snprintf(out, VALUE_TEXT, "%lld (%s.%03dZ)", (long long)ms, date, (int)(ms % 1000));
	return out;
}

static const char *
error_text(char out[VALUE_TEXT], enum err e)
{
	/* err_name() gives -1's name to codes that it does not know. */
	if (e != ERR_UNKNOWN_SERVER_ERROR && strcmp(err_name(e), err_name(ERR_UNKNOWN_SERVER_ERROR)) == 0)
		snprintf(out, VALUE_TEXT, "%d", (int)e);
	else
		snprintf(out, VALUE_TEXT, "%d %s", (int)e, err_name(e));
	return out;
}

static const char *
value_text(char out[VALUE_TEXT], const struct field *f, const void *at)
{
	switch ((enum field_type)f->type) {
	case F_BOOL:
		return *(const bool *)at ? "true" : "false";
	case F_INT8:
		snprintf(out, VALUE_TEXT, "%d", *(const int8_t *)at);
		break;
	case F_INT16:
		snprintf(out, VALUE_TEXT, "%d", *(const int16_t *)at);
		break;
	case F_INT32:
		snprintf(out, VALUE_TEXT, "%d", *(const int32_t *)at);
		break;
	case F_INT64:
		snprintf(out, VALUE_TEXT, "%lld", (long long)*(const int64_t *)at);
		break;
	case F_UUID:
		uuid_text(*(const struct uuid *)at, out);
		break;
	case F_STRING:
		return quote(out, ((const struct str *)at)->at, ((const struct str *)at)->n);
	case F_BYTES:
		return quote(out, ((const struct bytes *)at)->at, ((const struct bytes *)at)->n);
	case F_RECORDS:
		if (((const struct records *)at)->n < 0)
			return "null";
		snprintf(out, VALUE_TEXT, "%d bytes", ((const struct records *)at)->n);
		break;
	case F_ERROR:
		return error_text(out, *(const enum err *)at);
	case F_STRUCT:
		out[0] = '\0';
	}
	return out;
}

/* [1, 2, 3]; long ones are cut. */
static const char *
list_text(char out[VALUE_TEXT], const struct field *f, const struct any_list *list)
{
	char element[VALUE_TEXT];
	size_t used = 0;
	int32_t i;

	if (list->n < 0)
		return "null";
	for (i = 0; i < list->n && i < ELEMENTS_SHOWN; i++) {
		const char *text = value_text(element, f, (const char *)list->at + (size_t)i * field_size(f));

		if (used + strlen(text) + 40 > VALUE_TEXT)
			break;
		used += (size_t)snprintf(out + used, VALUE_TEXT - used, "%s%s", i == 0 ? "[" : ", ", text);
	}
	if (i < list->n)
		snprintf(out + used, VALUE_TEXT - used, ", ... (%d in all)]", list->n);
	else
		snprintf(out + used, VALUE_TEXT - used, i == 0 ? "[]" : "]");
	return out;
}

static const char *
count_text(char out[VALUE_TEXT], int32_t n)
{
	if (n < 0)
		return "null";
	snprintf(out, VALUE_TEXT, n == 0 ? "empty" : "list of %d", n);
	return out;
}

/* The field's own bytes are its length; the batches in it have lines of their own. */
static void
see_records(struct lines *l, const struct field *f, int depth, const uint8_t *from, const uint8_t *to,
	    const struct records *records)
{
	char text[VALUE_TEXT];

	line_add(l, depth, f->name, from, records->n > 0 ? records->at : to, "%s",
		 value_text(text, f, records));
	if (records->n > 0)
		describe_records(l, depth + 1, records->at, (size_t)records->n);
}

static void
see_value(struct lines *l, const struct field *f, int depth, const uint8_t *from, const uint8_t *to,
	  const void *value)
{
	char text[VALUE_TEXT];
	struct any_list list;

	if (f->list) {
		memcpy(&list, value, sizeof(list));
		line_add(l, depth, f->name, from, to, "%s", list_text(text, f, &list));
	} else if (f->type == F_RECORDS) {
		see_records(l, f, depth, from, to, value);
	} else {
		line_add(l, depth, f->name, from, to, "%s", value_text(text, f, value));
	}
}

static void
see_tags(struct lines *l, int depth, int32_t n, const uint8_t *from, const uint8_t *to)
{
	if (n > 0)
		line_add(l, depth, "tagged fields", from, to, "%d", n);
	else if (l->hex)
		line_add(l, depth, "tagged fields", from, to, "none");
}

static void
see(struct watcher *w, enum sight sight, const struct field *f, int depth, int32_t index, const uint8_t *from,
    const uint8_t *to, const void *value)
{
	struct lines *l = &((struct description *)w)->lines;
	char text[VALUE_TEXT];
	struct any_list list;

	switch (sight) {
	case SIGHT_VALUE:
		see_value(l, f, depth, from, to, value);
		break;
	case SIGHT_LIST:
		memcpy(&list, value, sizeof(list));
		line_add(l, depth, f->name, from, to, "%s", count_text(text, list.n));
		break;
	case SIGHT_ELEMENT:
		snprintf(text, sizeof(text), "%s[%d]", f->name, index);
		line_add(l, depth, text, from, to, "%s", "");
		break;
	case SIGHT_STRUCT:
		line_add(l, depth, f->name, from, to, "%s", value == NULL ? "null" : "");
		break;
	case SIGHT_TAGS:
		see_tags(l, depth, index, from, to);
		break;
	case SIGHT_TAG:
		if (l->hex)
			line_add(l, depth, "tag", from, to, "%d", index);
		break;
	case SIGHT_UNKNOWN_TAG:
		line_add(l, depth, "tag", from, to, "%d, unknown, passed over", index);
		break;
	}
}

static void __attribute__((format(printf, 2, 3))) add_text(struct buf *out, const char *fmt, ...)
{
	char text[512];
	va_list args;
	int length;

	va_start(args, fmt);
	length = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	buf_append(out, text, (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1);
}

static struct description
description_of(const uint8_t *start, bool hex, struct buf *out)
{
	struct lines lines = {
		.out = out, .start = start, .hex = hex, .limit = buf_len(out) + LINES_BYTES_MAX
	};

	return (struct description){ .watcher = { see }, .lines = lines };
}

static void
add_fault(struct description *d, size_t offset, const struct wire_fault *fault)
{
	add_text(d->lines.out, "!! %s: %s (offset %zu)\n", fault->where, fault->what, offset);
}

static void
add_message(struct description *d, const struct message *message, int16_t version, const uint8_t *at,
	    size_t n)
{
	struct arena arena = ARENA_EMPTY;
	struct wire_fault fault;
	void *out = arena_alloc(&arena, message->size);

	if (!decode_watched(message, version, at, n, &arena, out, &fault, &d->watcher))
		add_fault(d, (size_t)(at - d->lines.start) + fault.offset, &fault);
	arena_free(&arena);
}

void
describe(const struct message *message, int16_t version, const uint8_t *at, size_t n, bool hex,
	 struct buf *out)
{
	static const uint8_t nothing[1];
	struct description d;

	if (n == 0)
		at = nothing;
	d = description_of(at, hex, out);
	add_text(out, "%s v%d, %zu bytes\n", message->name, version, n);
	add_message(&d, message, version, at, n);
}

static void
add_request_header(struct lines *l, const uint8_t *at, int length, const struct request_header *h)
{
	const struct api *api = api_find(h->api_key);
	const uint8_t *client_end = at + 10 + (h->client_id.n > 0 ? h->client_id.n : 0);
	char text[VALUE_TEXT];

	line_add(l, 0, "api_key", at, at + 2, "%d %s", h->api_key, api != NULL ? api->kafka_name : "unknown");
	line_add(l, 0, "api_version", at + 2, at + 4, "%d", h->api_version);
	line_add(l, 0, "correlation_id", at + 4, at + 8, "%d", h->correlation_id);
	line_add(l, 0, "client_id", at + 8, client_end, "%s", quote(text, h->client_id.at, h->client_id.n));
	if (client_end < at + length)
		line_add(l, 0, "tagged fields", client_end, at + length, "%s",
			 *client_end == 0 ? "none" : "some");
}

bool
describe_request(const uint8_t *at, size_t n, bool hex, struct buf *out, struct request_header *header)
{
	struct description d = description_of(at, hex, out);
	struct wire_fault fault;
	int length = request_header_decode(at, n, header, &fault);
	const struct api *api = api_find(header->api_key);

	if (length < 0) {
		add_fault(&d, fault.offset, &fault);
		return false;
	}
	add_text(out, "%s request v%d, %zu bytes\n", api != NULL ? api->kafka_name : "unknown",
		 header->api_version, n);
	add_request_header(&d.lines, at, length, header);
	if (api == NULL)
		return false;
	add_message(&d, api->request, header->api_version, at + length, n - (size_t)length);
	return true;
}

void
describe_response(const struct api *api, int16_t version, const uint8_t *at, size_t n, bool hex,
		  struct buf *out)
{
	struct description d = description_of(at, hex, out);
	int32_t correlation_id;
	int length = response_header_decode(at, n, api, version, &correlation_id);

	add_text(out, "%s response v%d, %zu bytes\n", api->kafka_name, version, n);
	if (length < 0) {
		add_text(out, "!! response header: %zu bytes are too few (offset 0)\n", n);
		return;
	}
	line_add(&d.lines, 0, "correlation_id", at, at + 4, "%d", correlation_id);
	if (length > 4)
		line_add(&d.lines, 0, "tagged fields", at + 4, at + length, "%s",
			 at[4] == 0 ? "none" : "some");
	add_message(&d, api->response, version, at + length, n - (size_t)length);
}
