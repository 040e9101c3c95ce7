/*
 * The real broker, seen through sockets: order, waiting, waking, dying. Broad coverage by real clients is in
 * integration/.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/lib/client.h"
#include "tests/lib/live_broker.h"
#include "tests/lib/test.h"

static char *dir;

static int
make_dir(void **state)
{
	(void)state;
	dir = test_dir_make();
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	test_dir_remove(dir);
	return 0;
}

static void
test_starts_and_stops(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);
	int64_t before_ms = clock_monotonic_ms();
	assert_int_equal(live_broker_stop(&b), 0);
	assert_true(clock_monotonic_ms() - before_ms < 5000);
}

static void
test_produced_is_fetched(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);
	struct client c = client_connect(b.port);
	client_create_topic(&c, "t", 1);
	struct records sent = client_batch(&c.arena, 3, 100);
	struct produce_response_partition_response *p = client_produce(&c, "t", 0, -1, sent);
	assert_int_equal(p->error_code, ERR_NONE);
	assert_int_equal(p->base_offset, 0);
	assert_int_equal(client_produce(&c, "t", 0, 1, sent)->base_offset, 3);
	client_send_fetch(&c, "t", 0, 0, 5000);
	struct fetch_response_partition_data *f = client_receive_fetch(&c);
	assert_int_equal(f->error_code, ERR_NONE);
	assert_true(f->records.n >= sent.n);
	assert_memory_equal(f->records.at + 16, sent.at + 16,
			    (size_t)sent.n - 16); /* untouched behind the leader epoch */
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

/* A fetch that waits must not be overtaken by the answers to later requests of its connection. */
static void
test_answers_keep_the_order_of_requests(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);
	struct client c = client_connect(b.port), other = client_connect(b.port);
	client_create_topic(&c, "t", 1);
	client_send_fetch(&c, "t", 0, 0, 10000);
	for (int i = 0; i < 100; i++)
		client_send_produce(&c, "t", 0, i % 2 ? -1 : 1, client_batch(&c.arena, 1, 10));
	struct fetch_response_partition_data *f =
	    client_receive_fetch(&c); /* correlation ids are checked inside */
	assert_true(f->records.n > 0);
	for (int i = 0; i < 100; i++) {
		const struct produce_response *r = client_receive(&c);
		assert_int_equal(r->responses.at[0].partition_responses.at[0].base_offset, i);
	}
	client_close(&c);
	client_close(&other);
	assert_int_equal(live_broker_stop(&b), 0);
}

/* Both durabilities wake by different ways: through the checkpointer, and at the commit itself. */
static void
wake_up_with(const char *durability)
{
	struct live_broker b = live_broker_start(dir, "-w", "3", "-o", durability, NULL);
	struct client waiter = client_connect(b.port), writer = client_connect(b.port),
		      third = client_connect(b.port);
	client_create_topic(&writer, "t", 4);
	for (int round = 0; round < 50; round++) {
		int16_t acks = round % 2 ? 1 : -1;
		client_send_fetch(&waiter, "t", 2, round, 15000);
		if (round % 3 == 0) /* else the fetch may or may not be there first: both must work */
			assert_true(client_is_quiet(&waiter, 5));
		int64_t before_ms = clock_monotonic_ms();
		assert_int_equal(
		    client_produce(&writer, "t", 2, acks, client_batch(&writer.arena, 1, 10))->base_offset,
		    round);
		struct fetch_response_partition_data *f = client_receive_fetch(&waiter);
		assert_true(f->records.n > 0);
		assert_true(clock_monotonic_ms() - before_ms < 5000);
	}
	client_close(&waiter);
	client_close(&writer);
	client_close(&third);
	assert_int_equal(live_broker_stop(&b), 0);
}

static void
test_a_commit_in_another_worker_wakes_a_fetch(void **state)
{
	(void)state;
	wake_up_with("durability=durable");
}

static void
test_relaxed_wakes_too(void **state)
{
	(void)state;
	wake_up_with("durability=relaxed");
}

static void
test_strict_wakes_too(void **state)
{
	(void)state;
	wake_up_with("durability=strict");
}

static void
test_fetch_answers_empty_at_its_deadline(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "1", NULL);
	struct client c = client_connect(b.port);
	client_create_topic(&c, "t", 1);
	int64_t before_ms = clock_monotonic_ms();
	client_send_fetch(&c, "t", 0, 0, 200);
	assert_int_equal(client_receive_fetch(&c)->records.n, 0);
	int64_t took_ms = clock_monotonic_ms() - before_ms;
	assert_in_range(took_ms, 150, 5000);
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

static void
test_stop_answers_what_waits(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);
	struct client c = client_connect(b.port);
	client_create_topic(&c, "t", 1);
	client_send_fetch(&c, "t", 0, 0, 60000);
	assert_true(client_is_quiet(&c, 50));
	assert_int_equal(live_broker_stop(&b), 0);
	assert_int_equal(client_receive_fetch(&c)->records.n, 0);
	assert_true(client_is_closed(&c));
	client_close(&c);
}

static void
test_acks_0_is_not_answered(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "1", NULL);
	struct client c = client_connect(b.port);
	client_create_topic(&c, "t", 1);
	client_send_produce(&c, "t", 0, 0, client_batch(&c.arena, 1, 10));
	assert_int_equal(client_produce(&c, "t", 0, 1, client_batch(&c.arena, 1, 10))->base_offset, 1);
	client_send_produce(&c, "no-such-topic", 0, 0, client_batch(&c.arena, 1, 10));
	assert_true(client_is_closed(&c)); /* all that a producer with acks=0 can notice of an error */
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

/* Committed records are hidden until durable; who asks for the end right after acks=1 must find its own. */
static void
test_the_end_includes_what_was_acknowledged(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "2", "-o", "log.flush.interval.ms=60000", NULL);
	struct client c = client_connect(b.port), other = client_connect(b.port);
	struct list_offsets_request_partition p;
	message_defaults(&list_offsets_request_partition_message, &p);
	p.timestamp = -1;
	struct list_offsets_request_topic topic = { .name = STR("t"), .partitions = { &p, 1 } };
	struct list_offsets_request ask = { .replica_id = -1, .topics = { &topic, 1 } };
	client_create_topic(&c, "t", 1);
	for (int i = 1; i <= 20; i++) {
		assert_int_equal(client_produce(&c, "t", 0, 1, client_batch(&c.arena, 1, 10))->base_offset,
				 i - 1);
		const struct list_offsets_response *end =
		    client_call(i % 2 ? &c : &other, API_LIST_OFFSETS, 5, &ask);
		assert_int_equal(end->topics.at[0].partitions.at[0].offset, i);
	}
	client_close(&c);
	client_close(&other);
	assert_int_equal(live_broker_stop(&b), 0);
}

static void
test_idempotent_retry_is_answered_with_the_original(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);
	struct client c = client_connect(b.port);
	struct init_producer_id_request ask;
	message_defaults(&init_producer_id_request_message, &ask);
	ask.transactional_id = STR_NULL;
	client_create_topic(&c, "t", 1);
	const struct init_producer_id_response *id = client_call(&c, API_INIT_PRODUCER_ID, 3, &ask);
	assert_int_equal(id->error_code, ERR_NONE);
	for (int i = 0; i < 3; i++) {
		struct records batch = client_batch(&c.arena, 2, 10);
		client_batch_stamp(&batch, id->producer_id, id->producer_epoch, i * 2);
		for (int again = 0; again < 3; again++) {
			struct produce_response_partition_response *p = client_produce(&c, "t", 0, -1, batch);
			assert_int_equal(p->error_code, ERR_NONE);
			assert_int_equal(p->base_offset, i * 2);
		}
	}
	struct records gap = client_batch(&c.arena, 1, 10);
	client_batch_stamp(&gap, id->producer_id, id->producer_epoch, 9);
	assert_int_equal(client_produce(&c, "t", 0, -1, gap)->error_code, ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

static void
test_acknowledged_survives_kill_of_everything(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);
	struct client c = client_connect(b.port);
	client_create_topic(&c, "t", 1);
	for (int i = 0; i < 100; i++)
		assert_int_equal(client_produce(&c, "t", 0, 1, client_batch(&c.arena, 1, 10))->base_offset,
				 i);
	client_close(&c);
	live_broker_kill(&b);
	b = live_broker_start(dir, "-w", "3", NULL); /* at once, on the same directory */
	c = client_connect(b.port);
	assert_int_equal(client_produce(&c, "t", 0, -1, client_batch(&c.arena, 1, 10))->base_offset, 100);
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

/* Connections are dealt out evenly, so two connections are on two workers. */
static void
test_a_killed_worker_harms_only_its_own_clients(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);
	struct client c[2] = { client_connect(b.port), client_connect(b.port) };
	client_create_topic(&c[0], "t", 1);
	assert_int_equal(client_produce(&c[1], "t", 0, -1, client_batch(&c[1].arena, 1, 10))->base_offset, 0);
	pid_t victim = live_broker_process(&b, "worker-0");
	int64_t before_ms = clock_monotonic_ms();
	kill(victim, SIGKILL);
	live_broker_successor(&b, "worker-0", victim);
	assert_true(clock_monotonic_ms() - before_ms < 1000);
	bool closed[2] = { !client_is_quiet(&c[0], 0), !client_is_quiet(&c[1], 0) };
	assert_int_equal(closed[0] + closed[1], 1);
	struct client *living = &c[closed[0] ? 1 : 0], fresh = client_connect(b.port);
	for (int i = 1; i < 20; i += 2) {
		assert_int_equal(
		    client_produce(living, "t", 0, -1, client_batch(&living->arena, 1, 10))->base_offset, i);
		assert_int_equal(
		    client_produce(&fresh, "t", 0, -1, client_batch(&fresh.arena, 1, 10))->base_offset,
		    i + 1);
	}
	assert_int_equal(live_broker_said(&b, "process was killed process=worker-0"), 1);
	client_close(&c[0]);
	client_close(&c[1]);
	client_close(&fresh);
	assert_int_equal(live_broker_stop(&b), 0);
}

static void
test_a_killed_checkpointer_delays_and_loses_nothing(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);
	struct client c = client_connect(b.port);
	client_create_topic(&c, "t", 1);
	for (int i = 0; i < 60; i++) {
		if (i % 20 == 10) {
			pid_t victim = live_broker_process(&b, "checkpointer");
			kill(victim, SIGKILL);
			if (i > 30)
				live_broker_successor(&b, "checkpointer", victim);
		}
		struct produce_response_partition_response *p =
		    client_produce(&c, "t", 0, -1, client_batch(&c.arena, 1, 10));
		assert_int_equal(p->error_code, ERR_NONE);
		assert_int_equal(p->base_offset, i);
	}
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

/* As librdkafka from 2.3 on asks for all topics: three bytes too many, which Kafka never looks at. */
/* One that dies again and again is started later and later: in that time there is no pin under which to write. */
static void
test_nothing_is_written_without_a_checkpointer(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);
	struct client c = client_connect(b.port);
	pid_t victim = live_broker_process(&b, "checkpointer");
	client_create_topic(&c, "t", 1);
	for (int i = 1; i <= 4; i++) {
		kill(victim, SIGKILL);
		for (int ms = 0; ms < 5000 && live_broker_said(&b, "process was killed") < i; ms++)
			(void)client_is_quiet(&c, 1);
		assert_int_equal(live_broker_said(&b, "process was killed"), i);
		if (i < 4)
			victim = live_broker_successor(&b, "checkpointer", victim);
	}
	assert_int_equal(client_produce(&c, "t", 0, 1, client_batch(&c.arena, 1, 10))->base_offset, 0);
	assert_true(live_broker_process(&b, "checkpointer") != victim);
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

static void
test_bytes_behind_a_request_are_ignored(void **state)
{
	(void)state;
	static const uint8_t metadata_v12[] = { 0, 0,   0,   22,  0,   3, 0, 12, 0, 0, 0, 0, 0,
						4, 't', 'e', 's', 't', 0, 0, 0,  0, 0, 1, 0, 0 };
	struct live_broker b = live_broker_start(dir, "-w", "1", NULL);
	struct client c = client_connect(b.port);
	client_send_raw(&c, metadata_v12, sizeof(metadata_v12));
	c.asked[0].api = api_find(API_METADATA);
	c.asked[0].version = 12;
	c.next_correlation_id = 1;
	const struct metadata_response *answer = client_receive(&c);
	assert_int_equal(answer->brokers.n, 1);
	client_create_topic(&c, "t", 1); /* and the next request begins where it should */
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

/* More requests than a connection's queue takes: what is read later, out of the flush, is announced as well. */
static void
test_what_a_flush_parks_is_announced(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "1", "-o", "log.flush.interval.ms=60000", NULL);
	struct client c = client_connect(b.port);
	struct list_offsets_request_partition p;
	message_defaults(&list_offsets_request_partition_message, &p);
	p.timestamp = -1;
	struct list_offsets_request_topic topic = { .name = STR("t"), .partitions = { &p, 1 } };
	struct list_offsets_request ask = { .replica_id = -1, .topics = { &topic, 1 } };
	client_create_topic(&c, "t", 1);
	for (int i = 0; i < 200; i++)
		client_send_produce(&c, "t", 0, 1, client_batch(&c.arena, 1, 10));
	client_send(&c, API_LIST_OFFSETS, 5, &ask);
	int64_t before_ms = clock_monotonic_ms();
	for (int i = 0; i < 200; i++)
		client_receive(&c);
	const struct list_offsets_response *end = client_receive(&c);
	assert_int_equal(end->topics.at[0].partitions.at[0].offset, 200);
	assert_true(clock_monotonic_ms() - before_ms < 10000);
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

/*
 * As systemd and `timeout` do it: the whole process group gets the signal, and then the supervisor's comes, too.
 * LeakSanitizer stops a process at its exit by ptrace, and waits for ever if the supervisor's SIGCONT takes back that
 * stop: here it must not look for leaks.
 */
static void
test_sigterm_for_everybody_at_once(void **state)
{
	(void)state;
	setenv("LSAN_OPTIONS", "detect_leaks=0", 1);
	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);
	unsetenv("LSAN_OPTIONS");
	struct client c = client_connect(b.port);
	const char *const names[] = { "worker-0", "worker-1", "checkpointer", "cleaner" };
	client_create_topic(&c, "t", 1);
	client_send_fetch(&c, "t", 0, 0, 60000);
	assert_true(client_is_quiet(&c, 20));
	for (int i = 0; i < 4; i++)
		kill(live_broker_process(&b, names[i]), SIGTERM);
	int64_t before_ms = clock_monotonic_ms();
	assert_int_equal(live_broker_stop(&b), 0);
	assert_true(clock_monotonic_ms() - before_ms < 3000);
	assert_int_equal(client_receive_fetch(&c)->records.n, 0);
	client_close(&c);
}

/* Waiting costs little: a hundred fetches that wait fit into a budget that a dozen full chunks would fill. */
static void
test_waiting_fetches_leave_room_for_others(void **state)
{
	(void)state;
	struct live_broker b =
	    live_broker_start(dir, "-w", "1", "-o", "queued.max.request.bytes=4194304", NULL);
	static struct client waiting[100];
	struct client c = client_connect(b.port);
	client_create_topic(&c, "t", 1);
	for (int i = 0; i < 100; i++) {
		waiting[i] = client_connect(b.port);
		client_send_fetch(&waiting[i], "t", 0, 0, 60000);
	}
	assert_true(client_is_quiet(&waiting[99], 50));
	struct client fresh = client_connect(b.port);
	assert_int_equal(client_produce(&fresh, "t", 0, -1, client_batch(&fresh.arena, 1, 10))->base_offset,
			 0);
	for (int i = 0; i < 100; i++) {
		assert_true(client_receive_fetch(&waiting[i])->records.n > 0);
		client_close(&waiting[i]);
	}
	client_close(&fresh);
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

/* Whatever there is to send and is taken now. */
static size_t
push(const struct client *c, const uint8_t *at, size_t n)
{
	ssize_t sent = send(c->fd, at, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	assert_true(sent > 0 || errno == EAGAIN);
	return sent > 0 ? (size_t)sent : 0;
}

/* Thirty requests that take nearly the whole budget each, at once: nobody who goes on is closed. */
static void
test_large_requests_of_many_at_once(void **state)
{
	(void)state;
	enum { CLIENTS = 30, BYTES = 1000000, SLICE = 65536 };
	static uint8_t request[BYTES] = { (BYTES - 4) >> 24,
					  (BYTES - 4) >> 16 & 255,
					  (BYTES - 4) >> 8 & 255,
					  (BYTES - 4) & 255,
					  0,
					  18,
					  0,
					  0,
					  0,
					  0,
					  0,
					  1,
					  0xff,
					  0xff };
	static struct client c[CLIENTS];
	size_t sent[CLIENTS] = { 0 }, all = 0;
	struct live_broker b =
	    live_broker_start(dir, "-w", "1", "-o", "queued.max.request.bytes=1048576", NULL);

	for (int i = 0; i < CLIENTS; i++)
		c[i] = client_connect(b.port);
	for (int64_t until_ms = clock_monotonic_ms() + test_patience_ms(20000); all < CLIENTS * BYTES;) {
		assert_true(clock_monotonic_ms() < until_ms);
		for (int i = 0; i < CLIENTS; i++) {
			size_t left = BYTES - sent[i];
			size_t n = left > 0 ? push(&c[i], request + sent[i], left < SLICE ? left : SLICE) : 0;
			sent[i] += n;
			all += n;
		}
	}
	for (int i = 0; i < CLIENTS; i++) {
		uint8_t answer[10];
		assert_int_equal(recv(c[i].fd, answer, sizeof(answer), MSG_WAITALL), sizeof(answer));
		assert_memory_equal(answer + 4, "\0\0\0\1\0\0", 6);
		client_close(&c[i]);
	}
	assert_int_equal(live_broker_stop(&b), 0);
}

static long
voluntary_switches(pid_t pid)
{
	char path[64], line[128];
	long n = -1;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
			n = strtol(line + 24, NULL, 10);
	fclose(f);
	return n;
}

/* Nothing to do means nothing done; and the first commit after a doze is on disk, and visible, as soon as any other. */
static void
test_an_idle_broker_sleeps_and_wakes(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);
	struct client c = client_connect(b.port);
	client_create_topic(&c, "t", 1);
	for (int64_t i = 0; i < 4; i++) {
		usleep(400000);
		long before = voluntary_switches(live_broker_process(&b, "checkpointer"));
		usleep(500000);
		assert_in_range(voluntary_switches(live_broker_process(&b, "checkpointer")) - before, 0, 2);
		assert_int_equal(client_produce(&c, "t", 0, 1, client_batch(&c.arena, 1, 10))->base_offset,
				 i);
		int64_t began_ms = clock_monotonic_ms(), visible = i;
		while (visible <= i) {
			client_send_fetch(&c, "t", 0, i, 0);
			visible = client_receive_fetch(&c)->high_watermark;
			assert_true(clock_monotonic_ms() - began_ms < 5000);
		}
	}
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

static void
test_half_closed_clients_get_their_answers(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "1", NULL);
	struct client c = client_connect(b.port);
	client_create_topic(&c, "t", 1);
	client_send_produce(&c, "t", 0, -1, client_batch(&c.arena, 1, 10));
	assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
	const struct produce_response *r = client_receive(&c);
	assert_int_equal(r->responses.at[0].partition_responses.at[0].error_code, ERR_NONE);
	assert_true(client_is_closed(&c));
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

/* Nothing more is read from such a client, so its going could not be seen either: what it waits for must not hold it. */
static void
test_a_refused_client_waits_for_nothing(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "1", NULL);
	struct client c = client_connect(b.port);
	client_create_topic(&c, "t", 1);
	client_send_fetch(&c, "t", 0, 0, INT32_MAX);
	client_send_raw(&c, "\0\0\0\4\x7f\0\0\0", 8); /* an API that nobody knows */
	assert_int_equal(client_receive_fetch(&c)->records.n, 0);
	assert_true(client_is_closed(&c));
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

/* ListGroups waits behind the fetch, and keeps what is behind it from being read: the end of the connection, too. */
static void
test_a_client_that_is_gone_is_not_owed_anything_for_ever(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "1", "-o", "connections.max.idle.ms=300", NULL);
	struct client c = client_connect(b.port);
	struct list_groups_request groups = { .states_filter = { 0 } };
	client_create_topic(&c, "t", 1);
	client_send_fetch(&c, "t", 0, 0, INT32_MAX);
	client_send(&c, API_LIST_GROUPS, 0, &groups);
	client_send(&c, API_LIST_GROUPS, 0, &groups);
	assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
	assert_int_equal(client_receive_fetch(&c)->records.n, 0);
	assert_int_equal(((struct list_groups_response *)client_receive(&c))->groups.n, 0);
	client_close(&c);
	assert_int_equal(live_broker_stop(&b), 0);
}

static void
test_idle_connections_are_closed(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "1", "-o", "connections.max.idle.ms=300", NULL);
	struct client c = client_connect(b.port), waits = client_connect(b.port);
	client_create_topic(&waits, "t", 1);
	client_send_fetch(&waits, "t", 0, 0, 1500);
	assert_true(client_is_closed(&c));
	assert_int_equal(client_receive_fetch(&waits)->records.n, 0); /* waiting is not being idle */
	client_close(&c);
	client_close(&waits);
	assert_int_equal(live_broker_stop(&b), 0);
}

static void
test_a_deleted_topic_ends_the_fetches_that_wait_for_it(void **state)
{
	(void)state;
	struct live_broker b = live_broker_start(dir, "-w", "2", NULL);
	struct client waiter = client_connect(b.port), admin = client_connect(b.port);
	client_create_topic(&admin, "t", 1);
	client_send_fetch(&waiter, "t", 0, 0, 15000);
	assert_true(client_is_quiet(&waiter, 20));
	struct str names[] = { STR("t") };
	struct delete_topics_request request;
	message_defaults(&delete_topics_request_message, &request);
	request.topic_names.at = names;
	request.topic_names.n = 1;
	const struct delete_topics_response *r = client_call(&admin, API_DELETE_TOPICS, 4, &request);
	assert_int_equal(r->responses.at[0].error_code, ERR_NONE);
	assert_int_equal(client_receive_fetch(&waiter)->error_code, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	client_close(&waiter);
	client_close(&admin);
	assert_int_equal(live_broker_stop(&b), 0);
}

#define LIVE(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE(test_starts_and_stops),
		LIVE(test_produced_is_fetched),
		LIVE(test_answers_keep_the_order_of_requests),
		LIVE(test_a_commit_in_another_worker_wakes_a_fetch),
		LIVE(test_relaxed_wakes_too),
		LIVE(test_strict_wakes_too),
		LIVE(test_fetch_answers_empty_at_its_deadline),
		LIVE(test_stop_answers_what_waits),
		LIVE(test_acks_0_is_not_answered),
		LIVE(test_the_end_includes_what_was_acknowledged),
		LIVE(test_idempotent_retry_is_answered_with_the_original),
		LIVE(test_acknowledged_survives_kill_of_everything),
		LIVE(test_a_killed_worker_harms_only_its_own_clients),
		LIVE(test_a_killed_checkpointer_delays_and_loses_nothing),
		LIVE(test_nothing_is_written_without_a_checkpointer),
		LIVE(test_bytes_behind_a_request_are_ignored),
		LIVE(test_what_a_flush_parks_is_announced),
		LIVE(test_sigterm_for_everybody_at_once),
		LIVE(test_waiting_fetches_leave_room_for_others),
		LIVE(test_large_requests_of_many_at_once),
		LIVE(test_an_idle_broker_sleeps_and_wakes),
		LIVE(test_half_closed_clients_get_their_answers),
		LIVE(test_a_refused_client_waits_for_nothing),
		LIVE(test_a_client_that_is_gone_is_not_owed_anything_for_ever),
		LIVE(test_idle_connections_are_closed),
		LIVE(test_a_deleted_topic_ends_the_fetches_that_wait_for_it),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
