/*
 * From state to state. A rebalance, in the happy case:
 *
 *	group_prepare()   members are told to come back (heartbeats: REBALANCE_IN_PROGRESS), and their JoinGroup
 *	                  requests wait
 *	complete()        all have joined: next generation, saved; all JoinGroup requests are answered
 *	group_sync.c      the leader brings the assignments, saved; all SyncGroup requests are answered
 *
 * What can go wrong: members do not come back in time (complete() at the deadline removes them, unless they
 * are static: those keep their place until their session ends); nobody does (the rebalance is prolonged);
 * members, or the leader, join and never sync (removed at the sync deadline, and all begin again).
 */
#include "broker/group_members.h"

#include "common/check.h"

/* If nobody comes back in time, the rebalance goes on for at least so long. */
#define PROLONG_MIN_MS 1000

/* --- PREPARING_REBALANCE -> COMPLETING_REBALANCE, or EMPTY --- */

static bool
all_joined(const struct group *g)
{
	return g->pending_n == 0 && group_joined_n(g) == g->member_n;
}

static void
remove_absent(struct group *g)
{
	for (int32_t i = g->member_n - 1; i >= 0; i--)
		if (!g->members[i]->joined && str_is_null(g->members[i]->instance_id))
			group_member_remove(g, g->members[i]);
}

/* The leader has to be somebody who has joined: false if nobody has. */
static bool
elect_joined(struct group *g)
{
	if (g->leader->joined)
		return true;
	for (int32_t i = 0; i < g->member_n; i++)
		if (g->members[i]->joined) {
			g->leader = g->members[i];
			return true;
		}
	return false;
}

/* Generations are told to clients as positive numbers. */
static void
next_generation(struct group *g)
{
	g->generation = g->generation < INT32_MAX ? g->generation + 1 : 1;
	group_str_free(&g->protocol);
}

static void
become_empty(struct group *g, struct group_actions *out)
{
	next_generation(g);
	g->state = GROUP_EMPTY;
	group_action_save(out);
}

/* Members that are not here (static ones) are expected to sync as the others are. */
static void
begin_generation(struct group *g, int64_t now_ms, struct group_actions *out)
{
	next_generation(g);
	g->protocol = group_str_own(group_vote(g));
	g->state = GROUP_COMPLETING_REBALANCE;
	g->sync_deadline_ms = now_ms + group_rebalance_timeout_ms(g);
	group_action_save(out);
	for (int32_t i = 0; i < g->member_n; i++) {
		struct group_member *m = g->members[i];
		if (m->join_waiter != NULL)
			group_answer_join(g, m, m->join_waiter, out);
		m->join_waiter = NULL;
		m->joined = m->is_new = m->synced = false;
		m->can_return = true;
		group_member_touch(m, now_ms);
	}
}

/* Whoever has joined makes the next generation. */
static void
complete(struct group *g, int64_t now_ms, struct group_actions *out)
{
	remove_absent(g);
	if (g->member_n == 0) {
		become_empty(g, out);
	} else if (elect_joined(g)) {
		begin_generation(g, now_ms, out);
	} else {
		int32_t more_ms = group_rebalance_timeout_ms(g);
		g->join_deadline_ms = now_ms + (more_ms > PROLONG_MIN_MS ? more_ms : PROLONG_MIN_MS);
		g->is_initial = false;
	}
}

void
group_complete_if_joined(struct group *g, int64_t now_ms, struct group_actions *out)
{
	if (g->state == GROUP_PREPARING_REBALANCE && !g->is_initial && all_joined(g))
		complete(g, now_ms, out);
}

/* --- any -> PREPARING_REBALANCE --- */

/* What was assigned holds no longer, and nobody is answered with it. */
static void
take_back_assignments(struct group *g, int64_t now_ms, struct group_actions *out)
{
	for (int32_t i = 0; i < g->member_n; i++) {
		struct group_member *m = g->members[i];
		group_member_assign(g, m, (struct bytes){ 0 });
		if (m->sync_waiter == NULL)
			continue;
		group_refuse_sync(out, m->sync_waiter, ERR_REBALANCE_IN_PROGRESS);
		m->sync_waiter = NULL;
		group_member_touch(m, now_ms);
	}
	g->sync_deadline_ms = NEVER;
}

/* From EMPTY: wait a little for others that are starting, too (KIP-134). */
static void
begin_delay(struct group *g, int64_t now_ms)
{
	int32_t left_ms = group_rebalance_timeout_ms(g) - g->rules->initial_rebalance_delay_ms;
	g->is_initial = true;
	g->newcomer = false;
	g->delay_ms = g->rules->initial_rebalance_delay_ms;
	g->remaining_ms = left_ms > 0 ? left_ms : 0;
	g->join_deadline_ms = now_ms + g->delay_ms;
}

/* Somebody came meanwhile: wait once more, as long as the rebalance time-out allows. */
static void
end_delay(struct group *g, int64_t now_ms, struct group_actions *out)
{
	if (!g->newcomer || g->remaining_ms == 0) {
		complete(g, now_ms, out);
		return;
	}
	int32_t before_ms = g->delay_ms, initial_ms = g->rules->initial_rebalance_delay_ms;
	g->newcomer = false;
	g->delay_ms = initial_ms < g->remaining_ms ? initial_ms : g->remaining_ms;
	g->remaining_ms = g->remaining_ms > before_ms ? g->remaining_ms - before_ms : 0;
	g->join_deadline_ms = now_ms + g->delay_ms;
}

void
group_prepare(struct group *g, int64_t now_ms, struct group_actions *out, const char *why)
{
	CHECK(g->state != GROUP_PREPARING_REBALANCE);
	bool was_empty = g->state == GROUP_EMPTY;
	take_back_assignments(g, now_ms, out);
	g->state = GROUP_PREPARING_REBALANCE;
	g->is_initial = false;
	g->join_deadline_ms = now_ms + group_rebalance_timeout_ms(g);
	out->why = str_of(why);
	if (was_empty && g->rules->initial_rebalance_delay_ms > 0)
		begin_delay(g, now_ms);
	else if (was_empty)
		complete(g, now_ms, out);
	else
		group_complete_if_joined(g, now_ms, out);
}

void
group_rebalance(struct group *g, int64_t now_ms, struct group_actions *out, const char *why)
{
	if (g->state == GROUP_PREPARING_REBALANCE)
		group_complete_if_joined(g, now_ms, out);
	else
		group_prepare(g, now_ms, out, why);
}

/* --- those who are lost --- */

/* Saved: who is told that it is out, or loses its session, is out for a successor of this coordinator, too. */
void
group_drop(struct group *g, struct group_member *m, struct group_actions *out)
{
	if (m->join_waiter != NULL)
		group_refuse_join(out, m->join_waiter, ERR_UNKNOWN_MEMBER_ID, STR(""));
	if (m->sync_waiter != NULL)
		group_refuse_sync(out, m->sync_waiter, ERR_UNKNOWN_MEMBER_ID);
	group_member_remove(g, m);
	group_action_save(out);
}

/* Unlike one that leaves, one that is lost does not leave the initial rebalance to its delay, as in Kafka. */
static void
after_loss(struct group *g, int64_t now_ms, struct group_actions *out, const char *why)
{
	if (g->state == GROUP_PREPARING_REBALANCE) {
		if (all_joined(g))
			complete(g, now_ms, out);
	} else if (g->state != GROUP_EMPTY) {
		group_prepare(g, now_ms, out, why);
	}
}

static bool
expire_pending(struct group *g, int64_t now_ms, struct group_actions *out)
{
	int32_t before = g->pending_n;
	for (int32_t i = g->pending_n - 1; i >= 0; i--)
		if (g->pending[i].deadline_ms <= now_ms)
			group_pending_remove(g, g->pending[i].id);
	if (g->pending_n == before)
		return false;
	if (g->state == GROUP_PREPARING_REBALANCE)
		after_loss(g, now_ms, out, "");
	return true;
}

static bool
expire_member(struct group *g, int64_t now_ms, struct group_actions *out)
{
	for (int32_t i = 0; i < g->member_n; i++) {
		struct group_member *m = g->members[i];
		if (m->deadline_ms > now_ms || !group_member_can_expire(m))
			continue;
		const char *why = arena_printf(out->arena, "member %.*s was not heard of for %d ms",
					       STR_ARG(m->id), (int)m->session_timeout_ms);
		group_drop(g, m, out);
		after_loss(g, now_ms, out, why);
		return true;
	}
	return false;
}

static bool
expire_join(struct group *g, int64_t now_ms, struct group_actions *out)
{
	if (g->state != GROUP_PREPARING_REBALANCE || g->join_deadline_ms > now_ms)
		return false;
	if (g->is_initial)
		end_delay(g, now_ms, out);
	else
		complete(g, now_ms, out);
	return true;
}

static bool
expire_sync(struct group *g, int64_t now_ms, struct group_actions *out)
{
	if (g->sync_deadline_ms > now_ms)
		return false;
	int32_t before = g->member_n;
	for (int32_t i = g->member_n - 1; i >= 0; i--)
		if (!g->members[i]->synced)
			group_drop(g, g->members[i], out);
	group_prepare(g, now_ms, out,
		      arena_printf(out->arena, "%d members did not send their SyncGroup in time",
				   (int)(before - g->member_n)));
	return true;
}

void
group_tick(struct group *g, int64_t now_ms, struct group_actions *out)
{
	while (expire_pending(g, now_ms, out) || expire_member(g, now_ms, out) ||
	       expire_join(g, now_ms, out) || expire_sync(g, now_ms, out))
		;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t
group_deadline(const struct group *g)
{
	int64_t at = g->sync_deadline_ms;
	if (g->state == GROUP_PREPARING_REBALANCE)
		at = earlier(at, g->join_deadline_ms);
	for (int32_t i = 0; i < g->pending_n; i++)
		at = earlier(at, g->pending[i].deadline_ms);
	for (int32_t i = 0; i < g->member_n; i++)
		if (group_member_can_expire(g->members[i]))
			at = earlier(at, g->members[i]->deadline_ms);
	return at;
}
