/*
 * DescribeTopicPartitions: topics in the order of their names, all of them in that of topic_after(), page by
 * page (KIP-966).
 *
 * A page has at most so many partitions in all; it ends with a cursor, the topic and partition that come
 * next. The client sends the cursor back with the same list of topics. It need not name a topic that still
 * exists.
 */
#include <stdlib.h>

#include "broker/api/handlers.h"
#include "broker/api/topics.h"
#include "protocol/messages.h"

#define PAGE_PARTITIONS_MAX 2000 /* Kafka's max.request.partition.size.limit */

/* Topics from the cursor on: those that the request names, sorted; or all. */
struct walk {
	struct str *names; /* NULL: all topics */
	int32_t n, next;
	struct str last; /* all topics: the one that was given last */
	struct str from; /* the cursor's topic; null without one */
};

static int
by_name(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Sort the request's names, once each, and leave out what is before the cursor. */
static void
walk_named(struct call *call, const struct describe_topic_partitions_request *in, struct walk *walk)
{
	walk->names = arena_array(&call->arena, (size_t)in->topics.n, sizeof(*walk->names));
	for (int32_t i = 0; i < in->topics.n; i++)
		walk->names[i] = in->topics.at[i].name;
	qsort(walk->names, (size_t)in->topics.n, sizeof(*walk->names), by_name);
	for (int32_t i = 0; i < in->topics.n; i++) {
		if (str_cmp(walk->names[i], walk->from) < 0)
			continue;
		if (walk->n == 0 || !str_eq(walk->names[walk->n - 1], walk->names[i]))
			walk->names[walk->n++] = walk->names[i];
	}
}

/*
 * False: no more, or, where *error says so, they cannot be read. Else *error is what is wrong with the topic that was
 * named, and topic->name is set in any case.
 */
static bool
walk_next(struct call *call, struct walk *walk, struct topic *topic, enum err *error)
{
	struct store_txn *txn = call_read(call);

	*error = ERR_NONE;
	if (walk->names != NULL) {
		if (walk->next == walk->n)
			return false;
		struct str name = walk->names[walk->next++];
		*error = topic_by_name(txn, name, &call->arena, topic);
		topic->name = name;
		return true;
	}
	bool first = str_is_null(walk->last) && !str_is_null(walk->from);
	enum err e =
	    first ? topic_by_name(txn, walk->from, &call->arena, topic) : ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (e == ERR_UNKNOWN_TOPIC_OR_PARTITION) {
		if (!topic_after(txn, first ? walk->from : walk->last, &call->arena, topic, error))
			return false;
	} else if (e != ERR_NONE) {
		*error = e;
		return false;
	}
	topic->name = walk->last = str_keep(&call->arena, topic->name);
	return true;
}

static void
answer_partitions(struct call *call, int32_t first, int32_t n,
		  struct describe_topic_partitions_response_topic *out)
{
	int32_t *self = arena_alloc(&call->arena, sizeof(*self));
	*self = call_config(call)->node_id;
	CALL_LIST(call, out->partitions, n);
	for (int32_t i = 0; i < n; i++) {
		struct describe_topic_partitions_response_partition *p = &out->partitions.at[i];
		p->partition_index = first + i;
		p->leader_id = *self;
		p->replica_nodes.at = p->isr_nodes.at = self;
		p->replica_nodes.n = p->isr_nodes.n = 1;
	}
}

static void
answer_cursor(struct call *call, struct str topic, int32_t partition)
{
	struct describe_topic_partitions_response *out = call->out;

	out->next_cursor = arena_alloc(&call->arena, sizeof(*out->next_cursor));
	out->next_cursor->topic_name = topic;
	out->next_cursor->partition_index = partition;
}

static enum err
topic_error(struct str name, enum err error)
{
	if (error != ERR_UNKNOWN_TOPIC_OR_PARTITION)
		return error;
	return topic_name_check(name) != ERR_NONE ? ERR_INVALID_TOPIC_EXCEPTION : error;
}

/* One topic, from the cursor's partition on if it is the cursor's. Returns how many partitions it took of the
 * page. */
static int32_t
answer_topic(struct call *call, const struct topic *topic, int32_t room,
	     struct describe_topic_partitions_response_topic *out)
{
	const struct describe_topic_partitions_request *in = call->in;
	int32_t first = 0;
	if (in->cursor != NULL && str_eq(in->cursor->topic_name, topic->name))
		first = in->cursor->partition_index;
	int32_t n = first < topic->partitions ? topic->partitions - first : 0;

	out->topic_id = topic->id;
	out->is_internal = topic_is_internal(topic->name);
	out->topic_authorized_operations = OPERATIONS_TOPIC;
	if (n > room) {
		answer_cursor(call, topic->name, first + room);
		n = room;
	}
	answer_partitions(call, first, n, out);
	return n;
}

/* The answer has no error of its own: a page that ends too early would be taken for the last. */
static enum next
answer_page(struct call *call, struct walk *walk, int32_t room)
{
	struct describe_topic_partitions_response *out = call->out;
	struct topic topic;
	enum err error = ERR_NONE;

	/* Each topic takes a partition's room, but one at which the cursor is past its end, and unknown ones.
	 */
	CALL_LIST(call, out->topics, walk->names != NULL ? walk->n : room + 1);
	out->topics.n = 0;
	while (out->next_cursor == NULL) {
		if (!walk_next(call, walk, &topic, &error))
			return error == ERR_NONE ? NEXT_ANSWER : NEXT_CLOSE;
		if (room == 0) {
			answer_cursor(call, topic.name, 0);
			break;
		}
		struct describe_topic_partitions_response_topic *next = &out->topics.at[out->topics.n++];
		message_defaults(&describe_topic_partitions_response_topic_message, next);
		next->name = topic.name;
		next->error_code = topic_error(topic.name, error);
		if (error == ERR_NONE)
			room -= answer_topic(call, &topic, room, next);
	}
	return NEXT_ANSWER;
}

/* The answer has no error of its own, so a cursor that cannot be is told with each topic. */
static void
answer_bad_cursor(struct call *call)
{
	const struct describe_topic_partitions_request *in = call->in;
	struct describe_topic_partitions_response *out = call->out;

	CALL_LIST(call, out->topics, in->topics.n > 0 ? in->topics.n : 1);
	for (int32_t i = 0; i < out->topics.n; i++) {
		message_defaults(&describe_topic_partitions_response_topic_message, &out->topics.at[i]);
		out->topics.at[i].name = in->topics.n > 0 ? in->topics.at[i].name : in->cursor->topic_name;
		out->topics.at[i].error_code = ERR_INVALID_REQUEST;
	}
}

static bool
cursor_is_good(const struct describe_topic_partitions_request *in, const struct walk *walk)
{
	if (in->cursor == NULL)
		return true;
	if (in->cursor->partition_index < 0)
		return false;
	return walk->names == NULL || (walk->n > 0 && str_eq(walk->names[0], in->cursor->topic_name));
}

enum next
describe_topic_partitions_handle(struct call *call)
{
	const struct describe_topic_partitions_request *in = call->in;
	struct walk walk = {
		.last = STR_NULL,
		.from = in->cursor != NULL ? in->cursor->topic_name : STR_NULL,
	};

	if (in->topics.n > 0)
		walk_named(call, in, &walk);
	if (!cursor_is_good(in, &walk)) {
		answer_bad_cursor(call);
		return NEXT_ANSWER;
	}
	int32_t room = in->response_partition_limit;
	room = room < 1 ? 1 : room > PAGE_PARTITIONS_MAX ? PAGE_PARTITIONS_MAX : room;
	return answer_page(call, &walk, room);
}
