/*
 * load: what librdkafka, the client that most programs use, gets out of a broker.
 *
 *	load produce  -b host:port -t topic [-p partitions] [-s bytes] [-a acks] [-n messages] [-T seconds]
 *	              [-k producers] [-z codec] [-q queue_kb] [-l linger_ms]
 *	load consume  -b host:port -t topic [-p partitions] -n messages
 *	load latency  -b host:port -t topic [-p partitions] [-s bytes] [-a acks] [-r messages a second] [-T seconds]
 *	load together (as produce, but -k)
 *	load relay    (as latency)
 *
 * produce: -k producer instances, as fast as they go, for -T seconds or -n messages, whichever comes first; the
 * values are random bytes, not copied (with -z text that shrinks by half); batches are librdkafka's own
 * (rd_kafka_produce_batch only hands them over). consume: one consumer, all partitions assigned from their
 * beginnings, no group, until -n messages have come. latency: at a fixed rate, from the moment at which a message
 * was due until its delivery report; linger.ms=0. together, relay: together.c.
 *
 * One line of key=value on stdout.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "histogram.h"
#include "together.h"
#include "wire.h"

#define HAND_OVER 500 /* messages per rd_kafka_produce_batch */

static long delivered, failed;
static struct histogram latencies;
static const char *first_error;

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk;
	(void)opaque;
	if (m->err) {
		failed++;
		first_error = first_error ? first_error : rd_kafka_err2str(m->err);
		return;
	}
	delivered++;
	if (m->_private)
		histogram_add(&latencies, wire_now_s() - *(double *)m->_private);
}

/* One of the producers, connected. */
struct producer {
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	int partition; /* which is next */
};

static struct producer
connect_producer(int number)
{
	const struct rd_kafka_metadata *metadata;
	struct producer p = { .rk = client_producer(on_delivery),
			      .partition = number % client_args.partitions };

	p.topic = rd_kafka_topic_new(p.rk, client_args.topic, NULL);
	if (rd_kafka_metadata(p.rk, 0, p.topic, &metadata, 10000))
		wire_die("no metadata from %s", client_args.bootstrap);
	rd_kafka_metadata_destroy(metadata);
	return p;
}

/* Hand over one lot for the next partition; waits where the queue is full. Returns the number taken. */
static long
hand_over(struct producer *p)
{
	static rd_kafka_message_t lot[HAND_OVER];
	static long k;
	int taken;

	for (int i = 0; i < HAND_OVER; i++) {
		memset(&lot[i], 0, sizeof(lot[i]));
		lot[i].payload = client_value(k + i);
		lot[i].len = (size_t)client_args.value_bytes;
	}
	taken = rd_kafka_produce_batch(p->topic, p->partition, 0, lot, HAND_OVER);
	if (taken < HAND_OVER && lot[taken].err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
		wire_die("produce: %s", rd_kafka_err2str(lot[taken].err));
	rd_kafka_poll(p->rk, taken == 0 ? 5 : 0);
	p->partition = (p->partition + 1) % client_args.partitions;
	k += taken;
	return taken;
}

static int
produce(void)
{
	struct producer *all = calloc((size_t)client_args.producers, sizeof(*all));
	double began, ended, cpu;
	long sent = 0;

	if (!all)
		wire_die("out of memory");
	for (int i = 0; i < client_args.producers; i++) /* connected, before the clock starts */
		all[i] = connect_producer(i);
	(void)client_value(0);
	began = wire_now_s();
	cpu = client_cpu_s();
	for (int i = 0; (!client_args.messages || sent < client_args.messages) &&
			wire_now_s() - began < client_args.seconds;
	     i = (i + 1) % client_args.producers)
		sent += hand_over(&all[i]);
	for (int i = 0; i < client_args.producers; i++)
		rd_kafka_flush(all[i].rk, 60000);
	ended = wire_now_s();
	client_print_rates(delivered, ended - began, client_cpu_s() - cpu);
	printf(" failed=%ld lost=%ld\n", failed, sent - delivered - failed);
	if (failed)
		fprintf(stderr, "%ld messages failed: %s\n", failed, first_error);
	return delivered == sent ? 0 : 1;
}

static int
consume(void)
{
	struct client_consumer c = client_consumer();
	static rd_kafka_message_t *lot[1000];
	double began = wire_now_s(), last = began, cpu = client_cpu_s();
	long got = 0, first = 0;

	while (got < client_args.messages && wire_now_s() - last < 10) {
		ssize_t n = rd_kafka_consume_batch_queue(c.queue, 100, lot, 1000);

		for (ssize_t i = 0; i < n; i++) {
			got += lot[i]->err == 0;
			rd_kafka_message_destroy(lot[i]);
		}
		/* The clock starts with the first ones: connecting and asking for offsets is no rate. */
		if (n > 0 && got == n) {
			began = wire_now_s();
			cpu = client_cpu_s();
			first = n;
		}
		if (n > 0)
			last = wire_now_s();
	}
	client_print_rates(got - first, last - began, client_cpu_s() - cpu);
	printf(" lost=%ld\n", client_args.messages - got);
	return got == client_args.messages ? 0 : 1;
}

/* Sleep until a moment of the monotonic clock, serving delivery reports meanwhile. */
static void
wait_until(rd_kafka_t *rk, double when_s)
{
	for (double left = when_s - wire_now_s(); left > 0; left = when_s - wire_now_s())
		if (rd_kafka_poll(rk, left > 0.002 ? 1 : 0) == 0 && left < 0.002) {
			struct timespec t = { .tv_nsec = 20000 };

			nanosleep(&t, NULL);
		}
	rd_kafka_poll(rk, 0);
}

static int
latency(void)
{
	struct producer p;
	long total = (long)(client_args.seconds * client_args.rate);
	double *due = calloc((size_t)total, sizeof(*due)), began;
	size_t bytes = (size_t)client_args.value_bytes;

	client_args.linger_ms = "0";
	p = connect_producer(0);
	if (!due)
		wire_die("out of memory");
	for (int i = 0; i < 20; i++) /* connect and warm up, uncounted */
		rd_kafka_produce(p.topic, 0, 0, client_value(0), bytes, NULL, 0, NULL);
	rd_kafka_flush(p.rk, 10000);
	delivered = 0;
	began = wire_now_s();
	for (long i = 0; i < total; i++) {
		due[i] = began + (double)i / client_args.rate;
		wait_until(p.rk, due[i]);
		rd_kafka_produce(p.topic, (int32_t)(i % client_args.partitions), 0, client_value(0), bytes,
				 NULL, 0, &due[i]);
	}
	rd_kafka_flush(p.rk, 60000);
	printf("messages=%ld rate=%d", delivered, client_args.rate);
	histogram_print(&latencies);
	printf(" failed=%ld lost=%ld\n", failed, total - delivered - failed);
	return delivered == total ? 0 : 1;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!client_parse(argc, argv))
		return 2;
	if (strcmp(what, "version") == 0) {
		printf("librdkafka %s\n", rd_kafka_version_str());
		return 0;
	}
	if (strcmp(what, "produce") == 0)
		return produce();
	if (strcmp(what, "consume") == 0)
		return consume();
	if (strcmp(what, "latency") == 0)
		return latency();
	if (strcmp(what, "together") == 0)
		return together_at_full_speed();
	if (strcmp(what, "relay") == 0)
		return together_at_a_rate();
	wire_die("usage: load produce|consume|latency|together|relay|version ... (see load.c)");
}
