#include "schema.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/*
 * emit.c: the structs (messages.h) and the tables (messages.c). Inner structs come before those that
 * contain them, in both files, so that each needs only what stands above it.
 */

/* What is being emitted: one message of one API. `prefix`: "find_coordinator_request". */
struct emitter {
	FILE *out;
	const struct schema *s;
	char prefix[2 * NAME_MAX_LENGTH];
};

static const char *const c_types[] = {
	[TYPE_BOOL] = "bool",         [TYPE_INT8] = "int8_t",        [TYPE_INT16] = "int16_t",
	[TYPE_INT32] = "int32_t",     [TYPE_INT64] = "int64_t",      [TYPE_UUID] = "struct uuid",
	[TYPE_STRING] = "struct str", [TYPE_BYTES] = "struct bytes", [TYPE_RECORDS] = "struct records",
	[TYPE_ERROR] = "enum err",
};

static const char *const table_types[] = {
	[TYPE_BOOL] = "F_BOOL",     [TYPE_INT8] = "F_INT8",     [TYPE_INT16] = "F_INT16",
	[TYPE_INT32] = "F_INT32",   [TYPE_INT64] = "F_INT64",   [TYPE_UUID] = "F_UUID",
	[TYPE_STRING] = "F_STRING", [TYPE_BYTES] = "F_BYTES",   [TYPE_RECORDS] = "F_RECORDS",
	[TYPE_ERROR] = "F_ERROR",   [TYPE_STRUCT] = "F_STRUCT",
};

/* The C tag of a struct: the message's own name, or that and the element's. */
static const char *
tag_of(const struct emitter *e, const struct node *node)
{
	static char tag[3 * NAME_MAX_LENGTH + 1];

	if (node->parent == NULL)
		return e->prefix;
	snprintf(tag, sizeof(tag), "%s_%s", e->prefix, node->struct_name);
	return tag;
}

static const char *
range_text(const struct schema *s, struct range r)
{
	static char text[32];

	if (r.to == s->versions.to)
		snprintf(text, sizeof(text), "v%d+", r.from);
	else if (r.from == r.to)
		snprintf(text, sizeof(text), "v%d", r.from);
	else
		snprintf(text, sizeof(text), "v%d-%d", r.from, r.to);
	return text;
}

static void
emit_comment_text(FILE *out, const char *text, int column, const char *margin)
{
	const char *between = "";

	while (*text != '\0') {
		size_t n = strcspn(text, " \n");

		if (column + (int)n > 110) {
			fprintf(out, "\n%s", margin);
			column = 16;
		} else {
			fputs(between, out);
		}
		fprintf(out, "%.*s", (int)n, text);
		column += (int)n + 1;
		text += n;
		text += strspn(text, " \n");
		between = " ";
	}
}

static void
emit_member(const struct emitter *e, const struct node *c)
{
	char type[4 * NAME_MAX_LENGTH];
	bool pointer = c->type == TYPE_STRUCT && !range_is_empty(c->null);

	if (c->type == TYPE_STRUCT)
		snprintf(type, sizeof(type), "struct %s", tag_of(e, c));
	else
		snprintf(type, sizeof(type), "%s", c_types[c->type]);
	fprintf(e->out, "\t/* %s", range_text(e->s, c->versions));
	if (!range_is_empty(c->null))
		fprintf(e->out, ", null in %s", range_text(e->s, c->null));
	if (c->tag != NO_TAG)
		fprintf(e->out, ", tag %d", c->tag);
	if (c->fallback == -1 && !range_is_empty(c->null))
		fputs(", default null", e->out);
	else if (c->fallback != 0)
		fprintf(e->out, ", default %lld", c->fallback);
	if (c->doc != NULL) {
		fputs(": ", e->out);
		emit_comment_text(e->out, c->doc, 32, "\t   ");
	}
	fputs(" */\n", e->out);
	if (c->list)
		fprintf(e->out, "\tstruct {\n\t\t%s *at;\n\t\tint32_t n;\n\t} %s;\n", type, c->name);
	else
		fprintf(e->out, "\t%s %s%s;\n", type, pointer ? "*" : "", c->name);
}

static void
emit_struct(const struct emitter *e, const struct node *node)
{
	for (const struct node *c = node->child; c != NULL; c = c->next)
		if (c->type == TYPE_STRUCT)
			emit_struct(e, c);
	if (node->parent == NULL && node->doc != NULL) {
		fputs("/* ", e->out);
		emit_comment_text(e->out, node->doc, 4, " * ");
		fputs(" */\n", e->out);
	}
	fprintf(e->out, "struct %s {\n", tag_of(e, node));
	for (const struct node *c = node->child; c != NULL; c = c->next)
		emit_member(e, c);
	fprintf(e->out, "};\nextern const struct message %s_message;\n\n", tag_of(e, node));
}

/* One row: the wire rule of one field. */
static void
emit_row(const struct emitter *e, const struct node *node, const struct node *c)
{
	fprintf(e->out, "\t{ \"%s\", ", c->name);
	if (c->type == TYPE_STRUCT)
		fprintf(e->out, "&%s_message, ", tag_of(e, c));
	else
		fputs("NULL, ", e->out);
	if (c->fallback < -0x7fffffffLL) /* the least int has no literal of its own */
		fprintf(e->out, "%lld - 1, ", c->fallback + 1);
	else
		fprintf(e->out, "%lld, ", c->fallback);
	fprintf(e->out, "offsetof(struct %s, %s), ", tag_of(e, node), c->name);
	fprintf(e->out, "%s, %s, %d, %d, ", table_types[c->type], c->list ? "true" : "false",
		c->versions.from, c->versions.to);
	fprintf(e->out, "%d, %d, %d },\n", c->null.from, c->null.to, c->tag);
}

static void
emit_table(const struct emitter *e, const struct node *node)
{
	const struct schema *s = e->s;
	int n = 0, tagged = 0;

	for (const struct node *c = node->child; c != NULL; c = c->next)
		if (c->type == TYPE_STRUCT)
			emit_table(e, c);
	fprintf(e->out, "static const struct field %s_fields[] = {\n", tag_of(e, node));
	for (const struct node *c = node->child; c != NULL; c = c->next) {
		emit_row(e, node, c);
		n++;
		tagged += c->tag != NO_TAG;
	}
	fputs("};\n", e->out);
	fprintf(e->out, "static const uint16_t %s_least[] = {", tag_of(e, node));
	for (int v = s->versions.from; v <= s->versions.to; v++)
		fprintf(e->out, " %d,", struct_least_bytes(s, node, v));
	fputs(" };\n", e->out);
	fprintf(e->out, "const struct message %s_message = {\n", tag_of(e, node));
	fprintf(e->out, "\t\"%s\", %s_fields,", tag_of(e, node), tag_of(e, node));
	fprintf(e->out, " %s_least, ", tag_of(e, node));
	fprintf(e->out, "sizeof(struct %s), %d, %d, %d, %d, %d\n};\n\n", tag_of(e, node), n, tagged,
		s->versions.from, s->versions.to, s->flexible_from);
}

static void
emit_each(FILE *out, const struct schema *s, void (*emit)(const struct emitter *, const struct node *))
{
	struct emitter e = { .out = out, .s = s };

	snprintf(e.prefix, sizeof(e.prefix), "%s_request", s->name);
	emit(&e, s->request);
	snprintf(e.prefix, sizeof(e.prefix), "%s_response", s->name);
	emit(&e, s->response);
}

static void
emit_header(FILE *out, const struct schema *all, size_t n)
{
	fputs("/*\n * Generated by msgc from common/protocol/schema/: change it there.\n"
	      " * A field's comment begins with the versions that have it.\n */\n"
	      "#ifndef PROTOCOL_MESSAGES_H\n#define PROTOCOL_MESSAGES_H\n\n"
	      "#include \"common/protocol/protocol.h\"\n\nenum api_key {\n",
	      out);
	for (size_t i = 0; i < n; i++) {
		fputs("\tAPI_", out);
		for (const char *c = all[i].name; *c != '\0'; c++)
			fputc(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c, out);
		fprintf(out, " = %d,\n", all[i].key);
	}
	fputs("};\n\n", out);
	for (size_t i = 0; i < n; i++) {
		fprintf(out, "/* ---- %d %s v%d-%d: ", all[i].key, all[i].kafka_name, all[i].versions.from,
			all[i].versions.to);
		emit_comment_text(out, all[i].doc != NULL ? all[i].doc : "", 40, " * ");
		fputs(" */\n\n", out);
		emit_each(out, &all[i], emit_struct);
	}
	fputs("#endif\n", out);
}

static void
emit_tables(FILE *out, const struct schema *all, size_t n)
{
	fputs("/* Generated by msgc from common/protocol/schema/: change it there. */\n"
	      "#include \"protocol/messages.h\"\n\n#include \"common/protocol/field.h\"\n\n"
	      "/* name, struct, default, offset, type, list, versions from and to, null from and to, tag "
	      "*/\n\n",
	      out);
	for (size_t i = 0; i < n; i++)
		emit_each(out, &all[i], emit_table);
	fputs("const struct api apis[] = {\n", out);
	for (size_t i = 0; i < n; i++) {
		const struct schema *s = &all[i];

		fprintf(out, "\t{ %d, \"%s\", \"%s\", %d, %d, ", s->key, s->name, s->kafka_name,
			s->versions.from, s->versions.to);
		if (s->flexible_from > s->versions.to)
			fputs("INT16_MAX, ", out);
		else
			fprintf(out, "%d, ", s->flexible_from);
		fprintf(out, "&%s_request_message, &%s_response_message },\n", s->name, s->name);
	}
	fprintf(out, "};\nconst int api_count = %zu;\n", n);
}

static void
emit_file(const char *dir, const char *name, const struct schema *all, size_t n,
	  void (*emit)(FILE *, const struct schema *, size_t))
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	out = fopen(path, "w");
	if (out == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	emit(out, all, n);
	if (ferror(out) || fclose(out) != 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
}

void
emit_code(const char *outdir, const struct schema *all, size_t n)
{
	emit_file(outdir, "messages.h", all, n, emit_header);
	emit_file(outdir, "messages.c", all, n, emit_tables);
}
