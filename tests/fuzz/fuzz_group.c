/*
 * fuzz_group: a group's life as the input tells it. The input begins with a stored state (its length in
 * two bytes, 0: a new group), which is damaged more often than not; what follows are events, a byte each
 * and what they need.
 *
 * After each event: the invariants hold, the state goes through bytes and back unchanged, nobody is
 * answered twice, and who was answered did ask. At the end everybody who asked has been answered, waits
 * in the group, or is forgotten.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/group.h"
#include "common/bytes.h"
#include "common/check.h"

#define WAITERS 256
#define IDS     16

static struct in {
	const uint8_t *at, *end;
} in;

static struct group *g;
static struct group_rules rules;
static int64_t now_ms;
static uint8_t waiting[WAITERS]; /* 1: asked, and not answered yet; a waiter is the address of its own */
static int waiter_n;
static char ids[IDS][512]; /* that were given out, the latest */
static int id_next;
static uint64_t uuids;

static uint8_t
byte(void)
{
	return in.at < in.end ? *in.at++ : 0;
}

static struct bytes
some_bytes(int most)
{
	int32_t n = byte() % (most + 1);
	if (n > in.end - in.at)
		n = (int32_t)(in.end - in.at);
	in.at += n;
	return (struct bytes){ .at = in.at - n, .n = n };
}

static struct uuid
next_uuid(void)
{
	struct uuid u = { { 0 } };
	put_u64(u.b, ++uuids);
	return u;
}

static void
keep_id(struct str id)
{
	if (id.n <= 0 || id.n >= (int32_t)sizeof(ids[0]))
		return;
	memcpy(ids[id_next % IDS], id.at, (size_t)id.n);
	ids[id_next++ % IDS][id.n] = '\0';
}

static struct str
some_member(void)
{
	uint8_t b = byte();
	if (b < 32)
		return STR("");
	if (b < 40)
		return STR("nobody");
	if (b < 48)
		keep_id(group_view(g).leader); /* a copy, as requests have it */
	return str_of(ids[b % IDS]);
}

static struct str
some_instance(void)
{
	static const char *const names[] = { NULL, NULL, NULL, "A", "B", "" };
	return str_of(names[byte() % 6]);
}

static void *
new_waiter(void)
{
	waiting[waiter_n] = 1;
	return &waiting[waiter_n++];
}

static void
answered(void *waiter)
{
	uint8_t *w = waiter;
	CHECK(w >= waiting && w < waiting + WAITERS && *w == 1);
	*w = 0;
}

static void
act(const struct group_actions *out)
{
	for (int32_t i = 0; i < out->n; i++) {
		const struct group_action *a = &out->at[i];
		CHECK(a->kind != GROUP_SAVE || i == 0);
		if (a->kind == GROUP_SAVE)
			continue;
		answered(a->waiter);
		if (a->kind == GROUP_ANSWER_JOIN)
			keep_id(a->joined.member_id);
	}
}

static void
encode_into(struct buf *out)
{
	buf_reset(out);
	group_encode(g, out);
}

static struct group *
decode(struct bytes state)
{
	return group_decode(STR("g"), &rules, state, now_ms);
}

static struct bytes
bytes_of(const struct buf *b)
{
	return (struct bytes){ .at = buf_head(b), .n = (int32_t)buf_len(b) };
}

/* To bytes and back, and to the same bytes. */
static void
round_trip(void)
{
	struct buf once = BUF_EMPTY, twice = BUF_EMPTY;
	encode_into(&once);
	struct group *was = g;
	g = decode(bytes_of(&once));
	CHECK(g != NULL);
	encode_into(&twice);
	CHECK(buf_len(&once) == buf_len(&twice) &&
	      memcmp(buf_head(&once), buf_head(&twice), buf_len(&once)) == 0);
	group_free(g);
	g = was;
	buf_free(&once);
	buf_free(&twice);
}

static void
look(void)
{
	volatile int32_t sum = 0; /* every view is looked into */
	struct group_view v = group_view(g);
	group_check(g);
	for (int32_t i = 0; i < v.member_n; i++) {
		struct group_member_view m = group_member_view(g, i);
		sum += m.member_id.n + (m.metadata.n > 0 ? m.metadata.at[m.metadata.n - 1] : 0) +
		       (m.assignment.n > 0 ? m.assignment.at[m.assignment.n - 1] : 0);
	}
	sum += group_is_idle(g) + group_is_subscribed(g, STR("t"));
	CHECK(sum >= 0);
}

/* --- events --- */

static void
join(struct group_actions *out)
{
	static const char *const names[] = { "range", "sticky", "x", "" }, *const types[] = { "consumer",
											      "connect", "" };
	static const int32_t times[] = { 1000, 6000, 30000, 0, -1, INT32_MAX };
	struct group_protocol protocols[GROUP_PROTOCOLS_MAX + 1];
	struct group_join event = { .version = byte() % 10, .member_id = some_member() };
	uint8_t shape = byte();
	event.instance_id = some_instance();
	event.client_id = STR("c");
	event.client_host = STR("/h");
	event.reason = shape & 1 ? STR("because") : STR_NULL;
	event.protocol_type = str_of(types[shape % 16 == 0 ? 1 : shape % 16 == 1 ? 2 : 0]);
	event.session_timeout_ms = times[byte() % 6];
	event.rebalance_timeout_ms = times[byte() % 6];
	event.protocols = protocols;
	event.protocol_n = shape == 255 ? GROUP_PROTOCOLS_MAX + 1 : shape / 16 % 4;
	for (int32_t i = 0; i < event.protocol_n; i++) {
		protocols[i].name = str_of(names[byte() % 4]);
		protocols[i].metadata = some_bytes(20);
	}
	group_join(g, now_ms, &event, new_waiter(), out);
}

static void
sync_group(struct group_actions *out)
{
	struct group_assignment assignments[4];
	uint8_t shape = byte();
	struct group_sync event = { .generation = group_view(g).generation - (shape % 8 == 0),
				    .member_id = some_member(),
				    .instance_id = some_instance(),
				    .protocol_type = shape & 16 ? STR("consumer") : STR_NULL,
				    .protocol = shape & 32 ? STR("range") : STR_NULL,
				    .assignments = assignments,
				    .assignment_n = shape / 64 };
	for (int32_t i = 0; i < event.assignment_n; i++) {
		assignments[i].member_id = some_member();
		assignments[i].assignment = some_bytes(20);
	}
	group_sync(g, now_ms, &event, new_waiter(), out);
}

/* As far as the deadline lets it; what is due is done. */
static void
pass(struct group_actions *out)
{
	uint8_t b = byte();
	int64_t deadline = group_deadline(g), to = now_ms + (int64_t)b * b * 10;
	if (to < deadline && b == 255 && deadline != INT64_MAX)
		to = deadline;
	if (to > deadline)
		to = deadline > now_ms ? deadline : now_ms;
	now_ms = to;
	group_tick(g, now_ms, out);
	CHECK(group_deadline(g) > now_ms);
}

static void
restart(void)
{
	struct buf state = BUF_EMPTY;
	encode_into(&state);
	group_free(g);
	g = decode(bytes_of(&state));
	CHECK(g != NULL);
	buf_free(&state);
	memset(waiting, 0, sizeof(waiting));
}

static void
event(struct group_actions *out)
{
	uint8_t kind = byte();
	if (kind % 10 < 3)
		join(out);
	else if (kind % 10 < 5)
		sync_group(out);
	else if (kind % 10 == 5)
		pass(out);
	else if (kind % 10 == 6)
		(void)group_leave(g, now_ms, some_member(), some_instance(), out);
	else if (kind % 10 == 7)
		(void)group_heartbeat(g, now_ms, some_member(), some_instance(), group_view(g).generation);
	else if (kind % 10 == 8)
		(void)group_may_commit(g, now_ms, kind < 20 ? -1 : group_view(g).generation, some_member(),
				       some_instance());
	else if (kind < 200 && waiter_n > 0) {
		uint8_t *w = &waiting[byte() % waiter_n];
		group_forget_waiter(g, now_ms, w);
		*w = 0;
	} else {
		restart();
	}
}

/* Everybody who was not answered waits in the group. */
static void
settle(void)
{
	struct arena arena = ARENA_EMPTY;
	void **waiters;
	int32_t n = group_waiters(g, &arena, &waiters), left = 0;
	for (int i = 0; i < waiter_n; i++)
		left += waiting[i];
	CHECK(n == left);
	for (int32_t i = 0; i < n; i++)
		answered(waiters[i]);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 3)
		return 0;
	size_t state_n = get_u16(data) < n - 3 ? get_u16(data) : n - 3;
	struct bytes state = { .at = data + 3, .n = (int32_t)state_n };
	in = (struct in){ .at = data + 3 + state_n, .end = data + n };
	rules = (struct group_rules){ .min_session_timeout_ms = 1,
				      .max_session_timeout_ms = 60000,
				      .initial_rebalance_delay_ms = data[2] & 1 ? 3000 : 0,
				      .max_size = data[2] & 2 ? 3 : 100,
				      .new_uuid = next_uuid };
	now_ms = 0;
	waiter_n = id_next = 0;
	uuids = 0;
	memset(waiting, 0, sizeof(waiting));
	memset(ids, 0, sizeof(ids));
	g = state_n > 0 ? decode(state) : group_new(STR("g"), &rules);
	if (g == NULL)
		return 0;
	for (int32_t i = 0; i < group_view(g).member_n && i < IDS; i++)
		keep_id(group_member_view(g, i).member_id);
	look();
	round_trip();
	while (in.at < in.end && waiter_n < WAITERS) {
		struct arena arena = ARENA_EMPTY;
		struct group_actions out = { .arena = &arena, .why = STR_NULL };
		event(&out);
		act(&out);
		look();
		round_trip();
		arena_free(&arena);
	}
	settle();
	group_free(g);
	return 0;
}
