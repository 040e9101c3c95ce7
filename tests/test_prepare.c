/*
 * Who may write, and what comes before: the first checkpoint before the first write, its pin before
 * anybody lets go of the one of before, and no write while nobody holds one.
 */
#include "storage/checkpoint.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "storage/env.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

/* --- what stands before the libraries ---------------------------------------------------------- */

static struct {
	const char *dir; /* NULL: puts are not looked at */
	int puts;        /* how many there were */
	int too_early;   /* of these before a checkpoint */
} watch;

static bool
is_checkpointed(const char *dir)
{
	struct ckpt_slot slot;
	int fd = open(test_path(dir, "ckpt"), O_RDONLY);
	bool any = fd >= 0 && ckptfile_newest(fd, &slot) >= 0;
	if (fd >= 0)
		close(fd);
	return any;
}

int
mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags)
{
	int (*f)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *, unsigned) = dlsym(RTLD_NEXT, "mdb_put");
	if (watch.dir != NULL) {
		watch.puts++;
		watch.too_early += !is_checkpointed(watch.dir);
	}
	return f(txn, dbi, key, data, flags);
}

/* --- the order of a start ---------------------------------------------------------------------- */

static void
start(struct store_fixture *f)
{
	watch.dir = f->dir;
	watch.puts = watch.too_early = 0;
	fixture_open(f);
	watch.dir = NULL;
}

static void
no_write_comes_before_the_first_checkpoint(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 1 });

	/* A copy has commits to mend, and no checkpoint yet. */
	char *copy = test_dir_make();
	assert_int_equal(mdb_env_copy2(f.store->env, copy, MDB_CP_COMPACT), 0);
	fixture_close(&f, true);
	test_dir_remove(f.dir);
	f.dir = copy;
	start(&f);
	assert_true(watch.puts > 0);
	assert_int_equal(watch.too_early, 0);
	fixture_close(&f, true);

	/* Nor has a store that is not there yet. */
	test_dir_remove(f.dir);
	f.dir = test_dir_make();
	start(&f);
	assert_true(watch.puts > 0);
	assert_int_equal(watch.too_early, 0);
	fixture_end(&f);
}

static void
wait_until_it_waits_for_the_lock(const struct store_fixture *f, int slot)
{
	for (int i = 0; i < 20000 && atomic_load(&f->shared->slot[slot].waiting) == 0; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_int_equal(atomic_load(&f->shared->slot[slot].waiting), 1);
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL); /* and has got as far as the lock */
}

static pid_t wanted;
static int found;

static int
look_for_reader(const char *line, void *ctx)
{
	(void)ctx;
	found += strtol(line, NULL, 10) == wanted;
	return 0;
}

static bool
has_reader(const struct store_fixture *f, pid_t pid)
{
	wanted = pid;
	found = 0;
	(void)mdb_reader_list(f->store->env, look_for_reader, NULL);
	return found > 0;
}

/* A checkpointer of its own: prepares, then does nothing but hold its pin. */
static pid_t
checkpointer_start(struct store_fixture *f, int *ready)
{
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		f->store = fixture_store(f, 0);
		MUST(store_prepare(f->store));
		if (dprintf(pipes[1], ".") == 1)
			pause();
		_exit(1);
	}
	close(pipes[1]);
	*ready = pipes[0];
	return pid;
}

static void
end(pid_t pid, int ready)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ready);
}

/*
 * A worker that began to write while the checkpointer lived may take any page that no reader holds: until
 * it has ended the dead one's pin must stay.
 */
static void
a_dead_checkpointers_pin_stays_until_there_is_another(void **state)
{
	(void)state;
	struct store_fixture f;
	int ready, next_ready;
	char byte;
	fixture_begin(&f, DURABILITY_DURABLE);
	fixture_close(&f, false);
	pid_t pid = checkpointer_start(&f, &ready);
	assert_int_equal(read(ready, &byte, 1), 1);
	f.store = fixture_store(&f, 1);
	struct store_txn *txn = fixture_write(&f);
	end(pid, ready);
	store_slot_clear(f.shared, 0);
	assert_true(has_reader(&f, pid));
	pid_t next = checkpointer_start(&f, &next_ready);
	wait_until_it_waits_for_the_lock(&f, 0);
	assert_true(has_reader(&f, pid));
	store_abort(txn);
	assert_int_equal(read(next_ready, &byte, 1), 1);
	assert_false(has_reader(&f, pid));
	end(next, next_ready);
	fixture_end(&f);
}

/* The checkpointer died while a writer waited for the lock: no pin, no write. */
static void
who_waited_for_the_lock_looks_again(void **state)
{
	(void)state;
	struct store_fixture f;
	int status;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct store_txn *txn = fixture_write(&f);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *store = fixture_store(&f, 2);
		struct store_txn *mine;
		_exit(store_write(store, &mine) == ERR_KAFKA_STORAGE_ERROR ? 0 : 1);
	}
	wait_until_it_waits_for_the_lock(&f, 2);
	atomic_store(&f.shared->writes_ok, 0);
	store_abort(txn);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_write_comes_before_the_first_checkpoint),
		cmocka_unit_test(a_dead_checkpointers_pin_stays_until_there_is_another),
		cmocka_unit_test(who_waited_for_the_lock_looks_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
