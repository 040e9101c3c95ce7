/*
 * stall: for how long the loop was busy with one thing and did not look at its events, as a histogram in the
 * shared segment: a slot's own process counts, anybody may read.
 *
 * Four steps within each power of two, in microseconds: a duration is known to a quarter, from a microsecond to
 * 16 s, and counting costs a nanosecond. What took longer than STALL_LONG_US is counted exactly.
 */
#ifndef BROKER_STALL_H
#define BROKER_STALL_H

#include <stdatomic.h>
#include <stdint.h>

#define STALL_STEPS   4
#define STALL_BUCKETS 96
#define STALL_LONG_US 5000 /* what the store may take at the 99.9th percentile */

struct stalls {
	_Atomic uint64_t max_us;
	_Atomic uint64_t long_n; /* over STALL_LONG_US */
	_Atomic uint64_t count[STALL_BUCKETS];
};

/* Begin anew. */
void stall_clear(struct stalls *s);
/* For its one writer. */
void stall_add(struct stalls *s, int64_t ns);
/* How many there were. */
uint64_t stall_n(const struct stalls *s);
/*
 * Microseconds that this part (0 to 1) of all did not exceed: the upper end of a step, at most a quarter too much
 * and never above the greatest; 0 where nothing was counted.
 */
uint64_t stall_us(const struct stalls *s, double part);

#endif
