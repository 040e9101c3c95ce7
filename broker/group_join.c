/*
 * JoinGroup. Who asks decides what happens:
 *
 *	nobody yet, static     replaces the member of that instance id, or is added
 *	nobody yet, v4+        is given an id and comes back with it (KIP-394)
 *	nobody yet, v0-3       is added
 *	an id that was given   is added
 *	a member               joins the next generation, or is told of the present one if nothing changed
 *
 * Adding waits in PREPARING_REBALANCE; in every other state it begins one.
 */
#include "broker/group_members.h"

#include <string.h>

#include "common/check.h"

/* "<client id or instance id>-<uuid>", as Kafka's. */
static struct str
new_member_id(const struct group *g, const struct group_join *in, struct arena *arena)
{
	struct str prefix = str_is_null(in->instance_id) ? in->client_id : in->instance_id;
	if (prefix.n > GROUP_ID_PREFIX_MAX) {
		prefix.n = GROUP_ID_PREFIX_MAX;
		while (prefix.n > 0 &&
		       ((uint8_t)prefix.at[prefix.n] & 0xc0) == 0x80) /* not within a character */
			prefix.n--;
	}
	char uuid[UUID_TEXT];
	uuid_text(g->rules->new_uuid != NULL ? g->rules->new_uuid() : uuid_random(), uuid);
	int32_t n = prefix.n > 0 ? prefix.n : 0;
	char *id = arena_alloc(arena, (size_t)n + 1 + UUID_TEXT);
	if (n > 0)
		memcpy(id, prefix.at, (size_t)n);
	id[n] = '-';
	memcpy(id + n + 1, uuid, UUID_TEXT);
	return (struct str){ .at = id, .n = n + UUID_TEXT };
}

static const char *
describe(const struct group_actions *out, const char *what, struct str member_id, const struct group_join *in)
{
	if (in->reason.n <= 0)
		return arena_printf(out->arena, "%s %.*s", what, STR_ARG(member_id));
	return arena_printf(out->arena, "%s %.*s: %.*s", what, STR_ARG(member_id), STR_ARG(in->reason));
}

/* The request waits; if the member's last one still does, this one takes its place. */
static void
wait_for_join(struct group_member *m, void *waiter, struct group_actions *out)
{
	if (m->join_waiter != NULL)
		group_refuse_join(out, m->join_waiter, ERR_REBALANCE_IN_PROGRESS, m->id);
	m->join_waiter = waiter;
	m->joined = true;
}

/* --- newcomers --- */

static void
add(struct group *g, int64_t now_ms, const struct group_join *in, struct str id, void *waiter,
    struct group_actions *out)
{
	if (g->state == GROUP_PREPARING_REBALANCE && g->is_initial)
		g->newcomer = true;
	struct group_member *m = group_member_add(g, id, in);
	m->is_new = true;
	m->can_return = in->member_id.n > 0 || !str_is_null(in->instance_id);
	m->deadline_ms = now_ms + NEW_MEMBER_JOIN_TIMEOUT_MS;
	wait_for_join(m, waiter, out);
	group_rebalance(g, now_ms, out, describe(out, "new member", m->id, in));
}

/*
 * A static member came back without its id: the client was started again. In a STABLE group it takes its
 * place again, as if nothing had happened, unless the group would now choose another protocol. (That its
 * subscription has changed does not count, as in Kafka: the client sees to that itself.)
 */
static void
replace(struct group *g, int64_t now_ms, const struct group_join *in, struct group_member *m, void *waiter,
	struct group_actions *out)
{
	struct str old_leader = str_keep(out->arena, g->leader->id);
	if (m->join_waiter != NULL)
		group_refuse_join(out, m->join_waiter, ERR_FENCED_INSTANCE_ID, m->id);
	if (m->sync_waiter != NULL)
		group_refuse_sync(out, m->sync_waiter, ERR_FENCED_INSTANCE_ID);
	m->join_waiter = m->sync_waiter = NULL;
	group_member_rename(g, m, new_member_id(g, in, out->arena));
	group_member_update(g, m, in);
	group_member_touch(m, now_ms);
	m->is_new = false;
	group_action_save(out);
	if (g->state == GROUP_STABLE && str_eq(g->protocol, group_vote(g))) {
		group_answer_return(g, m, in, old_leader, waiter, out);
		return;
	}
	wait_for_join(m, waiter, out);
	group_rebalance(g, now_ms, out, describe(out, "static member is back as", m->id, in));
}

static void
join_newcomer(struct group *g, int64_t now_ms, const struct group_join *in, void *waiter,
	      struct group_actions *out)
{
	struct group_member *known = group_static_find(g, in->instance_id);
	if (known != NULL) {
		replace(g, now_ms, in, known, waiter, out);
		return;
	}
	struct str id = new_member_id(g, in, out->arena);
	if (in->version < 4 || !str_is_null(in->instance_id)) {
		add(g, now_ms, in, id, waiter, out);
		return;
	}
	group_pending_add(g, id, now_ms + in->session_timeout_ms);
	group_refuse_join(out, waiter, ERR_MEMBER_ID_REQUIRED, id);
}

/* --- those who have an id --- */

static void
rejoin(struct group *g, int64_t now_ms, const struct group_join *in, struct group_member *m, void *waiter,
       struct group_actions *out)
{
	bool same = group_protocols_match(&m->protocols, in);
	bool in_generation = g->state != GROUP_PREPARING_REBALANCE;
	/* The leader of a STABLE group asks for a rebalance by joining: it saw what we cannot see, as new partitions. */
	if (in_generation && same && !(g->state == GROUP_STABLE && m == g->leader)) {
		group_member_touch(m, now_ms);
		group_answer_join(g, m, waiter, out);
		return;
	}
	group_member_update(g, m, in);
	wait_for_join(m, waiter, out);
	const char *what = m == g->leader ? "leader joins again," : "member joins with other metadata,";
	group_rebalance(g, now_ms, out, describe(out, what, m->id, in));
}

static void
join_known(struct group *g, int64_t now_ms, const struct group_join *in, void *waiter,
	   struct group_actions *out)
{
	struct group_member *m;
	if (str_is_null(in->instance_id) && group_pending_remove(g, in->member_id)) {
		add(g, now_ms, in, in->member_id, waiter, out);
		return;
	}
	enum err e = group_member_validate(g, in->member_id, in->instance_id, &m);
	if (e == ERR_NONE)
		rejoin(g, now_ms, in, m, waiter, out);
	else
		group_refuse_join(out, waiter, e, in->member_id);
}

/* --- who may --- */

static const struct group_member *
who(const struct group *g, const struct group_join *in)
{
	return in->member_id.n > 0 ? group_member_find(g, in->member_id)
				   : group_static_find(g, in->instance_id);
}

/*
 * While members join, the group is as large as those who have: the last to come back may find it full. (Unlike
 * Kafka, a static member that comes back without its id finds its place even in a full group.)
 */
static bool
has_room(const struct group *g, const struct group_join *in)
{
	const struct group_member *m = who(g, in);
	if (g->state == GROUP_EMPTY)
		return true;
	if (g->state == GROUP_PREPARING_REBALANCE)
		return (m != NULL && m->joined) || group_joined_n(g) < g->rules->max_size;
	return m != NULL || g->member_n < g->rules->max_size;
}

static void
refuse_for_size(struct group *g, int64_t now_ms, const struct group_join *in, void *waiter,
		struct group_actions *out)
{
	struct group_member *m = in->member_id.n > 0 ? group_member_find(g, in->member_id) : NULL;
	if (m != NULL)
		group_drop(g, m, out);
	group_pending_remove(g, in->member_id);
	group_refuse_join(out, waiter, ERR_GROUP_MAX_SIZE_REACHED, STR(""));
	group_complete_if_joined(g, now_ms, out);
}

void
group_join(struct group *g, int64_t now_ms, const struct group_join *in, void *waiter,
	   struct group_actions *out)
{
	CHECK(waiter != NULL);
	if (in->session_timeout_ms < g->rules->min_session_timeout_ms ||
	    in->session_timeout_ms > g->rules->max_session_timeout_ms)
		group_refuse_join(out, waiter, ERR_INVALID_SESSION_TIMEOUT, in->member_id);
	else if (in->protocol_n > GROUP_PROTOCOLS_MAX)
		group_refuse_join(out, waiter, ERR_INVALID_REQUEST, in->member_id);
	else if (!has_room(g, in))
		refuse_for_size(g, now_ms, in, waiter, out);
	else if (!group_may_hold(g, group_bytes_with(g, who(g, in), in)))
		group_refuse_join(out, waiter, ERR_GROUP_MAX_SIZE_REACHED, in->member_id);
	else if (!group_supports(g, in))
		group_refuse_join(out, waiter, ERR_INCONSISTENT_GROUP_PROTOCOL, in->member_id);
	else if (in->member_id.n <= 0)
		join_newcomer(g, now_ms, in, waiter, out);
	else
		join_known(g, now_ms, in, waiter, out);
}
