#include "tests/lib/members.h"

#include "tests/lib/test.h"

void
member_send_join(struct client *c, struct member m)
{
	struct join_group_request request;
	struct join_group_request_protocol protocol = { .name = STR("range") };

	message_defaults(&join_group_request_message, &request);
	protocol.metadata = (struct bytes){ .at = (const uint8_t *)m.metadata.at, .n = m.metadata.n };
	request.group_id = str_of(m.group);
	request.member_id = m.id.n > 0 ? m.id : STR("");
	request.group_instance_id = m.instance != NULL ? str_of(m.instance) : STR_NULL;
	request.session_timeout_ms = m.session_ms > 0 ? m.session_ms : 60000;
	request.rebalance_timeout_ms = 60000;
	request.protocol_type = STR("consumer");
	request.protocols.at = &protocol;
	request.protocols.n = 1;
	client_send(c, API_JOIN_GROUP, m.asks_first ? 9 : m.instance != NULL ? 5 : 3, &request);
}

void
member_send_sync(struct client *c, struct member m)
{
	struct sync_group_request request;
	struct sync_group_request_assignment all = { .member_id = m.id,
						     .assignment = { .at = (const uint8_t *)"all", .n = 3 } };

	message_defaults(&sync_group_request_message, &request);
	request.group_id = str_of(m.group);
	request.generation_id = m.generation;
	request.member_id = m.id;
	request.assignments.at = &all;
	request.assignments.n = 1;
	client_send(c, API_SYNC_GROUP, 2, &request);
}

void
member_send_heartbeat(struct client *c, struct member m)
{
	struct heartbeat_request request;

	message_defaults(&heartbeat_request_message, &request);
	request.group_id = str_of(m.group);
	request.generation_id = m.generation;
	request.member_id = m.id;
	client_send(c, API_HEARTBEAT, 2, &request);
}

void
member_send_leave(struct client *c, struct member m)
{
	struct leave_group_request request = { .group_id = str_of(m.group), .member_id = m.id };

	client_send(c, API_LEAVE_GROUP, 2, &request);
}

struct member
member_joins(struct workers *ws, struct client *c, struct member m)
{
	member_send_join(c, m);
	const struct join_group_response *r = workers_receive(ws, c);
	assert_string_equal(err_name(r->error_code), err_name(ERR_NONE));
	m.id = r->member_id;
	m.generation = r->generation_id;
	return m;
}

struct member
member_stable(struct workers *ws, struct client *c, struct member m)
{
	m = member_joins(ws, c, m);
	member_send_sync(c, m);
	const struct sync_group_response *r = workers_receive(ws, c);
	assert_string_equal(err_name(r->error_code), err_name(ERR_NONE));
	assert_int_equal(r->assignment.n, 3);
	return m;
}

enum err
member_heartbeat(struct workers *ws, struct client *c, struct member m)
{
	member_send_heartbeat(c, m);
	return ((struct heartbeat_response *)workers_receive(ws, c))->error_code;
}

enum err
member_leave(struct workers *ws, struct client *c, struct member m)
{
	member_send_leave(c, m);
	return ((struct leave_group_response *)workers_receive(ws, c))->error_code;
}

struct describe_groups_response_group *
member_describe(struct workers *ws, struct client *c, const char *group)
{
	struct str id = str_of(group);
	struct describe_groups_request request = { .groups = { &id, 1 } };
	const struct describe_groups_response *r = workers_call(ws, c, API_DESCRIBE_GROUPS, 4, &request);

	assert_int_equal(r->groups.n, 1);
	return &r->groups.at[0];
}
