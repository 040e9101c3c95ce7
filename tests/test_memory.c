/*
 * What requests cost in memory, and for how long. Workers in this process (tests/lib/workers.h); the test is the
 * checkpointer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/call.h"
#include "broker/connection.h"
#include "common/bytes.h"
#include "tests/lib/test.h"
#include "tests/lib/workers.h"

#define LARGE (20 * 1000) /* too large to be copied to its call */

#define WIDE 300 /* partitions */

static struct workers *ws;

static int
setup(void **state)
{
	(void)state;
	ws = workers_begin(1);
	ws->at[0]->thrift.look.repeat = 1e6; /* the test is the clock */
	fixture_topic(&ws->store, "t", 1);
	fixture_topic(&ws->store, "u", 1);
	fixture_topic(&ws->store, "wide", WIDE);
	fixture_checkpoint(&ws->store);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	workers_end(ws);
	return 0;
}

static void
send_produce(struct client *c, const char *topic, int32_t bytes)
{
	client_send_produce(c, topic, 0, -1, client_batch(&c->arena, 1, bytes));
}

static void
assert_produced(struct client *c, const char *topic, int64_t offset)
{
	const struct produce_response *out = workers_receive(ws, c);

	assert_true(str_is(out->responses.at[0].name, topic));
	assert_int_equal(out->responses.at[0].partition_responses.at[0].error_code, ERR_NONE);
	assert_int_equal(out->responses.at[0].partition_responses.at[0].base_offset, offset);
}

/* What is parked waits for the disk with its answer only, and that is of its own. */
static void
parked_requests_hold_no_chunk(void **state)
{
	(void)state;
	struct client a = workers_connect(ws, 0), b = workers_connect(ws, 0);
	const struct worker *w = ws->at[0];

	ws->hold = true;
	for (int i = 0; i < 3; i++)
		send_produce(&a, "t", LARGE);
	assert_true(workers_is_quiet(ws, &a));
	assert_false(list_is_empty(&w->parked));
	assert_int_equal(w->chunks.bytes, 0);
	for (int i = 0; i < 3; i++)
		send_produce(&b, "u", LARGE); /* into what was the others' memory */
	assert_true(workers_is_quiet(ws, &b));
	ws->hold = false;
	for (int i = 0; i < 3; i++) {
		assert_produced(&a, "t", i);
		assert_produced(&b, "u", i);
	}
	client_close(&a);
	client_close(&b);
}

/* What fills a transaction is committed when it is there, however much more there is to be read. */
static void
a_turn_gathers_no_more_than_a_transaction(void **state)
{
	(void)state;
	enum { CLIENTS = 60, EACH = 3, BYTES = 40 * 1000 }; /* whole in one recv() */
	struct client c[CLIENTS];

	assert_true((size_t)CLIENTS * EACH * BYTES > TURN_BYTES / 2 * 3);
	ws->hold = true; /* and what is parked is of no weight */
	for (int i = 0; i < CLIENTS; i++) {
		c[i] = workers_connect(ws, 0);
		for (int k = 0; k < EACH; k++)
			send_produce(&c[i], "t", BYTES);
	}
	workers_settle(ws);
	assert_true(ws->at[0]->thrift.most < TURN_BYTES + (size_t)4 * CHUNK_BYTES);
	ws->hold = false;
	for (int i = 0; i < CLIENTS; i++) {
		for (int k = 0; k < EACH; k++)
			workers_receive(ws, &c[i]);
		client_close(&c[i]);
	}
}

/* --- given back ------------------------------------------------------------------------------------ */

enum { CROWD = 64 };

static void
crowd_comes(struct client *crowd)
{
	static uint8_t half[100 * 1000];

	put_u32(half, 120 * 1000);
	for (int i = 0; i < CROWD; i++) {
		crowd[i] = workers_connect(ws, 0);
		assert_int_equal(send(crowd[i].fd, half, sizeof(half), 0), sizeof(half));
	}
	workers_settle(ws);
	assert_true(ws->at[0]->chunks.bytes >= (size_t)CROWD * sizeof(half));
}

static void
crowd_goes(struct client *crowd)
{
	for (int i = 0; i < CROWD; i++)
		client_close(&crowd[i]);
	workers_settle(ws);
	assert_int_equal(ws->at[0]->chunks.bytes, 0);
}

/* As after a second. */
static void
look(void)
{
	struct worker *w = ws->at[0];

	ev_feed_event(w->base.loop, &w->thrift.look, EV_TIMER);
	workers_turn(ws);
}

static long
resident_kb(void)
{
	char line[200];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");

	assert_non_null(f);
	while (kb < 0 && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "RssAnon:", 8) == 0)
			kb = strtol(line + 8, NULL, 10);
	fclose(f);
	return kb;
}

static void
memory_goes_back_after_a_load(void **state)
{
	(void)state;
	struct client crowd[CROWD];
	const struct worker *w = ws->at[0];

	assert_false(ev_is_active(&w->thrift.look)); /* nothing to look for yet */
	crowd_comes(crowd);
	assert_true(ev_is_active(&w->thrift.look));
	look();
	look(); /* the crowd is still there */
	assert_true(ev_is_active(&w->thrift.look));
	crowd_goes(crowd);
	look(); /* it was, in this second */
	assert_int_not_equal(w->chunks.free_n, 0);
	long before_kb = resident_kb();
	look();
	assert_int_equal(w->chunks.free_n, 0);
	assert_false(ev_is_active(&w->thrift.look));
#ifndef FORKA_SANITIZED /* whose allocators keep what they were given */
	assert_true(before_kb - resident_kb() > CROWD * 100 * 3 / 4);
#else
	(void)before_kb;
#endif
}

static void
small_requests_wake_nobody(void **state)
{
	(void)state;
	struct client c = workers_connect(ws, 0);

	send_produce(&c, "t", LARGE);
	assert_produced(&c, "t", 0);
	assert_false(ev_is_active(&ws->at[0]->thrift.look));
	client_close(&c);
}

/* One record for each partition of "wide". */
static void
send_wide(struct client *c)
{
	struct records batch = client_batch(&c->arena, 1, 1);
	struct produce_request_topic_data topic = { .name = str_of("wide") };
	struct produce_request in = { .acks = -1,
				      .timeout_ms = 1000,
				      .topic_data = { .at = &topic, .n = 1 } };

	topic.partition_data.n = WIDE;
	topic.partition_data.at = arena_array(&c->arena, WIDE, sizeof(*topic.partition_data.at));
	for (int32_t i = 0; i < WIDE; i++)
		topic.partition_data.at[i] =
		    (struct produce_request_partition_data){ .index = i, .records = batch };
	client_send(c, API_PRODUCE, 9, &in);
}

/* Answers of a thousand partitions each, waiting for the disk: they are memory, too, though the requests are gone. */
static void
parked_answers_count(void **state)
{
	(void)state;
	struct client c[4];
	const struct worker *w = ws->at[0];
	size_t all = 0;

	ws->config.queued_max_bytes = 2 << 20;
	ws->hold = true;
	for (int i = 0; i < 4; i++)
		c[i] = workers_connect(ws, 0);
	for (int round = 0; round < 6; round++) { /* what is not read fits into the socket */
		for (int i = 0; i < 4; i++)
			send_wide(&c[i]);
		workers_settle(ws);
	}
	LIST_EACH (&w->parked, it)
		all += LIST_OF(it, struct call, job.in_list)->arena.used;
	assert_int_equal(w->answer_bytes, all);
	assert_in_range(all, 1, ws->config.queued_max_bytes / 4 * 3);
	ws->hold = false;
	for (int round = 0; round < 6; round++)
		for (int i = 0; i < 4; i++) {
			const struct produce_response *out = workers_receive(ws, &c[i]);
			assert_true(str_is(out->responses.at[0].name, "wide"));
			assert_int_equal(out->responses.at[0].partition_responses.at[WIDE - 1].error_code,
					 ERR_NONE);
		}
	assert_int_equal(w->answer_bytes, 0);
	for (int i = 0; i < 4; i++)
		client_close(&c[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(parked_requests_hold_no_chunk, setup, teardown),
		cmocka_unit_test_setup_teardown(a_turn_gathers_no_more_than_a_transaction, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_goes_back_after_a_load, setup, teardown),
		cmocka_unit_test_setup_teardown(small_requests_wake_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(parked_answers_count, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
