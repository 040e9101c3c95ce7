#include "storage/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/diag.h"
#include "storage/ckptfile.h"
#include "storage/env.h"

#define FILE_MODE       0660
#define DIR_MODE        0770
#define UNFINISHED      "data.mdb.unfinished"
#define CHUNK_BYTES     ((size_t)1 << 20)
#define CHUNK_ALIGN     4096
#define SNAPSHOT_TRIES  5000
#define SNAPSHOT_NAP_US 1000

/* Where the copy goes. Static: store_backup_abandon() is called by signal handlers. */
static struct target {
	const char *dir;
	char unfinished[PATH_MAX], complete[PATH_MAX];
	bool made_dir, named; /* by us: removed again on failure */
	int fd;               /* of the unfinished file, and its lock; -1 */
} target = { .fd = -1 };

static enum err
refused_why(const char *doing, const char *path, const char *why)
{
	diag_error("backup failed", D_C("doing", doing), D_C("path", path), D_C("why", why));
	return ERR_KAFKA_STORAGE_ERROR;
}

static enum err
refused(const char *doing, const char *path)
{
	return refused_why(doing, path, strerror(errno));
}

static bool
join(char out[PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
	return n > 0 && n < PATH_MAX;
}

/* Is there, or cannot be looked at. */
static bool
is_there(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	return !join(path, dir, name) || lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

bool
backup_is_unfinished(const char *dir)
{
	if (!is_there(dir, UNFINISHED) || is_there(dir, "data.mdb"))
		return false;
	diag_error("the directory holds a backup that was never finished, and no store", D_C("dir", dir));
	return true;
}

/* --- the target ------------------------------------------------------------------------------------- */

/* What belongs to a store, or to a broker that is about to make one. */
static enum err
check_no_store(const char *dir)
{
	static const char *const names[] = { "data.mdb", "ckpt", "broker.lock" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (is_there(dir, names[i]))
			return refused_why("look at the directory", dir, "it holds a store already");
	}
	return ERR_NONE;
}

/* What an interrupted backup left is taken over; what another one is writing is not. */
static enum err
lock_unfinished(struct target *t)
{
	struct stat ours, named;
	int fd = open(t->unfinished, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return refused("create the file", t->unfinished);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &ours) != 0 || stat(t->unfinished, &named) != 0 ||
	    ours.st_ino != named.st_ino) {
		close(fd);
		return refused_why("lock the file", t->unfinished, "another backup is writing it");
	}
	t->fd = fd; /* ours, and only now to be removed by store_backup_abandon() */
	return ERR_NONE;
}

static enum err
target_open(struct target *t)
{
	const char *dir = t->dir;
	if (!join(t->unfinished, dir, UNFINISHED) || !join(t->complete, dir, "data.mdb"))
		return refused_why("make the directory", dir, strerror(ENAMETOOLONG));
	t->made_dir = mkdir(dir, DIR_MODE) == 0;
	if (!t->made_dir && errno != EEXIST)
		return refused("make the directory", dir);
	enum err e = check_no_store(dir);
	if (e == ERR_NONE)
		e = lock_unfinished(t);
	if (e != ERR_NONE)
		return e;
	if (ftruncate(t->fd, 0) != 0)
		return refused("empty the file", t->unfinished);
	/* Where there is no such thing the page cache will do. */
	(void)fcntl(t->fd, F_SETFL, fcntl(t->fd, F_GETFL) | O_DIRECT);
	return ERR_NONE;
}

void
store_backup_abandon(void)
{
	if (target.fd >= 0)
		(void)unlink(target.named ? target.complete : target.unfinished);
	if (target.made_dir)
		(void)rmdir(target.dir);
}

static void
target_close(struct target *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	t->made_dir = false;
}

static enum err
give_name(const struct target *t)
{
	if (renameat2(AT_FDCWD, t->unfinished, AT_FDCWD, t->complete, RENAME_NOREPLACE) == 0)
		return ERR_NONE;
	/* Some file systems cannot promise not to replace. We looked when we began. */
	bool cannot = errno == EINVAL || errno == ENOSYS;
	if (cannot && !is_there(t->dir, "data.mdb") && rename(t->unfinished, t->complete) == 0)
		return ERR_NONE;
	return refused("rename the file", t->unfinished);
}

static enum err
target_finish(struct target *t)
{
	if (fsync(t->fd) != 0)
		return refused("sync the file", t->unfinished);
	enum err e = give_name(t);
	if (e != ERR_NONE)
		return e;
	t->named = true;
	e = ckptfile_sync_dir(t->dir);
	if (e == ERR_NONE && t->made_dir)
		ckptfile_sync_parent(t->dir);
	return e;
}

/* --- as it is --------------------------------------------------------------------------------------- */

struct snapshot {
	MDB_txn *txn;
	uint64_t commit, end_bytes;
	uint8_t meta[CKPT_META_BYTES]; /* of this commit */
};

/* False: some commit came between, and the meta page may be another's, or half of one. */
static bool
read_meta(struct store *store, struct snapshot *s)
{
	uint64_t number;
	MDB_envinfo info;
	off_t at = (off_t)(s->commit & 1) * store->page_bytes;
	if (pread(store->data_fd, s->meta, sizeof(s->meta), at) != (ssize_t)sizeof(s->meta))
		return false;
	if (!ckptfile_meta_commit(s->meta, &number) || number != s->commit)
		return false;
	if (mdb_env_info(store->env, &info) != MDB_SUCCESS || info.me_last_txnid != s->commit)
		return false;
	s->end_bytes = ((uint64_t)info.me_last_pgno + 1) * store->page_bytes;
	return true;
}

static enum err
snapshot_open(struct store *store, struct snapshot *s)
{
	int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &s->txn);
	for (int i = 0; i < SNAPSHOT_TRIES && rc == MDB_SUCCESS; i++) {
		s->commit = mdb_txn_id(s->txn);
		if (read_meta(store, s))
			return ERR_NONE;
		/* Commits come tens of microseconds apart at the least. Only a dead writer's last one takes longer. */
		if (i > SNAPSHOT_TRIES / 2)
			usleep(SNAPSHOT_NAP_US);
		mdb_txn_reset(s->txn);
		rc = mdb_txn_renew(s->txn);
	}
	if (s->txn != NULL)
		mdb_txn_abort(s->txn);
	s->txn = NULL;
	return refused_why("read the store", store->dir,
			   rc != MDB_SUCCESS ? mdb_strerror(rc) : "its meta page is never still");
}

static enum err
write_at(const struct target *t, const uint8_t *at, size_t n, uint64_t offset)
{
	while (n > 0) {
		ssize_t done = pwrite(t->fd, at, n, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done == 0)
			errno = ENOSPC;
		if (done <= 0)
			return refused("write", t->unfinished);
		at += done;
		offset += (uint64_t)done;
		n -= (size_t)done;
	}
	return ERR_NONE;
}

/* Pages behind the file's end were never written, and so are in no tree. */
static enum err
copy_pages(struct store *store, const struct target *t, uint8_t *chunk, uint64_t end_bytes)
{
	for (uint64_t at = (uint64_t)2 * store->page_bytes; at < end_bytes;) {
		size_t left = end_bytes - at < CHUNK_BYTES ? (size_t)(end_bytes - at) : CHUNK_BYTES;
		ssize_t n = pread(store->data_fd, chunk, left, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return refused("read the store", store->dir);
		n -= n % (ssize_t)store->page_bytes;
		if (n == 0)
			break;
		enum err e = write_at(t, chunk, (size_t)n, at);
		if (e != ERR_NONE)
			return e;
		at += (uint64_t)n;
	}
	return ERR_NONE;
}

/* Twice the same, so that no other snapshot's half is in it. The next commit writes over one of them, as ever. */
static enum err
write_metas(const struct store *store, const struct target *t, uint8_t *chunk, const struct snapshot *s)
{
	memset(chunk, 0, (size_t)2 * store->page_bytes);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *page = chunk + (size_t)i * store->page_bytes;
		memcpy(page, s->meta, sizeof(s->meta));
		ckptfile_meta_place(page, i, s->commit);
	}
	return write_at(t, chunk, (size_t)2 * store->page_bytes, 0);
}

/* Room is taken at once: what cannot fit is refused before it is written. */
static enum err
take_room(const struct target *t, uint64_t bytes)
{
	if (fallocate(t->fd, 0, 0, (off_t)bytes) == 0 || errno == EOPNOTSUPP || errno == ENOSYS)
		return ERR_NONE;
	return refused("take room for the copy", t->unfinished);
}

static enum err
copy_as_is(struct store *store, const struct target *t, struct store_backup *out)
{
	struct snapshot s = { 0 };
	enum err e = snapshot_open(store, &s);
	if (e != ERR_NONE)
		return e;
	uint8_t *chunk = aligned_alloc(CHUNK_ALIGN, CHUNK_BYTES);
	CHECK(chunk != NULL);
	e = take_room(t, s.end_bytes);
	if (e == ERR_NONE)
		e = copy_pages(store, t, chunk, s.end_bytes);
	if (e == ERR_NONE)
		e = write_metas(store, t, chunk, &s);
	free(chunk);
	mdb_txn_abort(s.txn);
	out->commit = s.commit;
	return e;
}

/* --- without free pages ----------------------------------------------------------------------------- */

/* The engine's own, which walks the trees, writes from a thread of its own, and takes no lock in this mode. */
static enum err
copy_compacted(struct store *store, const struct target *t, struct store_backup *out)
{
	struct store_txn *txn;
	enum err e = store_read(store, &txn);
	if (e != ERR_NONE)
		return e;
	out->commit = store_snapshot(txn); /* the copy is of this one, or of a later one */
	store_read_end(txn);
	int rc = mdb_env_copyfd2(store->env, t->fd, MDB_CP_COMPACT);
	return rc == MDB_SUCCESS ? ERR_NONE : refused_why("copy", t->unfinished, mdb_strerror(rc));
}

/* What is made and what is noted for store_backup_abandon() go together: no signal in between. */
static enum err
uninterrupted(enum err (*f)(struct target *), struct target *t)
{
	sigset_t all, before;
	sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	enum err e = f(t);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return e;
}

/* --- store.h ---------------------------------------------------------------------------------------- */

enum err
store_backup(struct store *store, const char *dir, bool compact, struct store_backup *out)
{
	struct target *t = &target;
	struct stat st;
	*out = (struct store_backup){ 0 };
	if (!store->tables_open)
		return refused_why("read the store", store->dir, "nothing was ever stored there");
	*t = (struct target){ .dir = dir, .fd = -1 };
	enum err e = uninterrupted(target_open, t);
	if (e == ERR_NONE)
		e = compact ? copy_compacted(store, t, out) : copy_as_is(store, t, out);
	if (e == ERR_NONE && fstat(t->fd, &st) == 0)
		out->bytes = (uint64_t)st.st_size;
	if (e == ERR_NONE)
		e = uninterrupted(target_finish, t);
	if (e != ERR_NONE)
		store_backup_abandon();
	target_close(t);
	return e;
}
