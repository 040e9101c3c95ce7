/*
 * histogram: counts of durations, to 1.6 % exactly from a microsecond to an hour: 64 equal steps within each
 * power of two.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS 64

struct histogram {
	uint64_t counts[34 * HISTOGRAM_STEPS];
	uint64_t n;
	uint64_t max_us;
};

void histogram_add(struct histogram *h, double seconds);
/* The duration in ms that this part (0 to 1) of all stayed at or under. */
double histogram_ms(const struct histogram *h, double part);
/* " p50_ms=.. p99_ms=.. p999_ms=.. max_ms=.." on stdout; nothing where nothing was counted. */
void histogram_print(const struct histogram *h);

#endif
