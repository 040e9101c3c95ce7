/*
 * waits: fetches that wait until there is enough to read, and how the rest of the broker knows.
 *
 * A worker sets, in its shared slot, a bit for each partition (by hash) that its waiting fetches want.
 * Whoever commits an append to such a partition pokes the worker: at once where committed is visible
 * (relaxed, strict), else through the checkpointer, when the commit is durable. The woken worker looks
 * only at fetches whose partitions moved since their last look.
 *
 *	waiter      bit set -> fence -> looks at its partitions -> sleeps
 *	committer   commit -> appended[hash] -> fence -> bit? -> poke
 *
 * One of the two always sees the other.
 */
#ifndef BROKER_WAITS_H
#define BROKER_WAITS_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/shared.h"
#include "common/list.h"

struct connection;
struct worker;

/* What one waiting call waits for; in the call's arena. */
struct wait {
	struct list in_waits;
	struct call *call;
	uint16_t *hashes; /* one per partition */
	int32_t n;
	uint64_t seen; /* commits up to this one were visible at the last look; 0: it keeps account itself,
			  and is looked at whenever anything moves */
	/* Look: is there enough now? True: the wait was ended by the callee. */
	bool (*look)(struct wait *wait);
};

struct waits {
	struct list all;
	uint32_t losses;             /* how often somebody died who may not have told what he had committed */
	uint16_t count[WAIT_HASHES]; /* waiting partitions by hash; the shared bit is set where > 0 */
};

void waits_init(struct waits *waits);
/* From here on commits to these partitions wake us. Look (again) after this call. */
void waits_add(struct worker *w, struct wait *wait);
void waits_remove(struct worker *w, struct wait *wait);
/* What it waits for is there, as of this commit, though not durable: the next checkpoint makes us look. */
void waits_expect(struct worker *w, const struct wait *wait, uint64_t commit);
/* Something was committed or became durable: look at those whose partitions moved; at every one if `all`. */
void waits_look(struct worker *w, bool all);
/* This connection will get no more requests: end its waits. */
void waits_look_for(struct worker *w, const struct connection *c);
/* Committer's side: these partitions (by hash) moved in this commit; all: more than could be noted. */
void waits_tell(struct worker *w, const uint32_t *hashes, int n, bool all, uint64_t commit);
/*
 * The commits up to this number are accounted for by whoever looks through this callback's snapshot: it holds
 * them, and they were visible when it was asked. Ask before looking.
 */
uint64_t waits_seen(struct worker *w);

#endif
