#include "broker/api/topic_settings.h"

const struct topic_config *
topic_settings(const struct config *config, const struct topic *topic, struct topic_config *room)
{
	if (topic->setting_n == 0)
		return &config->topic;
	*room = config->topic;
	for (int32_t i = 0; i < topic->setting_n; i++)
		config_topic_set(room, topic->settings[i].key, topic->settings[i].value);
	return room;
}

static bool
has_option(const char *name)
{
	return config_option_find(CONFIG_TOPIC, name) != NULL;
}

static int32_t
values_of_options(const struct config *config, const struct topic *topic, struct arena *arena,
		  struct topic_value *out)
{
	int32_t n = 0;
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *option = config_option_at(i);
		if (option->scope != CONFIG_TOPIC)
			continue;
		struct str own = topic_setting(topic, option->name);
		struct config_value value = config_value_of(config, option, own, arena);
		out[n++] = (struct topic_value){
			.name = str_of(option->name),
			.value = str_of(value.value),
			.source = value.source,
			.option = option,
		};
	}
	return n;
}

int32_t
topic_values(const struct config *config, const struct topic *topic, struct arena *arena,
	     struct topic_value **out)
{
	size_t room = (size_t)config_option_count() + (size_t)topic->setting_n;
	*out = arena_array(arena, room, sizeof(**out));

	int32_t n = values_of_options(config, topic, arena, *out);
	for (int32_t i = 0; i < topic->setting_n; i++) {
		const struct topic_setting *own = &topic->settings[i];
		struct str name = str_keep(arena, own->key);
		if (!has_option(name.at))
			(*out)[n++] = (struct topic_value){
				.name = name,
				.value = str_keep(arena, own->value),
				.source = CONFIG_SOURCE_TOPIC,
			};
	}
	return n;
}
