/*
 * members: what a consumer says to its group's coordinator, for workers.h.
 *
 *	struct client c = workers_connect(ws, 0);
 *	member_send_join(&c, (struct member){ .group = "g" });
 *	struct join_group_response *joined = workers_receive(ws, &c);
 *	member_send_sync(&c, (struct member){ .group = "g", .id = joined->member_id, .generation = 1 });
 *
 * JoinGroup is of v3, so that newcomers are members at once, v5 where an instance id is given, and of v9 where
 * `asks_first`: those are told an id to come back with.
 */
#ifndef TESTS_LIB_MEMBERS_H
#define TESTS_LIB_MEMBERS_H

#include <stdbool.h>

#include "tests/lib/workers.h"

struct member {
	const char *group;
	struct str id;
	const char *instance; /* NULL: not static */
	int32_t generation;
	int32_t session_ms; /* 0: a minute */
	struct str metadata;
	bool asks_first;
};

void member_send_join(struct client *c, struct member m);
/* The leader's: everything to itself. */
void member_send_sync(struct client *c, struct member m);
void member_send_heartbeat(struct client *c, struct member m);
void member_send_leave(struct client *c, struct member m);

/* Sent and answered, without an error. */
struct member member_joins(struct workers *ws, struct client *c, struct member m);
/* A group of one: joined and synced. */
struct member member_stable(struct workers *ws, struct client *c, struct member m);
enum err member_heartbeat(struct workers *ws, struct client *c, struct member m);
enum err member_leave(struct workers *ws, struct client *c, struct member m);
/* DescribeGroups: "Stable", ... (lives as long as the client). */
struct describe_groups_response_group *member_describe(struct workers *ws, struct client *c,
						       const char *group);

#endif
