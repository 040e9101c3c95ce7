/*
 * wire: the few requests that the load generators send, as bytes, and blocking sockets to send them over.
 *
 * Written apart from the broker's own protocol code, so that a mistake in that cannot hide here; old versions
 *of each API, which have the simplest shapes: Metadata 4, CreateTopics 2, DeleteTopics 1, Produce 7, Fetch 4,
 *ListOffsets 1, CreatePartitions 0.
 *
 *	wire_connect -> wire_*_request (a whole frame, to be freed with free(frame.at)) -> wire_call -> answer
 *
 * Anything unexpected ends the program with a sentence on stderr: these are tools, not a library.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
	uint8_t *at;
	size_t n, cap;
};

/* Print and end with status 1. */
_Noreturn void wire_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Seconds of the monotonic clock. */
double wire_now_s(void);

/* "host:port" -> a connected socket with TCP_NODELAY; -1 and errno if nobody is there (only if try_only). */
int wire_connect(const char *address, int try_only);

/* Big-endian reads of an answer. */
int16_t wire_i16(const uint8_t *at);
int32_t wire_i32(const uint8_t *at);
int64_t wire_i64(const uint8_t *at);

/* Any request: begin (size, header without tagged fields, client id "bench"), put..., end (sets the size). */
struct bytes wire_begin(int key, int version);
/* The low n bytes of the value, big-endian. */
void wire_put_int(struct bytes *b, int n, int64_t value);
void wire_put_string(struct bytes *b, const char *text); /* NULL: null */
struct bytes wire_end(struct bytes b);

struct bytes wire_metadata_request(const char *topic);
struct bytes wire_create_request(const char *topic, int partitions);
struct bytes wire_delete_request(const char *topic);
/* One batch of `records` records of value_bytes each, without keys; acks 0, 1 or -1. */
struct bytes wire_produce_request(const char *topic, int partition, int acks, int records, int value_bytes);
struct bytes wire_fetch_request(const char *topic, int partition, int64_t offset, int max_bytes, int wait_ms);

/* Where a produce request has its partition (i32), for who sends the same batch to another one. */
size_t wire_partition_at(const char *topic);

/* Where an answer to the produce request (size field included) holds its error, and how long it is. */
size_t wire_produced_error_at(const char *topic);
/* Where an answer to the fetch request holds: error i16, high watermark i64, ..., and its records' size i32.
 */
size_t wire_fetched_error_at(const char *topic);

/* Send all of it; the bytes stay the caller's. */
void wire_send(int fd, struct bytes request);
/* One whole answer, size field included. Freed by the caller. */
struct bytes wire_receive(int fd);
/* Both. */
struct bytes wire_call(int fd, struct bytes request);
/* The same for administration: the request is freed, and the error at error_at ends the program unless
 * `forgiven`. */
void wire_ask(int fd, struct bytes request, size_t error_at, int16_t forgiven, const char *what);

/* Create a topic (36, already there, is fine); delete it (3, not there, is fine). */
void wire_create_topic(int fd, const char *topic, int partitions);
/* Until every partition tells its offsets: an Apache Kafka answers the creation before it serves the topic. */
void wire_await_topic(int fd, const char *topic, int partitions);
void wire_delete_topic(int fd, const char *topic);

#endif
