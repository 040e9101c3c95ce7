/*
 * topic_settings: what holds for a topic: its own settings over the broker's defaults.
 *
 *	struct topic_config room;
 *	const struct topic_config *settings = topic_settings(call_config(call), &topic, &room);
 *	if (batch bytes > settings->max_message_bytes) ...
 *
 * Asked for each batch that is produced; a topic without settings of its own, as nearly all are, costs one
 * comparison.
 */
#ifndef BROKER_API_TOPIC_SETTINGS_H
#define BROKER_API_TOPIC_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "storage/store.h"

/* The config's own defaults, or *room, filled. Lives as long as both. */
const struct topic_config *topic_settings(const struct config *config, const struct topic *topic,
					  struct topic_config *room);

/* Records need keys, and only the newest of a key is sure to stay. */
static inline bool
topic_settings_compact(const struct topic_config *settings)
{
	return (settings->cleanup_policy & CLEANUP_COMPACT) != 0;
}

/* The broker's clock stamps the records. */
static inline bool
topic_settings_log_append_time(const struct topic_config *settings)
{
	return settings->timestamp_type == TIMESTAMP_LOG_APPEND_TIME;
}

/* One option as it holds for a topic, for the answers that list them. */
struct topic_value {
	struct str name, value; /* value may be null */
	enum config_source source;
	const struct config_option *option; /* NULL: kept as it was set, but without effect here */
};

/*
 * All of them: the table's options in its order, then what the topic has set that Kafka knows and this broker
 * has no use for. *out lives in the arena, as do the texts; returns how many.
 */
int32_t topic_values(const struct config *config, const struct topic *topic, struct arena *arena,
		     struct topic_value **out);

#endif
