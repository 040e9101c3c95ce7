/*
 * group_members: what a group remembers, shared by the files of the group state machine and nobody else:
 *
 *	group.c            a group, and what is answered at once: heartbeat, leave, may commit
 *	group_join.c       JoinGroup
 *	group_sync.c       SyncGroup
 *	group_rebalance.c  from state to state; what time does
 *	group_members.c    members, and the protocols that all of them support
 *	group_answer.c     the list of actions
 *	group_codec.c      the state as bytes
 *	group_view.c       looking at it, and its invariants
 */
#ifndef BROKER_GROUP_MEMBERS_H
#define BROKER_GROUP_MEMBERS_H

#include "broker/group.h"

#define NEVER INT64_MAX

/* Kafka's: so long may a new member wait in its first JoinGroup; it may be gone, and nobody would notice. */
#define NEW_MEMBER_JOIN_TIMEOUT_MS (5 * 60 * 1000)

/* Member ids are ours: "<client id or instance id>-<uuid>", of which the first part is cut where it is long. */
#define GROUP_ID_PREFIX_MAX 255
#define GROUP_MEMBER_ID_MAX (GROUP_ID_PREFIX_MAX + 1 + UUID_TEXT - 1)

/* Owned copies of what a member said it can do, best first: one block of memory. */
struct group_protocols {
	struct group_protocol *at;
	int32_t n;
	int64_t bytes;
};

struct group_member {
	struct str id, instance_id, client_id, client_host; /* owned */
	int32_t session_timeout_ms, rebalance_timeout_ms;
	struct group_protocols protocols;
	struct bytes assignment; /* owned; empty unless the group is STABLE */
	int64_t deadline_ms;     /* of its session; does not count while it waits, unless it is new */
	bool is_new;             /* in its first JoinGroup */
	bool can_return;         /* false: its id comes with the answer that it waits for */
	bool joined;             /* for the next generation; PREPARING_REBALANCE only */
	bool synced;             /* has sent its SyncGroup for this generation */
	void *join_waiter, *sync_waiter;
};

/* An id that was given out with MEMBER_ID_REQUIRED. */
struct group_pending {
	struct str id; /* owned */
	int64_t deadline_ms;
};

struct group {
	struct str id; /* owned, as all strings here */
	const struct group_rules *rules;
	enum group_state state;
	int32_t generation;
	struct str protocol_type, protocol;
	struct group_member **members; /* in the order in which they came */
	uint32_t *id_hashes;           /* of their ids, in the same order */
	int32_t member_n, member_cap;
	struct group_member *leader; /* NULL exactly when there are no members */
	struct group_pending *pending;
	int32_t pending_n, pending_cap;
	int64_t bytes; /* held by members, against GROUP_BYTES_MAX */

	int64_t join_deadline_ms; /* PREPARING_REBALANCE: when it ends, whoever has joined */
	int64_t sync_deadline_ms; /* then those who have not synced are removed; NEVER: all have */
	bool is_initial;          /* PREPARING_REBALANCE: from EMPTY, so wait for more members to come */
	bool newcomer;            /* is_initial: somebody came during the present delay */
	int32_t delay_ms, remaining_ms; /* is_initial: the present delay, and what may be added */
};

/* --- group_members.c --- */

struct str group_str_own(struct str s); /* malloc'ed copy; null stays null */
void group_str_free(struct str *s);

struct group_member *group_member_find(const struct group *g, struct str id);
struct group_member *group_static_find(const struct group *g, struct str instance_id);
/* Is there such a member, and is it still the one behind its instance id (null: not static)? */
enum err group_member_validate(const struct group *g, struct str id, struct str instance_id,
			       struct group_member **out) MUST_CHECK;
/* A member with copies of what it said, at the end of the list; leader if it is the first. */
struct group_member *group_member_add(struct group *g, struct str id, const struct group_join *in);
void group_member_update(struct group *g, struct group_member *m, const struct group_join *in);
void group_member_rename(struct group *g, struct group_member *m, struct str id);
void group_member_assign(struct group *g, struct group_member *m, struct bytes assignment);
/* Its waiters have been answered. */
void group_member_remove(struct group *g, struct group_member *m);
void group_member_touch(struct group_member *m, int64_t now_ms); /* it lives */
/* Is it subject to the end of its session at all now? */
bool group_member_can_expire(const struct group_member *m);

void group_pending_add(struct group *g, struct str id, int64_t deadline_ms);
bool group_pending_remove(struct group *g, struct str id); /* false: no such id */

const struct group_protocol *group_protocols_find(const struct group_protocols *p, struct str name);
bool group_protocols_match(const struct group_protocols *p, const struct group_join *in);
/* Would a member that says this have the group's type, and a protocol in common with all members? */
bool group_supports(const struct group *g, const struct group_join *in);
bool group_has_common_protocol(const struct group *g); /* members > 0; holds always */
/* The protocol that most members prefer, of those that all support; members > 0. */
struct str group_vote(const struct group *g);
/* What the group would hold if the member (NULL: a new one) said this; never less than it then holds. */
int64_t group_bytes_with(const struct group *g, const struct group_member *m, const struct group_join *in);
/* May the group hold so much? */
bool group_may_hold(const struct group *g, int64_t bytes);
int64_t group_member_bytes(const struct group_member *m);
int32_t group_joined_n(const struct group *g);
int32_t group_rebalance_timeout_ms(const struct group *g); /* the longest of all members' */

/* --- group_rebalance.c --- */

/* STABLE, COMPLETING_REBALANCE: begin a rebalance; else see whether the present one is complete. */
void group_rebalance(struct group *g, int64_t now_ms, struct group_actions *out, const char *why);
/* From any state but PREPARING_REBALANCE. */
void group_prepare(struct group *g, int64_t now_ms, struct group_actions *out, const char *why);
/* The present rebalance is complete if all have joined; the initial one only when its time has come. */
void group_complete_if_joined(struct group *g, int64_t now_ms, struct group_actions *out);
/* A member of any state is gone: answer it, forget it. What follows for the group is the caller's. */
void group_drop(struct group *g, struct group_member *m, struct group_actions *out);

/* --- group_answer.c --- */

void group_action_save(struct group_actions *out);
/* `member_id` as Kafka tells it: the request's own, or empty. */
void group_refuse_join(struct group_actions *out, void *waiter, enum err error, struct str member_id);
/* Answer the member's JoinGroup with the present generation. */
void group_answer_join(const struct group *g, struct group_member *m, void *waiter,
		       struct group_actions *out);
/* As the same, to a static member that came back in a STABLE group (KIP-345, KIP-814). */
void group_answer_return(const struct group *g, const struct group_member *m, const struct group_join *in,
			 struct str old_leader, void *waiter, struct group_actions *out);
void group_answer_sync(const struct group *g, const struct group_member *m, void *waiter,
		       struct group_actions *out);
void group_refuse_sync(struct group_actions *out, void *waiter, enum err error);

/* --- group_view.c --- */

/* The invariant that does not hold, in words; NULL: all do. */
const char *group_flaw(const struct group *g);

#endif
