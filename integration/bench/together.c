#include "together.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "histogram.h"
#include "wire.h"

#define PATIENCE_S 10  /* without any message */
#define WARM_UP    100 /* messages, uncounted */

static _Atomic long delivered, failed, consumed;
static _Atomic long expected = -1; /* how many the consumer shall read in all; -1: not known yet */
static double last_consumed_s;
static double first_counted_s; /* messages that were due before are warm-up */
static struct histogram latencies;

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk;
	(void)opaque;
	if (m->err)
		failed++;
	else
		delivered++;
}

static void
note_latency(const rd_kafka_message_t *m)
{
	double due;

	memcpy(&due, m->payload, sizeof(due));
	if (due >= first_counted_s)
		histogram_add(&latencies, wire_now_s() - due);
}

/* The consumer's thread. *arg: whether values begin with the moment when they were due. One message at a time: a
 * call for many would wait for as many. */
static void *
consume(void *arg)
{
	struct client_consumer c = client_consumer();

	last_consumed_s = wire_now_s();
	while (expected < 0 || consumed < expected) {
		rd_kafka_message_t *m = rd_kafka_consume_queue(c.queue, 100);

		if (m && !m->err) {
			if (*(int *)arg)
				note_latency(m);
			consumed++;
			last_consumed_s = wire_now_s();
		}
		if (m)
			rd_kafka_message_destroy(m);
		else if (expected >= 0 && wire_now_s() - last_consumed_s > PATIENCE_S)
			break;
	}
	return NULL;
}

static pthread_t
start_consumer(int *with_due)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, consume, with_due) != 0)
		wire_die("no thread");
	return thread;
}

static void
send_one(rd_kafka_t *rk, rd_kafka_topic_t *topic, long i, char *value, int flags)
{
	while (rd_kafka_produce(topic, (int32_t)(i % client_args.partitions), flags, value,
				(size_t)client_args.value_bytes, NULL, 0, NULL) != 0) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			wire_die("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(rk, 5);
	}
}

/* Both are connected when the first message has come through; those sent until then are known to the consumer. */
static long
warm_up(rd_kafka_t *rk, rd_kafka_topic_t *topic, char *value)
{
	double began = wire_now_s();

	for (long i = 0; i < WARM_UP; i++)
		send_one(rk, topic, i, value, RD_KAFKA_MSG_F_COPY);
	while (consumed < WARM_UP) {
		rd_kafka_poll(rk, 1);
		if (failed || wire_now_s() - began > 30)
			wire_die("%ld of %d messages came through in 30 s", consumed, WARM_UP);
	}
	return WARM_UP;
}

static int
finish(pthread_t consumer, rd_kafka_t *rk, long sent)
{
	rd_kafka_flush(rk, 60000);
	expected = delivered;
	pthread_join(consumer, NULL);
	if (delivered == sent && consumed == sent)
		return 0;
	fprintf(stderr, "of %ld messages %ld were acknowledged, %ld failed, %ld were consumed\n", sent,
		delivered, failed, consumed);
	return 1;
}

int
together_at_full_speed(void)
{
	static int no_due = 0;
	pthread_t consumer = start_consumer(&no_due);
	rd_kafka_t *rk = client_producer(on_delivery);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, client_args.topic, NULL);
	long sent = warm_up(rk, topic, client_value(0));
	double began = wire_now_s(), cpu = client_cpu_s(), produced_s;

	for (; wire_now_s() - began < client_args.seconds; sent++) {
		send_one(rk, topic, sent, client_value(sent), 0);
		if (sent % 100 == 0)
			rd_kafka_poll(rk, 0);
	}
	rd_kafka_flush(rk, 60000);
	produced_s = wire_now_s() - began;
	if (finish(consumer, rk, sent) != 0)
		return 1;
	client_print_rates(sent - WARM_UP, last_consumed_s - began, client_cpu_s() - cpu);
	printf(" produced_mb_per_s=%.1f\n",
	       (double)(sent - WARM_UP) * client_args.value_bytes / 1e6 / produced_s);
	return 0;
}

static void
sleep_until(double when_s)
{
	struct timespec t = { .tv_sec = (time_t)when_s };

	t.tv_nsec = (long)((when_s - (double)t.tv_sec) * 1e9);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

int
together_at_a_rate(void)
{
	static int with_due = 1;
	pthread_t consumer;
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	char *value = client_value(0);
	long sent, ticks = (long)(client_args.seconds * 1000);
	double began, cpu, seconds;

	if (client_args.value_bytes < (int)sizeof(double))
		wire_die("a value must hold a time: -s 8 or more");
	client_args.linger_ms = "0";
	first_counted_s = 1e300;
	consumer = start_consumer(&with_due);
	rk = client_producer(on_delivery);
	topic = rd_kafka_topic_new(rk, client_args.topic, NULL);
	memset(value, 0, sizeof(double));
	sent = warm_up(rk, topic, value);
	began = wire_now_s();
	cpu = client_cpu_s();
	first_counted_s = began;
	for (long tick = 0; tick < ticks; tick++) {
		double due = began + (double)tick / 1e3;
		long until = WARM_UP + (tick + 1) * client_args.rate / 1000;

		sleep_until(due);
		memcpy(value, &due, sizeof(due));
		for (; sent < until; sent++)
			send_one(rk, topic, sent, value, RD_KAFKA_MSG_F_COPY);
		rd_kafka_poll(rk, 0);
	}
	if (finish(consumer, rk, sent) != 0)
		return 1;
	seconds = last_consumed_s - began;
	client_print_rates(sent - WARM_UP, seconds, client_cpu_s() - cpu);
	printf(" rate=%d", client_args.rate);
	histogram_print(&latencies);
	putchar('\n');
	return 0;
}
