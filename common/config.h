/*
 * config: what the broker was told: defaults < server.properties < command line. Read once, before any fork.
 *
 *	config_init(&config);
 *	switch (config_parse_args(&config, argc, argv)) {
 *	case CONFIG_ACT_BAD:  fprintf(stderr, "%s\n", config.error), exit 2
 *	case CONFIG_ACT_HELP: config_help(stdout), exit 0
 *	...
 *	diag_setup(config.diag_level, config.diag_format), then diag_warn() each of config.warnings
 *
 * The table of options is config_option.c; here are the fields that its rows fill. Strings and lists live in
 * the config's own arena, until config_free(). Workers inherit it over the fork. It is in shared memory
 * (config_share), so that what may change while the broker runs (config_reload) changes for all processes; each
 * such value is a number that is read and written in one piece.
 */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/arena.h"
#include "common/check.h"
#include "common/config_option.h"
#include "common/diag.h"
#include "common/endpoint.h"
#include "common/overrides.h"
#include "common/str.h"

#define CONFIG_OPTIONS_MAX  96
#define CONFIG_WARNINGS_MAX 64
#define CONFIG_WORKERS_MAX  256

/* Bits of cleanup_policy. */
#define CLEANUP_DELETE  1u
#define CLEANUP_COMPACT 2u

/* As in the attributes of a record batch. */
enum timestamp_type { TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME };

/* What a topic can set for itself; in struct config: the defaults. */
struct topic_config {
	int32_t max_message_bytes; /* of a record batch, as compressed */
	int32_t min_insync_replicas;
	int64_t retention_ms;    /* -1: for ever */
	int64_t retention_bytes; /* per partition; -1: no limit */
	uint32_t cleanup_policy; /* CLEANUP_ bits */
	int32_t timestamp_type;  /* enum timestamp_type */
	int32_t compression;     /* 0: producer */
};

struct config {
	int32_t workers;
	struct endpoints listeners;
	struct endpoints
	    advertised;  /* advertised.listeners; none: the address that the client connected to */
	const char *dir; /* log.dirs: of the store */
	int32_t node_id;

	int32_t durability; /* 0 durable, 1 relaxed, 2 strict: storage's enum durability */
	int64_t flush_interval_ms;
	int64_t map_bytes;

	int32_t num_partitions, default_replication_factor;
	bool auto_create_topics, delete_topics;

	int32_t request_max_bytes;
	int64_t queued_max_bytes; /* per worker: requests and unsent answers */
	int32_t fetch_max_bytes;
	int32_t fetch_sessions_max; /* of a worker */
	int32_t max_connections;    /* of the whole broker */
	int32_t max_connections_per_ip;
	struct overrides per_ip_overrides;
	int64_t idle_ms; /* connections.max.idle.ms; -1: never closed */

	struct topic_config topic;     /* defaults; its retention_ms is the outcome of the next three */
	int64_t log_retention_ms;      /* as set; INT64_MIN: not */
	int32_t log_retention_minutes; /* as set; INT32_MIN: not */
	int32_t log_retention_hours;
	int64_t retention_check_ms;
	int32_t producer_expiry_ms;

	int32_t group_initial_delay_ms, group_min_session_ms, group_max_session_ms, group_max_size;
	int32_t offsets_retention_minutes, offset_metadata_max;

	int32_t diag_level, diag_format; /* enum diag_level, enum diag_format */

	/* How it came about. */
	int argc;
	char **argv;      /* of config_parse_args(): the caller's */
	const char *file; /* the properties file; NULL: none */
	const char *error;
	const char *warnings[CONFIG_WARNINGS_MAX];
	int warning_n;
	bool is_set[CONFIG_OPTIONS_MAX]; /* by config_option_index(): in the file or on the command line */
	struct arena arena;
};

void config_init(struct config *c); /* all defaults, resolved */
void config_free(struct config *c);

enum config_act {
	CONFIG_ACT_RUN,
	CONFIG_ACT_HELP,
	CONFIG_ACT_VERSION,
	CONFIG_ACT_WIRE,   /* broker wire ...: argv[2] and on are the tool's */
	CONFIG_ACT_DUMP,   /* broker dump ...: likewise */
	CONFIG_ACT_BACKUP, /* broker backup ...: likewise */
	CONFIG_ACT_BAD,    /* c->error says why; exit status 2 */
};

/* Read the command line, and the file that it names, into an initialised config. */
enum config_act config_parse_args(struct config *c, int argc, char **argv);
/* Read a file, or its text (path: for messages), and resolve. False: c->error. Unknown keys only warn, as
 * Kafka does. */
MUST_CHECK bool config_parse_file(struct config *c, const char *path);
MUST_CHECK bool config_parse_text(struct config *c, const char *path, struct str text);
/* One option, as -o does; origin begins the error ("-o"). Unknown keys are refused. config_resolve() must
 * follow. */
MUST_CHECK bool config_set(struct config *c, const char *origin, const char *key, const char *value);
/* Work out what depends on more than one option, and check that all fits together. False: c->error. */
MUST_CHECK bool config_resolve(struct config *c);

/* --- while the broker runs --- */

/* A copy in memory that processes forked from here on share with this one; strings stay where they are. */
struct config *config_share(const struct config *c);

/* What a reload would change, or did. */
struct config_change {
	const struct config_option *option;
	const char *from, *to; /* as text, in the arena; NULL: not set */
	bool taken;            /* false: it needs a restart, and nothing happens */
};
/*
 * Read the command line and the file again, and take over what may change. Returns the number of changes, *out in
 * the arena, or -1: what is there now makes no sense, *error says why, and nothing changes.
 */
int config_reload(struct config *running, struct arena *arena, struct config_change **out,
		  const char **error);

void config_help(FILE *out);     /* --help */
void config_markdown(FILE *out); /* docs/configuration.md */

/* --- topics' own settings --- */

enum config_verdict {
	CONFIG_GOOD,
	CONFIG_WITHOUT_EFFECT, /* Kafka knows this key for topics; here it has nothing to act on */
	CONFIG_UNKNOWN,
	CONFIG_BAD_VALUE,
};

/* May a topic have this setting? Otherwise `why` (if size > 0) says what to tell the client. */
enum config_verdict config_topic_check(struct str key, struct str value, char *why, size_t why_size);
/* Override one value of *out, which began as a copy of config.topic. Settings that are not GOOD change
 * nothing. */
void config_topic_set(struct topic_config *out, struct str key, struct str value);

/* --- for DescribeConfigs --- */

/* As coded on the wire (KIP-226). */
enum config_source { CONFIG_SOURCE_TOPIC = 1, CONFIG_SOURCE_STATIC = 4, CONFIG_SOURCE_DEFAULT = 5 };

struct config_value {
	const char *name;  /* of the option that gives it */
	const char *value; /* NULL: null */
	enum config_source source;
};

/*
 * The value that holds, and where it comes from. `own`: what the topic itself set (STR_NULL: nothing; for a
 * broker's option always STR_NULL). Texts live in the arena.
 */
struct config_value config_value_of(const struct config *c, const struct config_option *option,
				    struct str own, struct arena *arena);
/*
 * Every place that gives the option a value, the winner first: the topic's own, the broker's settings, the
 * defaults of the broker's options. *out lives in the arena. Returns how many.
 */
int config_synonyms(const struct config *c, const struct config_option *option, struct str own,
		    struct arena *arena, struct config_value **out);

#endif
