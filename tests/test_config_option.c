#include "tests/lib/test.h"

#include <ctype.h>
#include <string.h>

#include "common/config.h"

static void
rows_are_whole(void **state)
{
	(void)state;
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *o = config_option_at(i);
		assert_int_equal(config_option_index(o), i);
		assert_ptr_equal(config_option_find(o->scope, o->name),
				 o); /* so names are unique in their scope */
		if (o->alias != NULL)
			assert_ptr_equal(config_option_find(o->scope, o->alias), o);
		assert_true(strlen(o->help) > 20);
		assert_int_equal(o->help[strlen(o->help) - 1] == '.' || o->help[strlen(o->help) - 1] == ')',
				 1);
		if (o->kind == CONFIG_CHOICE || o->kind == CONFIG_CHOICES)
			assert_non_null(o->choices);
		if (o->kind == CONFIG_INT || o->kind == CONFIG_LONG)
			assert_true(o->min < o->max);
		if (o->kind == CONFIG_INT)
			assert_true(o->min > INT32_MIN && o->max <= INT32_MAX);
		if (o->flag != NULL)
			assert_true(o->flag_operand != NULL && o->flag_help != NULL);
		/* A name that ends in its unit says the same as the unit. */
		const char *dot = strrchr(o->name, '.');
		if (dot != NULL && (strcmp(dot, ".ms") == 0 || strcmp(dot, ".bytes") == 0))
			assert_string_equal(o->unit, dot + 1);
	}
}

static void
flags_are_unique(void **state)
{
	(void)state;
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *a = config_option_at(i);
		for (int j = 0; j < i; j++) {
			const struct config_option *b = config_option_at(j);
			assert_false(a->letter != '\0' && a->letter == b->letter);
			assert_false(a->flag != NULL && b->flag != NULL && strcmp(a->flag, b->flag) == 0);
		}
		assert_null(a->letter != '\0' ? strchr("coh", a->letter) : NULL);
	}
}

/* A topic's option stands for a broker's of the same kind, and the chain ends at a default. */
static void
what_stands_behind(void **state)
{
	(void)state;
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *o = config_option_at(i);
		if (o->scope == CONFIG_TOPIC) {
			assert_non_null(o->behind);
			assert_null(o->standard);
			assert_int_equal(config_option_find(CONFIG_BROKER, o->behind)->kind, o->kind);
		}
		while (o->behind != NULL) {
			assert_null(o->standard);
			o = config_option_find(CONFIG_BROKER, o->behind);
			assert_non_null(o);
		}
		assert_non_null(o->standard);
	}
}

static void
defaults_read_as_they_are_written(void **state)
{
	(void)state;
	struct config c;
	config_init(&c);
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *o = config_option_at(i);
		if (o->scope == CONFIG_TOPIC || strcmp(o->name, "workers") == 0)
			continue;
		const char *text = config_option_text(o, &c, &c.arena);
		if (o->standard == NULL)
			assert_null(text);
		else
			assert_string_equal(text, o->standard);
	}
	config_free(&c);
}

static struct config scratch;

static const char *
outcome(enum config_scope scope, const char *name, const char *value)
{
	static char why[300];
	const struct config_option *o = config_option_find(scope, name);
	assert_non_null(o);
	if (!config_option_parse(o, str_of(value), &scratch, &scratch.arena, why, sizeof(why)))
		return why;
	return config_option_text(o, &scratch, &scratch.arena);
}

static void
values_of_each_kind(void **state)
{
	(void)state;
	config_init(&scratch);
	assert_string_equal(outcome(CONFIG_BROKER, "workers", " 4 "), "4");
	assert_string_equal(outcome(CONFIG_BROKER, "workers", "four"), "'four' is not a whole number");
	assert_string_equal(outcome(CONFIG_BROKER, "workers", "257"), "'257' is not allowed, only 0 to 256");
	assert_string_equal(outcome(CONFIG_BROKER, "message.max.bytes", "-1"),
			    "'-1' is not allowed, only 0 or more");
	assert_string_equal(outcome(CONFIG_BROKER, "message.max.bytes", "2147483648"),
			    "'2147483648' is not allowed, only 0 or more");
	assert_string_equal(outcome(CONFIG_BROKER, "log.retention.bytes", "9223372036854775807"),
			    "9223372036854775807");
	assert_string_equal(outcome(CONFIG_BROKER, "log.retention.bytes", "9223372036854775808"),
			    "'9223372036854775808' is not a whole number");
	assert_string_equal(outcome(CONFIG_BROKER, "delete.topic.enable", "FALSE"), "false");
	assert_string_equal(outcome(CONFIG_BROKER, "delete.topic.enable", "no"),
			    "'no' is neither true nor false");
	assert_string_equal(outcome(CONFIG_BROKER, "log.dirs", "/srv/forka"), "/srv/forka");
	assert_string_equal(outcome(CONFIG_BROKER, "log.dirs", ""), "it must not be empty");
	assert_string_equal(outcome(CONFIG_BROKER, "log.dirs", "/a,/b"),
			    "'/a,/b' names several directories; the store is in one");
	assert_string_equal(outcome(CONFIG_BROKER, "durability", "Strict"), "strict");
	assert_string_equal(outcome(CONFIG_BROKER, "durability", "yes"),
			    "'yes' is not allowed, only durable, relaxed or strict");
	assert_string_equal(outcome(CONFIG_BROKER, "log.cleanup.policy", "compact, delete"),
			    "delete,compact");
	assert_string_equal(outcome(CONFIG_BROKER, "log.cleanup.policy", "compact"), "compact");
	assert_string_equal(
	    outcome(CONFIG_BROKER, "log.cleanup.policy", "compact,"),
	    "'compact,' is not allowed, only delete or compact, or several with commas between");
	assert_string_equal(outcome(CONFIG_BROKER, "compression.type", "gzip"),
			    "'gzip' is not allowed, only producer");
	assert_string_equal(outcome(CONFIG_BROKER, "listeners", "a://[::1]:1,b://:2"), "A://[::1]:1,B://:2");
	config_free(&scratch);
}

/* The numbers are those of KIP-569, which clients show to people. */
static void
types_on_the_wire(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int8_t type;
	} rows[] = { { "delete.topic.enable", 1 },
		     { "durability", 2 },
		     { "log.dirs", 2 },
		     { "num.partitions", 3 },
		     { "log.retention.bytes", 5 },
		     { "log.cleanup.policy", 7 },
		     { "listeners", 7 } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct config_option *o = config_option_find(CONFIG_BROKER, rows[i].name);
		assert_int_equal(config_option_wire_type(o), rows[i].type);
		assert_true(config_option_is_read_only(o));
	}
	assert_false(config_option_is_read_only(config_option_find(CONFIG_TOPIC, "retention.ms")));
	assert_null(config_option_find(CONFIG_TOPIC, "log.retention.ms"));
	assert_null(config_option_find(CONFIG_BROKER, "retention.ms"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_whole),      cmocka_unit_test(flags_are_unique),
		cmocka_unit_test(what_stands_behind),  cmocka_unit_test(defaults_read_as_they_are_written),
		cmocka_unit_test(values_of_each_kind), cmocka_unit_test(types_on_the_wire),
	};
	return cmocka_run_group_tests_name("config_option", tests, NULL, NULL);
}
