/* What a process remembers of topics is what the tables say, whoever changes them and whenever. */
#include "storage/catalog_cache.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/env.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

#define NAMES 6
#define STEPS 4000

static struct str
name_of(int i)
{
	static const char *const names[NAMES] = { "a", "b", "c.d", "c_d", "e", "f" };
	return str_of(names[i]);
}

/* --- another process, which changes topics as it is told ------------------------------------------------- */

enum change { CREATE, DELETE, GROW, CONFIGURE, ABORTED, OTHER, CHANGES };

struct order {
	enum change change;
	int name;
};

static struct peer {
	pid_t pid;
	int orders[2], done[2];
} peer;

static enum err
change_topic(struct store_txn *txn, const struct order *order, struct arena *arena)
{
	struct topic topic;
	struct topic_setting setting = { STR("retention.ms"), STR("5") };
	enum err e = topic_by_name(txn, name_of(order->name), arena, &topic);
	if (order->change == CREATE || (order->change == ABORTED && e != ERR_NONE))
		return topic_create(txn, name_of(order->name), 1, NULL, 0, arena, &topic);
	if (e != ERR_NONE)
		return e;
	if (order->change == GROW)
		return topic_grow(txn, &topic, topic.partitions + 1);
	if (order->change == CONFIGURE)
		return topic_configure(txn, &topic, &setting, topic.setting_n == 0 ? 1 : 0);
	return topic_delete(txn, &topic);
}

static void
obey(struct store_fixture *f, const struct order *order)
{
	struct store_txn *txn = fixture_write(f);
	enum err done = ERR_NONE;
	if (order->change == OTHER)
		done = producer_id_next(txn, &(int64_t){ 0 });
	else
		done = change_topic(txn, order, &f->arena);
	if (order->change == ABORTED || done != ERR_NONE)
		store_abort(txn);
	else
		fixture_commit(txn);
	arena_reset(&f->arena);
}

static _Noreturn void
peer_main(struct store_fixture *f)
{
	struct order order;
	f->store = fixture_store(f, 1);
	while (read(peer.orders[0], &order, sizeof(order)) == (ssize_t)sizeof(order)) {
		obey(f, &order);
		CHECK(write(peer.done[1], "x", 1) == 1);
	}
	_exit(0);
}

static void
peer_start(struct store_fixture *f)
{
	assert_int_equal(pipe(peer.orders), 0);
	assert_int_equal(pipe(peer.done), 0);
	peer.pid = fork();
	assert_true(peer.pid >= 0);
	if (peer.pid == 0) {
		close(peer.orders[1]);
		peer_main(f);
	}
	close(peer.orders[0]);
}

static void
peer_do(enum change change, int name)
{
	struct order order = { change, name };
	char byte;
	assert_int_equal(write(peer.orders[1], &order, sizeof(order)), sizeof(order));
	assert_int_equal(read(peer.done[0], &byte, 1), 1);
}

static void
peer_stop(void)
{
	int status;
	close(peer.orders[1]);
	assert_int_equal(waitpid(peer.pid, &status, 0), peer.pid);
	assert_int_equal(status, 0);
	close(peer.done[0]);
	close(peer.done[1]);
}

/* --- looking ------------------------------------------------------------------------------------------- */

static void
same(enum err found, const struct topic *it, enum err truth, const struct topic *is)
{
	assert_int_equal(found, truth);
	if (truth != ERR_NONE)
		return;
	assert_int_equal(it->number, is->number);
	assert_int_equal(it->partitions, is->partitions);
	assert_int_equal(it->setting_n, is->setting_n);
	assert_true(uuid_eq(it->id, is->id));
	assert_true(str_eq(it->name, is->name));
}

/* By name, id and number as the cache has it, and again with an empty one. */
static void
look(struct store_fixture *f, struct store_txn *txn, int name, struct uuid known)
{
	struct topic cached, by_id, by_number, truth, true_id;
	enum err e = topic_by_name(txn, name_of(name), &f->arena, &cached);
	enum err id = topic_by_id(txn, known, &f->arena, &by_id);
	enum err number = e == ERR_NONE ? topic_by_number(txn, cached.number, &f->arena, &by_number) : e;

	catalog_cache_free(&f->store->catalog);
	enum err true_e = topic_by_name(txn, name_of(name), &f->arena, &truth);
	same(e, &cached, true_e, &truth);
	same(number, &by_number, true_e, &truth);
	enum err true_id_e = topic_by_id(txn, known, &f->arena, &true_id);
	same(id, &by_id, true_id_e, &true_id);
}

static struct uuid
id_of(struct store_fixture *f, int name)
{
	struct topic topic;
	struct store_txn *txn = fixture_read(f);
	enum err e = topic_by_name(txn, name_of(name), &f->arena, &topic);
	store_read_end(txn);
	return e == ERR_NONE ? topic.id : (struct uuid){ 0 };
}

static void
warm(struct store_fixture *f, struct store_txn *txn)
{
	struct topic topic;
	for (int i = 0; i < NAMES; i++)
		if (topic_by_name(txn, name_of(i), &f->arena, &topic) == ERR_NONE)
			MUST(topic_by_id(txn, topic.id, &f->arena, &topic));
}

/* A writer begins with what is newest, beside an older snapshot of the same process. */
static void
warm_as_writer(struct store_fixture *f)
{
	struct store_txn *txn = fixture_write(f);
	warm(f, txn);
	store_abort(txn);
}

/* --- cases --------------------------------------------------------------------------------------------- */

/* One process changes topics, at random; the other looks with a snapshot from before and one from after. */
static void
another_process_changes_topics(void **state)
{
	(void)state;
	struct store_fixture f;
	uint64_t seed = 88172645463325252u;
	fixture_begin(&f, DURABILITY_DURABLE);
	peer_start(&f);
	for (int i = 0; i < STEPS; i++) {
		int name = (int)(test_random(&seed) % NAMES);
		struct uuid known = id_of(&f, name);
		struct store_txn *before = fixture_read(&f);
		warm(&f, before);
		bool early = test_random(&seed) % 2 == 0;
		if (!early)
			store_read_end(before);
		peer_do((enum change)(test_random(&seed) % CHANGES), name);
		if (early) {
			warm_as_writer(&f);
			look(&f, before, name, known); /* as it was */
			warm(&f, before);              /* and remembers it so */
			store_read_end(before);
		}
		struct store_txn *after = fixture_read(&f);
		look(&f, after, name, known);
		store_read_end(after);
		arena_reset(&f.arena);
	}
	peer_stop();
	fixture_end(&f);
}

/* A transaction sees what it has changed itself, and nobody remembers it if it comes to nothing. */
static void
what_is_not_committed_is_not_remembered(void **state)
{
	(void)state;
	struct store_fixture f;
	struct topic topic = { 0 }, found;
	fixture_begin(&f, DURABILITY_DURABLE);
	topic = fixture_topic(&f, "a", 1);

	struct store_txn *txn = fixture_write(&f);
	MUST(topic_by_name(txn, name_of(0), &f.arena, &found));
	MUST(topic_grow(txn, &topic, 7));
	MUST(topic_by_name(txn, name_of(0), &f.arena, &found));
	assert_int_equal(found.partitions, 7);
	MUST(topic_delete(txn, &topic));
	assert_int_equal(topic_by_name(txn, name_of(0), &f.arena, &found), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	struct append_result result;
	assert_int_equal(fixture_append_in(&f, txn, &topic, 0, &(struct batch_spec){ .count = 1 }, &result),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	store_abort(txn);

	for (int i = 0; i < 2; i++) { /* the second time after another commit of the same number */
		txn = fixture_read(&f);
		MUST(topic_by_name(txn, name_of(0), &f.arena, &found));
		assert_int_equal(found.partitions, 1);
		store_read_end(txn);
		fixture_append(&f, &topic, 0, &(struct batch_spec){ .count = 1 });
	}
	fixture_end(&f);
}

/* `broker dump` has no shared memory with the broker, so nobody tells it of changes. */
static void
a_tool_remembers_nothing(void **state)
{
	(void)state;
	struct store_fixture f;
	struct topic found;
	fixture_begin(&f, DURABILITY_DURABLE);
	fixture_topic(&f, "a", 1);
	fixture_close(&f, false);
	atomic_store(&f.shared->writes_ok, 1); /* the peer needs no checkpointer here */
	peer_start(&f);
	struct store_options options = { .dir = f.dir, .map_bytes = f.map_bytes, .read_only = true };
	struct store *tool;
	MUST(store_open(&options, &tool));
	for (int partitions = 1; partitions <= 3; partitions++) {
		struct store_txn *txn;
		MUST(store_read(tool, &txn));
		MUST(topic_by_name(txn, name_of(0), &f.arena, &found));
		assert_int_equal(found.partitions, partitions);
		store_read_end(txn);
		peer_do(GROW, 0);
	}
	store_close(tool);
	peer_stop();
	fixture_open(&f);
	fixture_end(&f);
}

/* It would be no cache. */
static void
what_is_remembered_is_used(void **state)
{
	(void)state;
	struct store_fixture f;
	struct topic found;
	uint32_t number;
	struct bytes row;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic topic = fixture_topic(&f, "a", 1);
	struct store_txn *txn = fixture_read(&f);
	MUST(topic_by_name(txn, name_of(0), &f.arena, &found));
	assert_true(catalog_cache_number(txn, TABLE_TNAME, "a", 1, &number));
	assert_int_equal(number, topic.number);
	assert_true(catalog_cache_row(txn, number, &row));
	store_read_end(txn);
	fixture_append(&f, &topic, 0, &(struct batch_spec){ .count = 1 }); /* commits that change no topic */
	txn = fixture_read(&f);
	assert_true(catalog_cache_number(txn, TABLE_TNAME, "a", 1, &number));
	assert_true(catalog_cache_row(txn, number, &row));
	store_read_end(txn);
	fixture_end(&f);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_process_changes_topics),
		cmocka_unit_test(what_is_not_committed_is_not_remembered),
		cmocka_unit_test(a_tool_remembers_nothing),
		cmocka_unit_test(what_is_remembered_is_used),
	};
	return cmocka_run_group_tests_name("catalog_cache", tests, NULL, NULL);
}
