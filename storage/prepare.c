/*
 * prepare: what the first process does before any other may write. The order is the point:
 *
 *	1. a checkpoint of what is there, which no commit of this run precedes (checkpoint.h)
 *	2. only now are dead readers' slots freed: one of them may be the pin of a checkpointer that died a
 *	   moment ago, under which workers still write
 *	3. tables, and whatever must be mended
 *	4. a checkpoint of that; then writes are allowed
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/diag.h"
#include "common/faultpoint.h"
#include "storage/env.h"
#include "storage/partition.h"

/* The side file of an earlier run would undo this one after a power cut. */
static enum err
drop_side_file(struct store *store)
{
	char path[PATH_MAX + 8];
	snprintf(path, sizeof(path), "%s/ckpt", store->dir);
	if (unlink(path) != 0 && errno != ENOENT)
		return env_error(store, errno, "remove the checkpoint file");
	ckptfile_sync_parent(store->dir); /* the directory may be new, and nobody else will */
	return ckptfile_sync_dir(store->dir);
}

/*
 * The table of readers is a mapped file that the engine makes with a hole in it. A page of it that finds no room when it
 * is touched for the first time would kill whoever touches it (SIGBUS): all of it takes its blocks now.
 */
static void
lay_out_lock_table(struct store *store)
{
	char path[PATH_MAX + 16];
	struct stat st;
	if (store->lock_fd >= 0)
		return;
	snprintf(path, sizeof(path), "%s/lock.mdb", store->dir);
	store->lock_fd = open(path, O_RDWR | O_CLOEXEC);
	if (store->lock_fd < 0 || fstat(store->lock_fd, &st) != 0)
		return;
	if (fallocate(store->lock_fd, FALLOC_FL_KEEP_SIZE, 0, st.st_size) != 0 && errno == ENOSPC)
		diag_warn("no room for all of the table of readers", D_C("path", path));
}

static enum err
mend(struct store *store)
{
	struct store_txn *txn;
	enum err e = txn_write_always(store, &txn);
	if (e != ERR_NONE)
		return e;
	e = part_trails_mend(txn);
	if (e != ERR_NONE) {
		store_abort(txn);
		return e;
	}
	uint64_t commit;
	return store_commit(txn, &commit);
}

static enum err
tables(struct store *store)
{
	/* Asking for missing ones would be a write: only where some are. */
	if (store->tables_open || env_open_tables(store, false) == ERR_NONE)
		return mend(store);
	enum err e = env_open_tables(store, true);
	return e == ERR_NONE ? mend(store) : e;
}

static enum err
prepare_strict(struct store *store)
{
	enum err e = env_error(store, mdb_env_sync(store->env, 1), "sync");
	if (e == ERR_NONE)
		e = drop_side_file(store);
	store_reap(store);
	if (e == ERR_NONE)
		e = tables(store);
	if (e != ERR_NONE)
		return e;
	MDB_envinfo info;
	e = env_error(store, mdb_env_info(store->env, &info), "look at the environment");
	atomic_store(&store->shared->durable, info.me_last_txnid);
	return e;
}

static enum err
prepare_checkpointed(struct store *store)
{
	enum err e = store_checkpoint(store);
	if (e != ERR_NONE)
		return e;
	FAULT_POINT("prepare.checkpointed");
	store_reap(store);
	e = tables(store);
	FAULT_POINT("prepare.mended");
	return e == ERR_NONE ? store_checkpoint(store) : e;
}

enum err
store_prepare(struct store *store)
{
	if (atomic_load(&store->shared->disk_failed))
		return ERR_KAFKA_STORAGE_ERROR;
	lay_out_lock_table(store);
	enum err e =
	    store->durability == DURABILITY_STRICT ? prepare_strict(store) : prepare_checkpointed(store);
	if (e != ERR_NONE)
		return e;
	reserve_keep(store);
	FAULT_POINT("prepare.durable");
	atomic_store(&store->shared->writes_ok, 1);
	return ERR_NONE;
}
