#include "broker/group_members.h"

#include <stdlib.h>

#include "common/check.h"

struct group *
group_new(struct str id, const struct group_rules *rules)
{
	struct group *g = calloc(1, sizeof(*g));
	CHECK(g != NULL);
	g->id = group_str_own(id);
	g->rules = rules;
	g->protocol_type = g->protocol = STR_NULL;
	g->sync_deadline_ms = NEVER;
	return g;
}

void
group_free(struct group *g)
{
	if (g == NULL)
		return;
	while (g->member_n > 0)
		group_member_remove(g, g->members[g->member_n - 1]);
	for (int32_t i = 0; i < g->pending_n; i++)
		group_str_free(&g->pending[i].id);
	free(g->members);
	free(g->id_hashes);
	free(g->pending);
	group_str_free(&g->id);
	group_str_free(&g->protocol_type);
	group_str_free(&g->protocol);
	free(g);
}

enum err
group_heartbeat(struct group *g, int64_t now_ms, struct str member_id, struct str instance_id,
		int32_t generation)
{
	struct group_member *m;
	enum err e = group_member_validate(g, member_id, instance_id, &m);
	if (e != ERR_NONE)
		return e;
	if (generation != g->generation)
		return ERR_ILLEGAL_GENERATION;
	group_member_touch(m, now_ms);
	return g->state == GROUP_PREPARING_REBALANCE ? ERR_REBALANCE_IN_PROGRESS : ERR_NONE;
}

/* --- leaving --- */

static enum err
find_leaver(const struct group *g, struct str member_id, struct str instance_id, struct group_member **out)
{
	if (member_id.n > 0)
		return group_member_validate(g, member_id, instance_id, out);
	*out = group_static_find(g, instance_id);
	return *out != NULL ? ERR_NONE : ERR_UNKNOWN_MEMBER_ID;
}

enum err
group_leave(struct group *g, int64_t now_ms, struct str member_id, struct str instance_id,
	    struct group_actions *out)
{
	struct group_member *m;
	const char *why = arena_printf(out->arena, "member %.*s leaves",
				       STR_ARG(member_id.n > 0 ? member_id : instance_id));
	if (member_id.n > 0 && group_pending_remove(g, member_id)) {
		group_complete_if_joined(g, now_ms, out);
		return ERR_NONE;
	}
	enum err e = find_leaver(g, member_id, instance_id, &m);
	if (e != ERR_NONE)
		return e;
	group_drop(g, m, out);
	group_rebalance(g, now_ms, out, why);
	return ERR_NONE;
}

/* --- committing --- */

enum err
group_may_commit(struct group *g, int64_t now_ms, int32_t generation, struct str member_id,
		 struct str instance_id)
{
	if (generation < 0 && g->state == GROUP_EMPTY)
		return ERR_NONE;
	if (generation < 0 && member_id.n <= 0 && str_is_null(instance_id))
		return ERR_UNKNOWN_MEMBER_ID;
	struct group_member *m;
	enum err e = group_member_validate(g, member_id, instance_id, &m);
	if (e != ERR_NONE)
		return e;
	if (generation != g->generation)
		return ERR_ILLEGAL_GENERATION;
	if (g->state ==
	    GROUP_COMPLETING_REBALANCE) /* it has joined, and owns nothing yet that it could commit */
		return ERR_REBALANCE_IN_PROGRESS;
	group_member_touch(m, now_ms);
	return ERR_NONE;
}

/* --- waiters --- */

void
group_forget_waiter(struct group *g, int64_t now_ms, void *waiter)
{
	for (int32_t i = 0; i < g->member_n; i++) {
		struct group_member *m = g->members[i];
		if (m->join_waiter != waiter && m->sync_waiter != waiter)
			continue;
		if (m->join_waiter == waiter)
			m->join_waiter = NULL;
		else
			m->sync_waiter = NULL;
		group_member_touch(m, now_ms);
		if (!m->can_return) /* it cannot come back as who it was */
			m->deadline_ms = now_ms;
		return;
	}
}

int32_t
group_waiters(const struct group *g, struct arena *arena, void ***out)
{
	void **at = arena_array(arena, (size_t)g->member_n * 2, sizeof(void *));
	int32_t n = 0;
	for (int32_t i = 0; i < g->member_n; i++) {
		if (g->members[i]->join_waiter != NULL)
			at[n++] = g->members[i]->join_waiter;
		if (g->members[i]->sync_waiter != NULL)
			at[n++] = g->members[i]->sync_waiter;
	}
	*out = at;
	return n;
}
