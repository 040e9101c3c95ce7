/*
 * coordinator_slot: what the files of the coordinator share, and nobody else uses.
 *
 *	coordinator.c        beginning and end; requests that another worker answers; clients that go
 *	coordinator_slot.c   groups in memory: whose they are, found, loaded, timed, forgotten
 *	coordinator_event.c  what happens to them: saved, and answered when that is durable
 */
#ifndef BROKER_COORDINATOR_SLOT_H
#define BROKER_COORDINATOR_SLOT_H

#include "broker/coordinator.h"

/* --- coordinator.c --- */

/* The call's own; made at the first need. */
struct group_call *group_call_of(struct call *call);

/* --- coordinator_slot.c --- */

/* Something has happened: the slot is freed if there is nothing more to it than is in the store. */
void coordinator_rest(struct coordinator_slot *slot);
/* An event may have brought the group's deadline nearer. */
void coordinator_arm(struct coordinator_slot *slot);
/* What is in memory is not true: away with it. It is loaded again in the next turn, or at the first need. */
void coordinator_discard(struct coordinator_slot *slot);

/* --- coordinator_event.c --- */

/* Nobody is told anything of the group before this commit is durable. */
void coordinator_wait_for(struct coordinator_slot *slot, uint64_t commit);
/* The group's deadline has come. */
void coordinator_tick(struct coordinator_slot *slot, int64_t now_ms);
/* Answer everybody whose answer is not decided yet. */
void coordinator_refuse_waiters(struct coordinator_slot *slot);
/* The call's client is gone: nothing of the slot is to know it any more. */
void coordinator_forget(struct coordinator_slot *slot, struct call *call);

#endif
