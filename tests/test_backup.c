/*
 * Backups: a copy is one snapshot, whatever is committed meanwhile; it opens by itself and works on; a failure, of
 * whichever call, leaves nothing behind; what is unfinished is no store.
 *
 * This program has its own pread(), pwrite(), write(), fsync(), fallocate(), ftruncate() and renameat2(), which stand
 * before libc's: commits come between the backup's reads, and the k-th call that changes the target fails.
 */
#include "storage/backup.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "storage/ckptfile.h"
#include "storage/env.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

/* --- what stands before libc ------------------------------------------------------------------------- */

static struct {
	void (*before_read)(void);
	int left, code; /* countdown of changes; 0: none fails */
	bool fired, shortened;
	bool torn;     /* the hook comes in the middle of a read, whose end was read first */
	bool replaces; /* renameat2() cannot promise not to replace */
	bool unsynced; /* something was written, or named, since the last sync */
	int syncs;
} stage;

static void *
real(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);
	CHECK(f != NULL);
	return f;
}

static bool
fails(void)
{
	if (stage.left == 0 || --stage.left > 0)
		return false;
	stage.fired = true;
	errno = stage.code;
	return true;
}

static void
run_hook(void)
{
	void (*hook)(void) = stage.before_read;
	stage.before_read = NULL;
	if (hook != NULL)
		hook();
	stage.before_read = hook;
}

ssize_t
pread(int fd, void *at, size_t n, off_t offset)
{
	ssize_t (*f)(int, void *, size_t, off_t) = real("pread");
	if (!stage.torn) {
		run_hook();
		return f(fd, at, n, offset);
	}
	size_t head = 100;
	ssize_t tail = f(fd, (char *)at + head, n - head, offset + (off_t)head);
	run_hook();
	return tail + f(fd, at, head, offset);
}

ssize_t
pwrite(int fd, const void *at, size_t n, off_t offset)
{
	ssize_t (*f)(int, const void *, size_t, off_t) = real("pwrite");
	if (fails())
		return -1;
	stage.unsynced = true;
	return f(fd, at, stage.shortened && n > 4096 ? 4096 : n, offset);
}

ssize_t
write(int fd, const void *at, size_t n)
{
	ssize_t (*f)(int, const void *, size_t) = real("write");
	stage.unsynced |= fd != STDERR_FILENO;
	return fd != STDERR_FILENO && fails() ? -1 : f(fd, at, n);
}

int
fsync(int fd)
{
	int (*f)(int) = real("fsync");
	if (fails())
		return -1;
	stage.unsynced = false;
	stage.syncs++;
	return f(fd);
}

int
ftruncate(int fd, off_t n)
{
	int (*f)(int, off_t) = real("ftruncate");
	return fails() ? -1 : f(fd, n);
}

int
fallocate(int fd, int mode, off_t from, off_t n)
{
	int (*f)(int, int, off_t, off_t) = real("fallocate");
	return fails() ? -1 : f(fd, mode, from, n);
}

int
renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	int (*f)(int, const char *, int, const char *, unsigned) = real("renameat2");
	if (stage.replaces) {
		errno = EINVAL;
		return -1;
	}
	if (fails())
		return -1;
	assert_false(stage.unsynced);
	stage.unsynced = true;
	return f(a, from, b, to, flags);
}

/* --- a store with something in it -------------------------------------------------------------------- */

static struct {
	struct store_fixture f;
	struct topic t;
	uint32_t group;
	int64_t end;  /* of both partitions */
	char *parent; /* of what is copied to */
	int copies;
} s;

/* One commit: a record in each of two partitions, and the offset of a group. */
static void
commit_one(void)
{
	struct store_txn *txn = fixture_write(&s.f);
	struct append_result result;
	struct stored_offset offset = {
		.offset = s.end + 1, .leader_epoch = -1, .expires_ms = -1, .metadata = STR("")
	};
	for (int i = 0; i < 2; i++)
		MUST(fixture_append_in(&s.f, txn, &s.t, i,
				       &(struct batch_spec){ .value_bytes = 6000, .seed = (uint64_t)s.end },
				       &result));
	MUST(groups_open(txn, STR("readers"), &s.group));
	MUST(offsets_commit(txn, s.group, s.t.number, 1, &offset));
	fixture_commit(txn);
	s.end++;
}

static void
begin(enum durability durability)
{
	memset(&s, 0, sizeof(s));
	memset(&stage, 0, sizeof(stage));
	fixture_begin(&s.f, durability);
	s.parent = test_dir_make();
	struct topic gone = fixture_topic(&s.f, "gone", 1);
	s.t = fixture_topic(&s.f, "kept", 2);
	for (int i = 0; i < 40; i++)
		fixture_append(&s.f, &gone, 0, &(struct batch_spec){ .value_bytes = 60000 });
	struct store_txn *txn = fixture_write(&s.f);
	MUST(topic_delete(txn, &gone));
	fixture_commit(txn);
	struct clean_rules rules = { .retention_ms = -1, .retention_bytes = -1, .deleted_only = true };
	fixture_clean(&s.f, &rules);
	for (int i = 0; i < 10; i++)
		commit_one();
}

static void
end(void)
{
	test_dir_remove(s.parent);
	fixture_end(&s.f);
}

static const char *
somewhere(void)
{
	static char path[4096];
	snprintf(path, sizeof(path), "%s/copy%d", s.parent, s.copies++);
	return path;
}

static uint64_t
file_bytes(const char *dir, const char *name)
{
	struct stat st;
	assert_int_equal(stat(test_path(dir, name), &st), 0);
	return (uint64_t)st.st_size;
}

/* --- what a copy must be ----------------------------------------------------------------------------- */

static void
check_record(struct store_txn *txn, struct store_fixture *f, const struct topic *t, int i, int64_t offset)
{
	struct log_slice slice = { 0 };
	struct buf whole = { 0 }, expected = { 0 };
	MUST(log_read(txn, t, i, offset, offset + 1, 1, true, &f->arena, &slice));
	for (int32_t k = 0; k < slice.iov_n; k++)
		buf_append(&whole, slice.iov[k].iov_base, slice.iov[k].iov_len);
	batches_make(&expected, &(struct batch_spec){ .value_bytes = 6000, .seed = (uint64_t)offset });
	put_u64(buf_head(&expected), (uint64_t)offset);
	assert_int_equal(buf_len(&whole), buf_len(&expected));
	assert_memory_equal(buf_head(&whole) + 16, buf_head(&expected) + 16, buf_len(&whole) - 16);
	assert_int_equal(get_u64(buf_head(&whole)), offset);
	(void)batches_check(&whole);
	buf_free(&whole);
	buf_free(&expected);
}

/* As one commit left it; returns how many there were. */
static int64_t
check_content(struct store_fixture *f)
{
	struct topic t;
	struct partition p[2];
	struct stored_offset offset;
	uint32_t group;
	struct store_txn *txn = fixture_read(f);
	MUST(topic_by_name(txn, STR("kept"), &f->arena, &t));
	assert_memory_equal(&t.id, &s.t.id, sizeof(t.id));
	for (int i = 0; i < 2; i++)
		MUST(partition_state(txn, &t, i, &p[i]));
	assert_int_equal(p[0].log_end, p[1].log_end);
	assert_int_equal(p[0].log_start, 0);
	assert_int_equal(p[0].high_watermark, p[0].log_end);
	MUST(groups_number(txn, STR("readers"), &group));
	MUST(offsets_fetch(txn, group, t.number, 1, &f->arena, &offset));
	assert_int_equal(offset.offset, p[0].log_end);
	for (int64_t at = 0; at < p[0].log_end; at++)
		for (int i = 0; i < 2; i++)
			check_record(txn, f, &t, i, at);
	store_read_end(txn);
	return p[0].log_end;
}

/* It opens without anything else beside it, has no page too many or too few (compacting counts them), and works on. */
static int64_t
check_copy(const char *dir)
{
	struct store_backup again;
	struct store_fixture copy = s.f;
	struct store *original = s.f.store;
	copy.dir = strdup(dir);
	copy.arena = (struct arena)ARENA_EMPTY;
	copy.batch = (struct buf){ 0 };
	copy.shared = calloc(1, sizeof(*copy.shared));
	fixture_open(&copy);
	int64_t found = check_content(&copy);
	assert_string_equal(store_cluster_id(copy.store).at, store_cluster_id(original).at);
	MUST(store_backup(copy.store, somewhere(), true, &again));
	struct topic t = fixture_topic(&copy, "new", 1);
	assert_int_equal(fixture_append(&copy, &t, 0, &(struct batch_spec){ .count = 2 }), 0);
	fixture_checkpoint(&copy);
	assert_int_equal(fixture_partition(&copy, &t, 0).high_watermark, 2);
	fixture_close(&copy, true);
	free(copy.dir);
	free(copy.shared);
	arena_free(&copy.arena);
	buf_free(&copy.batch);
	return found;
}

static void
a_copy_is_a_store(void **state)
{
	for (enum durability d = DURABILITY_DURABLE; d <= DURABILITY_STRICT; d++) {
		begin(d);
		struct store_backup copy, compact;
		const char *dir = somewhere();
		stage.syncs = 0;
		MUST(store_backup(s.f.store, dir, false, &copy));
		assert_false(stage.unsynced);
		assert_int_equal(stage.syncs, 3); /* file, directory, and its own name */
		assert_int_equal(copy.bytes, file_bytes(dir, "data.mdb"));
		assert_int_equal(access(test_path(dir, "ckpt"), F_OK), -1);
		assert_int_equal(access(test_path(dir, "data.mdb.unfinished"), F_OK), -1);
		struct store_txn *txn = fixture_read(&s.f);
		assert_int_equal(copy.commit, store_snapshot(txn));
		store_read_end(txn);
		assert_int_equal(check_copy(dir), s.end);

		dir = somewhere();
		assert_int_equal(mkdir(dir, 0700), 0);
		stage.syncs = 0;
		MUST(store_backup(s.f.store, dir, true, &compact));
		assert_false(stage.unsynced);
		assert_int_equal(stage.syncs, 2);
		assert_int_equal(compact.commit, copy.commit);
		assert_int_equal(compact.bytes, file_bytes(dir, "data.mdb"));
		assert_true(compact.bytes < copy.bytes / 2);
		assert_int_equal(check_copy(dir), s.end);
		end();
	}
	(void)state;
}

/* --- while others commit ----------------------------------------------------------------------------- */

static int hurry; /* commits at each read */
static int reads_hurried;

static void
commit_some(void)
{
	for (int i = 0; i < hurry && reads_hurried > 0; i++)
		commit_one();
	reads_hurried -= reads_hurried > 0;
}

/*
 * Before the meta page is read, and then between pages: one commit changes the other meta page, two change the
 * snapshot's own. The copy is what one commit left, and no older than the command.
 */
static void
commits_meanwhile_do_not_show(void **state)
{
	(void)state;
	begin(DURABILITY_DURABLE);
	test_stderr_begin();
	for (hurry = 1; hurry <= 3; hurry++) {
		for (int reads = 1; reads <= 5; reads += 2) {
			struct store_backup copy;
			const char *dir = somewhere();
			int64_t before = s.end;
			reads_hurried = reads;
			stage.before_read = commit_some;
			MUST(store_backup(s.f.store, dir, false, &copy));
			stage.before_read = NULL;
			assert_true(s.end > before);
			int64_t found = check_copy(dir);
			assert_true(found >= before && found <= s.end);
			assert_int_equal(fixture_partition(&s.f, &s.t, 0).log_end, s.end);
		}
	}
	(void)test_stderr_end();
	end();
}

/* Everything that is in the snapshot is deleted and freed, and new data comes, which would lie in its place. */
static void
churn(void)
{
	struct store_txn *txn = fixture_write(&s.f);
	MUST(topic_delete(txn, &s.t));
	MUST(groups_delete(txn, STR("readers")));
	fixture_commit(txn);
	struct clean_rules rules = { .retention_ms = -1, .retention_bytes = -1, .deleted_only = true };
	fixture_clean(&s.f, &rules);
	struct topic t = fixture_topic(&s.f, "new-data", 1);
	for (int i = 0; i < 60; i++) {
		fixture_checkpoint(&s.f); /* whose pin moves on */
		fixture_append(&s.f, &t, 0, &(struct batch_spec){ .value_bytes = 60000, .seed = 99 });
	}
}

static int reads_seen;

static void
churn_at_the_second_read(void)
{
	if (++reads_seen == 2) /* the first is the meta page's */
		churn();
}

static void
pages_of_the_snapshot_stay(void **state)
{
	(void)state;
	begin(DURABILITY_DURABLE);
	struct store_backup copy;
	const char *dir = somewhere();
	reads_seen = 0;
	stage.before_read = churn_at_the_second_read;
	MUST(store_backup(s.f.store, dir, false, &copy));
	stage.before_read = NULL;
	assert_true(reads_seen > 2);
	assert_int_equal(check_copy(dir), s.end);
	end();
}

/* The meta page's end, where the number is, was read before two commits, its beginning after them. */
static void
a_meta_page_of_two_commits_is_not_taken(void **state)
{
	(void)state;
	begin(DURABILITY_DURABLE);
	struct store_backup copy;
	const char *dir = somewhere();
	hurry = 2;
	reads_hurried = 3;
	stage.torn = true;
	stage.before_read = commit_some;
	MUST(store_backup(s.f.store, dir, false, &copy));
	stage.before_read = NULL;
	stage.torn = false;
	assert_int_equal(check_copy(dir), s.end);
	end();
}

/* The other meta page, too, leads to this snapshot: one that is lost does no harm. */
static void
either_meta_page_will_do(void **state)
{
	(void)state;
	for (int lost = 0; lost < 2; lost++) {
		begin(DURABILITY_DURABLE);
		struct store_backup copy;
		uint8_t meta[CKPT_META_BYTES];
		uint64_t number;
		const char *dir = somewhere();
		MUST(store_backup(s.f.store, dir, false, &copy));
		int fd = open(test_path(dir, "data.mdb"), O_RDWR);
		off_t at = (off_t)lost * s.f.store->page_bytes,
		      other = (off_t)(1 - lost) * s.f.store->page_bytes;
		assert_int_equal(pread(fd, meta, sizeof(meta), other), sizeof(meta));
		assert_true(ckptfile_meta_commit(meta, &number));
		assert_int_equal(number, copy.commit);
		ckptfile_meta_place(meta, (unsigned)lost, 0);
		assert_int_equal(pwrite(fd, meta, sizeof(meta), at), sizeof(meta));
		close(fd);
		assert_int_equal(check_copy(dir), s.end);
		end();
	}
}

/* --- refusals and failures --------------------------------------------------------------------------- */

static void
refuses(const char *dir, const char *why)
{
	struct store_backup copy;
	test_stderr_begin();
	enum err e = store_backup(s.f.store, dir, false, &copy);
	const char *said = test_stderr_end();
	assert_int_equal(e, ERR_KAFKA_STORAGE_ERROR);
	if (strstr(said, why) == NULL)
		fail_msg("'%s' is not in: %s", why, said);
}

static void
what_is_there_is_not_touched(void **state)
{
	(void)state;
	begin(DURABILITY_DURABLE);
	static const char *const names[] = { "data.mdb", "ckpt", "broker.lock" };
	refuses(s.f.dir, "it holds a store already");
	for (size_t i = 0; i < 3; i++) {
		char *dir = test_dir_make();
		test_file_write(test_path(dir, names[i]), "mine");
		refuses(dir, "it holds a store already");
		assert_int_equal(file_bytes(dir, names[i]), 4);
		assert_int_equal(access(test_path(dir, "data.mdb.unfinished"), F_OK), -1);
		test_dir_remove(dir);
	}
	char *file = strdup(somewhere());
	test_file_write(file, "mine");
	refuses(file, "Not a directory");
	free(file);
	char *far = strdup(test_path(s.parent, "no/where"));
	refuses(far, "No such file");
	free(far);
	end();
}

static void
make_a_store(void)
{
	test_file_write(test_path(s.parent, "data.mdb"), "mine");
}

static void
a_store_that_comes_meanwhile_is_not_replaced(void **state)
{
	(void)state;
	for (int replaces = 0; replaces < 2; replaces++) {
		begin(DURABILITY_DURABLE);
		stage.replaces = replaces;
		stage.before_read = make_a_store;
		refuses(s.parent, "doing=\"rename the file\"");
		stage.before_read = NULL;
		assert_int_equal(file_bytes(s.parent, "data.mdb"), 4);
		assert_int_equal(access(test_path(s.parent, "data.mdb.unfinished"), F_OK), -1);
		struct store_backup copy;
		const char *dir = somewhere();
		MUST(store_backup(s.f.store, dir, false, &copy));
		stage.replaces = false;
		assert_int_equal(check_copy(dir), s.end);
		end();
	}
}

static void
what_was_interrupted_is_written_anew(void **state)
{
	(void)state;
	begin(DURABILITY_DURABLE);
	struct store_backup copy;
	char *dir = test_dir_make();
	char *name = strdup(test_path(dir, "data.mdb.unfinished"));
	bool restored;
	test_file_write(name, "half of a longer one");
	assert_int_equal(truncate(name, 100 << 20), 0);

	test_stderr_begin();
	assert_int_equal(store_recover(dir, &restored),
			 ERR_KAFKA_STORAGE_ERROR); /* nobody takes it for a store */
	assert_non_null(strstr(test_stderr_end(), "never finished"));

	int fd = open(name, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	refuses(dir, "another backup is writing it");
	assert_int_equal(access(name, F_OK), 0);
	close(fd);

	MUST(store_backup(s.f.store, dir, false, &copy));
	assert_true(copy.bytes < 100 << 20);
	assert_int_equal(check_copy(dir), s.end);
	test_file_write(name, "a later one, beside a store");
	MUST(store_recover(dir, &restored));
	free(name);
	test_dir_remove(dir);
	end();
}

/* Whatever fails, there is no copy, no trace of one, and a next one succeeds. */
static void
failures_leave_nothing(void **state)
{
	(void)state;
	static const int codes[] = { ENOSPC, EIO, EDQUOT };
	begin(DURABILITY_DURABLE);
	for (size_t i = 0; i < 6; i++) {
		const char *dir = somewhere();
		bool compact = i % 2 == 1;
		for (int k = 1;; k++) {
			struct store_backup copy;
			stage.left = k;
			stage.code = codes[i / 2];
			stage.fired = false;
			test_stderr_begin();
			enum err e = store_backup(s.f.store, dir, compact, &copy);
			stage.left = 0;
			const char *said = test_stderr_end();
			if (!stage.fired) {
				assert_int_equal(e, ERR_NONE);
				assert_true(k > 5);
				break;
			}
			/* The parent's own sync may be none of our business. */
			if (e == ERR_NONE) {
				assert_int_equal(check_copy(dir), s.end);
				dir = somewhere();
				continue;
			}
			assert_non_null(strstr(said, strerror(stage.code)));
			assert_int_equal(access(dir, F_OK), -1);
		}
		assert_int_equal(check_copy(dir), s.end);
	}
	assert_int_equal(atomic_load(&s.f.shared->disk_full), 0); /* it is not the broker's disk */
	end();
}

static void
short_writes_go_on(void **state)
{
	(void)state;
	begin(DURABILITY_DURABLE);
	struct store_backup copy;
	const char *dir = somewhere();
	stage.shortened = true;
	MUST(store_backup(s.f.store, dir, false, &copy));
	stage.shortened = false;
	assert_int_equal(check_copy(dir), s.end);
	end();
}

/* A machine that went down: the file is a mixture, and tools, this one too, do not open it. */
static void
what_needs_recovery_is_refused(void **state)
{
	(void)state;
	begin(DURABILITY_DURABLE);
	struct ckpt_slot slot;
	struct store *store;
	fixture_close(&s.f, false);
	int fd = open(test_path(s.f.dir, "ckpt"), O_RDWR);
	for (int i = 0; i < 2; i++) {
		assert_true(ckptfile_read(fd, i, &slot));
		memset(slot.boot_id, 'x', sizeof(slot.boot_id));
		MUST(ckptfile_write(fd, i, &slot));
	}
	close(fd);
	struct store_options options = { .dir = s.f.dir, .map_bytes = s.f.map_bytes, .read_only = true };
	test_stderr_begin();
	assert_int_equal(store_open(&options, &store), ERR_KAFKA_STORAGE_ERROR);
	assert_non_null(strstr(test_stderr_end(), "start the broker once"));
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_is_a_store),
		cmocka_unit_test(commits_meanwhile_do_not_show),
		cmocka_unit_test(pages_of_the_snapshot_stay),
		cmocka_unit_test(a_meta_page_of_two_commits_is_not_taken),
		cmocka_unit_test(either_meta_page_will_do),
		cmocka_unit_test(what_is_there_is_not_touched),
		cmocka_unit_test(a_store_that_comes_meanwhile_is_not_replaced),
		cmocka_unit_test(what_was_interrupted_is_written_anew),
		cmocka_unit_test(failures_leave_nothing),
		cmocka_unit_test(short_writes_go_on),
		cmocka_unit_test(what_needs_recovery_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
