/*
 * load: lives of a store, of which the disk keeps everything (disk.h), and what was promised when.
 *
 * A life is a process that opens the store as a broker does, writes, cleans and checkpoints, commits while
 * a checkpoint waits for the disk, and ends in any way: closed cleanly, left, or killed at any write or
 * sync, also half way through. Now and then the checkpointer alone dies, between any two of its steps, and
 * has a successor. The next life finds what the page cache has.
 */
#ifndef TESTS_POWERCUT_LOAD_H
#define TESTS_POWERCUT_LOAD_H

#include "tests/powercut/world.h"

#define COMMITS_MAX 4096
#define LIVES_MAX   8

enum load_kind {
	LOAD_DURABLE,
	LOAD_COPIED, /* the same, but it begins with a store that mdb_copy made */
	LOAD_RELAXED,
	LOAD_STRICT,
	LOAD_MIXED, /* a durability of its own in each life */
	LOAD_KINDS
};

struct run {
	enum load_kind kind;
	uint64_t seed;
	struct world world; /* now */
	uint32_t life_began[LIVES_MAX];
	int lives;
	/* Of each commit */
	bool there[COMMITS_MAX];
	uint32_t durable[COMMITS_MAX]; /* when it was called so; UINT32_MAX: not yet, or not by itself */
	struct world left[COMMITS_MAX];
};

/* By disk_alloc(). */
struct run *run_begin(enum load_kind kind, uint64_t seed);
/* All lives of a run, in processes of their own, in DIR/data. */
void run_live(struct run *run, const char *dir);

/* The newest commit that was called durable at this moment or before. */
uint64_t run_floor(const struct run *run, uint32_t moment);
/* There is nothing but this commit, and it is on disk. */
void run_begin_anew(struct run *run, uint64_t commit);

/*
 * In this process: a store in this directory. After a power cut *floor is the oldest commit that may be found,
 * and nothing that came later counts any more; NULL: the machine did not go down.
 */
void life_open(struct run *run, const char *dir, enum durability durability, const uint64_t *floor);
/* The commit that it was opened with. */
uint64_t life_found(void);
struct store_fixture *life_store(void);
void life_steps(int n);
void life_close(bool clean);

enum durability load_durability(enum load_kind kind, uint64_t *seed);

#endif
