#include "tests/lib/client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/varint.h"
#include "tests/lib/test.h"

#define PATIENCE_S (test_patience_ms(20000) / 1000)

struct client
client_connect(int port)
{
	struct client c = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct timeval patience = { .tv_sec = PATIENCE_S };

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(c.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return c;
}

void
client_close(struct client *c)
{
	close(c->fd);
	arena_free(&c->arena);
}

void
client_send_raw(struct client *c, const void *at, size_t n)
{
	assert_int_equal(send(c->fd, at, n, MSG_NOSIGNAL), (ssize_t)n);
}

void
client_send(struct client *c, int16_t key, int16_t version, const void *request)
{
	struct buf out = BUF_EMPTY;
	int32_t id = c->next_correlation_id++;
	struct request_header header = {
		.api_key = key, .api_version = version, .correlation_id = id, .client_id = STR("test")
	};

	c->asked[id % CLIENT_IN_FLIGHT].api = api_find(key);
	c->asked[id % CLIENT_IN_FLIGHT].version = version;
	request_encode(api_find(key), &header, request, &out);
	client_send_raw(c, buf_head(&out), buf_len(&out));
	buf_free(&out);
}

static void
receive_all(struct client *c, void *at, size_t n)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = recv(c->fd, (char *)at + have, n - have, 0);
		assert_true(got > 0);
		have += (size_t)got;
	}
}

void *
client_take(struct client *c, const uint8_t *frame, size_t n)
{
	int32_t id = c->next_answer++, answered;
	const struct api *api = c->asked[id % CLIENT_IN_FLIGHT].api;
	int16_t version = c->asked[id % CLIENT_IN_FLIGHT].version;
	void *out = arena_alloc(&c->arena, message_size(api->response));
	struct wire_fault fault = { .what = "" };

	int head = response_header_decode(frame, n, api, version, &answered);
	assert_true(head > 0);
	assert_int_equal(answered, id);
	if (!decode(api->response, version, frame + head, n - (size_t)head, &c->arena, out, &fault))
		fail_msg("%s: %s", fault.where, fault.what);
	return out;
}

void *
client_receive(struct client *c)
{
	uint8_t size[4];

	receive_all(c, size, sizeof(size));
	size_t n = get_u32(size);
	uint8_t *frame = arena_alloc(&c->arena, n);
	receive_all(c, frame, n);
	return client_take(c, frame, n);
}

void *
client_call(struct client *c, int16_t key, int16_t version, const void *request)
{
	client_send(c, key, version, request);
	return client_receive(c);
}

bool
client_is_quiet(struct client *c, int ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return poll(&p, 1, ms) == 0;
}

bool
client_is_closed(struct client *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	char byte;

	return poll(&p, 1, 5000) == 1 && recv(c->fd, &byte, 1, 0) <= 0;
}

static size_t
put_varint(uint8_t *at, int64_t v)
{
	uint64_t z = (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
	size_t n = 0;

	for (; z >= 0x80; z >>= 7)
		at[n++] = (uint8_t)(z | 0x80);
	at[n++] = (uint8_t)z;
	return n;
}

static size_t
put_record(uint8_t *at, int32_t number, int32_t value_bytes)
{
	uint8_t body[64];
	size_t n = 0;

	body[n++] = 0; /* attributes */
	n += put_varint(body + n, 0);
	n += put_varint(body + n, number);
	n += put_varint(body + n, -1); /* no key */
	n += put_varint(body + n, value_bytes);
	size_t head = put_varint(at, (int64_t)n + value_bytes + 1);
	memcpy(at + head, body, n);
	memset(at + head + n, 'x', (size_t)value_bytes);
	at[head + n + (size_t)value_bytes] = 0; /* no headers */
	return head + n + (size_t)value_bytes + 1;
}

static void
seal(uint8_t *at, size_t n)
{
	put_u32(at + 17, crc32c(at + 21, n - 21));
}

struct records
client_batch(struct arena *arena, int32_t count, int32_t value_bytes)
{
	uint8_t *at = arena_alloc(arena, 61 + (size_t)count * (size_t)(value_bytes + 40));
	size_t n = 61;

	for (int32_t i = 0; i < count; i++)
		n += put_record(at + n, i, value_bytes);
	put_u32(at + 8, (uint32_t)n - 12);
	put_u32(at + 12, UINT32_MAX);
	at[16] = 2;
	put_u32(at + 23, (uint32_t)count - 1);
	put_u64(at + 27, 1700000000000);
	put_u64(at + 35, 1700000000000);
	put_u64(at + 43, UINT64_MAX);
	put_u16(at + 51, UINT16_MAX);
	put_u32(at + 53, UINT32_MAX);
	put_u32(at + 57, (uint32_t)count);
	seal(at, n);
	return (struct records){ .at = at, .n = (int32_t)n };
}

void
client_batch_stamp(struct records *batch, int64_t producer_id, int16_t epoch, int32_t sequence)
{
	uint8_t *at = (uint8_t *)(uintptr_t)batch->at;

	put_u64(at + 43, (uint64_t)producer_id);
	put_u16(at + 51, (uint16_t)epoch);
	put_u32(at + 53, (uint32_t)sequence);
	seal(at, (size_t)batch->n);
}

void
client_send_produce(struct client *c, const char *topic, int32_t partition, int16_t acks,
		    struct records records)
{
	struct produce_request_partition_data data = { .index = partition, .records = records };
	struct produce_request_topic_data asked = { .name = str_of(topic), .partition_data = { &data, 1 } };
	struct produce_request request = {
		.transactional_id = STR_NULL, .acks = acks, .timeout_ms = 5000, .topic_data = { &asked, 1 }
	};

	client_send(c, API_PRODUCE, 9, &request);
	if (acks == 0)
		c->next_answer++;
}

struct produce_response_partition_response *
client_produce(struct client *c, const char *topic, int32_t partition, int16_t acks, struct records records)
{
	client_send_produce(c, topic, partition, acks, records);
	const struct produce_response *answer = client_receive(c);
	assert_int_equal(answer->responses.n, 1);
	assert_int_equal(answer->responses.at[0].partition_responses.n, 1);
	return &answer->responses.at[0].partition_responses.at[0];
}

void
client_send_fetch(struct client *c, const char *topic, int32_t partition, int64_t offset, int32_t max_wait_ms)
{
	struct fetch_request_partition p;
	message_defaults(&fetch_request_partition_message, &p);
	p.partition = partition;
	p.fetch_offset = offset;
	p.partition_max_bytes = 1 << 20;
	struct fetch_request_topic asked = { .topic = str_of(topic), .partitions = { &p, 1 } };
	struct fetch_request request;
	message_defaults(&fetch_request_message, &request);
	request.max_wait_ms = max_wait_ms;
	request.min_bytes = 1;
	request.max_bytes = 1 << 20;
	request.topics.at = &asked;
	request.topics.n = 1;
	client_send(c, API_FETCH, 12, &request);
}

struct fetch_response_partition_data *
client_receive_fetch(struct client *c)
{
	const struct fetch_response *answer = client_receive(c);

	assert_int_equal(answer->error_code, ERR_NONE);
	assert_int_equal(answer->responses.n, 1);
	assert_int_equal(answer->responses.at[0].partitions.n, 1);
	return &answer->responses.at[0].partitions.at[0];
}

void
client_create_topic(struct client *c, const char *topic, int32_t partitions)
{
	struct create_topics_request_topic asked;
	struct create_topics_request request;

	message_defaults(&create_topics_request_topic_message, &asked);
	message_defaults(&create_topics_request_message, &request);
	asked.name = str_of(topic);
	asked.num_partitions = partitions;
	asked.replication_factor = 1;
	request.topics.at = &asked;
	request.topics.n = 1;
	request.timeout_ms = 5000;
	const struct create_topics_response *answer = client_call(c, API_CREATE_TOPICS, 5, &request);
	assert_int_equal(answer->topics.n, 1);
	assert_int_equal(answer->topics.at[0].error_code, ERR_NONE);
}
