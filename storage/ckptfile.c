#include "storage/ckptfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/diag.h"

#define MAGIC        "FORKACKP"
#define CKPT_FORMAT  1
#define FLAG_CLEAN   1
#define AT_CRC       124
#define AT_META      128
#define SLOT_BYTES   (AT_META + 2 * CKPT_META_BYTES)
#define FILE_MODE    0660
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

/* Within a meta page, behind the page's header of 16 bytes; native order. */
#define META_AT_MAGIC   16
#define META_AT_VERSION 20
#define META_AT_COMMIT  144
#define META_MAGIC      0xBEEFC0DEu
#define META_VERSION    1u

static enum err
refused(const char *doing, const char *path)
{
	diag_error("checkpoint file failed", D_C("doing", doing), D_C("path", path),
		   D_C("why", strerror(errno)));
	return ERR_KAFKA_STORAGE_ERROR;
}

enum err
ckptfile_boot_id(char out[BOOT_ID_BYTES])
{
	int fd = open(BOOT_ID_PATH, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return refused("open", BOOT_ID_PATH);
	ssize_t n = read(fd, out, BOOT_ID_BYTES);
	close(fd);
	return n == BOOT_ID_BYTES ? ERR_NONE : refused("read", BOOT_ID_PATH);
}

enum err
ckptfile_sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return refused("open", dir);
	int rc = fsync(fd);
	close(fd);
	return rc == 0 ? ERR_NONE : refused("sync", dir);
}

void
ckptfile_sync_parent(const char *dir)
{
	char parent[PATH_MAX + 4];
	snprintf(parent, sizeof(parent), "%s/..", dir);
	int above = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (above >= 0) {
		(void)fsync(above);
		close(above);
	}
}

/* Both slots take their blocks now: writing one later cannot find the disk full. */
static enum err
lay_out(int fd, const char *path)
{
	static const uint8_t empty[2 * CKPT_STRIDE];
	struct stat st;
	if (fstat(fd, &st) != 0)
		return refused("stat", path);
	if (st.st_size >= (off_t)sizeof(empty))
		return ERR_NONE;
	if (pwrite(fd, empty, sizeof(empty), 0) != (ssize_t)sizeof(empty) || fsync(fd) != 0)
		return refused("lay out", path);
	return ERR_NONE;
}

enum err
ckptfile_open(const char *dir, int *fd)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/ckpt", dir);
	if (n < 0 || (size_t)n >= sizeof(path))
		return ERR_KAFKA_STORAGE_ERROR;
	*fd = open(path, O_RDWR | O_CREAT | O_DSYNC | O_CLOEXEC, FILE_MODE);
	if (*fd < 0)
		return refused("open", path);
	enum err e = lay_out(*fd, path);
	if (e != ERR_NONE) {
		close(*fd);
		*fd = -1;
	}
	return e;
}

static uint32_t
checksum(const uint8_t raw[SLOT_BYTES])
{
	uint8_t copy[SLOT_BYTES];
	memcpy(copy, raw, SLOT_BYTES);
	put_u32(copy + AT_CRC, 0);
	return crc32c(copy, SLOT_BYTES);
}

bool
ckptfile_read(int fd, int slot, struct ckpt_slot *out)
{
	uint8_t raw[SLOT_BYTES];
	if (pread(fd, raw, sizeof(raw), (off_t)slot * CKPT_STRIDE) != (ssize_t)sizeof(raw))
		return false;
	if (memcmp(raw, MAGIC, 8) != 0 || get_u32(raw + 8) != CKPT_FORMAT ||
	    get_u32(raw + AT_CRC) != checksum(raw))
		return false;
	*out = (struct ckpt_slot){
		.clean = (get_u32(raw + 12) & FLAG_CLEAN) != 0,
		.sequence = get_u64(raw + 16),
		.commit = get_u64(raw + 24),
		.page_bytes = get_u32(raw + 32),
	};
	memcpy(out->boot_id, raw + 36, BOOT_ID_BYTES);
	memcpy(out->meta, raw + AT_META, sizeof(out->meta));
	return true;
}

enum err
ckptfile_write(int fd, int slot, const struct ckpt_slot *in)
{
	uint8_t raw[SLOT_BYTES] = { 0 };
	memcpy(raw, MAGIC, 8);
	put_u32(raw + 8, CKPT_FORMAT);
	put_u32(raw + 12, in->clean ? FLAG_CLEAN : 0);
	put_u64(raw + 16, in->sequence);
	put_u64(raw + 24, in->commit);
	put_u32(raw + 32, in->page_bytes);
	memcpy(raw + 36, in->boot_id, BOOT_ID_BYTES);
	memcpy(raw + AT_META, in->meta, sizeof(in->meta));
	put_u32(raw + AT_CRC, checksum(raw));
	if (pwrite(fd, raw, sizeof(raw), (off_t)slot * CKPT_STRIDE) != (ssize_t)sizeof(raw))
		return refused("write", "ckpt");
	return ERR_NONE;
}

int
ckptfile_newest(int fd, struct ckpt_slot *out)
{
	struct ckpt_slot slot[2];
	bool whole[2] = { ckptfile_read(fd, 0, &slot[0]), ckptfile_read(fd, 1, &slot[1]) };
	if (!whole[0] && !whole[1])
		return -1;
	int newest = whole[1] && (!whole[0] || slot[1].sequence > slot[0].sequence);
	*out = slot[newest];
	return newest;
}

static uint32_t
native_u32(const uint8_t *at)
{
	uint32_t v;
	memcpy(&v, at, sizeof(v));
	return v;
}

bool
ckptfile_meta_commit(const uint8_t meta[CKPT_META_BYTES], uint64_t *out)
{
	if (native_u32(meta + META_AT_MAGIC) != META_MAGIC ||
	    native_u32(meta + META_AT_VERSION) != META_VERSION)
		return false;
	size_t number; /* the engine's txnid_t */
	memcpy(&number, meta + META_AT_COMMIT, sizeof(number));
	*out = number;
	return true;
}

void
ckptfile_meta_place(uint8_t meta[CKPT_META_BYTES], unsigned index, uint64_t commit)
{
	size_t page = index, number = commit; /* the engine's pgno_t and txnid_t */
	memcpy(meta, &page, sizeof(page));
	memcpy(meta + META_AT_COMMIT, &number, sizeof(number));
}
