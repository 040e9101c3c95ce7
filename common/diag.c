/*
 * A line is put together in one reused buffer (struct buf: it grows to the longest line and stays), then
 * written whole.
 *
 * Failure modes:
 * - the reader of a pipe has stopped: the write would block. Wait HOLD_UP_MS once, then drop and count until
 * a line passes again.
 * - the reader has died: EPIPE, the line is dropped; SIGPIPE is ignored.
 * - two processes write at once: the kernel keeps writes of up to PIPE_BUF (4096) bytes to a pipe whole; the
 * long blocks of trace may be interleaved.
 */
#include "common/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"

#define HOLD_UP_MS 20
#define VALUE_MAX  1024        /* bytes of one value that are shown */
#define HEX_MAX    64          /* raw bytes that are shown */
#define BLOCK_MAX  (64 * 1024) /* bytes of a block that are shown */

static const char *const level_names[] = { "error", "warn", "info", "debug", "trace" };
static const char *const format_names[] = { "text", "json" };

static struct {
	enum diag_level level;
	enum diag_format format;
	char process[32];
	int pid;
	int fd;
	bool is_socket;
	int64_t lost; /* lines dropped since the last that was written */
	bool cut;     /* the last line was not written to its end */
	struct buf line;
} diag = { .level = DIAG_INFO, .process = "broker", .fd = STDERR_FILENO };

/* ---- Writing ---- */

/*
 * Setting O_NONBLOCK on descriptor 2 would set it for the shell that we share it with. Opening the same pipe
 * or terminal once more gives a file description of our own. A socket cannot be opened so, but has
 * MSG_DONTWAIT; a regular file never blocks for long.
 */
static int
open_unblocked(void)
{
	struct stat st;
	if (fstat(STDERR_FILENO, &st) != 0)
		return STDERR_FILENO;
	diag.is_socket = S_ISSOCK(st.st_mode);
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return STDERR_FILENO;
	int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return STDERR_FILENO;
	return fd;
}

static ssize_t
write_once(const uint8_t *at, size_t n)
{
	if (diag.is_socket)
		return send(diag.fd, at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(diag.fd, at, n);
}

static bool
wait_for_room(void)
{
	struct pollfd p = { .fd = diag.fd, .events = POLLOUT };
	return poll(&p, 1, HOLD_UP_MS) == 1 && (p.revents & POLLOUT) != 0;
}

/* False if the line, or the rest of it, was dropped. */
static bool
write_line(const uint8_t *at, size_t n)
{
	bool may_wait = diag.lost == 0;
	if (diag.cut && write_once((const uint8_t *)"\n", 1) == 1)
		diag.cut = false;
	while (n > 0) {
		ssize_t wrote = write_once(at, n);
		if (wrote >= 0) {
			diag.cut = (size_t)wrote < n;
			at += wrote;
			n -= (size_t)wrote;
		} else if (errno == EAGAIN && may_wait) {
			may_wait = wait_for_room();
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

/* ---- Escaping ---- */

static void
put(const char *text)
{
	buf_append(&diag.line, text, strlen(text));
}

PRINTF_LIKE(1, 2)
static void
putf(const char *fmt, ...)
{
	char text[96];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	put(text);
}

/* Bytes of the UTF-8 character at `at`, and its number; 0 if there is no valid one. */
static int
utf8_at(const uint8_t *at, size_t n, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	int size = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc2 ? 2 : 0;
	if (size == 0 || at[0] > 0xf4 || (size_t)size > n)
		return 0;
	*code = size == 1 ? at[0] : at[0] & (0x7fu >> size);
	for (int i = 1; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (at[i] & 0x3f);
	}
	bool surrogate = *code >= 0xd800 && *code <= 0xdfff;
	return *code >= least[size] && *code <= 0x10ffff && !surrogate ? size : 0;
}

/* Control characters command terminals; line separators and changes of direction forge what a reader sees. */
static bool
is_shown_as_is(uint32_t code)
{
	if (code < 0x20 || (code >= 0x7f && code < 0xa0))
		return false;
	return !(code >= 0x200e && code <= 0x200f) && !(code >= 0x2028 && code <= 0x202e) &&
	       !(code >= 0x2066 && code <= 0x2069) && code != '"' && code != '\\';
}

static void
put_escaped_char(uint32_t code)
{
	switch (code) {
	case '\n':
		put("\\n");
		return;
	case '\r':
		put("\\r");
		return;
	case '\t':
		put("\\t");
		return;
	case '"':
		put("\\\"");
		return;
	case '\\':
		put("\\\\");
		return;
	default: /* never beyond 16 bits: see is_shown_as_is() */
		putf("\\u%04x", (unsigned)code);
	}
}

/* The same escapes serve text and JSON, but for bytes that are not UTF-8, which JSON cannot hold. */
static void
put_escaped(const char *at, size_t n, bool keep_newlines)
{
	while (n > 0) {
		uint32_t code = 0;
		int size = utf8_at((const uint8_t *)at, n, &code);
		if (size == 0)
			putf(diag.format == DIAG_JSON ? "\\ufffd" : "\\x%02x", (unsigned)(uint8_t)*at);
		else if (is_shown_as_is(code))
			buf_append(&diag.line, at, (size_t)size);
		else if (keep_newlines && code == '\n')
			put("\n    ");
		else if (keep_newlines && (code == '"' || code == '\\' || code == '\t'))
			buf_append(&diag.line, at, 1);
		else
			put_escaped_char(code);
		at += size > 0 ? size : 1;
		n -= size > 0 ? (size_t)size : 1;
	}
}

static void
put_quoted(struct str s)
{
	size_t shown = s.n > VALUE_MAX ? VALUE_MAX : (size_t)s.n;
	put("\"");
	put_escaped(s.at, shown, false);
	if ((size_t)s.n > shown)
		putf("... %zu bytes more", (size_t)s.n - shown);
	put("\"");
}

/* ---- Values ---- */

/* Letters, digits and the marks of names, numbers and addresses; anything else goes between quotes. */
static bool
is_plain(struct str s)
{
	static const char marks[] = "-_.:/+@[]%*<>(),#";
	for (int32_t i = 0; i < s.n; i++) {
		char c = s.at[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && (c == '\0' || strchr(marks, c) == NULL))
			return false;
	}
	return s.n > 0 && s.n <= VALUE_MAX && !str_is(s, "null");
}

static void
put_str(struct str s)
{
	if (str_is_null(s))
		put("null");
	else if (diag.format == DIAG_TEXT && is_plain(s))
		buf_append(&diag.line, s.at, (size_t)s.n);
	else
		put_quoted(s);
}

static void
put_hex(struct str s)
{
	const char *quote = diag.format == DIAG_JSON ? "\"" : "";
	if (str_is_null(s)) {
		put("null");
		return;
	}
	put(quote);
	for (int32_t i = 0; i < s.n && i < HEX_MAX; i++)
		putf("%02x", (unsigned)(uint8_t)s.at[i]);
	if (s.n > HEX_MAX)
		putf("..(%d)", (int)s.n);
	put(quote);
}

static void
put_value(const struct diag_value *v)
{
	putf(diag.format == DIAG_JSON ? ",\"%s\":" : " %s=", v->name);
	switch (v->kind) {
	case DIAG_INT:
		putf("%lld", (long long)v->number);
		break;
	case DIAG_STR:
		put_str(v->text);
		break;
	case DIAG_HEX:
		put_hex(v->text);
		break;
	}
}

/* ---- Lines ---- */

static void
put_time(void)
{
	int64_t ms = clock_wall_ms();
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];
	(void)gmtime_r(&seconds, &tm);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	putf("%s.%03dZ", text, (int)(ms % 1000));
}

static void
line_begin(enum diag_level level, const char *event)
{
	static const char *const upper[] = { "ERROR", "WARN ", "INFO ", "DEBUG", "TRACE" };
	int pid = diag.pid != 0 ? diag.pid : (int)getpid();

	buf_reset(&diag.line);
	if (diag.format == DIAG_TEXT) {
		put_time();
		putf(" %s %s[%d] ", upper[level], diag.process, pid);
		put(event);
		return;
	}
	put("{\"time\":\"");
	put_time();
	putf("\",\"level\":\"%s\",\"source\":\"%s\",\"source_pid\":%d,\"event\":", level_names[level],
	     diag.process, pid);
	put_quoted(str_of(event));
}

static bool
line_end(void)
{
	put(diag.format == DIAG_JSON ? "}\n" : "\n");
	return write_line(buf_head(&diag.line), buf_len(&diag.line));
}

/* The line in the buffer is finished and written; where lines were lost before it, that is said first
 * afterwards. */
static void
line_send(void)
{
	if (!line_end()) {
		diag.lost++;
		return;
	}
	if (diag.lost == 0)
		return;
	struct diag_value lost = D_INT("n", diag.lost);
	line_begin(DIAG_WARN, "lines lost");
	put_value(&lost);
	if (line_end())
		diag.lost = 0;
}

void
diag_write(enum diag_level level, const char *event, const struct diag_value *values, int n)
{
	if (!diag_on(level))
		return;
	line_begin(level, event);
	for (int i = 0; i < n; i++)
		put_value(&values[i]);
	line_send();
}

void
diag_block(enum diag_level level, const char *event, struct str text)
{
	if (!diag_on(level))
		return;
	size_t n = text.n > 0 ? (size_t)text.n : 0;
	while (n > 0 && text.at[n - 1] == '\n')
		n--;
	size_t shown = n > BLOCK_MAX ? BLOCK_MAX : n;

	line_begin(level, event);
	put(diag.format == DIAG_JSON ? ",\"text\":\"" : "\n    ");
	put_escaped(text.at, shown, diag.format == DIAG_TEXT);
	if (n > shown)
		putf("... %zu bytes more", n - shown);
	if (diag.format == DIAG_JSON)
		put("\"");
	line_send();
}

bool
diag_may_say(struct diag_rate *rate, const char *event)
{
	int64_t now = clock_monotonic_ms();
	int64_t rested = now - DIAG_OFTEN_BURST * DIAG_OFTEN_MS;

	if (rate->next_ms > now) {
		rate->left_out++;
		return false;
	}
	rate->next_ms = (rate->next_ms > rested ? rate->next_ms : rested) + DIAG_OFTEN_MS;
	if (rate->left_out > 0)
		diag_warn("more of these were left out", D_C("like", event), D_INT("n", rate->left_out));
	rate->left_out = 0;
	return true;
}

/* ---- Settings ---- */

void
diag_setup(enum diag_level level, enum diag_format format)
{
	if (diag.fd != STDERR_FILENO)
		(void)close(diag.fd);
	diag.level = level;
	diag.format = format;
	diag.fd = open_unblocked();
	(void)signal(SIGPIPE, SIG_IGN);
}

void
diag_process(const char *name)
{
	(void)snprintf(diag.process, sizeof(diag.process), "%s", name);
	diag.pid = (int)getpid();
}

bool
diag_on(enum diag_level level)
{
	return level <= diag.level;
}

static int
index_of(const char *text, const char *const *names, int n)
{
	for (int i = 0; i < n; i++) {
		if (strcasecmp(text, names[i]) == 0)
			return i;
	}
	return -1;
}

bool
diag_parse_level(const char *text, enum diag_level *out)
{
	int i = index_of(text, level_names, sizeof(level_names) / sizeof(level_names[0]));
	if (i >= 0)
		*out = (enum diag_level)i;
	return i >= 0;
}

bool
diag_parse_format(const char *text, enum diag_format *out)
{
	int i = index_of(text, format_names, sizeof(format_names) / sizeof(format_names[0]));
	if (i >= 0)
		*out = (enum diag_format)i;
	return i >= 0;
}
