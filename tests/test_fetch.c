/*
 * Fetch: what a request may ask for, and how long it waits. One worker in this process; that it is woken, and what it
 * is given, is in test_broker, test_waits and the integration suites.
 */
#include "common/diag.h"
#include "protocol/messages.h"
#include "tests/lib/test.h"
#include "tests/lib/workers.h"

static struct workers *ws;
static struct client c;

static int
setup(void **state)
{
	(void)state;
	diag_setup(DIAG_WARN, DIAG_TEXT);
	ws = workers_begin(1);
	c = workers_connect(ws, 0);

	struct create_topics_request_topic topic;
	message_defaults(&create_topics_request_topic_message, &topic);
	topic.name = STR("t");
	topic.num_partitions = 3;
	topic.replication_factor = -1;
	struct create_topics_request in = { .topics = { &topic, 1 }, .timeout_ms = 1000 };
	const struct create_topics_response *out = workers_call(ws, &c, API_CREATE_TOPICS, 5, &in);
	assert_int_equal(out->topics.at[0].error_code, ERR_NONE);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	client_close(&c);
	workers_end(ws);
	return 0;
}

static void
produce(int32_t partition)
{
	client_send_produce(&c, "t", partition, 1, client_batch(&c.arena, 1, 100));
	const struct produce_response *r = workers_receive(ws, &c);
	assert_int_equal(r->responses.at[0].partition_responses.at[0].error_code, ERR_NONE);
	workers_settle(ws); /* a checkpoint makes it visible */
}

/* Each topic is "t" with the partitions of one string of digits; from offset 0 on. */
static void
ask(const char *const *topics, int n, int32_t min_bytes, int32_t max_bytes)
{
	struct fetch_request_partition p[8][8];
	struct fetch_request_topic asked[8];
	struct fetch_request in;

	message_defaults(&fetch_request_message, &in);
	in.max_wait_ms = 60000;
	in.min_bytes = min_bytes;
	in.max_bytes = max_bytes;
	for (int i = 0; i < n; i++) {
		int32_t m = 0;
		for (const char *at = topics[i]; *at != 0; at++, m++) {
			message_defaults(&fetch_request_partition_message, &p[i][m]);
			p[i][m].partition = *at - '0';
			p[i][m].partition_max_bytes = 1 << 20;
		}
		asked[i] = (struct fetch_request_topic){ .topic = STR("t"), .partitions = { p[i], m } };
	}
	in.topics.at = asked;
	in.topics.n = n;
	client_send(&c, API_FETCH, 12, &in);
}

static const struct fetch_response *
answer(enum err e)
{
	const struct fetch_response *r = workers_receive(ws, &c);
	assert_int_equal(r->error_code, e);
	return r;
}

static void
test_a_partition_named_twice_is_refused(void **state)
{
	(void)state;
	const char *const twice[][3] = { { "00" }, { "0120" }, { "10", "02" }, { "2", "1", "2" } };
	const int n[] = { 1, 1, 2, 3 };

	for (int i = 0; i < 4; i++) {
		ask(twice[i], n[i], INT32_MAX, INT32_MAX);
		assert_int_equal(answer(ERR_INVALID_REQUEST)->responses.n, 0);
	}
}

/* Java's consumer names one again for each run of its partitions. */
static void
test_a_topic_may_come_again(void **state)
{
	(void)state;
	const char *const parts[] = { "20", "1" };

	produce(1);
	ask(parts, 2, 1, 1 << 20);
	const struct fetch_response *r = answer(ERR_NONE);
	assert_int_equal(r->responses.n, 2);
	assert_true(r->responses.at[1].partitions.at[0].records.n > 0);
}

/* It would not be given more than max_bytes, or fetch.max.bytes, however long it waits. */
static void
test_who_wants_more_than_an_answer_carries_does_not_wait_for_it(void **state)
{
	(void)state;
	const char *const one[] = { "0" };

	produce(0);
	ask(one, 1, INT32_MAX, 100);
	assert_true(answer(ERR_NONE)->responses.at[0].partitions.at[0].records.n > 100);
	ws->config.fetch_max_bytes = 100;
	ask(one, 1, INT32_MAX, INT32_MAX);
	assert_true(answer(ERR_NONE)->responses.at[0].partitions.at[0].records.n > 100);
	ws->config.fetch_max_bytes = 1 << 20;
	ask(one, 1, INT32_MAX, INT32_MAX);
	assert_true(workers_is_quiet(ws, &c)); /* waits */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
		T(a_partition_named_twice_is_refused),
		T(a_topic_may_come_again),
		T(who_wants_more_than_an_answer_carries_does_not_wait_for_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
