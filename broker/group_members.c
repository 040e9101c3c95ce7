#include "broker/group_members.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

/* What a member, a protocol or an id costs besides its bytes; about what malloc takes for them. */
#define MEMBER_COST   ((int64_t)sizeof(struct group_member) + 128)
#define PROTOCOL_COST ((int64_t)sizeof(struct group_protocol))

static void *
own(const void *at, size_t n)
{
	char *copy = malloc(n + 1);
	CHECK(copy != NULL);
	if (n > 0)
		memcpy(copy, at, n);
	copy[n] = '\0';
	return copy;
}

struct str
group_str_own(struct str s)
{
	if (str_is_null(s))
		return STR_NULL;
	return (struct str){ .at = own(s.at, (size_t)s.n), .n = s.n };
}

void
group_str_free(struct str *s)
{
	free((char *)(uintptr_t)s->at);
	*s = STR_NULL;
}

static int64_t
length(int32_t n)
{
	return n > 0 ? n : 0;
}

/* --- who --- */

/* FNV-1a */
static uint32_t
hash(struct str id)
{
	uint32_t h = 0x811c9dc5u;
	for (int32_t i = 0; i < id.n; i++)
		h = (h ^ (uint8_t)id.at[i]) * 0x01000193u;
	return h;
}

/* Every heartbeat looks for its member: of thousands, the hashes fill some cache lines, the ids do not. */
struct group_member *
group_member_find(const struct group *g, struct str id)
{
	uint32_t wanted = hash(id);
	for (int32_t i = 0; i < g->member_n; i++)
		if (g->id_hashes[i] == wanted && str_eq(g->members[i]->id, id))
			return g->members[i];
	return NULL;
}

static int32_t
index_of(const struct group *g, const struct group_member *m)
{
	int32_t i = 0;
	while (g->members[i] != m)
		i++;
	return i;
}

struct group_member *
group_static_find(const struct group *g, struct str instance_id)
{
	if (str_is_null(instance_id))
		return NULL;
	for (int32_t i = 0; i < g->member_n; i++)
		if (str_eq(g->members[i]->instance_id, instance_id))
			return g->members[i];
	return NULL;
}

enum err
group_member_validate(const struct group *g, struct str id, struct str instance_id, struct group_member **out)
{
	struct group_member *m = group_static_find(g, instance_id);
	if (!str_is_null(instance_id) && m == NULL)
		return ERR_UNKNOWN_MEMBER_ID;
	if (m != NULL && !str_eq(m->id, id))
		return ERR_FENCED_INSTANCE_ID;
	if (m == NULL)
		m = group_member_find(g, id);
	*out = m;
	return m != NULL ? ERR_NONE : ERR_UNKNOWN_MEMBER_ID;
}

int32_t
group_joined_n(const struct group *g)
{
	int32_t n = 0;
	for (int32_t i = 0; i < g->member_n; i++)
		n += g->members[i]->joined;
	return n;
}

int32_t
group_rebalance_timeout_ms(const struct group *g)
{
	int32_t ms = 0;
	for (int32_t i = 0; i < g->member_n; i++)
		if (g->members[i]->rebalance_timeout_ms > ms)
			ms = g->members[i]->rebalance_timeout_ms;
	return ms;
}

void
group_member_touch(struct group_member *m, int64_t now_ms)
{
	m->deadline_ms = now_ms + m->session_timeout_ms;
}

/* Who waits for an answer cannot send heartbeats; only of newcomers we do not know that they would. */
bool
group_member_can_expire(const struct group_member *m)
{
	return m->is_new || (m->join_waiter == NULL && m->sync_waiter == NULL);
}

/* --- what they cost --- */

static int64_t
protocols_bytes(const struct group_protocol *at, int32_t n)
{
	int64_t bytes = 0;
	for (int32_t i = 0; i < n; i++)
		bytes += PROTOCOL_COST + length(at[i].name.n) + length(at[i].metadata.n);
	return bytes;
}

int64_t
group_bytes_with(const struct group *g, const struct group_member *m, const struct group_join *in)
{
	int64_t protocols = protocols_bytes(in->protocols, in->protocol_n);
	if (m != NULL)
		return g->bytes - m->protocols.bytes + protocols + GROUP_MEMBER_ID_MAX;
	return g->bytes + MEMBER_COST + GROUP_MEMBER_ID_MAX + length(in->instance_id.n) +
	       length(in->client_id.n) + length(in->client_host.n) + protocols;
}

bool
group_may_hold(const struct group *g, int64_t bytes)
{
	if (bytes > GROUP_BYTES_MAX)
		return false;
	return bytes <= g->bytes || g->rules->bytes_left == NULL || bytes - g->bytes <= *g->rules->bytes_left;
}

int64_t
group_member_bytes(const struct group_member *m)
{
	return MEMBER_COST + length(m->id.n) + length(m->instance_id.n) + length(m->client_id.n) +
	       length(m->client_host.n) + m->protocols.bytes + length(m->assignment.n);
}

/* --- protocols --- */

/* The array first, then all names and metadata. */
static struct group_protocols
protocols_own(const struct group_protocol *from, int32_t n)
{
	int64_t bytes = protocols_bytes(from, n);
	struct group_protocols p = { .n = n, .bytes = bytes };
	p.at = malloc((size_t)bytes + 1);
	CHECK(p.at != NULL);
	uint8_t *tail = (uint8_t *)(p.at + n);
	for (int32_t i = 0; i < n; i++) {
		size_t name = (size_t)length(from[i].name.n), metadata = (size_t)length(from[i].metadata.n);
		p.at[i].name = (struct str){ .at = (char *)tail, .n = (int32_t)name };
		p.at[i].metadata = (struct bytes){ .at = tail + name, .n = (int32_t)metadata };
		if (name > 0)
			memcpy(tail, from[i].name.at, name);
		if (metadata > 0)
			memcpy(tail + name, from[i].metadata.at, metadata);
		tail += name + metadata;
	}
	return p;
}

const struct group_protocol *
group_protocols_find(const struct group_protocols *p, struct str name)
{
	for (int32_t i = 0; i < p->n; i++)
		if (str_eq(p->at[i].name, name))
			return &p->at[i];
	return NULL;
}

static bool
bytes_eq(struct bytes a, struct bytes b)
{
	return length(a.n) == length(b.n) && (length(a.n) == 0 || memcmp(a.at, b.at, (size_t)a.n) == 0);
}

bool
group_protocols_match(const struct group_protocols *p, const struct group_join *in)
{
	if (p->n != in->protocol_n)
		return false;
	for (int32_t i = 0; i < p->n; i++)
		if (!str_eq(p->at[i].name, in->protocols[i].name) ||
		    !bytes_eq(p->at[i].metadata, in->protocols[i].metadata))
			return false;
	return true;
}

static bool
all_support(const struct group *g, struct str protocol)
{
	for (int32_t i = 0; i < g->member_n; i++)
		if (group_protocols_find(&g->members[i]->protocols, protocol) == NULL)
			return false;
	return true;
}

bool
group_supports(const struct group *g, const struct group_join *in)
{
	if (g->state == GROUP_EMPTY)
		return in->protocol_type.n > 0 && in->protocol_n > 0;
	if (!str_eq(g->protocol_type, in->protocol_type))
		return false;
	for (int32_t i = 0; i < in->protocol_n; i++)
		if (all_support(g, in->protocols[i].name))
			return true;
	return false;
}

bool
group_has_common_protocol(const struct group *g)
{
	const struct group_protocols *p = &g->members[0]->protocols;
	for (int32_t i = 0; i < p->n; i++)
		if (all_support(g, p->at[i].name))
			return true;
	return false;
}

/* Where on the ballot the first of these protocols is that is common to all. */
static ptrdiff_t
choice(const struct group_protocols *p, const struct group_protocols *ballot, const bool *common)
{
	for (int32_t i = 0; i < p->n; i++) {
		const struct group_protocol *on = group_protocols_find(ballot, p->at[i].name);
		if (on != NULL && common[on - ballot->at])
			return on - ballot->at;
	}
	CHECK(false && "members without a common protocol");
	return 0;
}

/*
 * Each member votes for the first of its protocols that all support; there always is one: group_supports().
 * What all support, the oldest member supports, so its list is the ballot. Ties go to what it likes best.
 */
struct str
group_vote(const struct group *g)
{
	const struct group_protocols *ballot = &g->members[0]->protocols;
	bool common[GROUP_PROTOCOLS_MAX] = { 0 };
	int32_t votes[GROUP_PROTOCOLS_MAX] = { 0 }, best = 0;
	for (int32_t i = 0; i < ballot->n; i++)
		common[i] = all_support(g, ballot->at[i].name);
	for (int32_t i = 0; i < g->member_n; i++)
		votes[choice(&g->members[i]->protocols, ballot, common)]++;
	for (int32_t i = 1; i < ballot->n; i++)
		if (votes[i] > votes[best])
			best = i;
	return ballot->at[best].name;
}

/* --- members --- */

static void
member_free(struct group_member *m)
{
	group_str_free(&m->id);
	group_str_free(&m->instance_id);
	group_str_free(&m->client_id);
	group_str_free(&m->client_host);
	free(m->protocols.at);
	free((uint8_t *)(uintptr_t)m->assignment.at);
	free(m);
}

static void
take_times(struct group_member *m, const struct group_join *in)
{
	int32_t rebalance_ms = in->version >= 1 ? in->rebalance_timeout_ms : in->session_timeout_ms;
	m->session_timeout_ms = in->session_timeout_ms;
	m->rebalance_timeout_ms = rebalance_ms > 0 ? rebalance_ms : 0;
}

static void
make_room(struct group *g)
{
	if (g->member_n < g->member_cap)
		return;
	g->member_cap = g->member_cap > 0 ? g->member_cap * 2 : 4;
	g->members = realloc(g->members, (size_t)g->member_cap * sizeof(struct group_member *));
	g->id_hashes = realloc(g->id_hashes, (size_t)g->member_cap * sizeof(*g->id_hashes));
	CHECK(g->members != NULL && g->id_hashes != NULL);
}

struct group_member *
group_member_add(struct group *g, struct str id, const struct group_join *in)
{
	struct group_member *m = calloc(1, sizeof(*m));
	CHECK(m != NULL);
	m->id = group_str_own(id);
	m->instance_id = group_str_own(in->instance_id);
	m->client_id = group_str_own(in->client_id);
	m->client_host = group_str_own(in->client_host);
	m->protocols = protocols_own(in->protocols, in->protocol_n);
	m->can_return = true;
	take_times(m, in);
	make_room(g);
	if (g->member_n == 0) {
		struct str type = group_str_own(in->protocol_type); /* which may be the one that is freed */
		group_str_free(&g->protocol_type);
		g->protocol_type = type;
		g->leader = m;
	}
	g->id_hashes[g->member_n] = hash(id);
	g->members[g->member_n++] = m;
	g->bytes += group_member_bytes(m);
	return m;
}

void
group_member_update(struct group *g, struct group_member *m, const struct group_join *in)
{
	g->bytes -= m->protocols.bytes;
	free(m->protocols.at);
	m->protocols = protocols_own(in->protocols, in->protocol_n);
	g->bytes += m->protocols.bytes;
	take_times(m, in);
}

void
group_member_rename(struct group *g, struct group_member *m, struct str id)
{
	g->bytes += length(id.n) - length(m->id.n);
	group_str_free(&m->id);
	m->id = group_str_own(id);
	g->id_hashes[index_of(g, m)] = hash(id);
}

void
group_member_assign(struct group *g, struct group_member *m, struct bytes assignment)
{
	g->bytes += length(assignment.n) - length(m->assignment.n);
	free((uint8_t *)(uintptr_t)m->assignment.at);
	m->assignment = (struct bytes){ 0 };
	if (assignment.n > 0) {
		m->assignment.at = own(assignment.at, (size_t)assignment.n);
		m->assignment.n = assignment.n;
	}
}

void
group_member_remove(struct group *g, struct group_member *m)
{
	int32_t i = index_of(g, m);
	g->member_n--;
	memmove(&g->members[i], &g->members[i + 1],
		(size_t)(g->member_n - i) * sizeof(struct group_member *));
	memmove(&g->id_hashes[i], &g->id_hashes[i + 1], (size_t)(g->member_n - i) * sizeof(*g->id_hashes));
	if (g->leader == m)
		g->leader = g->member_n > 0 ? g->members[0] : NULL;
	g->bytes -= group_member_bytes(m);
	member_free(m);
}

/* --- ids given out --- */

static void
pending_remove_at(struct group *g, int32_t i)
{
	group_str_free(&g->pending[i].id);
	g->pending_n--;
	memmove(&g->pending[i], &g->pending[i + 1], (size_t)(g->pending_n - i) * sizeof(*g->pending));
}

void
group_pending_add(struct group *g, struct str id, int64_t deadline_ms)
{
	if (g->pending_n == GROUP_PENDING_MAX)
		pending_remove_at(g, 0);
	if (g->pending_n == g->pending_cap) {
		g->pending_cap = g->pending_cap > 0 ? g->pending_cap * 2 : 4;
		g->pending = realloc(g->pending, (size_t)g->pending_cap * sizeof(*g->pending));
		CHECK(g->pending != NULL);
	}
	g->pending[g->pending_n++] =
	    (struct group_pending){ .id = group_str_own(id), .deadline_ms = deadline_ms };
}

bool
group_pending_remove(struct group *g, struct str id)
{
	for (int32_t i = 0; i < g->pending_n; i++)
		if (str_eq(g->pending[i].id, id)) {
			pending_remove_at(g, i);
			return true;
		}
	return false;
}
