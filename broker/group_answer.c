/* The list of actions. All that an action tells is copied into the list's arena. */
#include <string.h>

#include "broker/group_members.h"

static struct group_action *
add(struct group_actions *out, enum group_action_kind kind, void *waiter)
{
	out->at = arena_grow(out->arena, out->at, out->n, sizeof(*out->at));
	struct group_action *a = &out->at[out->n++];
	*a = (struct group_action){ .kind = kind, .waiter = waiter };
	return a;
}

/* To the front, however late it turns out to be needed. */
void
group_action_save(struct group_actions *out)
{
	if (out->n > 0 && out->at[0].kind == GROUP_SAVE)
		return;
	add(out, GROUP_SAVE, NULL);
	memmove(&out->at[1], &out->at[0], (size_t)(out->n - 1) * sizeof(*out->at));
	out->at[0] = (struct group_action){ .kind = GROUP_SAVE };
}

void
group_refuse_join(struct group_actions *out, void *waiter, enum err error, struct str member_id)
{
	struct group_action *a = add(out, GROUP_ANSWER_JOIN, waiter);
	a->joined = (struct group_joined){ .error = error,
					   .generation = -1,
					   .protocol_type = STR_NULL,
					   .protocol = STR_NULL,
					   .leader = STR(""),
					   .member_id = str_keep(out->arena, member_id) };
}

/* The members as the leader has to know them. */
static void
list_members(const struct group *g, struct arena *arena, struct group_joined *joined)
{
	joined->members = arena_array(arena, (size_t)g->member_n, sizeof(*joined->members));
	joined->member_n = g->member_n;
	for (int32_t i = 0; i < g->member_n; i++) {
		const struct group_member *m = g->members[i];
		joined->members[i] = (struct group_joined_member){
			.member_id = str_keep(arena, m->id),
			.instance_id = str_keep(arena, m->instance_id),
			.metadata =
			    bytes_keep(arena, group_protocols_find(&m->protocols, g->protocol)->metadata),
		};
	}
}

static struct group_joined
joined_as(const struct group *g, const struct group_member *m, struct arena *arena)
{
	return (struct group_joined){ .error = ERR_NONE,
				      .generation = g->generation,
				      .protocol_type = str_keep(arena, g->protocol_type),
				      .protocol = str_keep(arena, g->protocol),
				      .leader = str_keep(arena, g->leader->id),
				      .member_id = str_keep(arena, m->id) };
}

void
group_answer_join(const struct group *g, struct group_member *m, void *waiter, struct group_actions *out)
{
	struct group_action *a = add(out, GROUP_ANSWER_JOIN, waiter);
	a->joined = joined_as(g, m, out->arena);
	if (m == g->leader)
		list_members(g, out->arena, &a->joined);
}

/*
 * The group stays as it is, so a leader that comes back must not assign anew. From v9 on it is told so; before,
 * it is told that its former self leads, and so takes itself for a follower.
 */
void
group_answer_return(const struct group *g, const struct group_member *m, const struct group_join *in,
		    struct str old_leader, void *waiter, struct group_actions *out)
{
	struct group_action *a = add(out, GROUP_ANSWER_JOIN, waiter);
	a->joined = joined_as(g, m, out->arena);
	if (in->version < 9) {
		a->joined.leader = str_keep(out->arena, old_leader);
	} else if (m == g->leader) {
		a->joined.skip_assignment = true;
		list_members(g, out->arena, &a->joined);
	}
}

void
group_answer_sync(const struct group *g, const struct group_member *m, void *waiter,
		  struct group_actions *out)
{
	struct group_action *a = add(out, GROUP_ANSWER_SYNC, waiter);
	a->protocol_type = str_keep(out->arena, g->protocol_type);
	a->protocol = str_keep(out->arena, g->protocol);
	a->assignment = bytes_keep(out->arena, m->assignment);
}

void
group_refuse_sync(struct group_actions *out, void *waiter, enum err error)
{
	struct group_action *a = add(out, GROUP_ANSWER_SYNC, waiter);
	a->error = error;
	a->protocol_type = a->protocol = STR_NULL;
}
