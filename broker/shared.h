/*
 * shared: what the processes of one broker tell each other without asking.
 *
 * One anonymous MAP_SHARED mapping, made by the supervisor before it forks. Atomics only, never a lock: a
 * process may die between any two of them. Every field has one kind of writer, named beside it.
 *
 *	slot 0 .. workers-1   the workers
 *	slot workers          the checkpointer
 *	slot workers+1        the cleaner
 */
#ifndef BROKER_SHARED_H
#define BROKER_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/census.h"
#include "broker/stall.h"
#include "storage/store.h"

/* Partitions are told apart by a hash here: a collision costs a needless look, never a missed one. */
#define WAIT_HASHES 4096

enum { LOOK_APPENDED = 1, LOOK_ALL = 2 };

struct shared_slot {
	_Atomic int32_t pid;            /* supervisor; 0: not running */
	_Atomic uint32_t restarts;      /* supervisor */
	_Atomic uint32_t connections;   /* worker: open now */
	_Atomic uint32_t handed, taken; /* supervisor, worker: connections handed over, taken so far */
	_Atomic uint64_t wants_commit;  /* worker: lowest commit that an answer waits for; 0: none */
	_Atomic uint32_t poked; /* committers: what this worker waits for is committed; the checkpointer
				   passes it on as look */
	_Atomic uint32_t
	    look; /* others: look at your waiting fetches; LOOK_ALL: at each, whatever `appended` says */
	_Atomic uint32_t asleep; /* the process itself: nobody wakes it but through its eventfd */
	_Atomic uint32_t turn;   /* the process itself: turns of its loop; 0: it still starts */
	struct stalls turns;     /* worker: from waking to going back to sleep */
	struct stalls store; /* worker: of each turn that wrote, waiting for the writer lock and writing */
	_Atomic uint64_t
	    waits[WAIT_HASHES / 64]; /* worker: hashes of partitions that its parked fetches wait for */
};

struct shared {
	struct store_shared store;
	_Atomic uint32_t checkpoint_wanted; /* workers: somebody waits for the next checkpoint */
	_Atomic uint32_t dozing;            /* checkpointer: all is durable; the next commit is to ring */
	_Atomic uint32_t prepared;          /* checkpointer: the store is ready, workers may open it */
	_Atomic uint32_t finish;            /* supervisor: no writer is left, make the last checkpoint */
	_Atomic uint32_t died; /* supervisor: processes that died so far; their readers want reaping */
	_Atomic uint32_t clean_wanted; /* workers: a topic was deleted */
	_Atomic uint32_t unwatched;    /* supervisor: all sleep, nobody is watched; who wakes is to ring */
	_Atomic uint64_t
	    appended[WAIT_HASHES]; /* committers: newest commit that moved a log end with this hash */
	struct shared_slot slot[STORE_SLOTS];
	_Atomic uint8_t ended[CENSUS_MOST]; /* workers: this connection is no more (census.h) */
};

struct shared *shared_create(void); /* aborts if memory cannot be mapped */
uint32_t wait_hash(uint32_t topic_number, int32_t partition);

#endif
