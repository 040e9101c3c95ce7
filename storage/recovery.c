#include "storage/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/diag.h"
#include "common/faultpoint.h"
#include "storage/backup.h"
#include "storage/ckptfile.h"
#include "storage/store.h"

#define FAILED_FILE "disk.failed"

static int
open_in(const char *dir, const char *name, int flags)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, flags | O_CLOEXEC, 0660);
}

static bool
is_ordered(const char *dir)
{
	int fd = open_in(dir, FAILED_FILE, O_RDONLY);
	if (fd >= 0)
		close(fd);
	return fd >= 0 || errno != ENOENT;
}

/* *any: there is a whole slot; *due: it is to be put back. */
static enum err
examine(const char *dir, struct ckpt_slot *slot, bool *any, bool *due)
{
	*any = *due = false;
	int fd = open_in(dir, "ckpt", O_RDONLY);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? ERR_NONE : ERR_KAFKA_STORAGE_ERROR;
	*any = ckptfile_newest(fd, slot) >= 0;
	close(fd);
	if (!*any || slot->clean)
		return ERR_NONE;
	char boot_id[BOOT_ID_BYTES];
	enum err e = ckptfile_boot_id(boot_id);
	*due = e == ERR_NONE && (memcmp(boot_id, slot->boot_id, BOOT_ID_BYTES) != 0 || is_ordered(dir));
	return e;
}

void
recovery_order(const char *dir)
{
	int fd = open_in(dir, FAILED_FILE, O_WRONLY | O_CREAT);
	if (fd < 0)
		diag_error("cannot note that the disk failed", D_C("dir", dir), D_C("why", strerror(errno)));
	else
		close(fd);
}

bool
recovery_is_due(const char *dir)
{
	struct ckpt_slot slot;
	bool any, due;
	if (examine(dir, &slot, &any, &due) != ERR_NONE) {
		diag_error("cannot read the checkpoint file", D_C("dir", dir), D_C("why", strerror(errno)));
		return true;
	}
	if (!due)
		return false;
	diag_error(
	    "the store was not closed before the machine went down; start the broker once to put it right",
	    D_C("dir", dir));
	return true;
}

/*
 * Each meta page on disk is as new as when the checkpoint was synced, or newer; unreadable ones prove
 * nothing.
 */
static bool
is_another_file(int fd, const struct ckpt_slot *slot)
{
	for (int i = 0; i < 2; i++) {
		uint8_t meta[CKPT_META_BYTES];
		uint64_t commit;
		if (pread(fd, meta, sizeof(meta), (off_t)i * slot->page_bytes) != (ssize_t)sizeof(meta))
			return false;
		if (!ckptfile_meta_commit(meta, &commit) || commit >= slot->commit)
			return false;
	}
	return true;
}

static bool
put_back(int fd, const struct ckpt_slot *slot)
{
	for (int i = 0; i < 2; i++) {
		FAULT_POINT("recovery.writes");
		off_t at = (off_t)i * slot->page_bytes;
		if (pwrite(fd, slot->meta[i], CKPT_META_BYTES, at) != CKPT_META_BYTES)
			return false;
	}
	FAULT_POINT("recovery.written");
	return fsync(fd) == 0;
}

static enum err
restore(const char *dir, const struct ckpt_slot *slot, bool *restored)
{
	int fd = open_in(dir, "data.mdb", O_RDWR);
	if (fd < 0 && errno == ENOENT)
		return ERR_NONE;
	if (fd >= 0 && is_another_file(fd, slot)) {
		diag_warn("checkpoint belongs to another data file, not used", D_C("dir", dir),
			  D_INT("checkpoint", slot->commit));
		close(fd);
		return ERR_NONE;
	}
	*restored = fd >= 0 && put_back(fd, slot);
	if (!*restored)
		diag_error("cannot put the last checkpoint back", D_C("dir", dir),
			   D_C("why", strerror(errno)));
	else
		diag_warn(is_ordered(dir)
			      ? "the disk failed when the store was last used; back to the last checkpoint"
			      : "the machine went down without a clean stop; back to the last checkpoint",
			  D_C("dir", dir), D_INT("commit", slot->commit));
	if (fd >= 0)
		close(fd);
	return *restored ? ERR_NONE : ERR_KAFKA_STORAGE_ERROR;
}

/*
 * No checkpoint was ever made, and the file has room for meta pages only, which are none: the power
 * failed while the store was born. Nothing was promised; the engine would refuse the file for ever.
 */
static void
remove_stillborn(const char *dir)
{
	int fd = open_in(dir, "data.mdb", O_RDONLY);
	struct stat st;
	uint8_t meta[CKPT_META_BYTES] = { 0 };
	uint64_t commit;
	bool stillborn = fd >= 0 && fstat(fd, &st) == 0 && st.st_size <= 2 * sysconf(_SC_PAGESIZE) &&
			 pread(fd, meta, sizeof(meta), 0) >= 0 && !ckptfile_meta_commit(meta, &commit);
	if (fd >= 0)
		close(fd);
	if (!stillborn)
		return;
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	diag_warn("the machine went down while the store was made; making it anew", D_C("dir", dir));
	(void)unlink(path);
}

/* After it was put back, or where there is nothing to go back to. */
static void
obeyed(const char *dir)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, FAILED_FILE);
	if (n > 0 && (size_t)n < sizeof(path) && unlink(path) != 0 && errno != ENOENT)
		diag_warn("cannot remove a file that is needed no longer", D_C("path", path),
			  D_C("why", strerror(errno)));
}

enum err
store_recover(const char *dir, bool *restored)
{
	*restored = false;
	struct ckpt_slot slot;
	bool any, due;
	enum err e = examine(dir, &slot, &any, &due);
	if (e != ERR_NONE)
		diag_error("cannot read the checkpoint file", D_C("dir", dir), D_C("why", strerror(errno)));
	if (e == ERR_NONE && !any)
		remove_stillborn(dir);
	if (e == ERR_NONE && backup_is_unfinished(dir))
		return ERR_KAFKA_STORAGE_ERROR;
	if (e == ERR_NONE && due)
		e = restore(dir, &slot, restored);
	if (e == ERR_NONE)
		obeyed(dir);
	return e;
}
