#include "tests/lib/traffic.h"

#include <string.h>

#include "broker/call.h"
#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/protocol/field.h"

#define TOPIC_MARK  "\xfa\xfa-topic-mark-"
#define MEMBER_MARK "c-@member-mark-of-a-length-like-an-id@"
#define MARK_BYTES  (sizeof(TOPIC_MARK) - 1) /* of 16; behind it, which one */

_Static_assert(sizeof(MEMBER_MARK) - 1 == TRAFFIC_MEMBER_BYTES, "as long as what it stands for");
_Static_assert(MARK_BYTES < 16, "there is room for which one it is");

/* --- values that mean something --------------------------------------------------------------------------- */

#define CHOICES 12

static const struct words {
	const char *in;    /* the struct's name ends so; NULL: any */
	const char *field; /* the field's name ends so */
	const char *one_of[CHOICES];
} words[] = {
	{ "protocol", "name", { "range", "sticky" } },
	{ "config",
	  "name",
	  { "retention.ms", "cleanup.policy", "max.message.bytes", "retention.bytes", "compression.type",
	    "message.timestamp.type", "segment.bytes", "x" } },
	{ "config", "value", { "1", "-1", "compact", "delete", "LogAppendTime", "gzip", "1000", "zstd" } },
	{ NULL, "resource_name", { "t0", "t1", "0", "" } },
	{ NULL, "configuration_keys", { "retention.ms", "cleanup.policy" } },
	{ "coordinator_request", "", { "g0", "g1", "g2", "g3", "" } },
	{ NULL, "group_id", { "g0", "g1", "g2", "g3", "" } },
	{ "groups_request", "", { "g0", "g1", "g2", "g3", "Stable", "Empty", "classic" } },
	{ NULL, "member_id", { MEMBER_MARK, MEMBER_MARK, MEMBER_MARK, "", "", "nobody" } },
	{ NULL, "group_instance_id", { "A", "B" } },
	{ NULL, "protocol_type", { "consumer", "consumer", "connect" } },
	{ NULL, "protocol_name", { "range", "sticky" } },
	{ NULL, "name", { "t0", "t1", "t2", "t3", "a.b", "a_b", "new" } },
	{ NULL, "topic", { "t0", "t1", "t2", "t3" } },
	{ NULL, "topics", { "t0", "t1", "t2", "t3" } },
	{ NULL, "topic_names", { "t0", "t1", "t2", "t3" } },
};

static const struct numbers {
	const char *field;
	int n;
	int64_t one_of[CHOICES];
} numbers[] = {
	{ "acks", 4, { -1, 1, 0, -1 } },
	{ "num_partitions", 5, { 1, 2, 3, -1, 1 } },
	{ "replication_factor", 3, { 1, -1, 1 } },
	{ "count", 5, { 1, 2, 3, 4, 5 } },
	{ "session_timeout_ms", 5, { 10, 20, 1, 5, 6000 } },
	{ "rebalance_timeout_ms", 5, { 6000, 10, 1, -1, 0 } },
	{ "generation_id", 6, { 1, 2, 3, 4, -1, 0 } },
	{ "generation_id_or_member_epoch", 6, { 1, 2, 3, -1, -1, 0 } },
	{ "offset", 8, { 0, 1, 2, 3, 5, 10, -1, 100 } },
	{ "timestamp", 6, { -1, -2, -3, 0, 1700000000000, 1700000000002 } },
	{ "index", 5, { 0, 0, 1, 2, -1 } },
	{ "indexes", 4, { 0, 0, 1, 2 } },
	{ "partition", 5, { 0, 0, 1, 2, -1 } },
	{ "partitions", 4, { 0, 0, 1, 2 } },
	{ "leader_epoch", 4, { -1, 0, -1, 1 } },
	{ "replica_id", 2, { -1, -1 } },
	{ "max_wait_ms", 5, { 0, 0, 1, 500, 10000 } },
	{ "min_bytes", 4, { 0, 1, 1, 1000000 } },
	{ "max_bytes", 5, { 0, 1, 100, 100000, 0x7fffffff } },
	{ "session_id", 2, { 0, 0 } },
	{ "session_epoch", 2, { -1, 0 } },
	{ "broker_ids", 2, { 0, 1 } },
	{ "resource_type", 3, { 2, 2, 4 } },
	{ "key_type", 4, { 0, 0, 0, 1 } },
	{ "isolation_level", 2, { 0, 1 } },
	{ "producer_id", 3, { -1, 0, 1 } },
};

static bool
ends(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static void
some_word(struct sample *s, const struct message *in, const struct field *f, struct str *at)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const struct words *w = &words[i];
		uint64_t n = 0;

		if ((w->in != NULL && !ends(in->name, w->in)) || !ends(f->name, w->field))
			continue;
		while (n < CHOICES && w->one_of[n] != NULL)
			n++;
		*at = str_of(w->one_of[sample_below(s, n)]);
		return;
	}
}

static void
some_number(struct sample *s, const struct field *f, void *at)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (!ends(f->name, numbers[i].field))
			continue;
		int64_t v = numbers[i].one_of[sample_below(s, (uint64_t)numbers[i].n)];
		if (f->type == F_INT8)
			*(int8_t *)at = (int8_t)v;
		else if (f->type == F_INT16)
			*(int16_t *)at = (int16_t)v;
		else if (f->type == F_INT32)
			*(int32_t *)at = (int32_t)v;
		else
			*(int64_t *)at = v;
		return;
	}
}

static void
some_topic_id(struct sample *s, struct uuid *at)
{
	memcpy(at->b, TOPIC_MARK, MARK_BYTES);
	memset(at->b + MARK_BYTES, (int)sample_below(s, TRAFFIC_KNOWN), sizeof(at->b) - MARK_BYTES);
}

/* A few records, perhaps an idempotent producer's, perhaps with something odd in the header, with a CRC that is right. */
static void
some_batch(struct sample *s, struct records *records)
{
	struct bytes batch = sample_batch(s->arena, 0, 1 + (int)sample_below(s, 4));
	uint8_t *at = (uint8_t *)(uintptr_t)batch.at; /* the arena's */

	if (sample_below(s, 2) == 0) {
		put_u64(at + 43, sample_below(s, 4));
		put_u16(at + 51, (uint16_t)sample_below(s, 2));
		put_u32(at + 53, (uint32_t)sample_below(s, 12));
	}
	if (sample_below(s, 8) == 0)
		at[22] = (uint8_t)sample_random(s); /* attributes */
	if (sample_below(s, 8) == 0)
		at[21 + sample_below(s, 40)] = (uint8_t)sample_random(s);
	put_u32(at + 17, crc32c(at + 21, (size_t)batch.n - 21));
	*records = (struct records){ .at = at, .n = batch.n };
	if (sample_below(s, 16) == 0)
		records->n -= (int32_t)sample_below(s, (uint64_t)batch.n);
}

/* A consumer's subscription to t0 or t1, or its assignment: version 0, [topic], and partitions or user data. */
static void
some_consumer_bytes(struct sample *s, struct bytes *at)
{
	static const uint8_t subscription[] = { 0, 0, 0, 0, 0, 1, 0, 2, 't', '0', 0xff, 0xff, 0xff, 0xff },
			     assignment[] = { 0, 0, 0, 0, 0, 1, 0, 2,    't',  '1',  0,
					      0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };
	if (sample_below(s, 2) == 0)
		*at = (struct bytes){ .at = subscription, .n = sizeof(subscription) };
	else
		*at = (struct bytes){ .at = assignment, .n = sizeof(assignment) };
}

/* --- over a whole message --------------------------------------------------------------------------------- */

static void season(struct sample *s, const struct message *message, char *at, uint64_t one_in);

static void
season_value(struct sample *s, const struct message *in, const struct field *f, char *at, uint64_t one_in)
{
	if (f->type == F_STRUCT) {
		char *inside = at;
		if (field_is_pointer(f))
			memcpy(&inside, at, sizeof(inside));
		if (inside != NULL)
			season(s, f->of, inside, one_in);
		return;
	}
	if (sample_below(s, one_in) != 0)
		return;
	switch ((enum field_type)f->type) {
	case F_STRING:
		some_word(s, in, f, (struct str *)(void *)at);
		break;
	case F_UUID:
		some_topic_id(s, (struct uuid *)(void *)at);
		break;
	case F_BYTES:
		some_consumer_bytes(s, (struct bytes *)(void *)at);
		break;
	case F_RECORDS:
		some_batch(s, (struct records *)(void *)at);
		break;
	case F_INT8:
	case F_INT16:
	case F_INT32:
	case F_INT64:
		some_number(s, f, at);
		break;
	default:
		break;
	}
}

/* Replace every `one_in`-th value. */
static void
season(struct sample *s, const struct message *message, char *at, uint64_t one_in)
{
	for (int i = 0; i < message->field_n; i++) {
		const struct field *f = &message->fields[i];
		struct any_list list = { .at = at + f->offset, .n = 1 };

		if (!field_is_in(f, s->version))
			continue;
		if (f->list)
			memcpy(&list, at + f->offset, sizeof(list));
		for (int32_t j = 0; j < list.n; j++)
			season_value(s, message, f,
				     (char *)list.at + (f->list ? (size_t)j * field_size(f) : 0), one_in);
	}
}

static void
put_request(const struct request_header *h, const void *in, struct buf *out)
{
	const struct api *api = api_find(h->api_key);
	struct frame frame = FRAME_EMPTY;

	request_header_encode(out, api, h);
	encode(api->request, h->api_version, in, &frame);
	frame_flatten(&frame, out);
	frame_free(&frame);
}

void
traffic_request(struct sample *s, struct buf *out)
{
	const struct handler *handler = &handlers[sample_below(s, (uint64_t)handler_count)];
	const struct api *api = api_find(handler->key);

	s->version =
	    (int16_t)(handler->min + (int)sample_below(s, (uint64_t)(handler->max - handler->min + 1)));
	s->plain = sample_below(s, 8) != 0;
	void *in = sample_message(s, api->request);
	season(s, api->request, in, 1 + sample_below(s, 8) / 7);
	struct request_header h = { .api_key = handler->key,
				    .api_version = s->version,
				    .correlation_id = (int32_t)sample_below(s, 1000),
				    .client_id = STR("c") };
	put_request(&h, in, out);
}

bool
traffic_change(struct sample *s, const uint8_t *at, size_t n, struct buf *out)
{
	struct request_header h;
	struct wire_fault fault;
	size_t leftover;
	int head = request_header_decode(at, n, &h, &fault);
	const struct handler *handler = head < 0 ? NULL : handler_find(h.api_key);

	if (handler == NULL || h.api_version < handler->min || h.api_version > handler->max)
		return false;
	const struct message *message = api_find(h.api_key)->request;
	void *in = arena_alloc(s->arena, message_size(message));
	if (!decode_front(message, h.api_version, at + head, n - (size_t)head, s->arena, in, &fault,
			  &leftover))
		return false;
	s->version = h.api_version;
	season(s, message, in, 1 + sample_below(s, 8));
	put_request(&h, in, out);
	return true;
}

/* --- marks ------------------------------------------------------------------------------------------------ */

void
traffic_fill(const struct traffic_known *known, uint8_t *at, size_t n)
{
	uint8_t *end = at + n, *found;

	for (uint8_t *p = at; (found = memmem(p, (size_t)(end - p), TOPIC_MARK, MARK_BYTES)) != NULL;
	     p = found + 1)
		if (end - found >= 16 && found[MARK_BYTES] < TRAFFIC_KNOWN)
			memcpy(found, known->topics[found[MARK_BYTES]].b, 16);
	/* Which member: by where it is, so that one request may name several. */
	for (uint8_t *p = at;
	     (found = memmem(p, (size_t)(end - p), MEMBER_MARK, TRAFFIC_MEMBER_BYTES)) != NULL; p = found + 1)
		if (known->members[(found - at) % TRAFFIC_KNOWN][0] != '\0')
			memcpy(found, known->members[(found - at) % TRAFFIC_KNOWN], TRAFFIC_MEMBER_BYTES);
}
