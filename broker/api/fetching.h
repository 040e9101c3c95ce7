/*
 * fetching: a fetch under way, between fetch.c, which decides whether it waits, and fetch_answer.c; and one partition of
 * it, looked up in the store (fetch_target.c).
 */
#ifndef BROKER_API_FETCHING_H
#define BROKER_API_FETCHING_H

#include "broker/call.h"
#include "broker/fetch_session.h"
#include "broker/waits.h"

struct fetching {
	struct wait wait;
	ev_timer deadline;
	struct call *call;
	bool waiting;
	struct fetch_session *session; /* NULL: none, and these are to be read, in this order */
	struct fetch_want **asked;
	int32_t asked_n;
};

/* What was committed since makes partitions of its session active again. */
void fetch_wake(struct fetching *f);
/* What is to be looked at, in the order in which it is to be served. In the arena, or as long as the call lives. */
struct fetch_want **fetch_wanted(const struct fetching *f, struct arena *arena, int32_t *n);

/* How many bytes of records the answer carries at most, but for the first batch. */
int32_t fetch_bytes_most(const struct call *call);

/* A partition that is wanted, resolved; and its topic, which is the next one's as a rule. */
struct fetch_target {
	const struct fetch_topic *wanted; /* what `topic` was found by; NULL: nothing yet */
	enum err topic_error, error;
	struct topic topic;
	struct partition state;
	int64_t end; /* first offset that this reader may not see */
};

/* Its topic alone; t->topic_error. */
void fetch_resolve_topic(struct call *call, const struct fetch_want *want, struct arena *arena,
			 struct fetch_target *t);
/* The partition as it is in this callback's snapshot; t->error: what is wrong with it, or with what is wanted. */
void fetch_resolve(struct call *call, const struct fetch_want *want, struct arena *arena,
		   struct fetch_target *t);
/* Its place among those that wait (waits.h). */
uint16_t fetch_place(const struct fetch_want *want, const struct fetch_target *t);
/* Whole batches for one partition within its and the request's budget. */
MUST_CHECK enum err fetch_read_batches(struct call *call, const struct fetch_target *t,
				       const struct fetch_want *want, int32_t budget, bool at_least_one,
				       struct arena *arena, struct log_slice *slice);

#endif
