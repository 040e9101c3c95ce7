/*
 * api_fixture: handlers called directly, over a temporary store, without sockets or processes.
 *
 *	static const struct handler metadata = API_WRITES(METADATA, metadata);
 *
 *	struct metadata_request *in = api_request(f, &metadata);
 *	struct metadata_response *out = api_serve(f, &metadata, 9, in);
 *
 * api_serve() does what a worker does: handle(), then where that asks for it write() in a transaction of its
 * own, the commit, the checkpoint that a promise waits for, and answer(). The request goes through encode and
 * decode first, and the answer does so afterwards, with the snapshot ended: the test sees only what a client
 * of that version could say and would be told.
 *
 * It takes the place of broker/call.c: a test that needs more of the broker than its handlers will not link.
 */
#ifndef TESTS_LIB_API_FIXTURE_H
#define TESTS_LIB_API_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/call.h"

#define API_READS(KEY, name)                                                                                 \
	{                                                                                                    \
		.key = API_##KEY, .handle = name##_handle                                                    \
	}
#define API_WRITES(KEY, name)                                                                                \
	{                                                                                                    \
		.key = API_##KEY, .handle = name##_handle, .write = name##_write, .failed = name##_failed    \
	}

/* The address of the broker that answers tell. */
#define API_HOST    "broker.test"
#define API_PORT    19092
#define API_NODE_ID 7

struct api_touch {
	uint32_t topic;
	int32_t partition;
};

struct api_fixture {
	char *dir;
	struct store_shared *shared;
	struct store *store;
	struct config config; /* to be changed at will */
	struct store_txn *reading;
	struct call call;
	enum next next;   /* what the last handle() and write() came to: NEXT_ANSWER or NEXT_PROMISE */
	bool lose_commit; /* abort instead, and have failed() say so */
	struct api_touch touched[64]; /* by the last write() */
	int touched_n;
	bool clean; /* the last write() left work for the cleaner */
};

/* For cmocka: a fixture with an empty store in *state. */
int api_setup(void **state);
int api_teardown(void **state);

/* The request's struct, with its defaults, in the fixture's arena. */
void *api_request(struct api_fixture *f, const struct handler *handler);
/* The decoded answer. */
void *api_serve(struct api_fixture *f, const struct handler *handler, int16_t version, const void *in);

/* Straight into the store, durable: a topic, and a batch of n records whose timestamps begin at
 * API_TIMESTAMP. */
#define API_TIMESTAMP INT64_C(1700000000000)
struct topic api_topic(struct api_fixture *f, const char *name, int32_t partitions);
struct topic api_topic_with(struct api_fixture *f, const char *name, int32_t partitions, const char *key,
			    const char *value);
void api_append(struct api_fixture *f, const char *topic, int32_t partition, int n);
/* Committed, but no checkpoint has come by: consumers may not see it. */
void api_append_unsynced(struct api_fixture *f, const char *topic, int32_t partition, int n);
bool api_topic_exists(struct api_fixture *f, const char *name, struct topic *out);

/* A list of the request: API_LIST(f, in->topics, 2) */
#define API_LIST(f, list, count) CALL_LIST(&(f)->call, list, count)

#endif
