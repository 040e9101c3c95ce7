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
