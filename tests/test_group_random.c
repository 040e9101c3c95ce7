/*
 * Random lives of a group: clients that behave as consumers do, and misbehave as they do; an owner whose
 * commits take time, fail, or die with it. A failure prints its seed: GROUP_SEED=<n> repeats that life.
 * GROUP_LIVES=<n> tries more of them.
 *
 * Checked at every step:
 *	- the group's invariants (group_check), and that its bytes decode to the same bytes
 *	- each request is answered exactly once, or is forgotten, or waits: in the group or for a commit
 *	- generations that are told never go back
 *	- of a generation one member is told the members, and it is one of them, and the leader
 *	- no partition is given to two members in one generation, whatever failed meanwhile
 *	- who is no member, or of another generation, is refused: heartbeat, sync, commit
 * and, as nobody misbehaves any more: the group becomes STABLE within its time-outs, of exactly the clients
 * that live, and every partition has an owner.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/group.h"
#include "common/check.h"
#include "tests/lib/test.h"

#define CLIENTS      8
#define PARTITIONS   12
#define QUEUE        512
#define SESSION_MS   6000
#define REBALANCE_MS 9000
#define COMMIT_MS    40
#define STEPS        3000
/* New members that are gone count for five minutes; then sessions, and a rebalance or two with absent ones. */
#define CALM_MS (300000 + 2 * SESSION_MS + 6 * REBALANCE_MS)

/* --- chance --- */

static uint64_t seed, chance_state;

static uint32_t
chance(uint32_t n)
{
	chance_state = chance_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(chance_state >> 33) % n;
}

static struct uuid
chance_uuid(void)
{
	struct uuid u;
	for (int i = 0; i < 16; i++)
		u.b[i] = (uint8_t)chance(256);
	return u;
}

#define CLAIM(cond)                                                                                          \
	do {                                                                                                 \
		if (!(cond))                                                                                 \
			fail_claim(#cond, __LINE__);                                                         \
	} while (0)

static int64_t now_ms;
static long step;

_Noreturn static void
fail_claim(const char *what, int line)
{
	fail_msg("GROUP_SEED=%llu, step %ld, at %lld ms, line %d: %s", (unsigned long long)seed, step,
		 (long long)now_ms, line, what);
	abort();
}

/* --- clients --- */

enum mind { IDLE, JOINING, JOINED, SYNCING, MEMBER, DEAD };

struct client {
	int n;
	enum mind mind;
	bool is_static;
	char instance[8];
	char id[64];    /* empty: none */
	char protocols; /* which of the lists below */
	int16_t version;
	int32_t generation;
	bool leads, skip;
	char members[CLIENTS * 4][64]; /* of its generation, if it leads */
	int member_n;
	struct request *request; /* on its way; NULL: none */
	int64_t act_at_ms;
};

/* What a client (NULL: a stranger) asked; the waiter. Kept until the end of the life, so that a late answer is seen. */
struct request {
	struct client *client; /* NULL: nobody waits any more */
	bool is_sync, answered;
	bool forgotten; /* the group was told so before it had answered */
	int32_t generation;
	struct request *next;
};

/* A generation as it was told. */
struct told {
	int32_t generation;
	char leader[64];
	char owner[PARTITIONS][64];
};

/* An answer that waits for the commit of its list, or for one before. */
struct queued {
	bool is_save;
	int64_t durable_at_ms;
	uint8_t *bytes;
	size_t n;
	struct group_action answer;
	struct arena *arena;
};

static struct client clients[CLIENTS];
static struct request *requests;
static struct told told;
static struct queued queue[QUEUE];
static int queue_n;
static struct group *group;
static struct group_rules rules;
static struct buf durable; /* what a new owner would read */
static bool calm;
static long answers_given, crashes, generations, events;

/* Ids of a while ago, with their generations. */
static struct {
	char id[64];
	char instance[8];
	int32_t generation;
} zombies[16];

static struct str
instance_of(const struct client *c)
{
	return c->is_static ? str_of(c->instance) : STR_NULL;
}

static void
copy(char *to, struct str from)
{
	CHECK(from.n < 64);
	memcpy(to, from.at, (size_t)from.n);
	to[from.n] = '\0';
}

static void
remember_zombie(const struct client *c)
{
	if (c->id[0] == '\0')
		return;
	uint32_t i = chance(16);
	strcpy(zombies[i].id, c->id);
	strcpy(zombies[i].instance, c->is_static ? c->instance : "");
	zombies[i].generation = c->generation;
}

static void
lose_place(struct client *c)
{
	remember_zombie(c);
	c->generation = -1;
	c->leads = false;
	c->mind = c->mind == DEAD ? DEAD : IDLE;
	c->act_at_ms = now_ms + chance(50);
}

static struct request *
new_request(struct client *c, bool is_sync)
{
	struct request *r = calloc(1, sizeof(*r));
	CHECK(r != NULL);
	*r = (struct request){ .client = c, .is_sync = is_sync, .next = requests };
	requests = r;
	if (c != NULL) {
		r->generation = c->generation;
		c->request = r;
	}
	return r;
}

/* --- answers --- */

/* Before anything is told, what is told of this generation is compared with what was told of it before. */
static void
claim_generation(int32_t generation)
{
	CLAIM(generation >= told.generation);
	if (generation == told.generation)
		return;
	memset(&told, 0, sizeof(told));
	told.generation = generation;
	generations++;
}

/* Who a member is, whatever its id: static members get a new one and remain who they are. */
static struct str
identity(const struct client *c)
{
	return c->is_static ? str_of(c->instance) : str_of(c->id);
}

static void
take_members(struct client *c, const struct group_joined *j)
{
	bool there = false;
	CLAIM(j->member_n <= CLIENTS * 4);
	c->member_n = j->member_n;
	for (int32_t i = 0; i < j->member_n; i++) {
		copy(c->members[i], j->members[i].member_id);
		there = there || str_eq(j->members[i].member_id, j->member_id);
	}
	CLAIM(there);
	CLAIM(str_eq(j->leader, j->member_id));
	if (told.leader[0] == '\0')
		copy(told.leader, identity(c));
	CLAIM(str_is(identity(c), told.leader));
}

static void
take_joined(struct client *c, const struct group_joined *j)
{
	copy(c->id, j->member_id);
	claim_generation(j->generation);
	c->generation = j->generation;
	c->leads = str_eq(j->leader, j->member_id);
	c->skip = j->skip_assignment;
	CLAIM(c->leads == (j->member_n > 0));
	CLAIM(!j->skip_assignment || (c->leads && c->version >= 9));
	if (c->leads)
		take_members(c, j);
	c->mind = JOINED;
}

static void
take_join_error(struct client *c, const struct group_joined *j)
{
	CLAIM(j->generation == -1 && j->member_n == 0);
	c->mind = IDLE;
	switch (j->error) {
	case ERR_MEMBER_ID_REQUIRED:
		CLAIM(!c->is_static && c->version >= 4 && j->member_id.n > 0);
		copy(c->id, j->member_id);
		return;
	case ERR_UNKNOWN_MEMBER_ID:
		lose_place(c);
		c->id[0] = '\0';
		return;
	case ERR_REBALANCE_IN_PROGRESS:
		return;
	case ERR_INCONSISTENT_GROUP_PROTOCOL:
		CLAIM(c->protocols != 0);
		c->protocols = 0;
		return;
	case ERR_GROUP_MAX_SIZE_REACHED:
		CLAIM(rules.max_size < CLIENTS);
		lose_place(c);
		c->mind = DEAD;
		return;
	case ERR_FENCED_INSTANCE_ID:
		CLAIM(c->is_static);
		c->mind = DEAD;
		return;
	default:
		fail_claim(err_name(j->error), __LINE__);
	}
}

/* An assignment is a list of partitions; whose it is, is remembered for the generation. */
static void
take_assignment(struct client *c, const struct request *r, struct bytes assignment)
{
	claim_generation(r->generation);
	for (int32_t i = 0; i < assignment.n; i++) {
		char *owner = told.owner[assignment.at[i]];
		if (owner[0] == '\0')
			copy(owner, identity(c));
		CLAIM(str_is(identity(c), owner));
	}
	c->mind = MEMBER;
}

static void
take_sync_error(struct client *c, enum err e)
{
	CLAIM(e == ERR_REBALANCE_IN_PROGRESS || e == ERR_UNKNOWN_MEMBER_ID || e == ERR_ILLEGAL_GENERATION ||
	      (e == ERR_FENCED_INSTANCE_ID && c->is_static));
	lose_place(c);
	if (e == ERR_UNKNOWN_MEMBER_ID)
		c->id[0] = '\0';
	if (e == ERR_FENCED_INSTANCE_ID)
		c->mind = DEAD;
}

static void
take_answer(const struct group_action *a)
{
	struct request *r = a->waiter;
	CLAIM(!r->answered && !r->forgotten);
	CLAIM(r->is_sync == (a->kind == GROUP_ANSWER_SYNC));
	r->answered = true;
	struct client *c = r->client;
	answers_given++;
	if (c == NULL)
		return; /* its connection ended while the answer waited for the commit */
	c->request = NULL;
	c->act_at_ms = now_ms + chance(calm ? 20 : 200);
	if (!r->is_sync && a->joined.error == ERR_NONE)
		take_joined(c, &a->joined);
	else if (!r->is_sync)
		take_join_error(c, &a->joined);
	else if (a->error == ERR_NONE)
		take_assignment(c, r, a->assignment);
	else
		take_sync_error(c, a->error);
}

/* --- the owner: what a list of actions demands --- */

static void
queue_shift(void)
{
	free(queue[0].bytes);
	if (queue[0].arena != NULL) {
		arena_free(queue[0].arena);
		free(queue[0].arena);
	}
	memmove(&queue[0], &queue[1], (size_t)(--queue_n) * sizeof(*queue));
}

/* From the front: commits that are durable now, and answers with no commit before them. */
static void
queue_run(void)
{
	while (queue_n > 0 && (!queue[0].is_save || queue[0].durable_at_ms <= now_ms)) {
		if (queue[0].is_save) {
			buf_reset(&durable);
			buf_append(&durable, queue[0].bytes, queue[0].n);
		} else if (queue[0].answer.waiter != NULL) {
			take_answer(&queue[0].answer);
		}
		queue_shift();
	}
}

static void
queue_save(void)
{
	struct buf b = BUF_EMPTY;
	group_encode(group, &b);
	int64_t after_ms = now_ms;
	for (int i = 0; i < queue_n; i++)
		if (queue[i].is_save)
			after_ms = queue[i].durable_at_ms;
	queue[queue_n++] = (struct queued){ .is_save = true,
					    .durable_at_ms = after_ms + chance(COMMIT_MS),
					    .bytes = b.data,
					    .n = buf_len(&b) };
}

static void
carry_out(struct group_actions *out)
{
	CLAIM(queue_n + out->n + 1 < QUEUE);
	for (int32_t i = 0; i < out->n; i++) {
		CLAIM((out->at[i].kind == GROUP_SAVE) <= (i == 0));
		if (out->at[i].kind == GROUP_SAVE)
			queue_save();
		else
			queue[queue_n++] = (struct queued){ .answer = out->at[i] };
	}
	/* The last of the list frees its memory. */
	queue[queue_n++] = (struct queued){ .arena = out->arena };
}

static struct group_actions
begin(void)
{
	struct arena *arena = calloc(1, sizeof(*arena));
	CHECK(arena != NULL);
	events++;
	return (struct group_actions){ .arena = arena };
}

/* --- what must hold after every event --- */

static bool
is_in(void *waiter, void **at, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		if (at[i] == waiter)
			return true;
	for (int i = 0; i < queue_n; i++)
		if (queue[i].answer.waiter == waiter)
			return true;
	return false;
}

static void
check_waiters(void)
{
	struct arena arena = ARENA_EMPTY;
	void **waiting;
	int32_t n = group_waiters(group, &arena, &waiting);
	for (int32_t i = 0; i < n; i++) {
		struct request *r = waiting[i];
		CLAIM(!r->answered && !r->forgotten && (r->client == NULL || r->client->request == r));
		for (int j = 0; j < queue_n; j++)
			CLAIM(queue[j].answer.waiter != r);
	}
	for (int i = 0; i < CLIENTS; i++)
		if (clients[i].request != NULL)
			CLAIM(is_in(clients[i].request, waiting, n));
	arena_free(&arena);
}

static void
check_bytes(void)
{
	struct buf one = BUF_EMPTY, two = BUF_EMPTY;
	group_encode(group, &one);
	struct bytes bytes = { .at = buf_head(&one), .n = (int32_t)buf_len(&one) };
	struct group *twin = group_decode(STR("g"), &rules, bytes, now_ms);
	CLAIM(twin != NULL);
	group_encode(twin, &two);
	CLAIM(buf_len(&one) == buf_len(&two) && memcmp(buf_head(&one), buf_head(&two), buf_len(&one)) == 0);
	group_free(twin);
	buf_free(&one);
	buf_free(&two);
}

static void
check(void)
{
	group_check(group);
	check_waiters();
	if (chance(4) == 0)
		check_bytes();
	CLAIM(group_view(group).generation >= told.generation);
}

static void
finish(struct group_actions *out)
{
	carry_out(out);
	check();
	queue_run();
}

/* --- what clients do --- */

static const struct group_protocol lists[3][2] = {
	{ { .name = { "x", 1 } }, { .name = { "y", 1 } } },
	{ { .name = { "y", 1 } }, { .name = { "x", 1 } } },
	{ { .name = { "y", 1 } }, { .name = { "z", 1 } } },
};

static void
send_join(struct client *c)
{
	struct group_join in = { .version = c->version,
				 .member_id = str_of(c->id),
				 .instance_id = instance_of(c),
				 .client_id = STR("c"),
				 .client_host = STR("/h"),
				 .protocol_type = STR("consumer"),
				 .reason = STR_NULL,
				 .session_timeout_ms = SESSION_MS,
				 .rebalance_timeout_ms = REBALANCE_MS,
				 .protocols = lists[(int)c->protocols],
				 .protocol_n = 2 };
	struct group_actions out = begin();
	c->mind = JOINING;
	c->act_at_ms = INT64_MAX;
	group_join(group, now_ms, &in, new_request(c, false), &out);
	finish(&out);
}

/* Every partition goes to one of the members, at random: two assignments are hardly ever the same. */
static int32_t
assign(const struct client *c, struct group_assignment *at, uint8_t (*partitions)[PARTITIONS])
{
	for (int i = 0; i < c->member_n; i++)
		at[i] = (struct group_assignment){ .member_id = str_of(c->members[i]),
						   .assignment = { .at = partitions[i] } };
	for (uint8_t p = 0; p < PARTITIONS; p++) {
		uint32_t i = chance((uint32_t)c->member_n);
		partitions[i][at[i].assignment.n++] = p;
	}
	return c->member_n;
}

static void
send_sync(struct client *c)
{
	struct group_assignment assignments[CLIENTS * 4];
	uint8_t partitions[CLIENTS * 4][PARTITIONS];
	struct group_sync in = { .generation = c->generation,
				 .member_id = str_of(c->id),
				 .instance_id = instance_of(c),
				 .protocol_type = chance(2) ? STR("consumer") : STR_NULL,
				 .protocol = STR_NULL,
				 .assignments = assignments };
	if (c->leads && !c->skip)
		in.assignment_n = assign(c, assignments, partitions);
	struct group_actions out = begin();
	c->mind = SYNCING;
	c->act_at_ms = INT64_MAX;
	group_sync(group, now_ms, &in, new_request(c, true), &out);
	finish(&out);
}

static void
send_heartbeat(struct client *c)
{
	bool is_commit = chance(3) == 0;
	events++;
	enum err e = is_commit ? group_may_commit(group, now_ms, c->generation, str_of(c->id), instance_of(c))
			       : group_heartbeat(group, now_ms, str_of(c->id), instance_of(c), c->generation);
	check();
	c->act_at_ms = now_ms + 500 + chance(1500);
	switch (e) {
	case ERR_NONE:
		break;
	case ERR_REBALANCE_IN_PROGRESS:
	case ERR_ILLEGAL_GENERATION:
		lose_place(c);
		break;
	case ERR_UNKNOWN_MEMBER_ID:
		lose_place(c);
		c->id[0] = '\0';
		break;
	case ERR_FENCED_INSTANCE_ID:
		CLAIM(c->is_static);
		lose_place(c);
		c->mind = DEAD;
		break;
	default:
		fail_claim(err_name(e), __LINE__);
	}
}

/* As a client that lives: whatever comes next. */
static void
act(struct client *c)
{
	switch (c->mind) {
	case IDLE:
		send_join(c);
		break;
	case JOINED:
		send_sync(c);
		break;
	case MEMBER:
		send_heartbeat(c);
		break;
	case JOINING:
	case SYNCING:
	case DEAD:
		c->act_at_ms = INT64_MAX;
		break;
	}
}

/* --- what goes wrong --- */

/* Nobody listens any more; the owner does not know. */
static void
hang_up_silently(struct client *c)
{
	if (c->request != NULL)
		c->request->client = NULL;
	c->request = NULL;
}

static void
disconnect(struct client *c)
{
	struct request *r = c->request;
	if (r == NULL)
		return;
	hang_up_silently(c);
	r->forgotten = !is_in(r, NULL, 0);
	events++;
	group_forget_waiter(group, now_ms, r);
	check();
}

static void
hang_up(struct client *c)
{
	if (chance(2) == 0)
		disconnect(c);
	else
		hang_up_silently(c);
}

/* Without a word. */
static void
die(struct client *c)
{
	lose_place(c);
	c->mind = DEAD;
	hang_up(c);
}

static void
be_born(struct client *c)
{
	int n = c->n;
	*c = (struct client){ .n = n, .mind = IDLE, .generation = -1, .act_at_ms = now_ms + chance(100) };
	c->is_static = n % 3 == 0;
	snprintf(c->instance, sizeof(c->instance), "I%d", n);
	static const int16_t versions[] = { 0, 3, 4, 5, 9 };
	c->version = c->is_static ? versions[3 + chance(2)] : versions[chance(5)];
	c->protocols = (char)chance(3);
}

static void
leave(struct client *c)
{
	struct group_actions out = begin();
	bool by_instance = c->is_static && chance(2) == 0;
	disconnect(c);
	if (c->id[0] != '\0' || by_instance)
		(void)group_leave(group, now_ms, str_of(by_instance ? "" : c->id), instance_of(c), &out);
	lose_place(c);
	c->mind = DEAD;
	finish(&out);
}

/* What one that was a member still tries. */
static void
try_zombie(void)
{
	uint32_t i = chance(16);
	if (zombies[i].id[0] == '\0')
		return;
	struct str id = str_of(zombies[i].id);
	struct str instance = zombies[i].instance[0] != '\0' ? str_of(zombies[i].instance) : STR_NULL;
	struct group_view v = group_view(group);
	bool is_member = false;
	for (int32_t m = 0; m < v.member_n; m++)
		is_member = is_member || str_eq(group_member_view(group, m).member_id, id);
	if (is_member && v.generation == zombies[i].generation)
		return; /* it has been told nothing else yet */
	CLAIM(group_heartbeat(group, now_ms, id, instance, zombies[i].generation) != ERR_NONE);
	if (zombies[i].generation >= 0 || v.state != GROUP_EMPTY)
		CLAIM(group_may_commit(group, now_ms, zombies[i].generation, id, instance) != ERR_NONE);
	struct group_sync in = { .generation = zombies[i].generation,
				 .member_id = id,
				 .instance_id = instance,
				 .protocol_type = STR_NULL,
				 .protocol = STR_NULL };
	struct group_actions out = begin();
	struct request *r = new_request(NULL, true);
	group_sync(group, now_ms, &in, r, &out);
	CLAIM(out.n == 1 && out.at[0].waiter == r && out.at[0].error != ERR_NONE);
	r->answered = true;
	arena_free(out.arena);
	free(out.arena);
	check();
}

/* The owner dies, or its commit fails: what was not durable is lost, and so are all who wait. */
static void
crash(void)
{
	crashes++;
	while (queue_n > 0) {
		if (queue[0].is_save && queue[0].durable_at_ms <= now_ms) {
			buf_reset(&durable);
			buf_append(&durable, queue[0].bytes, queue[0].n);
		}
		queue_shift();
	}
	group_free(group);
	struct bytes bytes = { .at = buf_head(&durable), .n = (int32_t)buf_len(&durable) };
	group = bytes.n > 0 ? group_decode(STR("g"), &rules, bytes, now_ms) : group_new(STR("g"), &rules);
	CLAIM(group != NULL);
	for (int i = 0; i < CLIENTS; i++) {
		struct client *c = &clients[i];
		if (c->request == NULL)
			continue;
		hang_up_silently(c);
		c->mind = c->mind == DEAD ? DEAD : IDLE;
		c->act_at_ms = now_ms + chance(300);
	}
	check();
}

static void
misbehave(struct client *c)
{
	switch (chance(12)) {
	case 0:
		if (c->mind != DEAD)
			die(c);
		break;
	case 1:
	case 2:
		if (c->mind == DEAD)
			be_born(c);
		break;
	case 3:
		if (c->mind != DEAD)
			leave(c);
		break;
	case 4: /* a connection is lost, and made again; or a client's time-out */
	case 5:
		if (c->request != NULL) {
			hang_up(c);
			c->mind = IDLE;
			c->act_at_ms = now_ms + chance(chance(2) ? 8000 : 100);
		}
		break;
	case 6: /* busy for long */
		if (c->mind == MEMBER || c->mind == JOINED || c->mind == IDLE)
			c->act_at_ms = now_ms + chance(15000);
		break;
	case 7:
		if (c->mind == MEMBER) {
			c->protocols = (char)chance(3);
			lose_place(c);
		}
		break;
	case 8: /* a static client is started again before the old one is gone */
		if (c->is_static && c->mind != DEAD) {
			remember_zombie(c);
			hang_up(c);
			be_born(c);
		}
		break;
	case 9:
		if (chance(4) == 0)
			crash();
		break;
	default:
		try_zombie();
	}
}

/* --- a life --- */

static int64_t
next_time(void)
{
	int64_t at_ms = group_deadline(group);
	for (int i = 0; i < CLIENTS; i++)
		if (clients[i].act_at_ms < at_ms)
			at_ms = clients[i].act_at_ms;
	for (int i = 0; i < queue_n; i++)
		if (queue[i].is_save && queue[i].durable_at_ms < at_ms)
			at_ms = queue[i].durable_at_ms;
	return at_ms;
}

static void
run_step(void)
{
	step++;
	int64_t at_ms = next_time();
	if (at_ms == INT64_MAX)
		at_ms = now_ms + 1000;
	if (at_ms > now_ms)
		now_ms = at_ms;
	queue_run();
	for (int i = 0; i < CLIENTS; i++)
		if (clients[i].act_at_ms <= now_ms)
			act(&clients[i]);
	if (group_deadline(group) <= now_ms) {
		struct group_actions out = begin();
		group_tick(group, now_ms, &out);
		CLAIM(group_deadline(group) > now_ms);
		finish(&out);
	}
}

static bool
is_settled(void)
{
	struct group_view v = group_view(group);
	int32_t live = 0;
	bool owned[PARTITIONS] = { false };
	for (int i = 0; i < CLIENTS; i++) {
		if (clients[i].mind == DEAD)
			continue;
		live++;
		if (clients[i].mind != MEMBER || clients[i].generation != v.generation)
			return false;
	}
	if (live == 0)
		return v.state == GROUP_EMPTY && queue_n == 0;
	if (v.state != GROUP_STABLE || v.member_n != live || queue_n > 0)
		return false;
	for (int32_t i = 0; i < v.member_n; i++) {
		struct bytes a = group_member_view(group, i).assignment;
		for (int32_t p = 0; p < a.n; p++) {
			CLAIM(!owned[a.at[p]]);
			owned[a.at[p]] = true;
		}
	}
	for (int p = 0; p < PARTITIONS; p++)
		if (!owned[p])
			return false;
	return true;
}

static void
begin_life(uint64_t s)
{
	seed = s;
	chance_state = s * 0x9e3779b97f4a7c15u + 1;
	chance(2);
	step = 0;
	now_ms = 1000;
	queue_n = 0;
	memset(&told, 0, sizeof(told));
	memset(zombies, 0, sizeof(zombies));
	buf_reset(&durable);
	rules = (struct group_rules){ .min_session_timeout_ms = SESSION_MS,
				      .max_session_timeout_ms = SESSION_MS,
				      .initial_rebalance_delay_ms = chance(2) ? 0 : (int32_t)chance(4000),
				      .max_size = chance(4) ? INT32_MAX : 4,
				      .new_uuid = chance_uuid };
	group = group_new(STR("g"), &rules);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i].n = i;
		be_born(&clients[i]);
	}
}

static void
end_life(void)
{
	while (queue_n > 0)
		queue_shift();
	group_free(group);
	while (requests != NULL) {
		struct request *next = requests->next;
		free(requests);
		requests = next;
	}
}

static void
live(uint64_t s)
{
	begin_life(s);
	for (int round = 0; round < 3; round++) {
		calm = false;
		uint32_t trouble = 1 + chance(20); /* one in so many steps */
		for (long end = step + STEPS / 3; step < end;) {
			run_step();
			if (chance(trouble) == 0)
				misbehave(&clients[chance(CLIENTS)]);
		}
		calm = true;
		for (int64_t end_ms = now_ms + CALM_MS; !is_settled();) {
			run_step();
			CLAIM(now_ms <= end_ms); /* the group is stuck */
		}
	}
	end_life();
}

static void
random_lives(void **state)
{
	(void)state;
	const char *given = getenv("GROUP_SEED"), *many = getenv("GROUP_LIVES");
	uint64_t lives = many != NULL ? strtoull(many, NULL, 10) : 150;
	if (given != NULL)
		live(strtoull(given, NULL, 10));
	else
		for (uint64_t s = 1; s <= lives; s++)
			live(s);
	print_message("%ld events, %ld answers, %ld generations, %ld crashes\n", events, answers_given,
		      generations, crashes);
	buf_free(&durable);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(random_lives) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
