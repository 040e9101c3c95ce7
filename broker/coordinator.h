/*
 * coordinator: the groups that this worker owns, and what happens to them.
 *
 * A group's owner is one worker, by a hash of its id; others forward to it (forward.h). The owner has in memory
 * the groups in which something is going on; all others are in the store only, and loaded at first need. Groups
 * that have members are loaded when the worker starts, so that members that are gone are missed.
 *
 *	struct group_event *e = coordinator_begin(call, id);       the group, and a list of actions
 *	group_join(e->group, now, &in, call, &e->actions);
 *	return coordinator_end(e);                                 saves, and answers when that is durable
 *
 * Events of one group are answered in order, each when all saves up to its own are durable: nobody is told what
 * a power cut could take back.
 *
 *	slot: group -> event (saved, not yet durable) -> event (answers wait for the one before) -> ...
 *
 * If a save fails, its group is forgotten, everybody who waits is told NOT_COORDINATOR, and it is loaded again from
 * the store. A worker that dies is succeeded by one that loads what was saved.
 *
 * A client may ask for ids in any number of groups, as it may name any, and never join. Such groups are not in the
 * store; in memory there are COORDINATOR_EXPECTING_BYTES of them at most, and those that were asked for last. Whoever
 * comes back to another is told UNKNOWN_MEMBER_ID and begins again, as clients do.
 *
 * What members bring along, in all groups that this worker owns, is COORDINATOR_BYTES at most; whoever would bring more
 * is told GROUP_MAX_SIZE_REACHED.
 */
#ifndef BROKER_COORDINATOR_H
#define BROKER_COORDINATOR_H

#include <ev.h>
#include <stdbool.h>

#include "broker/call.h"
#include "broker/forward.h"
#include "broker/group.h"
#include "broker/job.h"
#include "common/arena.h"
#include "common/buf.h"
#include "common/list.h"

struct coordinator_slot;
struct worker;

#define COORDINATOR_BUCKETS         1024
#define COORDINATOR_EXPECTING_BYTES (16 << 20)
#define COORDINATOR_BYTES           (256 << 20)

struct coordinator {
	struct list slots[COORDINATOR_BUCKETS]; /* by hash of the id */
	struct list expecting; /* slots that nobody has joined, only asked for an id; least recent first */
	int64_t expecting_bytes;
	int64_t bytes_left; /* of COORDINATOR_BYTES */
	struct group_rules rules;
	bool draining;
};

/* Of a call about a group (call->own, on the heap): what it waits for. */
struct group_call {
	struct coordinator_slot *slot; /* NULL: for nothing here */
	struct forwarded forwarded;
	bool is_forwarded;
};

/* Something that happens to a group. */
struct group_event {
	struct list in_slot;
	struct job job; /* the save */
	struct coordinator_slot *slot;
	struct group *group;
	struct arena arena;
	struct group_actions actions;
	struct call *call; /* answered with the actions, its `out` complete; NULL: none */
	struct buf state;
	int64_t empty_since_ms;
	bool ready; /* durable, or nothing to save */
};

/* A group as it is now, for what changes nothing or is answered at once. */
struct coordinator_slot {
	struct list in_bucket;
	struct list in_expecting; /* or nowhere */
	int64_t expecting_bytes;  /* what it takes, if it is there */
	int64_t bytes;            /* what its members hold */
	struct worker *worker;
	struct str id; /* owned */
	struct group *group;
	struct list events; /* saves in flight, and what waits for them, oldest first */
	ev_timer timer;
	int64_t armed_ms; /* when the timer fires; INT64_MAX: it does not */
	bool paused; /* the loop stood still: members have until the timer fires, and no deadline counts */
	bool stored; /* there is such a group in the store, or will be with this turn */
};

void coordinator_start(struct worker *w);
/* The configuration has changed. */
void coordinator_reloaded(struct worker *w);
/* SIGTERM: answer all who wait. */
void coordinator_drain(struct worker *w);

/* The worker that owns this group. */
int coordinator_owner(const struct worker *w, struct str group_id);
/* This worker does: to be served here. Always, for what another worker has forwarded. */
bool coordinator_is_here(const struct call *call, struct str group_id);
/* Have the owner answer this call: for handle(), whose result it is. */
enum next coordinator_forward(struct call *call, struct str group_id);
/* For handler.forget of all that is about groups. */
void group_call_forget(struct call *call);
/* For handler.hangup of what waits for other members: as a client that is gone, no member is to wait for it. */
void group_call_hangup(struct call *call);

/* The call's group, to do something to it; made in memory where there is none. The call waits from here on. */
struct group_event *coordinator_begin(struct call *call, struct str group_id);
/* Do what the actions say. NEXT_WAIT. */
enum next coordinator_end(struct group_event *e);

/* Never NULL; ended by coordinator_done(), which may forget the group. */
struct coordinator_slot *coordinator_find(struct worker *w, struct str group_id);
void coordinator_done(struct coordinator_slot *slot);
/* Nobody knows this group: not stored, and nobody is about to join. */
bool coordinator_is_absent(const struct coordinator_slot *slot);
/* The turn's transaction deletes the group, which has no members. */
void coordinator_deleted(struct worker *w, struct str group_id);
/* The next slot in memory, in no order; NULL: the first, and at the end. */
struct coordinator_slot *coordinator_next(struct worker *w, const struct coordinator_slot *slot);
/* In memory, or NULL. */
struct coordinator_slot *coordinator_peek(struct worker *w, struct str group_id);

#endif
