/*
 * broker wire: the protocol inspector. What it was told on the command line, and then one of
 *
 *	wire_hex    bytes in hex, from the arguments or standard input
 *	wire_pcap   a capture file
 *	wire_live   between clients and a running broker
 *
 * each of which ends in wire_explain.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/tools.h"
#include "broker/wire_explain.h"
#include "broker/wire_frames.h"
#include "broker/wire_hex.h"
#include "broker/wire_live.h"
#include "broker/wire_pcap.h"
#include "common/bytes.h"

#define TEXT_BYTES_MAX ((size_t)512 * 1024 * 1024)

enum { STATUS_OK, STATUS_FAILED, STATUS_USAGE };

static const char help[] =
    "broker wire: explain the bytes of Kafka's protocol\n"
    "\n"
    "  broker wire [--request] [HEX...]              a request says itself what it is\n"
    "  broker wire --response API VERSION [HEX...]   a response does not: name its API and version\n"
    "  broker wire --pcap FILE [--port PORT]         the conversations in a capture\n"
    "  broker wire --live [--listen ADDR:PORT] [--to HOST:PORT]\n"
    "                                                what passes between clients and a running broker\n"
    "\n"
    "HEX, or else standard input: digits with or without spaces, colons or 0x; or what xxd, hexdump -C, od "
    "-t x1,\n"
    "tcpdump -X and tshark -x print. A frame may begin with its size or without; several may follow each "
    "other.\n"
    "API is a name (Fetch, find_coordinator) or a key (1). --pcap takes what tcpdump, tshark and Wireshark "
    "write,\n"
    "from any interface. --live listens on 127.0.0.1:9093 and passes on to localhost:9092; point a client at "
    "it.\n"
    "It puts its own address where answers name the broker's, so that clients stay, and changes nothing "
    "else.\n"
    "\n"
    "  -r, --request           the bytes are requests (default)\n"
    "  -R, --response          the bytes are responses to the API and version that follow\n"
    "  -f, --pcap FILE         read a capture (takes libpcap0.8)\n"
    "  -p, --port PORT         the broker's port in the capture (9092)\n"
    "  -l, --live              stand in the middle; Ctrl-C ends it\n"
    "      --listen ADDR:PORT  where clients connect (127.0.0.1:9093); port 0: any that is free\n"
    "      --to HOST:PORT      where the broker is (localhost:9092)\n"
    "  -b, --brief             a line per message\n"
    "  -a, --follow-api API    show only this API; may be repeated\n"
    "  -h, --help              this text\n"
    "\n"
    "Below a heading stands a line per field: its offset in the frame, its bytes, its name and its value. "
    "Times are\n"
    "UTC. The API, version and size of what cannot be explained are given, and its first bytes.\n"
    "\n"
    "  broker wire 00000016 0012 0003 00000001 0002 6d65 00 04 6d6531 04 312e30 00\n"
    "  tcpdump -i lo -s 0 -w capture.pcap port 9092;  broker wire --pcap capture.pcap --brief\n"
    "  broker wire --live &  kcat -b localhost:9093 -L\n";

enum mode { MODE_HEX, MODE_PCAP, MODE_LIVE };

struct command {
	enum mode mode;
	int modes; /* how many were asked for */
	enum wire_way way;
	const struct api *api; /* of responses */
	int16_t version;
	const char *pcap;
	uint16_t port;
	struct wire_live_options live;
	struct wire_view view;
	char **words; /* of hex */
	int word_n;
};

static int __attribute__((format(printf, 1, 2))) usage(const char *fmt, ...)
{
	va_list args;

	fputs("broker wire: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs("\nTry 'broker wire --help'.\n", stderr);
	return STATUS_USAGE;
}

/* --- hex -------------------------------------------------------------------------------------- */

static bool
parse_words(const struct command *c, struct buf *out, char *why, size_t why_size)
{
	struct buf text = BUF_EMPTY;
	bool good;

	for (int i = 0; i < c->word_n; i++) {
		buf_append(&text, c->words[i], strlen(c->words[i]));
		buf_append(&text, " ", 1);
	}
	good = wire_hex_parse((const char *)buf_head(&text), buf_len(&text), out, why, why_size);
	buf_free(&text);
	return good;
}

static bool
parse_input(struct buf *out, char *why, size_t why_size)
{
	struct buf text = BUF_EMPTY;
	size_t n = 1;
	bool good;

	while (n > 0 && buf_len(&text) < TEXT_BYTES_MAX) {
		buf_reserve(&text, 65536);
		n = fread(buf_tail(&text), 1, buf_room(&text), stdin);
		buf_grew(&text, n);
	}
	good = wire_hex_parse((const char *)buf_head(&text), buf_len(&text), out, why, why_size);
	buf_free(&text);
	return good;
}

/* Do sizes lead from frame to frame, exactly to the end? */
static bool
is_chain(const uint8_t *at, size_t n)
{
	size_t from = 0;

	while (n - from >= WIRE_SIZE_BYTES && get_u32(at + from) <= n - from - WIRE_SIZE_BYTES)
		from += WIRE_SIZE_BYTES + get_u32(at + from);
	return from == n && n > 0;
}

static struct wire_message
message_of(const struct command *c, const uint8_t *at, size_t n)
{
	struct wire_message m = { .way = c->way, .at = at, .n = n, .whole = n, .time_us = -1, .took_us = -1 };

	if (c->way == WIRE_RESPONSE) {
		m.is_known = true;
		m.api_key = c->api->key;
		m.api_version = c->version;
	}
	return m;
}

/* Does a request begin here, of an API and version that we know? */
static bool
is_request(const uint8_t *at, size_t n)
{
	struct request_header header;
	struct wire_fault fault;
	bool whole = request_header_decode(at, n, &header, &fault) >= 0;
	const struct api *api = whole ? api_find(header.api_key) : NULL;

	return api != NULL && header.api_version >= 0 && header.api_version <= api->max;
}

/* No chain of whole frames: one without its size; or one with, whose end is missing. */
static void
explain_lonely(const struct command *c, const uint8_t *at, size_t n)
{
	struct wire_message m = message_of(c, at, n);

	m.bare = true;
	if (c->way == WIRE_REQUEST && !is_request(at, n) && n > WIRE_SIZE_BYTES &&
	    is_request(at + WIRE_SIZE_BYTES, n - WIRE_SIZE_BYTES)) {
		m.bare = false;
		m.whole = WIRE_SIZE_BYTES + get_u32(at);
	}
	wire_message_read(&m);
	wire_explain(&c->view, &m);
}

/* Frames one after the other, and at last perhaps one that is not whole. */
static void
explain_frames(const struct command *c, const uint8_t *at, size_t n)
{
	while (n > 0) {
		size_t whole = n >= WIRE_SIZE_BYTES ? (size_t)WIRE_SIZE_BYTES + get_u32(at) : SIZE_MAX;
		struct wire_message m;

		if (whole > n) {
			explain_lonely(c, at, n);
			return;
		}
		m = message_of(c, at, whole);
		wire_message_read(&m);
		wire_explain(&c->view, &m);
		at += whole;
		n -= whole;
	}
}

/* A chain of sizes decides; where there is none, a request that begins at once, or any response, has no size.
 */
static void
explain_bytes(const struct command *c, const uint8_t *at, size_t n)
{
	if (!is_chain(at, n) && (c->way == WIRE_RESPONSE || is_request(at, n)))
		explain_lonely(c, at, n);
	else
		explain_frames(c, at, n);
}

static int
explain_hex(const struct command *c)
{
	struct buf bytes = BUF_EMPTY;
	char why[256] = "no bytes";
	bool good =
	    c->word_n > 0 ? parse_words(c, &bytes, why, sizeof(why)) : parse_input(&bytes, why, sizeof(why));

	good = good && buf_len(&bytes) > 0;
	if (good)
		explain_bytes(c, buf_head(&bytes), buf_len(&bytes));
	else
		fprintf(stderr, "broker wire: %s\n", why);
	buf_free(&bytes);
	return good ? STATUS_OK : STATUS_FAILED;
}

/* --- the command line ------------------------------------------------------------------------- */

static bool
parse_number(const char *text, long max, long *out)
{
	char *end;

	*out = strtol(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && *out <= max;
}

static int
parse_response(struct command *c)
{
	long version;

	if (c->word_n < 2)
		return usage("--response needs an API and a version: --response Fetch 12");
	c->api = wire_api_named(c->words[0]);
	if (c->api == NULL)
		return usage("no API '%s' is known here", c->words[0]);
	if (!parse_number(c->words[1], c->api->max, &version) || version < c->api->min)
		return usage("%s is known in versions %d to %d, not '%s'", c->api->kafka_name, c->api->min,
			     c->api->max, c->words[1]);
	c->version = (int16_t)version;
	c->words += 2;
	c->word_n -= 2;
	return STATUS_OK;
}

static int
add_follow(struct command *c, const char *name)
{
	const struct api *api = wire_api_named(name);

	if (api == NULL)
		return usage("no API '%s' is known here", name);
	if (c->view.follow_n == WIRE_FOLLOW_MAX)
		return usage("at most %d APIs can be followed", WIRE_FOLLOW_MAX);
	c->view.follow[c->view.follow_n++] = api;
	return STATUS_OK;
}

static int
set_mode(struct command *c, enum mode mode)
{
	c->modes += c->mode != mode || mode == MODE_HEX;
	c->mode = mode;
	return STATUS_OK;
}

static int
set_way(struct command *c, enum wire_way way)
{
	c->way = way;
	return set_mode(c, MODE_HEX);
}

static int
set_port(struct command *c, const char *text)
{
	long port;

	if (!parse_number(text, UINT16_MAX, &port) || port == 0)
		return usage("'%s' is no port", text);
	c->port = (uint16_t)port;
	return STATUS_OK;
}

enum { OPTION_LISTEN = 256, OPTION_TO };

static const struct option options[] = {
	{ "request", no_argument, NULL, 'r' },
	{ "response", no_argument, NULL, 'R' },
	{ "pcap", required_argument, NULL, 'f' },
	{ "port", required_argument, NULL, 'p' },
	{ "live", no_argument, NULL, 'l' },
	{ "listen", required_argument, NULL, OPTION_LISTEN },
	{ "to", required_argument, NULL, OPTION_TO },
	{ "brief", no_argument, NULL, 'b' },
	{ "follow-api", required_argument, NULL, 'a' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int
take_option(struct command *c, int option)
{
	switch (option) {
	case 'r':
		return set_way(c, WIRE_REQUEST);
	case 'R':
		return set_way(c, WIRE_RESPONSE);
	case 'f':
		c->pcap = optarg;
		return set_mode(c, MODE_PCAP);
	case 'p':
		return set_port(c, optarg);
	case 'l':
		return set_mode(c, MODE_LIVE);
	case OPTION_LISTEN:
		c->live.listen = optarg;
		return STATUS_OK;
	case OPTION_TO:
		c->live.to = optarg;
		return STATUS_OK;
	case 'b':
		c->view.brief = true;
		return STATUS_OK;
	case 'a':
		return add_follow(c, optarg);
	default:
		return usage("that is not understood");
	}
}

static int
run(struct command *c)
{
	if (c->modes > 1)
		return usage("only one of --request, --response, --pcap and --live can be asked for");
	if (c->mode != MODE_HEX && c->word_n > 0)
		return usage("'%s' is one word too many", c->words[0]);
	if (c->way == WIRE_RESPONSE && parse_response(c) != STATUS_OK)
		return STATUS_USAGE;
	switch (c->mode) {
	case MODE_PCAP:
		return wire_pcap_explain(c->pcap, c->port, &c->view) ? STATUS_OK : STATUS_FAILED;
	case MODE_LIVE:
		return wire_live_run(&c->live, &c->view) ? STATUS_OK : STATUS_FAILED;
	default:
		return explain_hex(c);
	}
}

int
wire_main(int argc, char **argv)
{
	struct command c = { .port = 9092, .live = { "127.0.0.1:9093", "localhost:9092" } };
	int option, status;

	c.view.out = stdout;
	optind = 0; /* glibc: begin anew; the broker's own options were read before */
	while ((option = getopt_long(argc, argv, "rRf:p:lba:h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return STATUS_OK;
		}
		status = take_option(&c, option);
		if (status != STATUS_OK)
			return status;
	}
	c.words = argv + optind;
	c.word_n = argc - optind;
	return run(&c);
}
