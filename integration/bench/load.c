/*
 * load: what librdkafka, the client that most programs use, gets out of a broker.
 *
 *	load produce -b host:port -t topic [-p partitions] [-s bytes] [-a acks] [-n messages] [-T seconds] [-l
 *linger_ms] load consume -b host:port -t topic [-p partitions] -n messages load latency -b host:port -t topic
 *[-p partitions] [-s bytes] [-a acks] [-r messages a second] [-T seconds]
 *
 * produce: one producer instance, as fast as it goes, for -T seconds or -n messages, whichever comes first;
 *the values are random bytes, not copied; batches are librdkafka's own (rd_kafka_produce_batch only hands
 *them over). consume: one consumer, all partitions assigned from their beginnings, no group, until -n
 *messages have come. latency: at a fixed rate, from the moment at which a message was due until its delivery
 *report; linger.ms=0.
 *
 * One line of key=value on stdout.
 */
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "histogram.h"
#include "wire.h"

#define HAND_OVER 500 /* messages per rd_kafka_produce_batch */

static struct {
	const char *bootstrap, *topic, *acks, *linger_ms;
	int partitions, value_bytes, rate;
	long messages;
	double seconds;
} args = { .bootstrap = "127.0.0.1:9092",
	   .topic = "bench",
	   .acks = "all",
	   .partitions = 4,
	   .value_bytes = 100,
	   .rate = 1000,
	   .messages = 0,
	   .seconds = 5 };

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

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[512];

	if (value && rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		wire_die("%s=%s: %s", name, value, why);
}

static rd_kafka_t *
create(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char why[512];
	rd_kafka_t *rk;

	set(conf, "bootstrap.servers", args.bootstrap);
	set(conf, "broker.address.family", "v4");
	rk = rd_kafka_new(type, conf, why, sizeof(why));
	if (!rk)
		wire_die("librdkafka: %s", why);
	return rk;
}

static rd_kafka_t *
create_producer(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	set(conf, "acks", args.acks);
	set(conf, "linger.ms", args.linger_ms);
	set(conf, "queue.buffering.max.messages", "1000000");
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	return create(RD_KAFKA_PRODUCER, conf);
}

static double
cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Random bytes, a little more than a value, so that values can differ by where they begin. */
static char *
noise(void)
{
	char *at = malloc((size_t)args.value_bytes + HAND_OVER);

	if (!at)
		wire_die("out of memory");
	for (int i = 0; i < args.value_bytes + HAND_OVER; i++)
		at[i] = (char)(rand() >> 7);
	return at;
}

static void
print_rates(long messages, double seconds, double client_cpu_s)
{
	double mb = (double)messages * args.value_bytes / 1e6;

	printf("messages=%ld seconds=%.3f msgs_per_s=%.0f mb_per_s=%.1f client_cpu_s_per_gb=%.2f", messages,
	       seconds, (double)messages / seconds, mb / seconds, client_cpu_s / (mb / 1e3));
}

/* Hand over one lot for a partition; waits where the queue is full. Returns the number taken. */
static long
hand_over(rd_kafka_t *rk, rd_kafka_topic_t *topic, char *values, int partition)
{
	static rd_kafka_message_t lot[HAND_OVER];
	int taken;

	for (int i = 0; i < HAND_OVER; i++) {
		memset(&lot[i], 0, sizeof(lot[i]));
		lot[i].payload = values + i;
		lot[i].len = (size_t)args.value_bytes;
	}
	taken = rd_kafka_produce_batch(topic, partition, 0, lot, HAND_OVER);
	if (taken < HAND_OVER && lot[taken].err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
		wire_die("produce: %s", rd_kafka_err2str(lot[taken].err));
	rd_kafka_poll(rk, taken < HAND_OVER ? 5 : 0);
	return taken;
}

static int
produce(void)
{
	rd_kafka_t *rk = create_producer();
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, args.topic, NULL);
	const struct rd_kafka_metadata *metadata;
	char *values = noise();
	double began, ended, cpu;
	long sent = 0;

	if (rd_kafka_metadata(rk, 0, topic, &metadata, 10000)) /* connected, before the clock starts */
		wire_die("no metadata from %s", args.bootstrap);
	rd_kafka_metadata_destroy(metadata);
	began = wire_now_s();
	cpu = cpu_s();
	for (int partition = 0;
	     (!args.messages || sent < args.messages) && wire_now_s() - began < args.seconds;
	     partition = (partition + 1) % args.partitions)
		sent += hand_over(rk, topic, values, partition);
	rd_kafka_flush(rk, 60000);
	ended = wire_now_s();
	print_rates(delivered, ended - began, cpu_s() - cpu);
	printf(" failed=%ld lost=%ld\n", failed, sent - delivered - failed);
	if (failed)
		fprintf(stderr, "%ld messages failed: %s\n", failed, first_error);
	return delivered == sent ? 0 : 1;
}

static int
consume(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *rk = create(RD_KAFKA_CONSUMER, conf);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, args.topic, NULL);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	static rd_kafka_message_t *lot[1000];
	double began = wire_now_s(), last = began, cpu = cpu_s();
	long got = 0, first = 0;

	for (int p = 0; p < args.partitions; p++)
		if (rd_kafka_consume_start_queue(topic, p, RD_KAFKA_OFFSET_BEGINNING, queue))
			wire_die("consume: %s", rd_kafka_err2str(rd_kafka_last_error()));
	while (got < args.messages && wire_now_s() - last < 10) {
		ssize_t n = rd_kafka_consume_batch_queue(queue, 100, lot, 1000);

		for (ssize_t i = 0; i < n; i++) {
			got += lot[i]->err == 0;
			rd_kafka_message_destroy(lot[i]);
		}
		/* The clock starts with the first ones: connecting and asking for offsets is no rate. */
		if (n > 0 && got == n) {
			began = wire_now_s();
			cpu = cpu_s();
			first = n;
		}
		if (n > 0)
			last = wire_now_s();
	}
	print_rates(got - first, last - began, cpu_s() - cpu);
	printf(" lost=%ld\n", args.messages - got);
	return got == args.messages ? 0 : 1;
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
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	long total = (long)(args.seconds * args.rate);
	double *due = calloc((size_t)total, sizeof(*due)), began;
	char *value = noise();

	args.linger_ms = "0";
	rk = create_producer();
	topic = rd_kafka_topic_new(rk, args.topic, NULL);
	if (!due)
		wire_die("out of memory");
	for (int i = 0; i < 20; i++) /* connect and warm up, uncounted */
		rd_kafka_produce(topic, 0, 0, value, (size_t)args.value_bytes, NULL, 0, NULL);
	rd_kafka_flush(rk, 10000);
	delivered = 0;
	began = wire_now_s();
	for (long i = 0; i < total; i++) {
		due[i] = began + (double)i / args.rate;
		wait_until(rk, due[i]);
		rd_kafka_produce(topic, (int32_t)(i % args.partitions), 0, value, (size_t)args.value_bytes,
				 NULL, 0, &due[i]);
	}
	rd_kafka_flush(rk, 60000);
	printf("messages=%ld rate=%d", delivered, args.rate);
	histogram_print(&latencies);
	printf(" failed=%ld lost=%ld\n", failed, total - delivered - failed);
	return delivered == total ? 0 : 1;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	for (int c; (c = getopt(argc, argv, "b:t:p:s:a:n:T:l:r:")) != -1;)
		switch (c) {
		case 'b':
			args.bootstrap = optarg;
			break;
		case 't':
			args.topic = optarg;
			break;
		case 'p':
			args.partitions = atoi(optarg);
			break;
		case 's':
			args.value_bytes = atoi(optarg);
			break;
		case 'a':
			args.acks = optarg;
			break;
		case 'n':
			args.messages = atol(optarg);
			break;
		case 'T':
			args.seconds = atof(optarg);
			break;
		case 'l':
			args.linger_ms = optarg;
			break;
		case 'r':
			args.rate = atoi(optarg);
			break;
		default:
			return 2;
		}
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
	wire_die("usage: load produce|consume|latency|version ... (see load.c)");
}
