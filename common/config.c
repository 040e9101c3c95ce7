#include "common/config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/properties.h"

#define FILE_MAX_BYTES (1024 * 1024)

/* ---- Defaults ---- */

/* The value of an option that has no default of its own and was not set. */
static void
unset(struct config *c, const struct config_option *o)
{
	void *to = (char *)c + o->offset;
	if (o->kind == CONFIG_INT)
		*(int32_t *)to = INT32_MIN;
	else if (o->kind == CONFIG_LONG)
		*(int64_t *)to = INT64_MIN;
	else
		CHECK(false && "only numbers can be unset");
}

void
config_init(struct config *c)
{
	char why[256];
	*c = (struct config){ .arena = ARENA_EMPTY };
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *o = config_option_at(i);
		if (o->scope == CONFIG_TOPIC)
			continue;
		if (o->standard == NULL)
			unset(c, o);
		else
			CHECK(config_option_parse(o, str_of(o->standard), c, &c->arena, why, sizeof(why)));
	}
	CHECK(config_resolve(c));
}

void
config_free(struct config *c)
{
	arena_free(&c->arena);
}

/* ---- Setting ---- */

/* Says why, and is false. */
PRINTF_LIKE(2, 3)
static bool
refuse(struct config *c, const char *fmt, ...)
{
	char text[1024];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	c->error = arena_printf(&c->arena, "%s", text);
	return false;
}

static bool
assign(struct config *c, const char *origin, const struct config_option *o, const char *value)
{
	char why[512];
	if (!config_option_parse(o, str_of(value), c, &c->arena, why, sizeof(why)))
		return refuse(c, "%s: %s: %s", origin, o->name, why);
	c->is_set[config_option_index(o)] = true;
	return true;
}

bool
config_set(struct config *c, const char *origin, const char *key, const char *value)
{
	const struct config_option *o = config_option_find(CONFIG_BROKER, key);
	if (o != NULL)
		return assign(c, origin, o, value);
	o = config_option_find(CONFIG_TOPIC, key);
	if (o != NULL)
		return refuse(c, "%s: %s is a topic's option; the broker's is %s", origin, key, o->behind);
	return refuse(c, "%s: there is no option %s; --help lists them", origin, key);
}

/* ---- The file ---- */

struct file {
	struct config *config;
	const char *path;
};

static void
warn(struct config *c, const char *text)
{
	if (c->warning_n < CONFIG_WARNINGS_MAX)
		c->warnings[c->warning_n++] = text;
}

static bool
take_pair(void *context, int line, const char *key, const char *value)
{
	const struct file *file = context;
	struct config *c = file->config;
	const struct config_option *o = config_option_find(CONFIG_BROKER, key);
	if (o != NULL)
		return assign(c, arena_printf(&c->arena, "%s:%d", file->path, line), o, value);
	warn(c, arena_printf(&c->arena, "%s:%d: option %s is unknown here and has no effect", file->path,
			     line, key));
	return true;
}

bool
config_parse_text(struct config *c, const char *path, struct str text)
{
	char why[128];
	struct file file = { .config = c, .path = path };
	c->error = NULL;
	if (properties_parse(text, take_pair, &file, why, sizeof(why)))
		return config_resolve(c);
	return c->error != NULL ? false : refuse(c, "%s: %s", path, why);
}

/* An errno, or 0. */
static int
read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	ssize_t n = 1;
	while (n > 0 && buf_len(out) <= FILE_MAX_BYTES) {
		buf_reserve(out, 4096);
		n = read(fd, buf_tail(out), buf_room(out));
		if (n > 0)
			buf_grew(out, (size_t)n);
	}
	int error = n < 0 ? errno : 0;
	(void)close(fd);
	return buf_len(out) > FILE_MAX_BYTES ? EFBIG : error;
}

bool
config_parse_file(struct config *c, const char *path)
{
	struct buf text = BUF_EMPTY;
	int error = read_file(path, &text);
	bool good;
	if (error == 0)
		good = config_parse_text(
		    c, path, (struct str){ (const char *)buf_head(&text), (int32_t)buf_len(&text) });
	else
		good = refuse(c, "%s: %s", path, strerror(error));
	buf_free(&text);
	c->file = arena_printf(&c->arena, "%s", path);
	return good;
}

/* ---- What depends on several options ---- */

/* As Kafka does: any negative number means for ever, and 0 is refused. */
static bool
resolve_retention(struct config *c)
{
	int64_t ms = (int64_t)c->log_retention_hours * 60 * 60 * 1000;
	if (c->log_retention_minutes != INT32_MIN)
		ms = (int64_t)c->log_retention_minutes * 60 * 1000;
	if (c->log_retention_ms != INT64_MIN)
		ms = c->log_retention_ms;
	if (ms == 0)
		return refuse(c, "log.retention.ms: it must be -1 (for ever), or 1 or more");
	c->topic.retention_ms = ms < 0 ? -1 : ms;
	return true;
}

static bool
check_advertised(struct config *c)
{
	for (int32_t i = 0; i < c->advertised.n; i++) {
		const struct endpoint *e = &c->advertised.at[i];
		if (endpoints_find(&c->listeners, e->name) == NULL)
			return refuse(c, "advertised.listeners: %s is not one of the listeners", e->name);
		if (*e->host == '\0' || strcmp(e->host, "0.0.0.0") == 0 || strcmp(e->host, "::") == 0)
			return refuse(
			    c, "advertised.listeners: %s names no address that a client could connect to",
			    e->name);
		if (e->port == 0)
			return refuse(c, "advertised.listeners: %s has port 0", e->name);
	}
	return true;
}

bool
config_resolve(struct config *c)
{
	if (c->workers == 0) {
		long online = sysconf(_SC_NPROCESSORS_ONLN);
		c->workers = online < 1                    ? 1
			     : online > CONFIG_WORKERS_MAX ? CONFIG_WORKERS_MAX
							   : (int32_t)online;
	}
	if (c->listeners.n == 0)
		return refuse(c, "listeners: there must be one at least");
	return resolve_retention(c) && check_advertised(c);
}

/* ---- Topics' own settings ---- */

/*
 * Keys that Kafka 4.0 knows for topics and that nothing here could act on: there are no segment files, no
 * replicas, no tiers. Tools set them by habit.
 */
static const char *const without_effect[] = {
	"compression.gzip.level",
	"compression.lz4.level",
	"compression.zstd.level",
	"delete.retention.ms",
	"file.delete.delay.ms",
	"flush.messages",
	"flush.ms",
	"follower.replication.throttled.replicas",
	"index.interval.bytes",
	"leader.replication.throttled.replicas",
	"local.retention.bytes",
	"local.retention.ms",
	"max.compaction.lag.ms",
	"message.downconversion.enable",
	"message.format.version",
	"message.timestamp.after.max.ms",
	"message.timestamp.before.max.ms",
	"message.timestamp.difference.max.ms",
	"min.cleanable.dirty.ratio",
	"min.compaction.lag.ms",
	"preallocate",
	"remote.log.copy.disable",
	"remote.log.delete.on.disable",
	"remote.storage.enable",
	"segment.bytes",
	"segment.index.bytes",
	"segment.jitter.ms",
	"segment.ms",
	"unclean.leader.election.enable",
};

static bool
has_no_effect(struct str key)
{
	for (size_t i = 0; i < sizeof(without_effect) / sizeof(without_effect[0]); i++) {
		if (str_is(key, without_effect[i]))
			return true;
	}
	return false;
}

static const struct config_option *
topic_option(struct str key)
{
	char name[64];
	if (key.n <= 0 || key.n >= (int32_t)sizeof(name))
		return NULL;
	memcpy(name, key.at, (size_t)key.n);
	name[key.n] = '\0';
	return config_option_find(CONFIG_TOPIC, name);
}

static enum config_verdict
try_topic(struct topic_config *to, struct str key, struct str value, char *why, size_t why_size)
{
	const struct config_option *o = topic_option(key);
	if (o == NULL && has_no_effect(key)) {
		(void)snprintf(why, why_size, "%.*s has no effect on this broker", STR_ARG(key));
		return CONFIG_WITHOUT_EFFECT;
	}
	if (o == NULL) {
		(void)snprintf(why, why_size, "a topic has no option %.*s", STR_ARG(key));
		return CONFIG_UNKNOWN;
	}

	char reason[256];
	struct arena arena = ARENA_EMPTY;
	bool good = config_option_parse(o, value, to, &arena, reason, sizeof(reason));
	arena_free(&arena); /* topics' options hold no strings */
	if (!good)
		(void)snprintf(why, why_size, "%s: %s", o->name, reason);
	return good ? CONFIG_GOOD : CONFIG_BAD_VALUE;
}

enum config_verdict
config_topic_check(struct str key, struct str value, char *why, size_t why_size)
{
	struct topic_config scratch;
	return try_topic(&scratch, key, value, why, why_size);
}

void
config_topic_set(struct topic_config *out, struct str key, struct str value)
{
	char why[1];
	(void)try_topic(out, key, value, why, sizeof(why));
}

/* ---- For DescribeConfigs ---- */

/* What is set or the default of the options that stand behind one another, from `o` on. */
static const struct config_option *
behind(const struct config_option *o)
{
	return o->behind != NULL ? config_option_find(CONFIG_BROKER, o->behind) : NULL;
}

static bool
is_set(const struct config *c, const struct config_option *o)
{
	return c->is_set[config_option_index(o)];
}

/* The value in force, whichever option gave it. */
static const char *
value_in_force(const struct config *c, const struct config_option *o, struct arena *arena)
{
	if (o->scope == CONFIG_TOPIC)
		return config_option_text(o, &c->topic, arena);
	return config_option_text(o, c, arena);
}

int
config_synonyms(const struct config *c, const struct config_option *option, struct str own,
		struct arena *arena, struct config_value **out)
{
	struct config_value *list = arena_array(arena, 16, sizeof(*list));
	int n = 0;
	if (!str_is_null(own))
		list[n++] = (struct config_value){ option->name, str_c(arena, own), CONFIG_SOURCE_TOPIC };

	const struct config_option *first = option->scope == CONFIG_TOPIC ? behind(option) : option;
	for (const struct config_option *o = first; o != NULL; o = behind(o)) {
		if (is_set(c, o))
			list[n++] = (struct config_value){ o->name, config_option_text(o, c, arena),
							   CONFIG_SOURCE_STATIC };
	}
	for (const struct config_option *o = first; o != NULL; o = behind(o)) {
		if (o->standard != NULL)
			list[n++] = (struct config_value){ o->name, o->standard, CONFIG_SOURCE_DEFAULT };
	}
	CHECK(n <= 16);
	*out = list;
	return n;
}

struct config_value
config_value_of(const struct config *c, const struct config_option *option, struct str own,
		struct arena *arena)
{
	if (!str_is_null(own))
		return (struct config_value){ option->name, str_c(arena, own), CONFIG_SOURCE_TOPIC };

	struct config_value v = { option->name, value_in_force(c, option, arena), CONFIG_SOURCE_DEFAULT };
	if (option->scope == CONFIG_BROKER) {
		v.source = is_set(c, option) ? CONFIG_SOURCE_STATIC : CONFIG_SOURCE_DEFAULT;
		return v;
	}
	for (const struct config_option *o = behind(option); o != NULL; o = behind(o)) {
		if (is_set(c, o))
			v.source = CONFIG_SOURCE_STATIC;
	}
	return v;
}
