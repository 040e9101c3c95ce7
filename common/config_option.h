/*
 * config_option: the one table of the broker's options.
 *
 * A row is all that is known of an option. The same rows give the defaults, read server.properties and the
 * command line, print --help and docs/configuration.md, and answer DescribeConfigs and CreateTopics. To add an
 * option: a field in config.h, a row in config_option.c, `make docs`.
 *
 * A topic's option has a broker's option behind it, and some broker's options have others behind them; that
 * is the value where the first is not set:
 *
 *	retention.ms (topic) -> log.retention.ms -> log.retention.minutes -> log.retention.hours
 */
#ifndef COMMON_CONFIG_OPTION_H
#define COMMON_CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"

enum config_scope { CONFIG_BROKER, CONFIG_TOPIC };

/* The number is that of the option's type in DescribeConfigs answers (KIP-569), see
 * config_option_wire_type(). */
enum config_kind {
	CONFIG_BOOL,      /* bool */
	CONFIG_INT,       /* int32_t; unset: INT32_MIN */
	CONFIG_LONG,      /* int64_t; unset: INT64_MIN */
	CONFIG_STRING,    /* const char * */
	CONFIG_CHOICE,    /* int32_t: index of one of `choices` */
	CONFIG_CHOICES,   /* uint32_t: bit i for choices[i]; a list */
	CONFIG_ENDPOINTS, /* struct endpoints; a list */
	CONFIG_OVERRIDES, /* struct overrides; a list */
};

struct config_option {
	const char *name;  /* Kafka's key, where Kafka has one */
	const char *alias; /* another key for it, or NULL */
	enum config_scope scope;
	enum config_kind kind;
	const char *standard;       /* the default as text; NULL: not set */
	int64_t min, max;           /* of numbers */
	const char *const *choices; /* NULL-terminated */
	const char *behind;         /* the broker's option that holds where this one is not set */
	const char *unit;           /* "ms", "bytes" or NULL */
	char letter;                /* flag: -w, or '\0' */
	const char *flag;           /* long flag without --, or NULL */
	const char *flag_operand;   /* what --help calls its value */
	const char *flag_help;      /* the line about it in --help */
	const char
	    *flag_format; /* printf format that makes an option's value of the flag's; NULL: the same */
	size_t offset;    /* into struct config, or struct topic_config for a topic's */
	const char *help; /* sentences */
	bool reloads;     /* a broker's: may change while it runs (SIGHUP); no strings, no lists */
};

int config_option_count(void);
const struct config_option *
config_option_at(int i); /* broker's first, then topics', each in the table's order */
/* By name or alias; NULL: there is none. */
const struct config_option *config_option_find(enum config_scope scope, const char *name);
int config_option_index(const struct config_option *option);

/*
 * Check the text and put it into the struct at `base`. False: nothing is changed, and `why` says what is
 * wrong with the value ("'abc' is not a whole number"). Strings and lists live in the arena.
 */
bool config_option_parse(const struct config_option *option, struct str text, void *base, struct arena *arena,
			 char *why, size_t why_size);
/* The value in `base` as text, in the arena; NULL: not set. */
const char *config_option_text(const struct config_option *option, const void *base, struct arena *arena);
/* What values may be, for people: "1 to 256", "durable, relaxed or strict"; "" if anything. */
const char *config_option_range(const struct config_option *option, struct arena *arena);

/* As DescribeConfigs codes it: 1 boolean, 2 string, 3 int, 5 long, 7 list. */
int8_t config_option_wire_type(const struct config_option *option);
const char *config_option_type_name(const struct config_option *option);
/* Broker's options are read once, at the start; topics' can be set at any time. */
bool config_option_is_read_only(const struct config_option *option);

#endif
