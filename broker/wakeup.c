#include "broker/wakeup.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "common/check.h"

void
wakeup_create(struct wakeup *w, struct shared *shared, int slots)
{
	w->shared = shared;
	for (int i = 0; i < slots; i++) {
		w->fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		CHECK(w->fd[i] >= 0);
	}
}

void
wakeup_send(const struct wakeup *w, int slot)
{
	static const uint64_t one = 1;

	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_exchange(&w->shared->slot[slot].asleep, 0) == 0)
		return;
	/* Cannot fail but by overflow, and then it is readable anyway. */
	if (write(w->fd[slot], &one, sizeof(one)) < 0)
		return;
}

void
wakeup_sleep(const struct wakeup *w, int slot)
{
	atomic_store(&w->shared->slot[slot].asleep, 1);
	atomic_thread_fence(memory_order_seq_cst);
}

void
wakeup_awake(const struct wakeup *w, int slot)
{
	atomic_store_explicit(&w->shared->slot[slot].asleep, 0, memory_order_relaxed);
}

void
wakeup_drain(const struct wakeup *w, int slot)
{
	uint64_t count;

	if (read(w->fd[slot], &count, sizeof(count)) < 0)
		return; /* nothing was written */
}
