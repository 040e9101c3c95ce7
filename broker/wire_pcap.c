#include "broker/wire_pcap.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "broker/wire_packet.h"
#include "broker/wire_stream.h"
#include "broker/wire_talk.h"
#include "common/list.h"

/*
 * wire_pcap.c: packet -> TCP segment -> the connection's stream in that direction -> frames -> messages.
 *
 * Normally a connection is seen from its SYN to its FIN, and everything is explained. If it began before the
 * capture, or if packets are missing, that is said, and frames are found again where a segment begins like
 * one.
 */
#define LIBRARY         "libpcap.so.0.8"
#define ERROR_BYTES     256 /* as pcap.h has it */
#define BUCKETS         1024
#define CONNECTIONS_MAX 4096
#define NAME_BYTES      128

/* --- libpcap: what is used of it, declared here so that pcap.h is not needed ------------------ */

struct pcap;
struct pcap_pkthdr {
	struct timeval ts;
	uint32_t caplen, len;
};

struct library {
	void *handle;
	struct pcap *(*open_offline)(const char *path, char *error);
	int (*datalink)(struct pcap *file);
	int (*next_ex)(struct pcap *file, struct pcap_pkthdr **header, const uint8_t **packet);
	char *(*geterr)(struct pcap *file);
	void (*close)(struct pcap *file);
};

/* dlsym() gives a data pointer, and C has no cast from there to a function: copied, as POSIX allows. */
static bool
load_function(const struct library *l, const char *name, void *to)
{
	void *found = dlsym(l->handle, name);

	memcpy(to, &found, sizeof(found));
	return found != NULL;
}

static bool
library_load(struct library *l)
{
	l->handle = dlopen(LIBRARY, RTLD_NOW);
	if (l->handle != NULL && load_function(l, "pcap_open_offline", &l->open_offline) &&
	    load_function(l, "pcap_datalink", &l->datalink) &&
	    load_function(l, "pcap_next_ex", &l->next_ex) && load_function(l, "pcap_geterr", &l->geterr) &&
	    load_function(l, "pcap_close", &l->close))
		return true;
	fprintf(stderr,
		"broker wire: reading captures takes libpcap: %s\n"
		"On Debian and Ubuntu this installs it: apt-get install libpcap0.8\n",
		dlerror());
	return false;
}

/* --- connections ------------------------------------------------------------------------------ */

struct connection {
	struct list in_bucket, in_age; /* in_age: the one that was quiet for longest is first */
	struct wire_end client, broker;
	char name[NAME_BYTES];
	int id;
	struct wire_stream stream[2]; /* by enum wire_way */
	bool found[2];                /* where frames begin is known */
	bool ended[2];
	uint32_t syn_seq;    /* of the packet that opened it */
	uint32_t end_seq[2]; /* where `ended` directions end */
	struct wire_talk talk;
};

struct capture {
	const struct wire_view *view;
	uint16_t port;
	int link_type;
	int64_t now_us;
	struct list buckets[BUCKETS];
	struct list by_age;
	int connection_n, connections_seen;
	unsigned long segments, fragments, cut;
};

static bool
end_eq(const struct wire_end *a, const struct wire_end *b)
{
	return a->family == b->family && a->port == b->port && memcmp(a->address, b->address, 16) == 0;
}

static struct list *
bucket_of(struct capture *c, const struct wire_end *client, const struct wire_end *broker)
{
	uint32_t hash = (uint32_t)client->port * 31 + broker->port;

	for (int i = 0; i < 16; i++)
		hash = hash * 31 + client->address[i] + (uint32_t)broker->address[i] * 7;
	return &c->buckets[hash % BUCKETS];
}

static void
end_text(const struct wire_end *end, char *out, size_t size)
{
	char address[INET6_ADDRSTRLEN] = "?";

	inet_ntop(end->family == 4 ? AF_INET : AF_INET6, end->address, address, sizeof(address));
	snprintf(out, size, end->family == 4 ? "%s:%u" : "[%s]:%u", address, end->port);
}

static struct connection *
connection_find(struct capture *c, const struct wire_end *client, const struct wire_end *broker)
{
	LIST_EACH (bucket_of(c, client, broker), it) {
		struct connection *found = LIST_OF(it, struct connection, in_bucket);

		if (end_eq(&found->client, client) && end_eq(&found->broker, broker))
			return found;
	}
	return NULL;
}

/* --- from bytes to messages ------------------------------------------------------------------- */

static const char *
way_text(enum wire_way way)
{
	return way == WIRE_REQUEST ? "requests" : "responses";
}

static void
explain_bytes(struct capture *c, struct connection *connection, enum wire_way way, const uint8_t *at,
	      uint32_t n)
{
	struct wire_message message;
	struct wire_piece piece;

	wire_talk_put(&connection->talk, way, at, n);
	for (;;) {
		piece = wire_talk_next(&connection->talk, way, c->now_us, &message);
		if (piece.kind == WIRE_NOTHING)
			return;
		if (piece.kind == WIRE_LOST) {
			wire_note(c->view, connection->name, c->now_us,
				  "%s: this is not Kafka's protocol (or TLS hides it)", way_text(way));
			connection->found[way] = false;
			wire_talk_lose(&connection->talk, way);
			return;
		}
		message.connection = connection->name;
		if (piece.kind != WIRE_REST)
			wire_explain(c->view, &message);
	}
}

/* A hole, or bytes: which are only of use from where a frame begins. */
static void
take_next(struct capture *c, struct connection *connection, enum wire_way way, struct wire_stream_next next)
{
	if (next.kind == WIRE_STREAM_HOLE) {
		wire_note(c->view, connection->name, c->now_us, "%s: %u bytes are missing in the capture",
			  way_text(way), next.n);
		wire_talk_lose(&connection->talk, way);
		connection->found[way] = false;
		return;
	}
	if (!connection->found[way] && !wire_talk_could_begin(&connection->talk, way, next.at, next.n))
		return;
	connection->found[way] = true;
	explain_bytes(c, connection, way, next.at, next.n);
}

static void
connection_drain(struct capture *c, struct connection *connection, enum wire_way way, bool hopeless)
{
	struct wire_stream_next next;

	for (;;) {
		next = wire_stream_next(&connection->stream[way], hopeless);
		if (next.kind == WIRE_STREAM_WAITS)
			return;
		take_next(c, connection, way, next);
	}
}

/* --- beginnings and ends ---------------------------------------------------------------------- */

static void
say_what_is_unfinished(const struct capture *c, const struct connection *connection, enum wire_way way)
{
	const struct wire_stream *stream = &connection->stream[way];
	size_t left = wire_frames_unfinished(&connection->talk.frames[way]);

	if (connection->ended[way] && stream->began && stream->next != connection->end_seq[way])
		wire_note(c->view, connection->name, c->now_us, "%s: %u bytes are missing in the capture",
			  way_text(way), connection->end_seq[way] - stream->next);
	if (left > 0)
		wire_note(c->view, connection->name, c->now_us, "ended within a frame, after %zu bytes of it",
			  left);
}

static void
connection_close(struct capture *c, struct connection *connection)
{
	connection_drain(c, connection, WIRE_REQUEST, true);
	connection_drain(c, connection, WIRE_RESPONSE, true);
	say_what_is_unfinished(c, connection, WIRE_REQUEST);
	say_what_is_unfinished(c, connection, WIRE_RESPONSE);
	wire_stream_free(&connection->stream[WIRE_REQUEST]);
	wire_stream_free(&connection->stream[WIRE_RESPONSE]);
	wire_talk_free(&connection->talk);
	list_remove(&connection->in_bucket);
	list_remove(&connection->in_age);
	c->connection_n--;
	free(connection);
}

static struct connection *
connection_open(struct capture *c, const struct wire_end *client, const struct wire_end *broker)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	char from[NAME_BYTES / 2];

	CHECK(connection != NULL);
	if (c->connection_n == CONNECTIONS_MAX)
		connection_close(c, LIST_OF(c->by_age.next, struct connection, in_age));
	connection->client = *client;
	connection->broker = *broker;
	connection->id = ++c->connections_seen;
	end_text(client, from, sizeof(from));
	snprintf(connection->name, sizeof(connection->name), "#%d %s", connection->id, from);
	wire_talk_init(&connection->talk);
	list_append(bucket_of(c, client, broker), &connection->in_bucket);
	list_append(&c->by_age, &connection->in_age);
	c->connection_n++;
	return connection;
}

/* --- from packets to bytes -------------------------------------------------------------------- */

/* Who is the broker: whoever has its port; if both have, whoever did not begin. */
static enum wire_way
way_of(struct capture *c, const struct wire_packet *packet)
{
	if (packet->to.port != c->port)
		return WIRE_RESPONSE;
	if (packet->from.port == c->port && connection_find(c, &packet->to, &packet->from) != NULL)
		return WIRE_RESPONSE;
	return WIRE_REQUEST;
}

static struct connection *
connection_of(struct capture *c, const struct wire_packet *packet, enum wire_way way)
{
	const struct wire_end *client = way == WIRE_REQUEST ? &packet->from : &packet->to;
	const struct wire_end *broker = way == WIRE_REQUEST ? &packet->to : &packet->from;
	struct connection *connection = connection_find(c, client, broker);

	if (connection != NULL && packet->syn && way == WIRE_REQUEST && connection->syn_seq != packet->seq) {
		connection_close(c, connection); /* the client's port is used anew */
		connection = NULL;
	}
	if (connection != NULL || packet->rst || (packet->n == 0 && !packet->syn))
		return connection;
	connection = connection_open(c, client, broker);
	connection->syn_seq = packet->seq;
	return connection;
}

/* Everything that both sides had to say is here. */
static bool
is_over(const struct connection *connection)
{
	return connection->ended[WIRE_REQUEST] && connection->ended[WIRE_RESPONSE] &&
	       connection->stream[WIRE_REQUEST].next == connection->end_seq[WIRE_REQUEST] &&
	       connection->stream[WIRE_RESPONSE].next == connection->end_seq[WIRE_RESPONSE];
}

static void
take_segment(struct capture *c, const struct wire_packet *packet)
{
	enum wire_way way = way_of(c, packet);
	struct connection *connection = connection_of(c, packet, way);

	if (connection == NULL)
		return;
	list_remove(&connection->in_age);
	list_append(&c->by_age, &connection->in_age);
	if (packet->syn && !connection->stream[way].began) {
		wire_stream_begin(&connection->stream[way], packet->seq + 1);
		connection->found[way] = true;
	} else if (!connection->stream[way].began && packet->n > 0) {
		wire_note(c->view, connection->name, c->now_us, "%s: began before the capture",
			  way_text(way));
	}
	wire_stream_put(&connection->stream[way], packet->seq + (packet->syn ? 1 : 0), packet->at, packet->n);
	connection_drain(c, connection, way, false);
	if (packet->fin && !connection->ended[way]) {
		connection->ended[way] = true;
		connection->end_seq[way] = packet->seq + packet->n;
	}
	if (packet->rst || is_over(connection))
		connection_close(c, connection);
}

/* False: the file's kind of link is not known. */
static bool
take_packet(struct capture *c, const struct pcap_pkthdr *header, const uint8_t *bytes)
{
	struct wire_packet packet;

	c->now_us = (int64_t)header->ts.tv_sec * 1000000 + header->ts.tv_usec;
	switch (wire_packet_parse(c->link_type, bytes, header->caplen, &packet)) {
	case WIRE_PACKET_TCP:
		break;
	case WIRE_PACKET_FRAGMENT:
		c->fragments++;
		return true;
	case WIRE_PACKET_STRANGE:
		return false;
	case WIRE_PACKET_OTHER:
		return true;
	}
	if (packet.from.port != c->port && packet.to.port != c->port)
		return true;
	c->segments++;
	c->cut += packet.cut;
	take_segment(c, &packet);
	return true;
}

/* --- the file --------------------------------------------------------------------------------- */

static void
say_what_is_odd(const struct capture *c)
{
	if (c->segments == 0)
		fprintf(stderr,
			"broker wire: no TCP packet to or from port %u in the capture (--port says which)\n",
			c->port);
	if (c->cut > 0)
		fprintf(stderr, "broker wire: %lu packets are not whole in the capture (tcpdump: -s 0)\n",
			c->cut);
	if (c->fragments > 0)
		fprintf(stderr, "broker wire: %lu fragments of IP packets were passed over\n", c->fragments);
}

static bool
read_file(struct capture *c, const struct library *l, struct pcap *file, const char *path)
{
	struct pcap_pkthdr *header;
	const uint8_t *bytes;
	int more;

	c->link_type = l->datalink(file);
	for (more = l->next_ex(file, &header, &bytes); more == 1; more = l->next_ex(file, &header, &bytes)) {
		if (!take_packet(c, header, bytes)) {
			fprintf(stderr, "broker wire: %s: link type %d is not known here\n", path,
				c->link_type);
			return false;
		}
	}
	while (!list_is_empty(&c->by_age))
		connection_close(c, LIST_OF(c->by_age.next, struct connection, in_age));
	if (more == -1)
		fprintf(stderr, "broker wire: %s: %s\n", path, l->geterr(file));
	else
		say_what_is_odd(c);
	return more != -1;
}

bool
wire_pcap_explain(const char *path, uint16_t port, const struct wire_view *view)
{
	struct library library;
	char error[ERROR_BYTES] = "";
	struct capture *c;
	struct pcap *file;
	bool good;

	if (!library_load(&library))
		return false;
	file = library.open_offline(path, error);
	if (file == NULL) {
		fprintf(stderr, "broker wire: %s\n", error);
		return false;
	}
	c = calloc(1, sizeof(*c));
	CHECK(c != NULL);
	c->view = view;
	c->port = port;
	list_init(&c->by_age);
	for (int i = 0; i < BUCKETS; i++)
		list_init(&c->buckets[i]);
	good = read_file(c, &library, file, path);
	library.close(file);
	free(c);
	return good;
}
