#include "client.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "wire.h"

#define FEW_NOISE  500                /* values may differ by where in the noise they begin */
#define MUCH_NOISE ((size_t)16 << 20) /* more than the window of any codec */

struct client_args client_args = { .bootstrap = "127.0.0.1:9092",
				   .topic = "bench",
				   .acks = "all",
				   .partitions = 4,
				   .value_bytes = 100,
				   .rate = 1000,
				   .producers = 1,
				   .seconds = 5 };

int
client_parse(int argc, char **argv)
{
	for (int c; (c = getopt(argc, argv, "b:t:p:s:a:n:T:l:r:k:z:q:")) != -1;)
		switch (c) {
		case 'b':
			client_args.bootstrap = optarg;
			break;
		case 't':
			client_args.topic = optarg;
			break;
		case 'p':
			client_args.partitions = atoi(optarg);
			break;
		case 's':
			client_args.value_bytes = atoi(optarg);
			break;
		case 'a':
			client_args.acks = optarg;
			break;
		case 'n':
			client_args.messages = atol(optarg);
			break;
		case 'T':
			client_args.seconds = atof(optarg);
			break;
		case 'l':
			client_args.linger_ms = optarg;
			break;
		case 'r':
			client_args.rate = atoi(optarg);
			break;
		case 'k':
			client_args.producers = atoi(optarg);
			break;
		case 'z':
			client_args.codec = optarg;
			break;
		case 'q':
			client_args.queue_kb = optarg;
			break;
		default:
			return 0;
		}
	return 1;
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

	set(conf, "bootstrap.servers", client_args.bootstrap);
	set(conf, "broker.address.family", "v4");
	rk = rd_kafka_new(type, conf, why, sizeof(why));
	if (!rk)
		wire_die("librdkafka: %s", why);
	return rk;
}

rd_kafka_t *
client_producer(client_on_delivery *on_delivery)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	set(conf, "acks", client_args.acks);
	set(conf, "linger.ms", client_args.linger_ms);
	set(conf, "compression.codec", client_args.codec);
	set(conf, "queue.buffering.max.messages", "1000000");
	set(conf, "queue.buffering.max.kbytes", client_args.queue_kb);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	return create(RD_KAFKA_PRODUCER, conf);
}

struct client_consumer
client_consumer(void)
{
	struct client_consumer c = { .rk = create(RD_KAFKA_CONSUMER, rd_kafka_conf_new()) };
	rd_kafka_topic_t *topic = rd_kafka_topic_new(c.rk, client_args.topic, NULL);

	c.queue = rd_kafka_queue_new(c.rk);
	for (int p = 0; p < client_args.partitions; p++)
		if (rd_kafka_consume_start_queue(topic, p, RD_KAFKA_OFFSET_BEGINNING, c.queue))
			wire_die("consume: %s", rd_kafka_err2str(rd_kafka_last_error()));
	return c;
}

char *
client_value(long k)
{
	static char *noise;
	size_t places = client_args.codec ? MUCH_NOISE : FEW_NOISE, bytes = (size_t)client_args.value_bytes;

	if (!noise) {
		noise = malloc(places + bytes);
		if (!noise)
			wire_die("out of memory");
		for (size_t i = 0; i < places + bytes; i++)
			noise[i] =
			    client_args.codec ? "0123456789abcdef"[rand() >> 7 & 15] : (char)(rand() >> 7);
	}
	return noise + (client_args.codec ? (size_t)k * bytes : (size_t)k) % places;
}

double
client_cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

void
client_print_rates(long messages, double seconds, double cpu_s)
{
	double mb = (double)messages * client_args.value_bytes / 1e6;

	printf("messages=%ld seconds=%.3f msgs_per_s=%.0f mb_per_s=%.1f client_cpu_s_per_gb=%.2f", messages,
	       seconds, (double)messages / seconds, mb / seconds, cpu_s / (mb / 1e3));
}
