/*
 * DescribeConfigs: the options of topics and of this broker, with true values and where they come from
 * (KIP-226, KIP-569). Only options that do something here are listed, besides what a topic had set for it.
 */
#include "broker/api/handlers.h"
#include "broker/api/repeats.h"
#include "broker/api/topic_settings.h"
#include "broker/api/topics.h"
#include "protocol/messages.h"

enum { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };

#define TYPE_STRING 2 /* config_type of what has no row in the table */

static bool
is_wanted(const struct describe_configs_request_resource *in, struct str name)
{
	if (in->configuration_keys.n <= 0) /* null and, as in Kafka, empty: all */
		return true;
	for (int32_t i = 0; i < in->configuration_keys.n; i++)
		if (str_eq(in->configuration_keys.at[i], name))
			return true;
	return false;
}

static void
answer_synonyms(struct call *call, const struct topic_value *value,
		struct describe_configs_response_config *out)
{
	if (value->option == NULL) {
		CALL_LIST(call, out->synonyms, 1);
		out->synonyms.at[0].name = value->name;
		out->synonyms.at[0].value = value->value;
		out->synonyms.at[0].source = (int8_t)value->source;
		return;
	}
	struct str own = value->source == CONFIG_SOURCE_TOPIC ? value->value : STR_NULL;
	struct config_value *synonyms;
	int n = config_synonyms(call_config(call), value->option, own, &call->arena, &synonyms);
	CALL_LIST(call, out->synonyms, n);
	for (int i = 0; i < n; i++) {
		out->synonyms.at[i].name = str_of(synonyms[i].name);
		out->synonyms.at[i].value = str_of(synonyms[i].value);
		out->synonyms.at[i].source = (int8_t)synonyms[i].source;
	}
}

static void
answer_value(struct call *call, const struct topic_value *value, struct describe_configs_response_config *out)
{
	const struct describe_configs_request *in = call->in;
	const struct config_option *option = value->option;

	out->name = value->name;
	out->value = value->value;
	out->read_only = option != NULL && config_option_is_read_only(option);
	out->is_default = value->source == CONFIG_SOURCE_DEFAULT;
	out->config_source = (int8_t)value->source;
	out->config_type = option != NULL ? config_option_wire_type(option) : TYPE_STRING;
	out->documentation = STR_NULL;
	if (in->include_documentation)
		out->documentation =
		    option != NULL ? str_of(option->help) : STR("Kept as set; without effect here.");
	if (in->include_synonyms)
		answer_synonyms(call, value, out);
}

static void
answer_values(struct call *call, const struct describe_configs_request_resource *in,
	      const struct topic_value *values, int32_t n, struct describe_configs_response_result *out)
{
	CALL_LIST(call, out->configs, n);
	out->configs.n = 0;
	for (int32_t i = 0; i < n; i++)
		if (is_wanted(in, values[i].name))
			answer_value(call, &values[i], &out->configs.at[out->configs.n++]);
}

static enum err
describe_topic(struct call *call, const struct describe_configs_request_resource *in,
	       struct describe_configs_response_result *out)
{
	if (topic_name_check(in->resource_name) != ERR_NONE) {
		out->error_message = topic_name_fault(in->resource_name, &call->arena);
		return ERR_INVALID_TOPIC_EXCEPTION;
	}
	struct topic topic;
	enum err e = topic_by_name(call_read(call), in->resource_name, &call->arena, &topic);
	if (e != ERR_NONE) {
		out->error_message = str_of(err_text(e));
		return e;
	}
	struct topic_value *values;
	int32_t n = topic_values(call_config(call), &topic, &call->arena, &values);
	answer_values(call, in, values, n, out);
	return ERR_NONE;
}

/* Named by its id. The empty name asks for what was set for all brokers while they ran: nothing, ever. */
static enum err
describe_broker(struct call *call, const struct describe_configs_request_resource *in,
		struct describe_configs_response_result *out)
{
	const struct config *config = call_config(call);
	const char *self = arena_printf(&call->arena, "%d", config->node_id);

	if (in->resource_name.n == 0)
		return ERR_NONE;
	if (!str_is(in->resource_name, self)) {
		out->error_message = str_of(arena_printf(&call->arena, "the only broker is %s", self));
		return ERR_INVALID_REQUEST;
	}
	struct topic_value *values =
	    arena_array(&call->arena, (size_t)config_option_count(), sizeof(*values));
	int32_t n = 0;
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *option = config_option_at(i);
		if (option->scope != CONFIG_BROKER)
			continue;
		struct config_value value = config_value_of(config, option, STR_NULL, &call->arena);
		values[n++] = (struct topic_value){
			.name = str_of(option->name),
			.value = str_of(value.value),
			.source = value.source,
			.option = option,
		};
	}
	answer_values(call, in, values, n, out);
	return ERR_NONE;
}

static enum err
describe_resource(struct call *call, const struct describe_configs_request_resource *in,
		  struct describe_configs_response_result *out)
{
	switch (in->resource_type) {
	case RESOURCE_TOPIC:
		return describe_topic(call, in, out);
	case RESOURCE_BROKER:
		return describe_broker(call, in, out);
	default:
		out->error_message = str_of(arena_printf(
		    &call->arena, "resources of type %d have no options here", in->resource_type));
		return ERR_INVALID_REQUEST;
	}
}

/* What repeats is answered once: an answer is a thousand times the size of its question. */
static const uint8_t *
find_repeats(struct call *call, const struct describe_configs_request *in)
{
	struct str *keys = arena_array(&call->arena, (size_t)in->resources.n, sizeof(*keys));
	for (int32_t i = 0; i < in->resources.n; i++) {
		const struct describe_configs_request_resource *r = &in->resources.at[i];
		keys[i] = str_of(
		    arena_printf(&call->arena, "%d %.*s", r->resource_type, STR_ARG(r->resource_name)));
	}
	return repeats_find(keys, in->resources.n, &call->arena);
}

enum next
describe_configs_handle(struct call *call)
{
	const struct describe_configs_request *in = call->in;
	struct describe_configs_response *out = call->out;
	const uint8_t *repeats = find_repeats(call, in);

	CALL_LIST(call, out->results, in->resources.n);
	out->results.n = 0;
	for (int32_t i = 0; i < in->resources.n; i++) {
		if (repeats[i] == REPEAT_AGAIN)
			continue;
		struct describe_configs_response_result *next = &out->results.at[out->results.n++];
		next->resource_type = in->resources.at[i].resource_type;
		next->resource_name = in->resources.at[i].resource_name;
		next->error_message = STR_NULL;
		next->error_code = describe_resource(call, &in->resources.at[i], next);
	}
	return NEXT_ANSWER;
}
