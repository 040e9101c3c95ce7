/*
 * Processes that do not move. The rule look by look; then real processes that stop, spin and wait, with a watch whose
 * looks are milliseconds apart.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/child_loop.h"
#include "broker/watch.h"
#include "common/clock.h"
#include "tests/lib/test.h"

/* --- the rule --- */

/* So many looks, all the same; the number of the first (from 1) at which something is to be done, 0: none. */
static int
first_verdict(struct watched *w, struct watch_view view, int looks, enum watch_verdict *verdict)
{
	for (int i = 1; i <= looks; i++)
		if ((*verdict = watch_judge(w, &view)) != WATCH_FINE)
			return i;
	return 0;
}

/* What is done about a process that looks so for ever, and at which look. */
static void
ends_with(struct watch_view view, enum watch_verdict wanted, int wanted_at)
{
	struct watched w = { 0 };
	enum watch_verdict verdict = WATCH_FINE;
	int at = first_verdict(&w, view, 1000, &verdict);

	assert_int_equal(verdict, wanted);
	assert_int_equal(at, wanted_at);
}

static void
each_kind_has_its_bound(void **state)
{
	(void)state;
	const struct watch_view stopped = { .stopped = true, .asleep = true, .turn = 7 };
	struct watch_view v = stopped;
	ends_with(v, WATCH_KILL_STOPPED, WATCH_STOPPED);
	v.needed = true;
	ends_with(v, WATCH_KILL_STOPPED_NEEDED, WATCH_STOPPED_NEEDED);
	v = stopped;
	v.in_lock = true; /* waits for it */
	ends_with(v, WATCH_KILL_STOPPED_NEEDED, WATCH_STOPPED_NEEDED);
	v = stopped;
	v.asleep = false; /* stopped within a turn: that is no hanging turn */
	ends_with(v, WATCH_KILL_STOPPED, WATCH_STOPPED);

	/* One look more than the bound: the first shows what the others are compared with. */
	ends_with(
	    (struct watch_view){ .turn = 7, .in_lock = true, .held_since_ns = 5, .waits_for_disk = true },
	    WATCH_KILL_LOCK, WATCH_LOCK + 1);
	ends_with((struct watch_view){ .turn = 7 }, WATCH_ABORT_TURN, WATCH_TURN + 1);
	ends_with((struct watch_view){ .turn = 7, .syncs = true, .needed = true, .waits_for_disk = true },
		  WATCH_SAY_SLOW, WATCH_SLOW_DISK + 1);
}

static void
who_should_live_lives(void **state)
{
	(void)state;
	ends_with((struct watch_view){ .asleep = true, .turn = 7 }, WATCH_FINE, 0);
	ends_with((struct watch_view){ .asleep = true, .turn = 7, .needed = true }, WATCH_FINE, 0);
	ends_with((struct watch_view){ .turn = 7, .waits_for_disk = true }, WATCH_FINE, 0);
	ends_with((struct watch_view){ .turn = 7, .in_lock = true, .waits_for_disk = true }, WATCH_FINE, 0);
}

static void
what_moves_in_time_is_left_alone(void **state)
{
	(void)state;
	struct watched w = { 0 };
	enum watch_verdict verdict;
	struct watch_view v = { .turn = 1, .held_since_ns = 1, .in_lock = true };
	for (int i = 0; i < 1000; i++) { /* busy, another turn and another transaction each time */
		v.turn++;
		v.held_since_ns++;
		assert_int_equal(first_verdict(&w, v, WATCH_LOCK, &verdict), 0);
	}
	v = (struct watch_view){ .turn = 5, .needed = true };
	for (int i = 0; i < 10; i++) { /* stopped, but goes on each time */
		v.stopped = true;
		assert_int_equal(first_verdict(&w, v, WATCH_STOPPED_NEEDED - 1, &verdict), 0);
		v.stopped = false;
		assert_int_equal(watch_judge(&w, &v), WATCH_FINE);
	}
}

static void
a_turn_that_hangs_is_aborted_once_and_then_killed(void **state)
{
	(void)state;
	struct watched w = { 0 };
	enum watch_verdict verdict;
	const struct watch_view v = { .turn = 3 };
	assert_int_equal(first_verdict(&w, v, 1000, &verdict), WATCH_TURN + 1);
	assert_int_equal(verdict, WATCH_ABORT_TURN);
	assert_int_equal(first_verdict(&w, v, 1000, &verdict), WATCH_TURN_KILL - WATCH_TURN);
	assert_int_equal(verdict, WATCH_KILL_TURN);
}

/* The disk's share of a turn does not count, the rest does. */
static void
looks_at_a_disk_do_not_count(void **state)
{
	(void)state;
	struct watched w = { 0 };
	enum watch_verdict verdict;
	struct watch_view v = { .turn = 3 };
	assert_int_equal(first_verdict(&w, v, WATCH_TURN, &verdict), 0);
	v.waits_for_disk = true;
	assert_int_equal(first_verdict(&w, v, 1000, &verdict), 0);
	v.waits_for_disk = false;
	assert_int_equal(first_verdict(&w, v, 1000, &verdict), 1);
	assert_int_equal(verdict, WATCH_ABORT_TURN);
}

/* --- real processes --- */

#define LOOK_S 0.005

static struct scene {
	struct config config;
	struct family family;
	struct children children;
	struct watch watch;
	struct ev_loop *loop;
	ev_io rung;
} * sc;

static void
nothing_to_leave(void)
{
}

static void
on_rung(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	wakeup_drain(&sc->family.wakeup, sc->family.supervisor_wakeup);
	wakeup_sleep(&sc->family.wakeup, sc->family.supervisor_wakeup);
	watch_wake(&sc->watch);
}

static int
begin(void **state)
{
	(void)state;
	sc = calloc(1, sizeof(*sc));
	sc->config.workers = 1;
	sc->family = (struct family){ .config = &sc->config,
				      .shared = shared_create(),
				      .supervisor_wakeup = 3,
				      .leave_parent = nothing_to_leave };
	wakeup_create(&sc->family.wakeup, sc->family.shared, 4);
	wakeup_sleep(&sc->family.wakeup, sc->family.supervisor_wakeup);
	assert_int_equal(pipe(sc->family.alive_pipe), 0);
	children_init(&sc->children, &sc->family);
	sc->loop = ev_loop_new(EVFLAG_AUTO);
	watch_init(&sc->watch, sc->loop, &sc->children, LOOK_S);
	ev_io_init(&sc->rung, on_rung, sc->family.wakeup.fd[3], EV_READ);
	ev_io_start(sc->loop, &sc->rung);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	ev_loop_destroy(sc->loop);
	free(sc);
	return 0;
}

/* A child in the worker's slot that does this; what it does never returns. */
static void
born(void (*does)(void))
{
	struct child *child = &sc->children.child[0];

	*child = (struct child){ .kind = CHILD_WORKER, .name = "worker-0" };
	watch_forget(&sc->watch, 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (child->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		does();
		_exit(1);
	}
}

/* Let the watch look for at most so long; the signal that the child died of, 0: it lives. */
static int
dies_of_within(double seconds)
{
	int64_t deadline_ms = clock_monotonic_ms() + (int64_t)(seconds * 1000);
	int status, slot;

	while (clock_monotonic_ms() < deadline_ms) {
		while ((slot = children_wait(&sc->children, &status)) >= 0) {
			assert_int_equal(slot, 0);
			if (!WIFSTOPPED(status) && !WIFCONTINUED(status))
				return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
			watch_hear(&sc->watch, slot, status);
			watch_wake(&sc->watch);
		}
		ev_run(sc->loop, EVRUN_NOWAIT);
		usleep(1000);
	}
	return 0;
}

/* Stopped before, it would be one that starts. */
static void
wait_until_asleep(void)
{
	while (atomic_load(&sc->family.shared->slot[0].asleep) == 0)
		assert_int_equal(dies_of_within(LOOK_S), 0);
}

static void
be_killed(void)
{
	kill(sc->children.child[0].pid, SIGKILL);
	assert_int_equal(dies_of_within(10), SIGKILL);
}

static void
spin(void)
{
	struct child_loop c = { 0 };

	child_loop_start(&c, &sc->family, 0);
	child_loop_awake(&c);
	for (volatile int i = 0;; i++)
		;
}

static void
spin_deaf_to_abort(void)
{
	signal(SIGABRT, SIG_IGN);
	spin();
}

static void
sleep_in_its_loop(void)
{
	struct child_loop c = { 0 };

	child_loop_start(&c, &sc->family, 0);
	child_loop_awake(&c);
	wakeup_sleep(&sc->family.wakeup, 0);
	for (;;)
		pause();
}

static void
start_and_stop(void)
{
	struct child_loop c = { 0 };

	child_loop_start(&c, &sc->family, 0);
	raise(SIGSTOP);
	sleep_in_its_loop();
}

static void
run_turn_by_turn(void)
{
	struct child_loop c = { 0 };

	child_loop_start(&c, &sc->family, 0);
	for (;;)
		child_loop_awake(&c);
}

static void
hold_the_lock(void)
{
	struct child_loop c = { 0 };

	child_loop_start(&c, &sc->family, 0);
	child_loop_awake(&c);
	atomic_store(&sc->family.shared->store.slot[0].held_since_ns, clock_monotonic_ns());
	for (;;)
		child_loop_awake(&c); /* turn by turn, and the lock is still the same */
}

static void
a_loop_that_does_not_end_is_ended(void **state)
{
	(void)state;
	born(spin);
	assert_int_equal(dies_of_within(LOOK_S * WATCH_TURN / 2), 0);
	assert_int_equal(dies_of_within(20), SIGABRT);
	born(spin_deaf_to_abort);
	assert_int_equal(dies_of_within(20), SIGKILL);
}

static void
who_is_busy_turn_by_turn_lives(void **state)
{
	(void)state;
	born(run_turn_by_turn);
	assert_int_equal(dies_of_within(LOOK_S * WATCH_TURN * 1.5), 0);
	be_killed();
}

static void
who_keeps_the_lock_is_ended(void **state)
{
	(void)state;
	born(hold_the_lock);
	assert_int_equal(dies_of_within(20), SIGKILL);
}

static void
the_stopped_are_ended_the_needed_sooner(void **state)
{
	(void)state;
	test_stderr_begin();
	born(start_and_stop); /* in the middle of its start */
	assert_int_equal(dies_of_within(20), SIGKILL);
	assert_non_null(strstr(test_stderr_end(), "it is stopped, and others wait for it"));

	born(sleep_in_its_loop);
	wait_until_asleep();
	test_stderr_begin();
	kill(sc->children.child[0].pid, SIGSTOP);
	assert_int_equal(dies_of_within(LOOK_S * WATCH_STOPPED / 2), 0);
	assert_int_equal(dies_of_within(20), SIGKILL);
	assert_non_null(strstr(test_stderr_end(), "it is stopped, and its clients wait"));
}

static void
who_goes_on_in_time_lives(void **state)
{
	(void)state;
	born(sleep_in_its_loop);
	wait_until_asleep();
	for (int i = 0; i < 3; i++) {
		kill(sc->children.child[0].pid, SIGSTOP);
		assert_int_equal(dies_of_within(LOOK_S * WATCH_STOPPED / 2), 0);
		assert_true(sc->children.child[0].stopped);
		kill(sc->children.child[0].pid, SIGCONT);
		assert_int_equal(dies_of_within(LOOK_S * WATCH_STOPPED / 2), 0);
		assert_false(sc->children.child[0].stopped);
	}
	for (int i = 0; i < WATCH_STOPPED; i++) { /* as if every look fell into another stop */
		kill(sc->children.child[0].pid, SIGSTOP);
		assert_int_equal(dies_of_within(LOOK_S * 2), 0);
		kill(sc->children.child[0].pid, SIGCONT);
		kill(sc->children.child[0].pid, SIGSTOP);
	}
	be_killed();
}

/* An idle broker has no timer; whoever wakes, also a process that starts, brings it back. */
static void
the_watch_sleeps_when_all_sleep(void **state)
{
	(void)state;
	born(sleep_in_its_loop);
	assert_int_equal(dies_of_within(0.5), 0);
	assert_false(ev_is_active(&sc->watch.look));
	assert_int_equal(atomic_load(&sc->family.shared->unwatched), 1);
	be_killed();
	atomic_store(&sc->family.shared->slot[0].asleep, 1); /* as its predecessor left it */
	for (int i = 0; i < 100 && ev_is_active(&sc->watch.look); i++)
		assert_int_equal(dies_of_within(LOOK_S), 0);
	assert_false(ev_is_active(&sc->watch.look));
	born(spin);
	assert_int_equal(dies_of_within(20), SIGABRT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_has_its_bound),
		cmocka_unit_test(who_should_live_lives),
		cmocka_unit_test(what_moves_in_time_is_left_alone),
		cmocka_unit_test(a_turn_that_hangs_is_aborted_once_and_then_killed),
		cmocka_unit_test(looks_at_a_disk_do_not_count),
		cmocka_unit_test_setup_teardown(a_loop_that_does_not_end_is_ended, begin, end),
		cmocka_unit_test_setup_teardown(who_is_busy_turn_by_turn_lives, begin, end),
		cmocka_unit_test_setup_teardown(who_keeps_the_lock_is_ended, begin, end),
		cmocka_unit_test_setup_teardown(the_stopped_are_ended_the_needed_sooner, begin, end),
		cmocka_unit_test_setup_teardown(who_goes_on_in_time_lives, begin, end),
		cmocka_unit_test_setup_teardown(the_watch_sleeps_when_all_sleep, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
