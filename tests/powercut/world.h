/*
 * world: what a commit left in the store, small enough to keep one for every commit of a run, and exact:
 * with the ledger of batches it tells each byte that a client can ask for.
 *
 * The functions that change the store change the world with it, in the same transaction; world_check()
 * compares. They choose by *seed, and so can be made to do the same again.
 */
#ifndef TESTS_POWERCUT_WORLD_H
#define TESTS_POWERCUT_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/lib/store_fixture.h"

#define TOPICS     4
#define PARTITIONS 3
#define PRODUCERS  2
#define GROUPS     3

#define NOW_MS INT64_C(4000000000000) /* the cleaner's clock */

struct world {
	struct world_topic {
		uint32_t number; /* 0: there is no such topic */
		uint32_t settings;
		int32_t partitions;
		struct {
			int64_t start, end;
			struct {
				int16_t epoch; /* -1: not known here */
				int32_t next;  /* sequence */
			} producer[PRODUCERS];
		} partition[PARTITIONS];
	} topic[TOPICS];
	struct {
		uint32_t number;                    /* 0: there is no such group */
		uint32_t saves;                     /* 0: it was made by a commit, and has no state */
		int64_t offset[TOPICS][PARTITIONS]; /* -1: none */
	} group[GROUPS];
	int64_t next_producer;
};

void world_begin(struct world *w);
/* Memory for the ledger, by disk_alloc(). */
void world_ledger_begin(void);

/* Anything, in one transaction. */
void world_write(struct store_fixture *f, struct world *w, struct store_txn *txn, uint64_t *seed);
/* A step of the cleaner, which decides itself: world_look() finds out what. */
void world_clean(struct store_fixture *f, uint64_t *seed);
/* Take over what the cleaner may have done; fails the program where it may not. */
void world_look(struct store_fixture *f, struct world *w);

/* Fails the program where the store is not exactly this, and in order. */
void world_check(struct store_fixture *f, const struct world *w);

#endif
