/*
 * What the table of options says to people: --help, and docs/configuration.md.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"

#define HELP_COLUMNS 100

/* ---- --help ---- */

/* The sentences, folded at blanks, each line indented. */
static void
print_folded(FILE *out, const char *text, int indent)
{
	size_t width = (size_t)(HELP_COLUMNS - indent);
	while (*text != '\0') {
		size_t n = strlen(text);
		if (n > width) {
			for (n = width; n > 0 && text[n] != ' '; n--)
				continue;
			if (n == 0)
				n = strcspn(text, " ");
		}
		(void)fprintf(out, "%*s%.*s\n", indent, "", (int)n, text);
		text += n;
		while (*text == ' ')
			text++;
	}
}

static const char *
default_text(const struct config_option *o)
{
	if (o->standard == NULL)
		return "not set";
	return *o->standard != '\0' ? o->standard : "empty";
}

static void
print_flag(FILE *out, const struct config_option *o, struct arena *arena)
{
	const char *letter = o->letter != '\0' ? arena_printf(arena, "-%c, ", o->letter) : "    ";
	const char *flags = arena_printf(arena, "%s--%s %s", letter, o->flag, o->flag_operand);
	(void)fprintf(out, "  %-26s %s\n", flags, o->flag_help);
}

static void
print_option(FILE *out, const struct config_option *o)
{
	(void)fprintf(out, "  %s (%s, default %s)\n", o->name, config_option_type_name(o), default_text(o));
	print_folded(out, o->help, 6);
}

void
config_help(FILE *out)
{
	struct arena arena = ARENA_EMPTY;
	(void)fputs("broker [flags]        serve Kafka clients\n"
		    "broker wire ...       explain bytes of the protocol (broker wire --help)\n"
		    "broker dump ...       print what the store holds (broker dump --help)\n"
		    "broker backup ...     copy the store while the broker runs (broker backup --help)\n"
		    "\n"
		    "Flags:\n",
		    out);
	for (int i = 0; i < config_option_count(); i++) {
		if (config_option_at(i)->flag != NULL)
			print_flag(out, config_option_at(i), &arena);
	}
	(void)fputs(
	    "  -c, --config FILE          read a file in the format of Kafka's server.properties\n"
	    "  -o, --option KEY=VALUE     set any of the options below; wins over the file, as all flags do\n"
	    "  -h, --help                 this text\n"
	    "      --version              the version\n"
	    "\n"
	    "Options, for the file and for -o:\n",
	    out);
	for (int i = 0; i < config_option_count(); i++) {
		if (config_option_at(i)->scope == CONFIG_BROKER)
			print_option(out, config_option_at(i));
	}
	(void)fputs("\nTopics may set for themselves:\n", out);
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *o = config_option_at(i);
		if (o->scope == CONFIG_TOPIC)
			(void)fprintf(out, "  %-28s default: %s\n", o->name, o->behind);
	}
	arena_free(&arena);
}

/* ---- docs/configuration.md ---- */

static void
print_entry(FILE *out, const struct config_option *o, struct arena *arena)
{
	(void)fprintf(out, "### %s\n\n%s\n\n", o->name, o->help);
	(void)fprintf(out, "* Type: %s%s%s\n", config_option_type_name(o), o->unit != NULL ? ", in " : "",
		      o->unit != NULL ? o->unit : "");
	if (o->scope == CONFIG_TOPIC)
		(void)fprintf(out, "* Default: that of the broker, `%s`\n", o->behind);
	else if (o->standard == NULL || *o->standard == '\0')
		(void)fprintf(out, "* Default: %s\n", default_text(o));
	else
		(void)fprintf(out, "* Default: `%s`\n", o->standard);
	const char *range = config_option_range(o, arena);
	if (*range != '\0')
		(void)fprintf(out, "* Values: %s\n", range);
	if (o->scope == CONFIG_BROKER)
		(void)fprintf(out, "* Update mode: %s\n", o->reloads ? "reload (SIGHUP)" : "read-only");
	if (o->alias != NULL)
		(void)fprintf(out, "* Also known as: `%s`\n", o->alias);
	if (o->letter != '\0')
		(void)fprintf(out, "* Flag: `-%c %s`, `--%s %s`\n", o->letter, o->flag_operand, o->flag,
			      o->flag_operand);
	else if (o->flag != NULL)
		(void)fprintf(out, "* Flag: `--%s %s`\n", o->flag, o->flag_operand);
	(void)fputs("\n", out);
}

static void
print_entries(FILE *out, enum config_scope scope)
{
	struct arena arena = ARENA_EMPTY;
	for (int i = 0; i < config_option_count(); i++) {
		if (config_option_at(i)->scope == scope)
			print_entry(out, config_option_at(i), &arena);
	}
	arena_free(&arena);
}

void
config_markdown(FILE *out)
{
	(void)fputs(
	    "# Configuration\n\n"
	    "<!-- Made by `make docs` from the table in common/config_option.c; changes belong there. -->\n\n"
	    "The broker runs without any configuration. What is set comes from three places, of which the "
	    "later wins:\n"
	    "the defaults below, a file (`-c FILE`), the command line. The file has the format of Kafka's\n"
	    "`server.properties`:\n\n"
	    "```properties\n"
	    "# 4 workers; two listeners, of which one is known to clients by another name\n"
	    "workers=4\n"
	    "listeners=PLAINTEXT://:9092,LAN://10.0.0.5:9093\n"
	    "advertised.listeners=LAN://kafka.example.org:9093\n"
	    "log.retention.hours=24\n"
	    "```\n\n"
	    "Options bear Kafka's names where Kafka has them. A key in the file that the broker does not "
	    "know is\n"
	    "named in a warning and has no effect, so that a `server.properties` of Kafka's can be used as "
	    "it is; a\n"
	    "value that cannot be is refused, with the file, the line and the reason. On the command line\n"
	    "`-o KEY=VALUE` sets any option, and unknown keys are refused. Options are read once, at the "
	    "start.\n\n"
	    "## The broker\n\n",
	    out);
	print_entries(out, CONFIG_BROKER);
	(void)fputs("## Topics\n\n"
		    "A topic can be given these when it is created.\n"
		    "Where it does not set one, the broker's option holds.\n\n",
		    out);
	print_entries(out, CONFIG_TOPIC);
}
