/*
 * turn: all that one turn of the loop wants written goes into one transaction.
 *
 *	turn_add(job) ... turn_add(job)     while requests are read
 *	turn_run()                          before the loop blocks, or once there is enough for a transaction:
 *	                                    begin, write() of each, commit, settle
 *
 * A transaction takes at most 64 jobs or 4 MB, so that the writer lock is held for microseconds; a bigger
 * turn makes several. What a commit promises is parked until the checkpointer has passed it. If a commit
 * fails nothing of it has happened, and each of its jobs is told so.
 */
#ifndef BROKER_TURN_H
#define BROKER_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"

struct job;
struct worker;

#define TURN_JOBS    64
#define TURN_BYTES   (4 * 1024 * 1024)
#define TURN_TOUCHED 1024

struct turn {
	struct list jobs; /* in order of arrival */
	size_t bytes;     /* of these */
	uint32_t
	    touched[TURN_TOUCHED]; /* wait_hash() of partitions whose log end moved in this transaction */
	int touched_n;
	int64_t store_ns;         /* that this turn has spent in the store, writing */
	int64_t held_up_since_ms; /* since when jobs wait for a checkpointer; 0: they do not */
	bool clean;               /* this transaction leaves work for the cleaner */
	bool touched_all;         /* more than fit */
};

void turn_init(struct turn *turn);
void turn_add(struct worker *w, struct job *job);
/* done() once job->commit is durable, at once if it is. */
void turn_park(struct worker *w, struct job *job);
void turn_touch(struct turn *turn, uint32_t hash);
void turn_run(struct worker *w);
/* Jobs wait, and the store takes writes: turn_run() would do something. */
bool turn_is_due(const struct worker *w);
/* What has gathered fills a transaction: more would wait in memory without sharing it. */
bool turn_is_full(const struct worker *w);

#endif
