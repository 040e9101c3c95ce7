/* Opening: new directories, formats, several processes, tools. */
#include "storage/env.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

static void
workers_wait_for_the_first_process(void **state)
{
	(void)state;
	char *dir = test_dir_make();
	struct store_fixture f = { .dir = dir, .map_bytes = (uint64_t)1 << 30 };
	static struct store_shared shared;
	store_shared_init(&shared);
	f.shared = &shared;
	struct store *worker = fixture_store(&f, 1);
	struct store_txn *txn;
	assert_int_equal(store_read(worker, &txn), ERR_KAFKA_STORAGE_ERROR);
	assert_int_equal(store_write(worker, &txn), ERR_KAFKA_STORAGE_ERROR);
	/* In one process only one environment may be open: the other one is another process's. */
	store_close(worker);
	pid_t child = fork();
	if (child == 0) {
		struct store *first = fixture_store(&f, 0);
		MUST(store_prepare(first));
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	test_dir_remove(dir);
}

static void
a_directory_is_made(void **state)
{
	(void)state;
	struct store_fixture f;
	struct stat st;
	fixture_begin(&f, DURABILITY_DURABLE);
	fixture_close(&f, true);
	char *above = f.dir;
	f.dir = strdup(test_path(above, "below"));
	fixture_open(&f);
	assert_int_equal(stat(test_path(f.dir, "data.mdb"), &st), 0);
	assert_int_equal(st.st_mode & 07007, 0); /* nobody else's business */
	fixture_close(&f, true);
	free(f.dir);
	f.dir = above;
	fixture_end(&f);
}

static void
what_cannot_be_opened_is_refused(void **state)
{
	(void)state;
	char *dir = test_dir_make();
	struct store *store;
	struct store_options options = { .map_bytes = (uint64_t)1 << 30 };
	static struct store_shared shared;
	store_shared_init(&shared);
	options.shared = &shared;
	test_stderr_begin();
	options.dir = test_path(dir, "a/b/c");
	assert_int_equal(store_open(&options, &store), ERR_KAFKA_STORAGE_ERROR);
	test_file_write(test_path(dir, "file"), "x");
	options.dir = test_path(dir, "file");
	assert_int_equal(store_open(&options, &store), ERR_KAFKA_STORAGE_ERROR);
	options.dir = dir;
	char nonsense[9000];
	memset(nonsense, 'x', sizeof(nonsense) - 1);
	nonsense[sizeof(nonsense) - 1] = '\0';
	test_file_write(test_path(dir, "data.mdb"), nonsense);
	assert_int_equal(store_open(&options, &store), ERR_KAFKA_STORAGE_ERROR);
	assert_non_null(strstr(test_stderr_end(), "store failed"));
	test_dir_remove(dir);
}

static void
the_cluster_id_stays(void **state)
{
	(void)state;
	struct store_fixture f, g;
	fixture_begin(&f, DURABILITY_DURABLE);
	char id[UUID_TEXT] = { 0 };
	assert_int_equal(store_cluster_id(f.store).n, UUID_TEXT - 1);
	memcpy(id, store_cluster_id(f.store).at, UUID_TEXT - 1);
	fixture_close(&f, false);
	fixture_open(&f);
	assert_str(store_cluster_id(f.store), id);
	fixture_begin(&g, DURABILITY_DURABLE);
	assert_false(str_is(store_cluster_id(g.store), id));
	fixture_end(&g);
	fixture_end(&f);
}

static void
a_newer_format_is_refused(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct store_txn *txn = fixture_write(&f);
	uint8_t version[4];
	put_u32(version, FORMAT_VERSION + 1);
	MUST(txn_put(txn, TABLE_SYS, "format", 6, version, sizeof(version)));
	fixture_commit(txn);
	fixture_close(&f, true);
	store_shared_init(f.shared);
	test_stderr_begin();
	struct store *store = fixture_store(&f, 0);
	assert_int_equal(store_prepare(store), ERR_KAFKA_STORAGE_ERROR);
	assert_int_equal(atomic_load(&f.shared->writes_ok), 0);
	assert_non_null(strstr(test_stderr_end(), "format"));
	store_close(store);
	fixture_end(&f);
}

/* A store of an older program lacks tables that a newer one has: they are made, the rest is kept. */
static void
missing_tables_are_made(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	MDB_txn *mdb;
	assert_int_equal(mdb_txn_begin(f.store->env, NULL, 0, &mdb), 0);
	assert_int_equal(mdb_drop(mdb, f.store->table[TABLE_TIME], 1), 0);
	assert_int_equal(mdb_txn_commit(mdb), 0);
	fixture_close(&f, true);
	fixture_open(&f);
	assert_int_equal(fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 1 }), 0);
	fixture_end(&f);
}

static void
tools_look_on(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 3 });
	pid_t child = fork();
	if (child == 0) {
		/* The parent's handle is not for us; the tool has no broker's memory either. */
		struct store_options options = { .dir = f.dir, .map_bytes = f.map_bytes, .read_only = true };
		struct partition p;
		MUST(store_open(&options, &f.store));
		p = fixture_partition(&f, &t, 0);
		_exit(p.high_watermark == 3 ? 0 : 1); /* all there is */
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	fixture_end(&f);
}

static void
errors_are_translated(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	static const int no_room[] = { MDB_MAP_FULL, ENOSPC, EIO, EFBIG, EDQUOT };
	test_stderr_begin();
	assert_int_equal(env_error(f.store, MDB_SUCCESS, "test"), ERR_NONE);
	assert_int_equal(env_error(f.store, MDB_CORRUPTED, "test"), ERR_KAFKA_STORAGE_ERROR);
	assert_int_equal(atomic_load(&f.shared->disk_full), 0);
	for (size_t i = 0; i < sizeof(no_room) / sizeof(no_room[0]); i++) {
		atomic_store(&f.shared->disk_full, 0);
		assert_int_equal(env_error(f.store, no_room[i], "test"), ERR_KAFKA_STORAGE_ERROR);
		assert_int_equal(atomic_load(&f.shared->disk_full), 1);
	}
	(void)test_stderr_end();
	fixture_end(&f);
}

/* A commit that failed half way through a meta page: nobody goes on with this environment. */
static void
a_panic_ends_the_process(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	test_stderr_begin();
	pid_t child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		enum err e = env_error(f.store, MDB_PANIC, "test");
		_exit(e);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	(void)test_stderr_end();
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_wait_for_the_first_process),
		cmocka_unit_test(a_directory_is_made),
		cmocka_unit_test(what_cannot_be_opened_is_refused),
		cmocka_unit_test(the_cluster_id_stays),
		cmocka_unit_test(a_newer_format_is_refused),
		cmocka_unit_test(missing_tables_are_made),
		cmocka_unit_test(tools_look_on),
		cmocka_unit_test(errors_are_translated),
		cmocka_unit_test(a_panic_ends_the_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
