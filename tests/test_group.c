/* JoinGroup: who is let in, and how a rebalance comes to its end. */
#include "tests/lib/group_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- newcomers --- */

static void
v3_joins_directly(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "app", .version = 3, .protocols = "range:me" });
	assert_told(a, ERR_NONE);
	assert_true(was_saved);
	assert_int_equal(a->generation, 1);
	assert_string_equal(a->leader, a->id);
	assert_memory_equal(a->id, "app-", 4);
	assert_int_equal(strlen(a->id), 4 + 22);
	assert_string_equal(a->protocol, "range");
	assert_string_equal(a->protocol_type, "consumer");
	assert_false(a->skip_assignment);
	char expected[100];
	snprintf(expected, sizeof(expected), "%s=me ", a->id);
	assert_string_equal(a->members, expected);
	assert_state(GROUP_COMPLETING_REBALANCE);
	snprintf(expected, sizeof(expected), "new member %s", a->id);
	assert_string_equal(why, expected);
}

static void
v4_comes_back_with_an_id(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "app", .version = 4 });
	assert_told(a, ERR_MEMBER_ID_REQUIRED);
	assert_false(was_saved);
	assert_memory_equal(a->id, "app-", 4);
	assert_int_equal(a->generation, -1);
	assert_string_equal(a->leader, "");
	assert_null(a->protocol);
	assert_null(a->protocol_type);
	assert_state(GROUP_EMPTY);
	assert_false(group_is_idle(group));
	struct ask *b =
	    ask_join((struct as){ .client = "app", .version = 4, .id = a->id, .reason = "hello" });
	assert_told(b, ERR_NONE);
	assert_string_equal(b->id, a->id);
	assert_int_equal(b->generation, 1);
	assert_non_null(strstr(why, ": hello"));
}

/* Ids that are never used end with a session time-out; who comes later begins again. */
static void
ids_given_out_expire(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "app" });
	assert_int_equal(group_deadline(group), now_ms + SESSION_MS);
	pass(SESSION_MS - 1);
	assert_false(group_is_idle(group));
	pass(1);
	assert_true(group_is_idle(group));
	assert_true(group_deadline(group) == INT64_MAX);
	struct ask *b = ask_join((struct as){ .client = "app", .id = a->id });
	assert_told(b, ERR_UNKNOWN_MEMBER_ID);
	assert_string_equal(b->id, a->id);
}

static void
ids_given_out_are_bounded(void **state)
{
	(void)state;
	struct ask *first = ask_join((struct as){ .client = "app" });
	struct ask *second = ask_join((struct as){ .client = "app" });
	for (int i = 2; i < GROUP_PENDING_MAX + 1; i++)
		ask_join((struct as){ .client = "app" });
	assert_told(ask_join((struct as){ .client = "app", .id = first->id }), ERR_UNKNOWN_MEMBER_ID);
	assert_told(ask_join((struct as){ .client = "app", .id = second->id }), ERR_NONE);
}

static void
one_id_of_many_is_used(void **state)
{
	(void)state;
	struct ask *id[3];
	for (int i = 0; i < 3; i++)
		id[i] = ask_join((struct as){ .client = "app" });
	assert_err(leave(id[0]->id, NULL), ERR_NONE);
	assert_err(leave(id[1]->id, NULL), ERR_NONE);
	assert_err(leave(id[0]->id, NULL), ERR_UNKNOWN_MEMBER_ID);
	assert_told(ask_join((struct as){ .client = "app", .id = id[2]->id }), ERR_NONE);
	leave(id[2]->id, NULL);
	assert_true(group_is_idle(group));
}

static void
ids_are_drawn(void **state)
{
	(void)state;
	rules.new_uuid = NULL;
	struct ask *a = ask_join((struct as){ .client = "app" });
	struct ask *b = ask_join((struct as){ .client = "app" });
	assert_string_not_equal(a->id, b->id);
	struct ask *none = ask_join((struct as){ .client = NULL });
	assert_int_equal(none->id[0], '-');
}

/* An id has to fit into a string of the protocol, and no character is cut in two. */
static void
long_client_ids_are_cut(void **state)
{
	(void)state;
	static char name[32767 + 1];
	memset(name, 'x', sizeof(name) - 1);
	memcpy(name + 254, "\xc3\xa4", 2); /* half of it would be the last byte */
	struct ask *a = ask_join((struct as){ .client = name });
	assert_int_equal(strlen(a->id), 254 + 1 + 22);
	assert_int_equal(a->id[254], '-');
	memcpy(name + 253, "\xc3\xa4x", 3);
	a = ask_join((struct as){ .client = name });
	assert_int_equal(strlen(a->id), 255 + 1 + 22);
	struct ask *s = ask_join((struct as){ .client = "c", .instance = name });
	assert_told(s, ERR_NONE);
	assert_int_equal(strlen(s->id), 255 + 1 + 22);
}

static void
an_empty_client_of_many_versions(void **state)
{
	(void)state;
	for (int16_t v = 0; v <= 9; v++) {
		group_free(group);
		group = group_new(STR("g"), &rules);
		struct ask *a = ask_join((struct as){ .client = "", .version = v, .v0 = v == 0 });
		assert_told(a, v < 4 ? ERR_NONE : ERR_MEMBER_ID_REQUIRED);
		assert_int_equal(a->id[0], '-');
	}
}

/* --- who is not let in --- */

static void
session_timeouts_have_limits(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "a", .session_ms = 5999 });
	assert_told(a, ERR_INVALID_SESSION_TIMEOUT);
	assert_string_equal(a->id, "");
	a = ask_join((struct as){ .client = "a", .session_ms = 1800001, .id = "me" });
	assert_told(a, ERR_INVALID_SESSION_TIMEOUT);
	assert_string_equal(a->id, "me");
	assert_told(ask_join((struct as){ .client = "a", .session_ms = -1 }), ERR_INVALID_SESSION_TIMEOUT);
	assert_true(group_is_idle(group));
	assert_told(ask_join((struct as){ .client = "a", .session_ms = 6000 }), ERR_MEMBER_ID_REQUIRED);
	assert_told(ask_join((struct as){ .client = "a", .session_ms = 1800000 }), ERR_MEMBER_ID_REQUIRED);
}

static void
protocols_have_to_fit(void **state)
{
	(void)state;
	const enum err e = ERR_INCONSISTENT_GROUP_PROTOCOL;
	assert_told(ask_join((struct as){ .client = "a", .protocols = "-" }), e);
	assert_told(ask_join((struct as){ .client = "a", .type = "" }), e);
	struct ask *a = ask_join((struct as){ .client = "a", .version = 3, .protocols = "x,y" });
	assert_told(a, ERR_NONE);
	assert_told(ask_join((struct as){ .client = "b", .version = 3, .protocols = "z" }), e);
	assert_told(ask_join((struct as){ .client = "b", .version = 3, .protocols = "-" }), e);
	assert_told(ask_join((struct as){ .client = "b", .protocols = "y", .type = "connect" }), e);
	struct ask *wrong = ask_join((struct as){ .client = "a", .protocols = "z", .id = a->id });
	assert_told(wrong, e);
	assert_string_equal(wrong->id, a->id);
	struct ask *b = ask_join((struct as){ .client = "b", .version = 3, .protocols = "z,y" });
	assert_waits(b);
	/* Now x is not common any more. */
	assert_told(ask_join((struct as){ .client = "c", .version = 3, .protocols = "x,z" }), e);
	assert_told(ask_join((struct as){ .client = "a", .protocols = "x", .id = a->id }), e);
	struct ask *again = ask_join((struct as){ .client = "a", .protocols = "x,y", .id = a->id });
	assert_told(again, ERR_NONE);
	assert_string_equal(again->protocol, "y");
	assert_told(b, ERR_NONE);
}

static void
an_empty_group_takes_any_type(void **state)
{
	(void)state;
	struct ask *a = join_v3("a");
	leave(a->id, NULL);
	assert_state(GROUP_EMPTY);
	assert_str(group_view(group).protocol_type, "consumer");
	struct ask *b =
	    ask_join((struct as){ .client = "b", .version = 3, .type = "connect", .protocols = "z" });
	assert_told(b, ERR_NONE);
	assert_string_equal(b->protocol_type, "connect");
	assert_int_equal(b->generation, 3);
}

static void
too_many_protocols(void **state)
{
	(void)state;
	char names[(GROUP_PROTOCOLS_MAX + 1) * 3 + 1] = "";
	for (int i = 0; i <= GROUP_PROTOCOLS_MAX; i++)
		memcpy(names + 3 * i, (char[]){ (char)('A' + i), '?', ',' }, 3);
	assert_told(ask_join((struct as){ .client = "a", .version = 3, .protocols = names }),
		    ERR_INVALID_REQUEST);
	names[GROUP_PROTOCOLS_MAX * 3 - 1] = '\0';
	assert_told(ask_join((struct as){ .client = "a", .version = 3, .protocols = names }), ERR_NONE);
}

static void
unknown_members_in_every_state(void **state)
{
	(void)state;
	struct ask *m[2];
	assert_told(ask_join((struct as){ .client = "x", .id = "x-1" }), ERR_UNKNOWN_MEMBER_ID);
	assert_true(group_is_idle(group));
	make_completing(m, 2);
	assert_told(ask_join((struct as){ .client = "x", .id = "x-1" }), ERR_UNKNOWN_MEMBER_ID);
	ask_sync(m[0], NULL);
	assert_state(GROUP_STABLE);
	assert_told(ask_join((struct as){ .client = "x", .id = "x-1" }), ERR_UNKNOWN_MEMBER_ID);
	ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_told(ask_join((struct as){ .client = "x", .id = "x-1" }), ERR_UNKNOWN_MEMBER_ID);
	assert_told(ask_join((struct as){ .client = "x", .id = "x-1", .instance = "X" }),
		    ERR_UNKNOWN_MEMBER_ID);
	/* A dynamic member cannot become a static one. */
	assert_told(ask_join((struct as){ .client = "a", .id = m[0]->id, .instance = "A" }),
		    ERR_UNKNOWN_MEMBER_ID);
}

/* --- group.max.size --- */

static void
a_full_group(void **state)
{
	(void)state;
	struct ask *m[2];
	rules.max_size = 2;
	make_stable(m, 2);
	struct ask *c = join_v3("c");
	assert_told(c, ERR_GROUP_MAX_SIZE_REACHED);
	assert_string_equal(c->id, "");
	assert_told(ask_join((struct as){ .client = "c" }), ERR_GROUP_MAX_SIZE_REACHED);
	assert_state(GROUP_STABLE);
	/* Members may come back. */
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_waits(a);
	assert_told(ask_join((struct as){ .client = "b", .id = m[1]->id }), ERR_NONE);
	assert_told(a, ERR_NONE);
}

/* While members join it is first come, first served; the group goes on without those who came too late. */
static void
the_last_to_come_back_finds_it_full(void **state)
{
	(void)state;
	struct ask *m[2];
	rules.max_size = 2;
	make_stable(m, 2);
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	struct ask *c = join_v3("c");
	assert_waits(a);
	assert_waits(c);
	struct ask *again = ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_told(a, ERR_REBALANCE_IN_PROGRESS);
	assert_waits(again);
	struct ask *b = ask_join((struct as){ .client = "b", .id = m[1]->id });
	assert_told(b, ERR_GROUP_MAX_SIZE_REACHED);
	assert_told(again, ERR_NONE);
	assert_told(c, ERR_NONE);
	assert_int_equal(group_view(group).member_n, 2);
	assert_err(heartbeat(m[1]), ERR_UNKNOWN_MEMBER_ID);
}

/* A smaller limit than members: after the next rebalance there are no more than that. */
static void
a_limit_that_shrank(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable(m, 3);
	rules.max_size = 1;
	assert_told(ask_join((struct as){ .client = "b", .id = m[1]->id }), ERR_NONE);
	assert_state(GROUP_STABLE);
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_told(ask_join((struct as){ .client = "b", .id = m[1]->id }), ERR_GROUP_MAX_SIZE_REACHED);
	assert_waits(a);
	assert_told(ask_join((struct as){ .client = "c", .id = m[2]->id }), ERR_GROUP_MAX_SIZE_REACHED);
	assert_told(a, ERR_NONE);
	assert_int_equal(a->member_n, 1);
}

static void
an_id_given_out_is_no_place(void **state)
{
	(void)state;
	rules.max_size = 1;
	struct ask *a = ask_join((struct as){ .client = "a" });
	struct ask *b = ask_join((struct as){ .client = "b" });
	assert_told(ask_join((struct as){ .client = "b", .id = b->id }), ERR_NONE);
	assert_told(ask_join((struct as){ .client = "a", .id = a->id }), ERR_GROUP_MAX_SIZE_REACHED);
	leave(b->id, NULL);
	assert_true(group_is_idle(group));
}

static void
memory_is_bounded(void **state)
{
	(void)state;
	const size_t megabyte = 1 << 20;
	char *big = malloc(8 + megabyte);
	memset(big, 'm', 8 + megabyte);
	memcpy(big, "range:", 6);
	big[8 + megabyte - 1] = '\0';
	struct ask *asks[20];
	int n = 0;
	do
		asks[n] = ask_join((struct as){ .client = "a", .version = 3, .protocols = big });
	while (asks[n++]->error == ERR_NONE && n < 20);
	assert_int_equal(n, 16);
	assert_told(asks[15], ERR_GROUP_MAX_SIZE_REACHED);
	/* Smaller ones fit, and a member may come back with as much as before, but not with more. */
	assert_waits(join_v3("b"));
	assert_told(ask_join((struct as){ .client = "a", .id = asks[0]->id, .protocols = big }), ERR_NONE);
	char *bigger = malloc(8 + 2 * megabyte);
	memset(bigger, 'm', 8 + 2 * megabyte);
	memcpy(bigger, "range:", 6);
	bigger[8 + 2 * megabyte - 1] = '\0';
	assert_told(ask_join((struct as){ .client = "a", .id = asks[0]->id, .protocols = bigger }),
		    ERR_GROUP_MAX_SIZE_REACHED);
	leave(asks[0]->id, NULL);
	assert_waits(ask_join((struct as){ .client = "c", .version = 3, .protocols = big }));
	free(big);
	free(bigger);
}

/* So are the names that clients give themselves. */
static void
names_count(void **state)
{
	(void)state;
	static char name[32767 + 1];
	memset(name, 'n', sizeof(name) - 1);
	int n = 0;
	do {
		n++;
		memcpy(name,
		       (char[]){ (char)('0' + n / 100), (char)('0' + n / 10 % 10), (char)('0' + n % 10) }, 3);
	} while (join_static(name, name)->error == ERR_NONE && n < 999);
	assert_in_range(n, 250, 255); /* 64 KB each, in 16 MB */
}

/* --- votes --- */

/* a, b and c join with these; what is chosen? */
static const char *
chosen(const char *a, const char *b, const char *c)
{
	group_free(group);
	group = group_new(STR("g"), &rules);
	rules.initial_rebalance_delay_ms = 100;
	struct ask *asks[] = {
		ask_join((struct as){ .client = "a", .version = 3, .protocols = a }),
		ask_join((struct as){ .client = "b", .version = 3, .protocols = b }),
		ask_join((struct as){ .client = "c", .version = 3, .protocols = c }),
	};
	pass(200);
	for (int i = 0; i < 3; i++) {
		assert_told(asks[i], ERR_NONE);
		assert_string_equal(asks[i]->protocol, asks[0]->protocol);
	}
	return asks[0]->protocol;
}

static void
the_protocol_is_voted_for(void **state)
{
	(void)state;
	assert_string_equal(chosen("x,y", "y,x", "y,x"), "y");
	assert_string_equal(chosen("x,y", "y,x", "x,y"), "x");
	assert_string_equal(chosen("x,y,z", "y,z", "z,y"), "y");     /* a's second choice: x is not common */
	assert_string_equal(chosen("z,y,x", "y,z,x", "x,y,z"), "z"); /* one vote each: the oldest member's */
	assert_string_equal(chosen("x,x,y", "y,x", "y,x"), "y");     /* naming it twice is one vote */
	assert_string_equal(chosen("x", "y,x", "z,x"), "x");
}

/* --- the initial delay (KIP-134) --- */

static void
the_first_rebalance_waits_for_more(void **state)
{
	(void)state;
	rules.initial_rebalance_delay_ms = 3000;
	struct ask *a = join_v3("a");
	assert_state(GROUP_PREPARING_REBALANCE);
	pass(2999);
	assert_waits(a);
	pass(1);
	assert_told(a, ERR_NONE);
	assert_int_equal(a->member_n, 1);
}

static void
newcomers_prolong_the_wait(void **state)
{
	(void)state;
	rules.initial_rebalance_delay_ms = 3000;
	struct ask *a = ask_join((struct as){ .client = "a", .version = 3, .rebalance_ms = 7000 });
	pass(1000);
	struct ask *b = join_v3("b");
	pass(2500); /* 3.5 s: prolonged once */
	assert_waits(a);
	struct ask *c = join_v3("c");
	pass(3000); /* 6.5 s: prolonged again, by the one second that is left of a's seven */
	assert_waits(a);
	struct ask *d = join_v3("d");
	pass(499);
	assert_waits(a);
	pass(1);
	assert_told(a, ERR_NONE);
	assert_told(b, ERR_NONE);
	assert_told(c, ERR_NONE);
	assert_told(d, ERR_NONE);
	assert_int_equal(a->member_n, 4);
	assert_int_equal(d->member_n, 0);
	assert_string_equal(d->leader, a->id);
}

/* The second time a group fills, it is told from the first; who joins again does not count as a newcomer. */
static void
the_delay_begins_anew(void **state)
{
	(void)state;
	rules.initial_rebalance_delay_ms = 3000;
	struct ask *a = ask_join((struct as){ .client = "a", .version = 3, .rebalance_ms = 2000 });
	struct ask *b = join_v3("b");
	pass(3000); /* a's rebalance time-out allows no more */
	assert_told(a, ERR_NONE);
	leave(a->id, NULL);
	leave(b->id, NULL);
	assert_state(GROUP_EMPTY);
	struct ask *first = ask_join((struct as){ .client = "c" });
	struct ask *c = ask_join((struct as){ .client = "c", .id = first->id });
	struct ask *again = ask_join((struct as){ .client = "c", .id = first->id });
	assert_told(c, ERR_REBALANCE_IN_PROGRESS);
	pass(3000);
	assert_told(again, ERR_NONE);
}

/* Who leaves during the delay does not end it, nor do ids that were given out. */
static void
leaving_during_the_delay(void **state)
{
	(void)state;
	rules.initial_rebalance_delay_ms = 3000;
	struct ask *a = join_v3("a");
	struct ask *b = ask_join((struct as){ .client = "b", .session_ms = 100000 });
	assert_err(leave(group_member_view(group, 0).member_id.at, NULL), ERR_NONE);
	assert_told(a, ERR_UNKNOWN_MEMBER_ID);
	assert_string_equal(a->id, "");
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_int_equal(group_view(group).member_n, 0);
	struct ask *c = join_v3("c");
	pass(3000); /* prolonged, since c came */
	assert_waits(c);
	pass(3000);
	assert_told(c, ERR_NONE);
	assert_waits(ask_join((struct as){ .client = "b", .id = b->id, .session_ms = 100000 }));
	assert_told(ask_join((struct as){ .client = "c", .id = c->id }), ERR_NONE);
}

/* All groups of a worker together may hold so much. */
static void
members_of_all_groups_are_bounded(void **state)
{
	(void)state;
	int64_t left = 0;
	struct ask *a = join_v3("a");
	rules.bytes_left = &left;
	assert_told(ask_join((struct as){ .client = "b", .version = 3 }), ERR_GROUP_MAX_SIZE_REACHED);
	ask_join((struct as){ .client = "a", .id = a->id }); /* who is there may come back */
	assert_int_equal(group_view(group).member_n, 1);
	left = 10000;
	assert_waits(ask_join((struct as){ .client = "b", .version = 3 }));
	assert_true(group_bytes(group) > 0);
}

static void
everybody_left_during_the_delay(void **state)
{
	(void)state;
	rules.initial_rebalance_delay_ms = 3000;
	join_v3("a");
	assert_err(leave(group_member_view(group, 0).member_id.at, NULL), ERR_NONE);
	assert_true(was_saved);
	pass(3000);
	assert_true(was_saved);
	assert_true(group_is_idle(group));
	assert_int_equal(group_view(group).generation, 1);
}

static void
the_only_member_is_lost_during_the_delay(void **state)
{
	(void)state;
	rules.initial_rebalance_delay_ms = 30000;
	struct ask *a = join_v3("a");
	forget(a);
	pass(1);
	assert_true(group_is_idle(group));
	assert_true(was_saved);
}

/* --- members that come back --- */

static void
the_leader_of_a_stable_group_rebalances(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable(m, 2);
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id, .reason = "new partitions" });
	assert_waits(a);
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_non_null(strstr(why, "leader joins again, a-"));
	assert_non_null(strstr(why, ": new partitions"));
	assert_err(heartbeat(m[1]), ERR_REBALANCE_IN_PROGRESS);
	struct ask *b = ask_join((struct as){ .client = "b", .id = m[1]->id });
	assert_true(was_saved);
	assert_told(a, ERR_NONE);
	assert_told(b, ERR_NONE);
	assert_int_equal(a->generation, m[0]->generation + 1);
	assert_int_equal(a->member_n, 2);
	assert_int_equal(b->member_n, 0);
	assert_string_equal(b->leader, a->id);
}

static void
an_unchanged_follower_of_a_stable_group_does_not(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable(m, 2);
	struct ask *b = ask_join((struct as){ .client = "b", .id = m[1]->id });
	assert_told(b, ERR_NONE);
	assert_false(was_saved);
	assert_null(why);
	assert_state(GROUP_STABLE);
	assert_int_equal(b->generation, m[1]->generation);
	assert_int_equal(b->member_n, 0);
	struct ask *s = ask_sync(b, NULL);
	assert_told(s, ERR_NONE);
	assert_string_equal(s->assignment, "b!");
}

static void
a_changed_follower_of_a_stable_group_does(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable(m, 2);
	struct ask *b = ask_join((struct as){ .client = "b", .id = m[1]->id, .protocols = "range:more" });
	assert_waits(b);
	assert_state(GROUP_PREPARING_REBALANCE);
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_told(a, ERR_NONE);
	assert_non_null(strstr(a->members, "=more "));
	/* As long as before, but something else. */
	ask_sync(a, NULL);
	assert_told(ask_join((struct as){ .client = "b", .id = b->id, .protocols = "range:more" }), ERR_NONE);
	b = ask_join((struct as){ .client = "b", .id = b->id, .protocols = "range:mode" });
	assert_waits(b);
	a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_told(b, ERR_NONE);
	/* One more is a change, too. */
	ask_sync(a, NULL);
	assert_waits(ask_join((struct as){ .client = "b", .id = b->id, .protocols = "range:mode,x" }));
}

static void
coming_back_unchanged_while_completing(void **state)
{
	(void)state;
	struct ask *m[2];
	make_completing(m, 2);
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_told(a, ERR_NONE);
	assert_false(was_saved);
	assert_int_equal(a->generation, m[0]->generation);
	assert_string_equal(a->members, m[0]->members);
	struct ask *b = ask_join((struct as){ .client = "b", .id = m[1]->id });
	assert_told(b, ERR_NONE);
	assert_int_equal(b->member_n, 0);
	assert_state(GROUP_COMPLETING_REBALANCE);
}

static void
coming_back_changed_while_completing(void **state)
{
	(void)state;
	struct ask *m[3];
	make_completing(m, 3);
	struct ask *b = ask_sync(m[1], NULL);
	struct ask *c = ask_join((struct as){ .client = "c", .id = m[2]->id, .protocols = "range:more" });
	assert_told(b, ERR_REBALANCE_IN_PROGRESS);
	assert_string_equal(b->assignment, "");
	assert_null(b->protocol);
	assert_waits(c);
	assert_state(GROUP_PREPARING_REBALANCE);
}

static void
a_repeated_join_takes_the_place_of_the_first(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable(m, 2);
	struct ask *one = ask_join((struct as){ .client = "a", .id = m[0]->id, .protocols = "range:1" });
	struct ask *two = ask_join((struct as){ .client = "a", .id = m[0]->id, .protocols = "range:2" });
	assert_told(one, ERR_REBALANCE_IN_PROGRESS);
	assert_string_equal(one->id, m[0]->id);
	assert_waits(two);
	ask_join((struct as){ .client = "b", .id = m[1]->id });
	assert_told(two, ERR_NONE);
	assert_non_null(strstr(two->members, "=2 "));
}

static void
who_does_not_come_back_in_time_is_removed(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable(m, 3);
	struct ask *b = ask_join((struct as){ .client = "b", .id = m[1]->id, .protocols = "range:x" });
	for (int i = 0; i < REBALANCE_MS / 5000 - 1; i++) {
		pass(5000);
		assert_err(heartbeat(m[0]), ERR_REBALANCE_IN_PROGRESS);
		assert_err(heartbeat(m[2]), ERR_REBALANCE_IN_PROGRESS);
	}
	pass(4999);
	assert_waits(b);
	pass(1);
	/* a led: somebody who is there leads now. */
	assert_told(b, ERR_NONE);
	assert_string_equal(b->leader, b->id);
	assert_int_equal(b->member_n, 1);
	assert_err(heartbeat(m[0]), ERR_UNKNOWN_MEMBER_ID);
	assert_err(heartbeat(m[2]), ERR_UNKNOWN_MEMBER_ID);
}

/* The time to join is the longest that any member asks for; in v0 that is its session time-out. */
static void
the_longest_rebalance_timeout_counts(void **state)
{
	(void)state;
	struct ask *a = ask_join((struct as){ .client = "a", .v0 = true, .session_ms = 20000 });
	ask_sync(a, NULL);
	struct ask *b = ask_join((struct as){ .client = "b", .version = 1, .rebalance_ms = 9000 });
	assert_waits(b);
	for (int i = 0; i < 19; i++) {
		pass(1000);
		assert_err(heartbeat(a), ERR_REBALANCE_IN_PROGRESS);
	}
	pass(999);
	assert_waits(b);
	pass(1);
	assert_told(b, ERR_NONE);
}

/* An id that was given out is somebody about to join: the others wait for it, but not for ever. */
static void
ids_given_out_hold_up_a_rebalance(void **state)
{
	(void)state;
	struct ask *m[1], *a;
	make_stable(m, 1);
	struct ask *id = ask_join((struct as){ .client = "b" });
	a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_waits(a);
	struct ask *b = ask_join((struct as){ .client = "b", .id = id->id });
	assert_told(a, ERR_NONE);
	assert_told(b, ERR_NONE);
	assert_int_equal(a->member_n, 2);

	ask_sync(a, NULL);
	ask_join((struct as){ .client = "c" });
	a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	b = ask_join((struct as){ .client = "b", .id = b->id });
	pass(SESSION_MS - 1);
	assert_waits(a);
	pass(1);
	assert_told(a, ERR_NONE);
	assert_told(b, ERR_NONE);

	ask_sync(a, NULL);
	id = ask_join((struct as){ .client = "c" });
	a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	b = ask_join((struct as){ .client = "b", .id = b->id });
	assert_err(leave(id->id, NULL), ERR_NONE);
	assert_told(a, ERR_NONE);
}

/* A new member may be gone without anybody noticing: five minutes after it came it is no member any more. */
static void
new_members_do_not_wait_for_ever(void **state)
{
	(void)state;
	struct ask *m[1];
	make_stable(m, 1);
	m[0] = ask_join((struct as){ .client = "a", .id = m[0]->id, .rebalance_ms = 1000000 });
	ask_sync(m[0], NULL);
	struct ask *b = join_v3("b");
	for (int i = 0; i < 300 - 1; i++) {
		pass(1000);
		assert_err(heartbeat(m[0]), ERR_REBALANCE_IN_PROGRESS);
	}
	pass(999);
	assert_waits(b);
	pass(1);
	assert_told(b, ERR_UNKNOWN_MEMBER_ID);
	assert_string_equal(b->id, "");
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_told(ask_join((struct as){ .client = "a", .id = m[0]->id }), ERR_NONE);
}

/* Who waits in JoinGroup cannot send heartbeats, and needs not. */
static void
who_waits_is_not_lost(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable(m, 2);
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	for (int i = 0; i < 5; i++) {
		pass(SESSION_MS - 1);
		assert_err(heartbeat(m[1]), ERR_REBALANCE_IN_PROGRESS);
	}
	assert_waits(a);
	assert_told(ask_join((struct as){ .client = "b", .id = m[1]->id }), ERR_NONE);
	assert_told(a, ERR_NONE);
	assert_int_equal(a->member_n, 2);
	/* From here its session counts again. */
	pass(SESSION_MS - 1);
	assert_err(heartbeat(a), ERR_NONE);
}

/* --- connections that end --- */

static void
a_forgotten_member_may_come_back(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable(m, 2);
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	pass(5000);
	heartbeat(m[1]);
	forget(a);
	pass(SESSION_MS - 1);
	struct ask *again = ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_waits(again);
	struct ask *b = ask_join((struct as){ .client = "b", .id = m[1]->id });
	assert_told(again, ERR_NONE);
	assert_told(b, ERR_NONE);
	assert_int_equal(again->member_n, 2);
}

static void
a_forgotten_member_counts_as_joined_while_its_session_lasts(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable(m, 2);
	forget(ask_join((struct as){ .client = "a", .id = m[0]->id }));
	struct ask *b = ask_join((struct as){ .client = "b", .id = m[1]->id });
	assert_told(b, ERR_NONE);
	assert_string_equal(b->leader, m[0]->id);
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_told(a, ERR_NONE);
	assert_int_equal(a->member_n, 2);
}

static void
a_forgotten_member_is_lost_with_its_session(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable(m, 2);
	forget(ask_join((struct as){ .client = "a", .id = m[0]->id }));
	pass(SESSION_MS - 1);
	heartbeat(m[1]);
	pass(1);
	struct ask *b = ask_join((struct as){ .client = "b", .id = m[1]->id });
	assert_told(b, ERR_NONE);
	assert_int_equal(b->member_n, 1);
}

/* It never learned its id, so it will come back as somebody else. */
static void
a_forgotten_newcomer_is_lost_at_once(void **state)
{
	(void)state;
	struct ask *m[1];
	make_stable(m, 1);
	forget(join_v3("b"));
	assert_int_equal(group_view(group).member_n, 2);
	pass(0);
	assert_int_equal(group_view(group).member_n, 1);
	/* With an id it may, within its session. */
	struct ask *id = ask_join((struct as){ .client = "c" });
	forget(ask_join((struct as){ .client = "c", .id = id->id }));
	pass(SESSION_MS - 1);
	assert_waits(ask_join((struct as){ .client = "c", .id = id->id }));
}

static void
forgetting_a_stranger_is_nothing(void **state)
{
	(void)state;
	struct ask *m[1], stranger;
	make_stable(m, 1);
	int64_t before = group_deadline(group);
	forget(&stranger);
	assert_int_equal(group_deadline(group), before);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, group_setup, group_teardown)
	const struct CMUnitTest tests[] = {
		T(v3_joins_directly),
		T(v4_comes_back_with_an_id),
		T(ids_given_out_expire),
		T(ids_given_out_are_bounded),
		T(one_id_of_many_is_used),
		T(ids_are_drawn),
		T(long_client_ids_are_cut),
		T(an_empty_client_of_many_versions),
		T(session_timeouts_have_limits),
		T(protocols_have_to_fit),
		T(an_empty_group_takes_any_type),
		T(too_many_protocols),
		T(unknown_members_in_every_state),
		T(a_full_group),
		T(the_last_to_come_back_finds_it_full),
		T(a_limit_that_shrank),
		T(an_id_given_out_is_no_place),
		T(memory_is_bounded),
		T(names_count),
		T(the_protocol_is_voted_for),
		T(the_first_rebalance_waits_for_more),
		T(newcomers_prolong_the_wait),
		T(the_delay_begins_anew),
		T(leaving_during_the_delay),
		T(members_of_all_groups_are_bounded),
		T(everybody_left_during_the_delay),
		T(the_only_member_is_lost_during_the_delay),
		T(the_leader_of_a_stable_group_rebalances),
		T(an_unchanged_follower_of_a_stable_group_does_not),
		T(a_changed_follower_of_a_stable_group_does),
		T(coming_back_unchanged_while_completing),
		T(coming_back_changed_while_completing),
		T(a_repeated_join_takes_the_place_of_the_first),
		T(who_does_not_come_back_in_time_is_removed),
		T(the_longest_rebalance_timeout_counts),
		T(ids_given_out_hold_up_a_rebalance),
		T(new_members_do_not_wait_for_ever),
		T(who_waits_is_not_lost),
		T(a_forgotten_member_may_come_back),
		T(a_forgotten_member_counts_as_joined_while_its_session_lasts),
		T(a_forgotten_member_is_lost_with_its_session),
		T(a_forgotten_newcomer_is_lost_at_once),
		T(forgetting_a_stranger_is_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
