#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/config.h"

/* A broker's configuration, read from a file, with one option on the command line; shared with the processes. */
struct running {
	char *dir, path[512];
	char *argv[6];
	struct config config, *shared;
	struct arena arena;
	struct config_change *changes;
	const char *error;
};

static void
start(struct running *r, const char *text)
{
	*r = (struct running){ .dir = test_dir_make(), .arena = ARENA_EMPTY };
	(void)snprintf(r->path, sizeof(r->path), "%s", test_path(r->dir, "server.properties"));
	test_file_write(r->path, text);
	char *argv[] = { "broker", "-c", r->path, "-o", "fetch.max.bytes=5000", NULL };
	memcpy(r->argv, argv, sizeof(argv));
	config_init(&r->config);
	assert_int_equal(config_parse_args(&r->config, 5, r->argv), CONFIG_ACT_RUN);
	r->shared = config_share(&r->config);
}

static int
reload(struct running *r, const char *text)
{
	test_file_write(r->path, text);
	return config_reload(r->shared, &r->arena, &r->changes, &r->error);
}

static void
stop(struct running *r)
{
	arena_free(&r->arena);
	config_free(&r->config);
	test_dir_remove(r->dir);
}

static void
what_may_change_changes(void **state)
{
	(void)state;
	struct running r;
	start(&r, "num.partitions=2\nauto.create.topics.enable=true\n");
	assert_int_equal(
	    reload(&r, "num.partitions=3\nauto.create.topics.enable=false\nlog.retention.ms=7\n"), 3);
	assert_int_equal(r.shared->num_partitions, 3);
	assert_false(r.shared->auto_create_topics);
	assert_int_equal(r.shared->topic.retention_ms, 7);
	for (int i = 0; i < 3; i++)
		assert_true(r.changes[i].taken);
	assert_string_equal(r.changes[0].option->name, "num.partitions");
	assert_string_equal(r.changes[0].from, "2");
	assert_string_equal(r.changes[0].to, "3");
	assert_string_equal(r.changes[2].option->name, "log.retention.ms");
	assert_null(r.changes[2].from);
	stop(&r);
}

static void
what_is_no_longer_said_has_its_default_again(void **state)
{
	(void)state;
	struct running r;
	start(&r, "num.partitions=2\nlog.retention.hours=1\n");
	assert_int_equal(r.shared->topic.retention_ms, 3600000);
	assert_int_equal(reload(&r, ""), 2);
	assert_int_equal(r.shared->num_partitions, 1);
	assert_int_equal(r.shared->topic.retention_ms, INT64_C(168) * 3600000);
	struct config_value v = config_value_of(r.shared, config_option_find(CONFIG_BROKER, "num.partitions"),
						STR_NULL, &r.arena);
	assert_int_equal(v.source, CONFIG_SOURCE_DEFAULT);
	stop(&r);
}

static void
the_command_line_still_wins(void **state)
{
	(void)state;
	struct running r;
	start(&r, "");
	assert_int_equal(reload(&r, "fetch.max.bytes=9999\n"), 0);
	assert_int_equal(r.shared->fetch_max_bytes, 5000);
	stop(&r);
}

static void
what_needs_a_restart_is_named_and_stays(void **state)
{
	(void)state;
	struct running r;
	start(&r, "log.dirs=/a\n");
	assert_int_equal(reload(&r, "log.dirs=/b\nnode.id=9\nlisteners=PLAINTEXT://:1\n"), 3);
	for (int i = 0; i < 3; i++)
		assert_false(r.changes[i].taken);
	assert_string_equal(r.shared->dir, "/a");
	assert_int_equal(r.shared->node_id, 1);
	stop(&r);
}

static void
what_makes_no_sense_changes_nothing(void **state)
{
	(void)state;
	struct running r;
	start(&r, "num.partitions=2\n");
	assert_int_equal(reload(&r, "num.partitions=3\nfetch.max.bytes=many\n"), -1);
	assert_non_null(strstr(r.error, "server.properties:2: fetch.max.bytes"));
	assert_int_equal(r.shared->num_partitions, 2);
	assert_int_equal(remove(r.path), 0);
	assert_int_equal(config_reload(r.shared, &r.arena, &r.changes, &r.error), -1);
	assert_non_null(strstr(r.error, "No such file"));
	stop(&r);
}

static void
processes_forked_before_see_it(void **state)
{
	(void)state;
	struct running r;
	int go[2];
	char byte = 0;
	start(&r, "num.partitions=2\n");
	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)close(go[1]);
		(void)!read(go[0], &byte, 1);
		_exit(r.shared->num_partitions);
	}
	assert_int_equal(reload(&r, "num.partitions=77\n"), 1);
	assert_int_equal(close(go[1]), 0);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 77);
	stop(&r);
}

/* Strings and lists cannot be changed under a reader. */
static void
only_numbers_reload(void **state)
{
	(void)state;
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *o = config_option_at(i);
		if (o->reloads) {
			assert_int_equal(o->scope, CONFIG_BROKER);
			assert_true(o->kind != CONFIG_STRING && o->kind != CONFIG_ENDPOINTS &&
				    o->kind != CONFIG_OVERRIDES);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_change_changes),
		cmocka_unit_test(what_is_no_longer_said_has_its_default_again),
		cmocka_unit_test(the_command_line_still_wins),
		cmocka_unit_test(what_needs_a_restart_is_named_and_stays),
		cmocka_unit_test(what_makes_no_sense_changes_nothing),
		cmocka_unit_test(processes_forked_before_see_it),
		cmocka_unit_test(only_numbers_reload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
