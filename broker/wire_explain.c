#include "broker/wire_explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "broker/wire_frames.h"
#include "common/bytes.h"

#define HEX_SHOWN        8   /* bytes in a line of fields, as describe() has it */
#define DUMP_WIDTH       16  /* bytes in a line of what cannot be explained */
#define DUMP_BYTES       256 /* of such, at most */
#define CLIENT_ID_SHOWN  60
#define BRIEF_BODY_BYTES ((size_t)256 * 1024) /* larger bodies are not searched for errors */
#define API_VERSIONS_KEY 18

/* --- what a frame says about itself
 * --------------------------------------------------------------------------- */

static size_t
size_bytes(const struct wire_message *m)
{
	return m->bare ? 0 : WIRE_SIZE_BYTES;
}

void
wire_message_read(struct wire_message *m)
{
	const uint8_t *at = m->at + size_bytes(m);
	size_t n = m->n - size_bytes(m);
	struct request_header header;
	struct wire_fault fault;

	if (m->way == WIRE_RESPONSE) {
		m->correlation_id = n >= 4 ? (int32_t)get_u32(at) : -1;
		return;
	}
	m->is_known = request_header_decode(at, n, &header, &fault) >= 0;
	m->api_key = header.api_key;
	m->api_version = header.api_version;
	m->correlation_id = header.correlation_id;
}

const struct api *
wire_api_named(const char *name)
{
	for (int i = 0; i < api_count; i++) {
		char key[8];

		snprintf(key, sizeof(key), "%d", apis[i].key);
		if (strcasecmp(name, apis[i].kafka_name) == 0 || strcasecmp(name, apis[i].name) == 0 ||
		    strcmp(name, key) == 0)
			return &apis[i];
	}
	return NULL;
}

bool
wire_view_wants(const struct wire_view *view, const struct wire_message *m)
{
	for (int i = 0; i < view->follow_n; i++)
		if (m->is_known && view->follow[i]->key == m->api_key)
			return true;
	return view->follow_n == 0;
}

/* --- heading
 * -------------------------------------------------------------------------------------------------- */

/* Printable ASCII in quotes, cut: a client's name must not command the terminal. */
static void
print_quoted(FILE *out, struct str s)
{
	if (str_is_null(s)) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	for (int32_t i = 0; i < s.n && i < CLIENT_ID_SHOWN; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c >= ' ' && c < 0x7f)
			fputc(c, out);
		else
			fprintf(out, "\\x%02x", c);
	}
	fputs(s.n > CLIENT_ID_SHOWN ? "\"..." : "\"", out);
}

static void
print_time(FILE *out, int64_t time_us)
{
	time_t seconds = (time_t)(time_us / 1000000);
	struct tm tm;
	char text[32] = "";

	if (time_us >= 0 && gmtime_r(&seconds, &tm) != NULL &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) > 0)
		fprintf(out, "%s.%06dZ  ", text, (int)(time_us % 1000000));
}

static void
print_name(FILE *out, const struct wire_message *m)
{
	const struct api *api = api_find(m->api_key);

	if (!m->is_known)
		fputs(m->way == WIRE_REQUEST ? "what is no request"
					     : "response to a request that was not seen",
		      out);
	else if (api != NULL)
		fprintf(out, "%s v%d", api->kafka_name, m->api_version);
	else
		fprintf(out, "API %d v%d", m->api_key, m->api_version);
	if (m->is_known)
		fputs(m->way == WIRE_REQUEST ? " request" : " response", out);
}

static void
print_client_id(FILE *out, const struct wire_message *m)
{
	struct request_header header;
	struct wire_fault fault;

	if (request_header_decode(m->at + size_bytes(m), m->n - size_bytes(m), &header, &fault) < 0)
		return;
	fputs(", client ", out);
	print_quoted(out, header.client_id);
}

static void
print_took(FILE *out, int64_t us)
{
	if (us >= 1000)
		fprintf(out, ", after %" PRId64 ".%03d ms", us / 1000, (int)(us % 1000));
	else if (us >= 0)
		fprintf(out, ", after %d us", (int)us);
}

static void
print_heading(FILE *out, const struct wire_message *m)
{
	print_time(out, m->time_us);
	if (m->connection != NULL)
		fprintf(out, "%s %s ", m->connection, m->way == WIRE_REQUEST ? "->" : "<-");
	print_name(out, m);
	fprintf(out, ", id %" PRId32 ", %zu bytes", m->correlation_id, m->whole);
	if (m->way == WIRE_REQUEST)
		print_client_id(out, m);
	else
		print_took(out, m->took_us);
}

void
wire_note(const struct wire_view *view, const char *connection, int64_t time_us, const char *fmt, ...)
{
	va_list args;

	fputs(view->brief ? "" : "--- ", view->out);
	print_time(view->out, time_us);
	if (connection != NULL)
		fprintf(view->out, "%s ", connection);
	va_start(args, fmt);
	vfprintf(view->out, fmt, args);
	va_end(args);
	fputc('\n', view->out);
}

/* --- size and header, in the form of describe()
 * --------------------------------------------------------------- */

/* Walks the bytes before the body, a field a line; `from` never passes the message's n. */
struct walk {
	FILE *out;
	const struct wire_message *m;
	size_t from;
};

/* The next n bytes' offset, hex and name; the value is the caller's to print. */
static const uint8_t *
print_field(struct walk *w, size_t n, const char *name)
{
	const uint8_t *at = w->m->at + w->from;
	size_t shown = n > HEX_SHOWN ? HEX_SHOWN - 1 : n;
	char hex[3 * HEX_SHOWN + 1] = "";

	for (size_t i = 0; i < shown; i++)
		snprintf(hex + 3 * i, 4, "%02x ", at[i]);
	if (shown < n)
		snprintf(hex + 3 * shown, 4, "..");
	fprintf(w->out, "%04zx  %-*s %-30s  ", w->from, 3 * HEX_SHOWN, hex, name);
	w->from += n;
	return at;
}

static void
print_size(struct walk *w)
{
	const uint8_t *at = print_field(w, WIRE_SIZE_BYTES, "size");

	fprintf(w->out, "%" PRIu32 "\n", get_u32(at));
}

static void
print_tags(struct walk *w, size_t end)
{
	if (w->from >= end)
		return;
	print_field(w, end - w->from, "tagged fields");
	fputs(w->m->at[w->from - 1] == 0 ? "none\n" : "some, passed over\n", w->out);
}

/* The header has been decoded, so its bytes are there; `end` is where the body begins. */
static void
print_request_header(struct walk *w, const struct request_header *header, size_t end)
{
	const struct api *api = api_find(header->api_key);

	print_field(w, 2, "api_key");
	fprintf(w->out, "%d%s%s\n", header->api_key, api != NULL ? " " : "",
		api != NULL ? api->kafka_name : "");
	print_field(w, 2, "api_version");
	fprintf(w->out, "%d\n", header->api_version);
	print_field(w, 4, "correlation_id");
	fprintf(w->out, "%" PRId32 "\n", header->correlation_id);
	print_field(w, 2 + (header->client_id.n > 0 ? (size_t)header->client_id.n : 0), "client_id");
	print_quoted(w->out, header->client_id);
	fputc('\n', w->out);
	print_tags(w, end);
}

static void
print_response_header(struct walk *w, size_t end)
{
	print_field(w, 4, "correlation_id");
	fprintf(w->out, "%" PRId32 "\n", w->m->correlation_id);
	print_tags(w, end);
}

/* --- body
 * ----------------------------------------------------------------------------------------------------- */

/* What no table explains. */
static void
print_dump(struct walk *w)
{
	size_t end = w->m->n - w->from > DUMP_BYTES ? w->from + DUMP_BYTES : w->m->n;

	while (w->from < end) {
		size_t n = end - w->from > DUMP_WIDTH ? DUMP_WIDTH : end - w->from;
		const uint8_t *at = w->m->at + w->from;

		fprintf(w->out, "%04zx  ", w->from);
		for (size_t i = 0; i < DUMP_WIDTH; i++)
			fprintf(w->out, i < n ? "%02x " : "   ", i < n ? at[i] : 0);
		for (size_t i = 0; i < n; i++)
			fputc(at[i] >= ' ' && at[i] < 0x7f ? at[i] : '.', w->out);
		fputc('\n', w->out);
		w->from += n;
	}
	if (w->from < w->m->n)
		fprintf(w->out, "%04zx  ... and %zu bytes more\n", w->from, w->m->n - w->from);
}

static const char *
line_end(const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	return newline != NULL ? newline + 1 : end;
}

/*
 * describe()'s lines with its first one, which the heading replaces, left out, and with offsets that count
 * from the frame's start instead of the body's.
 */
static void
print_moved(FILE *out, const struct buf *text, size_t by)
{
	const char *at = (const char *)buf_head(text), *end = (const char *)buf_tail(text);

	for (at = line_end(at, end); at < end; at = line_end(at, end)) {
		char *rest;
		size_t offset = strtoul(at, &rest, 16);

		if (rest - at < 4 || *rest != ' ')
			fprintf(out, "%.*s", (int)(line_end(at, end) - at), at);
		else
			fprintf(out, "%04zx%.*s", offset + by, (int)(line_end(at, end) - rest), rest);
	}
}

/* An ApiVersions of a version that the broker does not know is answered in version 0, with an error
 * (KIP-511). */
static int16_t
body_version(const struct wire_message *m, const uint8_t *body, size_t n)
{
	if (m->api_key == API_VERSIONS_KEY && m->way == WIRE_RESPONSE && n >= 2 &&
	    get_u16(body) == ERR_UNSUPPORTED_VERSION)
		return 0;
	return m->api_version;
}

/* Where the body begins, counted from the message's start; 0: the header is broken, and *fault says how. */
static size_t
body_from(const struct wire_message *m, const struct api *api, struct request_header *header,
	  struct wire_fault *fault)
{
	const uint8_t *at = m->at + size_bytes(m);
	size_t n = m->n - size_bytes(m);
	int used;

	if (m->way == WIRE_REQUEST) {
		used = request_header_decode(at, n, header, fault);
	} else {
		*fault = (struct wire_fault){ .where = "response header",
					      .what = "needs more bytes than there are" };
		used = response_header_decode(at, n, api, m->api_version, &header->correlation_id);
	}
	return used < 0 ? 0 : size_bytes(m) + (size_t)used;
}

static void
print_body(struct walk *w, const struct api *api)
{
	const struct wire_message *m = w->m;
	const uint8_t *body = m->at + w->from;
	size_t n = m->n - w->from;
	int16_t version = body_version(m, body, n);
	struct buf text = BUF_EMPTY;

	if (version < api->min || version > api->max) {
		fprintf(w->out, "!! the schema of %s has v%d to v%d\n", api->kafka_name, api->min, api->max);
		print_dump(w);
		return;
	}
	if (version != m->api_version)
		fprintf(w->out, "the broker does not know v%d, and answers in v%d\n", m->api_version,
			version);
	describe(m->way == WIRE_REQUEST ? api->request : api->response, version, body, n, true, &text);
	print_moved(w->out, &text, w->from);
	buf_free(&text);
	if (m->n < m->whole)
		fprintf(w->out, "(%zu bytes of %zu are here)\n", m->n, m->whole);
}

static void
print_message(FILE *out, const struct wire_message *m)
{
	const struct api *api = api_find(m->api_key);
	struct walk w = { out, m, 0 };
	struct request_header header;
	struct wire_fault fault;
	size_t body;

	if (!m->bare)
		print_size(&w);
	if (!m->is_known && m->way == WIRE_RESPONSE) {
		print_dump(&w);
		return;
	}
	body = body_from(m, api, &header, &fault);
	if (body == 0) {
		fprintf(out, "%04zx  !! %s: %s\n", w.from + fault.offset, fault.where, fault.what);
		print_dump(&w);
		return;
	}
	if (m->way == WIRE_REQUEST)
		print_request_header(&w, &header, body);
	else
		print_response_header(&w, body);
	if (api != NULL)
		print_body(&w, api);
	else
		print_dump(&w);
}

/* --- errors within an answer, for the brief form
 * ---------------------------------------------------------------- */

/* The first error code that is none of NONE, as describe() words it: "error_code: 3
 * UNKNOWN_TOPIC_OR_PARTITION". */
static void
print_first_error(FILE *out, const struct buf *text)
{
	const char *at = (const char *)buf_head(text), *end = (const char *)buf_tail(text);

	for (; at < end; at = line_end(at, end)) {
		const char *newline = line_end(at, end) - 1, *name = at;

		while (name < newline && *name == ' ')
			name++;
		if (newline - name < 12 || strncmp(name, "error_code: ", 12) != 0 ||
		    strncmp(name + 12, "0 NONE", 6) == 0)
			continue;
		fprintf(out, ", error %.*s", (int)(newline - name - 12), name + 12);
		return;
	}
}

static void
print_error(FILE *out, const struct wire_message *m)
{
	const struct api *api = api_find(m->api_key);
	struct request_header header;
	struct wire_fault fault;
	struct buf text = BUF_EMPTY;
	size_t from = m->is_known && api != NULL ? body_from(m, api, &header, &fault) : 0;

	if (from == 0 || m->n - from > BRIEF_BODY_BYTES)
		return;
	describe(api->response, body_version(m, m->at + from, m->n - from), m->at + from, m->n - from, false,
		 &text);
	print_first_error(out, &text);
	buf_free(&text);
}

void
wire_explain(const struct wire_view *view, const struct wire_message *m)
{
	if (!wire_view_wants(view, m))
		return;
	fputs(view->brief ? "" : "--- ", view->out);
	print_heading(view->out, m);
	if (m->way == WIRE_RESPONSE && view->brief)
		print_error(view->out, m);
	fputc('\n', view->out);
	if (view->brief)
		return;
	print_message(view->out, m);
	fputc('\n', view->out);
}
