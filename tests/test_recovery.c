/* After a power cut: what store_recover() decides, case by case. test_powercut.c tries it at random. */
#include "storage/recovery.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "storage/checkpoint.h"
#include "storage/ckptfile.h"
#include "storage/env.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

/* --- what is decided -------------------------------------------------------------------------------- */

/* As if the machine had been started anew: all whole slots are an earlier boot's. */
static void
reboot(const char *dir)
{
	int fd = open(test_path(dir, "ckpt"), O_RDWR);
	if (fd < 0)
		return;
	for (int i = 0; i < 2; i++) {
		struct ckpt_slot slot;
		if (!ckptfile_read(fd, i, &slot))
			continue;
		memset(slot.boot_id, 'x', sizeof(slot.boot_id));
		MUST(ckptfile_write(fd, i, &slot));
	}
	close(fd);
}

static bool
recover(const struct store_fixture *f)
{
	bool restored;
	MUST(store_recover(f->dir, &restored));
	return restored;
}

static void
within_one_boot_nothing_is_restored(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 5 });
	fixture_close(&f, false);
	assert_false(recovery_is_due(f.dir));
	assert_false(recover(&f));
	fixture_open(&f);
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5); /* never checkpointed, and there */
	fixture_end(&f);
}

static void
after_a_reboot_the_checkpoint_is_restored(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 5 });
	fixture_checkpoint(&f);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 3 });
	fixture_close(&f, false);
	reboot(f.dir);
	test_stderr_begin();
	assert_true(recovery_is_due(f.dir));
	assert_true(recover(&f));
	assert_true(recover(&f)); /* cut off in the middle, and again */
	(void)test_stderr_end();
	fixture_open(&f);
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5);
	assert_int_equal(fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 1 }), 5);
	/* The first checkpoint of this run made the matter this boot's. */
	assert_false(recovery_is_due(f.dir));
	fixture_end(&f);
}

static void
after_a_clean_stop_nothing_is_restored(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 5 });
	fixture_close(&f, true);
	reboot(f.dir);
	assert_false(recover(&f));
	fixture_open(&f);
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5);
	/* Opening took the mark away, before anything was written. */
	fixture_close(&f, false);
	reboot(f.dir);
	test_stderr_begin();
	assert_true(recover(&f));
	(void)test_stderr_end();
	fixture_open(&f);
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5);
	fixture_end(&f);
}

static void
a_torn_slot_leaves_the_other(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 5 });
	fixture_checkpoint(&f);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 3 });
	fixture_checkpoint(&f);
	fixture_close(&f, false);
	reboot(f.dir);
	struct ckpt_slot slot;
	int fd = open(test_path(f.dir, "ckpt"), O_RDWR);
	int newest = ckptfile_newest(fd, &slot);
	assert_true(newest >= 0);
	assert_int_equal(pwrite(fd, "torn", 4, newest * CKPT_STRIDE + 5000), 4);
	assert_int_equal(ckptfile_newest(fd, &slot), 1 - newest);
	close(fd);
	test_stderr_begin();
	assert_true(recover(&f));
	(void)test_stderr_end();
	fixture_open(&f);
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5);
	fixture_end(&f);
}

/* data.mdb of an old backup beside the checkpoint of a newer store: left alone. */
static void
a_backup_is_not_overwritten(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 5 });
	char *backup = test_dir_make();
	assert_int_equal(mdb_env_copy2(f.store->env, backup, MDB_CP_COMPACT), 0);
	for (int i = 0; i < 20; i++)
		fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 1 });
	fixture_checkpoint(&f);
	fixture_close(&f, false);
	reboot(f.dir);
	char *from = strdup(test_path(backup, "data.mdb"));
	assert_int_equal(rename(from, test_path(f.dir, "data.mdb")), 0);
	free(from);
	test_dir_remove(backup);
	test_stderr_begin();
	assert_false(recover(&f));
	fixture_open(&f);
	(void)test_stderr_end();
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5);
	fixture_end(&f);
}

static void
nothing_there_is_nothing_to_do(void **state)
{
	(void)state;
	bool restored;
	char *dir = test_dir_make();
	assert_int_equal(store_recover(dir, &restored), ERR_NONE);
	assert_false(restored);
	assert_int_equal(store_recover(test_path(dir, "absent"), &restored), ERR_NONE);
	assert_false(restored);
	test_dir_remove(dir);
}

/*
 * The power failed in the very first moments: pages of zeros where meta pages should be. Nothing was
 * promised yet.
 */
static void
a_stillborn_file_is_removed(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	fixture_close(&f, false);
	unlink(test_path(f.dir, "ckpt"));
	unlink(test_path(f.dir, "data.mdb"));
	int fd = open(test_path(f.dir, "data.mdb"), O_RDWR | O_CREAT, 0644);
	assert_int_equal(ftruncate(fd, 8192), 0);
	close(fd);
	test_stderr_begin();
	assert_false(recover(&f));
	fixture_open(&f);
	(void)test_stderr_end();
	fixture_topic(&f, "t", 1);
	fixture_end(&f);
}

/* A tool must not look at a mixture, and must not repair it. */
static void
tools_wait_for_recovery(void **state)
{
	(void)state;
	struct store_fixture f;
	struct store *store;
	fixture_begin(&f, DURABILITY_DURABLE);
	fixture_close(&f, false);
	struct store_options tool = { .dir = f.dir, .map_bytes = f.map_bytes, .read_only = true };
	assert_int_equal(store_open(&tool, &store), ERR_NONE);
	store_close(store);
	reboot(f.dir);
	test_stderr_begin();
	assert_int_equal(store_open(&tool, &store), ERR_KAFKA_STORAGE_ERROR);
	(void)test_stderr_end();
	fixture_end(&f);
}

static void
strict_leaves_no_side_file(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_close(&f, false);
	assert_int_equal(access(test_path(f.dir, "ckpt"), F_OK), 0);
	f.durability = DURABILITY_STRICT;
	fixture_open(&f);
	assert_int_not_equal(access(test_path(f.dir, "ckpt"), F_OK), 0);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 5 });
	fixture_close(&f, false);
	reboot(f.dir);
	assert_false(recover(&f)); /* and so no older state comes back */
	f.durability = DURABILITY_DURABLE;
	fixture_open(&f);
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(within_one_boot_nothing_is_restored),
		cmocka_unit_test(after_a_reboot_the_checkpoint_is_restored),
		cmocka_unit_test(after_a_clean_stop_nothing_is_restored),
		cmocka_unit_test(a_torn_slot_leaves_the_other),
		cmocka_unit_test(a_backup_is_not_overwritten),
		cmocka_unit_test(nothing_there_is_nothing_to_do),
		cmocka_unit_test(a_stillborn_file_is_removed),
		cmocka_unit_test(tools_wait_for_recovery),
		cmocka_unit_test(strict_leaves_no_side_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
