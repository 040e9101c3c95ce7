/*
 * cleaner: gives space back. Deleted topics at once, retention, forgotten producers and expired offsets every
 * log.retention.check.interval.ms; always in small steps with a pause, so that producers hardly notice.
 */
#include <stdlib.h>
#include <unistd.h>

#include "broker/child_loop.h"
#include "common/clock.h"
#include "common/diag.h"

#define STEP_PAUSE_S 0.002 /* between two steps of a round: the writers come first */
#define RETRY_S      1.0

static struct cleaner {
	struct child_loop base;
	struct store *store;
	ev_timer step;
	ev_prepare before_sleep;
} cl;

static void
step_after(double seconds)
{
	ev_timer_stop(cl.base.loop, &cl.step);
	ev_timer_set(&cl.step, seconds, 0);
	ev_timer_start(cl.base.loop, &cl.step);
}

static struct clean_rules
rules_now(void)
{
	const struct config *config = cl.base.family->config;

	return (struct clean_rules){
		.retention_ms = config->topic.retention_ms,
		.retention_bytes = config->topic.retention_bytes,
		.delete_by_default = (config->topic.cleanup_policy & CLEANUP_DELETE) != 0,
		.producer_expiry_ms = config->producer_expiry_ms,
		.offsets_retention_ms = (int64_t)config->offsets_retention_minutes * 60000,
		.now_ms = clock_wall_ms(),
	};
}

static void
on_step(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct clean_rules rules = rules_now();
	bool more = false;

	(void)loop, (void)w, (void)revents;
	atomic_store(&cl.base.family->shared->clean_wanted, 0);
	if (store_clean(cl.store, &rules, &more) != ERR_NONE) {
		diag_warn("cleaning must wait", D_C("reason", "the store cannot be written now"));
		step_after(RETRY_S);
	} else {
		step_after(more ? STEP_PAUSE_S : (double)cl.base.family->config->retention_check_ms / 1000);
	}
}

static void
on_before_sleep(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	wakeup_sleep(&cl.base.family->wakeup, cl.base.slot);
	if (atomic_load(&cl.base.family->shared->clean_wanted))
		step_after(0);
}

static void
on_rung(void *arg)
{
	(void)arg; /* on_before_sleep looks */
}

static void
on_leave(void *arg)
{
	(void)arg;
	store_close(cl.store);
	exit(0);
}

_Noreturn void
cleaner_main(struct family *family, int slot)
{
	cl.base.rung = on_rung;
	cl.base.leave = on_leave;
	child_loop_start(&cl.base, family, slot);
	cl.store = child_store(family, slot);
	ev_init(&cl.step, on_step);
	step_after(RETRY_S);
	ev_prepare_init(&cl.before_sleep, on_before_sleep);
	ev_prepare_start(cl.base.loop, &cl.before_sleep);
	ev_run(cl.base.loop, 0);
	_exit(1);
}
