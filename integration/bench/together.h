/*
 * together: a producer and a consumer at once, each librdkafka's, each with connections of its own: the consumer
 * reads the tail while it grows. Both read client_args and print one line; the result is the exit status.
 */
#ifndef BENCH_TOGETHER_H
#define BENCH_TOGETHER_H

/* Produce as fast as it goes. The rate printed is that of consuming: from the first message handed over to the last
 * one consumed; "produced_mb_per_s" beside it ends with the last acknowledgement. */
int together_at_full_speed(void);

/* Produce at a fixed rate, in lots that fall due each millisecond; linger.ms=0. Printed is how long after it was due
 * a message came out of the consumer. */
int together_at_a_rate(void);

#endif
