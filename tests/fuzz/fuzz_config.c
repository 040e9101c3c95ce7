/*
 * fuzz_config: a configuration file, a command line, and the file as it is when the broker reloads it. The input has
 * them separated by NUL: file, file again, then arguments, of which "F" stands for -c and the file's path.
 *
 * It is refused, and the message says what by the file's line or the option's name. Or it is taken, and then all that
 * it prints of itself, written down as a file, is read as the same. A reload changes what it says it changes, where
 * that may change, and nothing else; one that is refused changes nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/check.h"
#include "common/config.h"

#define ARGS_MOST 16

static char path[64];
static int file = -1;

static void
put_file(struct str text)
{
	if (file < 0) {
		file = memfd_create("properties", MFD_CLOEXEC);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	}
	CHECK(file >= 0 && ftruncate(file, 0) == 0);
	CHECK(pwrite(file, text.at, (size_t)text.n, 0) == text.n);
}

/* Up to the next NUL, which the copy ends with. */
static struct str
next_part(const char **at, const char *end, struct arena *arena)
{
	size_t n = strnlen(*at, (size_t)(end - *at));
	struct str part = { .at = str_c(arena, (struct str){ .at = *at, .n = (int32_t)n }), .n = (int32_t)n };
	*at += *at + n < end ? n + 1 : n;
	return part;
}

/* No file but ours is read. */
static bool
names_a_file(const char *arg)
{
	return strncmp(arg, "-c", 2) == 0 || strncmp(arg, "--c", 3) == 0;
}

static int
read_args(const char *at, const char *end, char **args, struct arena *arena)
{
	int n = 0;
	args[n++] = str_c(arena, STR("broker"));
	while (at < end && n < ARGS_MOST - 2) {
		char *arg = (char *)(uintptr_t)next_part(&at, end, arena).at; /* the arena's */
		if (strcmp(arg, "F") == 0) {
			args[n++] = str_c(arena, STR("-c"));
			args[n++] = str_c(arena, str_of(path));
		} else if (!names_a_file(arg)) {
			args[n++] = arg;
		}
	}
	args[n] = NULL;
	return n;
}

/* --- what must hold --------------------------------------------------------------------------------------- */

static bool
names_an_option(const char *error)
{
	for (int i = 0; i < config_option_count(); i++)
		if (strstr(error, config_option_at(i)->name) != NULL)
			return true;
	return false;
}

/* Somebody who reads only this line knows where to look. */
static void
check_error(const char *error)
{
	CHECK(error != NULL);
	CHECK(strncmp(error, path, strlen(path)) == 0 || names_an_option(error) ||
	      strstr(error, "--help") != NULL || strncmp(error, "-o: ", 4) == 0);
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void
check_same(const struct config *a, const struct config *b, struct arena *arena)
{
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *o = config_option_at(i);
		if (o->scope == CONFIG_BROKER)
			CHECK(same_text(config_option_text(o, a, arena), config_option_text(o, b, arena)));
	}
	CHECK(memcmp(&a->topic, &b->topic, sizeof(a->topic)) == 0);
}

/* As a properties file has it: every byte that could mean something is escaped. */
static void
put_value(FILE *out, const char *value)
{
	static const char letters[] = "tnrf", meant[] = "\t\n\r\f";
	for (; *value != '\0'; value++) {
		const char *found = strchr(meant, *value);
		if (found != NULL)
			(void)fprintf(out, "\\%c", letters[found - meant]);
		else if (strchr("\\ =:#!", *value) != NULL)
			(void)fprintf(out, "\\%c", *value);
		else
			(void)fputc(*value, out);
	}
}

/* What it prints of itself is itself. */
static void
check_round_trip(const struct config *c, struct arena *arena)
{
	char *text;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	CHECK(out != NULL);
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *o = config_option_at(i);
		const char *value = o->scope == CONFIG_BROKER ? config_option_text(o, c, arena) : NULL;
		if (value == NULL)
			continue;
		(void)fprintf(out, "%s = ", o->name);
		put_value(out, value);
		(void)fputc('\n', out);
	}
	CHECK(fclose(out) == 0);

	struct config again;
	config_init(&again);
	CHECK(config_parse_text(&again, "again", (struct str){ .at = text, .n = (int32_t)n }));
	CHECK(again.warning_n == 0);
	check_same(c, &again, arena);
	config_free(&again);
	free(text);
}

/* Only what may. */
static void
check_reload(struct config *c, struct arena *arena)
{
	struct config_change *changes;
	const char *error = NULL, *was[CONFIG_OPTIONS_MAX];
	struct topic_config topic = c->topic;
	bool changed[CONFIG_OPTIONS_MAX] = { false };

	for (int i = 0; i < config_option_count(); i++)
		if (config_option_at(i)->scope == CONFIG_BROKER)
			was[i] = config_option_text(config_option_at(i), c, arena);
	int n = config_reload(c, arena, &changes, &error);
	if (n < 0) {
		check_error(error);
		CHECK(memcmp(&topic, &c->topic, sizeof(topic)) == 0);
	}
	for (int i = 0; i < n; i++) {
		int o = config_option_index(changes[i].option);
		CHECK(same_text(changes[i].from, was[o]) && !same_text(changes[i].from, changes[i].to));
		changed[o] = changes[i].taken;
		if (changes[i].taken)
			CHECK(same_text(config_option_text(changes[i].option, c, arena), changes[i].to));
	}
	for (int i = 0; i < config_option_count(); i++)
		if (config_option_at(i)->scope == CONFIG_BROKER && !changed[i])
			CHECK(same_text(config_option_text(config_option_at(i), c, arena), was[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *at = (const char *)data, *end = at + n;
	struct arena arena = ARENA_EMPTY;
	struct config c;
	char *args[ARGS_MOST + 1];

	if (n > 100000)
		return 0;
	struct str before = next_part(&at, end, &arena), after = next_part(&at, end, &arena);
	put_file(before);
	int arg_n = read_args(at, end, args, &arena);
	config_init(&c);
	switch (config_parse_args(&c, arg_n, args)) {
	case CONFIG_ACT_RUN:
		check_round_trip(&c, &arena);
		put_file(after);
		check_reload(&c, &arena);
		break;
	case CONFIG_ACT_BAD:
		check_error(c.error);
		break;
	default: /* help, or a tool */
		break;
	}
	for (int i = 0; i < c.warning_n; i++)
		CHECK(strncmp(c.warnings[i], path, strlen(path)) == 0);
	config_free(&c);
	arena_free(&arena);
	return 0;
}
