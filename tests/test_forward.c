/*
 * Requests that another worker serves: the way there and back, and everything that can happen to either end while
 * they are under way. Two workers in this process; clients talk to worker 0, the groups are worker 1's.
 */
#include "broker/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/connection.h"
#include "common/bytes.h"
#include "common/diag.h"
#include "tests/lib/members.h"
#include "tests/lib/test.h"

static struct workers *ws;
static const char *group; /* worker 1's */

static int
setup(void **state)
{
	(void)state;
	diag_setup(DIAG_WARN, DIAG_TEXT);
	ws = workers_begin(2);
	group = workers_group(ws, 1, 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	workers_end(ws);
	return 0;
}

#define assert_err(got, e) assert_string_equal(err_name(got), err_name(e))

static struct client
connect_to_other(void)
{
	return workers_connect(ws, 0);
}

static struct join_group_response *
receive_join(struct client *c, enum err e)
{
	struct join_group_response *r = workers_receive(ws, c);
	assert_err(r->error_code, e);
	return r;
}

/* Requests of other workers that the owner has not answered. */
static int
calls_at_owner(void)
{
	int n = 0;

	LIST_EACH (&ws->at[1]->connections, it) {
		struct connection *c = LIST_OF(it, struct connection, in_worker);
		n += c->internal ? c->call_n : 0;
	}
	return n;
}

/* --- there and back ------------------------------------------------------------------------------------ */

static void
test_the_owner_serves(void **state)
{
	(void)state;
	struct client c = connect_to_other();
	struct member m = member_stable(ws, &c, (struct member){ .group = group });
	assert_err(member_heartbeat(ws, &c, m), ERR_NONE);
	assert_non_null(coordinator_peek(ws->at[1], str_of(group)));
	assert_null(coordinator_peek(ws->at[0], str_of(group)));
	client_close(&c);
}

/* Its name, and where it is: as if it were the owner's own. */
static void
test_the_owner_knows_the_client(void **state)
{
	(void)state;
	struct client c = connect_to_other(), direct = workers_connect(ws, 1);
	const char *own = workers_group(ws, 1, 1);
	member_stable(ws, &c, (struct member){ .group = group });
	member_stable(ws, &direct, (struct member){ .group = own });
	const struct describe_groups_response_member *far = member_describe(ws, &c, group)->members.at,
						     *near = member_describe(ws, &c, own)->members.at;
	assert_str(far->client_id, "test");
	assert_true(near->client_host.n > 1);
	assert_true(str_eq(far->client_host, near->client_host));
	client_close(&c);
	client_close(&direct);
}

/* A JoinGroup that waits does not hold up the heartbeats behind it in the same socket. */
static void
test_answers_overtake_each_other(void **state)
{
	(void)state;
	struct client a = connect_to_other(), b = connect_to_other();
	struct member m = member_stable(ws, &a, (struct member){ .group = group });
	member_send_join(&b, (struct member){ .group = group });
	assert_true(workers_is_quiet(ws, &b));
	for (int i = 0; i < 3; i++)
		assert_err(member_heartbeat(ws, &a, m), ERR_REBALANCE_IN_PROGRESS);
	assert_true(workers_is_quiet(ws, &b));
	member_send_join(&a, m);
	assert_int_equal(receive_join(&a, ERR_NONE)->members.n, 2);
	receive_join(&b, ERR_NONE);
	client_close(&a);
	client_close(&b);
}

/* But for one client they keep the order of its requests. */
static void
test_answers_keep_the_order_of_their_client(void **state)
{
	(void)state;
	struct client a = connect_to_other(), b = connect_to_other();
	struct member m = member_stable(ws, &a, (struct member){ .group = group });
	member_send_join(&b, (struct member){ .group = group });
	member_send_heartbeat(&b, m);
	member_send_heartbeat(&b, (struct member){ .group = workers_group(ws, 0, 0), .id = STR("x") });
	assert_true(workers_is_quiet(ws, &b));
	member_send_join(&a, m);
	receive_join(&b, ERR_NONE);
	/* Nothing is begun behind a JoinGroup: the next generation is there when the heartbeat is looked at. */
	assert_err(((struct heartbeat_response *)workers_receive(ws, &b))->error_code,
		   ERR_ILLEGAL_GENERATION);
	assert_err(((struct heartbeat_response *)workers_receive(ws, &b))->error_code, ERR_UNKNOWN_MEMBER_ID);
	receive_join(&a, ERR_NONE);
	client_close(&a);
	client_close(&b);
}

/* The owner's answer to the heartbeat is there long before that to the request in front of it. */
static void
test_an_answer_waits_for_those_before_it(void **state)
{
	(void)state;
	struct client a = connect_to_other(), b = connect_to_other();
	struct member m = member_stable(ws, &a, (struct member){ .group = group });
	ws->hold = true;
	member_send_leave(&b, m); /* to be answered when it is durable */
	member_send_heartbeat(&b, m);
	member_send_heartbeat(&b, (struct member){ .group = workers_group(ws, 0, 0), .id = STR("x") });
	assert_true(workers_is_quiet(ws, &b));
	ws->hold = false;
	assert_err(((struct leave_group_response *)workers_receive(ws, &b))->error_code, ERR_NONE);
	assert_err(((struct heartbeat_response *)workers_receive(ws, &b))->error_code, ERR_UNKNOWN_MEMBER_ID);
	assert_err(((struct heartbeat_response *)workers_receive(ws, &b))->error_code, ERR_UNKNOWN_MEMBER_ID);
	client_close(&a);
	client_close(&b);
}

/* More than a socket holds, there (while the owner does not read) and back (the leader's answer has all of it). */
static void
test_large_requests_and_answers(void **state)
{
	(void)state;
	enum { N = 8 };
	static char metadata[100 * 1024];
	struct client c[N];
	memset(metadata, 'm', sizeof(metadata));
	struct str large = { .at = metadata, .n = sizeof(metadata) };
	ws->frozen[1] = true;
	for (int i = 0; i < N; i++) {
		c[i] = connect_to_other();
		member_send_join(&c[i], (struct member){ .group = group, .metadata = large });
		assert_true(workers_is_quiet(ws, &c[i]));
	}
	assert_true(buf_len(&ws->at[0]->forward.link[1]->out) > sizeof(metadata));
	ws->frozen[1] = false;
	struct join_group_response *first = receive_join(&c[0], ERR_NONE);
	struct member leader = { .group = group, .id = first->member_id, .metadata = large };
	member_send_join(&c[0], leader);
	struct join_group_response *all = receive_join(&c[0], ERR_NONE);
	assert_int_equal(all->members.n, N);
	for (int i = 0; i < N; i++) {
		assert_int_equal(all->members.at[i].metadata.n, sizeof(metadata));
		assert_memory_equal(all->members.at[i].metadata.at, metadata, sizeof(metadata));
	}
	for (int i = 1; i < N; i++) {
		receive_join(&c[i], ERR_NONE);
		client_close(&c[i]);
	}
	client_close(&c[0]);
}

/*
 * The owner does not read, and clients come, ask and go, again and again: no limit of a connection counts, as each is
 * new. What is kept for the owner is bounded; when it reads again all is as it was.
 */
static void
test_an_owner_that_does_not_read(void **state)
{
	(void)state;
	static char metadata[100 * 1024];
	struct client good = connect_to_other();
	struct member m = member_stable(ws, &good, (struct member){ .group = group });
	struct str large = { .at = metadata, .n = sizeof(metadata) };
	const struct forward_link *link = ws->at[0]->forward.link[1];
	int refused = 0;
	ws->frozen[1] = true;
	for (int i = 0; i < 250; i++) {
		struct client c = connect_to_other();
		member_send_join(&c, (struct member){ .group = group, .metadata = large });
		if (!workers_is_quiet(ws, &c)) {
			receive_join(&c, ERR_COORDINATOR_LOAD_IN_PROGRESS);
			refused++;
		}
		client_close(&c);
		workers_turn(ws);
		assert_true(buf_len(&link->out) < FORWARD_BACKLOG_BYTES + 2 * sizeof(metadata));
	}
	assert_in_range(refused, 50, 100);
	assert_true(buf_len(&link->out) > FORWARD_BACKLOG_BYTES);
	ws->frozen[1] = false;
	for (int i = 0; i < 200; i++)
		workers_turn(ws);
	assert_int_equal(calls_at_owner(), 0);
	assert_true(link->out.cap < 2 << 20);
	assert_err(member_heartbeat(ws, &good, m), ERR_REBALANCE_IN_PROGRESS);
	client_close(&good);
}

/* A JoinGroup may wait for minutes: its bytes are in the group, and nowhere else. */
static void
test_who_waits_holds_no_memory_of_requests(void **state)
{
	(void)state;
	enum { METADATA_BYTES = 100 * 1024 };
	char *metadata = malloc(METADATA_BYTES);
	struct client a = connect_to_other(), b = connect_to_other();
	struct member m = member_stable(ws, &a, (struct member){ .group = group });

	memset(metadata, 'm', METADATA_BYTES);
	member_send_join(&b, (struct member){ .group = group, .metadata = { metadata, METADATA_BYTES } });
	workers_settle(ws);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ws->at[i]->chunks.bytes, 0);
	member_send_join(&a, m);
	receive_join(&b, ERR_NONE);
	receive_join(&a, ERR_NONE);
	client_close(&a);
	client_close(&b);
	free(metadata);
}

/* Hundreds of requests in one write are not all served before anybody else's. */
static void
test_nobody_has_more_than_a_turn(void **state)
{
	(void)state;
	struct client many = workers_connect(ws, 0);
	struct api_versions_request ask;

	message_defaults(&api_versions_request_message, &ask);
	for (int i = 0; i < 200; i++)
		client_send(&many, API_API_VERSIONS, 0, &ask);
	workers_turn(ws);
	assert_false(list_is_empty(&ws->at[0]->later));
	workers_settle(ws);
	assert_true(list_is_empty(&ws->at[0]->later));
	for (int i = 0; i < 200; i++)
		assert_non_null(client_receive(&many));
	client_close(&many);
}

/* Nor are many clients, each of whom asks for a lot once, all served in one turn of the loop. */
static void
test_a_turn_ends_in_time(void **state)
{
	(void)state;
	enum { CLIENTS = 10, NAMES = 20000 }; /* some 50 ms each */
	static char text[NAMES][8];
	static struct str names[NAMES];
	struct describe_groups_request ask = { .groups = { .at = names, .n = NAMES } };
	struct client c[CLIENTS];

	for (int i = 0; i < NAMES; i++) {
		snprintf(text[i], sizeof(text[i]), "%d", i);
		names[i] = str_of(text[i]);
	}
	ws->config.workers = 1; /* answers alone */
	for (int i = 0; i < CLIENTS; i++) {
		c[i] = workers_connect(ws, 0);
		client_send(&c[i], API_DESCRIBE_GROUPS, 5, &ask);
	}
	workers_turn(ws);
	assert_false(list_is_empty(&ws->at[0]->later));
	for (int i = 0; i < CLIENTS; i++) {
		const struct describe_groups_response *answer = workers_receive(ws, &c[i]);
		assert_int_equal(answer->groups.n, NAMES);
		client_close(&c[i]);
	}
	assert_true(list_is_empty(&ws->at[0]->later));
	ws->config.workers = 2;
}

static struct connection *
newest_connection(struct worker *w)
{
	return LIST_OF(w->connections.prev, struct connection, in_worker);
}

/* As one goes on that may send a large request: it is moved a few times, not with each packet. */
static void
test_a_growing_request_is_seldom_moved(void **state)
{
	(void)state;
	static const uint8_t size[] = { 0, 0x80, 0, 0 }, packet[8192];
	struct client a = connect_to_other();
	const struct chunk *before = NULL;
	int moves = 0;

	client_send_raw(&a, size, sizeof(size));
	for (int i = 0; i < 500; i++) {
		client_send_raw(&a, packet, sizeof(packet));
		workers_turn(ws);
		const struct connection *c = newest_connection(ws->at[0]);
		assert_non_null(c->chunk);
		moves += c->chunk != before;
		before = c->chunk;
	}
	assert_in_range(moves, 2, 6);
	client_close(&a);
}

/* Memory is short. The first of those that wait for it does not read its answers: the others do not wait for that. */
static void
test_who_does_not_read_does_not_wait_for_memory(void **state)
{
	(void)state;
	static const uint8_t ask[] = { 0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff };
	static uint8_t many[sizeof(ask) * 1000 + 1];
	struct worker *w = ws->at[0];
	struct client a = connect_to_other();

	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = ask[i % sizeof(ask)];
	client_send_raw(&a, many, 1);
	workers_turn(ws);
	struct connection *c = newest_connection(w);
	w->chunks.bytes += (size_t)ws->config.queued_max_bytes; /* others' */
	client_send_raw(&a, many + 1, sizeof(many) - 1);
	for (int i = 0; i < 10000 && buf_len(&c->pending) == 0; i++) {
		send(a.fd, many + 1, sizeof(many) - 1, MSG_DONTWAIT);
		workers_turn(ws);
	}
	assert_true(buf_len(&c->pending) > 0);
	assert_true(list_is_empty(&w->starved) && list_is_empty(&w->beginners));
	w->chunks.bytes -= (size_t)ws->config.queued_max_bytes;
	client_close(&a);
}

/* Nor does one that asks for a great answer many times at once have more than one of them made. */
static void
test_one_great_answer_at_a_time(void **state)
{
	(void)state;
	enum { METADATA_BYTES = 100 * 1024, TIMES = 400 };
	char *metadata = malloc(METADATA_BYTES);
	struct client a = connect_to_other();
	static char text[TIMES][32];
	struct str names[TIMES];
	struct describe_groups_request ask = { .groups = { .at = names, .n = TIMES } };

	memset(metadata, 'm', METADATA_BYTES);
	for (int i = 0; i < TIMES; i++) {
		snprintf(text[i], sizeof(text[i]), "%s", workers_group(ws, 1, i));
		names[i] = str_of(text[i]);
		member_stable(ws, &a,
			      (struct member){ .group = text[i], .metadata = { metadata, METADATA_BYTES } });
	}
	client_send(&a, API_DESCRIBE_GROUPS, 5, &ask);
	client_send(&a, API_DESCRIBE_GROUPS, 5, &ask);
	for (int turn = 0; turn < 20; turn++) {
		workers_turn(ws);
		LIST_EACH (&ws->at[0]->connections, it)
			assert_true(LIST_OF(it, struct connection, in_worker)->alone_n <= 1);
	}
	for (int time = 0; time < 2; time++) {
		struct describe_groups_response *answer = workers_receive(ws, &a);
		int served = 0;
		for (int i = 0; i < TIMES; i++) {
			const struct describe_groups_response_group *g = &answer->groups.at[i];
			served +=
			    g->error_code == ERR_NONE && g->members.at[0].member_metadata.n == METADATA_BYTES;
			if (g->error_code != ERR_NONE)
				assert_err(g->error_code, ERR_COORDINATOR_NOT_AVAILABLE);
		}
		assert_in_range(served, 200, 330); /* 32 MB */
	}
	client_close(&a);
	free(metadata);
}

/*
 * A worker dies with a request on its way. Its client comes back through another and says something newer; so the old
 * request must not be begun any more.
 */
static void
test_what_a_dead_worker_sent_is_not_begun(void **state)
{
	(void)state;
	struct client direct = workers_connect(ws, 1), a = connect_to_other();
	struct member m = member_stable(ws, &direct, (struct member){ .group = group });
	assert_err(member_heartbeat(ws, &a, m), ERR_NONE); /* the way is there */
	ws->frozen[1] = true;
	member_send_leave(&a, m);
	workers_settle(ws);
	workers_kill(ws, 0);
	ws->frozen[1] = false;
	assert_err(member_heartbeat(ws, &direct, m), ERR_NONE);
	workers_settle(ws);
	assert_err(member_heartbeat(ws, &direct, m), ERR_NONE);
	client_close(&a);
	client_close(&direct);
}

/* --- the owner dies ------------------------------------------------------------------------------------ */

static void
test_a_dead_owners_calls_are_told(void **state)
{
	(void)state;
	struct client a = connect_to_other(), b = connect_to_other(), c = connect_to_other(),
		      d = connect_to_other();
	struct member m = member_stable(ws, &a, (struct member){ .group = group });
	member_send_join(&b, (struct member){ .group = group }); /* waits at the owner */
	workers_settle(ws);
	ws->frozen[1] = true;
	member_send_heartbeat(&a, m); /* is in the socket */
	member_send_sync(&c, m);
	member_send_leave(&d, (struct member){ .group = group, .id = STR("x") });
	workers_settle(ws);
	workers_kill(ws, 1);
	receive_join(&b, ERR_COORDINATOR_LOAD_IN_PROGRESS);
	assert_err(((struct heartbeat_response *)workers_receive(ws, &a))->error_code, ERR_NONE);
	assert_err(((struct sync_group_response *)workers_receive(ws, &c))->error_code,
		   ERR_REBALANCE_IN_PROGRESS);
	assert_err(((struct leave_group_response *)workers_receive(ws, &d))->error_code,
		   ERR_COORDINATOR_LOAD_IN_PROGRESS);

	/* what comes now waits for the successor, who goes on with the group as it was */
	member_send_heartbeat(&a, m);
	assert_true(workers_is_quiet(ws, &a));
	ws->frozen[1] = false;
	workers_start(ws, 1);
	assert_err(((struct heartbeat_response *)workers_receive(ws, &a))->error_code, ERR_NONE);
	client_close(&a);
	client_close(&b);
	client_close(&c);
	client_close(&d);
}

/* What was not sent to the one that died is not sent to its successor: its clients have been told. */
static void
test_a_successor_gets_nothing_of_the_old(void **state)
{
	(void)state;
	enum { N = 4 };
	static char metadata[100 * 1024];
	struct client c[N], later = connect_to_other();
	struct str large = { .at = metadata, .n = sizeof(metadata) };
	member_describe(ws, &later, group); /* the two are connected */
	ws->frozen[1] = true;
	for (int i = 0; i < N; i++) {
		c[i] = connect_to_other();
		member_send_join(&c[i], (struct member){ .group = group, .metadata = large });
		workers_settle(ws);
	}
	assert_true(buf_len(&ws->at[0]->forward.link[1]->out) > sizeof(metadata));
	workers_kill(ws, 1);
	for (int i = 0; i < N; i++) {
		receive_join(&c[i], ERR_COORDINATOR_LOAD_IN_PROGRESS);
		client_close(&c[i]);
	}
	ws->frozen[1] = false;
	workers_start(ws, 1);
	member_send_join(&later, (struct member){ .group = group });
	assert_int_equal(receive_join(&later, ERR_NONE)->members.n, 1);
	client_close(&later);
}

/* Its clients have gone before: nobody is there to be told. */
static void
test_a_dead_owner_of_calls_that_nobody_waits_for(void **state)
{
	(void)state;
	struct client a = connect_to_other(), b = connect_to_other();
	struct member m = member_stable(ws, &a, (struct member){ .group = group });
	member_send_join(&b, (struct member){ .group = group });
	workers_settle(ws);
	ws->frozen[1] = true;
	client_close(&b);
	workers_settle(ws);
	struct client c = connect_to_other(); /* takes the struct call */
	const char *own = workers_group(ws, 0, 0);
	struct client leads = connect_to_other();
	struct member leader = member_stable(ws, &leads, (struct member){ .group = own });
	member_send_join(&c, (struct member){ .group = own });
	workers_settle(ws);
	workers_kill(ws, 1);
	assert_true(workers_is_quiet(ws, &c));
	member_send_join(&leads, leader);
	receive_join(&c, ERR_NONE);
	(void)m;
	client_close(&a);
	client_close(&c);
	client_close(&leads);
}

static void
test_an_owner_that_cannot_be_reached(void **state)
{
	(void)state;
	struct client c = connect_to_other();
	struct forward_socket real = ws->family.forward[1];
	ws->family.forward[1].address.sun_path[1] = '?';
	member_send_join(&c, (struct member){ .group = group });
	test_stderr_begin();
	receive_join(&c, ERR_COORDINATOR_LOAD_IN_PROGRESS);
	assert_non_null(strstr(test_stderr_end(), "another worker cannot be reached"));
	ws->family.forward[1] = real;
	assert_int_equal(member_joins(ws, &c, (struct member){ .group = group }).generation, 1);
	client_close(&c);
}

/* --- the client goes ----------------------------------------------------------------------------------- */

/* In the group: the owner is told, and the other members need not wait; others that wait go on waiting. */
static void
test_gone_while_waiting_for_members(void **state)
{
	(void)state;
	struct client a = connect_to_other(), b = connect_to_other(), c = connect_to_other();
	struct member m = member_stable(ws, &a, (struct member){ .group = group });
	member_send_join(&b, (struct member){ .group = group });
	workers_settle(ws);
	ws->at[0]->forward.next_id += 1023; /* in the same bucket, wherever it is */
	member_send_join(&c, (struct member){ .group = group });
	workers_settle(ws);
	assert_int_equal(calls_at_owner(), 2);
	client_close(&c);
	workers_settle(ws);
	assert_int_equal(calls_at_owner(), 1);
	assert_true(workers_is_quiet(ws, &b));
	member_send_join(&a, m);
	assert_int_equal(receive_join(&a, ERR_NONE)->members.n, 2);
	receive_join(&b, ERR_NONE);
	client_close(&a);
	client_close(&b);
}

/* In what waits for the disk; and before the owner has read the request at all. */
static void
test_gone_while_the_answer_waits_for_the_disk(void **state)
{
	(void)state;
	struct client a = connect_to_other(), b = connect_to_other();
	ws->hold = true;
	member_send_join(&a, (struct member){ .group = group });
	workers_settle(ws);
	ws->frozen[1] = true;
	member_send_join(&b, (struct member){ .group = group });
	workers_settle(ws);
	client_close(&a);
	client_close(&b);
	workers_settle(ws);
	ws->frozen[1] = false;
	workers_settle(ws);
	assert_int_equal(calls_at_owner(), 0);
	ws->hold = false;
	workers_settle(ws);
	struct client c = connect_to_other();
	assert_int_equal(member_describe(ws, &c, group)->members.n, 1); /* b could not come back, a may */
	client_close(&c);
}

static struct offset_commit_request
simple_commit(void)
{
	static struct offset_commit_request_partition p;
	static struct offset_commit_request_topic topic;
	struct offset_commit_request request;

	message_defaults(&offset_commit_request_partition_message, &p);
	message_defaults(&offset_commit_request_topic_message, &topic);
	message_defaults(&offset_commit_request_message, &request);
	p.committed_offset = 5;
	topic.name = STR("t");
	topic.partitions.at = &p;
	topic.partitions.n = 1;
	request.group_id = str_of(group);
	request.topics.at = &topic;
	request.topics.n = 1;
	return request;
}

/* An OffsetCommit that is in the owner's turn is written all the same, and answered to nobody. */
static void
test_gone_while_its_offsets_are_written(void **state)
{
	(void)state;
	struct client a = connect_to_other(), b = connect_to_other();
	struct offset_commit_request request = simple_commit();
	fixture_topic(&ws->store, "t", 1);
	member_send_heartbeat(&a, (struct member){ .group = group, .id = STR("x") });
	atomic_store(&ws->family.shared->store.writes_ok, 0);
	client_send(&a, API_OFFSET_COMMIT, 8, &request);
	workers_settle(ws);
	assert_int_equal(calls_at_owner(), 1);
	client_close(&a); /* an answer unread: the connection breaks */
	workers_settle(ws);
	assert_int_equal(calls_at_owner(), 1);
	atomic_store(&ws->family.shared->store.writes_ok, 1);
	workers_settle(ws);
	assert_int_equal(calls_at_owner(), 0);
	member_send_heartbeat(&b, (struct member){ .group = group, .id = STR("x") });
	assert_err(((struct heartbeat_response *)workers_receive(ws, &b))->error_code, ERR_UNKNOWN_MEMBER_ID);
	struct store_txn *txn = fixture_read(&ws->store);
	uint32_t number;
	assert_err(groups_number(txn, str_of(group), &number), ERR_NONE);
	store_read_end(txn);
	client_close(&b);
}

static void
test_a_half_closed_client_waits_no_longer(void **state)
{
	(void)state;
	struct client a = connect_to_other(), b = connect_to_other();
	member_stable(ws, &a, (struct member){ .group = group });
	member_send_join(&b, (struct member){ .group = group });
	workers_settle(ws);
	shutdown(b.fd, SHUT_WR);
	receive_join(&b, ERR_NOT_COORDINATOR);
	assert_true(workers_is_closed(ws, &b));
	assert_int_equal(calls_at_owner(), 0);
	client_close(&a);
	client_close(&b);
}

/* The worker that forwarded dies: what it waited for at the owner ends. */
static void
test_the_forwarding_worker_dies(void **state)
{
	(void)state;
	struct client a = workers_connect(ws, 1), b = connect_to_other();
	struct member m = member_stable(ws, &a, (struct member){ .group = group });
	member_send_join(&b, (struct member){ .group = group });
	workers_settle(ws);
	workers_kill(ws, 0);
	workers_settle(ws);
	assert_int_equal(calls_at_owner(), 0);
	member_send_join(&a, m);
	assert_int_equal(receive_join(&a, ERR_NONE)->members.n, 1);
	client_close(&a);
	client_close(&b);
}

/* --- what no worker sends ------------------------------------------------------------------------------ */

static int
internal_connections(void)
{
	int n = 0;

	LIST_EACH (&ws->at[1]->connections, it)
		n += LIST_OF(it, struct connection, in_worker)->internal;
	return n;
}

static void
refuses(const uint8_t *frame, uint32_t n)
{
	uint8_t size[4];
	int fd = forward_socket_connect(&ws->family.forward[1]);
	assert_true(fd >= 0);
	put_u32(size, n);
	assert_int_equal(send(fd, size, sizeof(size), MSG_NOSIGNAL), sizeof(size));
	assert_int_equal(send(fd, frame, n, MSG_NOSIGNAL), n);
	workers_settle(ws);
	assert_int_equal(internal_connections(), 0);
	close(fd);
}

static void
test_broken_envelopes_end_the_connection(void **state)
{
	(void)state;
	refuses((const uint8_t *)"\xff\0\0\0", 4);               /* gone: a byte is missing */
	refuses((const uint8_t *)"\x08host", 5);                 /* the address is longer than all */
	refuses((const uint8_t *)"\x04host", 5);                 /* no request behind it */
	refuses((const uint8_t *)"\0\x7f\xff\0\0\0\0\0\x01", 9); /* an API that nobody has */
}

/* Of calls that are not there: answered before, or never sent. */
static void
test_news_of_unknown_calls_are_ignored(void **state)
{
	(void)state;
	static const uint8_t gone[] = { 0, 0, 0, 5, 255, 0, 0, 0, 9 };
	int fd = forward_socket_connect(&ws->family.forward[1]);
	assert_int_equal(send(fd, gone, sizeof(gone), MSG_NOSIGNAL), sizeof(gone));
	workers_settle(ws);
	assert_int_equal(internal_connections(), 1);
	close(fd);
}

/* An owner that is out of its mind: the test in its place. */
static void
test_an_answer_that_cannot_be_read(void **state)
{
	(void)state;
	static const uint8_t unknown[] = { 0, 0, 0, 4, 0x7f, 0, 0, 0 };
	static const uint8_t short_answer[] = { 0, 0, 0, 5, 0, 0, 0, 1, 0xff };
	struct client c = connect_to_other();
	workers_kill(ws, 1);
	member_send_join(&c, (struct member){ .group = group });
	workers_settle(ws);
	int fd = forward_socket_accept(&ws->family.forward[1]);
	assert_true(fd >= 0);
	assert_int_equal(send(fd, unknown, sizeof(unknown), MSG_NOSIGNAL), sizeof(unknown));
	assert_true(workers_is_quiet(ws, &c));
	test_stderr_begin();
	assert_int_equal(send(fd, short_answer, 6, MSG_NOSIGNAL), 6);
	assert_true(workers_is_quiet(ws, &c)); /* half of it */
	assert_int_equal(send(fd, short_answer + 6, 3, MSG_NOSIGNAL), 3);
	receive_join(&c, ERR_UNKNOWN_SERVER_ERROR);
	assert_non_null(strstr(test_stderr_end(), "another worker's answer cannot be read"));
	close(fd);
	client_close(&c);
}

/* Half an answer, and then the owner dies: its successor's begins at its own first byte. */
static void
test_half_an_answer_is_none(void **state)
{
	(void)state;
	struct client c = connect_to_other();
	workers_kill(ws, 1);
	member_send_join(&c, (struct member){ .group = group });
	workers_settle(ws);
	int fd = forward_socket_accept(&ws->family.forward[1]);
	assert_int_equal(send(fd, "\0\0\1\0\0\0", 6, MSG_NOSIGNAL), 6);
	assert_true(workers_is_quiet(ws, &c));
	close(fd);
	receive_join(&c, ERR_COORDINATOR_LOAD_IN_PROGRESS);
	workers_start(ws, 1);
	assert_int_equal(member_joins(ws, &c, (struct member){ .group = group }).generation, 1);
	client_close(&c);
}

/* Its turn comes after another's, whose bytes have been where its own were. */
static void
test_an_answer_lives_until_it_is_sent(void **state)
{
	(void)state;
	struct client a = connect_to_other(), b = connect_to_other();
	const char *second = workers_group(ws, 1, 1);
	struct member m = member_stable(ws, &a, (struct member){ .group = group });
	member_send_join(&b, (struct member){ .group = group });
	member_send_join(&b, (struct member){ .group = second, .asks_first = true });
	workers_settle(ws);
	for (int i = 0; i < 20; i++)
		member_describe(ws, &a, group); /* long answers in the same buffer */
	member_send_join(&a, m);
	receive_join(&b, ERR_NONE);
	struct str id = receive_join(&b, ERR_MEMBER_ID_REQUIRED)->member_id;
	receive_join(&a, ERR_NONE);
	assert_int_equal(
	    member_joins(ws, &b, (struct member){ .group = second, .id = id, .asks_first = true }).generation,
	    1);
	client_close(&a);
	client_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
		T(the_owner_serves),
		T(the_owner_knows_the_client),
		T(answers_overtake_each_other),
		T(answers_keep_the_order_of_their_client),
		T(an_answer_waits_for_those_before_it),
		T(who_waits_holds_no_memory_of_requests),
		T(what_a_dead_worker_sent_is_not_begun),
		T(a_turn_ends_in_time),
		T(a_growing_request_is_seldom_moved),
		T(who_does_not_read_does_not_wait_for_memory),
		T(one_great_answer_at_a_time),
		T(large_requests_and_answers),
		T(an_owner_that_does_not_read),
		T(a_dead_owners_calls_are_told),
		T(a_successor_gets_nothing_of_the_old),
		T(a_dead_owner_of_calls_that_nobody_waits_for),
		T(an_owner_that_cannot_be_reached),
		T(gone_while_waiting_for_members),
		T(gone_while_the_answer_waits_for_the_disk),
		T(gone_while_its_offsets_are_written),
		T(a_half_closed_client_waits_no_longer),
		T(the_forwarding_worker_dies),
		T(broken_envelopes_end_the_connection),
		T(nobody_has_more_than_a_turn),
		T(news_of_unknown_calls_are_ignored),
		T(an_answer_that_cannot_be_read),
		T(half_an_answer_is_none),
		T(an_answer_lives_until_it_is_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
