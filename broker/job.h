/*
 * job: something to be written in this turn's transaction, and what is to happen once it is written. A
 * call that writes is one; so is what a worker has to save on its own account.
 *
 *	turn_add(job) -> write() in the turn's transaction -> done(), at once or when durable (until then: parked)
 *	                                                  \-> failed(): nothing of it is stored
 *
 * Exactly one of done() and failed() is called, except when the job is taken out of its list
 * (list_remove) before that.
 */
#ifndef BROKER_JOB_H
#define BROKER_JOB_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/list.h"

struct store_txn;
struct job;

enum promise {
	WHEN_COMMITTED, /* done() follows the commit */
	WHEN_DURABLE,   /* done() follows the checkpoint that covers the commit */
};

struct job_kind {
	enum promise (*write)(struct job *job, struct store_txn *txn);
	void (*done)(struct job *job);
	void (*failed)(struct job *job, enum err error);
	/* Optional: it is parked. What it wrote is in the commit; what is needed for nothing but that may go. */
	void (*parked)(struct job *job);
};

struct job {
	struct list in_list; /* the turn's or the parked list: where it is, is what it waits for */
	const struct job_kind *kind;
	uint64_t commit; /* what a promise waits for */
	size_t bytes;    /* how much it adds to the transaction, roughly */
	enum promise promise;
};

#endif
