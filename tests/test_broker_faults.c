/*
 * Clients of a broker whose reads of the store fail, or whose sockets do, one call after another. Two workers in this
 * process; the client talks to worker 0, its group is worker 1's. Whatever fails: the answer is right, or an error that
 * sends the client round again, or the connection is closed; never a wrong answer, never silence. Asked again, it is
 * right.
 */
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/connection.h"
#include "broker/handoff.h"
#include "common/clock.h"
#include "common/diag.h"
#include "tests/lib/fault.h"
#include "tests/lib/members.h"
#include "tests/lib/sockfault.h"
#include "tests/lib/test.h"

#define BATCHES     6
#define STORED_ONLY 6 /* groups */
#define PATIENCE_MS 20000

static struct workers *ws;
static struct client c;
static struct member me;
static int64_t producer_id;
static int32_t sequence;
static bool produced; /* the present batch was acknowledged */
static enum err told; /* by the last answer that was none */

/* --- exchanges: what is asked, and whether the answer is right. False: it says that it is none -------- */

static bool
is_error(enum err e)
{
	told = e;
	return e != ERR_NONE;
}

static void
ask_metadata(void)
{
	struct metadata_request in;
	message_defaults(&metadata_request_message, &in);
	in.topics.n = -1;
	client_send(&c, API_METADATA, 9, &in);
}

static bool
check_metadata(const void *answer)
{
	const struct metadata_response *out = answer;
	assert_int_equal(out->topics.n, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(out->topics.at[i].error_code, ERR_NONE);
		assert_int_equal(out->topics.at[i].partitions.n, 1);
	}
	return true;
}

static void
ask_one(void)
{
	struct metadata_request_topic topic = { .name = STR("t") };
	struct metadata_request in;
	message_defaults(&metadata_request_message, &in);
	in.topics.at = &topic;
	in.topics.n = 1;
	client_send(&c, API_METADATA, 9, &in);
}

static bool
check_one(const void *answer)
{
	const struct metadata_response *out = answer;
	assert_int_equal(out->topics.n, 1);
	if (is_error(out->topics.at[0].error_code)) {
		assert_int_not_equal(told, ERR_UNKNOWN_TOPIC_OR_PARTITION);
		return false;
	}
	assert_int_equal(out->topics.at[0].partitions.n, 1);
	return true;
}

static void
ask_fetch(void)
{
	client_send_fetch(&c, "t", 0, 0, 0);
}

static bool
check_fetch(const void *answer)
{
	const struct fetch_response *out = answer;
	const struct fetch_response_partition_data *p = &out->responses.at[0].partitions.at[0];
	if (is_error(out->error_code) || is_error(p->error_code)) {
		assert_int_not_equal(told, ERR_OFFSET_OUT_OF_RANGE);
		assert_true(p->records.n <= 0);
		return false;
	}
	assert_int_equal(p->high_watermark, BATCHES);
	struct records one = client_batch(&c.arena, 1, 9000);
	assert_int_equal(p->records.n, BATCHES * one.n);
	for (int i = 0; i < BATCHES; i++) /* behind what the broker stamps */
		assert_memory_equal(p->records.at + i * one.n + 16, one.at + 16, (size_t)one.n - 16);
	return true;
}

static void
ask_list_offsets(void)
{
	struct list_offsets_request_partition p = { .timestamp = 0, .current_leader_epoch = -1 };
	struct list_offsets_request_topic t = { .name = STR("t"), .partitions = { &p, 1 } };
	struct list_offsets_request in = { .replica_id = -1, .topics = { &t, 1 } };
	client_send(&c, API_LIST_OFFSETS, 5, &in);
}

static bool
check_list_offsets(const void *answer)
{
	const struct list_offsets_response *out = answer;
	const struct list_offsets_response_partition *p = &out->topics.at[0].partitions.at[0];
	if (is_error(p->error_code))
		return false;
	assert_int_equal(p->offset, 0);
	return true;
}

static void
ask_offset(void)
{
	int32_t zero = 0;
	struct offset_fetch_request_topic t = { .name = STR("t"), .partition_indexes = { &zero, 1 } };
	struct offset_fetch_request in = { .group_id = str_of(me.group), .topics = { &t, 1 } };
	client_send(&c, API_OFFSET_FETCH, 5, &in);
}

static void
ask_all_offsets(void)
{
	struct offset_fetch_request in = { .group_id = str_of(me.group), .topics = { NULL, -1 } };
	client_send(&c, API_OFFSET_FETCH, 5, &in);
}

static bool
check_offset(const void *answer)
{
	const struct offset_fetch_response *out = answer;
	if (is_error(out->error_code))
		return false;
	assert_int_equal(out->topics.n, 1);
	if (is_error(out->topics.at[0].partitions.at[0].error_code))
		return false;
	assert_int_equal(out->topics.at[0].partitions.at[0].committed_offset, 3);
	return true;
}

static void
ask_groups(void)
{
	struct list_groups_request in;
	message_defaults(&list_groups_request_message, &in);
	client_send(&c, API_LIST_GROUPS, 2, &in);
}

static bool
check_groups(const void *answer)
{
	const struct list_groups_response *out = answer;
	if (is_error(out->error_code))
		return false;
	assert_int_equal(out->groups.n, 2 + STORED_ONLY);
	return true;
}

static void
ask_heartbeat(void)
{
	member_send_heartbeat(&c, me);
}

static bool
check_heartbeat(const void *answer)
{
	const struct heartbeat_response *out = answer;
	if (!is_error(out->error_code))
		return true;
	assert_true(told == ERR_COORDINATOR_NOT_AVAILABLE || told == ERR_NOT_COORDINATOR ||
		    told == ERR_COORDINATOR_LOAD_IN_PROGRESS);
	return false;
}

static void
ask_commit(void)
{
	struct offset_commit_request_partition p = { .committed_offset = 3,
						     .committed_leader_epoch = -1,
						     .committed_metadata = STR("") };
	struct offset_commit_request_topic t = { .name = STR("t"), .partitions = { &p, 1 } };
	struct offset_commit_request in = { .group_id = str_of(me.group),
					    .generation_id_or_member_epoch = me.generation,
					    .member_id = me.id,
					    .topics = { &t, 1 } };
	client_send(&c, API_OFFSET_COMMIT, 6, &in);
}

static bool
check_commit(const void *answer)
{
	const struct offset_commit_response *out = answer;
	if (!is_error(out->topics.at[0].partitions.at[0].error_code))
		return true;
	assert_int_not_equal(told, ERR_UNKNOWN_MEMBER_ID);
	assert_int_not_equal(told, ERR_ILLEGAL_GENERATION);
	assert_int_not_equal(told, ERR_UNKNOWN_TOPIC_OR_PARTITION);
	return false;
}

static void
ask_produce(void)
{
	if (produced)
		sequence++;
	produced = false;
	struct records batch = client_batch(&c.arena, 1, 10);
	client_batch_stamp(&batch, producer_id, 0, sequence);
	client_send_produce(&c, "written", 0, -1, batch);
}

/* Sent again until it is acknowledged, it is there once. */
static bool
check_produce(const void *answer)
{
	const struct produce_response *out = answer;
	const struct produce_response_partition_response *p = &out->responses.at[0].partition_responses.at[0];
	if (is_error(p->error_code)) {
		assert_true(err_is_retriable(told));
		return false;
	}
	assert_int_equal(p->base_offset, sequence);
	produced = true;
	return true;
}

static const struct exchange {
	const char *name;
	void (*ask)(void);
	bool (*check)(const void *answer);
} exchanges[] = {
	{ "Metadata, all", ask_metadata, check_metadata },
	{ "Metadata, one", ask_one, check_one },
	{ "Fetch", ask_fetch, check_fetch },
	{ "ListOffsets", ask_list_offsets, check_list_offsets },
	{ "OffsetFetch", ask_offset, check_offset },
	{ "OffsetFetch, all", ask_all_offsets, check_offset },
	{ "ListGroups", ask_groups, check_groups },
	{ "Heartbeat", ask_heartbeat, check_heartbeat },
	{ "OffsetCommit", ask_commit, check_commit },
	{ "Produce", ask_produce, check_produce },
};
#define EXCHANGES (sizeof(exchanges) / sizeof(exchanges[0]))

/* --- around them ------------------------------------------------------------------------------------- */

/* 1: there is a whole answer; 0: none yet; -1: the connection was closed. */
static int
look(void)
{
	uint8_t size[4];
	int have = 0;
	ssize_t n = recv(c.fd, size, sizeof(size), MSG_PEEK | MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		return -1;
	assert_int_equal(ioctl(c.fd, FIONREAD, &have), 0);
	return n == 4 && have >= 4 + (int)((uint32_t)size[0] << 24 | (uint32_t)size[1] << 16 |
					   (uint32_t)size[2] << 8 | size[3]);
}

static void
reconnect(void)
{
	client_close(&c);
	c = workers_connect(ws, 0);
}

/* Is the answer right? False: an error, or a closed connection, after which there is a new one. */
static bool
exchange(const struct exchange *e)
{
	int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
	int seen;
	told = ERR_NONE;
	e->ask();
	while ((seen = look()) == 0) {
		workers_turn(ws);
		if (clock_monotonic_ms() > deadline_ms)
			fail_msg("%s: no answer", e->name);
	}
	if (seen > 0)
		return e->check(workers_receive(ws, &c));
	reconnect();
	return false;
}

/* By itself, after some tries: an owner may be connected to anew. */
static void
must_recover(const struct exchange *e)
{
	for (int i = 0; i < 3; i++)
		if (exchange(e))
			return;
	fail_msg("%s: %s although nothing fails any more", e->name, err_name(told));
}

static int
setup(void **state)
{
	(void)state;
	diag_setup(DIAG_ERROR, DIAG_TEXT);
	ws = workers_begin(2);
	c = workers_connect(ws, 0);
	fixture_topic(&ws->store, "t", 1);
	fixture_topic(&ws->store, "written", 1);
	struct store_txn *txn = fixture_write(&ws->store);
	MUST(producer_id_next(txn, &producer_id));
	for (int i = 0; i < STORED_ONLY; i++) { /* no worker has them in memory */
		uint32_t number;
		MUST(groups_open(txn, str_of(arena_printf(&ws->store.arena, "stored-%d", i)), &number));
	}
	fixture_commit(txn);
	fixture_checkpoint(&ws->store);
	for (int i = 0; i < BATCHES; i++) {
		client_send_produce(&c, "t", 0, -1, client_batch(&c.arena, 1, 9000));
		(void)workers_receive(ws, &c);
	}
	sequence = 0;
	produced = false;
	struct member other = { .group = workers_group(ws, 0, 0) };
	(void)member_stable(ws, &c, other);
	me = member_stable(ws, &c, (struct member){ .group = workers_group(ws, 1, 0) });
	me.id = str_keep(&ws->store.arena, me.id);
	me.group = arena_printf(&ws->store.arena, "%s", me.group);
	for (size_t i = 0; i < EXCHANGES; i++)
		assert_true(exchange(&exchanges[EXCHANGES - 1 - i]));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	client_close(&c);
	workers_end(ws);
	return 0;
}

static void
all_is_well(void)
{
	for (size_t i = 0; i < EXCHANGES; i++)
		must_recover(&exchanges[i]);
}

/* --- the store --------------------------------------------------------------------------------------- */

static void
reads_that_fail(void **state)
{
	(void)state;
	static const int codes[] = { MDB_CORRUPTED, MDB_PAGE_NOTFOUND };
	test_stderr_begin();
	for (size_t i = 0; i < EXCHANGES; i++)
		for (size_t code = 0; code < 2; code++)
			for (int k = 1;; k++) {
				fault_set_looks(k, codes[code]);
				bool right = exchange(&exchanges[i]);
				bool fired = fault_fired();
				assert_true(right || fired);
				must_recover(&exchanges[i]);
				if (!fired)
					break;
			}
	all_is_well();
	(void)test_stderr_end();
}

/* A successor whose first looks at the groups fail: nobody is forgotten. */
static void
groups_that_cannot_be_loaded(void **state)
{
	(void)state;
	const struct exchange *beat = &exchanges[7];
	test_stderr_begin();
	for (int k = 1;; k++) {
		workers_kill(ws, 1);
		workers_settle(ws);
		fault_set_looks(k, MDB_CORRUPTED);
		workers_start(ws, 1);
		(void)exchange(beat);
		bool fired = fault_fired();
		must_recover(beat);
		if (!fired)
			break;
		assert_true(k < 200);
	}
	all_is_well();
	(void)test_stderr_end();
}

/* --- sockets ----------------------------------------------------------------------------------------- */

static void
try_all(unsigned calls, int error, bool harmless)
{
	for (size_t i = 0; i < EXCHANGES; i++)
		for (int k = 1;; k++) {
			sockfault_set(k, calls, error);
			bool right = exchange(&exchanges[i]);
			bool fired = sockfault_fired();
			if (harmless || !fired)
				assert_true(right);
			else if (!right)
				must_recover(&exchanges[i]);
			if (!fired)
				break;
		}
}

/* Nothing was lost, it comes in the next turn: no client notices. */
static void
sockets_that_are_not_ready(void **state)
{
	(void)state;
	static const int errors[] = { EAGAIN, EINTR, SOCKFAULT_SHORT };
	for (size_t i = 0; i < 3; i++) {
		try_all(SOCKFAULT_RECEIVE, errors[i], true);
		try_all(SOCKFAULT_SEND, errors[i], true);
	}
	all_is_well();
}

static void
sockets_that_break(void **state)
{
	(void)state;
	static const int errors[] = { ECONNRESET, EPIPE, ENOBUFS, ETIMEDOUT };
	test_stderr_begin();
	for (size_t i = 0; i < 4; i++) {
		try_all(SOCKFAULT_RECEIVE, errors[i], false);
		try_all(SOCKFAULT_SEND, errors[i], false);
		all_is_well();
	}
	(void)test_stderr_end();
}

/* Each time there is no connection yet between the workers. */
static void
owners_that_cannot_be_reached(void **state)
{
	(void)state;
	static const int errors[] = { EAGAIN,  EINTR,  EMFILE,       ENFILE,
				      ENOBUFS, ENOMEM, ECONNABORTED, ECONNREFUSED };
	const struct exchange *beat = &exchanges[7];
	test_stderr_begin();
	for (size_t i = 0; i < 8; i++)
		for (int k = 1;; k++) {
			workers_kill(ws, 1);
			workers_start(ws, 1);
			workers_settle(ws);
			sockfault_set(k, SOCKFAULT_CONNECT, errors[i]);
			bool right = exchange(beat);
			bool fired = sockfault_fired();
			if (!right)
				must_recover(beat);
			if (!fired)
				break;
		}
	all_is_well();
	(void)test_stderr_end();
}

/* A worker that is out of descriptors looks again in a moment, and does not run in circles until then. */
static void
a_worker_without_descriptors_pauses(void **state)
{
	(void)state;
	static const int errors[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM };
	const struct exchange *beat = &exchanges[7];
	for (size_t i = 0; i < 4; i++) {
		workers_kill(ws, 1);
		workers_start(ws, 1);
		workers_settle(ws);
		ws->frozen[1] = true;
		beat->ask();
		workers_settle(ws); /* connected, as far as worker 0 can see */
		ws->frozen[1] = false;
		sockfault_set(1, SOCKFAULT_CONNECT, errors[i]);
		workers_turn(ws);
		assert_true(sockfault_fired());
		assert_false(ev_is_active(&ws->at[1]->forward.arrivals));
		assert_true(beat->check(workers_receive(ws, &c)));
		assert_true(ev_is_active(&ws->at[1]->forward.arrivals));
	}
}

/* What the supervisor cannot hand over stays its own; what a worker cannot take now, it can take later. */
static void
connections_that_cannot_be_handed_over(void **state)
{
	(void)state;
	static const int errors[] = { EAGAIN, EINTR, ENOBUFS, EMFILE };
	struct handoff h;
	struct arrival arrival, sent = { .listener = 3 };
	int fd;
	handoff_create(&h);
	for (size_t i = 0; i < 4; i++) {
		sockfault_set(1, SOCKFAULT_SEND, errors[i]);
		assert_false(handoff_send(&h, c.fd, &sent));
		assert_true(sockfault_fired());
		assert_int_equal(handoff_receive(&h, &fd, &arrival), HANDOFF_NOTHING);
		assert_true(handoff_send(&h, c.fd, &sent));
		sockfault_set(1, SOCKFAULT_RECEIVE, errors[i]);
		assert_int_equal(handoff_receive(&h, &fd, &arrival), HANDOFF_NOTHING);
		assert_true(sockfault_fired());
		assert_int_equal(handoff_receive(&h, &fd, &arrival), HANDOFF_CONNECTION);
		assert_int_equal(arrival.listener, 3);
		close(fd);
	}
	close(h.supervisor);
	close(h.worker);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_that_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(groups_that_cannot_be_loaded, setup, teardown),
		cmocka_unit_test_setup_teardown(sockets_that_are_not_ready, setup, teardown),
		cmocka_unit_test_setup_teardown(sockets_that_break, setup, teardown),
		cmocka_unit_test_setup_teardown(owners_that_cannot_be_reached, setup, teardown),
		cmocka_unit_test_setup_teardown(a_worker_without_descriptors_pauses, setup, teardown),
		cmocka_unit_test_setup_teardown(connections_that_cannot_be_handed_over, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
