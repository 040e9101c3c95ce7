/*
 * A group's state as bytes. All numbers are big-endian; a string or bytes is its length (int32, -1: null) and
 * itself.
 *
 *	version          int8     1
 *	state            int8     enum group_state
 *	generation       int32
 *	protocol_type    string?
 *	protocol         string?
 *	leader           int32    index of a member; -1: none
 *	members          int32, and as often:
 *	  id, instance_id?, client_id?, client_host?       strings
 *	  session_timeout_ms, rebalance_timeout_ms         int32
 *	  protocols      int32, and as often: name string, metadata bytes
 *	  assignment     bytes
 *
 * To change this: a new version; keep reading the old ones. The numbers of enum group_state are part of it.
 */
#include <string.h>

#include "broker/group_members.h"
#include "common/bytes.h"

#define VERSION 1

_Static_assert(GROUP_EMPTY == 0 && GROUP_PREPARING_REBALANCE == 1 && GROUP_COMPLETING_REBALANCE == 2 &&
		   GROUP_STABLE == 3,
	       "stored");

/* --- to bytes --- */

static void
put_int8(struct buf *out, uint8_t v)
{
	buf_append(out, &v, 1);
}

static void
put_int32(struct buf *out, int32_t v)
{
	uint8_t at[4];
	put_u32(at, (uint32_t)v);
	buf_append(out, at, sizeof(at));
}

static void
put_run(struct buf *out, const void *at, int32_t n)
{
	put_int32(out, n);
	if (n > 0)
		buf_append(out, at, (size_t)n);
}

static void
put_str(struct buf *out, struct str s)
{
	put_run(out, s.at, s.n);
}

static void
put_bytes(struct buf *out, struct bytes b)
{
	put_run(out, b.at, b.n);
}

static void
put_member(struct buf *out, const struct group_member *m)
{
	put_str(out, m->id);
	put_str(out, m->instance_id);
	put_str(out, m->client_id);
	put_str(out, m->client_host);
	put_int32(out, m->session_timeout_ms);
	put_int32(out, m->rebalance_timeout_ms);
	put_int32(out, m->protocols.n);
	for (int32_t i = 0; i < m->protocols.n; i++) {
		put_str(out, m->protocols.at[i].name);
		put_bytes(out, m->protocols.at[i].metadata);
	}
	put_bytes(out, m->assignment);
}

static int32_t
index_of(const struct group *g, const struct group_member *m)
{
	for (int32_t i = 0; i < g->member_n; i++)
		if (g->members[i] == m)
			return i;
	return -1;
}

void
group_encode(const struct group *g, struct buf *out)
{
	put_int8(out, VERSION);
	put_int8(out, (uint8_t)g->state);
	put_int32(out, g->generation);
	put_str(out, g->protocol_type);
	put_str(out, g->protocol);
	put_int32(out, index_of(g, g->leader));
	put_int32(out, g->member_n);
	for (int32_t i = 0; i < g->member_n; i++)
		put_member(out, g->members[i]);
}

/* --- from bytes: the first thing that does not fit ends it, and all further reads give nothing --- */

struct reader {
	const uint8_t *at, *end;
	bool failed;
};

static const uint8_t *
get(struct reader *r, int64_t n)
{
	static const uint8_t nothing[8];
	if (r->failed || n > r->end - r->at) {
		r->failed = true;
		return nothing;
	}
	r->at += n;
	return r->at - n;
}

static int32_t
get_int32(struct reader *r)
{
	return (int32_t)get_u32(get(r, 4));
}

/* A length, or a number of things that take at least a byte each. */
static int32_t
get_n(struct reader *r, int32_t min)
{
	int32_t n = get_int32(r);
	if (n < min || n > r->end - r->at)
		r->failed = true;
	return r->failed ? 0 : n;
}

static struct str
get_str(struct reader *r)
{
	int32_t n = get_n(r, -1);
	return n < 0 ? STR_NULL : (struct str){ .at = (const char *)get(r, n), .n = n };
}

static struct bytes
get_bytes(struct reader *r)
{
	int32_t n = get_n(r, 0);
	return (struct bytes){ .at = get(r, n), .n = n };
}

static void
get_member(struct reader *r, struct group *g)
{
	struct group_protocol protocols[GROUP_PROTOCOLS_MAX];
	struct str id = get_str(r);
	struct group_join in = { .version = 1, .protocol_type = g->protocol_type, .protocols = protocols };
	in.instance_id = get_str(r);
	in.client_id = get_str(r);
	in.client_host = get_str(r);
	in.session_timeout_ms = get_int32(r);
	in.rebalance_timeout_ms = get_int32(r);
	in.protocol_n = get_n(r, 1);
	if (in.protocol_n > GROUP_PROTOCOLS_MAX || id.n <= 0 || in.session_timeout_ms < 0)
		r->failed = true;
	for (int32_t i = 0; i < in.protocol_n && !r->failed; i++) {
		protocols[i].name = get_str(r);
		protocols[i].metadata = get_bytes(r);
	}
	struct bytes assignment = get_bytes(r);
	if (r->failed)
		return;
	struct group_member *m = group_member_add(g, id, &in);
	group_member_assign(g, m, assignment);
}

static void
get_group(struct reader *r, struct group *g)
{
	if (*get(r, 1) != VERSION)
		r->failed = true;
	uint8_t state = *get(r, 1);
	if (state > GROUP_STABLE)
		r->failed = true;
	g->state = (enum group_state)state;
	g->generation = get_int32(r);
	g->protocol_type = group_str_own(get_str(r));
	g->protocol = group_str_own(get_str(r));
	int32_t leader = get_int32(r);
	int32_t member_n = get_n(r, 0);
	for (int32_t i = 0; i < member_n && !r->failed; i++)
		get_member(r, g);
	if (r->at != r->end || leader < -1 || leader >= member_n || (leader == -1) != (member_n == 0))
		r->failed = true;
	if (!r->failed && member_n > 0)
		g->leader = g->members[leader];
}

/* Time begins anew: whatever was awaited has its whole time-out again. */
static void
start_clocks(struct group *g, int64_t now_ms)
{
	int64_t rebalance_end_ms = now_ms + group_rebalance_timeout_ms(g);
	for (int32_t i = 0; i < g->member_n; i++) {
		group_member_touch(g->members[i], now_ms);
		g->members[i]->synced = g->state == GROUP_STABLE;
	}
	if (g->state == GROUP_PREPARING_REBALANCE)
		g->join_deadline_ms = rebalance_end_ms;
	if (g->state == GROUP_COMPLETING_REBALANCE)
		g->sync_deadline_ms = rebalance_end_ms;
}

struct group *
group_decode(struct str id, const struct group_rules *rules, struct bytes state, int64_t now_ms)
{
	struct reader r = { .at = state.at, .end = state.at + (state.n > 0 ? state.n : 0) };
	struct group *g = group_new(id, rules);
	get_group(&r, g);
	if (!r.failed)
		start_clocks(g, now_ms);
	if (r.failed || group_flaw(g) != NULL) {
		group_free(g);
		return NULL;
	}
	return g;
}
