#include "tests/powercut/load.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/env.h"
#include "tests/lib/test.h"
#include "tests/powercut/disk.h"

#define MAP_BYTES ((uint64_t)1 << 28)
#define DIED      9

static struct life {
	struct store_fixture f;
	struct store_shared shared;
	struct run *run;
	uint64_t found;
	bool busy; /* opening or closing: nobody else writes */
	bool under_way;
} life;

/* --- what was promised ------------------------------------------------------------------------------- */

struct run *
run_begin(enum load_kind kind, uint64_t seed)
{
	struct run *run = disk_alloc(sizeof(*run));
	world_ledger_begin();
	run->kind = kind;
	run->seed = seed;
	world_begin(&run->left[0]);
	run_begin_anew(run, 0);
	return run;
}

void
run_begin_anew(struct run *run, uint64_t commit)
{
	for (uint64_t i = 0; i < COMMITS_MAX; i++) {
		run->there[i] = i == commit;
		run->durable[i] = i == commit ? 0 : UINT32_MAX;
	}
	run->world = run->left[commit];
}

uint64_t
run_floor(const struct run *run, uint32_t moment)
{
	uint64_t floor = 0;
	for (uint64_t i = 0; i < COMMITS_MAX; i++)
		if (run->durable[i] <= moment)
			floor = i;
	return floor;
}

static uint64_t
newest(void)
{
	MDB_envinfo info;
	CHECK(mdb_env_info(life.f.store->env, &info) == 0 && info.me_last_txnid + 1 < COMMITS_MAX);
	return info.me_last_txnid;
}

/* This commit leaves this, if it comes about. */
static void
expect(uint64_t commit, const struct world *world)
{
	CHECK(commit < COMMITS_MAX);
	life.run->there[commit] = true;
	life.run->durable[commit] = UINT32_MAX;
	life.run->left[commit] = *world;
}

/* Whoever sees that a commit is durable may answer. */
static void
called_durable(void)
{
	uint64_t durable = atomic_load(&life.shared.durable);
	CHECK(durable < COMMITS_MAX);
	if (life.run->durable[durable] > disk_now())
		life.run->durable[durable] = disk_now();
}

/* --- steps ------------------------------------------------------------------------------------------- */

static void
write_something(void)
{
	struct world next = life.run->world;
	struct store_txn *txn = fixture_write(&life.f);
	world_write(&life.f, &next, txn, &life.run->seed);
	expect(store_snapshot(txn) + 1, &next);
	fixture_commit(txn);
	life.run->world = next;
	arena_reset(&life.f.arena);
}

static void
clean_something(void)
{
	uint64_t before = newest();
	life.run->there[before + 1] = false;
	world_clean(&life.f, &life.run->seed);
	if (newest() == before)
		return;
	world_look(&life.f, &life.run->world);
	expect(newest(), &life.run->world);
}

static void
step(void)
{
	if (test_random(&life.run->seed) % 4 == 0)
		clean_something();
	else
		write_something();
	if (life.f.durability == DURABILITY_STRICT)
		called_durable();
}

/* While the checkpointer waits for the disk, workers do not. */
static void
meanwhile(void)
{
	if (life.busy || atomic_load(&life.shared.writes_ok) == 0)
		return;
	disk_spare(true); /* who dies is the checkpointer, not one of these */
	for (uint64_t n = test_random(&life.run->seed) % 4; n > 0; n--)
		step();
	disk_spare(false);
}

/* --- the checkpointer -------------------------------------------------------------------------------- */

static jmp_buf checkpointer_died;

static void
die_as_checkpointer(void)
{
	longjmp(checkpointer_died, 1);
}

static bool
checkpoint_or_die(bool dies)
{
	if (setjmp(checkpointer_died) != 0)
		return false;
	if (dies)
		disk_die_at(1 + (uint32_t)(test_random(&life.run->seed) % 4), die_as_checkpointer);
	if (!life.under_way)
		MUST(checkpoint_begin(life.f.store, &life.under_way));
	else
		MUST(checkpoint_finish(life.f.store, life.under_way = false));
	if (dies)
		disk_die_at(0, NULL);
	return !dies;
}

/*
 * What a dead process held stays until a living one clears it, which its successor does when its own pin is
 * there. Until the supervisor has heard of the death a worker may go on.
 */
static void
checkpointer_succeeded(void)
{
	struct checkpoint *c = &life.f.store->checkpoint;
	MDB_txn *stale[] = { c->pin, c->next_pin };
	bool restored;
	if (c->fd >= 0)
		close(c->fd);
	*c = (struct checkpoint){ .fd = -1 };
	life.under_way = false;
	for (uint64_t n = test_random(&life.run->seed) % 3; n > 0; n--)
		step();
	atomic_store(&life.shared.writes_ok, 0);
	MUST(store_recover(life.f.dir, &restored));
	CHECK(!restored); /* the machine has not gone down */
	MUST(store_prepare(life.f.store));
	for (int i = 0; i < 2; i++)
		if (stale[i] != NULL)
			mdb_txn_abort(stale[i]);
}

static void
checkpoint(void)
{
	if (!checkpoint_or_die(test_random(&life.run->seed) % 16 == 0))
		checkpointer_succeeded();
	called_durable();
}

void
life_steps(int n)
{
	for (int i = 0; i < n; i++) {
		step();
		if (life.f.durability != DURABILITY_STRICT && test_random(&life.run->seed) % 4 == 0)
			checkpoint();
	}
	if (life.under_way)
		checkpoint();
}

/* --- begin and end ----------------------------------------------------------------------------------- */

/* A commit that nobody lived to see the end of: of the cleaner's, nobody knew what it would do. */
static void
find_out(uint64_t found)
{
	struct run *run = life.run;
	CHECK(run->there[found] || (found > 0 && run->there[found - 1]));
	bool known = run->there[found];
	run->world = run->left[known ? found : found - 1];
	if (known)
		return;
	world_look(&life.f, &run->world);
	expect(found, &run->world);
}

void
life_open(struct run *run, const char *dir, enum durability durability, const uint64_t *floor)
{
	bool restored;
	life = (struct life){ .run = run, .busy = true };
	life.f = (struct store_fixture){ .dir = (char *)(uintptr_t)dir,
					 .durability = durability,
					 .map_bytes = MAP_BYTES,
					 .shared = &life.shared };
	disk_during_sync(durability == DURABILITY_STRICT ? NULL : meanwhile);
	store_shared_init(&life.shared);
	disk_watch(called_durable);
	MUST(store_recover(dir, &restored));
	CHECK(!restored || floor != NULL);
	life.f.store = fixture_store(&life.f, 0);
	life.found = newest();
	if (floor == NULL) {
		find_out(life.found);
	} else {
		CHECK(life.found >= *floor && run->there[life.found]);
		run_begin_anew(run, life.found);
	}
	MUST(store_prepare(life.f.store));
	for (uint64_t i = life.found + 1; i <= newest(); i++)
		expect(i, &run->world); /* tables were made */
	called_durable();
	life.busy = false;
}

uint64_t
life_found(void)
{
	return life.found;
}

struct store_fixture *
life_store(void)
{
	return &life.f;
}

void
life_close(bool clean)
{
	life.busy = true;
	fixture_close(&life.f, clean);
	arena_free(&life.f.arena);
	buf_free(&life.f.batch);
}

static void
die_as_process(void)
{
	_exit(DIED);
}

static void
live(struct run *run, const char *dir, enum durability durability)
{
	uint64_t end = test_random(&run->seed) % 6;
	if (end < 3)
		disk_die_at(1 + (uint32_t)(test_random(&run->seed) % (end == 0 ? 30 : 1500)), die_as_process);
	life_open(run, dir, durability, NULL);
	life_steps((int)(20 + test_random(&run->seed) % 100));
	if (end < 5)
		life_close(end == 4);
	_exit(0);
}

static void
in_a_process(struct run *run, const char *dir, enum durability durability,
	     void (*f)(struct run *, const char *, enum durability))
{
	int status;
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0)
		f(run, dir, durability);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == DIED));
}

/* In DIR/data.source, which nobody will look at, a store to be copied to DIR/data, with or without -c. */
static void
live_and_copy(struct run *run, const char *dir, enum durability durability)
{
	char source[4096];
	snprintf(source, sizeof(source), "%s.source", dir);
	life_open(run, source, durability, NULL);
	life_steps(60);
	bool compact = test_random(&run->seed) % 2 == 0;
	uint64_t commit = newest();
	CHECK(mkdir(dir, 0770) == 0);
	CHECK(mdb_env_copy2(life.f.store->env, dir, compact ? MDB_CP_COMPACT : 0) == 0);
	run->left[1] = run->left[commit];
	run_begin_anew(run, compact ? 1 : commit);
	life_close(false);
	_exit(0);
}

enum durability
load_durability(enum load_kind kind, uint64_t *seed)
{
	switch (kind) {
	case LOAD_RELAXED:
		return DURABILITY_RELAXED;
	case LOAD_STRICT:
		return DURABILITY_STRICT;
	case LOAD_MIXED:
		return (enum durability)(test_random(seed) % 3);
	default:
		return DURABILITY_DURABLE;
	}
}

void
run_live(struct run *run, const char *dir)
{
	char data[4096];
	snprintf(data, sizeof(data), "%s/data", dir);
	if (run->kind == LOAD_COPIED)
		in_a_process(run, data, DURABILITY_DURABLE, live_and_copy);
	disk_record(data);
	for (run->lives = 0; run->lives < LIVES_MAX; run->lives++) {
		run->life_began[run->lives] = disk_now();
		in_a_process(run, data, load_durability(run->kind, &run->seed), live);
	}
	disk_stop();
}
