/*
 * The disk is full: appends are refused, deletion goes on, appends are taken again when there is room. A
 * limit on the size of files stands for the disk's end: writes fail at it as they do on a full file
 * system, short ones included. fallocate() is not bound by it, so there is one here that is.
 */
#include "storage/reserve.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/env.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

#define MB ((uint64_t)1 << 20)

static uint64_t disk_bytes;         /* 0: without limit */
static bool only_files_are_limited; /* fallocate() is as it is: it does not ask for RLIMIT_FSIZE */

int
fallocate(int fd, int mode, off_t at, off_t n)
{
	if (disk_bytes != 0 && (uint64_t)at + (uint64_t)n > disk_bytes) {
		errno = ENOSPC;
		return -1;
	}
	int (*f)(int, int, off_t, off_t) = dlsym(RTLD_NEXT, "fallocate");
	return f(fd, mode, at, n);
}

static const struct clean_rules keep_all = {
	.retention_ms = -1, .retention_bytes = -1, .delete_by_default = true, .producer_expiry_ms = -1
};

/* Appends until one is refused; how many were taken. */
static int64_t
fill(struct store_fixture *f, const struct topic *t, bool checkpoints)
{
	for (int i = 0; i < 2000; i++) {
		struct store_txn *txn = fixture_write(f);
		struct append_result result;
		uint64_t commit;
		enum err e =
		    fixture_append_in(f, txn, t, 0, &(struct batch_spec){ .value_bytes = 200000 }, &result);
		if (e == ERR_NONE)
			e = store_commit(txn, &commit);
		else
			store_abort(txn);
		arena_reset(&f->arena);
		if (e != ERR_NONE) {
			assert_int_equal(e, ERR_KAFKA_STORAGE_ERROR);
			return i;
		}
		if (checkpoints)
			fixture_checkpoint(f);
	}
	fail_msg("never full");
	return 0;
}

/* What the checkpointer does, and the second that it waits between two looks is over. */
static void
look(struct store_fixture *f)
{
	f->store->reserve.looked_ms = 0;
	fixture_checkpoint(f);
}

static void
assert_readable(struct store_fixture *f, const struct topic *t, int64_t end)
{
	struct store_txn *txn = fixture_read(f);
	struct partition p;
	MUST(partition_state(txn, t, 0, &p));
	assert_int_equal(p.log_end, end);
	for (int64_t at = p.log_start; at < end; at++) {
		struct log_slice slice;
		MUST(log_read(txn, t, 0, at, end, 1, true, &f->arena, &slice));
		assert_int_equal(slice.next_offset, at + 1);
		arena_reset(&f->arena);
	}
	store_read_end(txn);
}

/* The whole story; in a child, as the limit is the process's. */
static void
full_and_not_full(uint64_t map_bytes, uint64_t limit_bytes, bool checkpoints)
{
	struct store_fixture f;
	fixture_begin_mapped(&f, DURABILITY_DURABLE, map_bytes);
	struct topic made = fixture_topic(&f, "t", 1);
	struct topic t = { .number = made.number, .partitions = 1 };
	if (limit_bytes > 0) {
		struct rlimit limit = { limit_bytes, limit_bytes };
		disk_bytes = only_files_are_limited ? 0 : limit_bytes;
		signal(SIGXFSZ, SIG_IGN);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	}
	/*
	 * Pages inside that a checkpoint sets free are used first. Then it is full, and does not get
	 * better by itself.
	 */
	int64_t end = 0;
	for (int i = 0; atomic_load(&f.shared->disk_full) == 0; i++) {
		assert_true(i < 20);
		end += fill(&f, &t, checkpoints);
		assert_int_equal(atomic_load(&f.shared->disk_full), 1);
		look(&f);
	}
	assert_true(end > 5);
	look(&f);
	assert_int_equal(atomic_load(&f.shared->disk_full), 1);
	assert_readable(&f, &t, end);

	/* All else goes on: topics come and go, old records are let go, producers get ids. */
	(void)fixture_topic(&f, "another", 3);
	struct clean_rules rules = keep_all;
	rules.retention_bytes = 500000;
	fixture_clean(&f, &rules);
	assert_true(fixture_partition(&f, &t, 0).bytes <= 900000);
	look(&f);
	look(&f);
	assert_int_equal(atomic_load(&f.shared->disk_full), 0);
	assert_readable(&f, &t, end);

	int64_t more = fill(&f, &t, checkpoints);
	assert_true(more > end / 2); /* the room inside the file is used */
	assert_readable(&f, &t, end + more);
	fixture_close(&f, true);
	fixture_open(&f);
	assert_readable(&f, &t, end + more);
	fixture_end(&f);
}

static void
in_a_child(uint64_t map_bytes, uint64_t limit_bytes, bool checkpoints)
{
	test_stderr_begin();
	pid_t child = fork();
	if (child == 0) {
		full_and_not_full(map_bytes, limit_bytes, checkpoints);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	const char *said = test_stderr_end();
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("status %d: %s", status, said);
	assert_non_null(strstr(said, "disk full, appends are refused"));
	assert_non_null(strstr(said, "room again, appends are accepted"));
}

static void
the_reserve_is_refused(void **state)
{
	(void)state;
	in_a_child(256 * MB, 60 * MB, true);
}

/* Between two checkpoints more was written than the reserve holds: a commit fails. */
static void
a_commit_fails(void **state)
{
	(void)state;
	in_a_child(256 * MB, 60 * MB, false);
}

static void
the_map_is_full(void **state)
{
	(void)state;
	in_a_child(16 * MB, 0, true);
}

static void
the_map_is_full_in_a_commit(void **state)
{
	(void)state;
	in_a_child(16 * MB, 0, false);
}

static void
the_file_is_as_large_as_it_may_be(void **state)
{
	(void)state;
	only_files_are_limited = true;
	in_a_child(256 * MB, 60 * MB, true);
	in_a_child(256 * MB, 60 * MB, false);
	only_files_are_limited = false;
}

static void
blocks_are_taken_ahead(void **state)
{
	(void)state;
	struct store_fixture f;
	struct stat st;
	fixture_begin(&f, DURABILITY_DURABLE);
	assert_int_equal(fstat(f.store->data_fd, &st), 0);
	assert_true(st.st_size < 1 << 20); /* the file is as long as what is in it */
	if (!f.store->reserve.unsupported)
		assert_true((uint64_t)st.st_blocks * 512 >= RESERVE_BYTES);
	assert_true(atomic_load(&f.shared->room_bytes) > 0);
	/* no page of the table of readers is to be looked for on a full disk */
	assert_int_equal(stat(test_path(f.dir, "lock.mdb"), &st), 0);
	if (!f.store->reserve.unsupported)
		assert_true(st.st_blocks * 512 >= st.st_size);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reserve_is_refused),
		cmocka_unit_test(a_commit_fails),
		cmocka_unit_test(the_map_is_full),
		cmocka_unit_test(the_map_is_full_in_a_commit),
		cmocka_unit_test(the_file_is_as_large_as_it_may_be),
		cmocka_unit_test(blocks_are_taken_ahead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
