/* disk_internal: what disk.c keeps and image.c makes images of. */
#ifndef TESTS_POWERCUT_DISK_INTERNAL_H
#define TESTS_POWERCUT_DISK_INTERNAL_H

#include <limits.h>
#include <stdbool.h>

#include "tests/powercut/disk.h"

#define PAGE   4096
#define SECTOR 512
#define NEVER  UINT32_MAX /* a moment: not synced yet */

/* Something that changes, and when each change was made and synced; at least the first entry is there. */
struct change {
	uint32_t written, synced;
	union {
		uint8_t *bytes; /* of a page */
		uint64_t size;  /* of a file */
		int32_t inode;  /* that a name leads to; -1: nowhere */
	};
};

struct changes {
	struct change *at;
	uint32_t n, cap;
};

struct inode {
	struct changes *page;
	uint32_t page_n;
	struct changes size;
};

enum { NAME_DATA, NAME_CKPT, NAME_DIR, NAMES };
#define FILES 2 /* of the names */

extern const char *const disk_file_name[FILES];

struct disk {
	char dir[PATH_MAX], parent[PATH_MAX];
	bool recording;
	uint32_t moment, boot;
	struct changes name[NAMES];
	struct changes in_flight; /* moments in the middle of a synchronous write */
	struct inode *inode[64];
	int32_t inode_n;
};

extern struct disk *disk;

/*
 * Of the changes until then: the last that is surely on disk, and the last that was made (-1: none).
 */
void disk_bounds(const struct changes *c, uint32_t moment, int64_t *sure, int64_t *last);

#endif
