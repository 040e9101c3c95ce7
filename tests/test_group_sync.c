/* SyncGroup, Heartbeat, LeaveGroup, OffsetCommit; what time does; who is told when the owner fails. */
#include "tests/lib/group_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct group_sync
sync_of(const struct ask *joined)
{
	return (struct group_sync){ .generation = joined->generation,
				    .member_id = str_of(joined->id),
				    .instance_id = STR_NULL,
				    .protocol_type = STR_NULL,
				    .protocol = STR_NULL };
}

static const char *
give(const struct ask *to, const char *what)
{
	static char text[200];
	snprintf(text, sizeof(text), "%s=%s", to->id, what);
	return text;
}

/* --- SyncGroup --- */

static void
followers_wait_for_the_leader(void **state)
{
	(void)state;
	struct ask *m[3];
	make_completing(m, 3);
	struct ask *b = ask_sync(m[1], NULL);
	assert_waits(b);
	assert_false(was_saved);
	char all[200];
	snprintf(all, sizeof(all), "%s=first,stranger=x,%s=for a,%s=for b", m[1]->id, m[0]->id, m[1]->id);
	struct ask *a = ask_sync(m[0], all);
	assert_true(was_saved);
	assert_int_equal(answered, 2);
	assert_state(GROUP_STABLE);
	assert_told(a, ERR_NONE);
	assert_string_equal(a->assignment, "for a");
	assert_string_equal(a->protocol, "range");
	assert_string_equal(a->protocol_type, "consumer");
	assert_told(b, ERR_NONE);
	assert_string_equal(b->assignment, "for b"); /* of two the last */
	/* Whom the leader forgot has nothing. */
	struct ask *c = ask_sync(m[2], "ignored=x");
	assert_told(c, ERR_NONE);
	assert_false(was_saved);
	assert_string_equal(c->assignment, "");
	/* Who asks again is told again. */
	assert_string_equal(ask_sync(m[0], NULL)->assignment, "for a");
}

static void
a_follower_assigns_nothing(void **state)
{
	(void)state;
	struct ask *m[2];
	make_completing(m, 2);
	struct ask *b = ask_sync(m[1], give(m[1], "all"));
	assert_waits(b);
	assert_false(was_saved);
	assert_state(GROUP_COMPLETING_REBALANCE);
	ask_sync(m[0], give(m[0], "all"));
	assert_told(b, ERR_NONE);
	assert_string_equal(b->assignment, "");
}

static void
sync_errors(void **state)
{
	(void)state;
	struct ask *m[2], nobody = { .id = "x", .generation = 0 };
	assert_told(ask_sync(&nobody, NULL), ERR_UNKNOWN_MEMBER_ID);
	make_stable(m, 2);
	struct ask *b = ask_join((struct as){ .client = "b", .id = m[1]->id, .protocols = "range:x" });
	assert_told(ask_sync(m[0], NULL), ERR_REBALANCE_IN_PROGRESS);
	assert_waits(b);
	ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_told(ask_sync(m[0], NULL), ERR_ILLEGAL_GENERATION);
	struct group_sync in = sync_of(b);
	in.generation++;
	assert_told(ask_sync_as(in, NULL), ERR_ILLEGAL_GENERATION);
	in = sync_of(b);
	in.instance_id = STR("B");
	assert_told(ask_sync_as(in, NULL), ERR_UNKNOWN_MEMBER_ID);
	in = sync_of(b);
	in.member_id = STR("");
	assert_told(ask_sync_as(in, NULL), ERR_UNKNOWN_MEMBER_ID);
	assert_state(GROUP_COMPLETING_REBALANCE);
}

/* KIP-559: a client that took part in another rebalance than it thinks is stopped. */
static void
sync_names_the_protocol(void **state)
{
	(void)state;
	struct ask *m[1];
	make_completing(m, 1);
	struct group_sync in = sync_of(m[0]);
	in.protocol_type = STR("connect");
	in.protocol = STR("range");
	assert_told(ask_sync_as(in, NULL), ERR_INCONSISTENT_GROUP_PROTOCOL);
	in.protocol_type = STR("consumer");
	in.protocol = STR("sticky");
	assert_told(ask_sync_as(in, NULL), ERR_INCONSISTENT_GROUP_PROTOCOL);
	in.protocol = STR("range");
	assert_told(ask_sync_as(in, NULL), ERR_NONE);
	in.protocol = STR("sticky");
	assert_told(ask_sync_as(in, NULL), ERR_INCONSISTENT_GROUP_PROTOCOL);
}

static void
a_repeated_sync_takes_the_place_of_the_first(void **state)
{
	(void)state;
	struct ask *m[2];
	make_completing(m, 2);
	struct ask *one = ask_sync(m[1], NULL), *two = ask_sync(m[1], NULL);
	assert_told(one, ERR_REBALANCE_IN_PROGRESS);
	assert_waits(two);
	ask_sync(m[0], NULL);
	assert_told(two, ERR_NONE);
}

static void
assignments_are_bounded(void **state)
{
	(void)state;
	struct ask *m[2];
	make_completing(m, 2);
	struct ask *b = ask_sync(m[1], NULL);
	char *big = malloc(GROUP_BYTES_MAX + 100);
	memset(big, 'x', GROUP_BYTES_MAX + 100);
	int n = sprintf(big, "%s=", m[0]->id);
	big[n] = 'x';
	big[GROUP_BYTES_MAX] = '\0';
	assert_told(ask_sync(m[0], big), ERR_UNKNOWN_SERVER_ERROR);
	assert_waits(b);
	assert_state(GROUP_COMPLETING_REBALANCE);
	big[GROUP_BYTES_MAX - 4096] = '\0';
	assert_told(ask_sync(m[0], big), ERR_NONE);
	assert_told(b, ERR_NONE);
	free(big);
}

/* --- who joins and never syncs --- */

static void
a_leader_that_never_syncs(void **state)
{
	(void)state;
	struct ask *m[3];
	make_completing(m, 3);
	struct ask *b = ask_sync(m[1], NULL), *c = ask_sync(m[2], NULL);
	for (int i = 0; i < REBALANCE_MS / 5000 - 1; i++) {
		pass(5000);
		assert_err(heartbeat(m[0]), ERR_NONE);
	}
	pass(4999);
	assert_waits(b);
	assert_err(heartbeat(m[0]), ERR_NONE);
	pass(1);
	assert_string_equal(why, "1 members did not send their SyncGroup in time");
	assert_told(b, ERR_REBALANCE_IN_PROGRESS);
	assert_told(c, ERR_REBALANCE_IN_PROGRESS);
	assert_err(heartbeat(m[0]), ERR_UNKNOWN_MEMBER_ID);
	b = ask_join((struct as){ .client = "b", .id = m[1]->id });
	c = ask_join((struct as){ .client = "c", .id = m[2]->id });
	assert_told(b, ERR_NONE);
	assert_string_equal(c->leader, b->id);
}

static void
a_follower_that_never_syncs(void **state)
{
	(void)state;
	struct ask *m[2];
	make_completing(m, 2);
	struct ask *a = ask_sync(m[0], give(m[0], "all"));
	assert_told(a, ERR_NONE);
	assert_state(GROUP_STABLE);
	for (int i = 0; i < REBALANCE_MS / 5000; i++) {
		assert_state(GROUP_STABLE);
		heartbeat(m[0]);
		heartbeat(m[1]);
		pass(5000);
	}
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_err(heartbeat(m[0]), ERR_REBALANCE_IN_PROGRESS);
	assert_err(heartbeat(m[1]), ERR_UNKNOWN_MEMBER_ID);
}

static void
all_have_synced_so_there_is_no_deadline(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable(m, 2);
	assert_int_equal(group_deadline(group), now_ms + SESSION_MS);
	for (int i = 0; i < 2 * REBALANCE_MS / 5000; i++) {
		heartbeat(m[0]);
		heartbeat(m[1]);
		pass(5000);
	}
	assert_state(GROUP_STABLE);
}

static void
nobody_ever_syncs(void **state)
{
	(void)state;
	struct ask *m[2];
	make_completing(m, 2);
	for (int i = 0; i < REBALANCE_MS / 5000; i++) {
		heartbeat(m[0]);
		heartbeat(m[1]);
		pass(5000);
	}
	assert_true(group_is_idle(group));
	assert_true(was_saved);
	assert_int_equal(group_view(group).generation, m[0]->generation + 1);
}

/* --- Heartbeat --- */

static void
heartbeats_in_every_state(void **state)
{
	(void)state;
	struct ask *m[2], nobody = { .id = "x", .generation = 0 };
	assert_err(heartbeat(&nobody), ERR_UNKNOWN_MEMBER_ID);
	struct ask *id = ask_join((struct as){ .client = "x" });
	id->generation = 0;
	assert_err(heartbeat(id), ERR_UNKNOWN_MEMBER_ID);
	leave(id->id, NULL);
	make_completing(m, 2);
	assert_err(heartbeat(m[0]), ERR_NONE);
	assert_err(heartbeat(m[1]), ERR_NONE);
	ask_sync(m[0], NULL);
	assert_err(heartbeat(m[1]), ERR_NONE);
	nobody = *m[1];
	nobody.generation--;
	assert_err(heartbeat(&nobody), ERR_ILLEGAL_GENERATION);
	nobody.generation += 2;
	assert_err(heartbeat(&nobody), ERR_ILLEGAL_GENERATION);
	assert_err(group_heartbeat(group, now_ms, str_of(m[1]->id), STR("B"), m[1]->generation),
		   ERR_UNKNOWN_MEMBER_ID);
	ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_err(heartbeat(m[0]), ERR_REBALANCE_IN_PROGRESS);
	assert_err(heartbeat(m[1]), ERR_REBALANCE_IN_PROGRESS);
}

/* --- sessions --- */

static void
a_member_is_lost_in_a_stable_group(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable(m, 3);
	pass(5000);
	heartbeat(m[0]);
	heartbeat(m[2]);
	pass(5000);
	char expected[100];
	snprintf(expected, sizeof(expected), "member %s was not heard of for 10000 ms", m[1]->id);
	assert_string_equal(why, expected);
	assert_true(was_saved); /* a successor of this coordinator does not know it either */
	assert_state(GROUP_PREPARING_REBALANCE);
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	ask_join((struct as){ .client = "c", .id = m[2]->id });
	assert_told(a, ERR_NONE);
	assert_int_equal(a->member_n, 2);
}

/* The last that the others waited for. */
static void
a_member_is_lost_while_preparing(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable(m, 3);
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	struct ask *c = ask_join((struct as){ .client = "c", .id = m[2]->id });
	pass(SESSION_MS - 1);
	assert_waits(a);
	pass(1);
	assert_true(was_saved);
	assert_told(a, ERR_NONE);
	assert_told(c, ERR_NONE);
	assert_int_equal(a->member_n, 2);
}

static void
a_member_is_lost_while_completing(void **state)
{
	(void)state;
	struct ask *m[3];
	make_completing(m, 3);
	struct ask *b = ask_sync(m[1], NULL), *c = ask_sync(m[2], NULL);
	pass(SESSION_MS - 1);
	assert_waits(b);
	pass(1);
	assert_told(b, ERR_REBALANCE_IN_PROGRESS);
	assert_told(c, ERR_REBALANCE_IN_PROGRESS);
	assert_int_equal(group_view(group).member_n, 2);
	/* Those who waited for their assignment have a whole session to come back. */
	pass(SESSION_MS - 1);
	b = ask_join((struct as){ .client = "b", .id = m[1]->id });
	c = ask_join((struct as){ .client = "c", .id = m[2]->id });
	assert_told(b, ERR_NONE);
}

static void
all_are_lost(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable(m, 3);
	pass(SESSION_MS);
	assert_true(was_saved);
	assert_true(group_is_idle(group));
	assert_int_equal(group_view(group).generation, m[0]->generation + 1);
	assert_true(group_deadline(group) == INT64_MAX);
}

static void
each_has_its_own_session(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "a", .version = 3, .session_ms = 30000 });
	struct ask *b = ask_join((struct as){ .client = "b", .version = 3, .session_ms = 6000 });
	a = ask_join((struct as){ .client = "a", .id = a->id, .session_ms = 20000 });
	ask_sync(a, NULL);
	ask_sync(b, NULL);
	assert_state(GROUP_STABLE);
	pass(5999);
	assert_int_equal(group_view(group).member_n, 2);
	pass(1);
	assert_int_equal(group_view(group).member_n, 1);
	pass(13999);
	assert_int_equal(group_view(group).member_n, 1);
	pass(1);
	assert_int_equal(group_view(group).member_n, 0);
}

/* JoinGroup and SyncGroup that are answered at once show as well that a member lives. */
static void
every_valid_request_keeps_a_session(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable(m, 2);
	pass(SESSION_MS - 1);
	heartbeat(m[0]);
	ask_join((struct as){ .client = "b", .id = m[1]->id });
	pass(SESSION_MS - 1);
	heartbeat(m[0]);
	ask_sync(m[1], NULL);
	pass(SESSION_MS - 1);
	heartbeat(m[0]);
	assert_err(may_commit(m[1]->id, NULL, m[1]->generation), ERR_NONE);
	pass(SESSION_MS - 1);
	assert_state(GROUP_STABLE);
	/* What is refused does not. */
	heartbeat(m[0]);
	may_commit(m[1]->id, NULL, m[1]->generation + 1);
	m[1]->generation--;
	heartbeat(m[1]);
	ask_sync(m[1], NULL);
	pass(1);
	assert_state(GROUP_PREPARING_REBALANCE);
}

/* Who waits for its assignment needs no heartbeats; from when it has it, it does. */
static void
waiting_for_an_assignment_is_no_silence(void **state)
{
	(void)state;
	struct ask *m[2];
	make_completing(m, 2);
	struct ask *b = ask_sync(m[1], NULL);
	for (int i = 0; i < 3; i++) {
		pass(SESSION_MS - 1);
		assert_err(heartbeat(m[0]), ERR_NONE);
	}
	assert_told(ask_sync(m[0], NULL), ERR_NONE);
	assert_told(b, ERR_NONE);
	pass(SESSION_MS - 1);
	assert_state(GROUP_STABLE);
	heartbeat(m[0]);
	pass(1);
	assert_err(heartbeat(m[1]), ERR_UNKNOWN_MEMBER_ID);
}

static void
a_forgotten_follower_may_sync_again(void **state)
{
	(void)state;
	struct ask *m[2];
	make_completing(m, 2);
	struct ask *b = ask_sync(m[1], NULL);
	pass(SESSION_MS - 1);
	heartbeat(m[0]);
	forget(b);
	pass(SESSION_MS - 1);
	heartbeat(m[0]);
	assert_told(ask_sync(m[0], give(m[1], "yours")), ERR_NONE);
	b = ask_sync(m[1], NULL);
	assert_string_equal(b->assignment, "yours");
}

/* --- LeaveGroup --- */

static void
leave_errors(void **state)
{
	(void)state;
	struct ask *m[2];
	assert_err(leave("x", NULL), ERR_UNKNOWN_MEMBER_ID);
	assert_err(leave("", NULL), ERR_UNKNOWN_MEMBER_ID);
	assert_err(leave("", "X"), ERR_UNKNOWN_MEMBER_ID);
	make_stable(m, 2);
	assert_err(leave("x", NULL), ERR_UNKNOWN_MEMBER_ID);
	assert_err(leave("", NULL), ERR_UNKNOWN_MEMBER_ID);
	assert_err(leave("", "X"), ERR_UNKNOWN_MEMBER_ID);
	assert_err(leave(m[0]->id, "X"), ERR_UNKNOWN_MEMBER_ID);
	assert_state(GROUP_STABLE);
}

static void
leaving_a_stable_group(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable(m, 2);
	assert_err(leave(m[0]->id, NULL), ERR_NONE);
	char expected[100];
	snprintf(expected, sizeof(expected), "member %s leaves", m[0]->id);
	assert_string_equal(why, expected);
	assert_true(was_saved);
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_err(leave(m[0]->id, NULL), ERR_UNKNOWN_MEMBER_ID);
	struct ask *b = ask_join((struct as){ .client = "b", .id = m[1]->id });
	assert_told(b, ERR_NONE);
	assert_string_equal(b->leader, b->id);
	assert_err(leave(b->id, NULL), ERR_NONE);
	assert_true(was_saved);
	assert_true(group_is_idle(group));
}

static void
leaving_while_preparing(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable(m, 3);
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	struct ask *b = ask_join((struct as){ .client = "b", .id = m[1]->id });
	assert_err(leave(m[0]->id, NULL), ERR_NONE);
	assert_told(a, ERR_UNKNOWN_MEMBER_ID);
	assert_string_equal(a->id, "");
	assert_waits(b);
	assert_err(leave(m[2]->id, NULL), ERR_NONE);
	assert_true(was_saved);
	assert_told(b, ERR_NONE);
	assert_int_equal(b->member_n, 1);
}

static void
leaving_while_completing(void **state)
{
	(void)state;
	struct ask *m[3];
	make_completing(m, 3);
	struct ask *b = ask_sync(m[1], NULL), *c = ask_sync(m[2], NULL);
	assert_err(leave(m[1]->id, NULL), ERR_NONE);
	assert_told(b, ERR_UNKNOWN_MEMBER_ID);
	assert_told(c, ERR_REBALANCE_IN_PROGRESS);
	assert_state(GROUP_PREPARING_REBALANCE);
}

static void
giving_up_an_id(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "a" });
	assert_err(leave(a->id, NULL), ERR_NONE);
	assert_true(group_is_idle(group));
	assert_err(leave(a->id, NULL), ERR_UNKNOWN_MEMBER_ID);
}

/* A LeaveGroup of several members is one list of actions, and saves once, before all answers. */
static void
several_leave_in_one_request(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable(m, 3);
	struct ask *c = ask_join((struct as){ .client = "c", .id = m[2]->id, .protocols = "range:x" });
	struct arena arena = ARENA_EMPTY;
	struct group_actions out = { .arena = &arena };
	assert_err(group_leave(group, now_ms, str_of(m[0]->id), STR_NULL, &out), ERR_NONE);
	assert_err(group_leave(group, now_ms, str_of(m[0]->id), STR_NULL, &out), ERR_UNKNOWN_MEMBER_ID);
	assert_err(group_leave(group, now_ms, str_of(m[1]->id), STR_NULL, &out), ERR_NONE);
	assert_int_equal(out.n, 2);
	assert_int_equal(out.at[1].joined.generation, m[0]->generation + 1);
	assert_err(group_leave(group, now_ms, str_of(m[2]->id), STR_NULL, &out), ERR_NONE);
	group_check(group);
	assert_int_equal(out.n, 2);
	assert_int_equal(out.at[0].kind, GROUP_SAVE);
	assert_int_equal(out.at[1].kind, GROUP_ANSWER_JOIN);
	assert_ptr_equal(out.at[1].waiter, c);
	assert_true(group_is_idle(group));
	arena_free(&arena);
}

/* --- OffsetCommit --- */

static void
commits_in_every_state(void **state)
{
	(void)state;
	struct ask *m[2];
	assert_err(may_commit("", NULL, -1), ERR_NONE);
	assert_err(may_commit("x", NULL, -1), ERR_NONE); /* as in Kafka */
	assert_err(may_commit("", NULL, 0), ERR_UNKNOWN_MEMBER_ID);
	assert_err(may_commit("x", NULL, 0), ERR_UNKNOWN_MEMBER_ID);
	make_completing(m, 2);
	const int32_t generation = m[0]->generation;
	assert_err(may_commit(m[0]->id, NULL, generation), ERR_REBALANCE_IN_PROGRESS);
	assert_err(may_commit(m[0]->id, NULL, generation - 1), ERR_ILLEGAL_GENERATION);
	assert_err(may_commit("", NULL, -1), ERR_UNKNOWN_MEMBER_ID);
	ask_sync(m[0], NULL);
	assert_err(may_commit(m[0]->id, NULL, generation), ERR_NONE);
	assert_err(may_commit(m[0]->id, NULL, generation - 1), ERR_ILLEGAL_GENERATION);
	assert_err(may_commit(m[0]->id, NULL, generation + 1), ERR_ILLEGAL_GENERATION);
	assert_err(may_commit(m[0]->id, NULL, -1), ERR_ILLEGAL_GENERATION);
	assert_err(may_commit("x", NULL, generation), ERR_UNKNOWN_MEMBER_ID);
	assert_err(may_commit("", NULL, generation), ERR_UNKNOWN_MEMBER_ID);
	assert_err(may_commit("", NULL, -1), ERR_UNKNOWN_MEMBER_ID);
	assert_err(may_commit("", "X", -1), ERR_UNKNOWN_MEMBER_ID);
	/* While others join, what was done in the old generation may still be noted. */
	ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_err(may_commit(m[1]->id, NULL, generation), ERR_NONE);
	assert_err(may_commit("", NULL, -1), ERR_UNKNOWN_MEMBER_ID);
	leave(m[1]->id, NULL);
	assert_err(may_commit(m[1]->id, NULL, generation), ERR_UNKNOWN_MEMBER_ID);
	assert_err(may_commit(m[0]->id, NULL, generation), ERR_ILLEGAL_GENERATION);
	leave(m[0]->id, NULL);
	assert_err(may_commit("", NULL, -1), ERR_NONE);
}

/* --- the owner fails --- */

static void
all_waiters_are_known(void **state)
{
	(void)state;
	struct ask *m[3];
	struct arena arena = ARENA_EMPTY;
	void **waiters;
	assert_int_equal(group_waiters(group, &arena, &waiters), 0);
	make_completing(m, 3);
	assert_int_equal(group_waiters(group, &arena, &waiters), 0);
	struct ask *b = ask_sync(m[1], NULL), *c = ask_sync(m[2], NULL);
	assert_int_equal(group_waiters(group, &arena, &waiters), 2);
	assert_ptr_equal(waiters[0], b);
	assert_ptr_equal(waiters[1], c);
	forget(b);
	assert_int_equal(group_waiters(group, &arena, &waiters), 1);
	struct ask *d = join_v3("d");
	assert_int_equal(group_waiters(group, &arena, &waiters), 1);
	assert_ptr_equal(waiters[0], d);
	arena_free(&arena);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, group_setup, group_teardown)
	const struct CMUnitTest tests[] = {
		T(followers_wait_for_the_leader),
		T(a_follower_assigns_nothing),
		T(sync_errors),
		T(sync_names_the_protocol),
		T(a_repeated_sync_takes_the_place_of_the_first),
		T(assignments_are_bounded),
		T(a_leader_that_never_syncs),
		T(a_follower_that_never_syncs),
		T(all_have_synced_so_there_is_no_deadline),
		T(nobody_ever_syncs),
		T(heartbeats_in_every_state),
		T(a_member_is_lost_in_a_stable_group),
		T(a_member_is_lost_while_preparing),
		T(a_member_is_lost_while_completing),
		T(all_are_lost),
		T(each_has_its_own_session),
		T(every_valid_request_keeps_a_session),
		T(waiting_for_an_assignment_is_no_silence),
		T(a_forgotten_follower_may_sync_again),
		T(leave_errors),
		T(leaving_a_stable_group),
		T(leaving_while_preparing),
		T(leaving_while_completing),
		T(giving_up_an_id),
		T(several_leave_in_one_request),
		T(commits_in_every_state),
		T(all_waiters_are_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
