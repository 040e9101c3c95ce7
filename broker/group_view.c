/* Looking at a group: what the admin requests show, and the invariants. */
#include <stdlib.h>

#include "broker/consumer_protocol.h"
#include "broker/group_members.h"
#include "common/check.h"

const char *
group_state_name(enum group_state state)
{
	static const char *const names[] = { [GROUP_EMPTY] = "Empty",
					     [GROUP_PREPARING_REBALANCE] = "PreparingRebalance",
					     [GROUP_COMPLETING_REBALANCE] = "CompletingRebalance",
					     [GROUP_STABLE] = "Stable" };
	return names[state];
}

struct group_view
group_view(const struct group *g)
{
	return (struct group_view){ .id = g->id,
				    .protocol_type = g->protocol_type,
				    .leader = g->leader != NULL ? g->leader->id : STR_NULL,
				    .protocol = g->state == GROUP_STABLE ? g->protocol : STR(""),
				    .state = g->state,
				    .generation = g->generation,
				    .member_n = g->member_n };
}

struct group_member_view
group_member_view(const struct group *g, int32_t i)
{
	CHECK(i >= 0 && i < g->member_n);
	const struct group_member *m = g->members[i];
	struct group_member_view v = { .member_id = m->id,
				       .instance_id = m->instance_id,
				       .client_id = m->client_id,
				       .client_host = m->client_host };
	if (g->state == GROUP_STABLE) {
		v.metadata = group_protocols_find(&m->protocols, g->protocol)->metadata;
		v.assignment = m->assignment;
	}
	return v;
}

bool
group_is_idle(const struct group *g)
{
	return g->state == GROUP_EMPTY && g->pending_n == 0;
}

int64_t
group_bytes(const struct group *g)
{
	return g->bytes;
}

int64_t
group_pending_bytes(const struct group *g)
{
	return g->pending_cap * (int64_t)sizeof(*g->pending) + (int64_t)g->pending_n * GROUP_MEMBER_ID_MAX;
}

/* --- subscriptions --- */

/* True also where that cannot be read. */
static bool
names_topic(struct bytes metadata, struct str topic)
{
	struct consumer_reader r = consumer_subscription(metadata);
	struct str name;
	while (consumer_topic(&r, &name))
		if (str_eq(name, topic))
			return true;
	return consumer_failed(&r);
}

/* While the next generation joins, a member may lack the protocol of the last one. */
static bool
member_is_subscribed(const struct group *g, const struct group_member *m, struct str topic)
{
	const struct group_protocol *p = group_protocols_find(&m->protocols, g->protocol);
	return p == NULL || names_topic(p->metadata, topic);
}

bool
group_is_subscribed(const struct group *g, struct str topic)
{
	if (!str_is(g->protocol_type, "consumer"))
		return false;
	for (int32_t i = 0; i < g->member_n; i++)
		if (member_is_subscribed(g, g->members[i], topic))
			return true;
	return false;
}

/* --- invariants --- */

static int
by_str(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool
has_twins(struct str *at, int32_t n)
{
	qsort(at, (size_t)n, sizeof(*at), by_str);
	for (int32_t i = 1; i < n; i++)
		if (!str_is_null(at[i]) && str_eq(at[i - 1], at[i]))
			return true;
	return false;
}

/* Member ids, with those that were given out; and instance ids. */
static bool
ids_are_unique(const struct group *g)
{
	int32_t n = 0;
	struct str *at = calloc((size_t)g->member_n + (size_t)g->pending_n + 1, sizeof(*at));
	CHECK(at != NULL);
	for (int32_t i = 0; i < g->member_n; i++)
		at[n++] = g->members[i]->id;
	for (int32_t i = 0; i < g->pending_n; i++)
		at[n++] = g->pending[i].id;
	bool unique = !has_twins(at, n);
	n = 0;
	for (int32_t i = 0; i < g->member_n; i++)
		at[n++] = g->members[i]->instance_id;
	unique = unique && !has_twins(at, n);
	free(at);
	return unique;
}

static const char *
flaw_of_member(const struct group *g, const struct group_member *m)
{
	if (m->id.n <= 0 || m->protocols.n < 1 || m->protocols.n > GROUP_PROTOCOLS_MAX)
		return "a member without id or protocols";
	if (!str_is_null(g->protocol) && g->state != GROUP_PREPARING_REBALANCE &&
	    group_protocols_find(&m->protocols, g->protocol) == NULL)
		return "a member that does not support the group's protocol";
	if (g->state != GROUP_PREPARING_REBALANCE && (m->joined || m->is_new || !m->can_return))
		return "a member that joins, though nobody may";
	if (m->join_waiter != NULL && !m->joined)
		return "a member that waits for others to join, and has not joined";
	if (m->is_new && !m->joined)
		return "a new member that has not joined";
	if (m->sync_waiter != NULL && (g->state != GROUP_COMPLETING_REBALANCE || !m->synced))
		return "a member that waits for an assignment, and should not";
	if (g->state != GROUP_STABLE && m->assignment.n > 0)
		return "an assignment in a group that is not stable";
	return NULL;
}

static const char *
flaw_of_members(const struct group *g)
{
	int64_t bytes = 0;
	bool has_leader = false, all_synced = true;
	for (int32_t i = 0; i < g->member_n; i++) {
		const struct group_member *m = g->members[i];
		const char *flaw = flaw_of_member(g, m);
		if (flaw != NULL)
			return flaw;
		has_leader = has_leader || (g->leader != NULL && m == g->leader);
		all_synced = m->synced && all_synced;
		bytes += group_member_bytes(m);
	}
	if (has_leader != (g->member_n > 0) || (g->leader != NULL) != has_leader)
		return "a leader that is no member";
	if (bytes != g->bytes || bytes > GROUP_BYTES_MAX)
		return "bytes held, wrongly counted or too many";
	if (g->state == GROUP_STABLE && all_synced != (g->sync_deadline_ms == NEVER))
		return "a wait for members that have synced, or none for those that have not";
	if (!ids_are_unique(g))
		return "two members of one id";
	for (int32_t i = 0; i < g->member_n; i++)
		if (group_member_find(g, g->members[i]->id) != g->members[i])
			return "a member that is not found by its id";
	return NULL;
}

static const char *
flaw_of_state(const struct group *g)
{
	switch (g->state) {
	case GROUP_EMPTY:
		return g->member_n > 0 || !str_is_null(g->protocol)
			   ? "an empty group with members or a protocol"
			   : NULL;
	case GROUP_PREPARING_REBALANCE:
		return g->sync_deadline_ms != NEVER ? "a wait for SyncGroup while members join" : NULL;
	case GROUP_COMPLETING_REBALANCE:
		if (g->leader != NULL && g->leader->synced)
			return "a leader that has synced, and no assignments";
		if (g->sync_deadline_ms == NEVER)
			return "no end to the wait for SyncGroup";
		break;
	case GROUP_STABLE:
		break;
	}
	if (g->member_n == 0 || g->generation < 1 || str_is_null(g->protocol))
		return "a generation without members, number or protocol";
	return NULL;
}

const char *
group_flaw(const struct group *g)
{
	const char *flaw = flaw_of_state(g);
	if (flaw == NULL)
		flaw = flaw_of_members(g);
	if (flaw != NULL)
		return flaw;
	if (g->member_n > 0 && g->protocol_type.n <= 0)
		return "members without a protocol type";
	if (g->member_n > 0 && !group_has_common_protocol(g))
		return "members without a common protocol";
	if (g->pending_n > GROUP_PENDING_MAX || g->generation < 0)
		return "a number out of range";
	return NULL;
}

void
group_check(const struct group *g)
{
	const char *flaw = group_flaw(g);
	if (flaw != NULL)
		check_failed(__FILE__, __LINE__, flaw);
}
