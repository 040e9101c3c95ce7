#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"

/* ---- Helpers ---- */

static enum config_act
run(struct config *c, char *line)
{
	char *argv[32] = { "broker" };
	int argc = 1;
	char *rest;
	for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	config_init(c);
	return config_parse_args(c, argc, argv);
}

#define ARGS(c, text) run((c), (char[]){ text })

static void
assert_refused(const char *line, const char *error)
{
	struct config c;
	char copy[512];
	(void)snprintf(copy, sizeof(copy), "%s", line);
	assert_int_equal(run(&c, copy), CONFIG_ACT_BAD);
	assert_non_null(c.error);
	if (strstr(c.error, error) == NULL)
		fail_msg("broker %s\nfound    %s\nexpected %s", line, c.error, error);
	config_free(&c);
}

static const char *
value(const struct config *c, enum config_scope scope, const char *name, enum config_source source)
{
	static struct arena arena;
	arena_free(&arena);
	struct config_value v = config_value_of(c, config_option_find(scope, name), STR_NULL, &arena);
	static char text[256];
	if (v.source != source)
		fail_msg("%s comes from %d", name, (int)v.source);
	(void)snprintf(text, sizeof(text), "%s", v.value != NULL ? v.value : "(null)");
	arena_free(&arena);
	return text;
}

/* ---- Tests ---- */

static void
the_defaults(void **state)
{
	(void)state;
	struct config c;
	config_init(&c);
	assert_int_equal(c.workers, sysconf(_SC_NPROCESSORS_ONLN));
	assert_int_equal(c.listeners.n, 1);
	assert_string_equal(c.listeners.at[0].name, "PLAINTEXT");
	assert_string_equal(c.listeners.at[0].host, "");
	assert_int_equal(c.listeners.at[0].port, 9092);
	assert_int_equal(c.advertised.n, 0);
	assert_string_equal(c.dir, "./data");
	assert_int_equal(c.node_id, 1);
	assert_int_equal(c.durability, 0);
	assert_int_equal(c.flush_interval_ms, 100);
	assert_int_equal(c.num_partitions, 1);
	assert_true(c.auto_create_topics && c.delete_topics);
	assert_int_equal(c.request_max_bytes, 104857600);
	assert_int_equal(c.fetch_max_bytes, 1048576);
	assert_int_equal(c.topic.max_message_bytes, 1048588);
	assert_int_equal(c.topic.min_insync_replicas, 1);
	assert_int_equal(c.topic.retention_ms, 7 * 24 * 60 * 60 * 1000L);
	assert_int_equal(c.topic.retention_bytes, -1);
	assert_int_equal(c.topic.cleanup_policy, CLEANUP_DELETE);
	assert_int_equal(c.topic.timestamp_type, TIMESTAMP_CREATE_TIME);
	assert_int_equal(c.producer_expiry_ms, 86400000);
	assert_int_equal(c.idle_ms, 600000);
	assert_true(c.map_bytes == INT64_C(1) << 40);
	assert_int_equal(c.diag_level, DIAG_INFO);
	assert_int_equal(c.diag_format, DIAG_TEXT);
	assert_int_equal(c.warning_n, 0);
	config_free(&c);
}

static void
flags(void **state)
{
	(void)state;
	struct config c;
	assert_int_equal(ARGS(&c,
			      "-w4 -p 0 -d /srv/x --log-level trace --log-format json -o num.partitions=3 -o "
			      "compression.type=producer"),
			 CONFIG_ACT_RUN);
	assert_int_equal(c.workers, 4);
	assert_int_equal(c.listeners.at[0].port, 0);
	assert_string_equal(c.dir, "/srv/x");
	assert_int_equal(c.diag_level, DIAG_TRACE);
	assert_int_equal(c.diag_format, DIAG_JSON);
	assert_int_equal(c.num_partitions, 3);
	config_free(&c);

	assert_int_equal(ARGS(&c, "--workers=2 --port 9999 --dir=y --workers 3"), CONFIG_ACT_RUN);
	assert_int_equal(c.workers, 3); /* the last wins */
	assert_int_equal(c.listeners.at[0].port, 9999);
	assert_string_equal(c.dir, "y");
	config_free(&c);
}

static void
what_to_do(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		enum config_act act;
	} rows[] = {
		{ "", CONFIG_ACT_RUN },
		{ "--help", CONFIG_ACT_HELP },
		{ "-w 4 -h", CONFIG_ACT_HELP },
		{ "--version", CONFIG_ACT_VERSION },
		{ "wire --hex 00", CONFIG_ACT_WIRE },
		{ "dump topics", CONFIG_ACT_DUMP },
		{ "backup there", CONFIG_ACT_BACKUP },
		{ "-w x --help", CONFIG_ACT_HELP },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config c;
		char line[64];
		(void)snprintf(line, sizeof(line), "%s", rows[i].line);
		assert_int_equal(run(&c, line), rows[i].act);
		config_free(&c);
	}
}

static void
bad_command_lines(void **state)
{
	(void)state;
	assert_refused("-w", "-w needs a value");
	assert_refused("--port", "--port needs a value");
	assert_refused("-x", "there is no flag -x");
	assert_refused("--bogus", "there is no flag --bogus");
	assert_refused("start", "'start' is not understood");
	assert_refused("-w 4 wire", "'wire' is not understood");
	assert_refused("-w x", "--workers: workers: 'x' is not a whole number");
	assert_refused("-p 70000", "--port: listeners: '70000' is not a port");
	assert_refused("-o num.partitions", "-o: 'num.partitions' is not KEY=VALUE");
	assert_refused("-o num.partitions=0", "-o: num.partitions: '0' is not allowed");
	assert_refused("-o bogus=1", "-o: there is no option bogus");
	assert_refused("-o retention.ms=1",
		       "retention.ms is a topic's option; the broker's is log.retention.ms");
	assert_refused("-c /nonexistent/file", "/nonexistent/file: No such file or directory");
	assert_refused("-c /", "/: Is a directory");
}

static void
a_file_like_kafkas(void **state)
{
	(void)state;
	struct config c;
	config_init(&c);
	assert_true(config_parse_text(&c, "server.properties",
				      STR("# Kafka's own, shortened\n"
					  "process.roles=broker,controller\n"
					  "node.id=7\n"
					  "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
					  "advertised.listeners=PLAINTEXT://localhost:9092\n"
					  "num.network.threads=3\n"
					  "log.dirs=/tmp/kraft-combined-logs\n"
					  "log.retention.hours=24\n"
					  "num.partitions: 2\n")));
	assert_int_equal(c.node_id, 7);
	assert_int_equal(c.listeners.n, 2);
	assert_string_equal(c.advertised.at[0].host, "localhost");
	assert_string_equal(c.dir, "/tmp/kraft-combined-logs");
	assert_int_equal(c.topic.retention_ms, 24 * 60 * 60 * 1000);
	assert_int_equal(c.num_partitions, 2);
	assert_int_equal(c.warning_n, 2);
	assert_string_equal(c.warnings[0],
			    "server.properties:2: option process.roles is unknown here and has no effect");
	assert_non_null(strstr(c.warnings[1], "server.properties:6: option num.network.threads"));
	config_free(&c);
}

static void
aliases_and_repetition(void **state)
{
	(void)state;
	struct config c;
	config_init(&c);
	assert_true(config_parse_text(&c, "f", STR("broker.id=3\nlog.dir=/a\nnode.id=4\n")));
	assert_int_equal(c.node_id, 4);
	assert_string_equal(c.dir, "/a");
	assert_string_equal(value(&c, CONFIG_BROKER, "broker.id", CONFIG_SOURCE_STATIC), "4");
	config_free(&c);
}

static void
bad_files_name_the_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
	} rows[] = {
		{ "\n\nnode.id=x\n", "f:3: node.id: 'x' is not a whole number" },
		{ "a=1\nlisteners=\\\n  PLAINTEXT\n", "f:2: listeners: 'PLAINTEXT' is not NAME://host:port" },
		{ "durability=\\u00", "f: line 1: a wrong \\u escape" },
		{ "listeners=\n", "listeners: there must be one at least" },
		{ "advertised.listeners=LAN://host:1\n",
		  "advertised.listeners: LAN is not one of the listeners" },
		{ "advertised.listeners=PLAINTEXT://:1\n",
		  "names no address that a client could connect to" },
		{ "advertised.listeners=PLAINTEXT://0.0.0.0:1\n",
		  "names no address that a client could connect to" },
		{ "advertised.listeners=PLAINTEXT://a:0\n", "has port 0" },
		{ "log.retention.ms=0\n", "log.retention.ms: it must be -1 (for ever), or 1 or more" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config c;
		config_init(&c);
		assert_false(config_parse_text(&c, "f", str_of(rows[i].text)));
		if (strstr(c.error, rows[i].error) == NULL)
			fail_msg("found    %s\nexpected %s", c.error, rows[i].error);
		config_free(&c);
	}
}

static void
flags_win_over_the_file(void **state)
{
	(void)state;
	struct config c;
	char line[256];
	char *dir = test_dir_make();
	test_file_write(test_path(dir, "f"),
			"workers=7\nnode.id=7\nlisteners=A://:7,B://:8\nnum.partitions=7\n");
	(void)snprintf(line, sizeof(line), "-w 3 -o node.id=3 -c %s -p 3", test_path(dir, "f"));
	assert_int_equal(run(&c, line), CONFIG_ACT_RUN);
	assert_int_equal(c.workers, 3);
	assert_int_equal(c.node_id, 3);
	assert_int_equal(c.listeners.n, 1);
	assert_int_equal(c.listeners.at[0].port, 3);
	assert_int_equal(c.num_partitions, 7);
	assert_string_equal(c.file, test_path(dir, "f"));
	config_free(&c);
	test_dir_remove(dir);
}

static int64_t
retention_of(const char *text)
{
	struct config c;
	config_init(&c);
	assert_true(config_parse_text(&c, "f", str_of(text)));
	int64_t ms = c.topic.retention_ms;
	config_free(&c);
	return ms;
}

static void
retention_in_three_units(void **state)
{
	(void)state;
	assert_int_equal(retention_of("log.retention.hours=1\n"), 3600000);
	assert_int_equal(retention_of("log.retention.minutes=1\nlog.retention.hours=1\n"), 60000);
	assert_int_equal(retention_of("log.retention.ms=1\nlog.retention.minutes=1\nlog.retention.hours=1\n"),
			 1);
	assert_int_equal(retention_of("log.retention.ms=-1\nlog.retention.hours=1\n"), -1);
	assert_int_equal(retention_of("log.retention.hours=-1\n"), -1);
	assert_int_equal(retention_of("log.retention.hours=2147483647\n"), 2147483647L * 3600000);
}

static void
more_unknown_keys_than_are_kept(void **state)
{
	(void)state;
	struct config c;
	static char text[8192];
	for (int i = 0; i < 200; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "unknown.%d=x\n", i);
	config_init(&c);
	assert_true(config_parse_text(&c, "f", str_of(text)));
	assert_int_equal(c.warning_n, CONFIG_WARNINGS_MAX);
	config_free(&c);
}

static void
topics_settings_are_checked(void **state)
{
	(void)state;
	static const struct {
		const char *key, *value, *why;
		enum config_verdict verdict;
	} rows[] = {
		{ "retention.ms", "1000", "", CONFIG_GOOD },
		{ "retention.ms", "-1", "", CONFIG_GOOD },
		{ "retention.ms", "-2", "retention.ms: '-2' is not allowed", CONFIG_BAD_VALUE },
		{ "retention.ms", NULL, "retention.ms: '' is not a whole number", CONFIG_BAD_VALUE },
		{ "cleanup.policy", "compact,delete", "", CONFIG_GOOD },
		{ "cleanup.policy", "shred", "cleanup.policy: 'shred' is not allowed", CONFIG_BAD_VALUE },
		{ "compression.type", "producer", "", CONFIG_GOOD },
		{ "compression.type", "zstd", "compression.type: 'zstd' is not allowed, only producer",
		  CONFIG_BAD_VALUE },
		{ "message.timestamp.type", "LogAppendTime", "", CONFIG_GOOD },
		{ "min.insync.replicas", "0", "min.insync.replicas: '0' is not allowed", CONFIG_BAD_VALUE },
		{ "segment.bytes", "1000", "segment.bytes has no effect on this broker",
		  CONFIG_WITHOUT_EFFECT },
		{ "log.retention.ms", "1000", "a topic has no option log.retention.ms", CONFIG_UNKNOWN },
		{ "", "", "a topic has no option ", CONFIG_UNKNOWN },
		{ "a.key.that.is.much.longer.than.any.option.of.kafka.has.ever.been.in.all.its.years", "",
		  "a topic has no option a.key", CONFIG_UNKNOWN },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[256] = "";
		assert_int_equal(
		    config_topic_check(str_of(rows[i].key), str_of(rows[i].value), why, sizeof(why)),
		    rows[i].verdict);
		if (strncmp(why, rows[i].why, strlen(rows[i].why)) != 0)
			fail_msg("found    %s\nexpected %s", why, rows[i].why);
	}
	assert_int_equal(config_topic_check(STR("x"), STR("y"), NULL, 0), CONFIG_UNKNOWN);
}

static void
topics_settings_override(void **state)
{
	(void)state;
	struct config c;
	config_init(&c);
	struct topic_config t = c.topic;
	config_topic_set(&t, STR("max.message.bytes"), STR("100"));
	config_topic_set(&t, STR("retention.ms"), STR("200"));
	config_topic_set(&t, STR("retention.bytes"), STR("300"));
	config_topic_set(&t, STR("cleanup.policy"), STR("compact"));
	config_topic_set(&t, STR("message.timestamp.type"), STR("LogAppendTime"));
	config_topic_set(&t, STR("min.insync.replicas"), STR("2"));
	config_topic_set(&t, STR("retention.bytes"), STR("rubbish"));
	config_topic_set(&t, STR("rubbish"), STR("1"));
	assert_int_equal(t.max_message_bytes, 100);
	assert_int_equal(t.retention_ms, 200);
	assert_int_equal(t.retention_bytes, 300);
	assert_int_equal(t.cleanup_policy, CLEANUP_COMPACT);
	assert_int_equal(t.timestamp_type, TIMESTAMP_LOG_APPEND_TIME);
	assert_int_equal(t.min_insync_replicas, 2);
	assert_int_equal(c.topic.retention_ms, 604800000);
	config_free(&c);
}

static void
values_know_their_source(void **state)
{
	(void)state;
	struct config c;
	assert_int_equal(ARGS(&c, "-w 4 -o log.retention.hours=1 -o message.max.bytes=99"), CONFIG_ACT_RUN);
	assert_string_equal(value(&c, CONFIG_BROKER, "workers", CONFIG_SOURCE_STATIC), "4");
	assert_string_equal(value(&c, CONFIG_BROKER, "node.id", CONFIG_SOURCE_DEFAULT), "1");
	assert_string_equal(value(&c, CONFIG_BROKER, "log.retention.ms", CONFIG_SOURCE_DEFAULT), "(null)");
	assert_string_equal(value(&c, CONFIG_TOPIC, "retention.ms", CONFIG_SOURCE_STATIC), "3600000");
	assert_string_equal(value(&c, CONFIG_TOPIC, "max.message.bytes", CONFIG_SOURCE_STATIC), "99");
	assert_string_equal(value(&c, CONFIG_TOPIC, "cleanup.policy", CONFIG_SOURCE_DEFAULT), "delete");
	config_free(&c);
}

static void
assert_synonym(const struct config_value *v, const char *name, const char *text, enum config_source source)
{
	assert_string_equal(v->name, name);
	assert_string_equal(v->value, text);
	assert_int_equal(v->source, source);
}

static void
synonyms_from_winner_to_default(void **state)
{
	(void)state;
	struct config c;
	struct config_value *list;
	const struct config_option *retention = config_option_find(CONFIG_TOPIC, "retention.ms");
	assert_int_equal(ARGS(&c, "-o log.retention.minutes=5"), CONFIG_ACT_RUN);

	assert_int_equal(config_synonyms(&c, retention, STR("77"), &c.arena, &list), 3);
	assert_synonym(&list[0], "retention.ms", "77", CONFIG_SOURCE_TOPIC);
	assert_synonym(&list[1], "log.retention.minutes", "5", CONFIG_SOURCE_STATIC);
	assert_synonym(&list[2], "log.retention.hours", "168", CONFIG_SOURCE_DEFAULT);
	struct config_value v = config_value_of(&c, retention, STR("77"), &c.arena);
	assert_synonym(&v, "retention.ms", "77", CONFIG_SOURCE_TOPIC);

	assert_int_equal(config_synonyms(&c, retention, STR_NULL, &c.arena, &list), 2);
	assert_int_equal(
	    config_synonyms(&c, config_option_find(CONFIG_BROKER, "node.id"), STR_NULL, &c.arena, &list), 1);
	assert_synonym(&list[0], "node.id", "1", CONFIG_SOURCE_DEFAULT);
	config_free(&c);
}

/* Everything that the table holds is in both texts. */
static void
help_and_docs_name_every_option(void **state)
{
	(void)state;
	static void (*const printers[])(FILE *) = { config_help, config_markdown };
	for (int p = 0; p < 2; p++) {
		char *text;
		size_t n;
		FILE *out = open_memstream(&text, &n);
		assert_non_null(out);
		printers[p](out);
		assert_int_equal(fclose(out), 0);
		for (int i = 0; i < config_option_count(); i++) {
			const struct config_option *o = config_option_at(i);
			if (strstr(text, o->name) == NULL)
				fail_msg("%s is missing", o->name);
			if (o->flag != NULL)
				assert_non_null(strstr(text, o->flag));
		}
		for (const char *line = text; p == 0 && *line != '\0'; line = strchr(line, '\n') + 1)
			assert_true(strcspn(line, "\n") <= 100);
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults),
		cmocka_unit_test(flags),
		cmocka_unit_test(what_to_do),
		cmocka_unit_test(bad_command_lines),
		cmocka_unit_test(a_file_like_kafkas),
		cmocka_unit_test(aliases_and_repetition),
		cmocka_unit_test(bad_files_name_the_line),
		cmocka_unit_test(flags_win_over_the_file),
		cmocka_unit_test(retention_in_three_units),
		cmocka_unit_test(more_unknown_keys_than_are_kept),
		cmocka_unit_test(topics_settings_are_checked),
		cmocka_unit_test(topics_settings_override),
		cmocka_unit_test(values_know_their_source),
		cmocka_unit_test(synonyms_from_winner_to_default),
		cmocka_unit_test(help_and_docs_name_every_option),
	};
	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
