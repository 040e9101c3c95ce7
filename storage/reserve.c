#include "storage/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "common/clock.h"
#include "common/diag.h"
#include "storage/env.h"

#define LOOK_EVERY_MS 1000

/* A small map (tests, tools) gets a small reserve. */
static uint64_t
reserve_bytes(const struct store *store)
{
	uint64_t share = store->map_bytes / 16;
	return share < RESERVE_BYTES ? share : RESERVE_BYTES;
}

uint64_t
reserve_file_end(struct store *store)
{
	MDB_envinfo info;
	CHECK(mdb_env_info(store->env, &info) == MDB_SUCCESS);
	return ((uint64_t)info.me_last_pgno + 1) * store->page_bytes;
}

/*
 * Free pages inside the file; stops counting at `enough`. Those that a pin still holds come free with the
 * next checkpoint.
 */
static uint64_t
free_inside(struct store *store, uint64_t enough)
{
	MDB_txn *mdb;
	MDB_cursor *cursor;
	if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &mdb) != MDB_SUCCESS)
		return 0;
	uint64_t bytes = 0;
	if (mdb_cursor_open(mdb, 0, &cursor) ==
	    MDB_SUCCESS) { /* table 0: a list of free pages for each commit */
		MDB_val key, list;
		while (bytes < enough && mdb_cursor_get(cursor, &key, &list, MDB_NEXT) == MDB_SUCCESS) {
			size_t pages;
			memcpy(&pages, list.mv_data, sizeof(pages));
			bytes += (uint64_t)pages * store->page_bytes;
		}
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(mdb);
	return bytes;
}

/* How large the file may become: by the configuration, and by the process's limit (ulimit -f), of which fallocate() knows
 * nothing. */
static uint64_t
most_bytes(const struct store *store)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return store->map_bytes;
	return limit.rlim_cur < store->map_bytes ? limit.rlim_cur : store->map_bytes;
}

/* Is there room behind the last page: in the map, and on the disk? */
static bool
room_behind(struct store *store, uint64_t end)
{
	struct reserve *r = &store->reserve;
	uint64_t want = reserve_bytes(store);
	if (end + want > most_bytes(store))
		return false;
	if (r->unsupported || end + want / 2 <= r->allocated_to)
		return true;
	if (fallocate(store->data_fd, FALLOC_FL_KEEP_SIZE, (off_t)end, (off_t)want) == 0) {
		r->allocated_to = end + want;
		return true;
	}
	if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
		return false;
	r->unsupported = errno != EINTR;
	return true;
}

static void
estimate_room(struct store *store, uint64_t end)
{
	struct statvfs fs;
	uint64_t disk = fstatvfs(store->data_fd, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
	uint64_t most = most_bytes(store), map = most > end ? most - end : 0;
	uint64_t inside = free_inside(store, 16 * RESERVE_BYTES);
	atomic_store(&store->shared->room_bytes, inside + (disk < map ? disk : map));
}

static bool
is_time_to_look(struct store *store)
{
	int64_t now_ms = clock_monotonic_ms();
	if (store->reserve.looked_ms != 0 && now_ms - store->reserve.looked_ms < LOOK_EVERY_MS)
		return false;
	store->reserve.looked_ms = now_ms;
	return true;
}

static void
set_full(struct store *store, bool full, uint64_t end)
{
	if (atomic_exchange(&store->shared->disk_full, full) == full)
		return;
	if (full)
		diag_error("disk full, appends are refused", D_C("dir", store->dir),
			   D_INT("file_bytes", end));
	else
		diag_info("room again, appends are accepted", D_C("dir", store->dir),
			  D_INT("file_bytes", end));
}

bool
store_is_full(const struct store *store)
{
	return atomic_load(&store->shared->disk_full) != 0;
}

void
reserve_note_growth(struct store *store, uint64_t before)
{
	uint64_t end = reserve_file_end(store);
	if (end > before && end > store->map_bytes)
		set_full(store, true, end);
}

void
reserve_keep(struct store *store)
{
	uint64_t end = reserve_file_end(store);
	bool was_full = atomic_load(&store->shared->disk_full) != 0;
	bool look = is_time_to_look(store);
	if (look)
		estimate_room(store, end);
	/* While full, the answer costs a walk over the free pages: not at every checkpoint. */
	if (was_full && !look)
		return;
	uint64_t want = reserve_bytes(store);
	set_full(store, !room_behind(store, end) && free_inside(store, want) < want / 2, end);
}
