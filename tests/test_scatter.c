/*
 * Requests that several workers answer together: ListGroups, DescribeGroups, DeleteGroups. Three workers in this
 * process; the client talks to worker 0.
 */
#include "broker/api/scatter.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/connection.h"
#include "common/diag.h"
#include "tests/lib/members.h"
#include "tests/lib/test.h"

#define WORKERS 3

static struct workers *ws;
static const char *group[WORKERS]; /* one of each worker's */
static struct client members[WORKERS];

static int
setup(void **state)
{
	(void)state;
	diag_setup(DIAG_WARN, DIAG_TEXT);
	ws = workers_begin(WORKERS);
	for (int i = 0; i < WORKERS; i++) {
		group[i] = workers_group(ws, i, 0);
		members[i] = workers_connect(ws, i);
		member_stable(ws, &members[i], (struct member){ .group = group[i] });
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (int i = 0; i < WORKERS; i++)
		client_close(&members[i]);
	workers_end(ws);
	return 0;
}

#define assert_err(got, e) assert_string_equal(err_name(got), err_name(e))

static void
send_list(struct client *c)
{
	struct list_groups_request request;

	message_defaults(&list_groups_request_message, &request);
	client_send(c, API_LIST_GROUPS, 4, &request);
}

static void
send_describe(struct client *c, struct str *ids, int32_t n)
{
	struct describe_groups_request request;

	message_defaults(&describe_groups_request_message, &request);
	request.groups.at = ids;
	request.groups.n = n;
	client_send(c, API_DESCRIBE_GROUPS, 5, &request);
}

static bool
names(const struct list_groups_response *r, const char *id)
{
	for (int32_t i = 0; i < r->groups.n; i++)
		if (str_is(r->groups.at[i].group_id, id))
			return true;
	return false;
}

static int
calls_at(int slot)
{
	int n = 0;

	LIST_EACH (&ws->at[slot]->connections, it)
		n += LIST_OF(it, struct connection, in_worker)->call_n;
	return n;
}

static void
test_every_owner_names_its_groups(void **state)
{
	(void)state;
	struct client c = workers_connect(ws, 0);
	send_list(&c);
	const struct list_groups_response *r = workers_receive(ws, &c);
	assert_err(r->error_code, ERR_NONE);
	assert_int_equal(r->groups.n, WORKERS);
	for (int i = 0; i < WORKERS; i++) {
		assert_true(names(r, group[i]));
		assert_str(r->groups.at[i].group_state, "Stable");
	}
	client_close(&c);
}

/* Whatever order the owners answer in: that of the request, and each told by its owner. */
static void
test_parts_are_put_together_in_the_order_of_the_request(void **state)
{
	(void)state;
	enum { N = 7 };
	struct str ids[N] = { str_of(group[2]), STR("unknown"), str_of(group[0]), str_of(group[1]),
			      STR("other"),     STR("no-such"), STR("more") };
	struct client c = workers_connect(ws, 0), d = workers_connect(ws, 0);
	for (int first = 0; first < WORKERS; first++) {
		for (int i = 0; i < WORKERS; i++)
			ws->frozen[i] = i != 0 && i != first;
		send_describe(&c, ids, N);
		assert_true(workers_is_quiet(ws, &c));
		member_describe(ws, &d, workers_group(ws, first, 3)); /* over what was received */
		memset(ws->frozen, 0, sizeof(ws->frozen));
		const struct describe_groups_response *r = workers_receive(ws, &c);
		assert_int_equal(r->groups.n, N);
		for (int i = 0; i < N; i++) {
			bool known = i == 0 || i == 2 || i == 3;
			assert_true(str_eq(r->groups.at[i].group_id, ids[i]));
			assert_err(r->groups.at[i].error_code, ERR_NONE);
			assert_str(r->groups.at[i].group_state, known ? "Stable" : "Dead");
			assert_int_equal(r->groups.at[i].members.n, known);
		}
	}
	client_close(&c);
	client_close(&d);
}

/* Its part says so, the others are answered. */
static void
test_an_owner_that_dies_is_missed_in_its_part_only(void **state)
{
	(void)state;
	struct str ids[] = { str_of(group[0]), str_of(group[1]), str_of(group[2]) };
	struct client c = workers_connect(ws, 0), d = workers_connect(ws, 0);
	send_list(&c); /* connects */
	workers_receive(ws, &c);
	ws->frozen[1] = true;
	send_list(&c);
	send_describe(&d, ids, 3);
	assert_true(workers_is_quiet(ws, &c));
	assert_true(workers_is_quiet(ws, &d));
	workers_kill(ws, 1);
	const struct list_groups_response *list = workers_receive(ws, &c);
	assert_err(list->error_code, ERR_COORDINATOR_NOT_AVAILABLE);
	assert_int_equal(list->groups.n, 2);
	assert_true(names(list, group[0]) && names(list, group[2]));
	const struct describe_groups_response *all = workers_receive(ws, &d);
	assert_err(all->groups.at[0].error_code, ERR_NONE);
	assert_err(all->groups.at[1].error_code, ERR_NOT_COORDINATOR);
	assert_str(all->groups.at[1].group_id, group[1]);
	assert_err(all->groups.at[2].error_code, ERR_NONE);
	ws->frozen[1] = false;
	workers_start(ws, 1);
	send_list(&c);
	list = workers_receive(ws, &c);
	assert_err(list->error_code, ERR_NONE);
	assert_int_equal(list->groups.n, 3);
	client_close(&c);
	client_close(&d);
}

/* All parts fail before the last is sent: one answer, all the same. */
static void
test_owners_that_cannot_be_reached(void **state)
{
	(void)state;
	struct client c = workers_connect(ws, 0);
	for (int i = 0; i < WORKERS; i++)
		ws->family.forward[i].address.sun_path[1] = '?';
	test_stderr_begin();
	send_list(&c);
	const struct list_groups_response *r = workers_receive(ws, &c);
	test_stderr_end();
	assert_err(r->error_code, ERR_COORDINATOR_NOT_AVAILABLE);
	assert_int_equal(r->groups.n, 0);
	assert_true(workers_is_quiet(ws, &c));
	client_close(&c);
}

/* Some parts are answered, others not yet; whoever takes its struct call gets none of them. */
static void
test_the_client_goes(void **state)
{
	(void)state;
	struct client c = workers_connect(ws, 0), after = workers_connect(ws, 0);
	const char *own = workers_group(ws, 0, 1);
	struct client leads = workers_connect(ws, 0);
	struct member leader = member_stable(ws, &leads, (struct member){ .group = own });
	send_list(&after);
	workers_receive(ws, &after);
	member_send_heartbeat(&c, leader);
	ws->frozen[1] = true;
	send_list(&c);
	workers_settle(ws);
	client_close(&c); /* an answer unread: the connection breaks */
	workers_settle(ws);
	member_send_join(&after, (struct member){ .group = own });
	workers_settle(ws);
	ws->frozen[1] = false;
	assert_true(workers_is_quiet(ws, &after));
	assert_int_equal(calls_at(1), 0);
	assert_int_equal(calls_at(2), 0);
	member_send_join(&leads, leader);
	assert_err(((struct join_group_response *)workers_receive(ws, &after))->error_code, ERR_NONE);
	client_close(&after);
	client_close(&leads);
}

/* The test in the place of an owner that is out of its mind. */
static void
test_a_part_that_cannot_be_read(void **state)
{
	(void)state;
	struct client c = workers_connect(ws, 0);
	workers_kill(ws, 2);
	send_list(&c);
	workers_settle(ws);
	int fd = forward_socket_accept(&ws->family.forward[2]);
	assert_true(fd >= 0);
	uint8_t request[256], answer[] = { 0, 0, 0, 6, 0, 0, 0, 0, 0, 0xff };
	ssize_t n = recv(fd, request, sizeof(request), 0);
	/* size, the client's address, key and version, and then the id */
	assert_true(n > 4 + 1 + request[4] + 8);
	memcpy(answer + 4, request + 4 + 1 + request[4] + 4, 4);
	test_stderr_begin();
	assert_int_equal(send(fd, answer, sizeof(answer), MSG_NOSIGNAL), sizeof(answer));
	const struct list_groups_response *r = workers_receive(ws, &c);
	assert_non_null(strstr(test_stderr_end(), "another worker's answer cannot be read"));
	assert_err(r->error_code, ERR_COORDINATOR_NOT_AVAILABLE);
	assert_int_equal(r->groups.n, 2);
	close(fd);
	client_close(&c);
}

/* Each owner deletes its own, and what it says is durable. */
static void
test_groups_are_deleted_by_their_owners(void **state)
{
	(void)state;
	struct client c = workers_connect(ws, 0);
	struct str ids[] = { str_of(group[1]), STR("unknown"), str_of(group[2]) };
	struct delete_groups_request request = { .groups_names = { ids, 3 } };
	struct describe_groups_response_group *g = member_describe(ws, &c, group[1]);
	assert_err(
	    member_leave(ws, &c, (struct member){ .group = group[1], .id = g->members.at[0].member_id }),
	    ERR_NONE);
	const struct delete_groups_response *r = workers_call(ws, &c, API_DELETE_GROUPS, 1, &request);
	assert_int_equal(r->results.n, 3);
	assert_err(r->results.at[0].error_code, ERR_NONE);
	assert_err(r->results.at[1].error_code, ERR_GROUP_ID_NOT_FOUND);
	assert_err(r->results.at[2].error_code, ERR_NON_EMPTY_GROUP);
	send_list(&c);
	const struct list_groups_response *list = workers_receive(ws, &c);
	assert_int_equal(list->groups.n, 2);
	assert_false(names(list, group[1]));
	client_close(&c);
}

/* Without members by now, so that it can be deleted. */
static void
empty(struct client *c, const char *id)
{
	struct describe_groups_response_group *g = member_describe(ws, c, id);

	assert_err(member_leave(ws, c, (struct member){ .group = id, .id = g->members.at[0].member_id }),
		   ERR_NONE);
}

/* Whether one worker answers alone or several do. */
static void
test_a_group_is_deleted_once(void **state)
{
	(void)state;
	struct client c = workers_connect(ws, 0);
	struct str one = str_of(group[1]), two = str_of(group[2]), none = STR("unknown");
	struct str ids[] = { none, one, two, one, none, one, two };
	struct delete_groups_request request = { .groups_names = { ids, 7 } };
	empty(&c, group[1]);
	const struct delete_groups_response *r = workers_call(ws, &c, API_DELETE_GROUPS, 1, &request);
	assert_int_equal(r->results.n, 3);
	for (int32_t i = 0; i < 3; i++)
		assert_true(str_eq(r->results.at[i].group_id, ids[i]));
	assert_err(r->results.at[0].error_code, ERR_GROUP_ID_NOT_FOUND);
	assert_err(r->results.at[1].error_code, ERR_NONE);
	assert_err(r->results.at[2].error_code, ERR_NON_EMPTY_GROUP);

	workers_kill(ws, 1);
	workers_kill(ws, 2);
	ws->config.workers = 1;
	empty(&c, group[2]);
	struct str again[] = { two, two, one, two };
	request.groups_names.at = again;
	request.groups_names.n = 4;
	r = workers_call(ws, &c, API_DELETE_GROUPS, 1, &request);
	assert_int_equal(r->results.n, 2);
	assert_true(str_eq(r->results.at[0].group_id, two) && str_eq(r->results.at[1].group_id, one));
	assert_err(r->results.at[0].error_code, ERR_NONE);
	assert_err(r->results.at[1].error_code, ERR_GROUP_ID_NOT_FOUND);
	ws->config.workers = WORKERS;
	client_close(&c);
}

/* Nor is it described twice: one request could ask for the same a million times. */
static void
test_a_group_is_described_once(void **state)
{
	(void)state;
	struct client c = workers_connect(ws, 0);
	struct str one = str_of(group[1]), two = str_of(group[2]);
	struct str ids[] = { two, one, two, one };

	for (int32_t workers = WORKERS; workers >= 1; workers -= WORKERS - 1) {
		ws->config.workers = workers; /* 1: answers alone */
		send_describe(&c, ids, 4);
		const struct describe_groups_response *r = workers_receive(ws, &c);
		assert_int_equal(r->groups.n, 2);
		assert_true(str_eq(r->groups.at[0].group_id, two) && str_eq(r->groups.at[1].group_id, one));
	}
	ws->config.workers = WORKERS;
	client_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
		T(every_owner_names_its_groups),
		T(parts_are_put_together_in_the_order_of_the_request),
		T(an_owner_that_dies_is_missed_in_its_part_only),
		T(owners_that_cannot_be_reached),
		T(the_client_goes),
		T(a_part_that_cannot_be_read),
		T(groups_are_deleted_by_their_owners),
		T(a_group_is_deleted_once),
		T(a_group_is_described_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
