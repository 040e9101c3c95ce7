#include "broker/fetch_partitions.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "protocol/messages.h"

#define ACTIVE   UINT64_MAX /* a mark that nothing in shared->appended is */
#define NOT_TOLD INT64_MIN

struct kept_topic {
	struct hash_node node;
	struct fetch_topic topic;
	int32_t uses; /* partitions of it */
	char name[];
};

struct kept_partition {
	struct hash_node node;
	struct list in_active;
	struct fetch_want want;
	struct kept_topic *topic;
	struct {
		int64_t high_watermark, last_stable, log_start;
	} told;
	int32_t at; /* in the session's arrays */
};

#define ALLOCATED 16 /* what the allocator adds */
/* A place in the arrays, which never shrink. */
#define PLACE_BYTES (sizeof(uint64_t) + sizeof(uint16_t) + sizeof(struct kept_partition *))

/* --- topics and partitions ------------------------------------------------------------- */

static uint64_t
topic_hash(const struct fetch_partitions *s, const struct fetch_topic *topic)
{
	if (s->by_id)
		return hash_bytes(s->seed, topic->id.b, sizeof(topic->id.b));
	return hash_bytes(s->seed, topic->name.at, (size_t)topic->name.n);
}

static struct kept_topic *
topic_find(const struct fetch_partitions *s, const struct fetch_topic *topic, uint64_t hash)
{
	for (struct hash_node *node = hash_first(&s->topics, hash); node != NULL; node = node->next) {
		struct kept_topic *kept = LIST_OF(node, struct kept_topic, node);
		if (s->by_id ? uuid_eq(kept->topic.id, topic->id) : str_eq(kept->topic.name, topic->name))
			return kept;
	}
	return NULL;
}

static size_t
topic_bytes(const struct kept_topic *kept)
{
	return sizeof(*kept) + (size_t)kept->topic.name.n + ALLOCATED;
}

static void
add_to(struct fetch_partitions *s, struct hash_table *table, struct hash_node *node)
{
	s->bytes -= hash_table_bytes(table);
	hash_add(table, node);
	s->bytes += hash_table_bytes(table);
}

static struct kept_topic *
topic_add(struct fetch_partitions *s, const struct fetch_topic *topic, uint64_t hash)
{
	int32_t n = s->by_id ? 0 : topic->name.n;
	struct kept_topic *kept = calloc(1, sizeof(*kept) + (size_t)n);

	CHECK(kept != NULL);
	if (n > 0)
		memcpy(kept->name, topic->name.at, (size_t)n);
	kept->topic = (struct fetch_topic){ .name = { .at = kept->name, .n = n }, .id = topic->id };
	kept->node.hash = hash;
	add_to(s, &s->topics, &kept->node);
	s->bytes += topic_bytes(kept);
	return kept;
}

static void
topic_drop_if_unused(struct fetch_partitions *s, struct kept_topic *kept)
{
	if (kept->uses > 0)
		return;
	hash_remove(&s->topics, &kept->node);
	s->bytes -= topic_bytes(kept);
	free(kept);
}

static uint64_t
partition_hash(const struct kept_topic *topic, int32_t partition)
{
	return hash_mix(topic->node.hash ^ hash_mix((uint32_t)partition));
}

static struct kept_partition *
partition_find(const struct fetch_partitions *s, const struct kept_topic *topic, int32_t partition)
{
	struct hash_node *node = hash_first(&s->partitions, partition_hash(topic, partition));

	for (; node != NULL; node = node->next) {
		struct kept_partition *kept = LIST_OF(node, struct kept_partition, node);
		if (kept->topic == topic && kept->want.partition == partition)
			return kept;
	}
	return NULL;
}

static void *
resize(void *at, int32_t n, size_t size)
{
	at = realloc(at, (size_t)n * size);
	CHECK(at != NULL);
	return at;
}

static void
make_room(struct fetch_partitions *s)
{
	if (s->n < s->room)
		return;
	int32_t had = s->room;
	s->room = had == 0 ? 4 : had * 2;
	s->bytes += (size_t)(s->room - had) * PLACE_BYTES;
	s->marks = resize(s->marks, s->room, sizeof(*s->marks));
	s->hashes = resize(s->hashes, s->room, sizeof(*s->hashes));
	s->at = resize(s->at, s->room, sizeof(struct kept_partition *));
}

static void
activate(struct fetch_partitions *s, struct kept_partition *kept)
{
	if (s->marks[kept->at] == ACTIVE)
		return;
	s->marks[kept->at] = ACTIVE;
	s->active_n++;
	list_append(&s->active, &kept->in_active);
}

void
fetch_partitions_wake_all(struct fetch_partitions *s)
{
	for (int32_t i = 0; i < s->n; i++)
		activate(s, s->at[i]);
}

static struct kept_partition *
partition_add(struct fetch_partitions *s, struct kept_topic *topic, int32_t partition)
{
	struct kept_partition *kept = calloc(1, sizeof(*kept));

	CHECK(kept != NULL);
	make_room(s);
	kept->topic = topic;
	kept->want.partition = partition;
	kept->told.high_watermark = NOT_TOLD;
	kept->node.hash = partition_hash(topic, partition);
	list_init(&kept->in_active);
	kept->at = s->n++;
	s->at[kept->at] = kept;
	s->hashes[kept->at] = 0;
	s->marks[kept->at] = 0;
	topic->uses++;
	add_to(s, &s->partitions, &kept->node);
	s->bytes += sizeof(*kept) + ALLOCATED;
	return kept;
}

static void
partition_remove(struct fetch_partitions *s, struct kept_partition *kept)
{
	int32_t last = --s->n, at = kept->at;

	s->active_n -= s->marks[at] == ACTIVE;
	s->at[at] = s->at[last];
	s->at[at]->at = at;
	s->marks[at] = s->marks[last];
	s->hashes[at] = s->hashes[last];
	list_remove(&kept->in_active);
	hash_remove(&s->partitions, &kept->node);
	s->bytes -= sizeof(*kept) + ALLOCATED;
	kept->topic->uses--;
	topic_drop_if_unused(s, kept->topic);
	free(kept);
}

struct fetch_want
fetch_want_of(const struct fetch_topic *topic, const struct fetch_request_partition *asked)
{
	return (struct fetch_want){ .topic = topic,
				    .offset = asked->fetch_offset,
				    .partition = asked->partition,
				    .leader_epoch = asked->current_leader_epoch,
				    .max_bytes = asked->partition_max_bytes };
}

/* --- what a request changes ------------------------------------------------------------------------- */

static void
take_partition(struct fetch_partitions *s, struct kept_topic *topic,
	       const struct fetch_request_partition *asked)
{
	struct kept_partition *kept = partition_find(s, topic, asked->partition);

	if (kept == NULL)
		kept = partition_add(s, topic, asked->partition);
	kept->want = fetch_want_of(&topic->topic, asked);
	activate(s, kept);
}

bool
fetch_partitions_take(struct fetch_partitions *s, const struct fetch_request *in, size_t most_bytes)
{
	for (int32_t i = 0; i < in->topics.n; i++) {
		const struct fetch_request_topic *asked = &in->topics.at[i];
		struct fetch_topic topic = { .name = asked->topic, .id = asked->topic_id };
		uint64_t hash = topic_hash(s, &topic);
		struct kept_topic *kept = topic_find(s, &topic, hash);
		if (asked->partitions.n == 0)
			continue;
		if (kept == NULL)
			kept = topic_add(s, &topic, hash);
		for (int32_t p = 0; p < asked->partitions.n; p++) {
			take_partition(s, kept, &asked->partitions.at[p]);
			if (s->bytes > most_bytes)
				return false;
		}
	}
	return true;
}

static void
forget_topic(struct fetch_partitions *s, const struct fetch_request_forgotten_topic *forgotten)
{
	struct fetch_topic topic = { .name = forgotten->topic, .id = forgotten->topic_id };
	struct kept_topic *kept = topic_find(s, &topic, topic_hash(s, &topic));

	for (int32_t p = 0; kept != NULL && p < forgotten->partitions.n; p++) {
		struct kept_partition *partition = partition_find(s, kept, forgotten->partitions.at[p]);
		bool last = partition != NULL && kept->uses == 1;
		if (partition != NULL)
			partition_remove(s, partition);
		if (last)
			return; /* and the topic with it */
	}
}

void
fetch_partitions_forget(struct fetch_partitions *s, const struct fetch_request *in)
{
	for (int32_t i = 0; i < in->forgotten_topics_data.n; i++)
		forget_topic(s, &in->forgotten_topics_data.at[i]);
}

void
fetch_partitions_init(struct fetch_partitions *s, uint64_t seed, bool by_id)
{
	*s = (struct fetch_partitions){ .seed = seed, .by_id = by_id };
	list_init(&s->active);
}

void
fetch_partitions_free(struct fetch_partitions *s)
{
	while (s->n > 0)
		partition_remove(s, s->at[s->n - 1]);
	hash_free(&s->topics);
	hash_free(&s->partitions);
	free(s->marks);
	free(s->hashes);
	free(s->at);
}

/* --- active and quiet ------------------------------------------------------------------------------- */

void
fetch_partitions_wake(struct fetch_partitions *s, const _Atomic uint64_t *appended)
{
	for (int32_t i = 0; i < s->n; i++)
		if (s->marks[i] != ACTIVE &&
		    s->marks[i] != atomic_load_explicit(&appended[s->hashes[i]], memory_order_relaxed))
			activate(s, s->at[i]);
}

struct fetch_want **
fetch_partitions_active(const struct fetch_partitions *s, struct arena *arena, int32_t *n)
{
	struct fetch_want **wants = arena_array(arena, (size_t)s->active_n, sizeof(struct fetch_want *));

	*n = 0;
	LIST_EACH (&s->active, it)
		wants[(*n)++] = &LIST_OF(it, struct kept_partition, in_active)->want;
	CHECK(*n == s->active_n);
	return wants;
}

static struct kept_partition *
kept_of(const struct fetch_want *want)
{
	return LIST_OF(want, struct kept_partition, want);
}

void
fetch_partitions_place(struct fetch_partitions *s, const struct fetch_want *want, uint16_t hash)
{
	s->hashes[kept_of(want)->at] = hash;
}

uint16_t *
fetch_partitions_hashes(const struct fetch_partitions *s, struct arena *arena, int32_t *n)
{
	uint16_t *copy = arena_array(arena, (size_t)s->n, sizeof(*copy));

	memcpy(copy, s->hashes, (size_t)s->n * sizeof(*copy));
	*n = s->n;
	return copy;
}

bool
fetch_partitions_tell(struct fetch_partitions *s, struct fetch_want *want,
		      const struct fetch_response_partition_data *data)
{
	struct kept_partition *kept = kept_of(want);
	bool error = data->error_code != ERR_NONE, gives = data->records.n > 0;
	bool changed = kept->told.high_watermark != data->high_watermark ||
		       kept->told.last_stable != data->last_stable_offset ||
		       kept->told.log_start != data->log_start_offset;

	kept->told.high_watermark =
	    data->high_watermark; /* -1 beside an error: told anew when that is over */
	kept->told.last_stable = data->last_stable_offset;
	kept->told.log_start = data->log_start_offset;
	if (gives) {
		list_remove(&kept->in_active);
		list_append(&s->active, &kept->in_active);
	}
	return error || gives || changed;
}

void
fetch_partitions_settle(struct fetch_partitions *s, struct fetch_want *want, uint64_t mark)
{
	struct kept_partition *kept = kept_of(want);

	s->marks[kept->at] = mark;
	s->active_n--;
	list_remove(&kept->in_active);
}
