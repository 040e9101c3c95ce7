#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/bytes.h"
#include "common/protocol/field.h"
#include "protocol/messages.h"
#include "tests/lib/sample.h"

/*
 * Wireshark's Kafka dissector was written by others from Kafka's own definitions: does it read our bytes
 * as we meant them? We write a capture with a request and its answer for every API and version, and
 * beside it a list of every value and where it stands. tests/frames/check_tshark.py has tshark read the
 * capture and compares.
 *
 *	capture.pcap  packets of raw IPv4, a TCP stream per API and version
 *	values.txt    message PACKET KEY VERSION request|response
 *	              FROM TO PATH VALUE       offsets into the payload; strings and bytes in hex
 */
#define SAMPLES 3  /* of each shape */
#define IP_TCP  40 /* bytes of both headers */

struct capture {
	FILE *pcap, *values;
	int packets;
	uint16_t port; /* the client's; the broker's is 9092 */
};

/* Writes down where each value stands. */
struct witness {
	struct watcher watcher;
	FILE *out;
	const uint8_t *start; /* of the payload */
	const char *path[FIELD_DEPTH_MAX + 1];
};

/* ---- the capture */

static void
put_le32(FILE *out, uint32_t value)
{
	uint8_t bytes[4] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
			     (uint8_t)(value >> 24) };

	assert_int_equal(fwrite(bytes, 1, 4, out), 4);
}

static void
pcap_begin(FILE *out)
{
	put_le32(out, 0xa1b2c3d4);
	put_le32(out, 2 | 4 << 16); /* version 2.4 */
	put_le32(out, 0);
	put_le32(out, 0);
	put_le32(out, 65535);
	put_le32(out, 101); /* raw IP */
}

static void
pcap_packet(struct capture *c, bool from_client, const uint8_t *at, size_t n)
{
	uint8_t head[IP_TCP] = { [0] = 0x45, [8] = 64,    [9] = 6,     [12] = 127,  [15] = 1,   [16] = 127,
				 [19] = 1,   [32] = 0x50, [33] = 0x18, [34] = 0xff, [35] = 0xff };

	assert_true(n + IP_TCP <= 65535);
	put_u16(head + 2, (uint16_t)(n + IP_TCP));
	put_u16(head + 20, from_client ? c->port : 9092);
	put_u16(head + 22, from_client ? 9092 : c->port);
	put_u32(head + 24, 1000);
	put_u32(head + 28, 1000);
	put_le32(c->pcap, 1700000000);
	put_le32(c->pcap, (uint32_t)c->packets);
	put_le32(c->pcap, (uint32_t)(n + IP_TCP));
	put_le32(c->pcap, (uint32_t)(n + IP_TCP));
	assert_int_equal(fwrite(head, 1, IP_TCP, c->pcap), IP_TCP);
	assert_int_equal(fwrite(at, 1, n, c->pcap), n);
	c->packets++;
}

/* ---- the values */

static void
put_hex(FILE *out, const void *at, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		fprintf(out, "%02x", ((const uint8_t *)at)[i]);
	fputs(n < 0 ? "null" : n == 0 ? "empty" : "", out);
}

static void
put_value(FILE *out, const struct field *f, const void *at)
{
	switch ((enum field_type)f->type) {
	case F_BOOL:
		fprintf(out, "%d", *(const bool *)at);
		break;
	case F_INT8:
		fprintf(out, "%d", *(const int8_t *)at);
		break;
	case F_INT16:
		fprintf(out, "%d", *(const int16_t *)at);
		break;
	case F_INT32:
		fprintf(out, "%d", *(const int32_t *)at);
		break;
	case F_INT64:
		fprintf(out, "%lld", (long long)*(const int64_t *)at);
		break;
	case F_ERROR:
		fprintf(out, "%d", (int)*(const enum err *)at);
		break;
	case F_UUID:
		put_hex(out, at, 16);
		break;
	case F_STRING:
		put_hex(out, ((const struct str *)at)->at, ((const struct str *)at)->n);
		break;
	case F_BYTES:
		put_hex(out, ((const struct bytes *)at)->at, ((const struct bytes *)at)->n);
		break;
	case F_RECORDS:
	case F_STRUCT:
		break;
	}
}

static void
put_path(const struct witness *w, int depth, const char *name)
{
	for (int i = 0; i < depth; i++)
		fprintf(w->out, "%s.", w->path[i]);
	fprintf(w->out, "%s ", name);
}

static void
put_line(const struct witness *w, int depth, const struct field *f, const uint8_t *from, const uint8_t *to,
	 const void *value)
{
	fprintf(w->out, "%td %td ", from - w->start, to - w->start);
	put_path(w, depth, f->name);
	put_value(w->out, f, value);
	fputc('\n', w->out);
}

/*
 * The parts of a batch that are worth a look, at their fixed places; and the values that sample_batch()
 * gave it.
 */
static void
put_batch(const struct witness *w, int depth, const struct records *records)
{
	const uint8_t *at = records->at;
	char value[16];
	int length;

	fprintf(w->out, "%td %td ", at - w->start, at + 8 - w->start);
	put_path(w, depth, "batch.base_offset");
	fprintf(w->out, "%lld\n%td %td ", (long long)get_u64(at), at + 17 - w->start, at + 21 - w->start);
	put_path(w, depth, "batch.crc");
	fprintf(w->out, "%u\n%td %td ", get_u32(at + 17), at + 23 - w->start, at + 27 - w->start);
	put_path(w, depth, "batch.last_offset_delta");
	fprintf(w->out, "%u\n", get_u32(at + 23));
	for (uint32_t i = 0; i < get_u32(at + 57); i++) {
		const uint8_t *found;

		length = snprintf(value, sizeof(value), "value-%u", i);
		found = memmem(at, (size_t)records->n, value, (size_t)length);
		assert_non_null(found);
		fprintf(w->out, "%td %td ", found - w->start, found + length - w->start);
		put_path(w, depth, "batch.value");
		put_hex(w->out, found, length);
		fputc('\n', w->out);
	}
}

/* A list of numbers is a value of its own for us; the dissector shows its elements, whose size is fixed. */
static void
put_list(const struct witness *w, int depth, const struct field *f, const uint8_t *to,
	 const struct any_list *list)
{
	const uint8_t *at = to;

	for (int32_t i = list->n - 1; i >= 0; i--) {
		const char *element = (const char *)list->at + (size_t)i * field_size(f);
		size_t n = f->type == F_STRING ? (size_t)((const struct str *)(const void *)element)->n : 4;

		put_line(w, depth, f, at - n, at, element);
		at -= n;
		if (f->type == F_STRING)
			at = (const uint8_t *)((const struct str *)(const void *)element)->at - 1;
		if (f->type == F_STRING && *at == 0)
			at--;
		if (f->type == F_STRING && list->n > 1 && i > 0)
			at = (const uint8_t *)((const struct str *)list->at)[i - 1].at +
			     ((const struct str *)list->at)[i - 1].n;
	}
}

static void
witness_see(struct watcher *watcher, enum sight sight, const struct field *f, int depth, int32_t index,
	    const uint8_t *from, const uint8_t *to, const void *value)
{
	struct witness *w = (struct witness *)watcher;
	struct any_list list;

	(void)index;
	if (f != NULL)
		w->path[depth] = f->name;
	if (sight != SIGHT_VALUE)
		return;
	if (f->list) {
		memcpy(&list, value, sizeof(list));
		put_list(w, depth, f, to, &list);
	} else if (f->type == F_RECORDS) {
		put_batch(w, depth, value);
	} else {
		put_line(w, depth, f, from, to, value);
	}
}

static void
put_values(struct capture *c, const struct api *api, const struct message *message, int16_t version,
	   const struct buf *frame, size_t header)
{
	struct witness w = { .watcher = { witness_see }, .out = c->values, .start = buf_head(frame) };
	struct arena arena = ARENA_EMPTY;
	struct wire_fault fault;
	void *out = arena_alloc(&arena, message_size(message));

	fprintf(c->values, "message %d %d %d %s\n", c->packets, api->key, version,
		message == api->request ? "request" : "response");
	assert_true(decode_watched(message, version, buf_head(frame) + header, buf_len(frame) - header,
				   &arena, out, &fault, &w.watcher));
	arena_free(&arena);
}

/*
 * tshark 4.0 takes the assignments of CreateTopics and CreatePartitions for something else than they are
 * (the first as a list that does not end, the second as a list of brokers), and loses its way after them:
 * none, then.
 */
static void
without_assignments(const struct api *api, void *in)
{
	struct create_topics_request *create = in;
	struct create_partitions_request *widen = in;

	for (int32_t i = 0; api->key == API_CREATE_TOPICS && i < create->topics.n; i++)
		create->topics.at[i].assignments.n = 0;
	for (int32_t i = 0; api->key == API_CREATE_PARTITIONS && i < widen->topics.n; i++)
		widen->topics.at[i].assignments.n = -1;
}

static void
capture_request(struct capture *c, const struct api *api, int16_t version, struct sample *s,
		int32_t correlation_id)
{
	struct request_header header = { api->key, version, correlation_id, STR("client") };
	struct request_header again;
	struct wire_fault fault;
	struct buf frame = BUF_EMPTY;
	void *in = sample_message(s, api->request);
	int length;

	without_assignments(api, in);
	request_encode(api, &header, in, &frame);
	length = request_header_decode(buf_head(&frame) + 4, buf_len(&frame) - 4, &again, &fault);
	assert_true(length > 0);
	pcap_packet(c, true, buf_head(&frame), buf_len(&frame));
	put_values(c, api, api->request, version, &frame, 4 + (size_t)length);
	buf_free(&frame);
}

static void
capture_response(struct capture *c, const struct api *api, int16_t version, struct sample *s,
		 int32_t correlation_id)
{
	struct frame frame = FRAME_EMPTY;

	response_encode(api, version, correlation_id, sample_message(s, api->response), &frame);
	pcap_packet(c, false, buf_head(&frame.bytes), buf_len(&frame.bytes));
	put_values(c, api, api->response, version, &frame.bytes, 4 + response_header_size(api, version));
	frame_free(&frame);
}

static void
capture_all(struct capture *c)
{
	int32_t correlation_id = 1;

	pcap_begin(c->pcap);
	for (int i = 0; i < api_count; i++) {
		for (int16_t v = apis[i].min; v <= apis[i].max; v++) {
			for (uint64_t seed = 0; seed < SAMPLES; seed++, correlation_id++) {
				struct arena arena = ARENA_EMPTY;
				struct sample s = {
					.seed = seed, .version = v, .plain = true, .arena = &arena
				};

				c->port++;
				capture_request(c, &apis[i], v, &s, correlation_id);
				capture_response(c, &apis[i], v, &s, correlation_id);
				arena_free(&arena);
			}
		}
	}
}

static void
wireshark_reads_what_we_wrote(void **state)
{
	(void)state;
	char command[512];
	struct capture c = { .port = 10000 };
	char *dir;

	if (getenv("FORKA_NO_TSHARK") != NULL)
		skip();
	dir = test_dir_make();
	c.pcap = fopen(test_path(dir, "capture.pcap"), "w");
	c.values = fopen(test_path(dir, "values.txt"), "w");
	assert_true(c.pcap != NULL && c.values != NULL);
	capture_all(&c);
	assert_int_equal(fclose(c.pcap), 0);
	assert_int_equal(fclose(c.values), 0);
	snprintf(command, sizeof(command), "python3 tests/frames/check_tshark.py %s 2>&1", dir);
	assert_int_equal(system(command), 0);
	test_dir_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wireshark_reads_what_we_wrote),
	};

	return cmocka_run_group_tests_name("tshark", tests, NULL, NULL);
}
