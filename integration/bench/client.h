/*
 * client: what the load generators over librdkafka have in common: their arguments, their producers and consumers,
 * the values that they send, and the line that they print.
 *
 *	client_parse -> client_producer, client_consumer -> ... -> client_print_rates
 *
 * Anything unexpected ends the program with a sentence on stderr: these are tools, not a library.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <librdkafka/rdkafka.h>

struct client_args {
	const char *bootstrap, *topic, *acks;
	const char *linger_ms, *codec, *queue_kb; /* NULL: librdkafka's default */
	int partitions, value_bytes, rate, producers;
	long messages; /* 0: as many as fit into the time */
	double seconds;
};

extern struct client_args client_args;

/* The letters of load.c's first comment. False: one of them was wrong, and getopt has said so. */
int client_parse(int argc, char **argv);

typedef void client_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque);
rd_kafka_t *client_producer(client_on_delivery *on_delivery);

/* A consumer of all partitions from their beginnings, in no group; its messages come by the queue. */
struct client_consumer {
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue;
};
struct client_consumer client_consumer(void);

/* Values to send: any client_args.value_bytes bytes from client_value(k), k counting up. Random bytes; with a codec
 * random hexadecimal digits, which are half as long when compressed, and none of them twice within a batch. */
char *client_value(long k);

/* CPU time of this process so far. */
double client_cpu_s(void);
/* "messages=.. seconds=.. msgs_per_s=.. mb_per_s=.. client_cpu_s_per_gb=.." on stdout. */
void client_print_rates(long messages, double seconds, double cpu_s);

#endif
