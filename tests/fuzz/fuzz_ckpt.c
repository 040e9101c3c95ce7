/*
 * fuzz_ckpt: a damaged side file, and what start-up makes of it. The first byte of the input says what is damaged;
 * then come patches, each position u16, byte.
 *
 *	1  the checksums are put right afterwards, which no fuzzer would guess and no disk would do
 *	2  the file is cut at the first patch's position, instead
 *	4  it is this boot's
 *
 * Whatever it is, start-up comes to an end. What has no right checksum is not believed; what is not believed, or is not
 * of an earlier boot, leaves the data file alone; else its first pages are those of the newest slot.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/diag.h"
#include "storage/ckptfile.h"
#include "storage/recovery.h"
#include "storage/store.h"
#include "tests/lib/test.h"

#define PAGE_BYTES 4096
#define DATA_BYTES (4 * PAGE_BYTES)
#define SLOT_BYTES (128 + 2 * CKPT_META_BYTES)

enum { PUT_RIGHT = 1, CUT = 2, THIS_BOOT = 4 };

static char *dir;
static int ckpt, data_file;
static uint8_t good[2 * CKPT_STRIDE], data_was[DATA_BYTES];

static int
file_in(const char *name)
{
	int fd = open(test_path(dir, name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	return fd;
}

/* A page that the engine would take for a meta page of this commit. */
static void
make_meta(uint8_t *at, uint64_t commit)
{
	static const uint32_t magic = 0xBEEFC0DE, version = 1;
	memset(at, 0x5a, CKPT_META_BYTES);
	memcpy(at + 16, &magic, 4);
	memcpy(at + 20, &version, 4);
	memcpy(at + 144, &commit, 8);
}

static void
remove_dir(void)
{
	test_dir_remove(dir);
}

static void
begin_once(void)
{
	struct ckpt_slot slot = { .page_bytes = PAGE_BYTES };
	if (dir != NULL)
		return;
	diag_setup(DIAG_ERROR, DIAG_TEXT);
	dir = test_dir_make();
	CHECK(atexit(remove_dir) == 0);
	CHECK(ckptfile_open(dir, &ckpt) == ERR_NONE);
	CHECK(ckptfile_boot_id(slot.boot_id) == ERR_NONE);
	for (uint64_t i = 0; i < 2; i++) {
		slot.sequence = 7 + i;
		slot.commit = 100 + i;
		make_meta(slot.meta[0], 100 + i);
		make_meta(slot.meta[1], 99 + i);
		CHECK(ckptfile_write(ckpt, (int)i, &slot) == ERR_NONE);
	}
	CHECK(pread(ckpt, good, sizeof(good), 0) == (ssize_t)sizeof(good));
	data_file = file_in("data.mdb");
	make_meta(data_was, 102);
	make_meta(data_was + PAGE_BYTES, 103);
}

static void
put_right(uint8_t *slot)
{
	put_u32(slot + 124, 0);
	put_u32(slot + 124, crc32c(slot, SLOT_BYTES));
}

/* The side file that the input describes. */
static void
damage(const uint8_t *at, size_t n)
{
	uint8_t file[sizeof(good)];
	uint8_t how = at[0];
	size_t length = sizeof(file);

	memcpy(file, good, sizeof(file));
	if ((how & THIS_BOOT) == 0)
		file[36] = file[CKPT_STRIDE + 36] = 'x';
	put_right(file);
	put_right(file + CKPT_STRIDE);
	for (at++, n--; n >= 3; at += 3, n -= 3) {
		size_t where = get_u16(at) % sizeof(file);
		file[where] = at[2];
		if ((how & CUT) != 0 && length == sizeof(file))
			length = where;
	}
	if ((how & PUT_RIGHT) != 0) {
		put_right(file);
		put_right(file + CKPT_STRIDE);
	}
	CHECK(ftruncate(ckpt, 0) == 0 && pwrite(ckpt, file, length, 0) == (ssize_t)length);
	CHECK(ftruncate(data_file, 0) == 0);
	CHECK(pwrite(data_file, data_was, sizeof(data_was), 0) == (ssize_t)sizeof(data_was));
}

static void
check_data(const struct ckpt_slot *slot, bool restored)
{
	uint8_t is[DATA_BYTES], meta[CKPT_META_BYTES];
	if (!restored) {
		CHECK(pread(data_file, is, sizeof(is), 0) == (ssize_t)sizeof(is));
		CHECK(memcmp(is, data_was, sizeof(is)) == 0);
		return;
	}
	CHECK(slot != NULL);
	CHECK(pread(data_file, meta, sizeof(meta), slot->page_bytes) == (ssize_t)sizeof(meta));
	CHECK(memcmp(meta, slot->meta[1], sizeof(meta)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ckpt_slot slot;
	bool restored;

	if (n < 1)
		return 0;
	begin_once();
	damage(data, n);
	bool any = ckptfile_newest(ckpt, &slot) >= 0;
	if (any && (data[0] & PUT_RIGHT) == 0) /* believed: as it was written */
		CHECK((slot.sequence == 7 && slot.commit == 100) ||
		      (slot.sequence == 8 && slot.commit == 101));
	(void)recovery_is_due(dir);
	if (store_recover(dir, &restored) == ERR_NONE)
		check_data(any ? &slot : NULL, restored);
	return 0;
}
