#include "tests/lib/sample.h"

#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/protocol/field.h"
#include "common/varint.h"

/* splitmix64: every seed is as good as any other */
uint64_t
sample_random(struct sample *s)
{
	uint64_t z = s->seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint64_t
sample_below(struct sample *s, uint64_t n)
{
	return sample_random(s) % n;
}

static int64_t
some_number(struct sample *s, int bits)
{
	uint64_t pick = sample_below(s, s->plain ? 3 : 7);

	switch (pick) {
	case 0:
		return (int64_t)sample_below(s, 100);
	case 1:
		return 1;
	case 2:
		return (int64_t)sample_below(s, (uint64_t)1 << (bits - 2));
	case 3:
		return 0;
	case 4:
		return -1;
	case 5:
		return (int64_t)(((uint64_t)1 << (bits - 1)) - 1);
	default:
		return (int64_t)(UINT64_MAX << (bits - 1));
	}
}

/*
 * A length: mostly small, now and then where a varint or an int16 changes its shape. -1 only if it may be
 * null.
 */
static int32_t
some_length(struct sample *s, bool may_be_null)
{
	static const int32_t edges[] = { 0, 126, 127, 128, 16383, 16384, 32767 };

	if (s->plain)
		return 1 + (int32_t)sample_below(s, 12);
	if (may_be_null && sample_below(s, 3) == 0)
		return -1;
	if (sample_below(s, 60) == 0)
		return edges[sample_below(s, sizeof(edges) / sizeof(edges[0]))];
	return (int32_t)sample_below(s, 20);
}

static uint8_t *
some_bytes(struct sample *s, int32_t n)
{
	uint8_t *at;

	if (n < 0)
		return NULL;
	at = arena_alloc(s->arena, (size_t)n);
	for (int32_t i = 0; i < n; i++)
		at[i] = (uint8_t)(s->plain ? 'a' + sample_below(s, 26) : sample_random(s));
	return at;
}

/* The bytes in up to four pieces, some of them empty. */
static void
cut_to_pieces(struct sample *s, struct records *records)
{
	struct iovec *iov = arena_array(s->arena, 4, sizeof(*iov));
	const uint8_t *from = records->at;
	size_t left = (size_t)records->n;

	for (int i = 0; i < 4; i++) {
		size_t n = i == 3 ? left : sample_below(s, left + 1);

		iov[i] = (struct iovec){ (void *)(uintptr_t)from, n };
		from += n;
		left -= n;
	}
	records->iov = iov;
	records->iov_n = 4;
}

static void
some_records(struct sample *s, struct records *records, bool may_be_null)
{
	if (s->plain) {
		struct bytes batch = sample_batch(s->arena, 0, 1 + (int)sample_below(s, 3));

		records->at = batch.at;
		records->n = batch.n;
	} else {
		records->n = some_length(s, may_be_null);
		records->at = some_bytes(s, records->n);
	}
	if (s->spliced && records->n > 0 && sample_below(s, 2) == 0)
		cut_to_pieces(s, records);
}

static void fill(struct sample *s, const struct message *message, char *out);

static void
fill_struct(struct sample *s, const struct field *f, char *at)
{
	char *to = at;

	if (field_is_pointer(f)) {
		if (field_may_be_null(f, s->version) && sample_below(s, 2) == 0)
			return;
		to = message_list(f->of, s->arena, 1);
		memcpy(at, &to, sizeof(to));
	}
	fill(s, f->of, to);
}

static void
fill_value(struct sample *s, const struct field *f, void *at)
{
	bool may_be_null = field_may_be_null(f, s->version) && !f->list;

	switch ((enum field_type)f->type) {
	case F_BOOL:
		*(bool *)at = sample_below(s, 2) != 0;
		break;
	case F_INT8:
		*(int8_t *)at = (int8_t)some_number(s, 8);
		break;
	case F_INT16:
		*(int16_t *)at = (int16_t)some_number(s, 16);
		break;
	case F_INT32:
		*(int32_t *)at = (int32_t)some_number(s, 32);
		break;
	case F_INT64:
		*(int64_t *)at = some_number(s, 64);
		break;
	case F_UUID:
		memcpy(at, some_bytes(s, 16), 16);
		break;
	case F_STRING:
		((struct str *)at)->n = some_length(s, may_be_null);
		((struct str *)at)->at = (const char *)some_bytes(s, ((struct str *)at)->n);
		break;
	case F_BYTES:
		((struct bytes *)at)->n = some_length(s, may_be_null);
		((struct bytes *)at)->at = some_bytes(s, ((struct bytes *)at)->n);
		break;
	case F_RECORDS:
		some_records(s, at, may_be_null);
		break;
	case F_ERROR:
		*(enum err *)at = (enum err)((int)sample_below(s, 120) - 1);
		break;
	case F_STRUCT:
		fill_struct(s, f, at);
		break;
	}
}

static int32_t
some_count(struct sample *s, const struct field *f)
{
	if (s->plain)
		return 1 + (int32_t)sample_below(s, 2);
	if (field_may_be_null(f, s->version) && sample_below(s, 3) == 0)
		return -1;
	if (f->type != F_STRUCT && sample_below(s, 50) == 0)
		return 126 + (int32_t)sample_below(s, 3);
	return (int32_t)sample_below(s, 4);
}

static void
fill_list(struct sample *s, const struct field *f, char *at)
{
	struct any_list list = { .n = some_count(s, f) };
	size_t size = field_size(f);

	if (list.n > 0)
		list.at = f->type == F_STRUCT ? message_list(f->of, s->arena, (size_t)list.n)
					      : arena_array(s->arena, (size_t)list.n, size);
	for (int32_t i = 0; i < list.n; i++) {
		if (f->type == F_STRUCT)
			fill(s, f->of, (char *)list.at + (size_t)i * size);
		else
			fill_value(s, f, (char *)list.at + (size_t)i * size);
	}
	memcpy(at, &list, sizeof(list));
}

/* `out` has its defaults already. A tagged field keeps its own every other time, as then it is not sent. */
static void
fill(struct sample *s, const struct message *message, char *out)
{
	for (int i = 0; i < message->field_n; i++) {
		const struct field *f = &message->fields[i];

		if (!field_is_in(f, s->version) || (f->tag != FIELD_NO_TAG && sample_below(s, 2) == 0))
			continue;
		if (f->list)
			fill_list(s, f, out + f->offset);
		else
			fill_value(s, f, out + f->offset);
	}
}

void *
sample_message(struct sample *s, const struct message *message)
{
	char *out = message_list(message, s->arena, 1);

	fill(s, message, out);
	return out;
}

static bool
same_bytes(const void *a, int32_t a_n, const void *b, int32_t b_n)
{
	return a_n == b_n && (a_n <= 0 || memcmp(a, b, (size_t)a_n) == 0);
}

static bool
same_value(const struct field *f, const void *a, const void *b)
{
	switch ((enum field_type)f->type) {
	case F_STRING: {
		const struct str *x = a, *y = b;

		return same_bytes(x->at, x->n, y->at, y->n);
	}
	case F_BYTES: {
		const struct bytes *x = a, *y = b;

		return same_bytes(x->at, x->n, y->at, y->n);
	}
	case F_RECORDS: {
		const struct records *x = a, *y = b;

		return same_bytes(x->at, x->n, y->at, y->n);
	}
	case F_STRUCT: {
		const void *x = a, *y = b;

		if (field_is_pointer(f)) {
			memcpy(&x, a, sizeof(x));
			memcpy(&y, b, sizeof(y));
		}
		return (x == NULL) == (y == NULL) && (x == NULL || sample_equal(f->of, x, y));
	}
	default:
		return memcmp(a, b, field_size(f)) == 0;
	}
}

static bool
same_list(const struct field *f, const char *a, const char *b)
{
	struct any_list x, y;
	size_t size = field_size(f);

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	if (x.n != y.n)
		return false;
	for (int32_t i = 0; i < x.n; i++) {
		const char *p = (const char *)x.at + (size_t)i * size,
			   *q = (const char *)y.at + (size_t)i * size;

		if (f->type == F_STRUCT ? !sample_equal(f->of, p, q) : !same_value(f, p, q))
			return false;
	}
	return true;
}

bool
sample_equal(const struct message *message, const void *a, const void *b)
{
	for (int i = 0; i < message->field_n; i++) {
		const struct field *f = &message->fields[i];
		const char *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;

		if (f->list ? !same_list(f, x, y) : !same_value(f, x, y))
			return false;
	}
	return true;
}

static void
put_varint(struct buf *b, int64_t value)
{
	uint8_t scratch[VARINT64_MAX];

	buf_append(b, scratch, (size_t)varint_put_i64(scratch, value));
}

static void
put_record(struct buf *out, int i)
{
	struct buf body = BUF_EMPTY;
	char key[16], value[32];
	int key_n = snprintf(key, sizeof(key), "k%d", i),
	    value_n = snprintf(value, sizeof(value), "value-%d", i);

	buf_append(&body, "", 1); /* attributes */
	put_varint(&body, i);     /* timestamp delta */
	put_varint(&body, i);     /* offset delta */
	put_varint(&body, key_n);
	buf_append(&body, key, (size_t)key_n);
	put_varint(&body, value_n);
	buf_append(&body, value, (size_t)value_n);
	put_varint(&body, 1);
	put_varint(&body, 1);
	buf_append(&body, "h", 1);
	put_varint(&body, -1); /* a header's value may be null */
	put_varint(out, (int64_t)buf_len(&body));
	buf_append(out, buf_head(&body), buf_len(&body));
	buf_free(&body);
}

struct bytes
sample_batch(struct arena *arena, int64_t base_offset, int n)
{
	struct buf b = BUF_EMPTY;
	uint8_t *at;
	struct bytes batch;

	buf_append(&b, (uint8_t[61]){ 0 }, 61);
	for (int i = 0; i < n; i++)
		put_record(&b, i);
	batch.n = (int32_t)buf_len(&b);
	batch.at = at = arena_alloc(arena, (size_t)batch.n);
	memcpy(at, buf_head(&b), (size_t)batch.n);
	buf_free(&b);
	put_u64(at, (uint64_t)base_offset);
	put_u32(at + 8, (uint32_t)batch.n - 12);
	put_u32(at + 12, UINT32_MAX); /* leader epoch -1 */
	at[16] = 2;                   /* magic */
	put_u32(at + 23, (uint32_t)n - 1);
	put_u64(at + 27, 1700000000000);
	put_u64(at + 35, 1700000000000 + (uint64_t)n - 1);
	memset(at + 43, 0xff, 14); /* producer id, epoch and sequence -1 */
	put_u32(at + 57, (uint32_t)n);
	put_u32(at + 17, crc32c(at + 21, (size_t)batch.n - 21));
	return batch;
}
