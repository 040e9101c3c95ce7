/*
 * CreateTopics.
 *
 * Happy path: handle() checks each topic of the request and plans those that can be created; write() creates
 * them in the turn's transaction; the answer leaves when that is durable, and every worker sees them by then.
 * What can be wrong, in the order in which it is looked for, as in Kafka:
 *
 *	named twice   INVALID_REQUEST
 *	the name      INVALID_TOPIC_EXCEPTION, TOPIC_ALREADY_EXISTS
 *	settings      INVALID_CONFIG
 *	shape         INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR, INVALID_REPLICA_ASSIGNMENT, ...
 *
 * One topic's fault does not hold up the others. If the commit is lost, what was created becomes the error.
 */
#include <stdio.h>

#include "broker/api/handlers.h"
#include "broker/api/repeats.h"
#include "broker/api/topic_settings.h"
#include "broker/api/topics.h"
#include "common/diag.h"
#include "protocol/messages.h"

#define TOPICS_MAX 10000 /* created by one request */
#define COLLISION  "the name collides with another topic's: '.' and '_' count as the same"

struct plan {
	struct create_topics_response_topic *out;
	int32_t partitions;
	struct topic_setting *settings;
	int32_t setting_n;
};

struct create_topics_own {
	struct plan *plans;
	int32_t n;
	int64_t partitions; /* of all plans */
};

/* Tell the client why. */
#define SAY(call, out, ...) ((out)->error_message = str_of(arena_printf(&(call)->arena, __VA_ARGS__)))

/* --- checks, in Kafka's order ----------------------------------------------------------------------------
 */

static enum err
check_name(struct call *call, struct str name, struct create_topics_response_topic *out)
{
	if (topic_name_check(name) != ERR_NONE) {
		out->error_message = topic_name_fault(name, &call->arena);
		return ERR_INVALID_TOPIC_EXCEPTION;
	}
	if (str_is(name, "__cluster_metadata")) {
		SAY(call, out, "a topic cannot have the name __cluster_metadata");
		return ERR_INVALID_REQUEST;
	}
	enum err e = topic_name_free(call_read(call), name);
	if (e == ERR_TOPIC_ALREADY_EXISTS)
		SAY(call, out, "topic '%.*s' already exists", STR_ARG(name));
	else if (e == ERR_INVALID_TOPIC_EXCEPTION)
		out->error_message = STR(COLLISION);
	else if (e != ERR_NONE)
		out->error_message = str_of(err_text(e));
	return e;
}

/* A key that comes twice has its last value. */
static void
keep_setting(struct plan *plan, struct str key, struct str value)
{
	int32_t i = 0;
	while (i < plan->setting_n && !str_eq(plan->settings[i].key, key))
		i++;
	plan->settings[i] = (struct topic_setting){ .key = key, .value = value };
	if (i == plan->setting_n)
		plan->setting_n++;
}

/* Settings that Kafka knows and this broker has no use for are kept as well: tools set them as a matter of
 * course. */
static enum err
check_settings(struct call *call, const struct create_topics_request_topic *in, struct plan *plan)
{
	char why[256];

	plan->settings = arena_array(&call->arena, (size_t)in->configs.n, sizeof(*plan->settings));
	for (int32_t i = 0; i < in->configs.n; i++) {
		struct str key = in->configs.at[i].name, value = in->configs.at[i].value;
		enum config_verdict verdict = CONFIG_BAD_VALUE;
		if (str_is_null(value))
			(void)snprintf(why, sizeof(why), "%.*s: a topic's option cannot be null",
				       STR_ARG(key));
		else
			verdict = config_topic_check(key, value, why, sizeof(why));
		if (verdict == CONFIG_UNKNOWN || verdict == CONFIG_BAD_VALUE) {
			SAY(call, plan->out, "%s", why);
			return ERR_INVALID_CONFIG;
		}
		keep_setting(plan, key, value);
	}
	return ERR_NONE;
}

/* A manual assignment can only say: partitions 0 to n-1, each on this broker. */
static enum err
check_assignments(struct call *call, const struct create_topics_request_topic *in, struct plan *plan)
{
	int32_t n = in->assignments.n, self = call_config(call)->node_id;

	if (in->num_partitions != -1 || in->replication_factor != -1) {
		SAY(call, plan->out,
		    "with an assignment, num_partitions and replication_factor have to be -1");
		return ERR_INVALID_REQUEST;
	}
	bool *seen = arena_array(&call->arena, (size_t)n, sizeof(*seen));
	for (int32_t i = 0; i < n; i++) {
		const struct create_topics_request_assignment *a = &in->assignments.at[i];
		if (a->partition_index < 0 || a->partition_index >= n || seen[a->partition_index]) {
			SAY(call, plan->out, "partitions have to be numbered from 0 to %d, each once", n - 1);
			return ERR_INVALID_REPLICA_ASSIGNMENT;
		}
		seen[a->partition_index] = true;
		if (a->broker_ids.n != 1 || a->broker_ids.at[0] != self) {
			SAY(call, plan->out, "partition %d: the only broker to assign to is %d",
			    a->partition_index, self);
			return ERR_INVALID_REPLICA_ASSIGNMENT;
		}
	}
	plan->partitions = n;
	return ERR_NONE;
}

static enum err
check_numbers(struct call *call, const struct create_topics_request_topic *in, struct plan *plan)
{
	const struct config *config = call_config(call);

	if (in->replication_factor < -1 || in->replication_factor == 0) {
		SAY(call, plan->out, "the replication factor has to be above 0, or -1 for the default");
		return ERR_INVALID_REPLICATION_FACTOR;
	}
	if (in->num_partitions < -1 || in->num_partitions == 0) {
		SAY(call, plan->out, "the number of partitions has to be above 0, or -1 for the default");
		return ERR_INVALID_PARTITIONS;
	}
	int32_t factor =
	    in->replication_factor == -1 ? config->default_replication_factor : in->replication_factor;
	if (factor > 1) {
		SAY(call, plan->out, "replication factor %d is more than the 1 broker that there is", factor);
		return ERR_INVALID_REPLICATION_FACTOR;
	}
	plan->partitions = in->num_partitions == -1 ? config->num_partitions : in->num_partitions;
	return ERR_NONE;
}

static enum err
check_limits(struct call *call, const struct create_topics_own *own, const struct plan *plan)
{
	if (plan->partitions > PARTITIONS_MAX) {
		SAY(call, plan->out, "%d partitions are more than the %d that a topic may be created with",
		    plan->partitions, PARTITIONS_MAX);
		return ERR_INVALID_PARTITIONS;
	}
	if (own->n == TOPICS_MAX || own->partitions + plan->partitions > PARTITIONS_MAX) {
		SAY(call, plan->out, "one request may create %d topics with %d partitions in all", TOPICS_MAX,
		    PARTITIONS_MAX);
		return ERR_POLICY_VIOLATION;
	}
	return ERR_NONE;
}

static enum err
check_topic(struct call *call, const struct create_topics_own *own,
	    const struct create_topics_request_topic *in, struct plan *plan)
{
	enum err e = check_name(call, in->name, plan->out);
	if (e == ERR_NONE)
		e = check_settings(call, in, plan);
	if (e == ERR_NONE)
		e = in->assignments.n > 0 ? check_assignments(call, in, plan) : check_numbers(call, in, plan);
	if (e == ERR_NONE)
		e = check_limits(call, own, plan);
	return e;
}

/* --- answers ---------------------------------------------------------------------------------------------
 */

static void
answer_created(struct call *call, const struct topic *topic, struct create_topics_response_topic *out)
{
	out->error_message = STR_NULL;
	out->topic_id = topic->id;
	out->num_partitions = topic->partitions;
	out->replication_factor = 1;
	if (call->version < 5)
		return;

	struct topic_value *values;
	int32_t n = topic_values(call_config(call), topic, &call->arena, &values);
	CALL_LIST(call, out->configs, n);
	for (int32_t i = 0; i < n; i++) {
		out->configs.at[i].name = values[i].name;
		out->configs.at[i].value = values[i].value;
		out->configs.at[i].config_source = (int8_t)values[i].source;
	}
}

static void
answer_refused(struct create_topics_response_topic *out, enum err error, struct str message)
{
	struct str name = out->name;

	message_defaults(&create_topics_response_topic_message, out);
	out->name = name;
	out->error_code = error;
	out->error_message = message;
	out->configs.n = -1;
}

static void
answer_plan_only(struct call *call, const struct plan *plan)
{
	struct topic topic = {
		.name = plan->out->name,
		.partitions = plan->partitions,
		.settings = plan->settings,
		.setting_n = plan->setting_n,
	};
	answer_created(call, &topic, plan->out);
}

/* --- the handler -----------------------------------------------------------------------------------------
 */

static void
plan_topic(struct call *call, const struct create_topics_request_topic *in, bool repeated,
	   struct create_topics_response_topic *out)
{
	struct create_topics_own *own = call->own;
	struct plan *plan = &own->plans[own->n];

	*plan = (struct plan){ .out = out };
	out->name = in->name;
	if (repeated) {
		answer_refused(out, ERR_INVALID_REQUEST, STR("the request names the topic more than once"));
		return;
	}
	enum err e = check_topic(call, own, in, plan);
	if (e != ERR_NONE) {
		answer_refused(out, e, out->error_message);
		return;
	}
	own->n++;
	own->partitions += plan->partitions;
	call->job.bytes += TOPIC_BYTES;
}

static void
plan_topics(struct call *call, const struct create_topics_request *in, struct create_topics_response *out)
{
	struct create_topics_own *own = call->own = arena_alloc(&call->arena, sizeof(*own));
	own->plans = arena_array(&call->arena, (size_t)in->topics.n + 1, sizeof(*own->plans));

	struct str *names = arena_array(&call->arena, (size_t)in->topics.n, sizeof(*names));
	for (int32_t i = 0; i < in->topics.n; i++)
		names[i] = in->topics.at[i].name;
	const uint8_t *repeats = repeats_find(names, in->topics.n, &call->arena);

	CALL_LIST(call, out->topics, in->topics.n);
	out->topics.n = 0;
	for (int32_t i = 0; i < in->topics.n; i++)
		if (repeats[i] != REPEAT_AGAIN)
			plan_topic(call, &in->topics.at[i], repeats[i] == REPEAT_FIRST,
				   &out->topics.at[out->topics.n++]);
}

enum next
create_topics_handle(struct call *call)
{
	const struct create_topics_request *in = call->in;

	plan_topics(call, in, call->out);
	const struct create_topics_own *own = call->own;
	if (!in->validate_only)
		return own->n > 0 ? NEXT_WRITE : NEXT_ANSWER;
	for (int32_t i = 0; i < own->n; i++)
		answer_plan_only(call, &own->plans[i]);
	return NEXT_ANSWER;
}

/* Refused only by what handle() could not see: a topic created in this very turn, or of a colliding name. */
static void
create(struct call *call, struct store_txn *txn, const struct plan *plan)
{
	struct topic topic;
	struct str name = plan->out->name;

	enum err e =
	    topic_create(txn, name, plan->partitions, plan->settings, plan->setting_n, &call->arena, &topic);
	switch (e) {
	case ERR_NONE:
		answer_created(call, &topic, plan->out);
		diag_info("topic created", D_STR("topic", name), D_INT("partitions", plan->partitions),
			  D_STR("client_id", call->client_id));
		break;
	case ERR_INVALID_TOPIC_EXCEPTION:
		answer_refused(plan->out, e, STR(COLLISION));
		break;
	default:
		answer_refused(plan->out, e, str_of(err_text(e)));
		break;
	}
}

enum next
create_topics_write(struct call *call, struct store_txn *txn)
{
	const struct create_topics_own *own = call->own;

	for (int32_t i = 0; i < own->n; i++)
		create(call, txn, &own->plans[i]);
	return NEXT_PROMISE;
}

void
create_topics_failed(struct call *call, enum err error)
{
	const struct create_topics_own *own = call->own;

	for (int32_t i = 0; i < own->n; i++)
		answer_refused(own->plans[i].out, error, str_of(err_text(error)));
}
