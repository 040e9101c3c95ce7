#include "common/config_option.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/check.h"
#include "common/config.h"

/* clang-format off */

static const char *const durabilities[]	   = { "durable", "relaxed", "strict", NULL };
static const char *const cleanups[]	   = { "delete", "compact", NULL };
static const char *const timestamp_types[] = { "CreateTime", "LogAppendTime", NULL };
static const char *const compressions[]	   = { "producer", NULL };
static const char *const diag_levels[]	   = { "error", "warn", "info", "debug", "trace", NULL };
static const char *const diag_formats[]	   = { "text", "json", NULL };

#define AT(field) offsetof(struct config, field)
#define TOPIC_AT(field) offsetof(struct topic_config, field)
#define RANGE(from, to) .min = (from), .max = (to)
#define ANY_INT RANGE(INT32_MIN + 1, INT32_MAX)
#define ANY_LONG RANGE(INT64_MIN + 1, INT64_MAX)

static const struct config_option options[] = {
	/* --- processes, store --- */
	{ .name = "workers", .kind = CONFIG_INT, .standard = "0", RANGE(0, CONFIG_WORKERS_MAX), .offset = AT(workers),
	  .letter = 'w', .flag = "workers", .flag_operand = "WORKERS",
	  .flag_help = "workers: processes that serve clients (default: one per processor)",
	  .help = "Worker processes that serve clients. 0: as many as the machine has processors." },
	{ .name = "listeners", .kind = CONFIG_ENDPOINTS, .standard = "PLAINTEXT://:9092", .offset = AT(listeners),
	  .letter = 'p', .flag = "port", .flag_operand = "PORT", .flag_format = "PLAINTEXT://:%s",
	  .flag_help = "listeners: this port of every address, IPv4 and IPv6",
	  .help = "Where clients may connect: NAME://host:port, several separated by commas. Without a host: every address, "
		  "IPv4 and IPv6. IPv6 addresses stand in brackets. Port 0: the kernel chooses one. There is no TLS and no SASL." },
	{ .name = "advertised.listeners", .kind = CONFIG_ENDPOINTS, .standard = "", .offset = AT(advertised),
	  .help = "What clients are told to connect to, by the name of the listener that they asked. Listeners that are not "
		  "named here advertise the very address that the client connected to." },
	{ .name = "log.dirs", .alias = "log.dir", .kind = CONFIG_STRING, .standard = "./data", .offset = AT(dir),
	  .letter = 'd', .flag = "dir", .flag_operand = "DIR", .flag_help = "log.dirs: the directory of the store, made if absent",
	  .help = "The directory of the store, created if absent. One directory: the store is one LMDB environment." },
	{ .name = "node.id", .alias = "broker.id", .kind = CONFIG_INT, .standard = "1", RANGE(0, INT32_MAX), .offset = AT(node_id),
	  .help = "The number by which clients know this broker." },
	{ .name = "durability", .kind = CONFIG_CHOICE, .standard = "durable", .choices = durabilities, .offset = AT(durability),
	  .help = "durable: acks=all is answered when the records are on disk. relaxed: acks=all is answered as acks=1, once the records "
		  "are in the store, and they are on disk within log.flush.interval.ms; this is what Kafka does. strict: every commit is "
		  "written synchronously by LMDB itself. In all three the store stays whole after a power cut." },
	{ .name = "log.flush.interval.ms", .reloads = true, .kind = CONFIG_LONG, .standard = "100", RANGE(1, 3600000), .unit = "ms",
	  .offset = AT(flush_interval_ms),
	  .help = "The longest time until records whose durability nobody waits for are on disk." },
	{ .name = "store.map.bytes", .kind = CONFIG_LONG, .standard = "1099511627776", RANGE(16777216, INT64_C(1) << 46),
	  .unit = "bytes", .offset = AT(map_bytes),
	  .help = "How large the store may become. It is address space, not disk space; lower it only where the system limits "
		  "address space (ulimit -v, Valgrind)." },

	/* --- topics --- */
	{ .name = "num.partitions", .reloads = true, .kind = CONFIG_INT, .standard = "1", RANGE(1, 100000), .offset = AT(num_partitions),
	  .help = "Partitions of a topic that is created without saying how many." },
	{ .name = "default.replication.factor", .reloads = true, .kind = CONFIG_INT, .standard = "1", RANGE(1, INT16_MAX),
	  .offset = AT(default_replication_factor),
	  .help = "Replication factor of a topic that is created without saying which. There is one broker, so anything but 1 "
		  "refuses such topics." },
	{ .name = "auto.create.topics.enable", .reloads = true, .kind = CONFIG_BOOL, .standard = "true", .offset = AT(auto_create_topics),
	  .help = "Whether asking for the metadata of a topic that does not exist creates it (if the client allows that too)." },
	{ .name = "delete.topic.enable", .reloads = true, .kind = CONFIG_BOOL, .standard = "true", .offset = AT(delete_topics),
	  .help = "Whether clients may delete topics." },
	{ .name = "message.max.bytes", .reloads = true, .kind = CONFIG_INT, .standard = "1048588", RANGE(0, INT32_MAX), .unit = "bytes",
	  .offset = AT(topic.max_message_bytes),
	  .help = "The largest record batch that is accepted, as compressed by the producer." },
	{ .name = "min.insync.replicas", .reloads = true, .kind = CONFIG_INT, .standard = "1", RANGE(1, INT32_MAX), .offset = AT(topic.min_insync_replicas),
	  .help = "Replicas that must be in sync for acks=all to be accepted. There is one, so more than 1 refuses such writes." },
	{ .name = "compression.type", .kind = CONFIG_CHOICE, .standard = "producer", .choices = compressions, .offset = AT(topic.compression),
	  .help = "Only producer is served: batches are kept exactly as the producer compressed them." },
	{ .name = "log.message.timestamp.type", .reloads = true, .kind = CONFIG_CHOICE, .standard = "CreateTime", .choices = timestamp_types,
	  .offset = AT(topic.timestamp_type),
	  .help = "Whether a record keeps its producer's timestamp, or gets the time of its arrival." },

	/* --- retention --- */
	{ .name = "log.cleanup.policy", .reloads = true, .kind = CONFIG_CHOICES, .standard = "delete", .choices = cleanups, .offset = AT(topic.cleanup_policy),
	  .help = "What becomes of old records: delete (by age and size), compact (records without a key are refused; old values stay for now: compaction is not done yet), or both." },
	{ .name = "log.retention.ms", .reloads = true, .kind = CONFIG_LONG, ANY_LONG, .unit = "ms", .offset = AT(log_retention_ms),
	  .behind = "log.retention.minutes",
	  .help = "How long records are kept; -1: for ever. Wins over log.retention.minutes and log.retention.hours." },
	{ .name = "log.retention.minutes", .reloads = true, .kind = CONFIG_INT, ANY_INT, .unit = "minutes", .offset = AT(log_retention_minutes),
	  .behind = "log.retention.hours",
	  .help = "How long records are kept, where log.retention.ms is not set; -1: for ever." },
	{ .name = "log.retention.hours", .reloads = true, .kind = CONFIG_INT, .standard = "168", ANY_INT, .unit = "hours", .offset = AT(log_retention_hours),
	  .help = "How long records are kept, where neither log.retention.ms nor log.retention.minutes is set; -1: for ever." },
	{ .name = "log.retention.bytes", .reloads = true, .kind = CONFIG_LONG, .standard = "-1", RANGE(-1, INT64_MAX), .unit = "bytes",
	  .offset = AT(topic.retention_bytes),
	  .help = "How many bytes of record batches a partition keeps; -1: no limit." },
	{ .name = "log.retention.check.interval.ms", .reloads = true, .kind = CONFIG_LONG, .standard = "300000", RANGE(1, INT64_MAX), .unit = "ms",
	  .offset = AT(retention_check_ms),
	  .help = "How often the cleaner looks for records to let go." },
	{ .name = "producer.id.expiration.ms", .reloads = true, .kind = CONFIG_INT, .standard = "86400000", RANGE(1, INT32_MAX), .unit = "ms",
	  .offset = AT(producer_expiry_ms),
	  .help = "How long an idempotent producer that is silent is remembered." },

	/* --- consumer groups --- */
	{ .name = "group.initial.rebalance.delay.ms", .reloads = true, .kind = CONFIG_INT, .standard = "0", RANGE(0, INT32_MAX), .unit = "ms",
	  .offset = AT(group_initial_delay_ms),
	  .help = "How long the first rebalance of an empty group waits for more members to join. (Kafka's default is 3000.)" },
	{ .name = "group.min.session.timeout.ms", .reloads = true, .kind = CONFIG_INT, .standard = "6000", RANGE(0, INT32_MAX), .unit = "ms",
	  .offset = AT(group_min_session_ms),
	  .help = "The shortest session time-out that a member may ask for." },
	{ .name = "group.max.session.timeout.ms", .reloads = true, .kind = CONFIG_INT, .standard = "1800000", RANGE(0, INT32_MAX), .unit = "ms",
	  .offset = AT(group_max_session_ms),
	  .help = "The longest session time-out that a member may ask for." },
	{ .name = "group.max.size", .reloads = true, .kind = CONFIG_INT, .standard = "2147483647", RANGE(1, INT32_MAX),
	  .offset = AT(group_max_size),
	  .help = "How many members a group may have." },
	{ .name = "offsets.retention.minutes", .reloads = true, .kind = CONFIG_INT, .standard = "10080", RANGE(1, INT32_MAX), .unit = "minutes",
	  .offset = AT(offsets_retention_minutes),
	  .help = "How long a committed offset is kept after its group has lost its last member, or, where it never had one, after "
		  "the commit." },
	{ .name = "offset.metadata.max.bytes", .reloads = true, .kind = CONFIG_INT, .standard = "4096", RANGE(0, 32767), .unit = "bytes",
	  .offset = AT(offset_metadata_max),
	  .help = "The longest text that may come with a committed offset." },

	/* --- clients --- */
	{ .name = "socket.request.max.bytes", .reloads = true, .kind = CONFIG_INT, .standard = "104857600", RANGE(1, INT32_MAX), .unit = "bytes",
	  .offset = AT(request_max_bytes),
	  .help = "The largest request; a client that announces more is disconnected before any memory is taken for it." },
	{ .name = "queued.max.request.bytes", .reloads = true, .kind = CONFIG_LONG, .standard = "268435456", RANGE(1048576, INT64_MAX), .unit = "bytes",
	  .offset = AT(queued_max_bytes),
	  .help = "How much memory each worker gives to requests and to answers that are not sent yet. Beyond it, it stops reading "
		  "from clients until there is room again. (Kafka's default is -1, no limit.)" },
	{ .name = "fetch.max.bytes", .reloads = true, .kind = CONFIG_INT, .standard = "1048576", RANGE(1024, INT32_MAX), .unit = "bytes",
	  .offset = AT(fetch_max_bytes),
	  .help = "The most that one fetch answer carries, whatever the consumer allows; at least one whole batch is always sent. Kafka's "
		  "default is 55 MB (57671680); smaller answers keep a worker's turns short and cost no throughput." },
	{ .name = "max.incremental.fetch.session.cache.slots", .reloads = true, .kind = CONFIG_INT, .standard = "1000", RANGE(0, INT32_MAX),
	  .offset = AT(fetch_sessions_max),
	  .help = "How many fetch sessions (KIP-227) each worker keeps: what a consumer reads, so that it need not name every "
		  "partition in every fetch. Together they have at most an eighth of queued.max.request.bytes. Who gets none goes on "
		  "without. 0: none are given." },
	{ .name = "max.connections", .reloads = true, .kind = CONFIG_INT, .standard = "10000", RANGE(1, INT32_MAX), .offset = AT(max_connections),
	  .help = "Connections of all workers together; further ones are closed at once. (Kafka's default is no limit.)" },
	{ .name = "max.connections.per.ip", .reloads = true, .kind = CONFIG_INT, .standard = "2147483647", RANGE(0, INT32_MAX),
	  .offset = AT(max_connections_per_ip),
	  .help = "Connections from one address, IPv4 or IPv6; further ones are closed at once. 0 is for where only hosts in "
		  "max.connections.per.ip.overrides may connect." },
	{ .name = "max.connections.per.ip.overrides", .kind = CONFIG_OVERRIDES, .standard = "", .offset = AT(per_ip_overrides),
	  .help = "Hosts with another limit than max.connections.per.ip: host:number, several separated by commas. Names are "
		  "looked up once, at the start, and stand for all their addresses; of an IPv6 address the number is behind the last "
		  "colon." },
	{ .name = "connections.max.idle.ms", .reloads = true, .kind = CONFIG_LONG, .standard = "600000", RANGE(-1, INT64_MAX), .unit = "ms",
	  .offset = AT(idle_ms),
	  .help = "A connection without a request for so long is closed; -1: never." },

	/* --- diagnostics --- */
	{ .name = "diag.level", .reloads = true, .kind = CONFIG_CHOICE, .standard = "info", .choices = diag_levels, .offset = AT(diag_level),
	  .flag = "log-level", .flag_operand = "LEVEL", .flag_help = "diag.level: error, warn, info, debug or trace",
	  .help = "How much the broker says on standard error. debug: a line for each request and answer; trace: what is in them." },
	{ .name = "diag.format", .reloads = true, .kind = CONFIG_CHOICE, .standard = "text", .choices = diag_formats, .offset = AT(diag_format),
	  .flag = "log-format", .flag_operand = "FORMAT", .flag_help = "diag.format: text or json",
	  .help = "Lines for people, or a JSON object in each line." },

	/* --- what a topic may set for itself --- */
	{ .name = "cleanup.policy", .scope = CONFIG_TOPIC, .behind = "log.cleanup.policy", .kind = CONFIG_CHOICES, .choices = cleanups,
	  .offset = TOPIC_AT(cleanup_policy),
	  .help = "What becomes of old records: delete (by age and size), compact (records without a key are refused; old values stay for now: compaction is not done yet), or both." },
	{ .name = "compression.type", .scope = CONFIG_TOPIC, .behind = "compression.type", .kind = CONFIG_CHOICE, .choices = compressions,
	  .offset = TOPIC_AT(compression),
	  .help = "Only producer is served: batches are kept exactly as the producer compressed them." },
	{ .name = "max.message.bytes", .scope = CONFIG_TOPIC, .behind = "message.max.bytes", .kind = CONFIG_INT, RANGE(0, INT32_MAX),
	  .unit = "bytes", .offset = TOPIC_AT(max_message_bytes),
	  .help = "The largest record batch that is accepted, as compressed by the producer." },
	{ .name = "message.timestamp.type", .scope = CONFIG_TOPIC, .behind = "log.message.timestamp.type", .kind = CONFIG_CHOICE,
	  .choices = timestamp_types, .offset = TOPIC_AT(timestamp_type),
	  .help = "Whether a record keeps its producer's timestamp, or gets the time of its arrival." },
	{ .name = "min.insync.replicas", .scope = CONFIG_TOPIC, .behind = "min.insync.replicas", .kind = CONFIG_INT, RANGE(1, INT32_MAX),
	  .offset = TOPIC_AT(min_insync_replicas),
	  .help = "Replicas that must be in sync for acks=all to be accepted. There is one, so more than 1 refuses such writes." },
	{ .name = "retention.bytes", .scope = CONFIG_TOPIC, .behind = "log.retention.bytes", .kind = CONFIG_LONG, RANGE(-1, INT64_MAX),
	  .unit = "bytes", .offset = TOPIC_AT(retention_bytes),
	  .help = "How many bytes of record batches each partition keeps; -1: no limit." },
	{ .name = "retention.ms", .scope = CONFIG_TOPIC, .behind = "log.retention.ms", .kind = CONFIG_LONG, RANGE(-1, INT64_MAX),
	  .unit = "ms", .offset = TOPIC_AT(retention_ms),
	  .help = "How long records are kept; -1: for ever." },
};

#undef AT
#undef TOPIC_AT
#undef RANGE

/* clang-format on */

int
config_option_count(void)
{
	_Static_assert(sizeof(options) / sizeof(options[0]) <= CONFIG_OPTIONS_MAX,
		       "config.is_set has a place for each");
	return (int)(sizeof(options) / sizeof(options[0]));
}

const struct config_option *
config_option_at(int i)
{
	CHECK(i >= 0 && i < config_option_count());
	return &options[i];
}

const struct config_option *
config_option_find(enum config_scope scope, const char *name)
{
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *o = &options[i];
		if (o->scope != scope)
			continue;
		if (strcmp(o->name, name) == 0 || (o->alias != NULL && strcmp(o->alias, name) == 0))
			return o;
	}
	return NULL;
}

int
config_option_index(const struct config_option *option)
{
	return (int)(option - options);
}

/* ---- Text to value ---- */

/* What one kind needs to read its text. */
struct parse {
	const struct config_option *option;
	struct str text;
	void *to; /* the field */
	struct arena *arena;
	char *why;
	size_t why_size;
};

/* Says why, and is false. */
PRINTF_LIKE(2, 3)
static bool
refuse(const struct parse *p, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(p->why, p->why_size, fmt, args);
	va_end(args);
	return false;
}

static bool
refuse_range(const struct parse *p)
{
	const char *range = config_option_range(p->option, p->arena);
	return refuse(p, "'%.*s' is not allowed, only %s", STR_ARG(p->text), range);
}

static bool
equal_ignoring_case(struct str s, const char *c)
{
	return strlen(c) == (size_t)s.n && strncasecmp(s.at, c, (size_t)s.n) == 0;
}

static bool
parse_bool(const struct parse *p)
{
	bool yes = equal_ignoring_case(p->text, "true");
	if (!yes && !equal_ignoring_case(p->text, "false"))
		return refuse(p, "'%.*s' is neither true nor false", STR_ARG(p->text));
	*(bool *)p->to = yes;
	return true;
}

static bool
parse_number(const struct parse *p, int64_t *v)
{
	if (!str_to_int64(p->text, v))
		return refuse(p, "'%.*s' is not a whole number", STR_ARG(p->text));
	if (*v < p->option->min || *v > p->option->max)
		return refuse_range(p);
	return true;
}

static bool
parse_int(const struct parse *p)
{
	int64_t v;
	if (!parse_number(p, &v))
		return false;
	*(int32_t *)p->to = (int32_t)v;
	return true;
}

static bool
parse_long(const struct parse *p)
{
	int64_t v;
	if (!parse_number(p, &v))
		return false;
	*(int64_t *)p->to = v;
	return true;
}

static bool
parse_string(const struct parse *p)
{
	if (p->text.n == 0)
		return refuse(p, "it must not be empty");
	if (memchr(p->text.at, ',', (size_t)p->text.n) != NULL && strcmp(p->option->name, "log.dirs") == 0)
		return refuse(p, "'%.*s' names several directories; the store is in one", STR_ARG(p->text));
	*(const char **)p->to = str_c(p->arena, p->text);
	return true;
}

static int32_t
choice_of(const struct config_option *option, struct str text)
{
	for (int32_t i = 0; option->choices[i] != NULL; i++) {
		if (equal_ignoring_case(text, option->choices[i]))
			return i;
	}
	return -1;
}

static bool
parse_choice(const struct parse *p)
{
	int32_t i = choice_of(p->option, p->text);
	if (i < 0)
		return refuse_range(p);
	*(int32_t *)p->to = i;
	return true;
}

static struct str
trimmed(struct str s)
{
	while (s.n > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
		s = (struct str){ .at = s.at + 1, .n = s.n - 1 };
	while (s.n > 0 && (s.at[s.n - 1] == ' ' || s.at[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static bool
parse_choices(const struct parse *p)
{
	uint32_t bits = 0;
	struct str rest = p->text;
	for (bool more = true; more;) {
		const char *comma = rest.n > 0 ? memchr(rest.at, ',', (size_t)rest.n) : NULL;
		int32_t n = comma != NULL ? (int32_t)(comma - rest.at) : rest.n;
		int32_t i = choice_of(p->option, trimmed((struct str){ .at = rest.at, .n = n }));
		if (i < 0)
			return refuse_range(p);
		bits |= 1u << i;
		more = comma != NULL;
		if (more)
			rest = (struct str){ .at = comma + 1, .n = rest.n - n - 1 };
	}
	*(uint32_t *)p->to = bits;
	return true;
}

static bool
parse_endpoints(const struct parse *p)
{
	return endpoints_parse(p->text, p->arena, p->to, p->why, p->why_size);
}

static bool
parse_overrides(const struct parse *p)
{
	return overrides_parse(p->text, p->arena, p->to, p->why, p->why_size);
}

bool
config_option_parse(const struct config_option *option, struct str text, void *base, struct arena *arena,
		    char *why, size_t why_size)
{
	static bool (*const parsers[])(const struct parse *) = {
		[CONFIG_BOOL] = parse_bool,           [CONFIG_INT] = parse_int,
		[CONFIG_LONG] = parse_long,           [CONFIG_STRING] = parse_string,
		[CONFIG_CHOICE] = parse_choice,       [CONFIG_CHOICES] = parse_choices,
		[CONFIG_ENDPOINTS] = parse_endpoints, [CONFIG_OVERRIDES] = parse_overrides,
	};
	const struct parse p = { .option = option,
				 .text = trimmed(text),
				 .to = (char *)base + option->offset,
				 .arena = arena,
				 .why = why,
				 .why_size = why_size };
	return parsers[option->kind](&p);
}

/* ---- Value to text ---- */

static const char *
choices_text(const struct config_option *option, uint32_t bits, struct arena *arena)
{
	const char *text = "";
	for (uint32_t i = 0; option->choices[i] != NULL; i++) {
		if ((bits & 1u << i) != 0)
			text =
			    arena_printf(arena, "%s%s%s", text, *text != '\0' ? "," : "", option->choices[i]);
	}
	return text;
}

const char *
config_option_text(const struct config_option *option, const void *base, struct arena *arena)
{
	const void *from = (const char *)base + option->offset;
	switch (option->kind) {
	case CONFIG_BOOL:
		return *(const bool *)from ? "true" : "false";
	case CONFIG_INT: {
		int32_t v = *(const int32_t *)from;
		return v == INT32_MIN ? NULL : arena_printf(arena, "%" PRId32, v);
	}
	case CONFIG_LONG: {
		int64_t v = *(const int64_t *)from;
		return v == INT64_MIN ? NULL : arena_printf(arena, "%" PRId64, v);
	}
	case CONFIG_STRING:
		return *(const char *const *)from;
	case CONFIG_CHOICE:
		return option->choices[*(const int32_t *)from];
	case CONFIG_CHOICES:
		return choices_text(option, *(const uint32_t *)from, arena);
	case CONFIG_ENDPOINTS:
		return endpoints_text(from, arena);
	case CONFIG_OVERRIDES:
		return overrides_text(from, arena);
	}
	CHECK(false && "a kind without a text");
	return NULL;
}

/* ---- About a row ---- */

static const char *
number_range(const struct config_option *option, struct arena *arena)
{
	bool is_long = option->kind == CONFIG_LONG;
	bool no_min = option->min <= (is_long ? INT64_MIN + 1 : INT32_MIN + 1);
	bool no_max = option->max == (is_long ? INT64_MAX : INT32_MAX);
	if (no_min && no_max)
		return "";
	if (no_max)
		return arena_printf(arena, "%" PRId64 " or more", option->min);
	return arena_printf(arena, "%" PRId64 " to %" PRId64, option->min, option->max);
}

static const char *
choice_list(const char *const *choices, struct arena *arena)
{
	const char *text = choices[0];
	for (int i = 1; choices[i] != NULL; i++)
		text =
		    arena_printf(arena, "%s%s%s", text, choices[i + 1] == NULL ? " or " : ", ", choices[i]);
	return text;
}

const char *
config_option_range(const struct config_option *option, struct arena *arena)
{
	switch (option->kind) {
	case CONFIG_INT:
	case CONFIG_LONG:
		return number_range(option, arena);
	case CONFIG_CHOICE:
		return choice_list(option->choices, arena);
	case CONFIG_CHOICES:
		return arena_printf(arena, "%s, or several with commas between",
				    choice_list(option->choices, arena));
	case CONFIG_BOOL:
		return "true or false";
	case CONFIG_STRING:
	case CONFIG_ENDPOINTS:
	case CONFIG_OVERRIDES:
		break;
	}
	return "";
}

static const struct {
	int8_t wire;
	const char *name;
} types[] = {
	[CONFIG_BOOL] = { 1, "boolean" },   [CONFIG_INT] = { 3, "int" },
	[CONFIG_LONG] = { 5, "long" },      [CONFIG_STRING] = { 2, "string" },
	[CONFIG_CHOICE] = { 2, "string" },  [CONFIG_CHOICES] = { 7, "list" },
	[CONFIG_ENDPOINTS] = { 7, "list" }, [CONFIG_OVERRIDES] = { 7, "list" },
};

int8_t
config_option_wire_type(const struct config_option *option)
{
	return types[option->kind].wire;
}

const char *
config_option_type_name(const struct config_option *option)
{
	return types[option->kind].name;
}

bool
config_option_is_read_only(const struct config_option *option)
{
	return option->scope == CONFIG_BROKER;
}
