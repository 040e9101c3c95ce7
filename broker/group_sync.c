/*
 * SyncGroup. Followers wait for the leader's; the leader's brings everybody's assignment, makes the group STABLE
 * and is answered with all others once the assignments are saved. Who syncs in a STABLE group is told again.
 */
#include <stdlib.h>

#include "broker/group_members.h"

#include "common/check.h"

/* By member id; of two for the same member the later counts. */
static int
by_id(const void *a, const void *b)
{
	const struct group_assignment *x = *(const struct group_assignment *const *)a;
	const struct group_assignment *y = *(const struct group_assignment *const *)b;
	int order = str_cmp(x->member_id, y->member_id);
	return order != 0 ? order : (x > y) - (x < y);
}

static const struct group_assignment **
sorted(const struct group_sync *in, struct arena *arena)
{
	const struct group_assignment **at =
	    arena_array(arena, (size_t)in->assignment_n, sizeof(struct group_assignment *));
	for (int32_t i = 0; i < in->assignment_n; i++)
		at[i] = &in->assignments[i];
	if (in->assignment_n > 0)
		qsort(at, (size_t)in->assignment_n, sizeof(struct group_assignment *), by_id);
	return at;
}

/* Whom the leader forgot gets nothing: empty bytes. */
static struct bytes
find_last(const struct group_assignment *const *at, int32_t n, struct str member_id)
{
	int32_t from = 0, to = n; /* those before `from` are <= member_id, those from `to` on are greater */
	while (from < to) {
		int32_t mid = from + (to - from) / 2;
		if (str_cmp(at[mid]->member_id, member_id) <= 0)
			from = mid + 1;
		else
			to = mid;
	}
	if (from == 0 || !str_eq(at[from - 1]->member_id, member_id))
		return (struct bytes){ 0 };
	return at[from - 1]->assignment;
}

static bool
has_memory(const struct group *g, const struct group_sync *in)
{
	int64_t bytes = g->bytes;
	for (int32_t i = 0; i < in->assignment_n; i++) {
		const struct group_assignment *a = &in->assignments[i];
		bytes += (int64_t)sizeof(*a) + a->member_id.n + (a->assignment.n > 0 ? a->assignment.n : 0);
	}
	return group_may_hold(g, bytes);
}

static void
become_stable(struct group *g, int64_t now_ms, const struct group_sync *in, struct group_actions *out)
{
	const struct group_assignment **at = sorted(in, out->arena);
	g->state = GROUP_STABLE;
	group_action_save(out);
	for (int32_t i = 0; i < g->member_n; i++) {
		struct group_member *m = g->members[i];
		group_member_assign(g, m, find_last(at, in->assignment_n, m->id));
		if (m->sync_waiter == NULL)
			continue;
		group_answer_sync(g, m, m->sync_waiter, out);
		m->sync_waiter = NULL;
		group_member_touch(m, now_ms);
	}
}

/* The sync deadline ends as the last member has come. */
static void
note_synced(struct group *g, struct group_member *m)
{
	m->synced = true;
	for (int32_t i = 0; i < g->member_n; i++)
		if (!g->members[i]->synced)
			return;
	g->sync_deadline_ms = NEVER;
}

static void
wait_for_sync(struct group *g, struct group_member *m, void *waiter, struct group_actions *out)
{
	if (m->sync_waiter != NULL)
		group_refuse_sync(out, m->sync_waiter, ERR_REBALANCE_IN_PROGRESS);
	m->sync_waiter = waiter;
	note_synced(g, m);
}

/* Before v5 the request names no protocol. */
static bool
differs(struct str said, struct str is)
{
	return !str_is_null(said) && !str_eq(said, is);
}

static enum err
validate(const struct group *g, const struct group_sync *in, struct group_member **out)
{
	enum err e = group_member_validate(g, in->member_id, in->instance_id, out);
	if (e != ERR_NONE)
		return e;
	if (in->generation != g->generation)
		return ERR_ILLEGAL_GENERATION;
	if (differs(in->protocol_type, g->protocol_type) || differs(in->protocol, g->protocol))
		return ERR_INCONSISTENT_GROUP_PROTOCOL;
	if (g->state == GROUP_PREPARING_REBALANCE)
		return ERR_REBALANCE_IN_PROGRESS;
	/* Kafka could not store it either, and says so in the same way. */
	if (g->state == GROUP_COMPLETING_REBALANCE && *out == g->leader && !has_memory(g, in))
		return ERR_UNKNOWN_SERVER_ERROR;
	return ERR_NONE;
}

void
group_sync(struct group *g, int64_t now_ms, const struct group_sync *in, void *waiter,
	   struct group_actions *out)
{
	CHECK(waiter != NULL);
	struct group_member *m;
	enum err e = validate(g, in, &m);
	if (e != ERR_NONE) {
		group_refuse_sync(out, waiter, e);
		return;
	}
	if (g->state == GROUP_STABLE) {
		note_synced(g, m);
		group_member_touch(m, now_ms);
		group_answer_sync(g, m, waiter, out);
		return;
	}
	wait_for_sync(g, m, waiter, out);
	if (m == g->leader)
		become_stable(g, now_ms, in, out);
}
