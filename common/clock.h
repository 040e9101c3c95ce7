/*
 * Time, always named with its unit. Time-outs count on the monotonic clock, so that setting the wall clock
 * harms nobody; timestamps in records come from the wall clock, as Kafka's do.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void);      /* milliseconds since 1970-01-01 UTC */
int64_t clock_monotonic_ns(void); /* comparable between processes of one boot */
int64_t clock_monotonic_ms(void);

#endif
