/* What a fetch session knows, whom it has looked at, and what the client is told; in the end against a model. */
#include "broker/fetch_session.h"

#include <string.h>

#include "broker/shared.h"
#include "protocol/messages.h"
#include "tests/lib/sample.h"
#include "tests/lib/test.h"

static const struct fetch_sessions_most plenty = { .n = 100, .bytes = 100 << 20 };
static struct fetch_sessions all;
static struct fetch_session *own, *session; /* of the connection; to be answered from */
static struct arena arena;
static _Atomic uint64_t appended[WAIT_HASHES];
static int64_t now_ms;

static int
setup(void **state)
{
	(void)state;
	fetch_sessions_init(&all);
	own = session = NULL;
	now_ms = 1000;
	memset((void *)appended, 0, sizeof(appended));
	return 0;
}

/* Whatever a test did: all is given back. */
static int
teardown(void **state)
{
	(void)state;
	fetch_session_free(own);
	arena_free(&arena);
	return all.n == 0 && all.bytes == 0 ? 0 : -1;
}

/* --- requests --- */

static struct fetch_request *
request(int32_t id, int32_t epoch)
{
	struct fetch_request *in = arena_alloc(&arena, sizeof(*in));

	message_defaults(&fetch_request_message, in);
	in->session_id = id;
	in->session_epoch = epoch;
	return in;
}

static void
add(struct fetch_request *in, const char *topic, int32_t partition, int64_t offset)
{
	struct fetch_request_topic *t;
	struct fetch_request_partition *p = arena_alloc(&arena, sizeof(*p));

	in->topics.at = arena_grow(&arena, in->topics.at, in->topics.n, sizeof(*in->topics.at));
	t = &in->topics.at[in->topics.n++];
	t->topic = str_of(topic);
	memcpy(t->topic_id.b, topic, strlen(topic));
	t->partitions.at = p;
	t->partitions.n = 1;
	p->partition = partition;
	p->fetch_offset = offset;
	p->partition_max_bytes = 1000;
	p->current_leader_epoch = -1;
}

static void
forget(struct fetch_request *in, const char *topic, int32_t partition)
{
	struct fetch_request_forgotten_topic *t;

	in->forgotten_topics_data.at =
	    arena_grow(&arena, in->forgotten_topics_data.at, in->forgotten_topics_data.n, sizeof(*t));
	t = &in->forgotten_topics_data.at[in->forgotten_topics_data.n++];
	t->topic = str_of(topic);
	memcpy(t->topic_id.b, topic, strlen(topic));
	t->partitions.at = arena_array(&arena, 1, sizeof(int32_t));
	t->partitions.at[0] = partition;
	t->partitions.n = 1;
}

static enum err
begin_of(struct fetch_session **whose, const struct fetch_request *in)
{
	return fetch_session_begin(&all, plenty, in, false, now_ms, whose, &session);
}

static enum err
begin(const struct fetch_request *in)
{
	return begin_of(&own, in);
}

/* A new session of partitions 0..n-1 of "t", all read from offset 0 on. */
static int32_t
begin_with(int32_t n)
{
	struct fetch_request *in = request(0, 0);

	for (int32_t i = 0; i < n; i++)
		add(in, "t", i, 0);
	assert_int_equal(begin(in), ERR_NONE);
	assert_non_null(session);
	fetch_session_release(session);
	return session->id;
}

/* The active partitions, in their order: "0 3 1". */
static const char *
active(void)
{
	int32_t n;
	struct fetch_want **wants = fetch_partitions_active(&session->partitions, &arena, &n);
	const char *text = "";

	for (int32_t i = 0; i < n; i++)
		text = arena_printf(&arena, "%s%s%d", text, i > 0 ? " " : "", wants[i]->partition);
	return text;
}

static struct fetch_want *
want_of(int32_t partition)
{
	int32_t n;
	struct fetch_want **wants = fetch_partitions_active(&session->partitions, &arena, &n);

	for (int32_t i = 0; i < n; i++)
		if (wants[i]->partition == partition)
			return wants[i];
	fail_msg("partition %d is not active", partition);
	return NULL;
}

static bool
tell(int32_t partition, enum err error, int64_t high_watermark, int32_t bytes)
{
	struct fetch_response_partition_data data;

	message_defaults(&fetch_response_partition_data_message, &data);
	data.error_code = error;
	data.high_watermark = data.last_stable_offset = high_watermark;
	data.log_start_offset = 0;
	data.records.n = bytes;
	return fetch_partitions_tell(&session->partitions, want_of(partition), &data);
}

static void
settle(int32_t partition, uint16_t hash)
{
	struct fetch_want *want = want_of(partition);

	fetch_partitions_place(&session->partitions, want, hash);
	fetch_partitions_settle(&session->partitions, want, appended[hash]);
}

static void
wake(void)
{
	fetch_session_wake(session, appended, 0, now_ms);
}

/* --- ids and epochs --- */

static void
test_none_is_wanted(void **state)
{
	(void)state;
	struct fetch_request *in = request(0, -1);
	add(in, "t", 0, 0);
	assert_int_equal(begin(in), ERR_NONE);
	assert_null(session);
	assert_null(own);
}

static void
test_epochs_follow_each_other(void **state)
{
	(void)state;
	int32_t id = begin_with(2);
	assert_true(id > 0);
	for (int32_t epoch = 1; epoch < 5; epoch++) {
		assert_int_equal(begin(request(id, epoch)), ERR_NONE);
		assert_ptr_equal(session, own);
		assert_int_equal(session->id, id);
	}
	assert_int_equal(begin(request(id, 4)), ERR_INVALID_FETCH_SESSION_EPOCH); /* twice */
	assert_null(session);
	assert_int_equal(begin(request(id, 6)), ERR_INVALID_FETCH_SESSION_EPOCH);
	assert_int_equal(begin(request(id, -2)), ERR_INVALID_FETCH_SESSION_EPOCH);
	assert_int_equal(begin(request(id, 5)), ERR_NONE); /* a mistake costs nothing */
	assert_non_null(session);
}

static void
test_a_refused_request_changes_nothing(void **state)
{
	(void)state;
	int32_t id = begin_with(2);
	struct fetch_request *in = request(id, 7);
	add(in, "t", 9, 0);
	forget(in, "t", 0);
	assert_int_equal(begin(in), ERR_INVALID_FETCH_SESSION_EPOCH);
	assert_int_equal(begin(request(id, 1)), ERR_NONE);
	assert_string_equal(active(), "0 1");
}

static void
test_only_its_own_connection_finds_it(void **state)
{
	(void)state;
	int32_t id = begin_with(1);
	struct fetch_session *other = NULL;
	assert_int_equal(begin_of(&other, request(id, 1)), ERR_FETCH_SESSION_ID_NOT_FOUND);
	assert_int_equal(begin(request(id + 1, 1)), ERR_FETCH_SESSION_ID_NOT_FOUND);
	assert_int_equal(begin(request(0, 1)), ERR_FETCH_SESSION_ID_NOT_FOUND);
	assert_null(session);
	assert_int_equal(begin(request(id, 1)), ERR_NONE);
}

static void
test_ids_differ(void **state)
{
	(void)state;
	int32_t first = begin_with(1), second = begin_with(1);
	assert_int_not_equal(first, second);
	assert_int_equal(all.n, 1); /* the second took the first one's place */
	assert_int_equal(begin(request(first, 1)), ERR_FETCH_SESSION_ID_NOT_FOUND);
}

static void
test_the_final_epoch_ends_it(void **state)
{
	(void)state;
	int32_t id = begin_with(1);
	assert_int_equal(begin(request(id + 1, -1)), ERR_NONE); /* not this one */
	assert_non_null(own);
	assert_int_equal(begin(request(id, -1)), ERR_NONE);
	assert_null(session);
	assert_null(own);
	assert_int_equal(begin(request(id, 1)), ERR_FETCH_SESSION_ID_NOT_FOUND);
}

static void
test_names_and_ids_do_not_mix(void **state)
{
	(void)state;
	int32_t id = begin_with(1);
	assert_int_equal(fetch_session_begin(&all, plenty, request(id, 1), true, now_ms, &own, &session),
			 ERR_FETCH_SESSION_TOPIC_ID_ERROR);
	assert_int_equal(begin(request(id, 1)), ERR_NONE);
}

/* --- what it holds --- */

static void
test_requests_add_change_and_forget(void **state)
{
	(void)state;
	int32_t id = begin_with(3);
	struct fetch_request *in = request(id, 1);
	add(in, "t", 1, 77);
	add(in, "u", 5, 5);
	add(in, "t", 1, 78); /* twice: the last one counts */
	forget(in, "t", 0);
	forget(in, "t", 9);   /* which it never had */
	forget(in, "zzz", 0); /* likewise */
	assert_int_equal(begin(in), ERR_NONE);
	assert_string_equal(active(), "1 2 5");
	assert_int_equal(want_of(1)->offset, 78);
	assert_int_equal(want_of(2)->offset, 0);
	assert_str(want_of(5)->topic->name, "u");
	assert_str(want_of(2)->topic->name, "t");
	assert_ptr_equal(want_of(1)->topic, want_of(2)->topic);
}

static void
test_topics_by_id_need_no_name(void **state)
{
	(void)state;
	struct fetch_request *in = request(0, 0);
	add(in, "t", 0, 0);
	add(in, "u", 0, 0);
	in->topics.at[0].topic = in->topics.at[1].topic = STR("");
	assert_int_equal(fetch_session_begin(&all, plenty, in, true, now_ms, &own, &session), ERR_NONE);
	assert_string_equal(active(), "0 0");
	int32_t id = session->id;
	in = request(id, 1);
	forget(in, "u", 0);
	in->forgotten_topics_data.at[0].topic = STR("");
	assert_int_equal(fetch_session_begin(&all, plenty, in, true, now_ms, &own, &session), ERR_NONE);
	assert_string_equal(active(), "0");
	assert_int_equal(want_of(0)->topic->id.b[0], 't');
}

static void
test_without_partitions_it_ends(void **state)
{
	(void)state;
	int32_t id = begin_with(2);
	struct fetch_request *in = request(id, 1);
	forget(in, "t", 0);
	int32_t both[] = { 0, 1, 1 };
	in->forgotten_topics_data.at[0].partitions.at = both;
	in->forgotten_topics_data.at[0].partitions.n = 3;
	assert_int_equal(begin(in), ERR_NONE);
	assert_null(session);
	assert_null(own);
	assert_int_equal(all.n, 0);
}

static void
test_a_replaced_topic_id_is_another_topic(void **state)
{
	(void)state;
	struct fetch_request *in = request(0, 0);
	add(in, "old", 0, 0);
	assert_int_equal(fetch_session_begin(&all, plenty, in, true, now_ms, &own, &session), ERR_NONE);
	in = request(session->id, 1);
	add(in, "new", 0, 0);
	forget(in, "old", 0);
	assert_int_equal(fetch_session_begin(&all, plenty, in, true, now_ms, &own, &session), ERR_NONE);
	assert_string_equal(active(), "0");
	assert_int_equal(want_of(0)->topic->id.b[0], 'n');
}

/* --- room --- */

static void
test_slots_are_few(void **state)
{
	(void)state;
	struct fetch_sessions_most two = { .n = 2, .bytes = plenty.bytes };
	struct fetch_session *of[3] = { 0 }, *out;
	struct fetch_request *in = request(0, 0);
	add(in, "t", 0, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fetch_session_begin(&all, two, in, false, now_ms + i, &of[i], &out),
				 ERR_NONE);
		assert_non_null(out);
	}
	fetch_session_release(of[0]); /* of[1] is still being answered */
	int64_t later = now_ms + FETCH_SESSION_STALE_MS;
	assert_int_equal(fetch_session_begin(&all, two, in, false, later, &of[2], &out), ERR_NONE);
	assert_null(out); /* goes on without */
	later++;
	assert_int_equal(fetch_session_begin(&all, two, in, false, later, &of[2], &out), ERR_NONE);
	assert_non_null(out);
	assert_null(of[0]); /* unused for long */
	of[0] = of[2];
	of[2] = NULL;
	later += FETCH_SESSION_STALE_MS * 2;
	assert_int_equal(fetch_session_begin(&all, two, in, false, later, &of[2], &out), ERR_NONE);
	assert_null(out);
	fetch_session_free(of[0]);
	fetch_session_free(of[1]);
}

static void
test_no_slots_no_sessions(void **state)
{
	(void)state;
	struct fetch_sessions_most none = { .n = 0, .bytes = plenty.bytes };
	struct fetch_request *in = request(0, 0);
	add(in, "t", 0, 0);
	assert_int_equal(fetch_session_begin(&all, none, in, false, now_ms, &own, &session), ERR_NONE);
	assert_null(session);
}

static void
test_memory_is_bounded(void **state)
{
	(void)state;
	int32_t id = begin_with(10);
	struct fetch_sessions_most most = { .n = 100, .bytes = all.bytes + 1000 };
	struct fetch_request *in = request(0, 0), *next = request(id, 1);
	struct fetch_session *other = NULL;
	for (int i = 0; i < 50; i++) {
		add(in, "u", i, 0);
		add(next, "t", i, 0);
	}
	assert_int_equal(fetch_session_begin(&all, most, in, false, now_ms, &other, &session), ERR_NONE);
	assert_null(session);
	assert_null(other);
	assert_int_equal(all.n, 1);
	assert_int_equal(fetch_session_begin(&all, most, next, false, now_ms, &own, &session),
			 ERR_FETCH_SESSION_ID_NOT_FOUND);
	assert_null(own);
	assert_int_equal(all.bytes, 0);
}

/* Arrays and tables do not shrink, and so count as long as the session lives: else each would leave megabytes behind. */
static void
test_what_was_forgotten_leaves_its_room_behind(void **state)
{
	(void)state;
	int32_t id = begin_with(10000);
	struct fetch_request *in = request(id, 1);
	for (int32_t i = 1; i < 10000; i++)
		forget(in, "t", i);
	assert_int_equal(begin(in), ERR_NONE);
	assert_int_equal(session->partitions.n, 1);
	assert_true(all.bytes > 10000 * (sizeof(*session->partitions.marks) +
					 sizeof(*session->partitions.hashes) + sizeof(void *)) +
				    hash_table_bytes(&session->partitions.partitions));
	fetch_session_release(session);
}

/* --- active and quiet --- */

static void
test_only_what_changed_is_told(void **state)
{
	(void)state;
	begin_with(1);
	assert_true(tell(0, ERR_NONE, 0, 0)); /* never told */
	assert_false(tell(0, ERR_NONE, 0, 0));
	assert_true(tell(0, ERR_NONE, 5, 0));
	assert_true(tell(0, ERR_NONE, 5, 100)); /* records, each time */
	assert_true(tell(0, ERR_NONE, 5, 100));
	assert_false(tell(0, ERR_NONE, 5, 0));
	for (int i = 0; i < 3; i++) /* an error, each time */
		assert_true(tell(0, ERR_OFFSET_OUT_OF_RANGE, -1, 0));
	assert_true(tell(0, ERR_NONE, 5, 0)); /* and that it is over */
	assert_false(tell(0, ERR_NONE, 5, 0));
}

static void
test_each_number_counts(void **state)
{
	(void)state;
	begin_with(1);
	struct fetch_response_partition_data data;
	message_defaults(&fetch_response_partition_data_message, &data);
	int64_t *numbers[] = { &data.high_watermark, &data.last_stable_offset, &data.log_start_offset };
	fetch_partitions_tell(&session->partitions, want_of(0), &data);
	for (int i = 0; i < 3; i++) {
		assert_false(fetch_partitions_tell(&session->partitions, want_of(0), &data));
		*numbers[i] += 1;
		assert_true(fetch_partitions_tell(&session->partitions, want_of(0), &data));
	}
}

static void
test_who_gives_goes_to_the_end(void **state)
{
	(void)state;
	begin_with(3);
	tell(0, ERR_NONE, 5, 100);
	assert_string_equal(active(), "1 2 0");
	tell(1, ERR_NONE, 5, 0);
	tell(2, ERR_UNKNOWN_SERVER_ERROR, 5, 0);
	assert_string_equal(active(), "1 2 0");
	tell(1, ERR_NONE, 5, 1);
	assert_string_equal(active(), "2 0 1");
}

static void
test_quiet_until_something_moves(void **state)
{
	(void)state;
	int32_t id = begin_with(3);
	appended[7] = 100;
	wake();
	for (int i = 0; i < 3; i++)
		settle(i, (uint16_t)(7 + i));
	wake();
	assert_string_equal(active(), "");
	appended[8] = 101;
	wake();
	assert_string_equal(active(), "1");
	wake();
	assert_string_equal(active(), "1"); /* once in the list */
	struct fetch_request *in = request(id, 1);
	add(in, "t", 0, 3); /* whom the client reads from elsewhere */
	assert_int_equal(begin(in), ERR_NONE);
	assert_string_equal(active(), "1 0");
}

static void
test_all_are_looked_at_after_a_loss_and_now_and_then(void **state)
{
	(void)state;
	begin_with(2);
	wake();
	for (int round = 0; round < 2; round++) {
		settle(0, 0);
		settle(1, 1);
		wake();
		assert_string_equal(active(), "");
		if (round == 0)
			fetch_session_wake(session, appended, 1, now_ms);
		else
			fetch_session_wake(session, appended, 1, now_ms += FETCH_SESSION_LOOK_MS);
		assert_string_equal(active(), "0 1");
		fetch_session_wake(session, appended, 0, now_ms);
	}
}

static void
test_another_isolation_level_ends_elsewhere(void **state)
{
	(void)state;
	int32_t id = begin_with(1);
	settle(0, 0);
	assert_int_equal(begin(request(id, 1)), ERR_NONE);
	assert_string_equal(active(), "");
	struct fetch_request *in = request(id, 2);
	in->isolation_level = 1;
	assert_int_equal(begin(in), ERR_NONE);
	assert_string_equal(active(), "0");
}

static void
test_hashes_are_of_all(void **state)
{
	(void)state;
	int32_t id = begin_with(3), n;
	for (int i = 0; i < 3; i++)
		fetch_partitions_place(&session->partitions, want_of(i), (uint16_t)(10 + i));
	struct fetch_request *in = request(id, 1);
	forget(in, "t", 0);
	assert_int_equal(begin(in), ERR_NONE);
	settle(1, 21);
	const uint16_t *hashes = fetch_partitions_hashes(&session->partitions, &arena, &n);
	assert_int_equal(n, 2);
	assert_int_equal(hashes[0] + hashes[1], 21 + 12);
}

/* --- against a model --- */

/*
 * A broker of a few partitions whose hashes collide, and a client that believes what it is told. In every answer it must
 * get all that it does not know yet, and nothing else, whatever was committed, became visible, or was noted in
 * `appended` late; but for a log start that moved, which may wait.
 */
#define PARTITIONS 12
#define HASHES     5

static struct log {
	int64_t end, visible; /* log end, high watermark */
	uint64_t moved;       /* by this commit */
	uint64_t unnoted;     /* commits of it that are not in `appended` yet: the newest; 0: none */
	bool missing;         /* the topic is deleted */
	bool in;              /* the client has it in its session */
	int64_t offset;       /* the client reads from here on */
	int64_t told;         /* the client knows this high watermark; -1: none */
} logs[PARTITIONS];
static uint64_t committed, durable;

static uint16_t
hash_of(int32_t partition)
{
	return (uint16_t)(partition % HASHES);
}

static void
note(int32_t partition)
{
	_Atomic uint64_t *mark = &appended[hash_of(partition)];

	if (logs[partition].unnoted > *mark)
		*mark = logs[partition].unnoted;
	logs[partition].unnoted = 0;
}

static void
world_moves(struct sample *s)
{
	int32_t p = (int32_t)sample_below(s, PARTITIONS);
	struct log *log = &logs[p];

	switch (sample_below(s, 8)) {
	case 0:
	case 1:
		log->end += 1 + (int64_t)sample_below(s, 3);
		log->moved = log->unnoted = ++committed;
		break;
	case 2:
		log->missing = !log->missing;
		log->moved = log->unnoted = ++committed;
		break;
	case 3:
		durable += sample_below(s, committed - durable + 1);
		for (int i = 0; i < PARTITIONS; i++)
			if (logs[i].moved <= durable)
				logs[i].visible = logs[i].end;
		break;
	default:
		note(p);
	}
}

/* As fetch.c does it. */
static bool
serve(struct fetch_want *want, struct fetch_response_partition_data *data)
{
	const struct log *log = &logs[want->partition];

	message_defaults(&fetch_response_partition_data_message, data);
	data->error_code = log->missing ? ERR_UNKNOWN_TOPIC_OR_PARTITION : ERR_NONE;
	data->high_watermark = data->last_stable_offset = log->missing ? -1 : log->visible;
	data->records.n = !log->missing && want->offset < log->visible ? 10 : 0;
	bool told = fetch_partitions_tell(&session->partitions, want, data);
	uint64_t mark = appended[hash_of(want->partition)];
	if (!log->missing && want->offset == log->end && log->visible == log->end && mark <= durable) {
		fetch_partitions_place(&session->partitions, want, hash_of(want->partition));
		fetch_partitions_settle(&session->partitions, want, mark);
	}
	return told;
}

static bool
client_hears(int32_t p, const struct fetch_response_partition_data *data)
{
	struct log *log = &logs[p];
	bool news = data->error_code != ERR_NONE || data->records.n > 0 || log->told != data->high_watermark;

	log->told = data->error_code != ERR_NONE ? -1 : data->high_watermark;
	return news;
}

/* The client knows all that there is to know of it. */
static bool
is_known(const struct log *log)
{
	return !log->missing && log->offset >= log->visible && log->told == log->visible;
}

/* The next request: partitions join and leave (never the first, or the session would end), and what was told is read. */
static void
client_asks(struct sample *s, int32_t id, int32_t epoch)
{
	struct fetch_request *in = request(id, epoch);

	for (int32_t p = 0; p < PARTITIONS; p++) {
		struct log *log = &logs[p];
		const char *topic = p % 3 == 0 ? "x" : "y";
		bool joins = !log->in && (epoch == 0 || sample_below(s, 4) == 0);
		bool leaves = p > 0 && log->in && sample_below(s, 12) == 0;
		bool read = log->in && !leaves && log->offset < log->told && sample_below(s, 2) == 0;
		if (read)
			log->offset = log->told;
		if (joins)
			log->told = -1;
		if (joins || read)
			add(in, topic, p, log->offset);
		if (leaves)
			forget(in, topic, p);
		log->in = (log->in || joins) && !leaves;
	}
	assert_int_equal(begin(in), ERR_NONE);
	assert_non_null(session);
}

static void
one_fetch(struct sample *s, int32_t id, int32_t epoch)
{
	struct fetch_response_partition_data data;
	bool heard[PARTITIONS] = { 0 };
	int32_t n;

	client_asks(s, id, epoch);
	wake();
	struct fetch_want **wants = fetch_partitions_active(&session->partitions, &arena, &n);
	for (int32_t i = 0; i < n; i++) {
		int32_t p = wants[i]->partition;
		assert_true(logs[p].in);
		assert_false(heard[p]);
		heard[p] = true;
		bool told = serve(wants[i], &data);
		bool news = client_hears(p, &data);
		assert_int_equal(told, news); /* nothing that it knows, all that it does not */
	}
	for (int32_t p = 0; p < PARTITIONS; p++)
		if (logs[p].in && !heard[p] && logs[p].unnoted == 0)
			assert_true(is_known(&logs[p]));
	fetch_session_release(session);
}

static void
test_against_a_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct sample s = { .seed = seed, .arena = &arena };
		memset(logs, 0, sizeof(logs));
		memset((void *)appended, 0, sizeof(appended));
		committed = durable = 1;
		for (int32_t fetch = 0; fetch < 100; fetch++) {
			int32_t id = fetch == 0 ? 0 : own->id;
			one_fetch(&s, id, fetch);
			for (uint64_t moves = sample_below(&s, 6); moves > 0; moves--)
				world_moves(&s);
		}
		fetch_session_free(own);
		arena_reset(&arena);
	}
}

/* All have more than they can give at once, and an answer takes only a few of them: everybody has his turn. */
static void
test_none_starves(void **state)
{
	(void)state;
	int served[100] = { 0 };
	int32_t id = begin_with(100), n;

	for (int32_t epoch = 1; epoch <= 100; epoch++) {
		assert_int_equal(begin(request(id, epoch)), ERR_NONE);
		struct fetch_want **wants = fetch_partitions_active(&session->partitions, &arena, &n);
		assert_int_equal(n, 100);
		for (int i = 0; i < 3; i++) {
			served[wants[i]->partition]++;
			tell(wants[i]->partition, ERR_NONE, 1000, 10);
		}
		fetch_session_release(session);
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(served[i], 3);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_none_is_wanted),
		T(test_epochs_follow_each_other),
		T(test_a_refused_request_changes_nothing),
		T(test_only_its_own_connection_finds_it),
		T(test_ids_differ),
		T(test_the_final_epoch_ends_it),
		T(test_names_and_ids_do_not_mix),
		T(test_requests_add_change_and_forget),
		T(test_topics_by_id_need_no_name),
		T(test_without_partitions_it_ends),
		T(test_a_replaced_topic_id_is_another_topic),
		T(test_slots_are_few),
		T(test_no_slots_no_sessions),
		T(test_memory_is_bounded),
		T(test_what_was_forgotten_leaves_its_room_behind),
		T(test_only_what_changed_is_told),
		T(test_each_number_counts),
		T(test_who_gives_goes_to_the_end),
		T(test_quiet_until_something_moves),
		T(test_all_are_looked_at_after_a_loss_and_now_and_then),
		T(test_another_isolation_level_ends_elsewhere),
		T(test_hashes_are_of_all),
		T(test_against_a_model),
		T(test_none_starves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
