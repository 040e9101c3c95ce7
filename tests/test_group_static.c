/* Static members (KIP-345): they come back without their id, and nobody notices. */
#include "tests/lib/group_fixture.h"

#include <stdio.h>
#include <string.h>

static enum err
heartbeat_as(const char *id, const char *instance, int32_t generation)
{
	return group_heartbeat(group, now_ms, str_of(id), str_of(instance), generation);
}

/* What a process may still try that does not know of its successor. */
static void
assert_fenced(const struct ask *old, const char *instance)
{
	assert_err(heartbeat_as(old->id, instance, old->generation), ERR_FENCED_INSTANCE_ID);
	assert_err(heartbeat_as(old->id, NULL, old->generation), ERR_UNKNOWN_MEMBER_ID);
	assert_err(may_commit(old->id, instance, old->generation), ERR_FENCED_INSTANCE_ID);
	assert_err(may_commit(old->id, NULL, old->generation), ERR_UNKNOWN_MEMBER_ID);
	struct group_sync in = { .generation = old->generation,
				 .member_id = str_of(old->id),
				 .instance_id = str_of(instance),
				 .protocol_type = STR_NULL,
				 .protocol = STR_NULL };
	assert_told(ask_sync_as(in, NULL), ERR_FENCED_INSTANCE_ID);
	struct ask *join = ask_join((struct as){ .client = "old", .id = old->id, .instance = instance });
	assert_told(join, ERR_FENCED_INSTANCE_ID);
	assert_string_equal(join->id, old->id);
	assert_err(leave(old->id, instance), ERR_FENCED_INSTANCE_ID);
}

static void
joins_directly_in_all_versions(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "a", .instance = "A", .version = 9 });
	assert_told(a, ERR_NONE);
	assert_memory_equal(a->id, "A-", 2);
	char expected[100];
	snprintf(expected, sizeof(expected), "%s/A= ", a->id);
	assert_string_equal(a->members, expected);
}

static void
a_follower_comes_back(void **state)
{
	(void)state;
	struct ask *m[2];
	for (int16_t version = 5; version <= 9; version += 4) {
		make_stable_static(m, 2);
		struct ask *b = ask_join((struct as){ .client = "b", .instance = "B", .version = version });
		assert_told(b, ERR_NONE);
		assert_true(was_saved);
		assert_null(why);
		assert_state(GROUP_STABLE);
		assert_string_not_equal(b->id, m[1]->id);
		assert_int_equal(b->generation, m[1]->generation);
		assert_string_equal(b->leader, m[0]->id);
		assert_int_equal(b->member_n, 0);
		assert_false(b->skip_assignment);
		assert_string_equal(ask_sync(b, NULL)->assignment, "b!");
		assert_fenced(m[1], "B");
		assert_err(heartbeat_as(b->id, "B", b->generation), ERR_NONE);
		assert_err(leave("", "A"), ERR_NONE);
		assert_err(leave("", "B"), ERR_NONE);
		assert_true(group_is_idle(group));
	}
}

/* Before v9 it is told that its former self leads, so that it assigns nothing. */
static void
a_leader_comes_back_v5(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable_static(m, 2);
	struct ask *a = ask_join((struct as){ .client = "a", .instance = "A", .version = 8 });
	assert_told(a, ERR_NONE);
	assert_state(GROUP_STABLE);
	assert_string_equal(a->leader, m[0]->id);
	assert_int_equal(a->member_n, 0);
	assert_false(a->skip_assignment);
	assert_str(group_view(group).leader, a->id);
	assert_string_equal(ask_sync(a, NULL)->assignment, "a!");
	assert_fenced(m[0], "A");
}

static void
a_leader_comes_back_v9(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable_static(m, 2);
	struct ask *a = ask_join((struct as){ .client = "a", .instance = "A", .version = 9 });
	assert_told(a, ERR_NONE);
	assert_true(was_saved);
	assert_string_equal(a->leader, a->id);
	assert_int_equal(a->member_n, 2);
	assert_true(a->skip_assignment);
	char expected[200];
	snprintf(expected, sizeof(expected), "%s/A= %s/B= ", a->id, m[1]->id);
	assert_string_equal(a->members, expected);
	assert_string_equal(ask_sync(a, NULL)->assignment, "a!");
	/* As the leader it may ask for a rebalance. */
	assert_waits(ask_join((struct as){ .client = "a", .instance = "A", .id = a->id, .version = 9 }));
	assert_state(GROUP_PREPARING_REBALANCE);
}

static void
comes_back_with_other_timeouts(void **state)
{
	(void)state;
	struct ask *m[1];
	make_stable_static(m, 1);
	pass(SESSION_MS - 1);
	struct ask *a = ask_join((struct as){ .client = "a", .instance = "A", .session_ms = 20000 });
	assert_told(a, ERR_NONE);
	pass(19999);
	assert_state(GROUP_STABLE);
	pass(1);
	assert_true(group_is_idle(group));
}

/* Its new metadata is kept, for the next rebalance. */
static void
comes_back_with_other_metadata(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable_static(m, 2);
	struct ask *b = ask_join((struct as){ .client = "b", .instance = "B", .protocols = "range:more" });
	assert_told(b, ERR_NONE);
	assert_state(GROUP_STABLE);
	struct ask *a = ask_join((struct as){ .client = "a", .instance = "A", .id = m[0]->id });
	ask_join((struct as){ .client = "b", .instance = "B", .id = b->id, .protocols = "range:more" });
	assert_non_null(strstr(a->members, "/B=more "));
}

static void
comes_back_with_other_protocols(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "a", .instance = "A", .protocols = "x,y" });
	ask_sync(a, NULL);
	assert_state(GROUP_STABLE);
	/* x would still be chosen. */
	struct ask *b = ask_join((struct as){ .client = "a", .instance = "A", .protocols = "x,z" });
	assert_told(b, ERR_NONE);
	assert_state(GROUP_STABLE);
	assert_int_equal(b->generation, a->generation);
	/* Now it is not. */
	struct ask *c = ask_join((struct as){ .client = "a", .instance = "A", .protocols = "z,x" });
	assert_told(c, ERR_NONE);
	assert_true(was_saved);
	assert_int_equal(c->generation, a->generation + 1);
	assert_string_equal(c->protocol, "z");
	assert_string_equal(c->leader, c->id);
	assert_state(GROUP_COMPLETING_REBALANCE);
	assert_told(ask_join((struct as){ .client = "a", .instance = "A", .protocols = "y" }),
		    ERR_INCONSISTENT_GROUP_PROTOCOL);
}

static void
comes_back_while_preparing(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable_static(m, 2);
	struct ask *b =
	    ask_join((struct as){ .client = "b", .instance = "B", .id = m[1]->id, .protocols = "range:x" });
	assert_waits(b);
	struct ask *b2 = join_static("b", "B");
	assert_true(was_saved);
	assert_told(b, ERR_FENCED_INSTANCE_ID);
	assert_string_equal(b->id, m[1]->id);
	assert_waits(b2);
	/* The last that the others wait for. */
	struct ask *a2 = join_static("a", "A");
	assert_told(a2, ERR_NONE);
	assert_told(b2, ERR_NONE);
	assert_string_equal(a2->leader, a2->id);
	assert_int_equal(a2->member_n, 2);
	assert_false(a2->skip_assignment);
	assert_fenced(m[0], "A");
}

/* The leader was told of its old id, and would assign to that: all begin again. */
static void
comes_back_while_completing(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable_static(m, 3);
	struct ask *a = ask_join((struct as){ .client = "a", .instance = "A", .id = m[0]->id });
	struct ask *b = ask_join((struct as){ .client = "b", .instance = "B", .id = m[1]->id });
	struct ask *c = ask_join((struct as){ .client = "c", .instance = "C", .id = m[2]->id });
	assert_told(a, ERR_NONE);
	b = ask_sync(b, NULL);
	c = ask_sync(c, NULL);
	struct ask *b2 = join_static("b", "B");
	assert_true(was_saved);
	assert_told(b, ERR_FENCED_INSTANCE_ID);
	assert_told(c, ERR_REBALANCE_IN_PROGRESS);
	assert_waits(b2);
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_err(heartbeat(a), ERR_REBALANCE_IN_PROGRESS);
}

/* Who was replaced before it ever got an answer. */
static void
two_newcomers_of_one_instance(void **state)
{
	(void)state;
	rules.initial_rebalance_delay_ms = 3 * SESSION_MS;
	struct ask *one = join_static("a", "A");
	struct ask *two = join_static("a", "A");
	assert_told(one, ERR_FENCED_INSTANCE_ID);
	assert_waits(two);
	pass(3 * SESSION_MS - 1); /* while it waits, its session does not end */
	assert_waits(two);
	pass(1);
	assert_told(two, ERR_NONE);
	assert_int_equal(two->member_n, 1);
}

/* Unlike others it keeps its place until its session ends; it is part of the next generation. */
static void
an_absent_one_keeps_its_place(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "a", .instance = "A", .session_ms = 200000 });
	ask_sync(a, NULL);
	struct ask *b = join_v3("b");
	assert_waits(b);
	pass(REBALANCE_MS);
	assert_told(b, ERR_NONE);
	assert_int_equal(b->member_n, 2);
	assert_string_equal(b->leader, b->id);
	ask_sync(b, NULL);
	assert_state(GROUP_STABLE);
	/* It comes back under its own id, and is told of the generation it had missed. */
	struct ask *a2 =
	    ask_join((struct as){ .client = "a", .instance = "A", .id = a->id, .session_ms = 200000 });
	assert_told(a2, ERR_NONE);
	assert_int_equal(a2->generation, b->generation);
	assert_told(ask_sync(a2, NULL), ERR_NONE);
	assert_state(GROUP_STABLE);
}

static void
an_absent_one_has_to_sync_in_time(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "a", .instance = "A", .session_ms = 200000 });
	ask_sync(a, NULL);
	struct ask *b = ask_join((struct as){ .client = "b", .version = 3, .session_ms = 200000 });
	pass(REBALANCE_MS);
	assert_told(ask_sync(b, NULL), ERR_NONE);
	pass(REBALANCE_MS - 1);
	assert_state(GROUP_STABLE);
	pass(1);
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_int_equal(group_view(group).member_n, 1);
	assert_err(heartbeat_as(a->id, "A", b->generation), ERR_UNKNOWN_MEMBER_ID);
}

/* Nobody comes back, but all are static: the rebalance goes on until sessions end, or somebody comes. */
static void
nobody_comes_back(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "a", .instance = "A", .session_ms = 200000 });
	struct ask *b = ask_join((struct as){ .client = "b", .version = 3, .session_ms = 200000 });
	a = ask_join((struct as){ .client = "a", .instance = "A", .id = a->id, .session_ms = 200000 });
	ask_sync(a, NULL);
	ask_sync(b, NULL);
	leave(b->id, NULL);
	assert_state(GROUP_PREPARING_REBALANCE);
	pass(199999);
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_int_equal(group_view(group).member_n, 1);
	assert_err(heartbeat_as(a->id, "A", a->generation), ERR_REBALANCE_IN_PROGRESS);
	pass(1);
	struct ask *again = join_static("a", "A");
	assert_told(again, ERR_NONE);
	assert_int_equal(again->generation, a->generation + 1);
}

static void
nobody_comes_back_at_all(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable_static(m, 3);
	leave("", "A");
	pass(SESSION_MS);
	assert_true(group_is_idle(group));
	assert_true(was_saved);
}

/* A rebalance time-out of nothing must not make time stand still. */
static void
no_time_to_join(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "a", .instance = "A", .rebalance_ms = -1 });
	ask_sync(a, NULL);
	struct ask *b = ask_join((struct as){ .client = "b", .version = 3, .rebalance_ms = -1 });
	pass(0);
	assert_told(b, ERR_NONE);
	pass(100000);
	assert_true(group_is_idle(group));
}

static void
comes_back_to_a_full_group(void **state)
{
	(void)state;
	struct ask *m[2];
	rules.max_size = 2;
	make_stable_static(m, 2);
	assert_told(join_static("c", "C"), ERR_GROUP_MAX_SIZE_REACHED);
	assert_told(join_static("b", "B"), ERR_NONE);
	/* While members join, it may lose its place as any other. */
	ask_join((struct as){ .client = "a", .instance = "A", .id = m[0]->id });
	assert_waits(join_v3("x"));
	assert_told(join_static("b", "B"), ERR_GROUP_MAX_SIZE_REACHED);
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_waits(join_static("a", "A"));
}

static void
an_id_given_out_is_not_static(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "a" });
	assert_told(ask_join((struct as){ .client = "a", .id = a->id, .instance = "A" }),
		    ERR_UNKNOWN_MEMBER_ID);
	assert_told(ask_join((struct as){ .client = "a", .id = a->id }), ERR_NONE);
}

static void
leaves_by_instance_or_by_both(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable_static(m, 3);
	assert_err(leave(m[0]->id, "B"), ERR_FENCED_INSTANCE_ID);
	assert_err(leave(m[0]->id, "X"), ERR_UNKNOWN_MEMBER_ID);
	assert_err(leave(m[0]->id, "A"), ERR_NONE);
	assert_err(leave(m[1]->id, NULL), ERR_NONE);
	assert_err(leave("", "C"), ERR_NONE);
	assert_true(group_is_idle(group));
	/* The instance is free again. */
	assert_told(join_static("a", "A"), ERR_NONE);
}

static void
instances_are_looked_at_before_ids(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable_static(m, 2);
	assert_err(heartbeat_as(m[0]->id, "B", m[0]->generation), ERR_FENCED_INSTANCE_ID);
	assert_err(heartbeat_as("x", "A", m[0]->generation), ERR_FENCED_INSTANCE_ID);
	assert_err(heartbeat_as(m[0]->id, "X", m[0]->generation), ERR_UNKNOWN_MEMBER_ID);
	assert_err(heartbeat_as(m[0]->id, "A", m[0]->generation + 1), ERR_ILLEGAL_GENERATION);
	assert_err(heartbeat_as(m[0]->id, NULL, m[0]->generation), ERR_NONE);
	assert_err(may_commit("", "A", -1), ERR_FENCED_INSTANCE_ID);
	assert_err(may_commit(m[0]->id, "A", m[0]->generation), ERR_NONE);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, group_setup, group_teardown)
	const struct CMUnitTest tests[] = {
		T(joins_directly_in_all_versions),
		T(a_follower_comes_back),
		T(a_leader_comes_back_v5),
		T(a_leader_comes_back_v9),
		T(comes_back_with_other_timeouts),
		T(comes_back_with_other_metadata),
		T(comes_back_with_other_protocols),
		T(comes_back_while_preparing),
		T(comes_back_while_completing),
		T(two_newcomers_of_one_instance),
		T(an_absent_one_keeps_its_place),
		T(an_absent_one_has_to_sync_in_time),
		T(nobody_comes_back),
		T(nobody_comes_back_at_all),
		T(no_time_to_join),
		T(comes_back_to_a_full_group),
		T(an_id_given_out_is_not_static),
		T(leaves_by_instance_or_by_both),
		T(instances_are_looked_at_before_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
