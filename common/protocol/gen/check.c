#include "schema.h"

#include <string.h>

/*
 * check.c: what the grammar allows but the wire does not. What passes here can be walked without further
 * doubt: the decoder relies on the least sizes, on tags being in flexible versions only, and on the bounded
 * depth.
 */

static int
least_bytes(const struct schema *s, const struct node *node, int version)
{
	bool flexible = version >= s->flexible_from;

	if (node->list)
		return flexible ? 1 : 4;
	switch (node->type) {
	case TYPE_BOOL:
	case TYPE_INT8:
		return 1;
	case TYPE_INT16:
	case TYPE_ERROR:
		return 2;
	case TYPE_INT32:
		return 4;
	case TYPE_INT64:
		return 8;
	case TYPE_UUID:
		return 16;
	case TYPE_STRING:
		return flexible ? 1 : 2;
	case TYPE_BYTES:
	case TYPE_RECORDS:
		return flexible ? 1 : 4;
	case TYPE_STRUCT:
		return range_has(node->null, version) ? 1 : struct_least_bytes(s, node, version);
	}
	return 0;
}

int
struct_least_bytes(const struct schema *s, const struct node *of, int version)
{
	int bytes = version >= s->flexible_from ? 1 : 0; /* the count of tags */

	for (const struct node *c = of->child; c != NULL; c = c->next)
		if (range_has(c->versions, version) && c->tag == NO_TAG)
			bytes += least_bytes(s, c, version);
	return bytes;
}

static void
check_tag(const struct schema *s, const struct node *node)
{
	if (node->tag == NO_TAG)
		return;
	if (node->versions.from < s->flexible_from)
		schema_error(s, node->line, "tagged in v%d, which is not flexible", node->versions.from);
	if (node->type == TYPE_RECORDS)
		schema_error(s, node->line, "records cannot be tagged: the encoder could not splice them");
	for (const struct node *c = node->parent->child; c != node; c = c->next)
		if (c->tag >= node->tag)
			schema_error(s, node->line, "tag %d comes after %s's, but tags must ascend",
				     node->tag, c->name);
}

static void
check_null(const struct schema *s, const struct node *node)
{
	bool has_length = node->list || node->type == TYPE_STRING || node->type == TYPE_BYTES ||
			  node->type == TYPE_RECORDS || node->type == TYPE_STRUCT;
	bool nullable = !range_is_empty(node->null);

	if (nullable && !has_length)
		schema_error(s, node->line, "a number cannot be null");
	if (nullable && (node->null.from < node->versions.from || node->null.to > node->versions.to))
		schema_error(s, node->line, "null in versions that do not have it");
	if (has_length && node->fallback != 0 && (node->fallback != -1 || !nullable))
		schema_error(s, node->line, "the default can be null, if it is nullable, or empty");
	if (node->type == TYPE_STRUCT && !node->list && nullable && node->fallback != -1)
		schema_error(s, node->line, "a nullable struct needs the default null");
}

static void
check_default(const struct schema *s, const struct node *node)
{
	static const int bits[] = { [TYPE_BOOL] = 2,   [TYPE_INT8] = 8, [TYPE_INT16] = 16, [TYPE_INT32] = 32,
				    [TYPE_INT64] = 64, [TYPE_UUID] = 1, [TYPE_ERROR] = 16 };
	long long limit;

	if (node->list || node->type == TYPE_STRUCT || node->type == TYPE_STRING ||
	    node->type == TYPE_BYTES || node->type == TYPE_RECORDS || node->type == TYPE_INT64)
		return;
	limit = 1LL << (bits[node->type] - 1);
	if (node->fallback < -limit || node->fallback >= limit)
		schema_error(s, node->line, "the default %lld does not fit", node->fallback);
}

/* Two structs of one message cannot share a name: they would share a C name. */
static const struct node *
find_struct(const struct node *in, const char *struct_name, const struct node *before)
{
	for (const struct node *c = in->child; c != NULL; c = c->next) {
		const struct node *found;

		if (c == before)
			return NULL;
		if (c->type == TYPE_STRUCT && strcmp(c->struct_name, struct_name) == 0)
			return c;
		found = find_struct(c, struct_name, before);
		if (found != NULL)
			return found;
	}
	return NULL;
}

static void
check_struct(const struct schema *s, const struct node *root, const struct node *node)
{
	if (node->child == NULL)
		schema_error(s, node->line, "\"%s\" is no type, and no fields follow", node->struct_name);
	if (find_struct(root, node->struct_name, node) != NULL)
		schema_error(s, node->line, "a second struct %s in one message", node->struct_name);
	for (int v = node->versions.from; v <= node->versions.to; v++)
		if (struct_least_bytes(s, node, v) == 0)
			schema_error(s, node->line, "takes no bytes in v%d: its count could not be bounded",
				     v);
}

static void
check_fields(const struct schema *s, const struct node *root, const struct node *of)
{
	for (const struct node *c = of->child; c != NULL; c = c->next) {
		if (c->versions.from < of->versions.from || c->versions.to > of->versions.to)
			schema_error(s, c->line, "%s is in versions that %s is not in", c->name, of->name);
		for (const struct node *d = of->child; d != c; d = d->next)
			if (strcmp(c->name, d->name) == 0)
				schema_error(s, c->line, "a second %s", c->name);
		check_tag(s, c);
		check_null(s, c);
		check_default(s, c);
		if (c->type == TYPE_STRUCT) {
			check_struct(s, root, c);
			check_fields(s, root, c);
		}
	}
}

void
schema_check(const struct schema *s)
{
	check_fields(s, s->request, s->request);
	check_fields(s, s->response, s->response);
}
