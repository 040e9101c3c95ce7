#include "broker/watch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/diag.h"

/* --- the rule --- */

static int
count(bool same, int before)
{
	return same ? before + 1 : 0;
}

/* Looks during which it was in one and the same turn, and not for a disk's sake. */
static int
looks_in_turn(const struct watched *w, const struct watch_view *now)
{
	if (now->asleep || now->turn != w->turn)
		return 0;
	return now->stopped || (now->waits_for_disk && !now->syncs) ? w->in_turn : w->in_turn + 1;
}

static enum watch_verdict
judge_turn(const struct watched *w, const struct watch_view *now)
{
	if (now->syncs)
		return w->in_turn == WATCH_SLOW_DISK ? WATCH_SAY_SLOW : WATCH_FINE;
	if (w->in_turn == WATCH_TURN)
		return WATCH_ABORT_TURN;
	return w->in_turn >= WATCH_TURN_KILL ? WATCH_KILL_TURN : WATCH_FINE;
}

enum watch_verdict
watch_judge(struct watched *w, const struct watch_view *now)
{
	int before = w->in_turn;

	w->stopped = count(now->stopped, w->stopped);
	w->held = count(now->held_since_ns != 0 && now->held_since_ns == w->held_since_ns, w->held);
	w->in_turn = looks_in_turn(w, now);
	w->held_since_ns = now->held_since_ns;
	w->turn = now->turn;
	if (w->stopped >= WATCH_STOPPED_NEEDED && (now->needed || now->in_lock))
		return WATCH_KILL_STOPPED_NEEDED;
	if (w->stopped >= WATCH_STOPPED)
		return WATCH_KILL_STOPPED;
	if (w->held >= WATCH_LOCK)
		return WATCH_KILL_LOCK;
	return w->in_turn > before ? judge_turn(w, now) : WATCH_FINE;
}

/* --- what is to be seen --- */

/* Of /proc/PID/stat: R, S, D, T, t, ...; ' ' if that cannot be read. */
static char
state_of(pid_t pid)
{
	char path[40], text[256];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ' ';
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	const char *behind_name = strrchr(text, ')');
	return behind_name != NULL && strlen(behind_name) > 2 ? behind_name[2] : ' ';
}

static struct watch_view
view_of(const struct watch *w, int slot)
{
	const struct child *child = &w->children->child[slot];
	const struct shared *shared = w->children->family->shared;
	const struct shared_slot *s = &shared->slot[slot];
	struct watch_view v = { .stopped = child->stopped };

	v.turn = atomic_load(&s->turn);
	v.asleep = atomic_load(&s->asleep) != 0;
	v.syncs = child->kind == CHILD_CHECKPOINTER;
	v.needed = v.syncs || (v.turn == 0 && !v.asleep);
	v.in_lock = store_slot_in_lock(&shared->store, slot, &v.held_since_ns);
	if (!v.asleep && v.turn == w->seen[slot].turn) {
		char state = state_of(child->pid);
		v.waits_for_disk = state == 'D' || state == 't';
	}
	return v;
}

static bool
all_sleep(const struct watch *w)
{
	for (int i = 0; i < w->children->n; i++) {
		const struct child *child = &w->children->child[i];
		if (child->pid != 0 &&
		    (child->stopped || atomic_load(&w->children->family->shared->slot[i].asleep) == 0))
			return false;
	}
	return true;
}

/* --- what is done --- */

static const struct {
	int signal;
	const char *because;
} orders[] = {
	[WATCH_KILL_STOPPED_NEEDED] = { SIGKILL, "it is stopped, and others wait for it" },
	[WATCH_KILL_STOPPED] = { SIGKILL, "it is stopped, and its clients wait" },
	[WATCH_KILL_LOCK] = { SIGKILL, "it holds the store's writer lock, and all others wait for that" },
	[WATCH_ABORT_TURN] = { SIGABRT, "its loop does not come round" },
	[WATCH_KILL_TURN] = { SIGKILL, "its loop does not come round, and it did not end by SIGABRT" },
};

static void
look_at(struct watch *w, int slot)
{
	const struct child *child = &w->children->child[slot];
	struct watch_view view = view_of(w, slot);
	enum watch_verdict verdict = watch_judge(&w->seen[slot], &view);

	if (verdict == WATCH_SAY_SLOW)
		diag_warn("a checkpoint takes long: answers wait for the disk", D_C("process", child->name),
			  D_INT("pid", child->pid));
	if (verdict <= WATCH_SAY_SLOW)
		return;
	diag_error("process does not move: killing it", D_C("process", child->name), D_INT("pid", child->pid),
		   D_C("because", orders[verdict].because), D_C("signal", strsignal(orders[verdict].signal)));
	kill(child->pid, orders[verdict].signal);
	if (orders[verdict].signal == SIGKILL)
		watch_forget(w, slot); /* it may take a while to die: once more after another bound */
}

/* Who wakes after the flag is up rings; who woke before is seen by the second look. */
static bool
may_sleep(const struct watch *w)
{
	struct shared *shared = w->children->family->shared;

	if (!all_sleep(w))
		return false;
	atomic_store(&shared->unwatched, 1);
	atomic_thread_fence(memory_order_seq_cst);
	if (all_sleep(w))
		return true;
	atomic_store(&shared->unwatched, 0);
	return false;
}

static void
on_look(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct watch *w = timer->data;

	(void)revents;
	for (int i = 0; i < w->children->n; i++)
		if (w->children->child[i].pid != 0)
			look_at(w, i);
	if (may_sleep(w))
		ev_timer_stop(loop, timer);
}

void
watch_init(struct watch *w, struct ev_loop *loop, struct children *children, double every_s)
{
	*w = (struct watch){ .loop = loop, .children = children };
	ev_timer_init(&w->look, on_look, every_s, every_s);
	w->look.data = w;
	watch_wake(w);
}

void
watch_wake(struct watch *w)
{
	atomic_store(&w->children->family->shared->unwatched, 0);
	if (!ev_is_active(&w->look))
		ev_timer_again(w->loop, &w->look);
}

void
watch_hear(struct watch *w, int slot, int status)
{
	const struct child *child = &w->children->child[slot];

	w->seen[slot].stopped = 0; /* looks in between may have seen nothing but other stops */

	if (WIFSTOPPED(status))
		diag_warn("process was stopped", D_C("process", child->name), D_INT("pid", child->pid),
			  D_C("signal", strsignal(WSTOPSIG(status))), D_INT("number", WSTOPSIG(status)));
	else
		diag_info("process goes on", D_C("process", child->name), D_INT("pid", child->pid));
}

void
watch_forget(struct watch *w, int slot)
{
	w->seen[slot] = (struct watched){ 0 };
}
