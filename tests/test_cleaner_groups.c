/* What groups with members read, as the cleaner is told it. */
#include "broker/cleaner_groups.h"

#include <string.h>

#include "tests/lib/group_fixture.h"

static struct buf bytes;
static struct stored_group stored;
static void *opened;

static int
teardown(void **state)
{
	if (opened != NULL)
		cleaner_groups.close(opened);
	opened = NULL;
	buf_free(&bytes);
	return group_teardown(state);
}

/* Consumer protocol, version 0: one topic of one letter, no user data. */
static void
join(const char *type, char topic, int16_t version, void *waiter)
{
	const uint8_t metadata[] = { 0, 0, 0, 0, 0, 1, 0, 1, (uint8_t)topic, 0xff, 0xff, 0xff, 0xff };
	struct group_protocol protocol = { .name = STR("range"), .metadata = { metadata, sizeof(metadata) } };
	struct arena arena = ARENA_EMPTY;
	struct group_actions out = { .arena = &arena, .why = STR_NULL };
	struct group_join in = { .version = version,
				 .member_id = STR(""),
				 .instance_id = STR_NULL,
				 .client_id = STR("c"),
				 .client_host = STR("/h"),
				 .protocol_type = str_of(type),
				 .reason = STR_NULL,
				 .session_timeout_ms = SESSION_MS,
				 .rebalance_timeout_ms = REBALANCE_MS,
				 .protocols = &protocol,
				 .protocol_n = 1 };
	group_join(group, now_ms, &in, waiter, &out);
	arena_free(&arena);
}

/* The one member's SyncGroup, as the leader that it is. */
static void
sync_group(void *waiter)
{
	struct arena arena = ARENA_EMPTY;
	struct group_actions out = { .arena = &arena, .why = STR_NULL };
	struct group_assignment assignment = { .member_id = group_view(group).leader };
	struct group_sync in = { .generation = group_view(group).generation,
				 .member_id = group_view(group).leader,
				 .instance_id = STR_NULL,
				 .protocol_type = STR_NULL,
				 .protocol = STR_NULL,
				 .assignments = &assignment,
				 .assignment_n = 1 };
	group_sync(group, now_ms, &in, waiter, &out);
	arena_free(&arena);
	assert_state(GROUP_STABLE);
}

static bool
opens(void)
{
	group_encode(group, &bytes);
	stored.state = (struct bytes){ .at = buf_head(&bytes), .n = (int32_t)buf_len(&bytes) };
	opened = cleaner_groups.open(&stored);
	return opened != NULL;
}

static int waiters[2];

static void
a_stable_group_of_consumers(void **state)
{
	(void)state;
	join("consumer", 'a', 3, &waiters[0]);
	sync_group(&waiters[0]);
	assert_true(opens());
	assert_true(cleaner_groups.reads(opened, STR("a")));
	assert_false(cleaner_groups.reads(opened, STR("b")));
}

static void
a_group_that_rebalances(void **state)
{
	(void)state;
	join("consumer", 'a', 3, &waiters[0]);
	assert_state(GROUP_COMPLETING_REBALANCE);
	assert_false(opens());
}

static void
a_group_that_prepares(void **state)
{
	(void)state;
	join("consumer", 'a', 3, &waiters[0]);
	sync_group(&waiters[0]);
	join("consumer", 'b', 3, &waiters[1]);
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_false(opens());
}

static void
a_group_of_another_type(void **state)
{
	(void)state;
	join("connect", 'a', 3, &waiters[0]);
	sync_group(&waiters[0]);
	assert_false(opens());
}

static void
a_group_without_members(void **state)
{
	(void)state;
	assert_false(opens());
}

static void
a_damaged_state(void **state)
{
	(void)state;
	stored.state = (struct bytes){ (const uint8_t *)"\1\3\0", 3 };
	assert_null(cleaner_groups.open(&stored));
	stored.state.n = 0;
	assert_null(cleaner_groups.open(&stored));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, group_setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stable_group_of_consumers), TEST(a_group_that_rebalances), TEST(a_group_that_prepares),
		TEST(a_group_of_another_type),     TEST(a_group_without_members), TEST(a_damaged_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
