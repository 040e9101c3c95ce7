/*
 * raw: what the broker itself can do, with a client that costs next to nothing. Bytes that were encoded
 *before go over plain sockets, pipelined, from one process; of the answers only error codes (and, of a fetch,
 *offsets) are looked at.
 *
 *	raw create|delete -b host:port -t topic [-p partitions]
 *	raw produce -b host:port -t topic [-p partitions] [-c connections] [-i in flight] [-s bytes] [-m
 *records a batch]
 *	            [-a acks] [-T seconds] [-M megabytes at most] [-y]
 *	raw fetch   -b host:port -t topic [-p partitions] [-f bytes a fetch]
 *	raw latency -b host:port -t topic [-p partitions] [-c connections] [-s bytes] [-m records] [-a acks]
 *[-r rate] [-T seconds]
 *
 * produce: connection k sends one and the same batch to partition k mod partitions, -i requests in flight
 *each; with -y each request to its next partition, so that all have their turn. fetch: a connection for each partition, one fetch after another from offset 0 to the end that it finds
 *at the beginning. latency: requests of -m records, due at fixed moments whatever the answers do, so that a
 *slow answer's followers count as late too; measured from when each was due.
 *
 * One line of key=value on stdout.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "histogram.h"
#include "wire.h"

#define RING 65536 /* answers that a connection may wait for */

static struct {
	const char *bootstrap, *topic;
	int partitions, connections, in_flight, value_bytes, records, acks, fetch_bytes, rate, in_turn;
	double seconds, megabytes;
} args = { .bootstrap = "127.0.0.1:9092",
	   .topic = "bench",
	   .partitions = 4,
	   .connections = 4,
	   .in_flight = 5,
	   .value_bytes = 100,
	   .records = 1000,
	   .acks = -1,
	   .fetch_bytes = 1 << 20,
	   .rate = 1000,
	   .seconds = 5,
	   .megabytes = 1e9 };

struct connection {
	int fd;
	struct bytes request; /* sent again and again */
	size_t sent;          /* bytes of the one that is on its way; 0: none is */
	int waiting;          /* requests without an answer, the one on its way included */
	double began[RING];   /* of those, a ring: first..first+waiting */
	int first;
	int unsent;          /* latency: of those, how many are due but not on their way yet */
	struct bytes answer; /* what has come of the next answer */
	int64_t offset, end; /* fetch: next offset, and where to stop (-1: not known yet) */
};

static struct connection *all;
static int epoll;
static long answered; /* requests; with acks=0, sent ones */
static struct histogram latencies;

static double
cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* -1 of a partition that does not exist would be a wrong measurement, so any error is the end. */
static void
check_error(const struct connection *c, size_t error_at)
{
	int16_t error;

	if (c->answer.n < error_at + 2)
		wire_die("an answer of %zu bytes", c->answer.n);
	error = wire_i16(c->answer.at + error_at);
	if (error)
		wire_die("the broker answers with error %d", error);
}

static void
open_connections(int n)
{
	all = calloc((size_t)n, sizeof(*all));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!all || epoll < 0)
		wire_die("cannot begin");
	for (int i = 0; i < n; i++) {
		struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &all[i] };

		all[i].fd = wire_connect(args.bootstrap, 0);
		all[i].answer.cap = (size_t)args.fetch_bytes + (4 << 20);
		all[i].answer.at = malloc(all[i].answer.cap);
		fcntl(all[i].fd, F_SETFL, O_NONBLOCK);
		if (!all[i].answer.at || epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event) < 0)
			wire_die("cannot begin: %s", strerror(errno));
	}
}

/* Send what the socket takes of the request on its way. True when it has gone. */
static int
send_some(struct connection *c)
{
	while (c->sent < c->request.n) {
		ssize_t n = send(c->fd, c->request.at + c->sent, c->request.n - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			wire_die("send: %s", strerror(errno));
		c->sent += (size_t)n;
	}
	c->sent = 0;
	return 1;
}

/* One more request is due from this connection since `when`. */
static void
begin_request(struct connection *c, double when)
{
	if (c->waiting == RING)
		wire_die("%d answers are missing", RING);
	c->began[(c->first + c->waiting++) % RING] = when;
}

/* A whole answer is there: note it, forget it. */
static void
end_request(struct connection *c)
{
	histogram_add(&latencies, wire_now_s() - c->began[c->first]);
	c->first = (c->first + 1) % RING;
	c->waiting--;
	answered++;
	c->answer.n = 0;
}

/* Receive until the next answer is whole (true) or nothing is left to read. Never reads beyond one answer. */
static int
receive_some(struct connection *c)
{
	for (;;) {
		size_t whole = c->answer.n < 4 ? 4 : 4 + (size_t)wire_i32(c->answer.at);
		ssize_t n;

		if (c->answer.n >= 4 && c->answer.n == whole)
			return 1;
		if (whole > c->answer.cap)
			wire_die("an answer of %zu bytes", whole);
		n = recv(c->fd, c->answer.at + c->answer.n, whole - c->answer.n, 0);
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			wire_die("the broker closed the connection (%s)",
				 n ? strerror(errno) : "end of stream");
		c->answer.n += (size_t)n;
	}
}

/* ---- produce ---- */

/* The next of the partitions that this connection has; the batch stays what it is, as its CRC knows no partition. */
static void
turn_to_next_partition(struct connection *c)
{
	uint8_t *at = c->request.at + wire_partition_at(args.topic);
	int next = wire_i32(at) + args.connections;

	if (next >= args.partitions)
		next = (int)(c - all) % args.partitions;
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)((unsigned)next >> 8 * (3 - i));
}

static double stop_s;
static long requests_at_most, requests_begun;

static int
may_send(void)
{
	return requests_begun < requests_at_most && wire_now_s() < stop_s;
}

static void
produce_turn(struct connection *c)
{
	size_t error_at = wire_produced_error_at(args.topic);

	while (args.acks != 0 && receive_some(c)) {
		check_error(c, error_at);
		end_request(c);
	}
	for (;;) {
		if (c->sent == 0) {
			if ((args.acks != 0 && c->waiting >= args.in_flight) || !may_send())
				return;
			requests_begun++;
			if (args.in_turn)
				turn_to_next_partition(c);
			if (args.acks != 0)
				begin_request(c, wire_now_s());
		}
		if (!send_some(c))
			return;
		answered += args.acks == 0;
	}
}

static int
busy(int n)
{
	for (int i = 0; i < n; i++)
		if (all[i].waiting || all[i].sent)
			return 1;
	return 0;
}

static void
print_rates(long messages, double mb, double seconds, double client_cpu_s)
{
	printf("messages=%ld seconds=%.3f msgs_per_s=%.0f mb_per_s=%.1f client_cpu_s_per_gb=%.2f", messages,
	       seconds, (double)messages / seconds, mb / seconds, client_cpu_s / (mb / 1e3));
}

static int
produce(void)
{
	struct epoll_event events[64];
	double began, cpu, ended, mb;

	open_connections(args.connections);
	for (int i = 0; i < args.connections; i++)
		all[i].request = wire_produce_request(args.topic, i % args.partitions, args.acks,
						      args.records, args.value_bytes);
	requests_at_most = (long)(args.megabytes * 1e6 / ((double)args.records * args.value_bytes)) + 1;
	began = wire_now_s();
	cpu = cpu_s();
	stop_s = began + args.seconds;
	while (may_send() || busy(args.connections)) {
		int n = epoll_wait(epoll, events, 64, 100);

		for (int i = 0; i < n; i++)
			produce_turn(events[i].data.ptr);
		if (wire_now_s() > stop_s + 30)
			wire_die("answers are missing 30 s after the last request");
	}
	ended = wire_now_s();
	mb = (double)answered * args.records * args.value_bytes / 1e6;
	print_rates(answered * args.records, mb, ended - began, cpu_s() - cpu);
	printf(" requests=%ld batch_bytes=%zu", answered, all[0].request.n);
	histogram_print(&latencies);
	putchar('\n');
	return 0;
}

/* ---- fetch ---- */

static long fetched_records;
static double fetched_mb;

/* Offsets and counts of the batches in an answer; a batch that is cut off at the end does not count. */
static void
count_batches(struct connection *c, const uint8_t *at, size_t n)
{
	while (n >= 61 && n >= (size_t)wire_i32(at + 8) + 12) {
		size_t size = (size_t)wire_i32(at + 8) + 12;

		fetched_records += wire_i32(at + 57);
		fetched_mb += (double)wire_i32(at + 57) * args.value_bytes / 1e6;
		c->offset = wire_i64(at) + wire_i32(at + 23) + 1;
		at += size;
		n -= size;
	}
}

static void
fetch_next(struct connection *c)
{
	int partition = (int)(c - all);

	free(c->request.at);
	c->request = wire_fetch_request(args.topic, partition, c->offset, args.fetch_bytes, 100);
	begin_request(c, wire_now_s());
	send_some(c);
}

static void
fetch_turn(struct connection *c)
{
	size_t error_at = wire_fetched_error_at(args.topic);
	int64_t before = c->offset;
	int32_t aborted;
	const uint8_t *records;

	if (c->sent && !send_some(c))
		return;
	if (!c->waiting || !receive_some(c))
		return;
	check_error(c, error_at);
	if (c->end < 0)
		c->end = wire_i64(c->answer.at + error_at + 2);
	aborted = wire_i32(c->answer.at + error_at + 18);
	records = c->answer.at + error_at + 22 + 16 * (aborted > 0 ? aborted : 0);
	count_batches(c, records + 4, (size_t)(wire_i32(records) > 0 ? wire_i32(records) : 0));
	end_request(c);
	if (c->offset >= c->end)
		return;
	if (c->offset == before)
		wire_die("partition %td: no progress at offset %ld of %ld", c - all, (long)before,
			 (long)c->end);
	fetch_next(c);
	fetch_turn(c); /* edge-triggered: what came meanwhile tells nobody again */
}

static int
fetch(void)
{
	struct epoll_event events[64];
	double began, cpu;

	open_connections(args.partitions);
	began = wire_now_s();
	cpu = cpu_s();
	for (int i = 0; i < args.partitions; i++) {
		all[i].end = -1;
		fetch_next(&all[i]);
	}
	while (busy(args.partitions)) {
		int n = epoll_wait(epoll, events, 64, 10000);

		if (n == 0)
			wire_die("no answer for 10 s");
		for (int i = 0; i < n; i++)
			fetch_turn(events[i].data.ptr);
	}
	print_rates(fetched_records, fetched_mb, wire_now_s() - began, cpu_s() - cpu);
	printf(" requests=%ld fetch_bytes=%d\n", answered, args.fetch_bytes);
	return 0;
}

/* ---- latency ---- */

static int
start_timer(void)
{
	struct itimerspec every = { .it_interval.tv_nsec = 1000000000 / args.rate, .it_value.tv_nsec = 1 };
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

	if (timer < 0 || timerfd_settime(timer, 0, &every, NULL) < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) < 0)
		wire_die("timer: %s", strerror(errno));
	return timer;
}

/* Send what is due and has not gone, as far as the socket takes it: the broker may read slower than requests are due. */
static void
send_unsent(struct connection *c)
{
	while (c->unsent > 0 && send_some(c))
		c->unsent--;
}

/* Requests that are due by now, each over the next connection. */
static void
send_due(double began, long *sent, long total)
{
	for (; *sent < total; (*sent)++) {
		double due = began + (double)*sent / args.rate;
		struct connection *c = &all[*sent % args.connections];

		if (due > wire_now_s())
			return;
		begin_request(c, due);
		c->unsent++;
		send_unsent(c);
	}
}

static void
latency_turn(struct connection *c)
{
	while (receive_some(c)) {
		check_error(c, wire_produced_error_at(args.topic));
		end_request(c);
	}
	send_unsent(c);
}

static int
latency(void)
{
	struct epoll_event events[64];
	long total = (long)(args.seconds * args.rate), sent = 0;
	int timer;
	uint64_t ticks;
	double began;

	open_connections(args.connections);
	for (int i = 0; i < args.connections; i++)
		all[i].request = wire_produce_request(args.topic, i % args.partitions, args.acks,
						      args.records, args.value_bytes);
	timer = start_timer();
	began = wire_now_s();
	while (sent < total || busy(args.connections)) {
		int n = epoll_wait(epoll, events, 64, 10000);

		for (int i = 0; i < n; i++)
			if (events[i].data.ptr)
				latency_turn(events[i].data.ptr);
			else
				(void)!read(timer, &ticks, sizeof(ticks));
		send_due(began, &sent, total);
		if (wire_now_s() > began + args.seconds + 30)
			wire_die("answers are missing 30 s after the last request");
	}
	printf("messages=%ld rate=%d", answered * args.records, args.rate);
	histogram_print(&latencies);
	putchar('\n');
	return 0;
}

static int
administer(const char *what)
{
	int fd = wire_connect(args.bootstrap, 0);

	if (strcmp(what, "create") == 0) {
		wire_create_topic(fd, args.topic, args.partitions);
		wire_await_topic(fd, args.topic, args.partitions);
	} else
		wire_delete_topic(fd, args.topic);
	close(fd);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	for (int c; (c = getopt(argc, argv, "b:t:p:c:i:s:m:a:T:M:f:r:y")) != -1;)
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
		case 'c':
			args.connections = atoi(optarg);
			break;
		case 'i':
			args.in_flight = atoi(optarg);
			break;
		case 's':
			args.value_bytes = atoi(optarg);
			break;
		case 'm':
			args.records = atoi(optarg);
			break;
		case 'a':
			args.acks = strcmp(optarg, "all") == 0 ? -1 : atoi(optarg);
			break;
		case 'T':
			args.seconds = atof(optarg);
			break;
		case 'M':
			args.megabytes = atof(optarg);
			break;
		case 'f':
			args.fetch_bytes = atoi(optarg);
			break;
		case 'r':
			args.rate = atoi(optarg);
			break;
		case 'y':
			args.in_turn = 1;
			break;
		default:
			return 2;
		}
	if (strcmp(what, "create") == 0 || strcmp(what, "delete") == 0)
		return administer(what);
	if (strcmp(what, "produce") == 0)
		return produce();
	if (strcmp(what, "fetch") == 0)
		return fetch();
	if (strcmp(what, "latency") == 0)
		return latency();
	wire_die("usage: raw create|delete|produce|fetch|latency ... (see raw.c)");
}
