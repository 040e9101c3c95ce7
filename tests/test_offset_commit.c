/*
 * OffsetCommit at its edges: what is refused and makes nothing, how long metadata may be, how much is taken at once,
 * and what goes on while the disk is full. One worker in this process (tests/lib/workers.h).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/diag.h"
#include "storage/env.h"
#include "tests/lib/test.h"
#include "tests/lib/workers.h"

static struct workers *ws;
static struct client c;
static struct topic topic;

static int
setup(void **state)
{
	(void)state;
	diag_setup(DIAG_WARN, DIAG_TEXT);
	ws = workers_begin(1);
	c = workers_connect(ws, 0);
	topic = fixture_topic(&ws->store, "t", 4);
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

#define assert_err(got, e) assert_string_equal(err_name(got), err_name(e))

/* --- requests ------------------------------------------------------------------------------------------ */

struct what {
	const char *group, *topic;
	int32_t first, n; /* partitions; n is 1 where it is 0 */
	struct str metadata;
	struct uuid id;
	int64_t retention_ms;
	int16_t version; /* 0: 8 */
};

static struct offset_commit_request *
request_of(const struct what *what)
{
	struct offset_commit_request *r = arena_alloc(&c.arena, sizeof(*r));
	struct offset_commit_request_topic *t = arena_alloc(&c.arena, sizeof(*t));

	message_defaults(&offset_commit_request_message, r);
	message_defaults(&offset_commit_request_topic_message, t);
	r->group_id = str_of(what->group);
	r->topics.at = t;
	r->topics.n = 1;
	if (what->retention_ms != 0)
		r->retention_time_ms = what->retention_ms;
	t->name = str_of(what->topic != NULL ? what->topic : "t");
	t->topic_id = what->id;
	t->partitions.n = what->n > 0 ? what->n : 1;
	t->partitions.at = arena_array(&c.arena, (size_t)t->partitions.n, sizeof(*t->partitions.at));
	for (int32_t i = 0; i < t->partitions.n; i++) {
		message_defaults(&offset_commit_request_partition_message, &t->partitions.at[i]);
		t->partitions.at[i].partition_index = what->first + i;
		t->partitions.at[i].committed_offset = 5;
		t->partitions.at[i].committed_metadata = what->metadata;
	}
	return r;
}

/* More than a socket holds: sent while the worker has its turns. */
struct sending {
	const struct what *what;
	atomic_bool done;
};

static void *
send_it(void *arg)
{
	struct sending *s = arg;

	client_send(&c, API_OFFSET_COMMIT, s->what->version > 0 ? s->what->version : 8, request_of(s->what));
	atomic_store(&s->done, true);
	return NULL;
}

static const struct offset_commit_response_topic *
answered(struct what what)
{
	struct sending s = { .what = &what };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, send_it, &s), 0);
	while (!atomic_load(&s.done))
		workers_turn(ws);
	assert_int_equal(pthread_join(thread, NULL), 0);
	const struct offset_commit_response *r = workers_receive(ws, &c);
	assert_int_equal(r->topics.n, 1);
	assert_int_equal(r->topics.at[0].partitions.n, what.n > 0 ? what.n : 1);
	return &r->topics.at[0];
}

/* What all partitions are told. */
static enum err
commit(struct what what)
{
	const struct offset_commit_response_topic *t = answered(what);

	for (int32_t i = 1; i < t->partitions.n; i++)
		assert_err(t->partitions.at[i].error_code, t->partitions.at[0].error_code);
	return t->partitions.at[0].error_code;
}

static bool
is_stored(const char *group)
{
	struct store_txn *txn = fixture_read(&ws->store);
	uint32_t number;
	enum err e = groups_number(txn, str_of(group), &number);

	store_read_end(txn);
	return e == ERR_NONE;
}

static struct stored_offset
stored(const char *group, int32_t partition)
{
	struct store_txn *txn = fixture_read(&ws->store);
	struct stored_offset o;
	uint32_t number;

	MUST(groups_number(txn, str_of(group), &number));
	MUST(offsets_fetch(txn, number, topic.number, partition, &ws->store.arena, &o));
	store_read_end(txn);
	return o;
}

/* --- groups and topics --------------------------------------------------------------------------------- */

static void
test_a_group_is_made_with_its_first_offset(void **state)
{
	(void)state;
	assert_err(commit((struct what){ .group = "g", .topic = "unknown", .n = 3 }),
		   ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_err(commit((struct what){ .group = "g", .first = 4, .n = 3 }), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_err(commit((struct what){ .group = "g", .first = -1 }), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_false(is_stored("g"));

	const struct offset_commit_response_topic *t =
	    answered((struct what){ .group = "g", .first = -1, .n = 6 });
	for (int32_t i = 0; i < 6; i++)
		assert_err(t->partitions.at[i].error_code,
			   i == 0 || i == 5 ? ERR_UNKNOWN_TOPIC_OR_PARTITION : ERR_NONE);
	assert_true(is_stored("g"));
	for (int32_t i = 0; i < 4; i++)
		assert_int_equal(stored("g", i).offset, 5);
}

static void
test_topics_by_id(void **state)
{
	(void)state;
	struct what what = { .group = "g", .version = 10 };
	assert_err(commit(what), ERR_UNKNOWN_TOPIC_ID);
	what.id.b[3] = 7;
	assert_err(commit(what), ERR_UNKNOWN_TOPIC_ID);
	assert_false(is_stored("g"));
	what.id = topic.id;
	assert_err(commit(what), ERR_NONE);
	what.first = 4;
	assert_err(commit(what), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(stored("g", 0).offset, 5);
}

static void
test_a_retention_time_without_end(void **state)
{
	(void)state;
	for (int16_t version = 2; version <= 4; version++) {
		struct what what = { .group = "g", .version = version, .retention_ms = INT64_MAX };
		assert_err(commit(what), ERR_NONE);
		assert_true(stored("g", 0).expires_ms == INT64_MAX);
		what.retention_ms = 1000;
		assert_err(commit(what), ERR_NONE);
		assert_int_equal(stored("g", 0).expires_ms, stored("g", 0).committed_ms + 1000);
		what.retention_ms = -1;
		assert_err(commit(what), ERR_NONE);
		assert_int_equal(stored("g", 0).expires_ms, -1);
	}
}

/* --- metadata ------------------------------------------------------------------------------------------ */

static struct str
times(const char *text, int32_t n)
{
	size_t bytes = strlen(text);
	char *at = arena_alloc(&c.arena, bytes * (size_t)n + 1);

	for (int32_t i = 0; i < n; i++)
		memcpy(at + (size_t)i * bytes, text, bytes);
	return (struct str){ .at = at, .n = (int32_t)bytes * n };
}

/* So many times the text are taken, and no more. */
static void
assert_most(const char *text, int32_t most)
{
	struct what what = { .group = "g", .metadata = times(text, most) };

	assert_err(commit(what), ERR_NONE);
	assert_true(str_eq(stored("g", 0).metadata, what.metadata));
	what.metadata = times(text, most + 1);
	assert_err(commit(what), ERR_OFFSET_METADATA_TOO_LARGE);
	assert_int_equal(stored("g", 0).metadata.n, (int32_t)strlen(text) * most);
}

/* As Java's String.length() does. */
static void
test_metadata_is_counted_in_utf16(void **state)
{
	(void)state;
	assert_most("m", 4096);
	assert_most("\xc3\xa9", 4096);         /* e acute */
	assert_most("\xe2\x82\xac", 4096);     /* the euro's sign */
	assert_most("\xf0\x9f\x98\x80", 2048); /* a face: a surrogate pair */
	assert_most("\xf4\x8f\xbf\xbf", 2048); /* the last of all */
	assert_most("\xed\x9f\xbf", 4096);     /* the last before the surrogates */
}

/* What is no UTF-8 counts by the byte. */
static void
test_metadata_that_is_no_text(void **state)
{
	(void)state;
	assert_most("\xff", 4096);
	assert_most("\x80", 4096);
	assert_most("\xc3", 4096);                 /* cut off */
	assert_most("\xe2\x82", 2048);             /* cut off */
	assert_most("\xf0\x9f\x98m", 1024);        /* cut off */
	assert_most("\xc1\xbf", 2048);             /* overlong */
	assert_most("\xe0\x9f\xbf\xe0", 1024);     /* overlong */
	assert_most("\xf0\x8f\xbf\xbf", 1024);     /* overlong */
	assert_most("\xed\xa0\x80\xed", 1024);     /* a surrogate */
	assert_most("\xf4\x90\x80\x80", 1024);     /* beyond the last character */
	assert_most("\xf5\x80\x80\x80\x80m", 682); /* likewise; six and four make 4096 */
}

static void
test_metadata_of_the_largest_size(void **state)
{
	(void)state;
	ws->config.offset_metadata_max = 32767;
	struct what what = { .group = "g", .metadata = times("m", 32767) };
	assert_err(commit(what), ERR_NONE);
	assert_int_equal(stored("g", 0).metadata.n, 32767);
	what.metadata = times("\xc3\xa9", 16383);
	assert_err(commit(what), ERR_NONE);
	assert_int_equal(stored("g", 0).metadata.n, 32766);
}

/* --- how much ------------------------------------------------------------------------------------------ */

static void
test_too_many_at_once(void **state)
{
	(void)state;
	fixture_topic(&ws->store, "wide", 20001);
	struct what what = { .group = "g", .topic = "wide", .n = 20001 };
	assert_err(commit(what), ERR_INVALID_COMMIT_OFFSET_SIZE);
	assert_false(is_stored("g"));
	what.n = 20000;
	assert_err(commit(what), ERR_NONE);
	what.metadata = times("m", 4096);
	what.n = 1100;
	assert_err(commit(what), ERR_INVALID_COMMIT_OFFSET_SIZE);
	what.n = 1000;
	assert_err(commit(what), ERR_NONE);
}

/* --- a full disk --------------------------------------------------------------------------------------- */

static enum err
delete_offset(const char *group, int32_t partition)
{
	struct offset_delete_request_partition p = { .partition_index = partition };
	struct offset_delete_request_topic t = { .name = STR("t"), .partitions = { &p, 1 } };
	struct offset_delete_request request = { .group_id = str_of(group), .topics = { &t, 1 } };
	const struct offset_delete_response *r = workers_call(ws, &c, API_OFFSET_DELETE, 0, &request);

	assert_err(r->error_code, ERR_NONE);
	return r->topics.at[0].partitions.at[0].error_code;
}

static enum err
delete_group(const char *group)
{
	struct str id = str_of(group);
	struct delete_groups_request request = { .groups_names = { &id, 1 } };

	return ((struct delete_groups_response *)workers_call(ws, &c, API_DELETE_GROUPS, 1, &request))
	    ->results.at[0]
	    .error_code;
}

static void
test_a_full_disk(void **state)
{
	(void)state;
	assert_err(commit((struct what){ .group = "g", .n = 2 }), ERR_NONE);
	ws->store.store->reserve.looked_ms = INT64_MAX / 2; /* no checkpoint finds out that there is room */
	atomic_store(&ws->store.shared->disk_full, 1);
	assert_err(commit((struct what){ .group = "new", .n = 4 }), ERR_COORDINATOR_NOT_AVAILABLE);
	assert_false(is_stored("new"));
	const struct offset_commit_response_topic *t =
	    answered((struct what){ .group = "g", .n = 4, .metadata = STR("words") });
	for (int32_t i = 0; i < 4; i++)
		assert_err(t->partitions.at[i].error_code, i < 2 ? ERR_NONE : ERR_COORDINATOR_NOT_AVAILABLE);
	assert_true(str_is(stored("g", 1).metadata, "words"));
	assert_int_equal(stored("g", 2).offset, -1);

	assert_err(delete_offset("g", 0), ERR_NONE);
	assert_int_equal(stored("g", 0).offset, -1);
	assert_err(delete_group("g"), ERR_NONE);
	assert_false(is_stored("g"));
	atomic_store(&ws->store.shared->disk_full, 0);
	assert_err(commit((struct what){ .group = "new", .n = 4 }), ERR_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
		T(a_group_is_made_with_its_first_offset),
		T(topics_by_id),
		T(a_retention_time_without_end),
		T(metadata_is_counted_in_utf16),
		T(metadata_that_is_no_text),
		T(metadata_of_the_largest_size),
		T(too_many_at_once),
		T(a_full_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
