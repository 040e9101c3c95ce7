#include "storage/env.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/diag.h"
#include "storage/recovery.h"

#define READERS_MAX    1024 /* the first process to open fixes it, tools included */
#define FILE_MODE      0660
#define DIR_MODE       0770
#define OPEN_TRIES     100
#define OPEN_NAP_US    5000
#define CLUSTER_ID_LEN (UUID_TEXT - 1)

static const char *const table_name[TABLE_N] = {
#define T(name, text) [TABLE_##name] = text,
	TABLES(T)
#undef T
};

/* A short write is EIO to the engine, whatever its cause: mostly a full disk. */
static bool
is_no_room(int rc)
{
	return rc == MDB_MAP_FULL || rc == ENOSPC || rc == EIO || rc == EFBIG || rc == EDQUOT;
}

enum err
env_error(struct store *store, int rc, const char *doing)
{
	if (rc == MDB_SUCCESS)
		return ERR_NONE;
	if (rc == MDB_PANIC) {
		diag_error("store failed half way through a commit", D_C("doing", doing),
			   D_C("dir", store->dir));
		CHECK(rc != MDB_PANIC);
	}
	if (!is_no_room(rc)) {
		diag_error("store failed", D_C("doing", doing), D_C("why", mdb_strerror(rc)),
			   D_C("dir", store->dir));
		return ERR_KAFKA_STORAGE_ERROR;
	}
	if (atomic_exchange(&store->shared->disk_full, 1) == 0)
		diag_error("disk full, appends are refused", D_C("doing", doing),
			   D_C("why", mdb_strerror(rc)), D_C("dir", store->dir));
	return ERR_KAFKA_STORAGE_ERROR;
}

/* --- tables ----------------------------------------------------------------------------------------- */

static int
open_tables(struct store *store, MDB_txn *mdb, unsigned flags)
{
	for (int i = 0; i < TABLE_N; i++) {
		int rc = mdb_dbi_open(mdb, table_name[i], flags, &store->table[i]);
		if (rc != MDB_SUCCESS)
			return rc;
	}
	return MDB_SUCCESS;
}

static int
sys_get(struct store *store, MDB_txn *mdb, const char *item, MDB_val *out)
{
	MDB_val key = { .mv_size = strlen(item), .mv_data = (void *)(uintptr_t)item };
	return mdb_get(mdb, store->table[TABLE_SYS], &key, out);
}

static int
sys_put(struct store *store, MDB_txn *mdb, const char *item, const void *value, size_t n)
{
	MDB_val key = { .mv_size = strlen(item), .mv_data = (void *)(uintptr_t)item };
	MDB_val val = { .mv_size = n, .mv_data = (void *)(uintptr_t)value };
	return mdb_put(mdb, store->table[TABLE_SYS], &key, &val, MDB_NOOVERWRITE);
}

/* In a new store: what never changes again. */
static int
found(struct store *store, MDB_txn *mdb)
{
	uint8_t version[4];
	put_u32(version, FORMAT_VERSION);
	int rc = sys_put(store, mdb, "format", version, sizeof(version));
	if (rc != MDB_SUCCESS)
		return rc;
	char text[UUID_TEXT];
	uuid_text(uuid_random(), text);
	return sys_put(store, mdb, "cluster", text, CLUSTER_ID_LEN);
}

static enum err
read_identity(struct store *store, MDB_txn *mdb)
{
	MDB_val version, cluster;
	int rc = sys_get(store, mdb, "format", &version);
	if (rc == MDB_SUCCESS)
		rc = sys_get(store, mdb, "cluster", &cluster);
	if (rc != MDB_SUCCESS)
		return env_error(store, rc, "read the store's identity");
	if (version.mv_size != 4 || get_u32(version.mv_data) != FORMAT_VERSION ||
	    cluster.mv_size != CLUSTER_ID_LEN) {
		diag_error("store has a format that this program does not know", D_C("dir", store->dir),
			   D_INT("version", version.mv_size == 4 ? get_u32(version.mv_data) : 0),
			   D_INT("known", FORMAT_VERSION));
		return ERR_KAFKA_STORAGE_ERROR;
	}
	memcpy(store->cluster_id, cluster.mv_data, CLUSTER_ID_LEN);
	return ERR_NONE;
}

static enum err
create_tables(struct store *store, MDB_txn *mdb)
{
	int rc = open_tables(store, mdb, MDB_CREATE);
	MDB_val version;
	if (rc == MDB_SUCCESS && sys_get(store, mdb, "format", &version) == MDB_NOTFOUND)
		rc = found(store, mdb);
	return env_error(store, rc, "create tables");
}

enum err
env_open_tables(struct store *store, bool create)
{
	MDB_txn *mdb;
	int rc = mdb_txn_begin(store->env, NULL, create ? 0 : MDB_RDONLY, &mdb);
	if (rc != MDB_SUCCESS)
		return env_error(store, rc, "open tables");
	enum err e = ERR_NONE;
	if (create)
		e = create_tables(store, mdb);
	else if ((rc = open_tables(store, mdb, 0)) == MDB_NOTFOUND)
		e = ERR_KAFKA_STORAGE_ERROR; /* nobody prepared it yet */
	else
		e = env_error(store, rc, "open tables");
	if (e == ERR_NONE)
		e = read_identity(store, mdb);
	if (e != ERR_NONE) {
		mdb_txn_abort(mdb);
		return e;
	}
	/* Handles outlive the transaction only if it is committed, a reader's too. */
	e = env_error(store, mdb_txn_commit(mdb), "open tables");
	store->tables_open = e == ERR_NONE;
	return e;
}

/* --- open, close ------------------------------------------------------------------------------------ */

/*
 * glibc gives large heaps back to the kernel after each transaction and faults them in again in the next:
 * 2 to 3 times slower. Not before the engine is open: what it takes then is 3 MB of tables which are mapped, and so
 * cost nothing before they are used, as long as this was not said.
 */
static void
keep_heap(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
	(void)mallopt(M_TOP_PAD, 8 << 20);
}

static int
try_open(struct store *store)
{
	int rc = mdb_env_create(&store->env);
	if (rc != MDB_SUCCESS)
		return rc;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), map_bytes = store->map_bytes + MAP_MARGIN_BYTES;
	unsigned flags = MDB_NOTLS;
	if (store->durability != DURABILITY_STRICT)
		flags |= MDB_NOSYNC;
	if (store->read_only)
		flags |= MDB_RDONLY;
	if ((rc = mdb_env_set_maxdbs(store->env, TABLES_MAX)) == MDB_SUCCESS &&
	    (rc = mdb_env_set_maxreaders(store->env, READERS_MAX)) == MDB_SUCCESS &&
	    (rc = mdb_env_set_mapsize(store->env, map_bytes / page * page)) == MDB_SUCCESS)
		rc = mdb_env_open(store->env, store->dir, flags, FILE_MODE);
	if (rc != MDB_SUCCESS) {
		mdb_env_close(store->env); /* needed after a failed open, too */
		store->env = NULL;
	}
	return rc;
}

/* Opening fails by chance when another process opens or closes, or a signal comes, at the same moment. */
static bool
is_worth_another_try(int rc)
{
	return rc == EAGAIN || rc == EINTR || rc == EACCES || rc == EBUSY || rc == EINVAL;
}

static enum err
open_env(struct store *store)
{
	int rc = try_open(store);
	for (int i = 1; i < OPEN_TRIES && is_worth_another_try(rc); i++) {
		usleep(OPEN_NAP_US);
		rc = try_open(store);
	}
	if (rc == ENOMEM)
		diag_error("not enough address space (ulimit -v) for the store's map: lower store.map.bytes",
			   D_INT("store.map.bytes", store->map_bytes),
			   D_INT("needed", store->map_bytes + MAP_MARGIN_BYTES));
	if (rc != MDB_SUCCESS)
		return env_error(store, rc, "open");
	MDB_stat stat;
	rc = mdb_env_stat(store->env, &stat);
	if (rc == MDB_SUCCESS)
		rc = mdb_env_get_fd(store->env, &store->data_fd);
	store->page_bytes = stat.ms_psize;
	return env_error(store, rc, "open");
}

static enum err
check_dir(struct store *store)
{
	if (store->read_only)
		return recovery_is_due(store->dir) ? ERR_KAFKA_STORAGE_ERROR : ERR_NONE;
	if (mkdir(store->dir, DIR_MODE) == 0 || errno == EEXIST)
		return ERR_NONE;
	return env_error(store, errno, "create the directory");
}

static enum err
set_options(struct store *store, const struct store_options *options)
{
	CHECK(options->read_only || (options->slot >= 0 && options->slot < STORE_SLOTS));
	store->durability = options->durability;
	store->slot = options->slot;
	store->read_only = options->read_only;
	store->map_bytes = options->map_bytes;
	store->shared = options->shared;
	if (store->shared == NULL) { /* nobody tells what is durable: show all there is */
		store->own_shared = calloc(1, sizeof(*store->own_shared));
		CHECK(store->own_shared != NULL);
		store_shared_init(store->own_shared);
		store->shared = store->own_shared;
		store->durability = DURABILITY_RELAXED;
	}
	store->checkpoint.fd = store->lock_fd = -1;
	int n = snprintf(store->dir, sizeof(store->dir), "%s", options->dir);
	return n > 0 && (size_t)n < sizeof(store->dir) ? ERR_NONE : ERR_KAFKA_STORAGE_ERROR;
}

enum err
store_open(const struct store_options *options, struct store **out)
{
	struct store *store = calloc(1, sizeof(*store));
	CHECK(store != NULL);
	enum err e = set_options(store, options);
	if (e == ERR_NONE)
		e = check_dir(store);
	if (e == ERR_NONE)
		e = open_env(store);
	if (e != ERR_NONE) {
		store_close(store);
		return e;
	}
	keep_heap();
	/* In a new directory they are not there yet; transactions try again. */
	if (env_open_tables(store, false) != ERR_NONE)
		store->tables_open = false;
	*out = store;
	return ERR_NONE;
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	CHECK(!store->reader.open && !store->writer.open);
	checkpoint_close(store);
	if (store->reader.mdb != NULL)
		mdb_txn_abort(store->reader.mdb);
	arena_free(&store->reader.arena);
	arena_free(&store->writer.arena);
	if (store->env != NULL)
		mdb_env_close(store->env);
	catalog_cache_free(&store->catalog);
	if (store->lock_fd >= 0)
		close(
		    store->lock_fd); /* not before: closing it gives up the engine's own locks on that file */
	free(store->own_shared);
	free(store);
}

struct str
store_cluster_id(const struct store *store)
{
	return str_of(store->cluster_id);
}
