#include "common/protocol/field.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/varint.h"

/*
 * encode.c: the mirror of decode.c. Fields that the version lacks are left out; what is null but may not
 * be, in this version, is written empty; strings are cut where the protocol ends; tagged fields are
 * written where they differ from their default, in the order of their tags.
 */
struct writer {
	struct frame *frame;
	/* Room in frame->bytes; what is before `at` counts as written with the next settle(). */
	uint8_t *at, *end;
	int16_t version;
	bool flexible;
};

static void write_struct(struct writer *w, const struct message *m, const char *in);

/* Make the frame's bytes what has been written so far: before anybody else looks at them. */
static void
settle(struct writer *w)
{
	buf_grew(&w->frame->bytes, (size_t)(w->at - buf_tail(&w->frame->bytes)));
}

static void
open_room(struct writer *w, size_t n)
{
	struct buf *bytes = &w->frame->bytes;

	buf_reserve(bytes, n);
	w->at = buf_tail(bytes);
	w->end = w->at + buf_room(bytes);
}

static void __attribute__((noinline, cold)) more_room(struct writer *w, size_t n)
{
	settle(w);
	open_room(w, n);
}

/* Room for n bytes, which count as written. */
static inline uint8_t *
grow(struct writer *w, size_t n)
{
	uint8_t *at;

	if ((size_t)(w->end - w->at) < n)
		more_room(w, n);
	at = w->at;
	w->at += n;
	return at;
}

static void
write_uvarint(struct writer *w, uint32_t value)
{
	uint8_t scratch[VARINT32_MAX];
	int n;

	if (value < 0x80) {
		*grow(w, 1) = (uint8_t)value;
		return;
	}
	n = varint_put_u32(scratch, value);
	memcpy(grow(w, (size_t)n), scratch, (size_t)n);
}

/* A length or a count; -1 null. */
static void
write_length(struct writer *w, int32_t n, bool short_length)
{
	if (w->flexible)
		write_uvarint(w, (uint32_t)n + 1);
	else if (short_length)
		put_u16(grow(w, 2), (uint16_t)n);
	else
		put_u32(grow(w, 4), (uint32_t)n);
}

/* What to write for a length of n: null only where it may be. In a list it is the list that may be null. */
static int32_t
length_of(const struct writer *w, const struct field *f, int32_t n, bool in_list)
{
	if (n >= 0)
		return n;
	return !in_list && field_may_be_null(f, w->version) ? -1 : 0;
}

static void
write_content(struct writer *w, const struct field *f, const void *at, int32_t length)
{
	int32_t n = length_of(w, f, length, f->list);

	if (f->type == F_STRING && n > STRING_LENGTH_MAX)
		n = STRING_LENGTH_MAX;
	write_length(w, n, f->type == F_STRING);
	if (n > 0)
		memcpy(grow(w, (size_t)n), at, (size_t)n);
}

static void
write_records(struct writer *w, const struct field *f, const struct records *records)
{
	if (records->iov_n == 0) {
		write_content(w, f, records->at, records->n);
		return;
	}
	write_length(w, records->n, false);
	settle(w);
	frame_splice(w->frame, records->iov, records->iov_n, (size_t)records->n);
}

static void
write_struct_field(struct writer *w, const struct field *f, const char *at)
{
	const char *in = at;

	if (field_is_pointer(f))
		memcpy(&in, at, sizeof(in));
	if (field_may_be_null(f, w->version))
		*grow(w, 1) = in != NULL ? 1 : 0xff;
	if (in != NULL)
		write_struct(w, f->of, in);
}

static inline void
write_value(struct writer *w, const struct field *f, const void *at)
{
	switch ((enum field_type)f->type) {
	case F_BOOL:
		*grow(w, 1) = *(const bool *)at;
		break;
	case F_INT8:
		*grow(w, 1) = (uint8_t) * (const int8_t *)at;
		break;
	case F_INT16:
		put_u16(grow(w, 2), (uint16_t) * (const int16_t *)at);
		break;
	case F_INT32:
		put_u32(grow(w, 4), (uint32_t) * (const int32_t *)at);
		break;
	case F_INT64:
		put_u64(grow(w, 8), (uint64_t) * (const int64_t *)at);
		break;
	case F_UUID:
		memcpy(grow(w, 16), ((const struct uuid *)at)->b, 16);
		break;
	case F_STRING:
		write_content(w, f, ((const struct str *)at)->at, ((const struct str *)at)->n);
		break;
	case F_BYTES:
		write_content(w, f, ((const struct bytes *)at)->at, ((const struct bytes *)at)->n);
		break;
	case F_RECORDS:
		write_records(w, f, at);
		break;
	case F_ERROR:
		put_u16(grow(w, 2), (uint16_t) * (const enum err *)at);
		break;
	case F_STRUCT:
		write_struct_field(w, f, at);
		break;
	}
}

static void
write_field(struct writer *w, const struct field *f, const char *at)
{
	struct any_list list;
	size_t size;

	if (!f->list) {
		write_value(w, f, at);
		return;
	}
	memcpy(&list, at, sizeof(list));
	size = field_size(f);
	write_length(w, length_of(w, f, list.n, false), false);
	for (int32_t i = 0; i < list.n; i++) {
		const char *element = (const char *)list.at + (size_t)i * size;

		if (f->type == F_STRUCT)
			write_struct(w, f->of, element);
		else
			write_value(w, f, element);
	}
}

static bool is_default(const struct field *f, const char *at, int version);

static bool
fields_are_default(const struct message *m, const char *in, int version)
{
	for (int i = 0; i < m->field_n; i++)
		if (field_is_in(&m->fields[i], version) &&
		    !is_default(&m->fields[i], in + m->fields[i].offset, version))
			return false;
	return true;
}

static bool
is_default(const struct field *f, const char *at, int version)
{
	static const struct uuid zero;
	struct any_list list;
	const void *value = at;

	if (f->list) {
		memcpy(&list, at, sizeof(list));
		return list.n == f->fallback;
	}
	switch ((enum field_type)f->type) {
	case F_BOOL:
		return *(const bool *)value == (f->fallback != 0);
	case F_INT8:
		return *(const int8_t *)value == f->fallback;
	case F_INT16:
		return *(const int16_t *)value == f->fallback;
	case F_INT32:
		return *(const int32_t *)value == f->fallback;
	case F_INT64:
		return *(const int64_t *)value == f->fallback;
	case F_UUID:
		return memcmp(value, &zero, sizeof(zero)) == 0;
	case F_STRING:
		return ((const struct str *)value)->n == f->fallback;
	case F_BYTES:
		return ((const struct bytes *)value)->n == f->fallback;
	case F_RECORDS:
		return ((const struct records *)value)->n == f->fallback;
	case F_ERROR:
		return *(const enum err *)value == f->fallback;
	case F_STRUCT:
		if (!field_is_pointer(f))
			return fields_are_default(f->of, at, version);
		memcpy(&value, at, sizeof(value));
		return value == NULL;
	}
	return true;
}

static inline bool
tag_is_sent(const struct writer *w, const struct field *f, const char *in)
{
	return f->tag != FIELD_NO_TAG && field_is_in(f, w->version) &&
	       !is_default(f, in + f->offset, w->version);
}

/*
 * The content is written first, then moved up to let its size in: sizes are not known before, and tags are
 * rare.
 */
static void
write_tag(struct writer *w, const struct field *f, const char *in)
{
	struct buf *bytes = &w->frame->bytes;
	uint8_t size_bytes[VARINT32_MAX];
	size_t from, content;
	uint8_t *at;
	int n;

	write_uvarint(w, (uint32_t)f->tag);
	settle(w);
	from = buf_len(bytes);
	write_field(w, f, in + f->offset);
	settle(w);
	content = buf_len(bytes) - from;
	n = varint_put_u32(size_bytes, (uint32_t)content);
	grow(w, (size_t)n);
	at = buf_head(bytes) + from;
	memmove(at + n, at, content);
	memcpy(at, size_bytes, (size_t)n);
}

static void
write_tags(struct writer *w, const struct message *m, const char *in)
{
	uint32_t n = 0;

	if (m->tagged_n > 0)
		for (int i = 0; i < m->field_n; i++)
			n += tag_is_sent(w, &m->fields[i], in);
	write_uvarint(w, n);
	for (int i = 0; n > 0 && i < m->field_n; i++)
		if (tag_is_sent(w, &m->fields[i], in))
			write_tag(w, &m->fields[i], in);
}

static void
write_struct(struct writer *w, const struct message *m, const char *in)
{
	const struct field *end = m->fields + m->field_n;

	for (const struct field *f = m->fields; f < end; f++) {
		if (field_is_in(f, w->version) && f->tag == FIELD_NO_TAG)
			write_field(w, f, in + f->offset);
	}
	if (w->flexible)
		write_tags(w, m, in);
}

void
encode(const struct message *message, int16_t version, const void *in, struct frame *out)
{
	struct writer w = {
		.frame = out,
		.version = version,
		.flexible = version >= message->flexible_from,
	};

	CHECK(message->min <= version && version <= message->max);
	open_room(&w, 1);
	write_struct(&w, message, in);
	settle(&w);
}
