/*
 * checkpointer: makes what the workers committed durable, so that no worker ever waits for a disk.
 *
 * Back to back while an answer or a consumer waits (checkpoint_wanted), else log.flush.interval.ms after a commit. It
 * also holds the pin that makes the last checkpoint restorable, and so is the one process that may clear dead
 * readers.
 *
 * What can go wrong: the disk fails (nothing is published, the broker stops: a page cache that lost a write
 * cannot be trusted); it is killed (the supervisor stops all writers until its successor has made a first
 * checkpoint).
 */
#include <stdlib.h>
#include <unistd.h>

#include "broker/child_loop.h"
#include "common/diag.h"
#include "common/faultpoint.h"

#define REAP_EVERY_S 10.0

static struct checkpointer {
	struct child_loop base;
	struct store *store;
	uint32_t died_seen;
	ev_timer interval, reap;
	ev_prepare before_sleep;
	ev_check after_sleep;
	ev_idle again;
} cp;

static struct shared *
shared(void)
{
	return cp.base.family->shared;
}

/* Tell the workers whose answers or consumers waited for this. */
static void
wake_workers(void)
{
	uint64_t durable = atomic_load(&shared()->store.durable);

	for (int i = 0; i < cp.base.family->config->workers; i++) {
		struct shared_slot *slot = &shared()->slot[i];
		uint64_t wants = atomic_load(&slot->wants_commit);
		bool consumers = atomic_exchange(&slot->poked, 0) != 0;
		uint32_t none = 0;
		if (consumers)
			atomic_compare_exchange_strong(&slot->look, &none, LOOK_APPENDED);
		if (consumers || (wants != 0 && wants <= durable))
			wakeup_send(&cp.base.family->wakeup, i);
	}
}

static void
checkpoint(void)
{
	atomic_store(&shared()->dozing, 0);
	atomic_store(&shared()->checkpoint_wanted, 0);
	if (store_checkpoint(cp.store) != ERR_NONE) {
		diag_error("checkpoint failed: the disk cannot be trusted any more",
			   D_C("data", cp.base.family->config->dir));
		_exit(CHILD_HOPELESS);
	}
	wake_workers();
	FAULT_POINT("checkpoint.told");
	ev_timer_again(cp.base.loop, &cp.interval);
}

static void
reap_the_dead(void)
{
	uint32_t died = atomic_load(&shared()->died);

	if (died == cp.died_seen)
		return;
	cp.died_seen = died;
	store_reap(cp.store);
}

static void
on_rung(void *arg)
{
	(void)arg;
	if (atomic_exchange(&shared()->dozing, 0) != 0)
		ev_timer_again(cp.base.loop, &cp.interval);
}

/* A SIGTERM for the whole process group comes too early: workers still wait for us. The supervisor's own comes later. */
static void
on_leave(void *arg)
{
	(void)arg;
	if (!atomic_load(&shared()->finish))
		return;
	enum err err = store_finish(cp.store);
	store_close(cp.store);
	exit(err == ERR_NONE ? 0 : 1);
}

/* Is all durable, and will it stay so until somebody commits? A full disk is looked at again and again. */
static bool
is_quiet(uint64_t durable_before)
{
	return atomic_load(&shared()->store.durable) == durable_before &&
	       !atomic_load(&shared()->store.disk_full);
}

/*
 * An interval in which nothing was committed: sleep until the next commit rings (turn.c). What is committed before
 * the flag is up is found by the checkpoint after it.
 */
static void
doze(void)
{
	uint64_t durable = atomic_load(&shared()->store.durable);

	ev_timer_stop(cp.base.loop, &cp.interval);
	atomic_store(&shared()->dozing, 1);
	atomic_thread_fence(memory_order_seq_cst);
	if (store_checkpoint(cp.store) != ERR_NONE || !is_quiet(durable))
		checkpoint();
}

static void
on_interval(struct ev_loop *loop, ev_timer *w, int revents)
{
	uint64_t durable = atomic_load(&shared()->store.durable);

	(void)loop, (void)w, (void)revents;
	checkpoint();
	if (is_quiet(durable))
		doze();
}

static void
on_reap(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	store_reap(cp.store);
}

/* Before blocking: say so, then look once more (wakeup.h). An idle watcher keeps the loop from blocking while
 * wanted. */
static void
on_before_sleep(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)w, (void)revents;
	wakeup_sleep(&cp.base.family->wakeup, cp.base.slot);
	if (atomic_load(&shared()->checkpoint_wanted))
		ev_idle_start(loop, &cp.again);
}

static void
on_after_sleep(struct ev_loop *loop, ev_check *w, int revents)
{
	(void)w, (void)revents;
	ev_idle_stop(loop, &cp.again);
	child_loop_awake(&cp.base);
	reap_the_dead();
	if (atomic_load(&shared()->checkpoint_wanted))
		checkpoint();
}

static void
on_again(struct ev_loop *loop, ev_idle *w, int revents)
{
	(void)loop, (void)w, (void)revents; /* on_after_sleep does the work */
}

static void
prepare_store(void)
{
	bool restored;

	if (store_recover(cp.base.family->config->dir, &restored) != ERR_NONE)
		_exit(CHILD_HOPELESS);
	if (restored)
		diag_debug("the store is back at its last checkpoint",
			   D_C("data", cp.base.family->config->dir));
	cp.store = child_store(cp.base.family, cp.base.slot);
	if (store_prepare(cp.store) != ERR_NONE)
		_exit(CHILD_HOPELESS);
	atomic_store(&shared()->prepared, 1);
	wakeup_send(&cp.base.family->wakeup, cp.base.family->supervisor_wakeup);
}

static void
set_interval(void *arg)
{
	double interval_s = (double)cp.base.family->config->flush_interval_ms / 1000;

	(void)arg;
	cp.interval.repeat = interval_s;
	ev_timer_again(cp.base.loop, &cp.interval);
}

_Noreturn void
checkpointer_main(struct family *family, int slot)
{
	cp.base.rung = on_rung;
	cp.base.leave = on_leave;
	cp.base.reloaded = set_interval;
	child_loop_start(&cp.base, family, slot);
	prepare_store();
	ev_init(&cp.interval, on_interval);
	set_interval(NULL);
	ev_timer_init(&cp.reap, on_reap, REAP_EVERY_S, REAP_EVERY_S);
	ev_timer_start(cp.base.loop, &cp.reap);
	ev_prepare_init(&cp.before_sleep, on_before_sleep);
	ev_prepare_start(cp.base.loop, &cp.before_sleep);
	ev_check_init(&cp.after_sleep, on_after_sleep);
	ev_check_start(cp.base.loop, &cp.after_sleep);
	ev_idle_init(&cp.again, on_again);
	ev_run(cp.base.loop, 0);
	_exit(1);
}
