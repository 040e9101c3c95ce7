#include "tests/lib/test.h"

#include "broker/api/topic_settings.h"

static void
defaults_hold_without_settings(void **state)
{
	(void)state;
	struct config config;
	struct topic_config room;
	struct topic topic = { 0 };
	config_init(&config);
	assert_ptr_equal(topic_settings(&config, &topic, &room),
			 &config.topic); /* nothing copied, nothing parsed */
	assert_false(topic_settings_compact(&config.topic));
	assert_false(topic_settings_log_append_time(&config.topic));
	config_free(&config);
}

static void
own_settings_win(void **state)
{
	(void)state;
	struct config config;
	struct topic_config room;
	const struct topic_setting own[] = {
		{ STR("cleanup.policy"), STR("compact,delete") },
		{ STR("message.timestamp.type"), STR("LogAppendTime") },
		{ STR("max.message.bytes"), STR("77") },
		{ STR("segment.bytes"), STR("5") },      /* without effect */
		{ STR("retention.ms"), STR("damaged") }, /* never stored so; the default holds */
	};
	struct topic topic = { .settings = own, .setting_n = 5 };
	config_init(&config);
	assert_true(config_set(&config, "-o", "log.retention.bytes", "1000"));
	assert_true(config_resolve(&config));

	const struct topic_config *settings = topic_settings(&config, &topic, &room);
	assert_true(topic_settings_compact(settings));
	assert_true(settings->cleanup_policy & CLEANUP_DELETE);
	assert_true(topic_settings_log_append_time(settings));
	assert_int_equal(settings->max_message_bytes, 77);
	assert_int_equal(settings->retention_bytes, 1000);
	assert_int_equal(settings->retention_ms, config.topic.retention_ms);
	assert_int_equal(config.topic.max_message_bytes, 1048588); /* the defaults themselves are untouched */
	config_free(&config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_hold_without_settings),
		cmocka_unit_test(own_settings_win),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
