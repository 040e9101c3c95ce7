#include "tests/lib/group_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct group *group;
struct group_rules rules;
int64_t now_ms;
const char *why;
bool was_saved;
int32_t answered;

static struct arena arena;  /* the test's */
static struct buf saved;    /* the last GROUP_SAVE */
static struct arena answer; /* the last event's */
static int ids;

/* Ids that a test can count on. */
static struct uuid
next_uuid(void)
{
	struct uuid u = { .b = { 0 } };
	ids++;
	u.b[14] = (uint8_t)(ids >> 8);
	u.b[15] = (uint8_t)ids;
	return u;
}

int
group_setup(void **state)
{
	(void)state;
	rules = (struct group_rules){ .min_session_timeout_ms = 6000,
				      .max_session_timeout_ms = 1800000,
				      .max_size = INT32_MAX,
				      .new_uuid = next_uuid };
	now_ms = 1000;
	ids = 0;
	group = group_new(STR("g"), &rules);
	buf_reset(&saved);
	return 0;
}

int
group_teardown(void **state)
{
	(void)state;
	group_free(group);
	buf_free(&saved);
	arena_free(&arena);
	arena_free(&answer);
	return 0;
}

/* --- what an event did --- */

static const char *
keep(struct str s)
{
	return str_is_null(s) ? NULL : str_c(&arena, s);
}

static const char *
describe_members(const struct group_joined *j)
{
	const char *text = "";
	for (int32_t i = 0; i < j->member_n; i++) {
		const struct group_joined_member *m = &j->members[i];
		text =
		    arena_printf(&arena, "%s%.*s%s%.*s=%.*s ", text, STR_ARG(m->member_id),
				 str_is_null(m->instance_id) ? "" : "/", STR_ARG(m->instance_id),
				 (int)m->metadata.n, m->metadata.n > 0 ? (const char *)m->metadata.at : "");
	}
	return text;
}

static void
take_answer(const struct group_action *a)
{
	struct ask *ask = a->waiter;
	assert_non_null(ask);
	assert_int_equal(ask->times, 0);
	ask->times = 1;
	answered++;
	if (a->kind == GROUP_ANSWER_SYNC) {
		ask->error = a->error;
		ask->protocol_type = keep(a->protocol_type);
		ask->protocol = keep(a->protocol);
		ask->assignment =
		    keep((struct str){ .at = (const char *)a->assignment.at, .n = a->assignment.n });
		return;
	}
	ask->error = a->joined.error;
	ask->generation = a->joined.generation;
	ask->id = keep(a->joined.member_id);
	ask->leader = keep(a->joined.leader);
	ask->protocol = keep(a->joined.protocol);
	ask->protocol_type = keep(a->joined.protocol_type);
	ask->skip_assignment = a->joined.skip_assignment;
	ask->member_n = a->joined.member_n;
	ask->members = describe_members(&a->joined);
}

#define CODEC_BYTES (1 << 20) /* larger ones take long, and show nothing new */

/* To bytes and back, and to bytes again: nothing was lost. Cut anywhere, it is refused. */
static void
check_codec(void)
{
	struct buf one = BUF_EMPTY, two = BUF_EMPTY;
	group_encode(group, &one);
	struct bytes bytes = { .at = buf_head(&one), .n = (int32_t)buf_len(&one) };
	if (bytes.n > CODEC_BYTES) {
		buf_free(&one);
		return;
	}
	struct group *copy = group_decode(STR("g"), &rules, bytes, now_ms);
	assert_non_null(copy);
	group_check(copy);
	group_encode(copy, &two);
	assert_int_equal(buf_len(&one), buf_len(&two));
	assert_memory_equal(buf_head(&one), buf_head(&two), buf_len(&one));
	group_free(copy);
	bytes.n--;
	assert_null(group_decode(STR("g"), &rules, bytes, now_ms));
	buf_free(&one);
	buf_free(&two);
}

static struct group_actions
no_actions(void)
{
	arena_free(&answer); /* so that the sanitizer sees who looks at an answer of before */
	return (struct group_actions){ .arena = &answer };
}

static struct group_actions
begin_event(void)
{
	answered = 0;
	was_saved = false;
	why = NULL;
	return no_actions();
}

static void
end_event(const struct group_actions *actions)
{
	group_check(group);
	check_codec();
	bool save = actions->n > 0 && actions->at[0].kind == GROUP_SAVE;
	if (save) {
		buf_reset(&saved);
		group_encode(group, &saved);
		was_saved = true;
	}
	for (int32_t i = save; i < actions->n; i++) {
		assert_int_not_equal(actions->at[i].kind, GROUP_SAVE);
		take_answer(&actions->at[i]);
	}
	if (actions->why.at != NULL)
		why = keep(actions->why);
}

/* --- events --- */

static struct ask *
new_ask(void)
{
	return arena_alloc(&arena, sizeof(struct ask));
}

static int32_t
parse_protocols(const char *text, struct group_protocol *at)
{
	int32_t n = 0;
	if (strcmp(text, "-") == 0)
		return 0;
	while (*text != '\0') {
		int32_t length = (int32_t)strcspn(text, ",");
		int32_t name = (int32_t)strcspn(text, ":,");
		at[n].name = (struct str){ .at = text, .n = name };
		at[n].metadata = (struct bytes){ .at = (const uint8_t *)text + name, .n = 0 };
		if (name < length)
			at[n].metadata =
			    (struct bytes){ .at = (const uint8_t *)text + name + 1, .n = length - name - 1 };
		n++;
		text += length + (text[length] == ',');
	}
	return n;
}

struct ask *ask_join(struct as as)
{
	struct group_protocol protocols[100];
	struct group_join in = {
		.version = (int16_t)(as.v0             ? 0
				     : as.version != 0 ? as.version
						       : 5),
		.member_id = str_of(as.id != NULL ? as.id : ""),
		.instance_id = str_of(as.instance),
		.client_id = str_of(as.client),
		.client_host = STR("/127.0.0.1"),
		.protocol_type = str_of(as.type != NULL ? as.type : "consumer"),
		.reason = str_of(as.reason),
		.session_timeout_ms = as.session_ms != 0 ? as.session_ms : SESSION_MS,
		.rebalance_timeout_ms = as.rebalance_ms != 0 ? as.rebalance_ms : REBALANCE_MS,
		.protocols = protocols,
		.protocol_n = parse_protocols(as.protocols != NULL ? as.protocols : "range", protocols),
	};
	struct ask *ask = new_ask();
	struct group_actions actions = begin_event();
	group_join(group, now_ms, &in, ask, &actions);
	end_event(&actions);
	return ask;
}

struct ask *
ask_sync_as(struct group_sync in, const char *assignments)
{
	struct group_assignment at[100];
	in.assignments = at;
	for (const char *text = assignments != NULL ? assignments : ""; *text != '\0';) {
		int32_t length = (int32_t)strcspn(text, ","), id = (int32_t)strcspn(text, "=");
		at[in.assignment_n++] = (struct group_assignment){
			.member_id = { .at = text, .n = id },
			.assignment = { .at = (const uint8_t *)text + id + 1, .n = length - id - 1 },
		};
		text += length + (text[length] == ',');
	}
	struct ask *ask = new_ask();
	struct group_actions actions = begin_event();
	group_sync(group, now_ms, &in, ask, &actions);
	end_event(&actions);
	return ask;
}

struct ask *
ask_sync(struct ask *joined, const char *assignments)
{
	return ask_sync_as((struct group_sync){ .generation = joined->generation,
						.member_id = str_of(joined->id),
						.instance_id = STR_NULL,
						.protocol_type = STR_NULL,
						.protocol = STR_NULL },
			   assignments);
}

enum err
heartbeat(const struct ask *joined)
{
	enum err e = group_heartbeat(group, now_ms, str_of(joined->id), STR_NULL, joined->generation);
	group_check(group);
	return e;
}

enum err
leave(const char *id, const char *instance)
{
	struct group_actions actions = begin_event();
	enum err e = group_leave(group, now_ms, str_of(id), str_of(instance), &actions);
	end_event(&actions);
	return e;
}

enum err
may_commit(const char *id, const char *instance, int32_t generation)
{
	enum err e = group_may_commit(group, now_ms, generation, str_of(id), str_of(instance));
	group_check(group);
	return e;
}

void
forget(struct ask *a)
{
	group_forget_waiter(group, now_ms, a);
	group_check(group);
	a->times = 1; /* from now on any answer is one too many */
}

static void
tick(void)
{
	struct group_actions actions = no_actions();
	group_tick(group, now_ms, &actions);
	end_event(&actions);
}

/* Before its deadline a group has nothing to do; at it, it has, and is not overdue again at once. */
void
pass(int64_t ms)
{
	int64_t end_ms = now_ms + ms;
	begin_event();
	for (int64_t deadline_ms; (deadline_ms = group_deadline(group)) <= end_ms;) {
		int32_t before = answered;
		if (now_ms < deadline_ms - 1)
			now_ms = deadline_ms - 1;
		if (now_ms < deadline_ms)
			tick();
		assert_int_equal(answered, before);
		if (now_ms < deadline_ms)
			now_ms = deadline_ms;
		tick();
		assert_true(group_deadline(group) > now_ms);
	}
	now_ms = end_ms;
	tick();
}

void
restart(void)
{
	void **waiters;
	int32_t n = group_waiters(group, &arena, &waiters);
	for (int32_t i = 0; i < n; i++)
		((struct ask *)waiters[i])->times = 1;
	group_free(group);
	struct bytes bytes = { .at = buf_head(&saved), .n = (int32_t)buf_len(&saved) };
	group = bytes.n > 0 ? group_decode(STR("g"), &rules, bytes, now_ms) : group_new(STR("g"), &rules);
	assert_non_null(group);
	group_check(group);
}

/* --- groups that are made --- */

struct ask *
join_v3(const char *client)
{
	return ask_join((struct as){ .client = client, .version = 3 });
}

struct ask *
join_static(const char *client, const char *instance)
{
	return ask_join((struct as){ .client = client, .instance = instance });
}

static void
make(struct ask **asks, int n, bool is_static, bool stable)
{
	static const char *const clients[] = { "a", "b", "c" }, *const instances[] = { "A", "B", "C" };
	asks[0] = NULL;
	for (int i = 0; i < n; i++) {
		asks[i] = is_static ? join_static(clients[i], instances[i]) : join_v3(clients[i]);
		for (int j = 0; i > 0 && j < i; j++)
			asks[j] = ask_join((struct as){ .client = clients[j],
							.id = asks[j]->id,
							.instance = is_static ? instances[j] : NULL });
	}
	for (int i = 0; i < n; i++)
		assert_told(asks[i], ERR_NONE);
	assert_state(GROUP_COMPLETING_REBALANCE);
	const char *all = "";
	for (int i = 0; i < n; i++)
		all = arena_printf(&arena, "%s%s=%s!,", all, asks[i]->id, clients[i]);
	for (int i = 0; stable && i < n; i++)
		assert_told(ask_sync(asks[i], i == 0 ? all : NULL), ERR_NONE);
	assert_state(stable ? GROUP_STABLE : GROUP_COMPLETING_REBALANCE);
}

void
make_stable(struct ask **asks, int n)
{
	make(asks, n, false, true);
}

void
make_stable_static(struct ask **asks, int n)
{
	make(asks, n, true, true);
}

void
make_completing(struct ask **asks, int n)
{
	make(asks, n, false, false);
}
