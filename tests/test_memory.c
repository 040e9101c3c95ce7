/*
 * What requests cost in memory, and for how long. Workers in this process (tests/lib/workers.h); the test is the
 * checkpointer.
 */
#include "broker/connection.h"
#include "tests/lib/test.h"
#include "tests/lib/workers.h"

#define LARGE (20 * 1000) /* too large to be copied to its call */

static struct workers *ws;

static int
setup(void **state)
{
	(void)state;
	ws = workers_begin(1);
	fixture_topic(&ws->store, "t", 1);
	fixture_topic(&ws->store, "u", 1);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(parked_requests_hold_no_chunk, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
