#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "tests/lib/batches.h"
#include "tests/powercut/disk_internal.h"

static int64_t
between(int64_t sure, int64_t last, uint64_t *seed)
{
	return last <= sure ? last : sure + (int64_t)(test_random(seed) % (uint64_t)(last - sure + 1));
}

/* Which of its versions a page, a length or a name is found in. `meta`: see CUT_METAS_NEW. */
static int64_t
choose(const struct changes *c, bool meta, uint32_t moment, enum disk_cut cut, uint64_t *seed, int64_t *sure)
{
	int64_t last;
	disk_bounds(c, moment, sure, &last);
	switch (cut) {
	case CUT_OLD:
		return *sure;
	case CUT_NEW:
		return last;
	case CUT_FEW_NEW:
		return test_random(seed) % 10 == 0 ? last : *sure;
	case CUT_FEW_OLD:
		return test_random(seed) % 10 != 0 ? last : *sure;
	case CUT_METAS_NEW:
		return meta ? last : *sure;
	case CUT_DATA_NEW:
		return meta ? *sure : last;
	default:
		return between(*sure, last, seed);
	}
}

/* Each sector is of a version between the one that is surely there and this one. */
static void
tear(uint8_t bytes[PAGE], const struct changes *page, int64_t sure, int64_t chosen, uint64_t *seed)
{
	static const uint8_t nothing[PAGE];
	for (int at = 0; at < PAGE; at += SECTOR) {
		int64_t v = between(sure, chosen, seed);
		memcpy(bytes + at, (v >= 0 ? page->at[v].bytes : nothing) + at, SECTOR);
	}
}

static void
image_page(uint8_t bytes[PAGE], const struct changes *page, bool meta, uint32_t moment, enum disk_cut cut,
	   uint64_t *seed)
{
	int64_t sure, chosen = choose(page, meta, moment, cut, seed, &sure);
	if (chosen < 0)
		memset(bytes, 0, PAGE);
	else if (cut == CUT_TORN && chosen > sure)
		tear(bytes, page, sure, chosen, seed);
	else
		memcpy(bytes, page->at[chosen].bytes, PAGE);
}

static void
image_file(const char *path, const struct inode *f, bool data, uint32_t moment, enum disk_cut cut,
	   uint64_t *seed)
{
	static uint8_t *bytes;
	static size_t room;
	int64_t sure, chosen = choose(&f->size, data, moment, cut, seed, &sure);
	size_t n = chosen < 0 ? 0 : f->size.at[chosen].size, whole = (n + PAGE - 1) / PAGE * PAGE;
	if (whole > room) {
		bytes = realloc(bytes, room = whole * 2);
		CHECK(bytes != NULL);
	}
	for (uint32_t p = 0; p < whole / PAGE; p++) {
		static const struct changes none;
		const struct changes *page = p < f->page_n ? &f->page[p] : &none;
		image_page(bytes + (size_t)p * PAGE, page, !data || p < 2, moment, cut, seed);
	}
	int fd = open(path, O_RDWR | O_CREAT, 0660);
	CHECK(fd >= 0);
	for (size_t done = 0; done < n;) {
		ssize_t now = pwrite(fd, bytes + done, n - done, (off_t)done);
		CHECK(now > 0);
		done += (size_t)now;
	}
	CHECK(ftruncate(fd, (off_t)n) == 0);
	close(fd);
}

static int32_t
find(const struct changes *name, uint32_t moment, enum disk_cut cut, uint64_t *seed)
{
	int64_t sure, chosen = choose(name, true, moment, cut, seed, &sure);
	return chosen < 0 ? -1 : name->at[chosen].inode;
}

void
disk_image(const char *dir, uint32_t moment, enum disk_cut cut, uint64_t *seed)
{
	bool there = find(&disk->name[NAME_DIR], moment, cut, seed) >= 0;
	CHECK(!there || mkdir(dir, 0770) == 0 || errno == EEXIST);
	for (int i = 0; i < FILES; i++) {
		char path[PATH_MAX];
		CHECK(snprintf(path, sizeof(path), "%s/%s", dir, disk_file_name[i]) > 0);
		int32_t inode = there ? find(&disk->name[i], moment, cut, seed) : -1;
		if (inode >= 0)
			image_file(path, disk->inode[inode], i == NAME_DATA, moment, cut, seed);
		else
			(void)unlink(path);
	}
	char lock[PATH_MAX];
	snprintf(lock, sizeof(lock), "%s/lock.mdb", dir);
	if (!there || test_random(seed) % 2 == 0)
		(void)unlink(lock); /* what is in it is worth nothing either way */
	if (!there)
		(void)rmdir(dir);
}
