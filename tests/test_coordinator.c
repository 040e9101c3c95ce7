/*
 * The groups that a worker owns: what is told waits until it is durable, and what happens where it never will be.
 * Workers in this process (tests/lib/workers.h), turn by turn.
 */
#include "broker/coordinator.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "broker/connection.h"
#include "common/clock.h"
#include "common/diag.h"
#include "storage/env.h"
#include "storage/groups.h"
#include "storage/pieces.h"
#include "tests/lib/fault.h"
#include "tests/lib/members.h"
#include "tests/lib/test.h"

static struct workers *ws;

static int
setup(void **state)
{
	(void)state;
	diag_setup(DIAG_WARN, DIAG_TEXT);
	ws = workers_begin(1);
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
connect_to_owner(void)
{
	return workers_connect(ws, 0);
}

static enum err
receive_join(struct client *c)
{
	return ((struct join_group_response *)workers_receive(ws, c))->error_code;
}

static enum err
receive_sync(struct client *c)
{
	return ((struct sync_group_response *)workers_receive(ws, c))->error_code;
}

static enum err
receive_leave(struct client *c)
{
	return ((struct leave_group_response *)workers_receive(ws, c))->error_code;
}

static int
slots_in_memory(void)
{
	int n = 0;

	for (struct coordinator_slot *s = coordinator_next(ws->at[0], NULL); s != NULL;
	     s = coordinator_next(ws->at[0], s))
		n++;
	return n;
}

static bool
no_slot_is_left(struct workers *all)
{
	(void)all;
	return slots_in_memory() == 0;
}

/* As a successor would find it; -1: there is no such group. */
static int
members_stored(const char *id)
{
	struct store_txn *txn = fixture_read(&ws->store);
	struct stored_group stored;
	int members = -1;

	if (groups_find(txn, str_of(id), &ws->store.arena, &stored) == ERR_NONE) {
		struct group *g = stored.state.n > 0 ? group_decode(stored.id, &ws->at[0]->coordinator.rules,
								    stored.state, 0)
						     : NULL;
		members = g != NULL ? group_view(g).member_n : 0;
		group_free(g);
	}
	store_read_end(txn);
	return members;
}

static bool
nobody_is_stored(struct workers *all)
{
	(void)all;
	return members_stored("g") == 0;
}

static void
damage(struct store_txn *txn, struct str id)
{
	uint8_t key[KEY_GROUP_BYTES];
	uint32_t number;
	MUST(groups_number(txn, id, &number));
	put_u32(key, number);
	MUST(pieces_put(txn, TABLE_GROUP, key, sizeof(key), (struct bytes){ .at = key, .n = 1 }));
}

static void
restart_owner(void)
{
	workers_kill(ws, 0);
	workers_start(ws, 0);
}

/* --- what is told is durable --------------------------------------------------------------------------- */

static void
test_a_generation_is_told_when_it_is_durable(void **state)
{
	(void)state;
	struct client c = connect_to_owner();
	ws->hold = true;
	member_send_join(&c, (struct member){ .group = "g" });
	assert_true(workers_is_quiet(ws, &c));
	assert_int_equal(members_stored("g"), 1);
	ws->hold = false;
	const struct join_group_response *joined = workers_receive(ws, &c);
	assert_err(joined->error_code, ERR_NONE);
	assert_int_equal(joined->generation_id, 1);
	client_close(&c);
}

/* Answers that save nothing themselves may tell of what an earlier event has not yet made durable. */
static void
test_later_answers_of_the_group_wait_for_earlier_saves(void **state)
{
	(void)state;
	struct client a = connect_to_owner(), b = connect_to_owner(), c = connect_to_owner(),
		      d = connect_to_owner();
	ws->hold = true;
	member_send_join(&a, (struct member){ .group = "g" });
	workers_settle(ws);
	member_send_join(&b, (struct member){ .group = "g", .asks_first = true });
	member_send_leave(&c, (struct member){ .group = "g", .id = STR("nobody") });
	member_send_join(&d, (struct member){ .group = "another", .asks_first = true });
	assert_true(workers_is_quiet(ws, &b));
	assert_true(workers_is_quiet(ws, &c));
	assert_err(receive_join(&d), ERR_MEMBER_ID_REQUIRED); /* nothing of its group is to be waited for */
	ws->hold = false;
	assert_err(receive_join(&b), ERR_MEMBER_ID_REQUIRED);
	assert_err(receive_leave(&c), ERR_UNKNOWN_MEMBER_ID);
	assert_err(receive_join(&a), ERR_NONE);
	client_close(&a);
	client_close(&b);
	client_close(&c);
	client_close(&d);
}

/* A predecessor has committed it and died; nobody has made it durable yet. */
static void
test_what_a_predecessor_left_is_told_when_it_is_durable(void **state)
{
	(void)state;
	struct client before = connect_to_owner();
	struct member m = member_joins(ws, &before, (struct member){ .group = "g" });
	ws->hold = true;
	member_send_sync(&before, m);
	workers_settle(ws);
	restart_owner();
	struct client c = connect_to_owner();
	member_send_sync(&c, m); /* answered at once, as assignments are known already */
	assert_true(workers_is_quiet(ws, &c));
	ws->hold = false;
	assert_err(receive_sync(&c), ERR_NONE);
	client_close(&c);
	client_close(&before);
}

/* --- a save that fails --------------------------------------------------------------------------------- */

/* Each call of the engine in turn, in a group of its own: nothing is half done, and the client begins again. */
static void
fail_each_call(int error)
{
	struct client c = connect_to_owner();
	bool fired = true;
	for (int k = 1; fired; k++) {
		char name[32];
		snprintf(name, sizeof(name), "%d-%d", error, k);
		member_send_join(&c, (struct member){ .group = name });
		test_stderr_begin();
		fault_set(k, error);
		workers_settle(ws);
		fired = fault_fired();
		const char *said = test_stderr_end();
		assert_err(receive_join(&c), fired ? ERR_NOT_COORDINATOR : ERR_NONE);
		assert_int_equal(strstr(said, "a group cannot be saved") != NULL, fired);
		assert_int_equal(members_stored(name), fired ? -1 : 1);
		workers_settle(ws);
		assert_int_equal(coordinator_peek(ws->at[0], str_of(name)) == NULL, fired);
		assert_true(fired || k > 3); /* it takes the number, the name, the row, the commit */
		atomic_store(&ws->store.shared->disk_full, 0); /* there is room again */
		if (fired)
			assert_int_equal(member_joins(ws, &c, (struct member){ .group = name }).generation,
					 1);
	}
	client_close(&c);
}

static void
test_a_save_that_fails_is_refused(void **state)
{
	(void)state;
	fail_each_call(MDB_MAP_FULL);
	fail_each_call(ENOSPC);
	fail_each_call(EIO);
}

/*
 * One turn: the leader joins again (generation 2, to be saved), another wants an id, a third leaves who is not
 * there, a fourth joins and waits for the others. None of it is true without the save.
 */
static void
test_all_behind_a_failed_save_is_refused(void **state)
{
	(void)state;
	struct client first = connect_to_owner(), late = connect_to_owner(), c = connect_to_owner();
	struct member m = member_stable(ws, &first, (struct member){ .group = "g" });
	member_send_join(&late, (struct member){ .group = "g", .metadata = STR("late") }); /* waits for m */
	workers_settle(ws);
	member_send_leave(&c, m); /* then the other one has a generation of its own */
	member_send_leave(&c, (struct member){ .group = "g", .id = STR("nobody") });
	member_send_join(&c, (struct member){ .group = "g", .asks_first = true });
	test_stderr_begin();
	fault_set(1, EIO);
	workers_settle(ws);
	assert_true(fault_fired());
	test_stderr_end();
	assert_err(receive_join(&late), ERR_NOT_COORDINATOR);
	assert_err(receive_leave(&c), ERR_NOT_COORDINATOR);
	assert_err(receive_leave(&c), ERR_NOT_COORDINATOR);
	assert_err(receive_join(&c), ERR_NOT_COORDINATOR);

	/* and the group goes on from what is stored: generation 1, one member, its assignment */
	assert_err(member_heartbeat(ws, &first, m), ERR_NONE);
	const struct describe_groups_response_group *g = member_describe(ws, &first, "g");
	assert_str(g->group_state, "Stable");
	assert_int_equal(g->members.n, 1);
	assert_int_equal(g->members.at[0].member_assignment.n, 3);
	client_close(&c);
	client_close(&late);
	client_close(&first);
}

/* What came before the failed save is durable in its time, and told. */
static void
test_all_before_a_failed_save_is_answered(void **state)
{
	(void)state;
	struct client a = connect_to_owner(), b = connect_to_owner();
	struct member m = member_joins(ws, &a, (struct member){ .group = "g" });
	ws->hold = true;
	member_send_sync(&a, m);
	workers_settle(ws);
	member_send_join(&b, m); /* the leader of a stable group: another generation */
	test_stderr_begin();
	fault_set(1, EIO);
	workers_settle(ws);
	assert_true(fault_fired());
	test_stderr_end();
	assert_err(receive_join(&b), ERR_NOT_COORDINATOR);
	assert_true(workers_is_quiet(ws, &a));
	ws->hold = false;
	assert_err(receive_sync(&a), ERR_NONE);
	assert_err(member_heartbeat(ws, &a, m), ERR_NONE);
	client_close(&a);
	client_close(&b);
}

/* Without a request, too: members that are gone must be missed. */
static void
test_a_failed_group_is_loaded_again_by_itself(void **state)
{
	(void)state;
	struct client c = connect_to_owner();
	struct member m = member_stable(ws, &c, (struct member){ .group = "g", .session_ms = 1000 });
	member_send_join(&c, m);
	test_stderr_begin();
	fault_set(1, EIO);
	assert_err(receive_join(&c), ERR_NOT_COORDINATOR);
	assert_true(fault_fired());
	test_stderr_end();
	workers_wait(ws, nobody_is_stored);
	workers_wait(ws, no_slot_is_left);
	client_close(&c);
}

/* --- clients that go ----------------------------------------------------------------------------------- */

/* In the group: it waits for a member that has yet to come back. */
static void
test_gone_while_waiting_for_members(void **state)
{
	(void)state;
	struct client a = connect_to_owner(), b = connect_to_owner();
	struct member m = member_stable(ws, &a, (struct member){ .group = "g" });
	member_send_join(&b, (struct member){ .group = "g" });
	assert_true(workers_is_quiet(ws, &b));
	client_close(&b);
	workers_settle(ws);
	member_send_join(&a, m);
	const struct join_group_response *r = workers_receive(ws, &a);
	assert_err(r->error_code, ERR_NONE);
	assert_int_equal(r->members.n, 1); /* it was never told its id, so it cannot come back */
	client_close(&a);
}

/* In an event: its answer is decided and waits for the disk. */
static void
test_gone_while_the_answer_waits_for_the_disk(void **state)
{
	(void)state;
	struct client a = connect_to_owner(), b = connect_to_owner();
	ws->hold = true;
	member_send_join(&a, (struct member){ .group = "g", .session_ms = 100 });
	workers_settle(ws);
	client_close(&a);
	workers_settle(ws);
	member_send_heartbeat(&b,
			      (struct member){ .group = "g", .id = STR("x") }); /* takes its struct call */
	workers_settle(ws);
	ws->hold = false;
	workers_wait(ws, nobody_is_stored); /* its session ended */
	assert_err(((struct heartbeat_response *)workers_receive(ws, &b))->error_code, ERR_UNKNOWN_MEMBER_ID);
	assert_true(workers_is_quiet(ws, &b)); /* nothing else was answered in its place */
	client_close(&b);
}

/* As the event's own call: LeaveGroup. Whose struct call is taken by one that waits for something else. */
static void
test_gone_while_its_leaving_waits_for_the_disk(void **state)
{
	(void)state;
	struct client a = connect_to_owner(), b = connect_to_owner(), other = connect_to_owner();
	struct member leaver = member_stable(ws, &a, (struct member){ .group = "g" });
	struct member leader = member_stable(ws, &other, (struct member){ .group = "another" });
	ws->hold = true;
	member_send_heartbeat(&a, leaver);
	member_send_leave(&a, leaver);
	workers_settle(ws);
	client_close(&a); /* an answer unread: the connection breaks, it does not end */
	workers_settle(ws);
	member_send_join(&b, (struct member){ .group = "another" });
	workers_settle(ws);
	ws->hold = false;
	assert_true(workers_is_quiet(ws, &b));
	assert_int_equal(members_stored("g"), 0);
	member_send_join(&other, leader);
	assert_err(receive_join(&b), ERR_NONE);
	client_close(&b);
	client_close(&other);
}

/* Gone, and then the save fails: nobody is there to be refused. */
static void
test_gone_before_the_save_fails(void **state)
{
	(void)state;
	struct client a = connect_to_owner(), b = connect_to_owner();
	ws->hold = true;
	atomic_store(&ws->family.shared->store.writes_ok, 0); /* the turn waits */
	member_send_join(&a, (struct member){ .group = "g" });
	workers_turn(ws);
	client_close(&a);
	workers_turn(ws);
	member_send_heartbeat(&b, (struct member){ .group = "h", .id = STR("x") });
	workers_turn(ws);
	atomic_store(&ws->family.shared->store.writes_ok, 1);
	test_stderr_begin();
	fault_set(1, EIO);
	workers_settle(ws);
	assert_true(fault_fired());
	test_stderr_end();
	assert_err(((struct heartbeat_response *)workers_receive(ws, &b))->error_code, ERR_UNKNOWN_MEMBER_ID);
	assert_true(workers_is_quiet(ws, &b));
	assert_int_equal(members_stored("g"), -1);
	client_close(&b);
}

/* It sends no more, and could still read: its wait ends, so that no member waits for it. */
static void
test_a_half_closed_client_waits_no_longer(void **state)
{
	(void)state;
	struct client a = connect_to_owner(), b = connect_to_owner();
	struct member m = member_stable(ws, &a, (struct member){ .group = "g" });
	member_send_join(&b, (struct member){ .group = "g" });
	assert_true(workers_is_quiet(ws, &b));
	shutdown(b.fd, SHUT_WR);
	assert_err(receive_join(&b), ERR_NOT_COORDINATOR);
	assert_true(workers_is_closed(ws, &b));
	member_send_join(&a, m);
	assert_int_equal(((struct join_group_response *)workers_receive(ws, &a))->members.n, 1);
	client_close(&a);
	client_close(&b);
}

/* --- SIGTERM ------------------------------------------------------------------------------------------- */

static void
test_draining_answers_all_who_wait(void **state)
{
	(void)state;
	struct client a = connect_to_owner(), b = connect_to_owner(), c = connect_to_owner(),
		      d = connect_to_owner();
	struct member m = member_stable(ws, &a, (struct member){ .group = "g" });
	member_send_join(&b, (struct member){ .group = "g" }); /* waits for the leader */
	ws->hold = true;
	member_send_join(&c, (struct member){ .group = "h" }); /* waits for the disk */
	assert_true(workers_is_quiet(ws, &b));
	coordinator_drain(ws->at[0]);
	assert_err(receive_join(&b), ERR_NOT_COORDINATOR);
	member_send_join(&d, (struct member){ .group = "g" }); /* came while we drain */
	assert_err(receive_join(&d), ERR_NOT_COORDINATOR);
	assert_true(workers_is_quiet(ws, &c));
	ws->hold = false;
	assert_err(receive_join(&c), ERR_NONE); /* it is stored, and true */
	assert_err(member_heartbeat(ws, &a, m), ERR_REBALANCE_IN_PROGRESS);
	client_close(&a);
	client_close(&b);
	client_close(&c);
	client_close(&d);
}

/* --- memory, and the store ------------------------------------------------------------------------------ */

static void
test_an_idle_group_is_not_in_memory(void **state)
{
	(void)state;
	struct client c = connect_to_owner();
	struct member m = member_stable(ws, &c, (struct member){ .group = "g" });
	assert_int_equal(slots_in_memory(), 1);
	assert_err(member_leave(ws, &c, m), ERR_NONE);
	assert_int_equal(slots_in_memory(), 0);
	assert_int_equal(members_stored("g"), 0);
	assert_str(member_describe(ws, &c, "g")->group_state, "Empty");
	assert_str(member_describe(ws, &c, "unknown")->group_state, "Dead");
	assert_err(member_heartbeat(ws, &c, (struct member){ .group = "unknown", .id = STR("x") }),
		   ERR_UNKNOWN_MEMBER_ID);
	assert_int_equal(slots_in_memory(), 0);
	assert_int_equal(member_joins(ws, &c, (struct member){ .group = "g" }).generation, 3); /* 2: empty */
	client_close(&c);
}

/* Not before its last state is durable: until then it is what is told. */
static void
test_an_idle_group_stays_until_it_is_durable(void **state)
{
	(void)state;
	struct client c = connect_to_owner(), other = connect_to_owner();
	struct member m = member_stable(ws, &c, (struct member){ .group = "g" });
	ws->hold = true;
	member_send_leave(&c, m);
	assert_true(workers_is_quiet(ws, &c));
	assert_int_equal(slots_in_memory(), 1);
	assert_str(member_describe(ws, &other, "g")->group_state, "Empty"); /* not Dead: it is stored */
	ws->hold = false;
	assert_err(receive_leave(&c), ERR_NONE);
	assert_int_equal(slots_in_memory(), 0);
	client_close(&c);
	client_close(&other);
}

static void
test_a_successor_loads_groups_that_have_members(void **state)
{
	(void)state;
	struct client before = connect_to_owner();
	struct member lives = member_stable(ws, &before, (struct member){ .group = "lives" });
	member_stable(ws, &before, (struct member){ .group = "g", .session_ms = 1000 });
	struct member left = member_stable(ws, &before, (struct member){ .group = "left" });
	assert_err(member_leave(ws, &before, left), ERR_NONE);
	restart_owner();
	assert_non_null(coordinator_peek(ws->at[0], STR("lives")));
	assert_non_null(coordinator_peek(ws->at[0], STR("g")));
	assert_null(coordinator_peek(ws->at[0], STR("left")));
	workers_wait(ws, nobody_is_stored); /* nobody asked for the group: its own timer did this */
	struct client c = connect_to_owner();
	assert_err(member_heartbeat(ws, &c, lives), ERR_NONE); /* as if nothing had happened */
	client_close(&c);
	client_close(&before);
}

/* Bytes that are no group, or one of a later version: its members begin anew rather than never. */
static void
test_a_state_that_cannot_be_read_is_begun_anew(void **state)
{
	(void)state;
	static const uint8_t garbage[] = { 0xff, 0x01, 0x02 };
	struct store_txn *txn = fixture_write(&ws->store);
	MUST(groups_save(txn, STR("g"), (struct bytes){ .at = garbage, .n = sizeof(garbage) }, -1));
	fixture_commit(txn);
	test_stderr_begin();
	restart_owner();
	assert_non_null(strstr(test_stderr_end(), "a group's state cannot be read"));
	struct client c = connect_to_owner();
	assert_err(member_heartbeat(ws, &c, (struct member){ .group = "g", .id = STR("x"), .generation = 7 }),
		   ERR_UNKNOWN_MEMBER_ID);
	assert_int_equal(member_joins(ws, &c, (struct member){ .group = "g" }).generation, 1);
	client_close(&c);
}

/* The row itself: it is written anew. */
static void
test_a_damaged_row_is_begun_anew(void **state)
{
	(void)state;
	struct client c = connect_to_owner();
	struct member m = member_stable(ws, &c, (struct member){ .group = "g" });
	assert_err(member_leave(ws, &c, m), ERR_NONE);
	struct store_txn *txn = fixture_write(&ws->store);
	damage(txn, STR("g"));
	fixture_commit(txn);
	test_stderr_begin();
	member_send_join(&c, (struct member){ .group = "g" });
	workers_settle(ws);
	assert_non_null(strstr(test_stderr_end(), "a group cannot be read"));
	const struct join_group_response *r = workers_receive(ws, &c);
	assert_err(r->error_code, ERR_NONE);
	assert_int_equal(r->generation_id, 1);
	assert_int_equal(members_stored("g"), 1);
	client_close(&c);
}

static const char *
long_name(int i)
{
	static char name[30000 + 1];
	memset(name, 'x', sizeof(name) - 1);
	snprintf(name + sizeof(name) - 9, 9, "%08d", i);
	return name;
}

/*
 * A client asks for ids in ever new groups and never joins. What that takes is bounded, and costs only those who were
 * as slow: the first has to ask again; who joined, and who asks last, notices nothing.
 */
static void
test_groups_that_nobody_joins_are_bounded(void **state)
{
	(void)state;
	enum { N = 1000 };
	struct client c = connect_to_owner(), good = connect_to_owner();
	struct member m = member_stable(ws, &good, (struct member){ .group = "good" });
	struct member first = { 0 }, last = { 0 };
	for (int i = 0; i < N; i++) {
		last = (struct member){ .group = long_name(i), .asks_first = true };
		member_send_join(&c, last);
		const struct join_group_response *r = workers_receive(ws, &c);
		assert_err(r->error_code, ERR_MEMBER_ID_REQUIRED);
		last.id = r->member_id;
		if (i == 0)
			first = last;
		int64_t bytes = ws->at[0]->coordinator.expecting_bytes;
		assert_true(bytes >= (i + 1) * 60000 || bytes > 15 << 20);
		assert_true(bytes <= 16 << 20);
	}
	assert_in_range(slots_in_memory(), 100, 300); /* of 60 KB */
	first.group = long_name(0);
	member_send_join(&c, first);
	assert_err(receive_join(&c), ERR_UNKNOWN_MEMBER_ID);
	last.group = long_name(N - 1);
	assert_int_equal(member_joins(ws, &c, last).generation, 1);
	assert_err(member_heartbeat(ws, &good, m), ERR_NONE);
	client_close(&c);
	client_close(&good);
}

/* One that still has something to tell is not forgotten, though nobody is in it. */
static void
test_a_group_that_owes_an_answer_is_not_forgotten(void **state)
{
	(void)state;
	struct client c = connect_to_owner(), flood = connect_to_owner();
	struct member m = member_stable(ws, &c, (struct member){ .group = "g" });
	ws->hold = true;
	member_send_leave(&c, m);
	workers_settle(ws);
	for (int i = 0; i < 400; i++) {
		member_send_join(&flood, (struct member){ .group = long_name(i), .asks_first = true });
		assert_err(receive_join(&flood), ERR_MEMBER_ID_REQUIRED);
	}
	ws->hold = false;
	assert_err(receive_leave(&c), ERR_NONE);
	client_close(&c);
	client_close(&flood);
}

/* Also ever more ids of one group count; and what has members, or is gone, does not. */
static void
test_what_nobody_joins_is_counted(void **state)
{
	(void)state;
	struct client c = connect_to_owner();
	const struct coordinator *all = &ws->at[0]->coordinator;
	struct member m = { .group = "g", .asks_first = true, .session_ms = 1500 };
	assert_int_equal(all->expecting_bytes, 0);
	member_send_join(&c, m);
	assert_err(receive_join(&c), ERR_MEMBER_ID_REQUIRED);
	int64_t one = all->expecting_bytes;
	assert_true(one > 0);
	for (int i = 0; i < 100; i++) {
		member_send_join(&c, m);
		assert_err(receive_join(&c), ERR_MEMBER_ID_REQUIRED);
	}
	assert_true(all->expecting_bytes > one + 100 * 30);
	struct member leaver = member_joins(ws, &c, (struct member){ .group = "g" });
	assert_int_equal(all->expecting_bytes, 0);
	assert_err(member_leave(ws, &c, leaver), ERR_NONE);
	workers_settle(ws);
	assert_true(all->expecting_bytes > one);
	workers_wait(ws, no_slot_is_left); /* the ids' time is over */
	assert_int_equal(all->expecting_bytes, 0);
	client_close(&c);
}

/* --- time ---------------------------------------------------------------------------------------------- */

static void
test_a_lost_member_is_missed(void **state)
{
	(void)state;
	struct client c = connect_to_owner();
	member_stable(ws, &c, (struct member){ .group = "g", .session_ms = 500 });
	workers_wait(ws, nobody_is_stored);
	client_close(&c);
}

/* Its session is over, and its heartbeat in the socket: that is read first. */
static void
test_what_was_received_counts_before_the_clock(void **state)
{
	(void)state;
	struct client c = connect_to_owner();
	struct member m = member_stable(ws, &c, (struct member){ .group = "g", .session_ms = 500 });
	member_send_heartbeat(&c, m);
	nanosleep(&(struct timespec){ .tv_nsec = 700 * 1000000 }, NULL); /* nobody's turn */
	assert_err(((struct heartbeat_response *)workers_receive(ws, &c))->error_code, ERR_NONE);
	workers_settle(ws);
	assert_int_equal(members_stored("g"), 1);
	client_close(&c);
}

/*
 * The loop stood still for longer than the session: what members have sent meanwhile is in the sockets. That
 * costs nobody his place, not even one whose heartbeat comes only a moment after the loop runs again.
 */
static void
test_members_are_not_missed_after_a_stall(void **state)
{
	(void)state;
	struct client c = connect_to_owner();
	struct member m = member_stable(ws, &c, (struct member){ .group = "g", .session_ms = 1000 });
	nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 800 * 1000000 }, NULL); /* nobody's turn */
	workers_settle(ws); /* the timer is due, and late */
	assert_err(member_heartbeat(ws, &c, m), ERR_NONE);
	workers_wait(ws, nobody_is_stored); /* now it is silent, and missed */
	client_close(&c);
}

/* What is left of a full disk is for freeing; who is in a group stays there. */
static void
test_a_full_disk_takes_no_new_groups(void **state)
{
	(void)state;
	struct client a = connect_to_owner(), b = connect_to_owner();
	struct member m = member_stable(ws, &a, (struct member){ .group = "g" });
	ws->store.store->reserve.looked_ms = INT64_MAX / 2; /* no checkpoint finds out that there is room */
	atomic_store(&ws->store.shared->disk_full, 1);
	member_send_join(&b, (struct member){ .group = "new" });
	assert_err(receive_join(&b), ERR_COORDINATOR_NOT_AVAILABLE);
	m = member_joins(ws, &a, m);
	assert_err(member_heartbeat(ws, &a, m), ERR_NONE);
	atomic_store(&ws->store.shared->disk_full, 0);
	member_joins(ws, &b, (struct member){ .group = "new" });
	client_close(&a);
	client_close(&b);
}

/* A stall puts off the loss of a member, but not for as long as others of its group go on talking. */
static void
test_a_stall_does_not_save_the_dead(void **state)
{
	(void)state;
	struct client a = connect_to_owner(), b = connect_to_owner();
	struct member alive = member_stable(ws, &a, (struct member){ .group = "g" });
	member_send_join(&b, (struct member){ .group = "g", .session_ms = 1000 });
	workers_settle(ws);
	alive = member_joins(ws, &a, alive);
	assert_err(receive_join(&b), ERR_NONE); /* it is never heard of again */
	member_send_sync(&a, alive);
	assert_err(receive_sync(&a), ERR_NONE);
	nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 800 * 1000000 }, NULL); /* nobody's turn */
	int64_t enough_ms = clock_monotonic_ms() + 10000;
	enum err said = ERR_NONE;
	while (said == ERR_NONE && clock_monotonic_ms() < enough_ms)
		said = member_heartbeat(ws, &a, alive);
	assert_err(said, ERR_REBALANCE_IN_PROGRESS);
	client_close(&a);
	client_close(&b);
}

/* A loop that stalls again and again still misses those who are gone. */
static void
test_a_second_stall_gives_no_more_time(void **state)
{
	(void)state;
	struct client c = connect_to_owner();
	member_stable(ws, &c, (struct member){ .group = "g", .session_ms = 800 });
	for (int i = 0; i < 2; i++) {
		assert_int_equal(members_stored("g"), 1);
		nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 500 * 1000000 }, NULL);
		workers_settle(ws);
	}
	assert_int_equal(members_stored("g"), 0);
	client_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
		T(a_generation_is_told_when_it_is_durable),
		T(later_answers_of_the_group_wait_for_earlier_saves),
		T(what_a_predecessor_left_is_told_when_it_is_durable),
		T(a_save_that_fails_is_refused),
		T(all_behind_a_failed_save_is_refused),
		T(all_before_a_failed_save_is_answered),
		T(a_failed_group_is_loaded_again_by_itself),
		T(gone_while_waiting_for_members),
		T(gone_while_the_answer_waits_for_the_disk),
		T(gone_while_its_leaving_waits_for_the_disk),
		T(gone_before_the_save_fails),
		T(a_half_closed_client_waits_no_longer),
		T(draining_answers_all_who_wait),
		T(an_idle_group_is_not_in_memory),
		T(an_idle_group_stays_until_it_is_durable),
		T(a_successor_loads_groups_that_have_members),
		T(a_state_that_cannot_be_read_is_begun_anew),
		T(a_damaged_row_is_begun_anew),
		T(groups_that_nobody_joins_are_bounded),
		T(a_group_that_owes_an_answer_is_not_forgotten),
		T(what_nobody_joins_is_counted),
		T(a_lost_member_is_missed),
		T(what_was_received_counts_before_the_clock),
		T(members_are_not_missed_after_a_stall),
		T(a_second_stall_gives_no_more_time),
		T(a_stall_does_not_save_the_dead),
		T(a_full_disk_takes_no_new_groups),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
