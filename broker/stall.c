#include "broker/stall.h"

static int
bucket_of(uint64_t us)
{
	int shift = 0;

	while (us >> shift >= 2 * STALL_STEPS)
		shift++;
	int bucket = shift * STALL_STEPS + (int)(us >> shift);
	return bucket < STALL_BUCKETS ? bucket : STALL_BUCKETS - 1;
}

/* The greatest that falls into the bucket. */
static uint64_t
upper_us(int bucket)
{
	int shift = bucket < 2 * STALL_STEPS ? 0 : bucket / STALL_STEPS - 1;

	return (((uint64_t)(bucket - shift * STALL_STEPS) + 1) << shift) - 1;
}

/* One writer: no need to lock the bus. */
static void
increment(_Atomic uint64_t *at)
{
	atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + 1, memory_order_relaxed);
}

void
stall_clear(struct stalls *s)
{
	atomic_store(&s->max_us, 0);
	atomic_store(&s->long_n, 0);
	for (int i = 0; i < STALL_BUCKETS; i++)
		atomic_store_explicit(&s->count[i], 0, memory_order_relaxed);
}

void
stall_add(struct stalls *s, int64_t ns)
{
	uint64_t us = ns > 0 ? (uint64_t)ns / 1000 : 0;

	increment(&s->count[bucket_of(us)]);
	if (us > STALL_LONG_US)
		increment(&s->long_n);
	if (us > atomic_load_explicit(&s->max_us, memory_order_relaxed))
		atomic_store_explicit(&s->max_us, us, memory_order_relaxed);
}

uint64_t
stall_n(const struct stalls *s)
{
	uint64_t n = 0;

	for (int i = 0; i < STALL_BUCKETS; i++)
		n += atomic_load_explicit(&s->count[i], memory_order_relaxed);
	return n;
}

uint64_t
stall_us(const struct stalls *s, double part)
{
	uint64_t max = atomic_load_explicit(&s->max_us, memory_order_relaxed);
	double wanted = part * (double)stall_n(s), seen = 0;

	for (int i = 0; i < STALL_BUCKETS && wanted > 0; i++) {
		seen += (double)atomic_load_explicit(&s->count[i], memory_order_relaxed);
		if (seen >= wanted)
			return upper_us(i) < max && i < STALL_BUCKETS - 1 ? upper_us(i) : max;
	}
	return max;
}
