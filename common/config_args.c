/*
 * The command line. Flags come from the table of options; the rest is here: -c FILE, -o KEY=VALUE, --help,
 * --version, and the tools that are the broker's first argument.
 *
 * Whatever its place on the command line, the file is read first, so that flags win over it. Among flags the
 * last wins.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"

#define FLAGS_MAX 32

/* Values that getopt_long() returns for long flags without a letter; those of the table follow. */
enum { FLAG_VERSION = 256, FLAG_OPTION };

/* What getopt_long() is told: made from the table, and the same for both passes. */
struct flags {
	char letters[2 * FLAGS_MAX + 8];
	struct option longs[FLAGS_MAX];
	int n;
};

static void
add_flag(struct flags *f, const char *name, int operand, int value)
{
	CHECK(f->n < FLAGS_MAX - 1);
	f->longs[f->n++] = (struct option){ .name = name, .has_arg = operand, .val = value };
	if (value < FLAG_VERSION) {
		size_t at = strlen(f->letters);
		(void)snprintf(f->letters + at, sizeof(f->letters) - at, "%c%s", value, operand ? ":" : "");
	}
}

static void
make_flags(struct flags *f)
{
	*f = (struct flags){ .letters =
				 ":" }; /* a missing operand is reported as ':', an unknown flag as '?' */
	add_flag(f, "config", required_argument, 'c');
	add_flag(f, "option", required_argument, 'o');
	add_flag(f, "help", no_argument, 'h');
	add_flag(f, "version", no_argument, FLAG_VERSION);
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *o = config_option_at(i);
		if (o->flag != NULL)
			add_flag(f, o->flag, required_argument,
				 o->letter != '\0' ? o->letter : FLAG_OPTION + i);
	}
}

/* Says why, and is CONFIG_ACT_BAD. */
PRINTF_LIKE(2, 3)
static enum config_act
refuse(struct config *c, const char *fmt, ...)
{
	char text[1024];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	c->error = arena_printf(&c->arena, "%s", text);
	return CONFIG_ACT_BAD;
}

static const struct config_option *
option_of_flag(int flag)
{
	if (flag >= FLAG_OPTION)
		return config_option_at(flag - FLAG_OPTION);
	for (int i = 0; i < config_option_count(); i++) {
		if (config_option_at(i)->letter == flag)
			return config_option_at(i);
	}
	CHECK(false && "a flag that is in no row");
	return NULL;
}

static bool
set_by_flag(struct config *c, int flag, const char *operand)
{
	const struct config_option *o = option_of_flag(flag);
	const char *origin = arena_printf(&c->arena, "--%s", o->flag);
	if (o->flag_format == NULL)
		return config_set(c, origin, o->name, operand);
	const char *mark = strstr(o->flag_format, "%s");
	CHECK(mark != NULL);
	return config_set(c, origin, o->name,
			  arena_printf(&c->arena, "%.*s%s%s", (int)(mark - o->flag_format), o->flag_format,
				       operand, mark + 2));
}

static bool
set_by_pair(struct config *c, const char *pair)
{
	const char *equals = strchr(pair, '=');
	if (equals == NULL) {
		(void)refuse(c, "-o: '%s' is not KEY=VALUE", pair);
		return false;
	}
	return config_set(c, "-o", arena_printf(&c->arena, "%.*s", (int)(equals - pair), pair), equals + 1);
}

/* First pass: nothing is set, but what ends the matter at once is found, and the file is named. */
static enum config_act
scan(struct config *c, const struct flags *f, int argc, char **argv, const char **file)
{
	int flag;
	optind = 0; /* GNU: begin anew */
	while ((flag = getopt_long(argc, argv, f->letters, f->longs, NULL)) != -1) {
		if (flag == 'h')
			return CONFIG_ACT_HELP;
		if (flag == FLAG_VERSION)
			return CONFIG_ACT_VERSION;
		if (flag == 'c')
			*file = optarg;
		if (flag == ':')
			return refuse(c, "%s needs a value; --help says which", argv[optind - 1]);
		if (flag == '?')
			return refuse(c, "there is no flag %s; --help lists them", argv[optind - 1]);
	}
	if (optind < argc)
		return refuse(c, "'%s' is not understood; --help says what is", argv[optind]);
	return CONFIG_ACT_RUN;
}

/* Second pass. */
static bool
apply(struct config *c, const struct flags *f, int argc, char **argv)
{
	int flag;
	bool good = true;
	optind = 0;
	while (good && (flag = getopt_long(argc, argv, f->letters, f->longs, NULL)) != -1) {
		CHECK(optarg != NULL); /* the flags that have no value ended the first pass */
		if (flag == 'o')
			good = set_by_pair(c, optarg);
		else if (flag != 'c')
			good = set_by_flag(c, flag, optarg);
	}
	return good;
}

enum config_act
config_parse_args(struct config *c, int argc, char **argv)
{
	struct flags flags;
	const char *file = NULL;
	if (argc > 1 && strcmp(argv[1], "wire") == 0)
		return CONFIG_ACT_WIRE;
	if (argc > 1 && strcmp(argv[1], "dump") == 0)
		return CONFIG_ACT_DUMP;
	if (argc > 1 && strcmp(argv[1], "backup") == 0)
		return CONFIG_ACT_BACKUP;

	c->argc = argc;
	c->argv = argv;
	make_flags(&flags);
	opterr = 0;
	enum config_act act = scan(c, &flags, argc, argv, &file);
	if (act != CONFIG_ACT_RUN)
		return act;
	if (file != NULL && !config_parse_file(c, file))
		return CONFIG_ACT_BAD;
	if (!apply(c, &flags, argc, argv) || !config_resolve(c))
		return CONFIG_ACT_BAD;
	return CONFIG_ACT_RUN;
}
