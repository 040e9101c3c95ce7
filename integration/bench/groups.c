/*
 * groups: how fast a broker coordinates consumer groups, with members that cost next to nothing and read no record.
 *
 *	groups join      -b host:port [-n groups]
 *	groups rebalance -b host:port [-m members] [-n rounds] [-h ms between heartbeats]
 *	groups commit    -b host:port -t topic [-p partitions] [-m members] [-i in flight] [-T seconds]
 *
 * join: a client enters one new group after another; measured from its first JoinGroup (without a member id, which
 * costs a second one: KIP-394) to its assignment. rebalance: a stable group is joined by one more member, which leaves
 * again; measured from its JoinGroup, and from its LeaveGroup, until every member has its new assignment. Members learn
 * of it from their heartbeats, as real ones do, but sooner. commit: every member of one group commits an offset, again
 * when that is acknowledged; measured is each commit.
 *
 * JoinGroup 5, SyncGroup 3, Heartbeat 3, LeaveGroup 1, OffsetCommit 5. One line of key=value on stdout.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "histogram.h"
#include "wire.h"

enum { OFFSET_COMMIT = 8, JOIN_GROUP = 11, HEARTBEAT = 12, LEAVE_GROUP = 13, SYNC_GROUP = 14 };
enum { REBALANCE_IN_PROGRESS = 27, MEMBER_ID_REQUIRED = 79 };

#define SESSION_MS    30000
#define TEXT_MAX      256
#define IN_FLIGHT_MAX 1024

static struct {
	const char *bootstrap, *topic;
	int partitions, members, in_flight, count, heartbeat_ms;
	double seconds;
} args = { .bootstrap = "127.0.0.1:9092",
	   .topic = "bench",
	   .partitions = 4,
	   .members = 50,
	   .in_flight = 1,
	   .count = 20,
	   .heartbeat_ms = 10,
	   .seconds = 5 };

enum state { OUT, JOINING, SYNCING, STABLE, LEAVING };

struct member {
	enum state state;
	int fd, waiting; /* answers */
	char id[TEXT_MAX];
	int32_t generation;
	double heartbeat_s; /* when the next one is due */
	double began[IN_FLIGHT_MAX];
	int first;
	int64_t offset;
};

static char group[TEXT_MAX];
static struct member *all;
static int epoll;
static struct histogram latencies;

/* --- reading answers --- */

struct reader {
	struct bytes answer;
	size_t at;
};

static const uint8_t *
take(struct reader *r, size_t n)
{
	if (r->at + n > r->answer.n)
		wire_die("an answer of %zu bytes is too short", r->answer.n);
	r->at += n;
	return r->answer.at + r->at - n;
}

static void
take_string(struct reader *r, char out[TEXT_MAX])
{
	int16_t n = wire_i16(take(r, 2));

	snprintf(out, TEXT_MAX, "%.*s", n > 0 ? n : 0, (const char *)take(r, n > 0 ? (size_t)n : 0));
}

static void
skip_string(struct reader *r)
{
	char unwanted[TEXT_MAX];

	take_string(r, unwanted);
}

/* Behind size, correlation id and throttle time. */
static struct reader
read_answer(struct member *m)
{
	struct reader r = { .answer = wire_receive(m->fd), .at = 12 };

	m->waiting--;
	return r;
}

/* --- requests --- */

static void
send_request(struct member *m, struct bytes b)
{
	b = wire_end(b);
	wire_send(m->fd, b);
	free(b.at);
	m->waiting++;
}

/* A subscription of the consumer protocol, version 0. */
static void
put_subscription(struct bytes *b)
{
	wire_put_int(b, 4, (int64_t)(2 + 4 + 2 + strlen(args.topic) + 4));
	wire_put_int(b, 2, 0);
	wire_put_int(b, 4, 1);
	wire_put_string(b, args.topic);
	wire_put_int(b, 4, -1);
}

static void
send_join(struct member *m)
{
	struct bytes b = wire_begin(JOIN_GROUP, 5);

	wire_put_string(&b, group);
	wire_put_int(&b, 4, SESSION_MS);
	wire_put_int(&b, 4, SESSION_MS);
	wire_put_string(&b, m->id);
	wire_put_string(&b, NULL);
	wire_put_string(&b, "consumer");
	wire_put_int(&b, 4, 1);
	wire_put_string(&b, "range");
	put_subscription(&b);
	send_request(m, b);
	m->state = JOINING;
}

/* joined: JoinGroup's answer, behind its member id; every member is assigned a few bytes. */
static void
send_sync(struct member *m, struct reader *joined)
{
	struct bytes b = wire_begin(SYNC_GROUP, 3);
	int32_t n = wire_i32(take(joined, 4));
	char id[TEXT_MAX];

	wire_put_string(&b, group);
	wire_put_int(&b, 4, m->generation);
	wire_put_string(&b, m->id);
	wire_put_string(&b, NULL);
	wire_put_int(&b, 4, n); /* none, for all but the leader */
	for (int32_t i = 0; i < n; i++) {
		take_string(joined, id);
		skip_string(joined);
		take(joined, (size_t)wire_i32(take(joined, 4)));
		wire_put_string(&b, id);
		wire_put_int(&b, 4, 8);
		wire_put_int(&b, 8, i);
	}
	send_request(m, b);
	m->state = SYNCING;
}

static void
send_heartbeat(struct member *m)
{
	struct bytes b = wire_begin(HEARTBEAT, 3);

	wire_put_string(&b, group);
	wire_put_int(&b, 4, m->generation);
	wire_put_string(&b, m->id);
	wire_put_string(&b, NULL);
	send_request(m, b);
}

static void
send_leave(struct member *m)
{
	struct bytes b = wire_begin(LEAVE_GROUP, 1);

	wire_put_string(&b, group);
	wire_put_string(&b, m->id);
	send_request(m, b);
	m->state = LEAVING;
}

static void
send_commit(struct member *m)
{
	struct bytes b = wire_begin(OFFSET_COMMIT, 5);

	m->began[(m->first + m->waiting) % IN_FLIGHT_MAX] = wire_now_s();
	wire_put_string(&b, group);
	wire_put_int(&b, 4, m->generation);
	wire_put_string(&b, m->id);
	wire_put_int(&b, 4, 1);
	wire_put_string(&b, args.topic);
	wire_put_int(&b, 4, 1);
	wire_put_int(&b, 4, (m - all) % args.partitions);
	wire_put_int(&b, 8, m->offset++);
	wire_put_string(&b, "");
	send_request(m, b);
}

/* --- what a member does with an answer --- */

static void
on_join(struct member *m, struct reader *r)
{
	int16_t error = wire_i16(take(r, 2));

	m->generation = wire_i32(take(r, 4));
	skip_string(r); /* the protocol */
	skip_string(r); /* the leader */
	take_string(r, m->id);
	if (error == MEMBER_ID_REQUIRED)
		send_join(m);
	else if (error)
		wire_die("JoinGroup: error %d", error);
	else
		send_sync(m, r);
}

static void
on_sync(struct member *m, struct reader *r)
{
	int16_t error = wire_i16(take(r, 2));

	if (error == REBALANCE_IN_PROGRESS) {
		send_join(m);
		return;
	}
	if (error || wire_i32(take(r, 4)) != 8)
		wire_die("SyncGroup: error %d, or no assignment", error);
	m->state = STABLE;
	m->heartbeat_s = wire_now_s() + args.heartbeat_ms / 1e3;
}

static void
on_heartbeat(struct member *m, struct reader *r)
{
	int16_t error = wire_i16(take(r, 2));

	if (error == REBALANCE_IN_PROGRESS)
		send_join(m);
	else if (error)
		wire_die("Heartbeat: error %d", error);
	m->heartbeat_s = wire_now_s() + args.heartbeat_ms / 1e3;
}

static void
on_leave(struct member *m, struct reader *r)
{
	int16_t error = wire_i16(take(r, 2));

	if (error)
		wire_die("LeaveGroup: error %d", error);
	m->state = OUT;
	m->id[0] = '\0';
}

static void
on_answer(struct member *m)
{
	struct reader r = read_answer(m);

	switch (m->state) {
	case JOINING:
		on_join(m, &r);
		break;
	case SYNCING:
		on_sync(m, &r);
		break;
	case STABLE:
		on_heartbeat(m, &r);
		break;
	case LEAVING:
		on_leave(m, &r);
		break;
	case OUT:
		wire_die("an answer that nobody asked for");
	}
	free(r.answer.at);
}

/* --- a group --- */

static void
open_members(int n)
{
	all = calloc((size_t)n, sizeof(*all));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!all || epoll < 0)
		wire_die("cannot begin");
	for (int i = 0; i < n; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &all[i] };

		all[i].fd = wire_connect(args.bootstrap, 0);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event) < 0)
			wire_die("cannot begin: %s", strerror(errno));
	}
}

/* The first n members are stable in one generation, the rest is out. */
static int
is_settled(int n, int most)
{
	for (int i = 0; i < most; i++)
		if (all[i].state != (i < n ? STABLE : OUT) ||
		    (i < n && all[i].generation != all[0].generation))
			return 0;
	return 1;
}

/* Serve all members until the first n of `most` are settled in another generation than this one. */
static void
settle(int n, int most, int32_t not_this)
{
	struct epoll_event events[64];
	double enough = wire_now_s() + 30;

	while (!is_settled(n, most) || all[0].generation == not_this) {
		int got = epoll_wait(epoll, events, 64, 1);

		for (int i = 0; i < got; i++)
			on_answer(events[i].data.ptr);
		for (int i = 0; i < most; i++)
			if (all[i].state == STABLE && !all[i].waiting && wire_now_s() >= all[i].heartbeat_s)
				send_heartbeat(&all[i]);
		if (wire_now_s() > enough)
			wire_die("the group is not settled after 30 s");
	}
}

static void
quiesce(int n)
{
	for (int i = 0; i < n; i++)
		while (all[i].waiting)
			on_answer(&all[i]);
}

static void
form_group(int n, int most)
{
	snprintf(group, sizeof(group), "bench-%ld", (long)getpid());
	open_members(most);
	for (int i = 0; i < n; i++)
		send_join(&all[i]);
	settle(n, most, -1);
}

/* --- parts --- */

static void
print(long n, double seconds)
{
	printf("count=%ld seconds=%.3f per_s=%.0f", n, seconds, (double)n / seconds);
	histogram_print(&latencies);
	putchar('\n');
}

static void
join(void)
{
	double began = wire_now_s();

	open_members(1);
	for (int i = 0; i < args.count; i++) {
		double one = wire_now_s();

		snprintf(group, sizeof(group), "bench-%ld-%d", (long)getpid(), i);
		send_join(&all[0]);
		while (all[0].state != STABLE)
			on_answer(&all[0]);
		histogram_add(&latencies, wire_now_s() - one);
		send_leave(&all[0]);
		on_answer(&all[0]);
	}
	print(args.count, wire_now_s() - began);
}

static void
rebalance(void)
{
	int most = args.members + 1;
	struct member *one_more;
	double began;

	form_group(args.members, most);
	one_more = &all[args.members];
	began = wire_now_s();
	for (int i = 0; i < args.count; i++) {
		double one = wire_now_s();

		send_join(one_more);
		settle(most, most, all[0].generation);
		histogram_add(&latencies, wire_now_s() - one);
		while (one_more->waiting)
			on_answer(one_more);
		one = wire_now_s();
		send_leave(one_more);
		settle(args.members, most, all[0].generation);
		histogram_add(&latencies, wire_now_s() - one);
	}
	print(2L * args.count, wire_now_s() - began);
}

static void
on_committed(struct member *m)
{
	struct reader r = read_answer(m);
	int16_t error;

	take(&r, 4);
	skip_string(&r);
	take(&r, 4 + 4);
	error = wire_i16(take(&r, 2));
	if (error)
		wire_die("OffsetCommit: error %d", error);
	free(r.answer.at);
	histogram_add(&latencies, wire_now_s() - m->began[m->first]);
	m->first = (m->first + 1) % IN_FLIGHT_MAX;
}

static void
commit(void)
{
	struct epoll_event events[64];
	double began, stop;
	long n = 0;
	int under_way = args.members * args.in_flight;

	form_group(args.members, args.members);
	quiesce(args.members);
	began = wire_now_s();
	stop = began + args.seconds;
	for (int i = 0; i < under_way; i++)
		send_commit(&all[i % args.members]);
	while (under_way > 0) {
		int got = epoll_wait(epoll, events, 64, 1000);

		for (int i = 0; i < got; i++) {
			on_committed(events[i].data.ptr);
			n++;
			if (wire_now_s() < stop)
				send_commit(events[i].data.ptr);
			else
				under_way--;
		}
		if (wire_now_s() > stop + 30)
			wire_die("commits are not answered 30 s after the last");
	}
	print(n, wire_now_s() - began);
}

int
main(int argc, char **argv)
{
	const char *part = argc > 1 ? argv[1] : "";
	int option;

	while ((option = getopt(argc - 1, argv + 1, "b:t:p:m:i:n:h:T:")) != -1) {
		switch (option) {
		case 'b':
			args.bootstrap = optarg;
			break;
		case 't':
			args.topic = optarg;
			break;
		case 'p':
			args.partitions = atoi(optarg);
			break;
		case 'm':
			args.members = atoi(optarg);
			break;
		case 'i':
			args.in_flight = atoi(optarg);
			break;
		case 'n':
			args.count = atoi(optarg);
			break;
		case 'h':
			args.heartbeat_ms = atoi(optarg);
			break;
		case 'T':
			args.seconds = atof(optarg);
			break;
		default:
			wire_die("usage: groups join|rebalance|commit [-b host:port] ...; see groups.c");
		}
	}
	if (args.members < 1 || args.partitions < 1 || args.in_flight < 1 || args.in_flight >= IN_FLIGHT_MAX)
		wire_die("a number is out of range");
	if (!strcmp(part, "join"))
		join();
	else if (!strcmp(part, "rebalance"))
		rebalance();
	else if (!strcmp(part, "commit"))
		commit();
	else
		wire_die("usage: groups join|rebalance|commit [-b host:port] ...; see groups.c");
	return 0;
}
