/*
 * client: a small blocking Kafka client for tests, on the project's own codec. Whoever wants an independent
 * judge uses integration/; here it is order, timing and bytes that are tested.
 *
 *	struct client c = client_connect(port);
 *	client_send(&c, API_METADATA, 12, &request);       as often as wanted, then, in the same order
 *	struct metadata_response *r = client_receive(&c);   lives until client_close()
 *
 * Anything unexpected fails the running test.
 */
#ifndef TESTS_LIB_CLIENT_H
#define TESTS_LIB_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/protocol/protocol.h"
#include "protocol/messages.h"

#define CLIENT_IN_FLIGHT 1024

struct client {
	int fd;
	int32_t next_correlation_id, next_answer;
	struct {
		const struct api *api;
		int16_t version;
	} asked[CLIENT_IN_FLIGHT]; /* by correlation id modulo */
	struct arena arena;
};

struct client client_connect(int port);
void client_close(struct client *c);
void client_send(struct client *c, int16_t key, int16_t version, const void *request);
void *client_receive(struct client *c);
/* The next answer, without its size, received by somebody else; it stays in the caller's memory. */
void *client_take(struct client *c, const uint8_t *frame, size_t n);
void *client_call(struct client *c, int16_t key, int16_t version, const void *request);
/* Nothing is there to receive within so many milliseconds. */
bool client_is_quiet(struct client *c, int ms);
/* The broker has closed the connection (waits up to five seconds). */
bool client_is_closed(struct client *c);
void client_send_raw(struct client *c, const void *at, size_t n);

/* One batch of `count` records, each `value_bytes` bytes of 'x', not compressed, with a valid CRC. In the
 * arena. */
struct records client_batch(struct arena *arena, int32_t count, int32_t value_bytes);
/* Give a batch a producer's id, epoch and sequence, and compute its CRC again. */
void client_batch_stamp(struct records *batch, int64_t producer_id, int16_t epoch, int32_t sequence);

/* Shorthands for the usual: one topic, one partition. */
struct produce_response_partition_response *
client_produce(struct client *c, const char *topic, int32_t partition, int16_t acks, struct records records);
void client_send_produce(struct client *c, const char *topic, int32_t partition, int16_t acks,
			 struct records records);
void client_send_fetch(struct client *c, const char *topic, int32_t partition, int64_t offset,
		       int32_t max_wait_ms);
struct fetch_response_partition_data *client_receive_fetch(struct client *c);
void client_create_topic(struct client *c, const char *topic, int32_t partitions);

#endif
