/*
 * fuzz_consumer: any bytes as a consumer's subscription and assignment, read whole, in part, and shown.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/consumer_protocol.h"
#include "broker/group.h"
#include "common/check.h"

static bool
names(struct bytes metadata, struct str wanted, bool *failed)
{
	struct consumer_reader r = consumer_subscription(metadata);
	struct str topic;
	bool found = false;
	for (int32_t n = 0; consumer_topic(&r, &topic); n++) {
		CHECK(n <= metadata.n && topic.n >= 0);
		found = found || str_eq(topic, wanted);
	}
	*failed = consumer_failed(&r);
	return found;
}

/* Topics without their partitions, and with every other one of them, are the same topics. */
static void
read_in_part(struct bytes assignment)
{
	struct consumer_reader a = consumer_assignment(assignment), b = a;
	struct str one, two;
	int32_t partition;
	while (consumer_topic(&a, &one)) {
		CHECK(consumer_topic(&b, &two) && one.at == two.at && one.n == two.n);
		while (consumer_partition(&b, &partition) && (partition & 1) != 0)
			;
	}
	CHECK(!consumer_topic(&b, &two));
	CHECK(consumer_failed(&a) == consumer_failed(&b));
}

/* As a member of a group has it: what cannot be read counts as everything. */
static void
subscribe(struct bytes metadata)
{
	static const struct group_rules rules = { .max_session_timeout_ms = 10, .max_size = 1 };
	struct group_protocol protocol = { .name = STR("range"), .metadata = metadata };
	struct group_join join = { .version = 3,
				   .member_id = STR(""),
				   .instance_id = STR_NULL,
				   .client_id = STR(""),
				   .client_host = STR(""),
				   .protocol_type = STR("consumer"),
				   .reason = STR_NULL,
				   .session_timeout_ms = 10,
				   .rebalance_timeout_ms = 10,
				   .protocols = &protocol,
				   .protocol_n = 1 };
	struct arena arena = ARENA_EMPTY;
	struct group_actions out = { .arena = &arena, .why = STR_NULL };
	struct group *g = group_new(STR("g"), &rules);
	int waiter;
	bool failed, found = names(metadata, STR("t"), &failed);
	group_join(g, 0, &join, &waiter, &out);
	CHECK(group_is_subscribed(g, STR("t")) == (found || failed));
	group_free(g);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n > 100000)
		return 0;
	uint8_t *copy = malloc(n > 0 ? n : 1); /* of exactly that size */
	CHECK(copy != NULL);
	memcpy(copy, data, n);
	struct bytes b = { .at = copy, .n = (int32_t)n };
	struct arena arena = ARENA_EMPTY;
	subscribe(b);
	read_in_part(b);
	(void)consumer_subscription_text(b, &arena);
	(void)consumer_assignment_text(b, &arena);
	arena_free(&arena);
	free(copy);
	return 0;
}
