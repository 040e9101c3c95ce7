#include "storage/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/diag.h"
#include "common/faultpoint.h"
#include "storage/env.h"
#include "storage/recovery.h"
#include "storage/slots.h"

static enum err
read_metas(struct store *store, struct ckpt_slot *slot)
{
	for (int i = 0; i < 2; i++) {
		off_t at = (off_t)i * store->page_bytes;
		ssize_t n = pread(store->data_fd, slot->meta[i], CKPT_META_BYTES, at);
		if (n != CKPT_META_BYTES)
			return env_error(store, n < 0 ? errno : MDB_CORRUPTED, "read the meta pages");
	}
	return ERR_NONE;
}

/* Under the writer lock: nothing can come between the metas, the pin and the number. */
static enum err
pin_newest(struct store *store)
{
	struct checkpoint *c = &store->checkpoint;
	enum err e = read_metas(store, &c->next);
	if (e != ERR_NONE)
		return e;
	int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &c->next_pin);
	if (rc != MDB_SUCCESS) {
		c->next_pin = NULL;
		return env_error(store, rc, "pin a snapshot");
	}
	c->next.commit = mdb_txn_id(c->next_pin);
	uint64_t in_metas[2] = { 0, 0 };
	CHECK(ckptfile_meta_commit(c->next.meta[0], &in_metas[0]) &&
	      ckptfile_meta_commit(c->next.meta[1], &in_metas[1]));
	CHECK(c->next.commit == (in_metas[0] > in_metas[1] ? in_metas[0] : in_metas[1]));
	atomic_store(&store->shared->syncing, c->next.commit);
	FAULT_POINT("checkpoint.pinned");
	return ERR_NONE;
}

static bool
is_newest(struct store *store, uint64_t commit)
{
	MDB_envinfo info;
	return mdb_env_info(store->env, &info) == MDB_SUCCESS && info.me_last_txnid == commit;
}

enum err
checkpoint_begin(struct store *store, bool *due)
{
	struct checkpoint *c = &store->checkpoint;
	if (atomic_load(&store->shared->disk_failed))
		return ERR_KAFKA_STORAGE_ERROR;
	CHECK(c->next_pin == NULL);
	*due = !c->any || !is_newest(store, c->commit);
	if (!*due)
		return ERR_NONE;
	/* Not txn_write_always(): the very first one comes before the tables. */
	slots_wait(store->shared, store->slot);
	MDB_txn *lock;
	int rc = mdb_txn_begin(store->env, NULL, 0, &lock);
	if (rc != MDB_SUCCESS) {
		store_slot_clear(store->shared, store->slot);
		return env_error(store, rc, "begin a checkpoint");
	}
	slots_hold(store->shared, store->slot);
	enum err e = pin_newest(store);
	mdb_txn_abort(lock);
	slots_release(store->shared, store->slot);
	return e;
}

/*
 * The side file is opened with the first checkpoint; the newest slot in it is kept until the other is
 * written.
 */
static enum err
open_side_file(struct store *store)
{
	struct checkpoint *c = &store->checkpoint;
	if (c->fd >= 0)
		return ERR_NONE;
	enum err e = ckptfile_open(store->dir, &c->fd);
	if (e != ERR_NONE)
		return e;
	struct ckpt_slot newest;
	int at = ckptfile_newest(c->fd, &newest);
	c->older = at == 0 ? 1 : 0;
	c->next.sequence = at < 0 ? 0 : newest.sequence;
	/*
	 * Names must survive, too: of data.mdb, of the side file, of the directory. All may be new, or have been made by
	 * somebody who died before he came to this.
	 */
	ckptfile_sync_parent(store->dir);
	e = ckptfile_sync_dir(store->dir);
	return e == ERR_NONE ? ckptfile_boot_id(c->next.boot_id) : e;
}

/*
 * What the disk has is unknown from now on, except that it has the last checkpoint: another sync may well succeed,
 * since the kernel takes for written what it could not write. First of all, so that nobody comes after us who believes
 * it: neither our successor nor the next start.
 */
static void
disk_failed(struct store *store)
{
	atomic_store(&store->shared->disk_failed, 1);
	atomic_store(&store->shared->writes_ok, 0);
	recovery_order(store->dir);
}

static enum err
sync_and_record(struct store *store, bool clean)
{
	struct checkpoint *c = &store->checkpoint;
	if (fdatasync(store->data_fd) != 0) {
		int why = errno;
		disk_failed(store);
		diag_error("the disk failed", D_C("why", strerror(why)), D_C("dir", store->dir));
		return ERR_KAFKA_STORAGE_ERROR;
	}
	FAULT_POINT("checkpoint.synced");
	enum err e = open_side_file(store);
	if (e != ERR_NONE)
		return e; /* no room for it, perhaps: nothing was promised by it yet */
	c->next.clean = clean;
	c->next.page_bytes = store->page_bytes;
	c->next.sequence++;
	e = ckptfile_write(c->fd, c->older, &c->next);
	if (e != ERR_NONE)
		disk_failed(store);
	else
		c->older = 1 - c->older;
	return e;
}

enum err
checkpoint_finish(struct store *store, bool clean)
{
	struct checkpoint *c = &store->checkpoint;
	CHECK(c->next_pin != NULL);
	enum err e = sync_and_record(store, clean);
	if (e != ERR_NONE)
		return e; /* whoever asked stops the broker: what a failed sync left on disk is unknown */
	FAULT_POINT("checkpoint.recorded");
	atomic_store(&store->shared->durable, c->next.commit);
	FAULT_POINT("checkpoint.published");
	if (c->pin != NULL)
		mdb_txn_abort(c->pin);
	c->pin = c->next_pin;
	c->next_pin = NULL;
	c->commit = c->next.commit;
	c->any = true;
	atomic_store(&store->shared->pinner, (int32_t)getpid());
	return ERR_NONE;
}

struct search {
	int pid;
	bool found;
};

/* A line of the engine's table of readers: pid, thread, and the snapshot, "-" if it has none. */
static int
look_for_pin(const char *line, void *arg)
{
	struct search *search = arg;
	unsigned long long thread, snapshot;
	int pid;

	if (sscanf(line, "%d %llx %llu", &pid, &thread, &snapshot) == 3 && pid == search->pid)
		search->found = true;
	return 0;
}

bool
checkpoint_is_pinned(struct store *store)
{
	struct search search = { .pid = atomic_load(&store->shared->pinner) };

	if (store->durability == DURABILITY_STRICT)
		return true; /* there are none */
	return mdb_reader_list(store->env, look_for_pin, &search) >= 0 && search.found;
}

void
checkpoint_close(struct store *store)
{
	struct checkpoint *c = &store->checkpoint;
	if (c->pin != NULL)
		mdb_txn_abort(c->pin);
	if (c->next_pin != NULL)
		mdb_txn_abort(c->next_pin);
	if (c->fd >= 0)
		close(c->fd);
	*c = (struct checkpoint){ .fd = -1 };
}

/* --- store.h ---------------------------------------------------------------------------------------- */

enum err
store_checkpoint(struct store *store)
{
	reserve_keep(store);
	if (store->durability == DURABILITY_STRICT)
		return ERR_NONE;
	bool due;
	enum err e = checkpoint_begin(store, &due);
	if (e == ERR_NONE && due)
		e = checkpoint_finish(store, false);
	return e;
}

enum err
store_finish(struct store *store)
{
	atomic_store(&store->shared->writes_ok, 0);
	if (store->durability == DURABILITY_STRICT)
		return ERR_NONE;
	/* The mark is needed even where nothing was committed since the last checkpoint. */
	store->checkpoint.any = false;
	FAULT_POINT("finish.begun");
	bool due;
	enum err e = checkpoint_begin(store, &due);
	if (e == ERR_NONE)
		e = checkpoint_finish(store, true);
	FAULT_POINT("finish.marked");
	return e;
}

void
store_reap(struct store *store)
{
	int dead = 0;
	enum err e = env_error(store, mdb_reader_check(store->env, &dead), "free the slots of dead readers");
	if (e == ERR_NONE && dead > 0)
		diag_info("freed what dead readers held", D_INT("readers", dead));
}
