/*
 * DeleteTopics: by name, since v6 also by id. Gone for everybody at the commit; the answer leaves when that
 * is durable, and the cleaner frees the room in steps. Fetches that wait for one of its partitions are woken
 * to learn of it.
 */
#include "broker/api/handlers.h"
#include "broker/api/repeats.h"
#include "broker/api/topics.h"
#include "common/diag.h"
#include "protocol/messages.h"

/* The answers of the topics that are to be deleted; they hold what the request named them by. */
struct delete_topics_own {
	struct delete_topics_response_topic_response **plans;
	int32_t n;
	bool *by_id; /* of each plan */
};

static void
answer_refused(struct delete_topics_response_topic_response *out, enum err error, struct str message)
{
	out->error_code = error;
	out->error_message = message;
}

static bool
is_disabled(const struct call *call, struct delete_topics_response_topic_response *out)
{
	if (call_config(call)->delete_topics)
		return false;
	enum err e = call->version < 3 ? ERR_INVALID_REQUEST : ERR_TOPIC_DELETION_DISABLED;
	answer_refused(out, e, STR("delete.topic.enable is false"));
	return true;
}

/* *out has the request's name or id. True: it can be deleted. */
static bool
check_topic(struct call *call, bool repeated, struct delete_topics_response_topic_response *out)
{
	bool by_id = !uuid_is_zero(out->topic_id);

	if (is_disabled(call, out))
		return false;
	if (by_id != str_is_null(out->name)) {
		answer_refused(out, ERR_INVALID_REQUEST,
			       STR("a topic is named either by its name or by its id"));
		return false;
	}
	if (repeated) {
		answer_refused(out, ERR_INVALID_REQUEST, STR("the request names the topic more than once"));
		return false;
	}
	struct topic topic;
	enum err e = topic_find(call_read(call), out->name, out->topic_id, &call->arena, &topic);
	if (e != ERR_NONE) {
		answer_refused(out, e, str_of(err_text(e)));
		return false;
	}
	call->job.bytes += TOPIC_BYTES;
	return true;
}

/* Both shapes of the request as one list: v6 has structs with names or ids, before there were names only. */
static struct delete_topics_request_topic *
topics_named(struct call *call, int32_t *n)
{
	const struct delete_topics_request *in = call->in;

	*n = call->version >= 6 ? in->topics.n : in->topic_names.n;
	if (call->version >= 6)
		return in->topics.at;
	struct delete_topics_request_topic *topics = arena_array(&call->arena, (size_t)*n, sizeof(*topics));
	for (int32_t i = 0; i < *n; i++)
		topics[i].name = in->topic_names.at[i];
	return topics;
}

static const uint8_t *
find_repeats(struct call *call, const struct delete_topics_request_topic *topics, int32_t n)
{
	struct str *keys = arena_array(&call->arena, (size_t)n, sizeof(*keys));
	for (int32_t i = 0; i < n; i++) {
		keys[i] = topics[i].name;
		if (str_is_null(keys[i]))
			keys[i] =
			    (struct str){ (const char *)topics[i].topic_id.b, sizeof(topics[i].topic_id.b) };
	}
	return repeats_find(keys, n, &call->arena);
}

enum next
delete_topics_handle(struct call *call)
{
	struct delete_topics_response *out = call->out;
	int32_t n;
	const struct delete_topics_request_topic *topics = topics_named(call, &n);
	const uint8_t *repeats = find_repeats(call, topics, n);

	struct delete_topics_own *own = call->own = arena_alloc(&call->arena, sizeof(*own));
	own->plans =
	    arena_array(&call->arena, (size_t)n, sizeof(struct delete_topics_response_topic_response *));
	own->by_id = arena_array(&call->arena, (size_t)n, sizeof(*own->by_id));
	CALL_LIST(call, out->responses, n);
	out->responses.n = 0;
	for (int32_t i = 0; i < n; i++) {
		if (repeats[i] == REPEAT_AGAIN)
			continue;
		struct delete_topics_response_topic_response *next = &out->responses.at[out->responses.n++];
		next->name = topics[i].name;
		next->topic_id = topics[i].topic_id;
		next->error_message = STR_NULL;
		if (!check_topic(call, repeats[i] == REPEAT_FIRST, next))
			continue;
		own->by_id[own->n] = str_is_null(next->name);
		own->plans[own->n++] = next;
	}
	return own->n > 0 ? NEXT_WRITE : NEXT_ANSWER;
}

/* Looked up again: another request of this turn may have been faster. */
static enum err
delete_topic(struct call *call, struct store_txn *txn, struct delete_topics_response_topic_response *out)
{
	struct topic topic;
	enum err e = topic_find(txn, out->name, out->topic_id, &call->arena, &topic);
	if (e != ERR_NONE)
		return e;
	struct str name = str_keep(&call->arena, topic.name);
	e = topic_delete(txn, &topic);
	if (e != ERR_NONE)
		return e;

	out->name = name;
	out->topic_id = topic.id;
	for (int32_t i = 0; i < topic.partitions; i++)
		call_touch(call, topic.number, i);
	call_clean(call);
	diag_info("topic deleted", D_STR("topic", name), D_INT("partitions", topic.partitions),
		  D_STR("client_id", call->client_id));
	return ERR_NONE;
}

enum next
delete_topics_write(struct call *call, struct store_txn *txn)
{
	const struct delete_topics_own *own = call->own;

	for (int32_t i = 0; i < own->n; i++) {
		enum err e = delete_topic(call, txn, own->plans[i]);
		if (e != ERR_NONE)
			answer_refused(own->plans[i], e, str_of(err_text(e)));
	}
	return NEXT_PROMISE;
}

void
delete_topics_failed(struct call *call, enum err error)
{
	const struct delete_topics_own *own = call->own;

	for (int32_t i = 0; i < own->n; i++) {
		answer_refused(own->plans[i], error, str_of(err_text(error)));
		if (own->by_id[i])
			own->plans[i]->name = STR_NULL;
	}
}
