#include "common/protocol/field.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/varint.h"

/*
 * decode.c: walk a message's table along its bytes.
 *
 *   - Each field that the version has is read in its place; the others get their default.
 *   - Then, in flexible versions, the tagged fields: known ones are read, each within exactly its size,
 * unknown ones are passed over.
 *   - Strings, bytes and records become views; lists and nullable structs are taken from the arena.
 *
 * What can go wrong goes wrong once: the first fault is kept with its offset and its path, from then on
 * nothing is left to read, and decode() returns false. Hostile input costs no more memory than an honest
 * message could: a count is believed only if so many elements fit into the bytes that are left (`least`),
 * and all lists together have at most LIST_ELEMENTS_MAX elements. The depth is that of the schema, never
 * that of the input.
 */
struct step {
	const struct field *field; /* NULL: between fields */
	int32_t index;             /* in a list; -1: not in one */
};

struct reader {
	const uint8_t *start, *at, *end;
	int16_t version;
	bool flexible, failed;
	int depth;
	int32_t elements_left;
	struct arena *arena;
	struct watcher *watcher; /* NULL: nobody watches */
	const struct message *message;
	struct wire_fault *fault;
	struct step path[FIELD_DEPTH_MAX];
};

/* Stands for bytes that are not there; as long as the longest scalar. */
static const uint8_t nothing[16];

static void
path_text(const struct reader *r, char *out, size_t size)
{
	int used = snprintf(out, size, "%s v%d", r->message->name, r->version);
	const char *between = ": ";

	for (int i = 0; i <= r->depth && used >= 0 && (size_t)used < size; i++) {
		const struct step *step = &r->path[i];

		if (step->field == NULL)
			break;
		used += snprintf(out + used, size - (size_t)used, "%s%s", between, step->field->name);
		if (step->index >= 0 && (size_t)used < size)
			used += snprintf(out + used, size - (size_t)used, "[%d]", step->index);
		between = ".";
	}
}

static void __attribute__((cold, format(printf, 2, 3))) fail(struct reader *r, const char *fmt, ...)
{
	va_list args;

	if (r->failed)
		return;
	r->failed = true;
	r->fault->offset = (size_t)(r->at - r->start);
	path_text(r, r->fault->where, sizeof(r->fault->where));
	va_start(args, fmt);
	vsnprintf(r->fault->what, sizeof(r->fault->what), fmt, args);
	va_end(args);
	r->at = r->end;
}

static inline size_t
left(const struct reader *r)
{
	return (size_t)(r->end - r->at);
}

static inline const uint8_t *
take(struct reader *r, size_t n)
{
	const uint8_t *at = r->at;

	if (left(r) < n) {
		fail(r, "needs %zu bytes, %zu left", n, left(r));
		return nothing;
	}
	r->at += n;
	return at;
}

static uint32_t
take_long_uvarint(struct reader *r)
{
	uint32_t value = 0;
	int used = varint_get_u32(r->at, left(r), &value);

	if (used == 0)
		fail(r, "the bytes end within a varint");
	else if (used < 0)
		fail(r, "a varint of more than 32 bits");
	else
		r->at += used;
	return used > 0 ? value : 0;
}

static inline uint32_t
take_uvarint(struct reader *r)
{
	if (r->at < r->end && *r->at < 0x80)
		return *r->at++;
	return take_long_uvarint(r);
}

/* A length or a count: -1 null. Flexible versions write it plus one, so that null is 0. */
static inline int64_t
take_length(struct reader *r, bool short_length)
{
	if (r->flexible)
		return (int64_t)take_uvarint(r) - 1;
	if (short_length)
		return (int16_t)get_u16(take(r, 2));
	return (int32_t)get_u32(take(r, 4));
}

/*
 * The content of a string, bytes or records. In a list, it is the list that may be null, never its
 * elements.
 */
static inline const uint8_t *
take_content(struct reader *r, const struct field *f, int32_t *n)
{
	int64_t length = take_length(r, f->type == F_STRING);
	const uint8_t *content;

	*n = 0;
	if (length < 0) {
		if (length < -1)
			fail(r, "the length %lld", (long long)length);
		else if (!r->failed && (f->list || !field_may_be_null(f, r->version)))
			fail(r, "null, which it may not be");
		*n = -1;
		return NULL;
	}
	if (f->type == F_STRING && length > STRING_LENGTH_MAX) {
		fail(r, "a string of %lld bytes, of which %d are allowed", (long long)length,
		     STRING_LENGTH_MAX);
		return NULL;
	}
	content = take(r, (size_t)length);
	if (!r->failed)
		*n = (int32_t)length;
	return content;
}

static inline void
see(struct reader *r, enum sight sight, const struct field *f, int32_t index, const uint8_t *from,
    const void *value)
{
	if (r->watcher != NULL && !r->failed)
		r->watcher->see(r->watcher, sight, f, r->depth, index, from, r->at, value);
}

static void read_struct(struct reader *r, const struct message *m, char *out);
static void read_struct_field(struct reader *r, const struct field *f, char *at);

static inline void
read_value(struct reader *r, const struct field *f, void *at)
{
	switch ((enum field_type)f->type) {
	case F_BOOL:
		*(bool *)at = *take(r, 1) != 0;
		break;
	case F_INT8:
		*(int8_t *)at = (int8_t)*take(r, 1);
		break;
	case F_INT16:
		*(int16_t *)at = (int16_t)get_u16(take(r, 2));
		break;
	case F_INT32:
		*(int32_t *)at = (int32_t)get_u32(take(r, 4));
		break;
	case F_INT64:
		*(int64_t *)at = (int64_t)get_u64(take(r, 8));
		break;
	case F_UUID:
		memcpy(((struct uuid *)at)->b, take(r, 16), 16);
		break;
	case F_STRING: {
		struct str *s = at;

		s->at = (const char *)take_content(r, f, &s->n);
		break;
	}
	case F_BYTES: {
		struct bytes *b = at;

		b->at = take_content(r, f, &b->n);
		break;
	}
	case F_RECORDS: {
		struct records *records = at;

		records->at = take_content(r, f, &records->n);
		break;
	}
	case F_ERROR:
		*(enum err *)at = (enum err)(int16_t)get_u16(take(r, 2));
		break;
	case F_STRUCT:
		read_struct_field(r, f, at);
		break;
	}
}

/* The fewest bytes that an element can take; never 0. */
static size_t
element_least(const struct reader *r, const struct field *f)
{
	static const uint8_t fixed[] = { [F_BOOL] = 1,  [F_INT8] = 1,  [F_INT16] = 2, [F_INT32] = 4,
					 [F_INT64] = 8, [F_UUID] = 16, [F_ERROR] = 2, [F_STRUCT] = 0 };

	if (f->type == F_STRUCT)
		return f->of->least[r->version - f->of->min];
	if (fixed[f->type] != 0)
		return fixed[f->type];
	return r->flexible ? 1 : f->type == F_STRING ? 2 : 4;
}

/* A list's count, checked before anything is allocated for it; 0 after a fault. */
static int32_t
read_count(struct reader *r, const struct field *f)
{
	const uint8_t *from = r->at;
	int64_t count = take_length(r, false);
	size_t least;

	if (r->failed)
		return 0;
	if (count == -1 && field_may_be_null(f, r->version))
		return -1;
	if (count < 0) {
		r->at = from;
		fail(r, count == -1 ? "null, which it may not be" : "the count %lld", (long long)count);
		return 0;
	}
	least = element_least(r, f);
	if ((uint64_t)count > left(r) / least) {
		fail(r, "%lld elements need %lld bytes at least, %zu left", (long long)count,
		     (long long)count * (long long)least, left(r));
		return 0;
	}
	if (count > r->elements_left) {
		fail(r, "%lld more elements in a message that may have %d", (long long)count,
		     LIST_ELEMENTS_MAX);
		return 0;
	}
	r->elements_left -= (int32_t)count;
	return (int32_t)count;
}

static void
read_list(struct reader *r, const struct field *f, void *at)
{
	const uint8_t *from = r->at;
	struct any_list list = { .n = read_count(r, f) };
	size_t size = field_size(f);
	struct step *step = &r->path[r->depth];

	if (list.n > 0)
		list.at = arena_array(r->arena, (size_t)list.n, size);
	memcpy(at, &list, sizeof(list));
	if (f->type == F_STRUCT)
		see(r, SIGHT_LIST, f, -1, from, at);
	for (int32_t i = 0; i < list.n && !r->failed; i++) {
		char *element = (char *)list.at + (size_t)i * size;

		step->index = i;
		if (f->type == F_STRUCT) {
			see(r, SIGHT_ELEMENT, f, i, r->at, element);
			read_struct(r, f->of, element);
		} else {
			read_value(r, f, element);
		}
	}
	step->index = -1;
	if (f->type != F_STRUCT)
		see(r, SIGHT_VALUE, f, -1, from, at);
}

/* A struct that is no list: in place; or, where it can be null, behind a pointer. */
static void
read_struct_field(struct reader *r, const struct field *f, char *at)
{
	const uint8_t *from = r->at;
	char *to = at;

	if (field_may_be_null(f, r->version) && (int8_t)*take(r, 1) < 0) {
		see(r, SIGHT_STRUCT, f, -1, from, NULL);
		return;
	}
	if (r->failed)
		return;
	if (field_is_pointer(f)) {
		to = arena_alloc(r->arena, f->of->size);
		memcpy(at, &to, sizeof(to));
	}
	see(r, SIGHT_STRUCT, f, -1, from, to);
	read_struct(r, f->of, to);
}

static inline void
read_field(struct reader *r, const struct field *f, char *at)
{
	const uint8_t *from = r->at;

	r->path[r->depth] = (struct step){ f, -1 };
	if (f->list) {
		read_list(r, f, at);
		return;
	}
	read_value(r, f, at);
	if (f->type != F_STRUCT)
		see(r, SIGHT_VALUE, f, -1, from, at);
}

static const struct field *
find_tagged(const struct reader *r, const struct message *m, uint32_t tag)
{
	if (m->tagged_n == 0)
		return NULL;
	for (int i = 0; i < m->field_n; i++)
		if (m->fields[i].tag >= 0 && (uint32_t)m->fields[i].tag == tag &&
		    field_is_in(&m->fields[i], r->version))
			return &m->fields[i];
	return NULL;
}

static void
read_tag(struct reader *r, const struct message *m, char *out)
{
	const uint8_t *from = r->at;
	const uint8_t *outer_end = r->end;
	uint32_t tag = take_uvarint(r);
	uint32_t size = take_uvarint(r);
	const struct field *f = find_tagged(r, m, tag);

	if (!r->failed && left(r) < size)
		fail(r, "tag %u needs %u bytes, %zu left", tag, size, left(r));
	if (r->failed)
		return;
	if (f == NULL) {
		r->at += size;
		see(r, SIGHT_UNKNOWN_TAG, NULL, (int32_t)tag, from, NULL);
		return;
	}
	see(r, SIGHT_TAG, f, (int32_t)tag, from, NULL);
	r->end = r->at + size;
	read_field(r, f, out + f->offset);
	if (r->at != r->end)
		fail(r, "tag %u has %zu bytes left over", tag, left(r));
	r->end = outer_end;
	if (r->failed)
		r->at = r->end;
	r->path[r->depth].field = NULL;
}

static void
read_tags(struct reader *r, const struct message *m, char *out)
{
	const uint8_t *from = r->at;
	uint32_t n;

	r->path[r->depth].field = NULL;
	n = take_uvarint(r);
	if (n > TAGS_MAX)
		fail(r, "%u tagged fields, of which %d are allowed", n, TAGS_MAX);
	see(r, SIGHT_TAGS, NULL, (int32_t)n, from, NULL);
	while (n-- > 0 && !r->failed)
		read_tag(r, m, out);
}

static void
read_fields(struct reader *r, const struct message *m, char *out)
{
	const struct field *end = m->fields + m->field_n;

	for (const struct field *f = m->fields; f < end; f++) {
		if (!field_is_in(f, r->version) || f->tag != FIELD_NO_TAG) {
			if (f->fallback != 0 || f->type == F_STRUCT)
				field_set_default(f, out + f->offset);
			continue;
		}
		read_field(r, f, out + f->offset);
		if (r->failed)
			return;
	}
	if (r->flexible)
		read_tags(r, m, out);
}

/* One level down. After a fault the path has been used, so that nobody needs to come up again cleanly. */
static void
read_struct(struct reader *r, const struct message *m, char *out)
{
	r->depth++;
	CHECK(r->depth < FIELD_DEPTH_MAX);
	read_fields(r, m, out);
	r->depth--;
}

/* leftover: how many bytes follow the message; NULL: none may. */
static bool
read_message(const struct message *message, int16_t version, const uint8_t *at, size_t n, struct arena *arena,
	     void *out, struct wire_fault *fault, struct watcher *watcher, size_t *leftover)
{
	struct reader r = {
		.start = at != NULL ? at : nothing,
		.version = version,
		.flexible = version >= message->flexible_from,
		.elements_left = LIST_ELEMENTS_MAX,
		.arena = arena,
		.watcher = watcher,
		.message = message,
		.fault = fault,
	};

	r.at = r.start;
	r.end = r.start + n;
	memset(out, 0, message->size);
	if (version < message->min || version > message->max) {
		fail(&r, "the schema has v%d to v%d", message->min, message->max);
		return false;
	}
	read_fields(&r, message, out);
	if (leftover != NULL)
		*leftover = left(&r);
	else if (!r.failed && r.at != r.end) {
		r.path[0].field = NULL;
		fail(&r, "%zu bytes left over", left(&r));
	}
	return !r.failed;
}

bool
decode_watched(const struct message *message, int16_t version, const uint8_t *at, size_t n,
	       struct arena *arena, void *out, struct wire_fault *fault, struct watcher *watcher)
{
	return read_message(message, version, at, n, arena, out, fault, watcher, NULL);
}

bool
decode_front(const struct message *message, int16_t version, const uint8_t *at, size_t n, struct arena *arena,
	     void *out, struct wire_fault *fault, size_t *leftover)
{
	return read_message(message, version, at, n, arena, out, fault, NULL, leftover);
}

bool
decode(const struct message *message, int16_t version, const uint8_t *at, size_t n, struct arena *arena,
       void *out, struct wire_fault *fault)
{
	return decode_watched(message, version, at, n, arena, out, fault, NULL);
}
