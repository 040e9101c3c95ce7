#include "broker/children.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/diag.h"
#include "common/faultpoint.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS  10000
#define HEALTHY_MS       10000 /* whoever lived as long as this starts with a clean slate */

static const struct {
	const char *name;
	void (*main)(struct family *family, int slot); /* never returns */
} kinds[] = {
	[CHILD_WORKER] = { "worker", worker_main },
	[CHILD_CHECKPOINTER] = { "checkpointer", checkpointer_main },
	[CHILD_CLEANER] = { "cleaner", cleaner_main },
};

void
children_init(struct children *c, struct family *family)
{
	int workers = family->config->workers;

	*c = (struct children){ .family = family, .n = workers + 2 };
	for (int i = 0; i < c->n; i++) {
		struct child *child = &c->child[i];
		child->kind = i < workers ? CHILD_WORKER : i == workers ? CHILD_CHECKPOINTER : CHILD_CLEANER;
		if (child->kind == CHILD_WORKER)
			snprintf(child->name, sizeof(child->name), "worker-%d", i);
		else
			snprintf(child->name, sizeof(child->name), "%s", kinds[child->kind].name);
	}
}

int
children_checkpointer(const struct children *c)
{
	return c->n - 2;
}

int
children_cleaner(const struct children *c)
{
	return c->n - 1;
}

int
children_running(const struct children *c, enum child_kind kind)
{
	int running = 0;

	for (int i = 0; i < c->n; i++)
		running += c->child[i].kind == kind && c->child[i].pid != 0;
	return running;
}

/*
 * In the child: leave nothing of the supervisor but the family. Signals stay blocked until the child's own
 * loop can take them (child_loop_start): one that comes before must neither be lost nor reach the
 * supervisor's handlers.
 */
static void
child_become(struct family *family, const struct child *child, pid_t supervisor)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != supervisor)
		_exit(1); /* it died before the line above */
	prctl(PR_SET_NAME, child->name);
	family->leave_parent();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN); /* but workers, which watch it */
	signal(SIGINT, SIG_IGN);  /* Ctrl-C reaches the whole group; the supervisor decides the order */
	close(family->alive_pipe[1]);
	diag_process(child->name);
}

static void
back_off(struct child *child)
{
	int64_t now = clock_monotonic_ms();

	if (now - child->started_ms >= HEALTHY_MS)
		child->backoff_ms = 0;
	child->not_before_ms = now + child->backoff_ms;
	child->backoff_ms = child->backoff_ms == 0                    ? BACKOFF_FIRST_MS
			    : child->backoff_ms * 2 > BACKOFF_MOST_MS ? BACKOFF_MOST_MS
								      : child->backoff_ms * 2;
}

static void
spawn(struct children *c, int slot)
{
	struct child *child = &c->child[slot];
	pid_t supervisor = getpid();
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid_t pid = fork();
	if (pid != 0)
		sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0) {
		diag_error("process cannot be started", D_C("process", child->name),
			   D_C("reason", strerror(errno)));
		child->started_ms = clock_monotonic_ms();
		back_off(child);
		return;
	}
	if (pid == 0) {
		child_become(c->family, child, supervisor);
		FAULT_POINT("child.forked");
		kinds[child->kind].main(c->family, slot);
		_exit(1);
	}
	FAULT_POINT("supervisor.forked");
	child->pid = pid;
	child->started_ms = clock_monotonic_ms();
	atomic_store(&c->family->shared->slot[slot].pid, pid);
	diag_info("process started", D_C("process", child->name), D_INT("pid", pid));
}

int64_t
children_spawn(struct children *c)
{
	int64_t now = clock_monotonic_ms(), next = -1;

	for (int i = 0; i < c->n; i++) {
		struct child *child = &c->child[i];
		if (!child->wanted || child->pid != 0)
			continue;
		if (child->not_before_ms <= now)
			spawn(c, i);
		if (child->pid == 0 && (next < 0 || child->not_before_ms - now < next))
			next = child->not_before_ms - now;
	}
	return next;
}

static int
slot_of(const struct children *c, pid_t pid)
{
	for (int i = 0; i < c->n; i++)
		if (c->child[i].pid == pid)
			return i;
	return -1;
}

int
children_wait(struct children *c, int *status)
{
	pid_t pid;

	while ((pid = waitpid(-1, status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
		int slot = slot_of(c, pid);
		if (slot < 0)
			continue;
		struct child *child = &c->child[slot];
		child->stopped = WIFSTOPPED(*status);
		if (WIFEXITED(*status) || WIFSIGNALED(*status)) {
			child->pid = 0;
			back_off(child);
		}
		return slot;
	}
	return -1;
}

void
children_signal(const struct children *c, enum child_kind kind, int signal_number)
{
	for (int i = 0; i < c->n; i++)
		if (c->child[i].kind == kind && c->child[i].pid != 0)
			kill(c->child[i].pid, signal_number);
}

void
children_want(struct children *c, enum child_kind kind, bool wanted)
{
	for (int i = 0; i < c->n; i++)
		if (c->child[i].kind == kind)
			c->child[i].wanted = wanted;
}

void
children_hurry(struct children *c, enum child_kind kind, int64_t most_ms)
{
	int64_t latest_ms = clock_monotonic_ms() + most_ms;

	for (int i = 0; i < c->n; i++)
		if (c->child[i].kind == kind && c->child[i].not_before_ms > latest_ms)
			c->child[i].not_before_ms = latest_ms;
}
