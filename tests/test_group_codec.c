/* The state as bytes: what survives the owner, what is refused. And looking at a group. */
#include "tests/lib/group_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

static struct group *
decode(const struct buf *b)
{
	struct bytes state = { .at = buf_head(b), .n = (int32_t)buf_len(b) };
	return group_decode(STR("g"), &rules, state, now_ms);
}

/* --- the owner is started again --- */

static void
a_stable_group_goes_on(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable_static(m, 3);
	pass(SESSION_MS - 1);
	restart();
	assert_state(GROUP_STABLE);
	struct group_view v = group_view(group);
	assert_str(v.id, "g");
	assert_str(v.protocol, "range");
	assert_str(v.protocol_type, "consumer");
	assert_str(v.leader, m[0]->id);
	assert_int_equal(v.generation, m[0]->generation);
	assert_int_equal(v.member_n, 3);
	/* Each has a whole session again, and no wait for SyncGroup. */
	assert_int_equal(group_deadline(group), now_ms + SESSION_MS);
	pass(SESSION_MS - 1);
	for (int i = 0; i < 3; i++) {
		assert_err(heartbeat(m[i]), ERR_NONE);
		assert_err(may_commit(m[i]->id, NULL, m[i]->generation), ERR_NONE);
	}
	pass(SESSION_MS - 1);
	assert_string_equal(ask_sync(m[1], NULL)->assignment, "b!");
	assert_state(GROUP_STABLE);
}

static void
an_empty_group_keeps_its_generation(void **state)
{
	(void)state;
	struct ask *m[1];
	make_stable(m, 1);
	leave(m[0]->id, NULL);
	restart();
	assert_true(group_is_idle(group));
	assert_int_equal(group_view(group).generation, m[0]->generation + 1);
	assert_str(group_view(group).protocol_type, "consumer");
	struct ask *a = join_v3("a");
	assert_int_equal(a->generation, m[0]->generation + 2);
}

/* What began after the last save is undone; nobody was told of it. */
static void
a_rebalance_that_was_under_way(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable(m, 2);
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	join_v3("c");
	restart();
	assert_state(GROUP_STABLE);
	assert_int_equal(group_view(group).member_n, 2);
	assert_err(heartbeat(m[0]), ERR_NONE);
	a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	struct ask *b = ask_join((struct as){ .client = "b", .id = m[1]->id });
	assert_told(a, ERR_NONE);
	assert_told(b, ERR_NONE);
	assert_int_equal(a->generation, m[0]->generation + 1);
}

static void
members_that_have_joined_may_sync(void **state)
{
	(void)state;
	struct ask *m[2];
	make_completing(m, 2);
	ask_sync(m[1], NULL);
	restart();
	assert_state(GROUP_COMPLETING_REBALANCE);
	assert_err(heartbeat(m[0]), ERR_NONE);
	/* b's request was lost with the owner. */
	struct ask *b = ask_sync(m[1], NULL);
	assert_waits(b);
	assert_told(ask_sync(m[0], NULL), ERR_NONE);
	assert_told(b, ERR_NONE);
	assert_state(GROUP_STABLE);
}

static void
members_that_never_sync_are_removed(void **state)
{
	(void)state;
	struct ask *m[2];
	make_completing(m, 2);
	pass(5000);
	restart();
	for (int i = 0; i < REBALANCE_MS / 5000; i++) {
		assert_state(GROUP_COMPLETING_REBALANCE);
		assert_err(heartbeat(m[0]), ERR_NONE);
		assert_err(heartbeat(m[1]), ERR_NONE);
		pass(5000);
	}
	assert_true(group_is_idle(group));
}

/* Saved in PREPARING_REBALANCE, as a static member was replaced: all have to join. */
static void
a_rebalance_that_was_saved(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable_static(m, 2);
	ask_join((struct as){ .client = "a", .instance = "A", .id = m[0]->id });
	pass(1000);
	leave("", "A");
	struct ask *c = ask_join((struct as){ .client = "c", .instance = "C" });
	struct ask *c2 = ask_join((struct as){ .client = "c", .instance = "C" });
	assert_told(c, ERR_FENCED_INSTANCE_ID);
	assert_waits(c2);
	assert_true(was_saved);
	restart();
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_int_equal(group_view(group).member_n, 2);
	assert_err(heartbeat(m[1]), ERR_REBALANCE_IN_PROGRESS);
	/* As long as any rebalance; static members that are late keep their place. */
	struct ask *b = ask_join((struct as){ .client = "b", .instance = "B", .id = m[1]->id });
	pass(SESSION_MS - 1);
	assert_waits(b);
	c = ask_join((struct as){ .client = "c", .instance = "C" });
	assert_told(c, ERR_NONE);
	assert_told(b, ERR_NONE);
	assert_int_equal(b->generation, m[1]->generation + 1);
}

/* Saved so, and nobody comes: the rebalance ends as any other. */
static void
a_rebalance_that_was_saved_ends(void **state)
{
	(void)state;
	rules.initial_rebalance_delay_ms = 3000;
	ask_join((struct as){ .client = "a", .instance = "A", .session_ms = 200000 });
	ask_join((struct as){ .client = "b", .version = 3, .session_ms = 200000 });
	ask_join((struct as){ .client = "a", .instance = "A", .session_ms = 200000 });
	restart();
	assert_state(GROUP_PREPARING_REBALANCE);
	assert_int_equal(group_view(group).member_n, 2);
	struct ask *c = join_v3("c");
	pass(REBALANCE_MS - 1);
	assert_waits(c);
	assert_int_equal(group_view(group).member_n, 3);
	pass(1);
	assert_told(c, ERR_NONE);
	assert_int_equal(c->member_n, 2); /* a is static; b is not, and did not come */
}

/* Who was replaced stays so. */
static void
a_fenced_member_stays_fenced(void **state)
{
	(void)state;
	struct ask *m[2];
	make_stable_static(m, 2);
	struct ask *b = join_static("b", "B");
	restart();
	assert_err(may_commit(m[1]->id, "B", m[1]->generation), ERR_FENCED_INSTANCE_ID);
	assert_err(may_commit(b->id, "B", b->generation), ERR_NONE);
	assert_string_equal(ask_sync(b, NULL)->assignment, "b!");
}

static void
ids_given_out_are_forgotten(void **state)
{
	(void)state;
	struct ask *m[1];
	make_stable(m, 1);
	struct ask *c = ask_join((struct as){ .client = "c" });
	restart();
	assert_told(ask_join((struct as){ .client = "c", .id = c->id }), ERR_UNKNOWN_MEMBER_ID);
}

/* --- bytes --- */

/* The format, byte by byte: it outlives this version of the broker. */
static void
the_format(void **state)
{
	(void)state;
	struct ask *m[1];
	make_stable(m, 1);
	struct buf b = BUF_EMPTY;
	group_encode(group, &b);
	static const char expected[] = "\1\3"
				       "\0\0\0\1"
				       "\0\0\0\10consumer"
				       "\0\0\0\5range"
				       "\0\0\0\0"
				       "\0\0\0\1"
				       "\0\0\0\30a-AAAAAAAAAAAAAAAAAAAAAQ"
				       "\377\377\377\377"
				       "\0\0\0\1a"
				       "\0\0\0\12/127.0.0.1"
				       "\0\0\x27\x10"
				       "\0\0\xea\x60"
				       "\0\0\0\1"
				       "\0\0\0\5range\0\0\0\0"
				       "\0\0\0\2a!";
	assert_int_equal(buf_len(&b), sizeof(expected) - 1);
	assert_memory_equal(buf_head(&b), expected, sizeof(expected) - 1);
	buf_free(&b);
}

/* Generations are told as positive numbers, for ever. */
static void
generations_begin_again(void **state)
{
	(void)state;
	struct ask *m[1];
	make_stable(m, 1);
	struct buf b = BUF_EMPTY;
	group_encode(group, &b);
	put_u32(buf_head(&b) + 2, INT32_MAX - 1);
	group_free(group);
	group = decode(&b);
	assert_non_null(group);
	struct ask *a = ask_join((struct as){ .client = "a", .id = m[0]->id });
	assert_int_equal(a->generation, INT32_MAX);
	a = ask_join((struct as){ .client = "a", .id = m[0]->id, .protocols = "range:x" });
	assert_int_equal(a->generation, 1);
	buf_free(&b);
}

static void
every_prefix_is_refused(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable_static(m, 3);
	struct buf b = BUF_EMPTY;
	group_encode(group, &b);
	size_t n = buf_len(&b);
	for (size_t i = 0; i < n; i++) {
		uint8_t *exact = malloc(i + 1); /* so that the sanitizer sees a read beyond it */
		memcpy(exact, buf_head(&b), i);
		struct bytes state_bytes = { .at = i > 0 ? exact : NULL, .n = (int32_t)i };
		assert_null(group_decode(STR("g"), &rules, state_bytes, now_ms));
		free(exact);
	}
	buf_append(&b, "", 1); /* nor may anything follow */
	assert_null(decode(&b));
	buf_free(&b);
}

/* Any byte changed: refused, or a group whose invariants hold and that can be used. */
static void
damage_is_refused_or_harmless(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable_static(m, 3);
	struct buf b = BUF_EMPTY;
	group_encode(group, &b);
	int refused = 0, read = 0;
	for (size_t i = 0; i < buf_len(&b); i++)
		for (int bit = 0; bit < 8; bit++) {
			buf_head(&b)[i] ^= (uint8_t)(1 << bit);
			struct group *g = decode(&b);
			if (g != NULL) {
				struct arena arena = ARENA_EMPTY;
				struct group_actions out = { .arena = &arena };
				group_check(g);
				group_tick(g, INT64_MAX / 2, &out);
				group_check(g);
				arena_free(&arena);
			}
			refused += g == NULL;
			read += g != NULL;
			group_free(g);
			buf_head(&b)[i] ^= (uint8_t)(1 << bit);
		}
	assert_true(refused > 500);
	assert_true(read > 500); /* names, times, assignments */
	buf_free(&b);
}

/* One thing at a time that cannot be. Where to change a stable group of "a" alone: see the_format(). */
static void
what_cannot_be_is_refused(void **state)
{
	(void)state;
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {
		{ 0, 0 },    { 0, 2 },    /* version */
		{ 1, 0 },                 /* EMPTY with members */
		{ 1, 2 },                 /* COMPLETING_REBALANCE with an assignment */
		{ 1, 4 },                 /* no such state */
		{ 2, 0x80 },              /* generation -2^31 */
		{ 5, 0 },                 /* generation 0 */
		{ 18, 1 },                /* another length */
		{ 22, 'R' },              /* a protocol that the member does not support */
		{ 30, 1 },   { 27, 255 }, /* a leader that is no member */
		{ 34, 0 },   { 34, 2 },   /* number of members */
		{ 35, 255 },              /* a length */
		{ 67, 255 }, { 86, 255 }, /* a length, a session time-out below zero */
		{ 97, 0 },   { 97, 33 },  /* number of protocols */
	};
	struct ask *m[1];
	make_stable(m, 1);
	struct buf b = BUF_EMPTY;
	group_encode(group, &b);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		uint8_t *at = buf_head(&b) + changes[i].at, before = *at;
		assert_int_not_equal(before, changes[i].value);
		*at = changes[i].value;
		struct group *g = decode(&b);
		if (g != NULL)
			fail_msg("change %d was not refused", (int)i);
		*at = before;
	}
	struct group *g = decode(&b);
	assert_non_null(g);
	group_free(g);
	buf_free(&b);
}

static void
unknown_states_are_refused(void **state)
{
	(void)state;
	struct ask *m[1];
	make_completing(m, 1);
	struct buf b = BUF_EMPTY;
	group_encode(group, &b);
	for (uint8_t s = 4; s != 0; s++) {
		buf_head(&b)[1] = s;
		assert_null(decode(&b));
	}
	buf_free(&b);
}

static void
twins_are_refused(void **state)
{
	(void)state;
	struct ask *m[3];
	make_stable_static(m, 3);
	struct buf b = BUF_EMPTY;
	group_encode(group, &b);
	size_t n = strlen(m[2]->id);
	char *id = memmem(buf_head(&b), buf_len(&b), m[2]->id, n);
	assert_non_null(id);
	char *instance = id + n + 4;
	memcpy(id, m[0]->id, n);
	assert_null(decode(&b));
	memcpy(id, m[2]->id, n);
	*instance = 'A';
	assert_null(decode(&b));
	*instance = 'X';
	struct group *g = decode(&b);
	assert_non_null(g);
	group_free(g);
	buf_free(&b);
}

/* --- looking at it --- */

static void
what_is_shown(void **state)
{
	(void)state;
	assert_string_equal(group_state_name(GROUP_EMPTY), "Empty");
	assert_string_equal(group_state_name(GROUP_PREPARING_REBALANCE), "PreparingRebalance");
	assert_string_equal(group_state_name(GROUP_COMPLETING_REBALANCE), "CompletingRebalance");
	assert_string_equal(group_state_name(GROUP_STABLE), "Stable");
	struct group_view v = group_view(group);
	assert_str(v.protocol_type, NULL);
	assert_str(v.protocol, "");
	assert_str(v.leader, NULL);
	struct ask *m[2];
	make_completing(m, 2);
	assert_str(group_view(group).protocol, "");
	assert_int_equal(group_member_view(group, 0).metadata.n, 0);
	m[1] = ask_join((struct as){ .client = "b", .id = m[1]->id, .protocols = "range:meta" });
	m[0] = ask_join((struct as){ .client = "a", .id = m[0]->id });
	char all[100];
	snprintf(all, sizeof(all), "%s=mine", m[1]->id);
	ask_sync(m[0], all);
	assert_str(group_view(group).protocol, "range");
	struct group_member_view b = group_member_view(group, 1);
	assert_str(b.member_id, m[1]->id);
	assert_str(b.instance_id, NULL);
	assert_str(b.client_id, "b");
	assert_str(b.client_host, "/127.0.0.1");
	assert_int_equal(b.metadata.n, 4);
	assert_memory_equal(b.metadata.at, "meta", 4);
	assert_int_equal(b.assignment.n, 4);
	assert_memory_equal(b.assignment.at, "mine", 4);
	join_v3("c");
	assert_int_equal(group_member_view(group, 1).metadata.n, 0);
	assert_int_equal(group_member_view(group, 1).assignment.n, 0);
}

/* --- subscriptions --- */

/* A stable group of one member with this metadata. */
static void
subscribe(const char *type, const void *metadata, int32_t n)
{
	struct group_protocol protocol = { .name = STR("range"), .metadata = { .at = metadata, .n = n } };
	struct group_join in = { .version = 3,
				 .member_id = STR(""),
				 .instance_id = STR_NULL,
				 .protocol_type = str_of(type),
				 .session_timeout_ms = SESSION_MS,
				 .rebalance_timeout_ms = REBALANCE_MS,
				 .protocols = &protocol,
				 .protocol_n = 1 };
	struct arena arena = ARENA_EMPTY;
	struct group_actions out = { .arena = &arena };
	group_free(group);
	group = group_new(STR("g"), &rules);
	int waiter;
	group_join(group, now_ms, &in, &waiter, &out);
	group_check(group);
	arena_free(&arena);
}

#define SUBSCRIPTION(literal) literal, (int32_t)sizeof(literal) - 1

static void
subscriptions_are_read(void **state)
{
	(void)state;
	assert_false(group_is_subscribed(group, STR("t")));
	subscribe("consumer", SUBSCRIPTION("\0\3\0\0\0\2\0\1t\0\2uu\0\0\0\0"));
	assert_true(group_is_subscribed(group, STR("t")));
	assert_true(group_is_subscribed(group, STR("uu")));
	assert_false(group_is_subscribed(group, STR("u")));
	assert_false(group_is_subscribed(group, STR("")));
	subscribe("consumer", SUBSCRIPTION("\0\0\0\0\0\0"));
	assert_false(group_is_subscribed(group, STR("t")));
	subscribe("consumer", SUBSCRIPTION("\0\0\0\0\0\2\0\1t\0\0"));
	assert_true(group_is_subscribed(group, STR("")));
	assert_false(group_is_subscribed(group, STR("u")));
	subscribe("consumer", SUBSCRIPTION("\0\0\0\0\0\1\0\1t"));
	assert_false(group_is_subscribed(group, STR("u")));
	/* What cannot be read may be anything. */
	static const char *const damaged[] = { "",
					       "\0\0\0\0\0",
					       "\0\0\0\0\0\1",
					       "\0\0\0\0\0\1\0",
					       "\0\0\0\0\0\1\0\2x",
					       "\0\0\0\0\0\1\377\377",
					       "\0\0\377\377\377\377",
					       "\0\0\200\0\0\0" };
	static const int32_t lengths[] = { 0, 5, 6, 7, 9, 8, 6, 6 };
	for (int i = 0; i < 8; i++) {
		subscribe("consumer", damaged[i], lengths[i]);
		assert_true(group_is_subscribed(group, STR("t")));
	}
	subscribe("connect", SUBSCRIPTION("\0\0\0\0\0\1\0\1t"));
	assert_false(group_is_subscribed(group, STR("t")));
}

static void
subscriptions_while_preparing(void **state)
{
	(void)state;
	struct ask *m[1];
	make_stable(m, 1);
	leave(m[0]->id, NULL);
	assert_false(group_is_subscribed(group, STR("t")));
	rules.initial_rebalance_delay_ms = 3000;
	join_v3("a");
	assert_true(group_is_subscribed(group, STR("t"))); /* no protocol yet, so it may be */
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, group_setup, group_teardown)
	const struct CMUnitTest tests[] = {
		T(a_stable_group_goes_on),
		T(an_empty_group_keeps_its_generation),
		T(a_rebalance_that_was_under_way),
		T(members_that_have_joined_may_sync),
		T(members_that_never_sync_are_removed),
		T(a_rebalance_that_was_saved),
		T(a_rebalance_that_was_saved_ends),
		T(a_fenced_member_stays_fenced),
		T(ids_given_out_are_forgotten),
		T(the_format),
		T(generations_begin_again),
		T(every_prefix_is_refused),
		T(damage_is_refused_or_harmless),
		T(what_cannot_be_is_refused),
		T(unknown_states_are_refused),
		T(twins_are_refused),
		T(what_is_shown),
		T(subscriptions_are_read),
		T(subscriptions_while_preparing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
