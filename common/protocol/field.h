/*
 * field: the tables that msgc makes of the schemas. One row per field, and the row is the wire rule.
 *
 * Private to common/protocol/ and to the tests; others see structs (protocol/messages.h) and decode().
 *
 * How Kafka writes things down. All numbers are big-endian. A version is flexible or not (KIP-482), which
 * changes how lengths are written:
 *
 *	                  not flexible                flexible
 *	string            int16 length, -1 null       uvarint length + 1, 0 null
 *	bytes, records    int32 length, -1 null       uvarint length + 1, 0 null
 *	list              int32 count,  -1 null       uvarint count + 1,  0 null
 *	nullable struct   (none)                      int8 -1 null, 1 there; then its fields
 *	end of a struct   (nothing)                   uvarint count of tagged fields, then of each:
 *	                                              uvarint tag, uvarint size, and so many bytes
 *
 * To add a type: a row here, read_value() in decode.c, write_value() and is_default() in encode.c,
 * field_size() and field_set_default() in message.c, value_text() in describe.c, the names in gen/, and
 * tests/lib/sample.c.
 */
#ifndef COMMON_PROTOCOL_FIELD_H
#define COMMON_PROTOCOL_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/protocol/protocol.h"

enum field_type {
	F_BOOL,    /* bool: a byte */
	F_INT8,    /* int8_t */
	F_INT16,   /* int16_t */
	F_INT32,   /* int32_t */
	F_INT64,   /* int64_t */
	F_UUID,    /* struct uuid: 16 bytes */
	F_STRING,  /* struct str: a view */
	F_BYTES,   /* struct bytes: a view */
	F_RECORDS, /* struct records: a view; when encoding perhaps iovecs */
	F_ERROR,   /* enum err: an int16 */
	F_STRUCT,  /* the struct itself; if it can be null, a pointer to one */
};

#define API_VERSIONS_KEY  18 /* its response header has no tags, in no version */
#define FIELD_DEPTH_MAX   8  /* structs within structs; msgc refuses more */
#define FIELD_NO_TAG      (-1)
#define LIST_ELEMENTS_MAX 1000000 /* in all lists of one message together */
#define TAGS_MAX          10000   /* in one struct */
#define STRING_LENGTH_MAX INT16_MAX

struct field {
	const char *name;
	const struct message *of; /* F_STRUCT: the fields inside */
	int64_t fallback; /* where the version has no such field; of what has a length: -1 null, 0 empty */
	uint16_t offset;  /* in its struct */
	uint8_t type;     /* enum field_type */
	bool list;        /* of such, as struct any_list */
	int8_t from, to;  /* versions that have it */
	int8_t null_from, null_to; /* versions in which it may be null; 1, 0: none */
	int16_t tag;               /* FIELD_NO_TAG: in its place among the others */
};

/* A message, or a struct inside one. */
struct message {
	const char *name; /* "fetch_request", "fetch_request_topic" */
	const struct field *fields;
	const uint16_t *least; /* by version - min: the fewest bytes it can take on the wire */
	uint16_t size;         /* of the C struct */
	uint8_t field_n;
	uint8_t tagged_n;     /* of which have a tag */
	int8_t min, max;      /* versions */
	int8_t flexible_from; /* max + 1: none */
};

/* The shape of every list field; T is the element's type. Read and written with memcpy, as T varies. */
struct any_list {
	void *at;  /* T * */
	int32_t n; /* -1: null */
};

/* One decoding pass can be watched: describe() does. Called as soon as the bytes are known to be there. */
enum sight {
	SIGHT_VALUE,       /* a field that is no struct, nor a list of structs; value points to it */
	SIGHT_LIST,        /* the count of a list of structs; value points to the any_list */
	SIGHT_ELEMENT,     /* its next element begins; index says which; no bytes */
	SIGHT_STRUCT,      /* a struct begins; value NULL: it is null */
	SIGHT_TAGS,        /* the count of tagged fields at the end of a struct; index says it; f is NULL */
	SIGHT_TAG,         /* tag and size of a known tagged field, which follows */
	SIGHT_UNKNOWN_TAG, /* one that the schema has not, with all its bytes; index is the tag; f is NULL */
};

struct watcher {
	/* depth 0: a field of the message itself. The bytes are from..to. */
	void (*see)(struct watcher *w, enum sight sight, const struct field *f, int depth, int32_t index,
		    const uint8_t *from, const uint8_t *to, const void *value);
};

bool decode_watched(const struct message *message, int16_t version, const uint8_t *at, size_t n,
		    struct arena *arena, void *out, struct wire_fault *fault, struct watcher *watcher);

/* Bytes of one such value in C. Not for pointers to structs. */
size_t field_size(const struct field *f);
/* Set the default, in zeroed memory. */
void field_set_default(const struct field *f, void *at);

/* Put pieces of other memory, `bytes` in all, at the frame's present end. */
void frame_splice(struct frame *f, const struct iovec *iov, int32_t iov_n, size_t bytes);

static inline bool
field_is_in(const struct field *f, int version)
{
	return f->from <= version && version <= f->to;
}

static inline bool
field_may_be_null(const struct field *f, int version)
{
	return f->null_from <= version && version <= f->null_to;
}

/*
 * A nullable struct is a pointer in C in all versions; on the wire it begins with a byte where it may be
 * null.
 */
static inline bool
field_is_pointer(const struct field *f)
{
	return f->type == F_STRUCT && !f->list && f->null_from <= f->null_to;
}

#endif
