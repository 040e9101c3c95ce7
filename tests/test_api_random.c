#include "tests/lib/test.h"

#include <string.h>

#include "broker/api/handlers.h"
#include "protocol/messages.h"
#include "tests/lib/api_fixture.h"
#include "tests/lib/sample.h"

/*
 * Random requests of every API and version, over a store that holds something: whatever a client asks, the
 * handler answers with something that this version can carry (api_serve() decodes it again), and the store
 * stays usable.
 */

#define READS(KEY, name)                                                                                     \
	{                                                                                                    \
		.key = API_##KEY, .handle = name##_handle                                                    \
	}
#define WRITES(KEY, name)                                                                                    \
	{                                                                                                    \
		.key = API_##KEY, .handle = name##_handle, .write = name##_write, .failed = name##_failed    \
	}

const struct handler handlers[] = {
	READS(LIST_OFFSETS, list_offsets),
	WRITES(METADATA, metadata),
	READS(FIND_COORDINATOR, find_coordinator),
	READS(API_VERSIONS, api_versions),
	WRITES(CREATE_TOPICS, create_topics),
	WRITES(DELETE_TOPICS, delete_topics),
	WRITES(INIT_PRODUCER_ID, init_producer_id),
	READS(OFFSET_FOR_LEADER_EPOCH, offset_for_leader_epoch),
	READS(DESCRIBE_CONFIGS, describe_configs),
	WRITES(CREATE_PARTITIONS, create_partitions),
	READS(DESCRIBE_CLUSTER, describe_cluster),
	READS(DESCRIBE_TOPIC_PARTITIONS, describe_topic_partitions),
};
const int handler_count = sizeof(handlers) / sizeof(handlers[0]);

enum { SEEDS = 25 };

static void
serve_random(struct api_fixture *f, const struct handler *handler, int16_t version, uint64_t seed)
{
	struct sample s = {
		.seed = seed,
		.version = version,
		.plain = seed % 2 == 0,
		.arena = &f->call.arena,
	};
	const void *in = sample_message(&s, api_find(handler->key)->request);
	f->lose_commit = seed % 5 == 0;
	api_serve(f, handler, version, in);
	arena_reset(&f->call.arena);
}

static void
random_requests_are_answered(void **state)
{
	struct api_fixture *f = *state;
	api_topic_with(f, "a", 2, "cleanup.policy", "compact");
	api_append(f, "a", 0, 3);
	for (int i = 0; i < handler_count; i++) {
		const struct api *api = api_find(handlers[i].key);
		for (int16_t v = api->min; v <= api->max; v++)
			for (uint64_t seed = 0; seed < SEEDS; seed++)
				serve_random(f, &handlers[i], v, seed * 1000 + (uint64_t)v);
	}
	api_topic(f, "afterwards", 1);
}

/* Requests that say nothing: all defaults, as an empty body of zeros would. */
static void
empty_requests_are_answered(void **state)
{
	struct api_fixture *f = *state;
	for (int i = 0; i < handler_count; i++) {
		const struct api *api = api_find(handlers[i].key);
		for (int16_t v = api->min; v <= api->max; v++)
			api_serve(f, &handlers[i], v, api_request(f, &handlers[i]));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_requests_are_answered, api_setup, api_teardown),
		cmocka_unit_test_setup_teardown(empty_requests_are_answered, api_setup, api_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
