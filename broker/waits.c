#include "broker/waits.h"

#include "broker/worker.h"

void
waits_init(struct waits *waits)
{
	*waits = (struct waits){ 0 };
	list_init(&waits->all);
}

#define WORDS (WAIT_HASHES / 64)

static void
bit_set(uint64_t *bits, uint32_t hash)
{
	bits[hash / 64] |= (uint64_t)1 << (hash % 64);
}

/* A consumer may wait for thousands: each word of the shared bits is touched once. */
void
waits_add(struct worker *w, struct wait *wait)
{
	uint64_t bits[WORDS] = { 0 };

	for (int32_t i = 0; i < wait->n; i++)
		if (w->waits.count[wait->hashes[i]]++ == 0)
			bit_set(bits, wait->hashes[i]);
	for (int i = 0; i < WORDS; i++)
		if (bits[i] != 0)
			atomic_fetch_or(&w->slot->waits[i], bits[i]);
	list_append(&w->waits.all, &wait->in_waits);
	atomic_thread_fence(memory_order_seq_cst);
}

void
waits_remove(struct worker *w, struct wait *wait)
{
	uint64_t bits[WORDS] = { 0 };

	for (int32_t i = 0; i < wait->n; i++)
		if (--w->waits.count[wait->hashes[i]] == 0)
			bit_set(bits, wait->hashes[i]);
	for (int i = 0; i < WORDS; i++)
		if (bits[i] != 0)
			atomic_fetch_and(&w->slot->waits[i], ~bits[i]);
	list_remove(&wait->in_waits);
}

static void
raise_to(_Atomic uint64_t *newest, uint64_t commit)
{
	uint64_t was = atomic_load_explicit(newest, memory_order_relaxed);

	while (was < commit && !atomic_compare_exchange_weak(newest, &was, commit))
		;
}

/* Whoever committed it may have died before it could say so. */
void
waits_expect(struct worker *w, const struct wait *wait, uint64_t commit)
{
	for (int32_t i = 0; i < wait->n && wait->seen != 0; i++)
		raise_to(&w->shared->appended[wait->hashes[i]], commit);
	atomic_store(&w->slot->poked, 1);
	atomic_store(&w->shared->checkpoint_wanted, 1);
}

static bool
has_moved(const struct worker *w, const struct wait *wait)
{
	for (int32_t i = 0; i < wait->n && wait->seen != 0; i++)
		if (atomic_load_explicit(&w->shared->appended[wait->hashes[i]], memory_order_relaxed) >
		    wait->seen)
			return true;
	return wait->seen == 0;
}

void
waits_look(struct worker *w, bool all)
{
	LIST_EACH (&w->waits.all, it) {
		struct wait *wait = LIST_OF(it, struct wait, in_waits);
		if (all || has_moved(w, wait))
			wait->look(wait);
	}
}

void
waits_look_for(struct worker *w, const struct connection *c)
{
	LIST_EACH (&w->waits.all, it) {
		struct wait *wait = LIST_OF(it, struct wait, in_waits);
		if (wait->call->connection == c)
			wait->look(wait);
	}
}

uint64_t
waits_seen(struct worker *w)
{
	uint64_t snapshot = store_snapshot(worker_read(w)), durable = atomic_load(&w->shared->store.durable);

	if (w->config->durability == DURABILITY_RELAXED)
		return snapshot;
	return snapshot < durable ? snapshot : durable; /* the snapshot may be older than this look */
}

static bool
is_waited_for(struct shared_slot *slot, const uint32_t *hashes, int n, bool all)
{
	if (all)
		return true;
	for (int i = 0; i < n; i++)
		if (atomic_load_explicit(&slot->waits[hashes[i] / 64], memory_order_relaxed) >>
			(hashes[i] % 64) &
		    1)
			return true;
	return false;
}

/* Committed is not yet visible where it must be durable first: then the checkpointer passes the word on. */
static void
poke(struct worker *w, int slot, bool visible)
{
	struct shared_slot *other = &w->shared->slot[slot];

	if (!visible) {
		atomic_store(&other->poked, 1);
		atomic_store(&w->shared->checkpoint_wanted, 1);
		return;
	}
	uint32_t none = 0; /* LOOK_ALL, once said, stands */
	atomic_compare_exchange_strong(&other->look, &none, LOOK_APPENDED);
	wakeup_send(&w->base.family->wakeup, slot);
}

void
waits_tell(struct worker *w, const uint32_t *hashes, int n, bool all, uint64_t commit)
{
	bool visible = w->config->durability != DURABILITY_DURABLE;

	for (uint32_t hash = 0; all && hash < WAIT_HASHES; hash++)
		raise_to(&w->shared->appended[hash], commit);
	for (int i = 0; i < n; i++)
		raise_to(&w->shared->appended[hashes[i]], commit);
	atomic_thread_fence(memory_order_seq_cst);
	for (int slot = 0; slot < w->config->workers; slot++)
		if (is_waited_for(&w->shared->slot[slot], hashes, n, all))
			poke(w, slot, visible);
}
