/*
 * msgc: compiles schema texts of Kafka's messages into C structs and field tables.
 *
 *	parse.c   text -> struct schema       check.c   refuses what could not work on the wire
 *	emit.c    structs and tables in C     doc.c     the API reference in Markdown
 *
 * A host tool: built first, needs libc only, exits with 1 and "file:line: message" at the first mistake.
 *
 * The grammar. One file per API, one line per field, a tab per level of nesting:
 *
 *	# What the API is for.                           comments above `api`: the introduction
 *	api 10 find_coordinator  versions 0-6  flexible 3+
 *		v4  several keys in one trip (KIP-699)       what a version brought
 *
 *	request
 *		# More than fits beside it.                  comments above a field belong to it,
 *		key_type      int8          v1+  = 0         # as does the one at its end
 *	response
 *		coordinators  []coordinator  v4+             a list of structs, whose fields follow
 *			error_message  string?                   may be null;  "null v2+": from v2 on
 *		node_endpoints  []node_endpoint  v5+  tag 0  a tagged field (KIP-482)
 *
 * Types: bool int8 int16 int32 int64 uuid string bytes records error, [] of one, a struct's own name, []
 * of that. Versions: v3  v3-5  v3+; left out: those of the field around it. A field left out of a version
 * has its default: 0, empty, or what `=` says (a number, true, false, null).
 */
#ifndef GEN_SCHEMA_H
#define GEN_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define NAME_MAX_LENGTH 64
#define DEPTH_MAX       8  /* of nesting; decode.c keeps a path of this depth */
#define VERSIONS_MAX    64 /* of one API */
#define NO_TAG          (-1)

/* First and last version, inclusive. Empty: from > to. */
struct range {
	int from, to;
};
#define RANGE_NONE ((struct range){ 1, 0 })

enum type {
	TYPE_BOOL,
	TYPE_INT8,
	TYPE_INT16,
	TYPE_INT32,
	TYPE_INT64,
	TYPE_UUID,
	TYPE_STRING,
	TYPE_BYTES,
	TYPE_RECORDS,
	TYPE_ERROR,
	TYPE_STRUCT,
};

/* A field; or, at the root, a whole message (a struct without a parent). */
struct node {
	char name[NAME_MAX_LENGTH];
	enum type type;
	char struct_name[NAME_MAX_LENGTH]; /* of a struct: "coordinator"; in C
					      "find_coordinator_response_coordinator" */
	bool list;
	struct range versions;
	struct range null; /* versions in which it may be null */
	int tag;
	long long fallback; /* its default: a number; for what has a length 0 empty, -1 null */
	char *doc;          /* "" if there is none */
	int line;
	struct node *parent, *child, *next;
};

struct schema {
	const char *file;
	int key;
	char name[NAME_MAX_LENGTH];
	char kafka_name[NAME_MAX_LENGTH];
	struct range versions;
	int flexible_from; /* versions.to + 1: none is */
	char *doc;
	char *history[VERSIONS_MAX]; /* by version; NULL: nothing to say */
	struct node *request, *response;
};

/* Print "file:line: message" and exit(1). */
_Noreturn void schema_error(const struct schema *s, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

void schema_parse(struct schema *s, const char *file);
void schema_check(const struct schema *s);
void schema_free(struct schema *s);
/* The least number of bytes that this struct takes on the wire in this version. */
int struct_least_bytes(const struct schema *s, const struct node *of, int version);

static inline bool
range_has(struct range r, int version)
{
	return r.from <= version && version <= r.to;
}

static inline bool
range_is_empty(struct range r)
{
	return r.from > r.to;
}

/* Write OUTDIR/messages.h and OUTDIR/messages.c. */
void emit_code(const char *outdir, const struct schema *all, size_t n);
void emit_docs(FILE *out, const struct schema *all, size_t n);

#endif
