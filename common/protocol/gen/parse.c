#include "schema.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/*
 * parse.c: one line at a time. A line is tabs, words, and perhaps a comment; its number of tabs says what
 * it belongs to. `open[d]` is the struct that fields with d tabs are added to.
 */
struct parser {
	struct schema *s;
	int line;
	int tabs;
	char *comment; /* of this line; NULL: none */
	char *pending; /* comments waiting for the field or API below them */
	char *words[32];
	int word_n;
	struct node *open[DEPTH_MAX + 2];
	int open_n;
};

void
schema_error(const struct schema *s, int line, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: ", s->file, line);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static void *
must(void *memory)
{
	if (memory == NULL) {
		fputs("msgc: no memory\n", stderr);
		exit(1);
	}
	return memory;
}

/* Append `text` to *to, with `between` in between if there was something. */
static void
join(char **to, const char *between, const char *text)
{
	size_t had = *to != NULL ? strlen(*to) : 0;
	size_t size = had + strlen(between) + strlen(text) + 1;
	char *joined = must(malloc(size));

	snprintf(joined, size, "%s%s%s", had > 0 ? *to : "", had > 0 ? between : "", text);
	free(*to);
	*to = joined;
}

static long long
parse_number(struct parser *p, const char *text)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 0);
	if (errno != 0 || end == text || *end != '\0')
		schema_error(p->s, p->line, "\"%s\" is not a number", text);
	return value;
}

/* "3", "3-5" or "3+"; the last reaches to `to`. */
static struct range
parse_range(struct parser *p, char *text, int to)
{
	char *dash = strchr(text, '-');
	size_t n = strlen(text);
	struct range r;

	if (n > 1 && text[n - 1] == '+') {
		text[n - 1] = '\0';
		r = (struct range){ (int)parse_number(p, text), to };
	} else if (dash != NULL) {
		*dash = '\0';
		r = (struct range){ (int)parse_number(p, text), (int)parse_number(p, dash + 1) };
	} else {
		r.from = r.to = (int)parse_number(p, text);
	}
	if (range_is_empty(r))
		schema_error(p->s, p->line, "the versions %d-%d are none", r.from, r.to);
	return r;
}

static void
parse_name(struct parser *p, const char *text, char out[NAME_MAX_LENGTH])
{
	size_t n = strlen(text);

	if (n == 0 || n >= NAME_MAX_LENGTH || !islower((unsigned char)text[0]))
		schema_error(p->s, p->line, "\"%s\" cannot be a name", text);
	for (const char *c = text; *c != '\0'; c++)
		if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '_')
			schema_error(p->s, p->line, "\"%s\" cannot be a name", text);
	memcpy(out, text, n + 1);
}

/* find_coordinator -> FindCoordinator */
static void
kafka_case(const char *name, char *out)
{
	bool up = true;

	for (; *name != '\0'; name++) {
		if (*name == '_') {
			up = true;
			continue;
		}
		*out++ = up ? (char)toupper((unsigned char)*name) : *name;
		up = false;
	}
	*out = '\0';
}

/* api 10 find_coordinator versions 0-6 flexible 3+ */
static void
parse_api(struct parser *p)
{
	struct schema *s = p->s;

	if (p->word_n < 5 || strcmp(p->words[3], "versions") != 0)
		schema_error(s, p->line, "wanted: api KEY NAME versions A-B [flexible C+]");
	s->key = (int)parse_number(p, p->words[1]);
	parse_name(p, p->words[2], s->name);
	kafka_case(s->name, s->kafka_name);
	s->versions = parse_range(p, p->words[4], 0);
	s->flexible_from = s->versions.to + 1;
	if (p->word_n == 7 && strcmp(p->words[5], "flexible") == 0)
		s->flexible_from = parse_range(p, p->words[6], s->versions.to).from;
	else if (p->word_n != 5)
		schema_error(s, p->line, "wanted: api KEY NAME versions A-B [flexible C+]");
	if (s->versions.from < 0 || s->versions.to >= VERSIONS_MAX)
		schema_error(s, p->line, "versions must be within 0-%d", VERSIONS_MAX - 1);
	s->doc = p->pending;
	p->pending = NULL;
}

/* v4  several keys in one trip */
static void
parse_history(struct parser *p)
{
	struct schema *s = p->s;
	int version = (int)parse_number(p, p->words[0] + 1);

	if (!range_has(s->versions, version) || s->history[version] != NULL || p->word_n < 2)
		schema_error(s, p->line, "wanted: vN TEXT, once per version of the API");
	for (int i = 1; i < p->word_n; i++)
		join(&s->history[version], " ", p->words[i]);
}

static struct node *
node_new(struct parser *p)
{
	struct node *node = must(calloc(1, sizeof(*node)));

	node->line = p->line;
	node->tag = NO_TAG;
	node->versions = p->s->versions;
	node->null = RANGE_NONE;
	return node;
}

static void
parse_section(struct parser *p)
{
	struct node **root = strcmp(p->words[0], "request") == 0 ? &p->s->request : &p->s->response;

	if (*root != NULL)
		schema_error(p->s, p->line, "a second %s", p->words[0]);
	*root = node_new(p);
	(*root)->type = TYPE_STRUCT;
	(*root)->doc = p->pending;
	p->pending = NULL;
	snprintf((*root)->name, sizeof((*root)->name), "%s", p->words[0]);
	p->open[1] = *root;
	p->open_n = 2;
}

/* "int32", "[]string", "[]topic?" ; *nullable: ends in a question mark. */
static void
parse_type(struct parser *p, struct node *node, char *text, bool *nullable)
{
	static const char *const names[] = {
		[TYPE_BOOL] = "bool",     [TYPE_INT8] = "int8",   [TYPE_INT16] = "int16",
		[TYPE_INT32] = "int32",   [TYPE_INT64] = "int64", [TYPE_UUID] = "uuid",
		[TYPE_STRING] = "string", [TYPE_BYTES] = "bytes", [TYPE_RECORDS] = "records",
		[TYPE_ERROR] = "error",
	};
	size_t n = strlen(text);

	*nullable = n > 0 && text[n - 1] == '?';
	if (*nullable)
		text[n - 1] = '\0';
	node->list = strncmp(text, "[]", 2) == 0;
	if (node->list)
		text += 2;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], text) == 0) {
			node->type = (enum type)i;
			return;
		}
	}
	node->type = TYPE_STRUCT;
	parse_name(p, text, node->struct_name);
}

static long long
parse_default(struct parser *p, const char *text)
{
	if (strcmp(text, "null") == 0)
		return -1;
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return text[0] == 't';
	return parse_number(p, text);
}

/* What follows a field's name and type: v3+, null v4+, tag 0, = -1, in any order. */
static void
parse_options(struct parser *p, struct node *node)
{
	for (int i = 2; i < p->word_n; i++) {
		char *word = p->words[i];
		bool more = i + 1 < p->word_n;

		if (word[0] == 'v' && isdigit((unsigned char)word[1]))
			node->versions = parse_range(p, word + 1, node->versions.to);
		else if (strcmp(word, "null") == 0 && more && p->words[i + 1][0] == 'v')
			node->null = parse_range(p, p->words[++i] + 1, p->s->versions.to);
		else if (strcmp(word, "tag") == 0 && more)
			node->tag = (int)parse_number(p, p->words[++i]);
		else if (strcmp(word, "=") == 0 && more)
			node->fallback = parse_default(p, p->words[++i]);
		else
			schema_error(p->s, p->line, "\"%s\" is not understood here", word);
	}
}

static void
append_child(struct node *parent, struct node *node)
{
	struct node **at = &parent->child;

	while (*at != NULL)
		at = &(*at)->next;
	*at = node;
	node->parent = parent;
}

static void
parse_field(struct parser *p)
{
	struct node *node = node_new(p);
	struct node *parent;
	bool nullable;

	if (p->tabs < 1 || p->tabs >= p->open_n)
		schema_error(p->s, p->line, "%d tabs: there is no struct for it to be in", p->tabs);
	if (p->word_n < 2)
		schema_error(p->s, p->line, "wanted: NAME TYPE ...");
	parent = p->open[p->tabs];
	node->versions = parent->versions;
	parse_name(p, p->words[0], node->name);
	parse_type(p, node, p->words[1], &nullable);
	parse_options(p, node);
	if (nullable && range_is_empty(node->null))
		node->null = node->versions;
	node->doc = p->pending;
	p->pending = NULL;
	if (p->comment != NULL)
		join(&node->doc, " ", p->comment);
	append_child(parent, node);
	p->open_n = p->tabs + 1;
	if (node->type != TYPE_STRUCT)
		return;
	if (p->tabs >= DEPTH_MAX)
		schema_error(p->s, p->line, "nested deeper than %d", DEPTH_MAX);
	p->open[p->open_n++] = node;
}

/* Cut a line into p->tabs, p->words and p->comment. */
static void
split(struct parser *p, char *line)
{
	char *hash = strchr(line, '#');
	char *word;

	line[strcspn(line, "\n")] = '\0';
	p->comment = NULL;
	if (hash != NULL) {
		*hash++ = '\0';
		p->comment = hash + strspn(hash, " \t");
	}
	p->tabs = (int)strspn(line, "\t");
	p->word_n = 0;
	for (word = strtok(line, " \t"); word != NULL; word = strtok(NULL, " \t")) {
		if (p->word_n == (int)(sizeof(p->words) / sizeof(p->words[0])))
			schema_error(p->s, p->line, "too many words");
		p->words[p->word_n++] = word;
	}
}

static void
parse_line(struct parser *p, char *line)
{
	split(p, line);
	if (p->word_n == 0) {
		if (p->comment != NULL)
			join(&p->pending, p->comment[0] != '\0' ? " " : "\n", p->comment);
		return;
	}
	if (p->tabs == 0 && strcmp(p->words[0], "api") == 0)
		parse_api(p);
	else if (p->s->name[0] == '\0')
		schema_error(p->s, p->line, "a schema begins with: api KEY NAME ...");
	else if (p->tabs == 0 &&
		 (strcmp(p->words[0], "request") == 0 || strcmp(p->words[0], "response") == 0))
		parse_section(p);
	else if (p->open_n == 0 && p->words[0][0] == 'v')
		parse_history(p);
	else
		parse_field(p);
}

void
schema_parse(struct schema *s, const char *file)
{
	struct parser p = { .s = s };
	char line[1024];
	FILE *in = fopen(file, "r");

	*s = (struct schema){ .file = file };
	if (in == NULL)
		schema_error(s, 0, "%s", strerror(errno));
	while (fgets(line, sizeof(line), in) != NULL) {
		p.line++;
		if (strlen(line) == sizeof(line) - 1)
			schema_error(s, p.line, "longer than %zu characters", sizeof(line) - 2);
		parse_line(&p, line);
	}
	fclose(in);
	if (s->request == NULL || s->response == NULL)
		schema_error(s, p.line, "a schema has a request and a response");
	free(p.pending);
}

static void
node_free(struct node *node)
{
	while (node != NULL) {
		struct node *next = node->next;

		node_free(node->child);
		free(node->doc);
		free(node);
		node = next;
	}
}

void
schema_free(struct schema *s)
{
	node_free(s->request);
	node_free(s->response);
	free(s->doc);
	for (int v = 0; v < VERSIONS_MAX; v++)
		free(s->history[v]);
}
