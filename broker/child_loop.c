#include "broker/child_loop.h"

#include <signal.h>
#include <unistd.h>

#include "common/check.h"
#include "common/diag.h"

static void
on_bell(struct ev_loop *loop, ev_io *w, int revents)
{
	struct child_loop *c = w->data;

	(void)loop, (void)revents;
	wakeup_drain(&c->family->wakeup, c->slot);
	c->rung(c->arg);
}

static void
on_term(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct child_loop *c = w->data;

	(void)loop, (void)revents;
	c->leave(c->arg);
}

static void
on_hup(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct child_loop *c = w->data;
	const struct config *config = c->family->config;

	(void)loop, (void)revents;
	diag_setup((enum diag_level)config->diag_level, (enum diag_format)config->diag_format);
	if (c->reloaded != NULL)
		c->reloaded(c->arg);
}

static void
on_orphaned(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	_exit(1);
}

/* From here on an order to leave is an event of our loop, also one that came since the fork. */
static void
unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
begin_turn(struct child_loop *c, uint32_t turn)
{
	const struct family *family = c->family;

	wakeup_awake(&family->wakeup, c->slot);
	atomic_store(&family->shared->slot[c->slot].turn, turn);
	if (atomic_load(&family->shared->unwatched) && atomic_exchange(&family->shared->unwatched, 0))
		wakeup_send(&family->wakeup, family->supervisor_wakeup);
}

void
child_loop_awake(struct child_loop *c)
{
	uint32_t turn = atomic_load_explicit(&c->family->shared->slot[c->slot].turn, memory_order_relaxed);

	begin_turn(c, turn == UINT32_MAX ? 1 : turn + 1);
}

void
child_loop_start(struct child_loop *c, struct family *family, int slot)
{
	c->loop = ev_loop_new(EVFLAG_AUTO);
	CHECK(c->loop != NULL);
	c->family = family;
	c->slot = slot;
	begin_turn(c, 0);
	ev_io_init(&c->bell, on_bell, family->wakeup.fd[slot], EV_READ);
	c->bell.data = c;
	ev_io_start(c->loop, &c->bell);
	ev_io_init(&c->alive, on_orphaned, family->alive_pipe[0], EV_READ);
	ev_io_start(c->loop, &c->alive);
	ev_signal_init(&c->term, on_term, SIGTERM);
	c->term.data = c;
	ev_signal_start(c->loop, &c->term);
	ev_signal_init(&c->hup, on_hup, SIGHUP);
	c->hup.data = c;
	ev_signal_start(c->loop, &c->hup);
	unblock_signals();
}

struct store *
child_store(const struct family *family, int slot)
{
	const struct store_options options = {
		.dir = family->config->dir,
		.durability = (enum durability)family->config->durability,
		.map_bytes = (uint64_t)family->config->map_bytes,
		.shared = &family->shared->store,
		.slot = slot,
	};
	struct store *store;

	if (store_open(&options, &store) != ERR_NONE)
		_exit(atomic_load(&family->shared->prepared)
			  ? 1
			  : CHILD_HOPELESS); /* the reason is in the diagnostics */
	return store;
}
