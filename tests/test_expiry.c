/*
 * Which offsets expire, and which groups: the rules of expiry.h in virtual time, then every order in
 * which the cleaner and a group's owner can come between each other.
 */
#include "storage/expiry.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "storage/env.h"
#include "storage/groups.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

static enum err after; /* of the last walk */

#define DAY_MS  INT64_C(86400000)
#define KEEP_MS (7 * DAY_MS)

/*
 * Topics of one letter, of partitions 0 to 9; a group's state is the letters that it reads, or "?":
 * unknown.
 */
static struct test {
	struct store_fixture f;
	struct topic topic[3]; /* a, b, c */
	int64_t begin_ms;      /* all times are days from here on */
	int opened, asked;
} t;

static void *
open_readers(const struct stored_group *g)
{
	t.opened++;
	if (g->state.n == 0 || g->state.at[0] == '?')
		return NULL;
	char *topics = calloc(1, (size_t)g->state.n + 1);
	CHECK(topics != NULL);
	memcpy(topics, g->state.at, (size_t)g->state.n);
	return topics;
}

static bool
reads(void *opened, struct str topic)
{
	t.asked++;
	return strchr(opened, topic.at[0]) != NULL;
}

static const struct clean_readers readers = { open_readers, reads, free };

static struct clean_rules
rules_at(int64_t day)
{
	return (struct clean_rules){ .retention_ms = -1,
				     .retention_bytes = -1,
				     .producer_expiry_ms = -1,
				     .offsets_retention_ms = KEEP_MS,
				     .readers = &readers,
				     .now_ms = t.begin_ms + day * DAY_MS };
}

static void
clean_at(int64_t day)
{
	struct clean_rules rules = rules_at(day);
	fixture_clean(&t.f, &rules);
}

static void
save(struct str id, const char *topics, int64_t empty_since_day)
{
	struct store_txn *txn = fixture_write(&t.f);
	struct bytes state = { .at = (const uint8_t *)topics, .n = (int32_t)strlen(topics) };
	MUST(groups_save(txn, id, state, empty_since_day < 0 ? -1 : t.begin_ms + empty_since_day * DAY_MS));
	fixture_commit(txn);
}

#define HAS_MEMBERS (-1)

static uint32_t
commit_until(struct str id, int topic, int32_t partition, int64_t day, int64_t expires_ms)
{
	const struct stored_offset offset = { .offset = day,
					      .committed_ms = t.begin_ms + day * DAY_MS,
					      .expires_ms = expires_ms };
	uint32_t number;
	struct store_txn *txn = fixture_write(&t.f);
	MUST(groups_open(txn, id, &number));
	MUST(offsets_commit(txn, number, t.topic[topic].number, partition, &offset));
	fixture_commit(txn);
	return number;
}

/* The offset says on which day it was committed. */
static uint32_t
commit(struct str id, int topic, int32_t partition, int64_t day)
{
	return commit_until(id, topic, partition, day, -1);
}

static bool
is_there(struct str id)
{
	struct store_txn *txn = fixture_read(&t.f);
	uint32_t number;
	enum err e = groups_number(txn, id, &number);
	store_read_end(txn);
	assert_true(e == ERR_NONE || e == ERR_GROUP_ID_NOT_FOUND);
	return e == ERR_NONE;
}

/* -1: there is none. */
static int64_t
fetch(struct str id, int topic, int32_t partition)
{
	struct stored_offset found = { .offset = -1 };
	struct store_txn *txn = fixture_read(&t.f);
	uint32_t number;
	if (groups_number(txn, id, &number) == ERR_NONE)
		MUST(offsets_fetch(txn, number, t.topic[topic].number, partition, &t.f.arena, &found));
	store_read_end(txn);
	return found.offset;
}

static uint64_t
entries(enum table table)
{
	struct store_txn *txn = fixture_read(&t.f);
	MDB_stat stat;
	assert_int_equal(mdb_stat(txn->mdb, t.f.store->table[table], &stat), 0);
	store_read_end(txn);
	return stat.ms_entries;
}

static int
begin(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	fixture_begin(&t.f, DURABILITY_DURABLE);
	for (int i = 0; i < 3; i++)
		t.topic[i] = fixture_topic(&t.f, (const char *[]){ "a", "b", "c" }[i], 10);
	t.begin_ms = clock_wall_ms(); /* the store's own stamp of a group that it makes */
	return 0;
}

static int
end(void **state)
{
	(void)state;
	fixture_end(&t.f);
	return 0;
}

/* --- rules ------------------------------------------------------------------------------------------ */

static void
without_members_since_the_last_left_or_the_commit(void **state)
{
	(void)state;
	save(STR("g"), "a", 10);
	commit(STR("g"), 0, 0, 1);  /* until 17 */
	commit(STR("g"), 0, 1, 12); /* until 19 */
	clean_at(16);
	assert_int_equal(fetch(STR("g"), 0, 0), 1);
	clean_at(17);
	assert_int_equal(fetch(STR("g"), 0, 0), -1);
	assert_int_equal(fetch(STR("g"), 0, 1), 12);
	clean_at(18);
	assert_int_equal(fetch(STR("g"), 0, 1), 12);
	assert_true(is_there(STR("g")));
	clean_at(19);
	assert_false(is_there(STR("g")));
	assert_int_equal(entries(TABLE_OFFS), 0);
	assert_int_equal(t.opened, 0); /* it has no readers */
}

static void
never_joined_since_the_commit(void **state)
{
	(void)state;
	t.begin_ms -= 3 * DAY_MS; /* the store stamps the group as empty since day 3 */
	commit(STR("simple"), 0, 0, 0);
	commit(STR("simple"), 1, 0, 2);
	clean_at(6);
	assert_int_equal(fetch(STR("simple"), 0, 0), 0);
	clean_at(7);
	assert_int_equal(fetch(STR("simple"), 0, 0), -1);
	assert_int_equal(fetch(STR("simple"), 1, 0), 2);
	clean_at(9);
	assert_false(is_there(STR("simple")));
}

static void
with_members_only_what_nobody_reads(void **state)
{
	(void)state;
	save(STR("g"), "ac", HAS_MEMBERS);
	for (int32_t i = 0; i < 10; i++) {
		commit(STR("g"), 0, i, 0);
		commit(STR("g"), 1, i, i < 5 ? 0 : 3);
		commit(STR("g"), 2, i, 0);
	}
	clean_at(6);
	assert_int_equal(entries(TABLE_OFFS), 30);
	assert_int_equal(t.opened, 0); /* nothing is old */
	clean_at(7);
	assert_int_equal(fetch(STR("g"), 1, 4), -1);
	assert_int_equal(fetch(STR("g"), 1, 5), 3);
	clean_at(1000);
	for (int32_t i = 0; i < 10; i++) {
		assert_int_equal(fetch(STR("g"), 0, i), 0);
		assert_int_equal(fetch(STR("g"), 1, i), -1);
		assert_int_equal(fetch(STR("g"), 2, i), 0);
	}
	/* The last topic is given up: offsets go, the group stays. */
	save(STR("g"), "", HAS_MEMBERS);
	clean_at(1000);
	assert_int_equal(entries(TABLE_OFFS), 20); /* no state: nobody knows what it reads */
	save(STR("g"), "b", HAS_MEMBERS);
	clean_at(1000);
	assert_int_equal(entries(TABLE_OFFS), 0);
	assert_true(is_there(STR("g")));
}

/* What one group reads is not what the next one reads. */
static void
each_group_is_asked(void **state)
{
	(void)state;
	save(STR("one"), "a", HAS_MEMBERS);
	save(STR("two"), "b", HAS_MEMBERS);
	save(STR("three"), "a", HAS_MEMBERS);
	commit(STR("one"), 0, 0, 0);
	commit(STR("two"), 0, 0, 0);
	commit(STR("three"), 0, 0, 0);
	clean_at(7);
	assert_int_equal(fetch(STR("one"), 0, 0), 0);
	assert_int_equal(fetch(STR("two"), 0, 0), -1);
	assert_int_equal(fetch(STR("three"), 0, 0), 0);
}

static void
a_group_that_cannot_be_read_keeps_all(void **state)
{
	(void)state;
	save(STR("g"), "?", HAS_MEMBERS);
	commit(STR("g"), 0, 0, 0);
	commit(STR("g"), 1, 0, 0);
	clean_at(1000);
	assert_int_equal(t.asked, 0);
	assert_true(t.opened > 0);
	save(STR("g"), "a", HAS_MEMBERS);
	struct clean_rules rules = rules_at(1000);
	rules.readers = NULL;
	fixture_clean(&t.f, &rules);
	assert_int_equal(entries(TABLE_OFFS), 2);
}

static void
a_time_that_came_with_the_offset(void **state)
{
	(void)state;
	save(STR("lives"), "a", HAS_MEMBERS);
	save(STR("left"), "a", 30);
	for (int topic = 0; topic < 2; topic++) {
		commit_until(STR("lives"), topic, 0, 0, t.begin_ms + 20 * DAY_MS);
		commit_until(STR("left"), topic, 0, 0, t.begin_ms + 20 * DAY_MS);
		commit_until(STR("simple"), topic, 0, 0, t.begin_ms + 2 * DAY_MS);
	}
	clean_at(1);
	assert_int_equal(entries(TABLE_OFFS), 6);
	clean_at(2);
	assert_int_equal(entries(TABLE_OFFS), 4);
	clean_at(19);
	assert_int_equal(entries(TABLE_OFFS), 4); /* longer than by the broker's rule */
	struct clean_rules rules = rules_at(20);
	rules.offsets_retention_ms = 0;
	fixture_clean(&t.f, &rules);
	assert_int_equal(fetch(STR("lives"), 0, 0), 0);
	assert_int_equal(fetch(STR("lives"), 1, 0), -1);
	assert_int_equal(entries(TABLE_OFFS), 1);
}

static void
for_ever(void **state)
{
	(void)state;
	save(STR("g"), "a", 0);
	save(STR("nothing"), "a", 0);
	commit(STR("g"), 0, 0, 0);
	struct clean_rules rules = rules_at(100000);
	rules.offsets_retention_ms = 0;
	fixture_clean(&t.f, &rules);
	assert_int_equal(fetch(STR("g"), 0, 0), 0);
	assert_true(is_there(STR("nothing")));
}

static void
a_clock_that_was_set_back(void **state)
{
	(void)state;
	save(STR("g"), "a", 50);
	save(STR("nothing"), "a", 50);
	commit(STR("g"), 0, 0, 60);
	clean_at(8);
	assert_int_equal(fetch(STR("g"), 0, 0), 60);
	assert_true(is_there(STR("nothing")));
}

static void
offsets_of_deleted_topics_go_at_once(void **state)
{
	(void)state;
	save(STR("g"), "ab", HAS_MEMBERS);
	commit(STR("g"), 0, 0, 0);
	commit(STR("g"), 1, 0, 0);
	struct store_txn *txn = fixture_write(&t.f);
	MUST(topic_delete(txn, &t.topic[0]));
	fixture_commit(txn);
	clean_at(0);
	clean_at(0);
	assert_int_equal(fetch(STR("g"), 0, 0), -1);
	assert_int_equal(fetch(STR("g"), 1, 0), 0);
}

static void
a_group_of_the_same_name_begins_anew(void **state)
{
	(void)state;
	save(STR("g"), "a", 0);
	uint32_t old = commit(STR("g"), 0, 0, 0);
	clean_at(8);
	assert_false(is_there(STR("g")));
	assert_int_not_equal(commit(STR("g"), 0, 1, 8), old);
	assert_int_equal(fetch(STR("g"), 0, 0), -1);
	assert_int_equal(fetch(STR("g"), 0, 1), 8);
	clean_at(8);
	assert_int_equal(fetch(STR("g"), 0, 1), 8);
	assert_int_equal(entries(TABLE_GNAME), 1);
	assert_int_equal(entries(TABLE_GROUP), 1);
}

/* --- how much is looked at -------------------------------------------------------------------------- */

static void
a_group_is_opened_once_a_step(void **state)
{
	(void)state;
	save(STR("g"), "b", HAS_MEMBERS);
	for (int32_t i = 0; i < 10; i++) {
		commit(STR("g"), 0, i, 0);
		commit(STR("g"), 1, i, 0);
	}
	struct clean_rules rules = rules_at(100);
	for (bool more = true; more;) {
		t.opened = t.asked = 0;
		MUST(store_clean(t.f.store, &rules, &more));
		assert_in_range(t.opened, 0, 2); /* looking for something to do, and doing it */
		assert_in_range(t.asked, 0, 4);
	}
	assert_int_equal(entries(TABLE_OFFS), 10);
}

/* However little is looked at in a step, a round comes to its end and finds all. */
static void
small_steps(void **state)
{
	(void)state;
	for (int look = 4; look < 11; look++) {
		struct clean_rules rules = rules_at(100);
		struct clean_round round = { .phase = CLEAN_GROUPS };
		char id[] = "g0";
		for (; id[1] < '9'; id[1]++) {
			save(str_of(id), id[1] % 2 == 0 ? "ab" : "ac", id[1] % 3 == 0 ? HAS_MEMBERS : 0);
			for (int32_t p = 0; p < 5; p++)
				for (int topic = 0; topic < 3; topic++)
					commit(str_of(id), topic, p, 0);
		}
		for (int n = 0; round.phase == CLEAN_GROUPS; n++) {
			assert_true(n < 1000);
			bool found, changed;
			struct store_txn *txn = fixture_read(&t.f);
			MUST(expiry_find(txn, &round, &rules, look, &found));
			store_read_end(txn);
			if (!found)
				continue;
			txn = fixture_write(&t.f);
			MUST(expiry_run(txn, &round, &rules, look, look / 2, &changed));
			assert_true(changed);
			fixture_commit(txn);
		}
		/*
		 * Of three groups that have members, what they read: two topics of five partitions each.
		 */
		assert_int_equal(entries(TABLE_GROUP), 3);
		assert_int_equal(entries(TABLE_OFFS), 3 * 2 * 5);
		for (id[1] = '0'; id[1] < '9'; id[1]++) {
			struct store_txn *txn = fixture_write(&t.f);
			if (id[1] % 3 == 0)
				MUST(groups_delete(txn, str_of(id)));
			fixture_commit(txn);
		}
		clean_at(0);
		assert_int_equal(entries(TABLE_OFFS), 0);
	}
}

/* Of each only what is needed, in place: the states of a thousand large groups would be gigabytes. */
static void
large_states_are_not_copied(void **state)
{
	(void)state;
	char large[50001];
	memset(large, 'a', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	for (char id[] = "g0"; id[1] <= '9'; id[1]++) {
		save(str_of(id), large, HAS_MEMBERS);
		commit(str_of(id), 0, 0, 90);
	}
	struct clean_rules rules = rules_at(91);
	struct clean_round round = { .phase = CLEAN_GROUPS };
	struct store_txn *txn = fixture_read(&t.f);
	bool found;
	MUST(expiry_find(txn, &round, &rules, 1000, &found));
	assert_false(found);
	assert_true(txn->arena.used < 20000);
	struct group_head head;
	size_t used = t.f.arena.used;
	assert_true(groups_head_after(txn, 0, &t.f.arena, &head, &after));
	assert_int_equal(t.f.arena.used, used);
	store_read_end(txn);
	assert_int_equal(t.opened, 0);
}

/* The ends of ids on either side of a slice's end, with and without a state behind. */
static void
heads_of_groups_with_long_ids(void **state)
{
	(void)state;
	static const int32_t lengths[] = { 0,    400,  401,  4060, 4069, 4070, 4071,
					   4078, 4079, 8149, 8150, 8151, 32767 };
	static char id[32767];
	memset(id, 'x', sizeof(id));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		const struct str s = { .at = id, .n = lengths[i] };
		struct group_head head;
		for (int n = 0; n < 2; n++) {
			save(s, n == 0 ? "" : "s", (int64_t)i);
			struct store_txn *txn = fixture_read(&t.f);
			assert_true(groups_head_after(txn, (uint32_t)i, &t.f.arena, &head, &after));
			store_read_end(txn);
			assert_int_equal(head.number, i + 1);
			assert_int_equal(head.empty_since_ms, t.begin_ms + (int64_t)i * DAY_MS);
			assert_int_equal(head.has_state, n);
		}
	}
	clean_at(100);
	assert_int_equal(entries(TABLE_GROUP), 0);
	assert_int_equal(entries(TABLE_GNAME), 0);
}

/* --- the owner in between --------------------------------------------------------------------------- */

/* The cleaner has looked, and is about to write. */
static struct clean_round
found_at(int64_t day)
{
	struct clean_rules rules = rules_at(day);
	struct clean_round round = { .phase = CLEAN_GROUPS };
	struct store_txn *txn = fixture_read(&t.f);
	bool found;
	MUST(expiry_find(txn, &round, &rules, 1000, &found));
	store_read_end(txn);
	assert_true(found);
	return round;
}

static bool
run_some_at(int64_t day, const struct clean_round *round, int look_rows, int rows)
{
	struct clean_rules rules = rules_at(day);
	struct store_txn *txn = fixture_write(&t.f);
	bool changed;
	MUST(expiry_run(txn, round, &rules, look_rows, rows, &changed));
	fixture_commit(txn);
	return changed;
}

static bool
run_at(int64_t day, const struct clean_round *round)
{
	return run_some_at(day, round, 1000, 400);
}

/* Under the writer's lock nothing takes long. */
static void
a_write_has_bounds(void **state)
{
	(void)state;
	save(STR("g"), "a", 0);
	for (int32_t i = 0; i < 10; i++)
		commit(STR("g"), 0, i, i % 2 == 0 ? 0 : 7);
	struct clean_round round = found_at(7);
	assert_true(run_some_at(7, &round, 1000, 2));
	assert_int_equal(entries(TABLE_OFFS), 8); /* 0, 2 */
	assert_true(run_some_at(7, &round, 4, 400));
	assert_int_equal(entries(TABLE_OFFS), 7); /* of 1, 3, 4, 5 */
	clean_at(7);
	assert_int_equal(entries(TABLE_OFFS), 5);
}

/* Groups that nobody uses any more go many at a time; what members read takes longer to find out. */
static void
many_groups_in_a_write(void **state)
{
	(void)state;
	char id[] = "g000";
	for (int i = 0; i < 300; i++) {
		(void)snprintf(id, sizeof(id), "g%03d", i);
		save(str_of(id), "b", i == 200 ? HAS_MEMBERS : 0);
		commit(str_of(id), 0, 0, i == 50 ? 7 : 0);
	}
	struct clean_round round = found_at(7);
	assert_true(run_some_at(7, &round, 1000, 30));
	assert_int_equal(entries(TABLE_GROUP), 290); /* three rows each */
	assert_true(run_some_at(7, &round, 20, 1000));
	assert_int_equal(entries(TABLE_GROUP), 280); /* two are looked at */
	assert_true(run_at(7, &round));
	assert_int_equal(entries(TABLE_GROUP), 300 - 10 - 10 - 134);
	assert_true(run_at(7, &round));
	assert_int_equal(entries(TABLE_GROUP), 101); /* 50, and 200 and those behind it */
	assert_int_equal(fetch(STR("g050"), 0, 0), 7);
	assert_int_equal(t.opened, 0);
	assert_int_equal(entries(TABLE_GNAME), 101);
	assert_int_equal(entries(TABLE_SYS), 4); /* no marks: nothing is left of them */
	clean_at(7);
	assert_int_equal(entries(TABLE_GROUP), 2);
	assert_int_equal(entries(TABLE_OFFS), 1);
}

static void
a_member_comes_before_its_offsets_go(void **state)
{
	(void)state;
	save(STR("g"), "a", 0);
	commit(STR("g"), 0, 0, 0);
	commit(STR("g"), 1, 0, 0);
	struct clean_round round = found_at(7);
	save(STR("g"), "a", HAS_MEMBERS);
	assert_true(run_at(7, &round));
	assert_int_equal(fetch(STR("g"), 0, 0), 0);
	assert_int_equal(fetch(STR("g"), 1, 0), -1); /* nobody reads it, and it is old */
	assert_true(is_there(STR("g")));
}

static void
a_member_comes_before_its_group_goes(void **state)
{
	(void)state;
	save(STR("g"), "a", 0);
	struct clean_round round = found_at(1);
	save(STR("g"), "a", HAS_MEMBERS);
	assert_false(run_at(1, &round));
	assert_true(is_there(STR("g")));
}

static void
a_member_comes_and_leaves_before_its_group_goes(void **state)
{
	(void)state;
	save(STR("g"), "a", 0);
	struct clean_round round = found_at(1);
	save(STR("g"), "a", HAS_MEMBERS);
	save(STR("g"), "a", 1);
	assert_false(run_at(1, &round)); /* not for a minute yet */
	assert_true(is_there(STR("g")));
}

static void
a_commit_comes_before_its_offset_goes(void **state)
{
	(void)state;
	save(STR("g"), "b", HAS_MEMBERS);
	commit(STR("g"), 0, 0, 0);
	commit(STR("g"), 0, 1, 0);
	struct clean_round round = found_at(7);
	commit(STR("g"), 0, 0, 7);
	assert_true(run_at(7, &round));
	assert_int_equal(fetch(STR("g"), 0, 0), 7);
	assert_int_equal(fetch(STR("g"), 0, 1), -1);
}

static void
a_commit_comes_before_its_group_goes(void **state)
{
	(void)state;
	save(STR("g"), "a", 0);
	struct clean_round round = found_at(1);
	commit(STR("g"), 0, 0, 1);
	assert_false(run_at(1, &round));
	assert_int_equal(fetch(STR("g"), 0, 0), 1);
}

static void
a_commit_comes_before_the_last_offset_takes_the_group_along(void **state)
{
	(void)state;
	save(STR("g"), "a", 0);
	commit(STR("g"), 0, 0, 0);
	struct clean_round round = found_at(7);
	commit(STR("g"), 1, 3, 7);
	assert_true(run_at(7, &round));
	assert_int_equal(fetch(STR("g"), 0, 0), -1);
	assert_int_equal(fetch(STR("g"), 1, 3), 7);
}

static void
a_subscription_comes_before_its_offsets_go(void **state)
{
	(void)state;
	save(STR("g"), "a", HAS_MEMBERS);
	commit(STR("g"), 1, 0, 0);
	struct clean_round round = found_at(7);
	save(STR("g"), "ab", HAS_MEMBERS);
	assert_false(run_at(7, &round));
	assert_int_equal(fetch(STR("g"), 1, 0), 0);
}

static void
a_deletion_comes_before_the_cleaner(void **state)
{
	(void)state;
	save(STR("g"), "a", 0);
	commit(STR("g"), 0, 0, 0);
	save(STR("next"), "a", 7); /* its number is the next one */
	commit(STR("next"), 0, 0, 7);
	struct clean_round round = found_at(7);
	struct store_txn *txn = fixture_write(&t.f);
	MUST(groups_delete(txn, STR("g")));
	fixture_commit(txn);
	assert_false(run_at(7, &round));
	commit(STR("g"), 0, 0, 7); /* made anew, under another number */
	assert_false(run_at(7, &round));
	assert_int_equal(fetch(STR("g"), 0, 0), 7);
	assert_int_equal(fetch(STR("next"), 0, 0), 7);
}

/* The owner does not hear of it: what it writes next makes the group anew, and nothing of it is lost. */
static void
the_cleaner_comes_before_the_owner(void **state)
{
	(void)state;
	save(STR("g"), "a", 0);
	uint32_t old = commit(STR("g"), 0, 0, 0);
	struct clean_round round = found_at(7);
	assert_true(run_at(7, &round));
	assert_false(is_there(STR("g")));
	save(STR("g"), "a", HAS_MEMBERS);
	assert_int_not_equal(commit(STR("g"), 0, 1, 8), old);
	clean_at(8); /* frees what the old number left */
	clean_at(1000);
	assert_int_equal(fetch(STR("g"), 0, 0), -1);
	assert_int_equal(fetch(STR("g"), 0, 1), 8);
}

static void
the_cleaner_comes_before_a_deletion(void **state)
{
	(void)state;
	save(STR("g"), "a", 0);
	struct clean_round round = found_at(1);
	assert_true(run_at(1, &round));
	struct store_txn *txn = fixture_write(&t.f);
	assert_int_equal(groups_delete(txn, STR("g")), ERR_GROUP_ID_NOT_FOUND);
	fixture_commit(txn);
	assert_false(is_there(STR("g")));
}

/* --- a cleaner beside the owner --------------------------------------------------------------------- */

#define GROUPS    4
#define OLD_DAY   0 /* of the cleaner's day 100: expired */
#define YOUNG_DAY 200

/* A process that does nothing but clean, on day 100, as long as its parent lives. */
_Noreturn static void
be_a_cleaner(pid_t parent)
{
	struct clean_rules rules = rules_at(100);
	while (atomic_load(&t.f.shared->writes_ok) == 0 && getppid() == parent)
		usleep(1000);
	struct store *store = fixture_store(&t.f, 1);
	for (bool more; getppid() == parent;)
		MUST(store_clean(store, &rules, &more));
	_exit(0);
}

static pid_t
start_cleaner(void)
{
	store_close(t.f.store); /* no handle may be open when a process forks */
	atomic_store(&t.f.shared->writes_ok, 0);
	pid_t parent = getpid(), child = fork();
	CHECK(child >= 0);
	if (child == 0)
		be_a_cleaner(parent);
	t.f.store = fixture_store(&t.f, 0);
	MUST(store_prepare(t.f.store));
	return child;
}

/*
 * Of two topics, of which groups with members read the first: what must be there, and what may have
 * gone.
 */
static struct expected {
	bool is_live;
	struct {
		int64_t offset; /* -1: none */
		bool may_be_gone, is_old;
	} topic[2];
} expected[GROUPS];

static struct str
id_of(int g)
{
	return str_of((const char *[]){ "g0", "g1", "g2", "g3" }[g]);
}

static void
save_as(int g, bool live)
{
	save(id_of(g), "a", live ? HAS_MEMBERS : OLD_DAY);
	expected[g].is_live = live;
	for (int i = 0; i < 2; i++)
		if (expected[g].topic[i].is_old && !live)
			expected[g].topic[i].may_be_gone = true;
}

static void
commit_as(int g, int topic, int64_t day)
{
	commit(id_of(g), topic, 0, day);
	expected[g].topic[topic].offset = day;
	expected[g].topic[topic].is_old = day == OLD_DAY;
	expected[g].topic[topic].may_be_gone = day == OLD_DAY && !(expected[g].is_live && topic == 0);
}

static void
drop(int g)
{
	struct store_txn *txn = fixture_write(&t.f);
	enum err e = groups_delete(txn, id_of(g));
	assert_true(e == ERR_NONE || (e == ERR_GROUP_ID_NOT_FOUND && !expected[g].is_live));
	fixture_commit(txn);
	expected[g].is_live = false;
	expected[g].topic[0].offset = expected[g].topic[1].offset = -1;
}

static int
look_at(int g)
{
	int gone = 0;
	if (expected[g].is_live)
		assert_true(is_there(id_of(g)));
	for (int i = 0; i < 2; i++) {
		int64_t found = fetch(id_of(g), i, 0);
		if (found == -1 && expected[g].topic[i].offset >= 0 && expected[g].topic[i].may_be_gone) {
			expected[g].topic[i].offset = -1;
			gone++;
		}
		assert_int_equal(found, expected[g].topic[i].offset);
	}
	return gone;
}

static void
beside_a_cleaner(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	int gone = 0;
	pid_t cleaner = start_cleaner();
	for (int g = 0; g < GROUPS; g++)
		drop(g);
	int64_t end_ns = clock_monotonic_ns() + INT64_C(1500000000);
	for (int n = 0; clock_monotonic_ns() < end_ns; n++) {
		int g = (int)(test_random(&seed) % GROUPS);
		uint64_t kind = test_random(&seed) % 16;
		if (kind == 0)
			drop(g);
		else if (kind < 6)
			save_as(g, kind < 4);
		else
			commit_as(g, (int)(kind % 2), kind < 12 ? OLD_DAY : YOUNG_DAY);
		gone += look_at((int)(test_random(&seed) % GROUPS));
		if (n % 64 == 0)
			fixture_checkpoint(&t.f);
	}
	assert_int_equal(kill(cleaner, SIGKILL), 0);
	int status;
	assert_int_equal(waitpid(cleaner, &status, 0), cleaner);
	assert_true(WIFSIGNALED(status)); /* it did not die before */
	for (int g = 0; g < GROUPS; g++)
		gone += look_at(g);
	assert_true(gone > 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_members_since_the_last_left_or_the_commit),
		TEST(never_joined_since_the_commit),
		TEST(with_members_only_what_nobody_reads),
		TEST(each_group_is_asked),
		TEST(a_group_that_cannot_be_read_keeps_all),
		TEST(a_time_that_came_with_the_offset),
		TEST(for_ever),
		TEST(a_clock_that_was_set_back),
		TEST(offsets_of_deleted_topics_go_at_once),
		TEST(a_group_of_the_same_name_begins_anew),
		TEST(a_group_is_opened_once_a_step),
		TEST(small_steps),
		TEST(large_states_are_not_copied),
		TEST(heads_of_groups_with_long_ids),
		TEST(a_write_has_bounds),
		TEST(many_groups_in_a_write),
		TEST(a_member_comes_before_its_offsets_go),
		TEST(a_member_comes_before_its_group_goes),
		TEST(a_member_comes_and_leaves_before_its_group_goes),
		TEST(a_commit_comes_before_its_offset_goes),
		TEST(a_commit_comes_before_its_group_goes),
		TEST(a_commit_comes_before_the_last_offset_takes_the_group_along),
		TEST(a_subscription_comes_before_its_offsets_go),
		TEST(a_deletion_comes_before_the_cleaner),
		TEST(the_cleaner_comes_before_the_owner),
		TEST(the_cleaner_comes_before_a_deletion),
		TEST(beside_a_cleaner),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
