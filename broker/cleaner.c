/*
 * cleaner: gives space back, in small steps with a pause, so that producers hardly notice.
 *
 *	deleted topics      at once, and deleted groups: whoever deletes one sets clean_wanted and rings
 *	all that may go     every log.retention.check.interval.ms, in a round over the store: what retention
 *	                    lets go, forgotten producers, expired offsets, and what is deleted as it comes
 *
 * A deletion starts no such round: records stay until the interval says so. The first round begins 30 s
 * after the start, as Kafka's does, or after the interval where that is shorter.
 */
#include <stdlib.h>
#include <unistd.h>

#include "broker/child_loop.h"
#include "broker/cleaner_groups.h"
#include "common/clock.h"
#include "common/diag.h"

#define STEP_PAUSE_S 0.002 /* between two steps of a round: the writers come first */
#define RETRY_S      1.0

#define FIRST_ROUND_MS 30000 /* Kafka's log.initial.task.delay.ms */

static struct cleaner {
	struct child_loop base;
	struct store *store;
	ev_timer round; /* until the next one begins */
	ev_timer step;
	bool in_round; /* false: steps are for deleted topics alone */
	ev_prepare before_sleep;
	ev_check after_sleep;
} cl;

static void
after(ev_timer *timer, double seconds)
{
	ev_timer_stop(cl.base.loop, timer);
	ev_timer_set(timer, seconds, 0);
	ev_timer_start(cl.base.loop, timer);
}

static void
round_after(int64_t ms)
{
	after(&cl.round, (double)ms / 1000);
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
		.readers = &cleaner_groups,
		.now_ms = clock_wall_ms(),
		.deleted_only = !cl.in_round,
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
		after(&cl.step, RETRY_S);
	} else if (more) {
		after(&cl.step, STEP_PAUSE_S);
	} else if (cl.in_round) {
		cl.in_round = false;
		round_after(cl.base.family->config->retention_check_ms);
	}
}

static void
on_round(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	cl.in_round = true;
	after(&cl.step, 0);
}

static void
on_before_sleep(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	wakeup_sleep(&cl.base.family->wakeup, cl.base.slot);
	if (atomic_load(&cl.base.family->shared->clean_wanted))
		after(&cl.step, 0);
}

static void
on_after_sleep(struct ev_loop *loop, ev_check *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	child_loop_awake(&cl.base);
}

static void
on_rung(void *arg)
{
	(void)arg; /* on_before_sleep looks */
}

/* A shorter interval counts from now on; a longer one after the next round. */
static void
on_reloaded(void *arg)
{
	int64_t interval_ms = cl.base.family->config->retention_check_ms;

	(void)arg;
	if (!cl.in_round && ev_timer_remaining(cl.base.loop, &cl.round) * 1000 > (double)interval_ms)
		round_after(interval_ms);
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
	cl.base.reloaded = on_reloaded;
	child_loop_start(&cl.base, family, slot);
	cl.store = child_store(family, slot);
	ev_init(&cl.step, on_step);
	ev_init(&cl.round, on_round);
	after(&cl.step, RETRY_S); /* topics that were deleted before the broker stopped */
	int64_t interval_ms = family->config->retention_check_ms;
	round_after(interval_ms < FIRST_ROUND_MS ? interval_ms : FIRST_ROUND_MS);
	ev_prepare_init(&cl.before_sleep, on_before_sleep);
	ev_prepare_start(cl.base.loop, &cl.before_sleep);
	ev_check_init(&cl.after_sleep, on_after_sleep);
	ev_check_start(cl.base.loop, &cl.after_sleep);
	ev_run(cl.base.loop, 0);
	_exit(1);
}
