#include "wire.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	PRODUCE = 0,
	FETCH = 1,
	LIST_OFFSETS = 2,
	METADATA = 3,
	CREATE_TOPICS = 19,
	DELETE_TOPICS = 20,
	CREATE_PARTITIONS = 37
};

#define SERVED_S           300  /* of 10,000 partitions, by an Apache Kafka on a busy machine */
#define PARTITIONS_AT_ONCE 5000 /* an Apache Kafka takes no more than 10,000 changes in a request */

void
wire_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

double
wire_now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int
wire_connect(const char *address, int try_only)
{
	char host[256];
	const char *colon = strrchr(address, ':');
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	int fd, on = 1;

	if (!colon || (size_t)(colon - address) >= sizeof(host))
		wire_die("%s: not host:port", address);
	memcpy(host, address, (size_t)(colon - address));
	host[colon - address] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &found))
		wire_die("%s: unknown host", address);
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		wire_die("socket: %s", strerror(errno));
	if (connect(fd, found->ai_addr, found->ai_addrlen) < 0) {
		if (!try_only)
			wire_die("%s: %s", address, strerror(errno));
		close(fd);
		fd = -1;
	} else {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	freeaddrinfo(found);
	return fd;
}

int16_t
wire_i16(const uint8_t *at)
{
	return (int16_t)(at[0] << 8 | at[1]);
}

int32_t
wire_i32(const uint8_t *at)
{
	return (int32_t)((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]);
}

int64_t
wire_i64(const uint8_t *at)
{
	return (int64_t)((uint64_t)(uint32_t)wire_i32(at) << 32 | (uint32_t)wire_i32(at + 4));
}

/* ---- Writing ---- */

static uint8_t *
put(struct bytes *b, size_t n)
{
	if (b->n + n > b->cap) {
		b->cap = (b->n + n) * 2;
		b->at = realloc(b->at, b->cap);
		if (!b->at)
			wire_die("out of memory");
	}
	b->n += n;
	return b->at + b->n - n;
}

void
wire_put_int(struct bytes *b, int n, int64_t value)
{
	uint8_t *at = put(b, (size_t)n);

	for (int i = 0; i < n; i++)
		at[i] = (uint8_t)((uint64_t)value >> 8 * (n - 1 - i));
}

static void
patch_i32(struct bytes *b, size_t at, int64_t value)
{
	size_t n = b->n;

	b->n = at;
	wire_put_int(b, 4, value);
	b->n = n;
}

void
wire_put_string(struct bytes *b, const char *text)
{
	size_t n = text ? strlen(text) : 0;

	wire_put_int(b, 2, text ? (int64_t)n : -1);
	memcpy(put(b, n), text, n);
}

static void
put_varint(struct bytes *b, int64_t value)
{
	uint64_t u = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);

	for (; u > 0x7f; u >>= 7)
		wire_put_int(b, 1, (int64_t)(u & 0x7f) | 0x80);
	wire_put_int(b, 1, (int64_t)u);
}

static int
varint_bytes(int64_t value)
{
	int n = 1;

	for (uint64_t u = (uint64_t)value << 1; u > 0x7f; u >>= 7)
		n++;
	return n;
}

struct bytes
wire_begin(int key, int version)
{
	struct bytes b = { 0 };

	wire_put_int(&b, 4, 0);
	wire_put_int(&b, 2, key);
	wire_put_int(&b, 2, version);
	wire_put_int(&b, 4, 1); /* correlation id */
	wire_put_string(&b, "bench");
	return b;
}

struct bytes
wire_end(struct bytes b)
{
	patch_i32(&b, 0, (int64_t)b.n - 4);
	return b;
}

static uint32_t
crc32c(const uint8_t *at, size_t n)
{
	static uint32_t table[256];
	uint32_t crc = 0xffffffff;

	for (uint32_t i = 0; !table[255] && i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78 : c >> 1;
		table[i] = c;
	}
	for (size_t i = 0; i < n; i++)
		crc = table[(crc ^ at[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}

/* A record: size, attributes, timestamp delta, offset delta, key of size -1, value, no headers. */
static void
put_record(struct bytes *b, int delta, int value_bytes)
{
	int body = 1 + 1 + varint_bytes(delta) + 1 + varint_bytes(value_bytes) + value_bytes + 1;
	uint8_t *value;

	put_varint(b, body);
	wire_put_int(b, 1, 0);
	put_varint(b, 0);
	put_varint(b, delta);
	put_varint(b, -1);
	put_varint(b, value_bytes);
	value = put(b, (size_t)value_bytes);
	for (int i = 0; i < value_bytes; i++)
		value[i] = (uint8_t)(rand() >> 7);
	put_varint(b, 0);
}

/* A batch of message format v2 (KIP-98). */
static void
put_batch(struct bytes *b, int records, int value_bytes)
{
	size_t start = b->n, crc_at;
	struct timespec t;
	int64_t now_ms;

	clock_gettime(CLOCK_REALTIME, &t);
	now_ms = t.tv_sec * 1000 + t.tv_nsec / 1000000;
	wire_put_int(b, 8, 0);  /* base offset */
	wire_put_int(b, 4, 0);  /* length: below */
	wire_put_int(b, 4, -1); /* leader epoch */
	wire_put_int(b, 1, 2);  /* magic */
	crc_at = b->n;
	wire_put_int(b, 4, 0); /* CRC: below */
	wire_put_int(b, 2, 0); /* attributes */
	wire_put_int(b, 4, records - 1);
	wire_put_int(b, 8, now_ms);
	wire_put_int(b, 8, now_ms);
	wire_put_int(b, 8, -1); /* producer id, epoch, sequence */
	wire_put_int(b, 2, -1);
	wire_put_int(b, 4, -1);
	wire_put_int(b, 4, records);
	for (int i = 0; i < records; i++)
		put_record(b, i, value_bytes);
	patch_i32(b, start + 8, (int64_t)(b->n - start - 12));
	patch_i32(b, crc_at, crc32c(b->at + crc_at + 4, b->n - crc_at - 4));
}

/* ---- Requests ---- */

struct bytes
wire_metadata_request(const char *topic)
{
	struct bytes b = wire_begin(METADATA, 4);

	wire_put_int(&b, 4, 1);
	wire_put_string(&b, topic);
	wire_put_int(&b, 1, 1); /* create it */
	return wire_end(b);
}

struct bytes
wire_create_request(const char *topic, int partitions)
{
	struct bytes b = wire_begin(CREATE_TOPICS, 2);

	wire_put_int(&b, 4, 1);
	wire_put_string(&b, topic);
	wire_put_int(&b, 4, partitions);
	wire_put_int(&b, 2, 1);
	wire_put_int(&b, 4, 0); /* assignments */
	wire_put_int(&b, 4, 0); /* configs */
	wire_put_int(&b, 4, 30000);
	wire_put_int(&b, 1, 0); /* not only to validate */
	return wire_end(b);
}

static struct bytes
more_partitions_request(const char *topic, int partitions)
{
	struct bytes b = wire_begin(CREATE_PARTITIONS, 0);

	wire_put_int(&b, 4, 1);
	wire_put_string(&b, topic);
	wire_put_int(&b, 4, partitions);
	wire_put_int(&b, 4, -1); /* no assignments */
	wire_put_int(&b, 4, 30000);
	wire_put_int(&b, 1, 0); /* not only to validate */
	return wire_end(b);
}

struct bytes
wire_delete_request(const char *topic)
{
	struct bytes b = wire_begin(DELETE_TOPICS, 1);

	wire_put_int(&b, 4, 1);
	wire_put_string(&b, topic);
	wire_put_int(&b, 4, 30000);
	return wire_end(b);
}

struct bytes
wire_produce_request(const char *topic, int partition, int acks, int records, int value_bytes)
{
	struct bytes b = wire_begin(PRODUCE, 7);
	size_t size_at;

	wire_put_int(&b, 2, -1); /* no transactional id */
	wire_put_int(&b, 2, acks);
	wire_put_int(&b, 4, 30000);
	wire_put_int(&b, 4, 1);
	wire_put_string(&b, topic);
	wire_put_int(&b, 4, 1);
	wire_put_int(&b, 4, partition);
	size_at = b.n;
	wire_put_int(&b, 4, 0);
	put_batch(&b, records, value_bytes);
	patch_i32(&b, size_at, (int64_t)(b.n - size_at - 4));
	return wire_end(b);
}

struct bytes
wire_fetch_request(const char *topic, int partition, int64_t offset, int max_bytes, int wait_ms)
{
	struct bytes b = wire_begin(FETCH, 4);

	wire_put_int(&b, 4, -1);
	wire_put_int(&b, 4, wait_ms);
	wire_put_int(&b, 4, 1);
	wire_put_int(&b, 4, max_bytes);
	wire_put_int(&b, 1, 0);
	wire_put_int(&b, 4, 1);
	wire_put_string(&b, topic);
	wire_put_int(&b, 4, 1);
	wire_put_int(&b, 4, partition);
	wire_put_int(&b, 8, offset);
	wire_put_int(&b, 4, max_bytes);
	return wire_end(b);
}

static struct bytes
end_offsets_request(const char *topic, int partitions)
{
	struct bytes b = wire_begin(LIST_OFFSETS, 1);

	wire_put_int(&b, 4, -1);
	wire_put_int(&b, 4, 1);
	wire_put_string(&b, topic);
	wire_put_int(&b, 4, partitions);
	for (int p = 0; p < partitions; p++) {
		wire_put_int(&b, 4, p);
		wire_put_int(&b, 8, -1);
	}
	return wire_end(b);
}

size_t
wire_partition_at(const char *topic)
{
	/* size, header with "bench", transactional id, acks, timeout, topics, name, partitions */
	return 4 + 8 + 7 + 2 + 2 + 4 + 4 + 2 + strlen(topic) + 4;
}

size_t
wire_produced_error_at(const char *topic)
{
	return 4 + 4 + 4 + 2 + strlen(topic) + 4 + 4; /* size, correlation, topics, name, partitions, index */
}

size_t
wire_fetched_error_at(const char *topic)
{
	return 4 + 4 + 4 + 4 + 2 + strlen(topic) + 4 + 4; /* as above, with the throttle time */
}

/* ---- Calls ---- */

void
wire_send(int fd, struct bytes b)
{
	while (b.n) {
		ssize_t n = send(fd, b.at, b.n, MSG_NOSIGNAL);

		if (n < 0)
			wire_die("send: %s", strerror(errno));
		b.at += n;
		b.n -= (size_t)n;
	}
}

static void
receive_all(int fd, uint8_t *at, size_t n)
{
	while (n) {
		ssize_t got = recv(fd, at, n, 0);

		if (got <= 0)
			wire_die("the broker closed the connection (%s)",
				 got ? strerror(errno) : "end of stream");
		at += got;
		n -= (size_t)got;
	}
}

struct bytes
wire_receive(int fd)
{
	struct bytes answer = { 0 };
	int32_t size;

	receive_all(fd, put(&answer, 4), 4);
	size = wire_i32(answer.at);
	if (size < 4 || size > 1 << 30)
		wire_die("an answer of %d bytes", size);
	put(&answer, (size_t)size);
	receive_all(fd, answer.at + 4, (size_t)size);
	return answer;
}

struct bytes
wire_call(int fd, struct bytes request)
{
	wire_send(fd, request);
	return wire_receive(fd);
}

void
wire_ask(int fd, struct bytes request, size_t error_at, int16_t forgiven, const char *what)
{
	struct bytes answer = wire_call(fd, request);
	int16_t error;

	if (answer.n < error_at + 2)
		wire_die("%s: an answer of %zu bytes", what, answer.n);
	error = wire_i16(answer.at + error_at);
	if (error && error != forgiven)
		wire_die("%s: error %d", what, error);
	free(answer.at);
	free(request.at);
}

/* These answers: size, correlation, throttle time, count, name, error. */
static size_t
administered_error_at(const char *topic)
{
	return 4 + 4 + 4 + 4 + 2 + strlen(topic);
}

void
wire_create_topic(int fd, const char *topic, int partitions)
{
	int n = partitions < PARTITIONS_AT_ONCE ? partitions : PARTITIONS_AT_ONCE;

	wire_ask(fd, wire_create_request(topic, n), administered_error_at(topic), 36, "CreateTopics");
	while (n < partitions) {
		n = n + PARTITIONS_AT_ONCE < partitions ? n + PARTITIONS_AT_ONCE : partitions;
		wire_ask(fd, more_partitions_request(topic, n), administered_error_at(topic), 0,
			 "CreatePartitions");
	}
}

/* Answers: size, correlation, topics, name, partitions: each index, error, time, offset. */
static int
is_served(int fd, const char *topic, int partitions)
{
	struct bytes request = end_offsets_request(topic, partitions), answer = wire_call(fd, request);
	size_t at = 4 + 4 + 4 + 2 + strlen(topic) + 4, each = 4 + 2 + 8 + 8;
	int served = answer.n == at + each * (size_t)partitions;

	for (int p = 0; served && p < partitions; p++)
		served = wire_i16(answer.at + at + each * (size_t)p + 4) == 0;
	free(answer.at);
	free(request.at);
	return served;
}

/* Asking costs the broker something for each partition: most of the time is left to what is waited for. */
void
wire_await_topic(int fd, const char *topic, int partitions)
{
	double began = wire_now_s(), asked = began;

	while (!is_served(fd, topic, partitions)) {
		double took = wire_now_s() - asked, pause_s = took < 0.002 ? 0.02 : 10 * took;
		struct timespec pause = { (time_t)pause_s,
					  (long)((pause_s - (double)(time_t)pause_s) * 1e9) };

		if (wire_now_s() - began > SERVED_S)
			wire_die("%s is not served %d s after it was created", topic, SERVED_S);
		nanosleep(&pause, NULL);
		asked = wire_now_s();
	}
}

void
wire_delete_topic(int fd, const char *topic)
{
	wire_ask(fd, wire_delete_request(topic), administered_error_at(topic), 3, "DeleteTopics");
}
