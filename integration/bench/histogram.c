#include "histogram.h"

#include <stdio.h>

static int
slot_of(uint64_t us)
{
	int shift = 0;

	while (us >> shift >= 2 * HISTOGRAM_STEPS)
		shift++;
	/* Below 128 us a slot a microsecond; then 64 slots for each doubling. */
	return shift * HISTOGRAM_STEPS + (int)(us >> shift);
}

static uint64_t
upper_us(int slot)
{
	int shift = slot < 2 * HISTOGRAM_STEPS ? 0 : slot / HISTOGRAM_STEPS - 1;

	return ((uint64_t)(slot - shift * HISTOGRAM_STEPS) + 1) << shift;
}

void
histogram_add(struct histogram *h, double seconds)
{
	uint64_t us = seconds > 0 ? (uint64_t)(seconds * 1e6) : 0;
	int slot = slot_of(us), last = (int)(sizeof(h->counts) / sizeof(*h->counts)) - 1;

	h->counts[slot < last ? slot : last]++;
	h->n++;
	if (us > h->max_us)
		h->max_us = us;
}

double
histogram_ms(const struct histogram *h, double part)
{
	uint64_t wanted = (uint64_t)(part * (double)h->n + 0.5), seen = 0;
	int slots = (int)(sizeof(h->counts) / sizeof(*h->counts));

	for (int i = 0; i < slots; i++) {
		seen += h->counts[i];
		if (seen >= wanted && seen > 0)
			return (double)(upper_us(i) < h->max_us ? upper_us(i) : h->max_us) / 1e3;
	}
	return (double)h->max_us / 1e3;
}

void
histogram_print(const struct histogram *h)
{
	if (!h->n)
		return;
	printf(" p50_ms=%.3f p99_ms=%.3f p999_ms=%.3f max_ms=%.3f", histogram_ms(h, 0.5),
	       histogram_ms(h, 0.99), histogram_ms(h, 0.999), (double)h->max_us / 1e3);
}
