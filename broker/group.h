/*
 * group: the classic group protocol of one consumer group, as a pure state machine: (state, event, now) ->
 * actions.
 *
 * No I/O, no clock, no store, no memory of the requests: what it keeps it copies, whom it answers it knows as
 * an opaque `waiter` (not NULL). So it can be tested with a virtual clock, millions of events a second.
 *
 *	           a member joins                      every member joined, or the deadline passed
 *	   EMPTY ------------------> PREPARING_REBALANCE ------------------------> COMPLETING_REBALANCE
 *	     ^                          ^   |      ^                                    |      |
 *	     |    nobody is left        |   |      |   a member joins, leaves, is lost  |      | the leader's
 *	     +--------------------------|---+      +------------------------------------+      | SyncGroup
 *	                                |                                                      v
 *	                                +---- a member joins, leaves, is lost -------------- STABLE
 *
 * A group is born EMPTY and forgotten by its owner once it is idle (group_is_idle) and saved; Kafka's fifth
 * state, Dead, is "no such group".
 *
 * What members are told must survive. A list of actions that holds GROUP_SAVE is carried out in this order:
 * the group's state (group_encode) is committed, and only when that is durable are the answers of the list
 * given, as is the caller's own (LeaveGroup). Answers of later lists of the same group wait for that commit,
 * too: they may tell of the same state.
 * If the commit fails, the group is freed and loaded again; group_waiters() says who has to be told besides
 * those in the list. A group that was decoded goes on with the same generation, members and assignments; each
 * member has a whole session time-out from `now` on. Ids that were given out with MEMBER_ID_REQUIRED are
 * forgotten: their clients are told UNKNOWN_MEMBER_ID and begin again.
 *
 * Every waiter is answered exactly once, unless it is forgotten: a request that is repeated while the first
 * one still waits takes its place, and the first is answered REBALANCE_IN_PROGRESS.
 *
 * Memory is bounded: GROUP_BYTES_MAX for all that members bring along, GROUP_PROTOCOLS_MAX each, and
 * GROUP_PENDING_MAX ids that were given out and not used; the oldest of those is forgotten first.
 *
 * Sources: Kafka protocol guide (JoinGroup, SyncGroup, Heartbeat, LeaveGroup), KIP-62 (rebalance time-out),
 * KIP-134 (initial rebalance delay), KIP-345 (static members), KIP-389 (group.max.size), KIP-394
 * (MEMBER_ID_REQUIRED), KIP-559, KIP-800 (reason), KIP-814 (skip assignment).
 */
#ifndef BROKER_GROUP_H
#define BROKER_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/str.h"
#include "common/uuid.h"

enum group_state { GROUP_EMPTY, GROUP_PREPARING_REBALANCE, GROUP_COMPLETING_REBALANCE, GROUP_STABLE };
const char *group_state_name(enum group_state state); /* Kafka's: "Empty", "PreparingRebalance", ... */

#define GROUP_BYTES_MAX     (16 << 20) /* Kafka's own limit is a record of 1 MB */
#define GROUP_PROTOCOLS_MAX 32
#define GROUP_PENDING_MAX   4096

struct group;

/* The broker's limits (group.*.ms, group.max.size). Kept as a pointer: they outlive the group. */
struct group_rules {
	int32_t min_session_timeout_ms, max_session_timeout_ms;
	int32_t initial_rebalance_delay_ms;
	int32_t max_size;
	const int64_t *bytes_left; /* by how much members may still grow, over all groups; NULL: no limit */
	struct uuid (*new_uuid)(void); /* for member ids; NULL: uuid_random, which nobody can guess */
};

/* --- what to do --- */

enum group_action_kind {
	GROUP_SAVE, /* first in its list, at most once: the answers behind it wait until this is durable */
	GROUP_ANSWER_JOIN, /* waiter, joined */
	GROUP_ANSWER_SYNC, /* waiter, error, protocol_type, protocol, assignment */
};

/*
 * One JoinGroup answer. With an error, the generation is -1 and protocol_type and protocol are null: versions
 * that cannot say null (protocol before v7) say "".
 */
struct group_joined {
	enum err error;
	int32_t generation;
	struct str protocol_type, protocol, leader, member_id;
	bool skip_assignment; /* KIP-814; v9+ */
	/* for the leader only */
	struct group_joined_member {
		struct str member_id, instance_id;
		struct bytes metadata;
	} * members;
	int32_t member_n;
};

struct group_action {
	enum group_action_kind kind;
	void *waiter;
	struct group_joined joined;         /* GROUP_ANSWER_JOIN */
	enum err error;                     /* GROUP_ANSWER_SYNC */
	struct str protocol_type, protocol; /* GROUP_ANSWER_SYNC; null with an error */
	struct bytes assignment;            /* GROUP_ANSWER_SYNC; empty with an error */
};

/*
 * Actions of one event, or of several in a row (a LeaveGroup of many members), in the arena given; everything
 * that they point to is copied into that arena, so that they can wait for the commit as long as it lives.
 */
struct group_actions {
	struct arena *arena;
	struct group_action *at;
	int32_t n;
	struct str why; /* a rebalance began, and this is why, for the log; at == NULL: none did */
};

/* --- a group --- */

struct group *group_new(struct str id, const struct group_rules *rules);
void group_free(struct group *g);
/* The group's state as bytes of a format of our own (version first), and back. NULL: damaged, or newer. */
void group_encode(const struct group *g, struct buf *out);
struct group *group_decode(struct str id, const struct group_rules *rules, struct bytes state,
			   int64_t now_ms);

/*
 * --- events ---
 *
 * Times are of the monotonic clock, in ms, and never go back. No event but group_tick() looks at what is
 * overdue: after a long stop, handle what has been received first, so that live members are not taken for
 * lost.
 */

struct group_join {
	/* Of JoinGroup: v4+ has newcomers come back with an id; v0 has no rebalance time-out. */
	int16_t version;
	struct str member_id, instance_id, client_id, client_host, protocol_type, reason;
	int32_t session_timeout_ms, rebalance_timeout_ms;
	const struct group_protocol {
		struct str name;
		struct bytes metadata;
	} * protocols;
	int32_t protocol_n;
};
void group_join(struct group *g, int64_t now_ms, const struct group_join *in, void *waiter,
		struct group_actions *out);

struct group_sync {
	int32_t generation;
	struct str member_id, instance_id, protocol_type, protocol; /* the last two null before v5 */
	const struct group_assignment {
		struct str member_id;
		struct bytes assignment;
	} * assignments;
	int32_t assignment_n;
};
void group_sync(struct group *g, int64_t now_ms, const struct group_sync *in, void *waiter,
		struct group_actions *out);

/* Answered at once. */
enum err group_heartbeat(struct group *g, int64_t now_ms, struct str member_id, struct str instance_id,
			 int32_t generation);

/* One member leaves; member_id may be empty where an instance id says who (v3+). */
enum err group_leave(struct group *g, int64_t now_ms, struct str member_id, struct str instance_id,
		     struct group_actions *out);

/*
 * May this client commit offsets? Generation -1 with an empty member id: a simple consumer, allowed while the
 * group is empty. A valid commit counts as a heartbeat. (Where there is no such group, Kafka says
 * ILLEGAL_GENERATION to generations >= 0, from OffsetCommit v9 on GROUP_ID_NOT_FOUND; that is the caller's.)
 */
enum err group_may_commit(struct group *g, int64_t now_ms, int32_t generation, struct str member_id,
			  struct str instance_id);

/* Time has passed: lost members, rebalances that end. */
void group_tick(struct group *g, int64_t now_ms, struct group_actions *out);
/* When group_tick() must be called at the latest; INT64_MAX: never. Every event may change it. */
int64_t group_deadline(const struct group *g);

/*
 * This waiter's connection is gone; it is answered no more. Its member stays for a session time-out from now
 * on, to come back; not so one that was never told its id, as it cannot. Both are seen by group_tick().
 */
void group_forget_waiter(struct group *g, int64_t now_ms, void *waiter);
/* All waiters, when the group is about to be freed: how many, and an array of them in the arena. */
int32_t group_waiters(const struct group *g, struct arena *arena, void ***out);

/* --- looking at it (DescribeGroups, ListGroups, DeleteGroups); views live until the next event --- */

struct group_view {
	struct str id, protocol_type, leader; /* null where there is none */
	struct str protocol;                  /* empty unless STABLE, as in Kafka */
	enum group_state state;
	int32_t generation, member_n;
};
struct group_view group_view(const struct group *g);
struct group_member_view {
	struct str member_id, instance_id, client_id, client_host;
	struct bytes metadata;   /* for the chosen protocol; empty unless STABLE, as in Kafka */
	struct bytes assignment; /* empty unless STABLE */
};
/* i counts from 0 to member_n - 1. */
struct group_member_view group_member_view(const struct group *g, int32_t i);
/* What its members hold, against GROUP_BYTES_MAX and rules->bytes_left. */
int64_t group_bytes(const struct group *g);
/* EMPTY, and nobody was asked to come back with an id: all that matters is in what was saved last. */
bool group_is_idle(const struct group *g);
/* What the ids cost that were given out, about. */
int64_t group_pending_bytes(const struct group *g);
/*
 * A member is subscribed to this topic, as far as its metadata (consumer protocol) can be read; what cannot
 * be read counts as subscribed to everything. For OffsetDelete and expiry.
 */
bool group_is_subscribed(const struct group *g, struct str topic);
/* Every invariant of the picture above; aborts where one is broken. Tests call it after each event. */
void group_check(const struct group *g);

#endif
