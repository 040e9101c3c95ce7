/*
 * group_fixture: one group, a virtual clock, and clients that ask and look at what they were answered.
 *
 * After every event the group's invariants are checked, its state goes through bytes and back unchanged, and
 * each answer is noted at its request: a request that is answered twice fails the test at once.
 *
 *	struct ask *a = ask_join((struct as){ .client = "a" });   defaults: v5, "consumer", "range", 10 s, 60 s
 *	assert_int_equal(a->error, ERR_MEMBER_ID_REQUIRED);
 *	a = ask_join((struct as){ .client = "a", .id = a->id });
 *	assert_waits(a);
 */
#ifndef TESTS_LIB_GROUP_FIXTURE_H
#define TESTS_LIB_GROUP_FIXTURE_H

#include "broker/group.h"
#include "tests/lib/test.h"

#define SESSION_MS   10000
#define REBALANCE_MS 60000

extern struct group *group;
extern struct group_rules rules;
extern int64_t now_ms;
/* Of the last event, or all that time brought in the last pass(). */
extern const char *why;  /* or NULL */
extern bool was_saved;   /* a list began with GROUP_SAVE */
extern int32_t answered; /* requests */

/* A JoinGroup or SyncGroup request and its answer. */
struct ask {
	int times; /* answered: 0 or 1 */
	enum err error;
	int32_t generation;
	const char *id, *leader, *protocol, *protocol_type; /* NULL: null */
	bool skip_assignment;
	int32_t member_n;
	const char *members; /* "id=metadata " for each, and "id/instance=metadata " for a static one */
	const char *assignment;
};

/* Who joins, and as what. Nothing given: the defaults. */
struct as {
	const char *client, *id, *instance, *type;
	const char *protocols; /* "range:metadata,sticky"; "-": none */
	const char *reason;
	int32_t session_ms, rebalance_ms;
	int16_t version;
	bool v0;
};

int group_setup(void **state);
int group_teardown(void **state);

struct ask *ask_join(struct as as);
/* assignments: "id=text,id=text", or NULL. */
struct ask *ask_sync(struct ask *joined, const char *assignments);
struct ask *ask_sync_as(struct group_sync in, const char *assignments);
enum err heartbeat(const struct ask *joined);
enum err leave(const char *id, const char *instance);
enum err may_commit(const char *id, const char *instance, int32_t generation);
void forget(struct ask *a);
/* The clock goes on; group_tick() is called exactly when group_deadline() says, and at the end. */
void pass(int64_t ms);
/* The owner dies: what was saved last is read again. Requests that waited are not answered any more. */
void restart(void);

/* A member of version 3 (no id is asked for), or a static one. */
struct ask *join_v3(const char *client);
struct ask *join_static(const char *client, const char *instance);
/* `n` members (1 to 3), "a", "b", "c", of which the first leads, in a STABLE group; asks[] are their JoinGroups. */
void make_stable(struct ask **asks, int n);
/* The same, if all of them had instance ids "A", "B", "C". */
void make_stable_static(struct ask **asks, int n);
/* The same in COMPLETING_REBALANCE. */
void make_completing(struct ask **asks, int n);

#define assert_state(s) assert_string_equal(group_state_name(group_view(group).state), group_state_name(s))
#define assert_waits(a) assert_int_equal((a)->times, 0)
#define assert_told(a, e)                                                                                    \
	do {                                                                                                 \
		assert_int_equal((a)->times, 1);                                                             \
		assert_string_equal(err_name((a)->error), err_name(e));                                      \
	} while (0)
#define assert_err(got, e) assert_string_equal(err_name(got), err_name(e))

#endif
