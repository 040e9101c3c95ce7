#include "storage/slots.h"

#include <string.h>
#include <time.h>

#include "common/clock.h"

#define NAP_NS   1000
#define NAPS_MAX 20

void
store_shared_init(struct store_shared *shared)
{
	memset((void *)shared, 0, sizeof(*shared));
	atomic_store(&shared->last_writer, STORE_SLOTS); /* nobody */
}

void
store_slot_clear(struct store_shared *shared, int slot)
{
	CHECK(slot >= 0 && slot < STORE_SLOTS);
	atomic_store(&shared->slot[slot].waiting, 0);
	atomic_store(&shared->slot[slot].held_since_ns, 0);
}

bool
store_slot_in_lock(const struct store_shared *shared, int slot, int64_t *held_since_ns)
{
	const struct store_slot *s = &shared->slot[slot];
	bool waits = atomic_load(&s->waiting) != 0; /* first: it is cleared after the other is set */
	*held_since_ns = atomic_load(&s->held_since_ns);
	return waits || *held_since_ns != 0;
}

static bool
another_waits(const struct store_shared *shared, int slot)
{
	int n = (int)atomic_load(&shared->slots_used);
	for (int i = 0; i < n; i++)
		if (i != slot && atomic_load_explicit(&shared->slot[i].waiting, memory_order_relaxed) != 0)
			return true;
	return false;
}

/* Before a slot says anything, it is among those that are looked at. */
static void
be_seen(struct store_shared *shared, int slot)
{
	uint32_t used = atomic_load(&shared->slots_used), wanted = (uint32_t)slot + 1;
	while (used < wanted && !atomic_compare_exchange_weak(&shared->slots_used, &used, wanted))
		;
}

void
slots_wait(struct store_shared *shared, int slot)
{
	struct timespec nap = { .tv_nsec = NAP_NS };
	be_seen(shared, slot);
	for (int i = 0; i < NAPS_MAX; i++) {
		if (atomic_load(&shared->last_writer) != (uint32_t)slot || !another_waits(shared, slot))
			break;
		nanosleep(&nap, NULL);
	}
	atomic_store(&shared->slot[slot].waiting, 1);
}

void
slots_hold(struct store_shared *shared, int slot)
{
	atomic_store(&shared->slot[slot].held_since_ns, clock_monotonic_ns());
	atomic_store(&shared->slot[slot].waiting, 0);
	atomic_store(&shared->last_writer, (uint32_t)slot);
}

void
slots_release(struct store_shared *shared, int slot)
{
	store_slot_clear(shared, slot);
}
