/*
 * The happy path: lock the directory, listen, fork the checkpointer; when the store is prepared fork the
 * cleaner and the workers; accept and hand over; on SIGTERM let the workers finish, then the checkpointer,
 * then end with status 0.
 *
 * What can go wrong: a child dies (reaped, named in the log, replaced); a child does not move (killed,
 * watch.h); the store cannot be opened (CHILD_HOPELESS: everything stops, status 1); a
 * process does not leave in time (killed at the deadline).
 */
#include "broker/supervisor.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/acceptor.h"
#include "broker/children.h"
#include "broker/datadir.h"
#include "broker/death.h"
#include "broker/listener.h"
#include "broker/reload.h"
#include "broker/status.h"
#include "broker/systemd.h"
#include "broker/watch.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/diag.h"
#include "common/faultpoint.h"

/* SIGTERM to exit within five seconds: first for workers and cleaner, then for the last checkpoint. */
#define DRAIN_DEADLINE_S  3.5
#define FINISH_DEADLINE_S 1.0
#define FINISH_PAUSE_MS   20 /* before another one tries to make the last checkpoint */

enum state { PREPARING, RUNNING, DRAINING, FINISHING, DONE };
static const char *const state_names[] = { "preparing", "running", "draining", "finishing", "done" };

static const char *const durability_names[] = { "durable", "relaxed", "strict" };

static struct supervisor {
	struct ev_loop *loop;
	enum state state;
	enum exit_status status;
	struct config *config; /* what the family has as const */
	bool has_terminal;
	struct family family;
	struct children children;
	struct listeners listeners;
	struct acceptor acceptor;
	struct watch watch;
	bool hopeless;        /* the checkpointer said so, or the disk failed: there will be no other */
	int deadlines;        /* that have passed */
	bool late;            /* also the one of the last checkpoint */
	bool last_checkpoint; /* was made */
	ev_io rung;
	ev_signal on_term, on_int, on_hup, on_usr1, on_child;
	ev_timer respawn, deadline, watchdog;
} sv;

static void advance(void);
static void state_set(enum state to);

/* --- children --- */

/* What others waited for from the dead must be looked for by themselves. */
static void
console_the_others(int dead)
{
	struct shared *shared = sv.family.shared;

	atomic_fetch_add(&shared->died, 1);
	for (int i = 0; i < sv.family.config->workers; i++) {
		atomic_store(&shared->slot[i].look, LOOK_ALL);
		wakeup_send(&sv.family.wakeup, i);
	}
	if (dead != children_checkpointer(&sv.children)) {
		atomic_store(&shared->checkpoint_wanted, 1);
		wakeup_send(&sv.family.wakeup, children_checkpointer(&sv.children));
	}
	if (dead != children_cleaner(&sv.children)) {
		atomic_store(&shared->clean_wanted, 1);
		wakeup_send(&sv.family.wakeup, children_cleaner(&sv.children));
	}
}

/* Another one would end the same; after a sync that failed it would even take for written what is not. */
static void
give_up_if_hopeless(const struct child *child, int status)
{
	bool disk_failed = atomic_load(&sv.family.shared->store.disk_failed);

	if (!disk_failed && !(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_HOPELESS))
		return;
	sv.status = disk_failed ? EXIT_STATUS_DISK_FAILED : EXIT_STATUS_FAILED;
	sv.hopeless |= disk_failed || child->kind == CHILD_CHECKPOINTER;
	children_want(&sv.children, sv.hopeless ? CHILD_CHECKPOINTER : child->kind, false);
	if (sv.state < DRAINING)
		state_set(DRAINING);
}

static void
bury(int slot, int status)
{
	struct child *child = &sv.children.child[slot];
	struct shared_slot *shared = &sv.family.shared->slot[slot];

	death_say(child, atomic_load(&shared->pid), status);
	atomic_store(&shared->pid, 0);
	if (child->kind == CHILD_WORKER)
		acceptor_bury(&sv.acceptor, slot);
	store_slot_clear(&sv.family.shared->store, slot);
	watch_forget(&sv.watch, slot);
	atomic_fetch_add(&shared->restarts, 1);
	if (child->kind == CHILD_CHECKPOINTER && sv.state <= DRAINING)
		atomic_store(&sv.family.shared->store.writes_ok, 0);
	if (child->kind == CHILD_CHECKPOINTER && sv.state == FINISHING && status == 0)
		sv.last_checkpoint = true;
	console_the_others(slot);
	give_up_if_hopeless(child, status);
}

static void
on_child(struct ev_loop *loop, ev_signal *w, int revents)
{
	int slot, status;

	(void)loop, (void)w, (void)revents;
	while ((slot = children_wait(&sv.children, &status)) >= 0) {
		FAULT_POINT("supervisor.reaped");
		if (WIFSTOPPED(status) || WIFCONTINUED(status))
			watch_hear(&sv.watch, slot, status);
		else
			bury(slot, status);
	}
	watch_wake(&sv.watch);
	advance();
}

static void
on_respawn(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)revents;
	ev_timer_stop(loop, w);
	advance();
}

static void
on_watchdog(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	systemd_notify("WATCHDOG=1");
}

/* --- the state machine --- */

static void
state_set(enum state to)
{
	if (sv.state == to)
		return;
	diag_debug("broker's state", D_C("from", state_names[sv.state]), D_C("to", state_names[to]));
	sv.state = to;
}

static void
spawn_wanted(void)
{
	int64_t next_ms = children_spawn(&sv.children);

	if (next_ms < 0)
		return;
	sv.respawn.repeat = (double)(next_ms > 0 ? next_ms : 1) / 1000;
	ev_timer_again(sv.loop, &sv.respawn);
}

static void
say_ready(void)
{
	for (int i = 0; i < sv.listeners.n; i++)
		diag_info(
		    "listening", D_C("address", sv.listeners.socket[i].address),
		    D_C("listener", sv.family.config->listeners.at[sv.listeners.socket[i].listener].name));
	diag_info("broker is ready", D_C("data", sv.family.config->dir),
		  D_INT("workers", sv.family.config->workers),
		  D_C("durability", durability_names[sv.family.config->durability]),
		  D_INT("startup_ms", (clock_monotonic_ns() - sv.family.started_ns) / 1000000));
}

static void
start_running(void)
{
	children_want(&sv.children, CHILD_WORKER, true);
	children_want(&sv.children, CHILD_CLEANER, true);
	state_set(RUNNING);
	spawn_wanted();
	acceptor_start(&sv.acceptor);
	say_ready();
	systemd_notify("READY=1\nSTATUS=Serving clients.");
}

static void
start_draining(void)
{
	systemd_notify("STOPPING=1\nSTATUS=Answering what is under way.");
	acceptor_stop(&sv.acceptor);
	listeners_close(&sv.listeners);
	children_want(&sv.children, CHILD_WORKER, false);
	children_want(&sv.children, CHILD_CLEANER, false);
	children_signal(&sv.children, CHILD_WORKER, SIGTERM);
	children_signal(&sv.children, CHILD_CLEANER, SIGTERM);
	children_signal(&sv.children, CHILD_WORKER, SIGCONT); /* the stopped ones, too */
	children_signal(&sv.children, CHILD_CLEANER, SIGCONT);
	ev_timer_set(&sv.deadline, DRAIN_DEADLINE_S, 0);
	ev_timer_start(sv.loop, &sv.deadline);
	FAULT_POINT("supervisor.drains");
}

static bool
writers_are_gone(void)
{
	return children_running(&sv.children, CHILD_WORKER) + children_running(&sv.children, CHILD_CLEANER) ==
	       0;
}

static void
start_finishing(void)
{
	state_set(FINISHING);
	atomic_store(&sv.family.shared->finish, 1);
	FAULT_POINT("supervisor.finishes");
}

/* The last checkpoint is somebody's who lives: if its maker dies, or was not there, another one is started soon. */
static void
finish(void)
{
	bool over = sv.last_checkpoint || sv.hopeless || sv.late;

	if (!over) {
		children_hurry(&sv.children, CHILD_CHECKPOINTER, FINISH_PAUSE_MS);
		spawn_wanted();
		children_signal(&sv.children, CHILD_CHECKPOINTER, SIGTERM);
		return;
	}
	if (children_running(&sv.children, CHILD_CHECKPOINTER) > 0)
		return;
	if (!sv.last_checkpoint && sv.status == EXIT_STATUS_OK)
		sv.status = EXIT_STATUS_FAILED;
	state_set(DONE);
	ev_break(sv.loop, EVBREAK_ALL);
}

static void
advance(void)
{
	if (sv.state == PREPARING && atomic_load(&sv.family.shared->prepared))
		start_running();
	if (sv.state == DRAINING && !ev_is_active(&sv.deadline))
		start_draining();
	if (sv.state <= DRAINING)
		spawn_wanted(); /* while draining, only the checkpointer: answers wait for it */
	if (sv.state == DRAINING && writers_are_gone())
		start_finishing();
	if (sv.state == FINISHING)
		finish();
}

static void
on_stop(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)loop, (void)revents;
	if (sv.state >= DRAINING)
		return;
	diag_info("stopping", D_C("signal", strsignal(w->signum)), D_INT("number", w->signum));
	state_set(DRAINING);
	advance();
}

/* From a terminal that was closed it is an order to stop; else, as of all daemons, to look at the file again. */
static void
on_hup(struct ev_loop *loop, ev_signal *w, int revents)
{
	if (sv.has_terminal && !isatty(STDERR_FILENO))
		on_stop(loop, w, revents);
	else
		reload_configuration(sv.config, &sv.children, sv.state == RUNNING);
}

static void
on_status(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	diag_info("status", D_C("state", state_names[sv.state]),
		  D_INT("up_s", (clock_monotonic_ns() - sv.family.started_ns) / 1000000000),
		  D_INT("durable_commit", atomic_load(&sv.family.shared->store.durable)));
	status_of_processes(&sv.children);
	children_signal(&sv.children, CHILD_WORKER, SIGUSR1);
}

static void
on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)revents;
	sv.late = sv.deadlines++ > 0;
	if (sv.late)
		diag_warn("no time is left for the last checkpoint");
	else if (sv.state == DRAINING)
		diag_warn("processes did not leave in time: killing them",
			  D_INT("workers", children_running(&sv.children, CHILD_WORKER)));
	children_signal(&sv.children, CHILD_WORKER, SIGKILL);
	children_signal(&sv.children, CHILD_CLEANER, SIGKILL);
	if (sv.late)
		children_signal(&sv.children, CHILD_CHECKPOINTER, SIGKILL);
	ev_timer_set(w, FINISH_DEADLINE_S, 0);
	ev_timer_start(loop, w);
	advance();
}

/* The checkpointer rings when the store is prepared; anybody who wakes after a time in which all slept. */
static void
on_rung(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	wakeup_drain(&sv.family.wakeup, sv.family.supervisor_wakeup);
	wakeup_sleep(&sv.family.wakeup, sv.family.supervisor_wakeup);
	watch_wake(&sv.watch);
	advance();
}

/* --- start --- */

/* In a child: libev allows a signal to be watched in one loop only, and the listeners are not the child's. */
static void
leave_parent(void)
{
	ev_signal_stop(sv.loop, &sv.on_term);
	ev_signal_stop(sv.loop, &sv.on_int);
	ev_signal_stop(sv.loop, &sv.on_hup);
	ev_signal_stop(sv.loop, &sv.on_usr1);
	ev_signal_stop(sv.loop, &sv.on_child);
	ev_loop_destroy(sv.loop);
	listeners_close(&sv.listeners);
}

static void
family_create(const struct config *config, int64_t started_ns)
{
	struct family *f = &sv.family;

	f->config = config;
	f->started_ns = started_ns;
	f->shared = shared_create();
	f->supervisor_wakeup = config->workers + 2;
	f->leave_parent = leave_parent;
	wakeup_create(&f->wakeup, f->shared, config->workers + 3);
	for (int i = 0; i < config->workers; i++)
		handoff_create(&f->handoff[i]);
	for (int i = 0; i < config->workers; i++)
		forward_socket_create(&f->forward[i]);
	CHECK(pipe(f->alive_pipe) == 0);
}

static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		diag_warn("descriptor limit cannot be raised", D_C("reason", strerror(errno)));
}

/* Sockets and bells of each worker, listeners, the store, and some clients. */
static bool
has_descriptors(int workers)
{
	rlim_t needed = (rlim_t)workers * 6 + 64;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
		return true;
	diag_error("too few file descriptors (ulimit -n)", D_INT("limit", limit.rlim_cur),
		   D_INT("needed", needed), D_INT("workers", workers));
	return false;
}

static void
watch_everything(void)
{
	sv.loop = ev_loop_new(EVFLAG_AUTO); /* not the default loop: that one reaps children by itself */
	CHECK(sv.loop != NULL);
	acceptor_init(&sv.acceptor, sv.loop, &sv.family, &sv.children, &sv.listeners);
	ev_io_init(&sv.rung, on_rung, sv.family.wakeup.fd[sv.family.supervisor_wakeup], EV_READ);
	ev_io_start(sv.loop, &sv.rung);
	wakeup_sleep(&sv.family.wakeup, sv.family.supervisor_wakeup);
	ev_signal_init(&sv.on_term, on_stop, SIGTERM);
	ev_signal_start(sv.loop, &sv.on_term);
	ev_signal_init(&sv.on_int, on_stop, SIGINT);
	ev_signal_start(sv.loop, &sv.on_int);
	ev_signal_init(&sv.on_hup, on_hup, SIGHUP);
	ev_signal_start(sv.loop, &sv.on_hup);
	ev_signal_init(&sv.on_usr1, on_status, SIGUSR1);
	ev_signal_start(sv.loop, &sv.on_usr1);
	ev_signal_init(&sv.on_child, on_child, SIGCHLD);
	ev_signal_start(sv.loop, &sv.on_child);
	ev_init(&sv.respawn, on_respawn);
	ev_init(&sv.deadline, on_deadline);
	watch_init(&sv.watch, sv.loop, &sv.children, WATCH_EVERY_S);
	double every_s = (double)systemd_watchdog_us() / 1e6 / 2;
	ev_timer_init(&sv.watchdog, on_watchdog, every_s, every_s);
	if (every_s > 0)
		ev_timer_start(sv.loop, &sv.watchdog);
}

static enum exit_status
claim(const struct config *config)
{
	pid_t holder;

	if (datadir_lock(config->dir, &holder) < 0) {
		if (holder == 0)
			return EXIT_STATUS_FAILED;
		diag_error("another broker has this data directory", D_C("data", config->dir),
			   D_INT("pid", holder));
		return EXIT_STATUS_DIRECTORY_IN_USE;
	}
	switch (listeners_open(&sv.listeners, config)) {
	case LISTEN_OK:
		return EXIT_STATUS_OK;
	case LISTEN_IN_USE:
		return EXIT_STATUS_PORT_IN_USE;
	default:
		return EXIT_STATUS_FAILED;
	}
}

enum exit_status
supervisor_run(struct config *config, int64_t started_ns)
{
	diag_process("supervisor");
	sv.config = config;
	sv.has_terminal = isatty(STDERR_FILENO);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ,
	       SIG_IGN); /* a file as large as it may be (ulimit -f): the write fails, as on a full disk */
	raise_descriptor_limit();
	if (!has_descriptors(config->workers))
		return EXIT_STATUS_FAILED;
	enum exit_status claimed = claim(config);
	if (claimed != EXIT_STATUS_OK)
		return claimed;
	family_create(config, started_ns);
	children_init(&sv.children, &sv.family);
	watch_everything();
	children_want(&sv.children, CHILD_CHECKPOINTER, true);
	advance();
	ev_run(sv.loop, 0);
	diag_info("broker has stopped", D_INT("status", sv.status));
	return sv.status;
}
