#include "broker/wire_explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "broker/wire_frames.h"
#include "common/bytes.h"

#define DUMP_WIDTH       16  /* bytes in a line of what cannot be explained */
#define DUMP_BYTES       256 /* of such, at most */
#define CLIENT_ID_SHOWN  60
#define BRIEF_BYTES_MAX  ((size_t)256 * 1024) /* larger answers are not searched for errors */
#define API_VERSIONS_KEY 18
#define HEADER_BEGIN     8 /* bytes: key, version, correlation id */

/* --- what a frame says about itself ----------------------------------------------------------- */

static size_t
size_bytes(const struct wire_message *m)
{
	return m->bare ? 0 : WIRE_SIZE_BYTES;
}

/*
 * Of a header that is broken behind its first eight bytes these are believed, if they name an API that we know: so
 * does a broker, who answers an ApiVersions of a version to come.
 */
static void
read_request(struct wire_message *m, const uint8_t *at, size_t n)
{
	struct request_header header;
	struct wire_fault fault;
	bool whole = request_header_decode(at, n, &header, &fault) >= 0;

	m->is_known = whole || (n >= HEADER_BEGIN && api_find(header.api_key) != NULL);
	m->api_key = header.api_key;
	m->api_version = header.api_version;
	m->correlation_id = header.correlation_id;
}

void
wire_message_read(struct wire_message *m)
{
	const uint8_t *at = m->at + size_bytes(m);
	size_t n = m->n - size_bytes(m);

	if (m->way == WIRE_REQUEST)
		read_request(m, at, n);
	else
		m->correlation_id = n >= 4 ? (int32_t)get_u32(at) : -1;
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

/* --- heading ---------------------------------------------------------------------------------- */

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

/* --- the lines below the heading -------------------------------------------------------------- */

static const uint8_t *
after_size(const struct wire_message *m)
{
	return m->at + size_bytes(m);
}

static size_t
bytes_after_size(const struct wire_message *m)
{
	return m->n - size_bytes(m);
}

/* In the columns of describe(), but for the offset: that of the other lines counts from the byte after the
 * size. */
static void
print_size(FILE *out, const struct wire_message *m)
{
	fprintf(out, "      %02x %02x %02x %02x              %-30s  %" PRIu32 "\n", m->at[0], m->at[1],
		m->at[2], m->at[3], "size", get_u32(m->at));
}

/* What no table explains, from this offset on. */
static void
print_dump(FILE *out, const struct wire_message *m, size_t from)
{
	const uint8_t *at = after_size(m);
	size_t n = bytes_after_size(m), end = n - from > DUMP_BYTES ? from + DUMP_BYTES : n;

	for (; from < end; from += DUMP_WIDTH) {
		size_t width = end - from > DUMP_WIDTH ? DUMP_WIDTH : end - from;

		fprintf(out, "%04zx  ", from);
		for (size_t i = 0; i < DUMP_WIDTH; i++)
			fprintf(out, i < width ? "%02x " : "   ", i < width ? at[from + i] : 0);
		for (size_t i = 0; i < width; i++)
			fputc(at[from + i] >= ' ' && at[from + i] < 0x7f ? at[from + i] : '.', out);
		fputc('\n', out);
	}
	if (end < n)
		fprintf(out, "%04zx  ... and %zu bytes more\n", end, n - end);
}

static const char *
line_end(const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	return newline != NULL ? newline + 1 : end;
}

/* Without describe()'s first line, which names the message as the heading does; unless it is a fault. */
static void
print_lines(FILE *out, const struct buf *text)
{
	const char *at = (const char *)buf_head(text), *end = (const char *)buf_tail(text);

	if (at < end && *at != '!')
		at = line_end(at, end);
	fwrite(at, 1, (size_t)(end - at), out);
}

/* An ApiVersions of a version that the broker does not know is answered in version 0, with an error
 * (KIP-511). */
static int16_t
version_of(const struct wire_message *m)
{
	if (m->way == WIRE_RESPONSE && m->api_key == API_VERSIONS_KEY && bytes_after_size(m) >= 6 &&
	    get_u16(after_size(m) + 4) == ERR_UNSUPPORTED_VERSION)
		return 0;
	return m->api_version;
}

/* Append what describe() has to say. */
static void
describe_message(const struct wire_message *m, const struct api *api, bool hex, struct buf *text)
{
	struct request_header header;

	if (m->way == WIRE_REQUEST)
		(void)describe_request(after_size(m), bytes_after_size(m), hex, text, &header);
	else
		describe_response(api, version_of(m), after_size(m), bytes_after_size(m), hex, text);
}

/* Where the bytes begin that describe() does not explain; SIZE_MAX: it explains all. */
static size_t
dump_from(const struct wire_message *m, const struct api *api)
{
	struct request_header header;
	struct wire_fault fault;
	bool strange = !m->is_known || api == NULL || version_of(m) < api->min || version_of(m) > api->max;
	int used = 0;

	if (m->way == WIRE_REQUEST)
		used = request_header_decode(after_size(m), bytes_after_size(m), &header, &fault);
	if (used < 0)
		return 0;
	return strange ? (size_t)used : SIZE_MAX;
}

static void
print_message(FILE *out, const struct wire_message *m)
{
	const struct api *api = api_find(m->api_key);
	struct buf text = BUF_EMPTY;

	if (!m->bare)
		print_size(out, m);
	if (m->way == WIRE_REQUEST || (m->is_known && api != NULL)) {
		describe_message(m, api, true, &text);
		print_lines(out, &text);
		buf_free(&text);
	}
	if (dump_from(m, api) != SIZE_MAX)
		print_dump(out, m, dump_from(m, api));
	if (m->n < m->whole)
		fprintf(out, "(%zu bytes of %zu are here)\n", m->n, m->whole);
}

/* --- errors within an answer, for the brief form ---------------------------------------------- */

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
	const struct api *api = m->is_known ? api_find(m->api_key) : NULL;
	struct buf text = BUF_EMPTY;

	if (api == NULL || m->n > BRIEF_BYTES_MAX)
		return;
	describe_message(m, api, false, &text);
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
