/*
 * ckptfile: the side file DIR/ckpt. Two slots, written in turn; the valid one with the greater sequence
 * number counts. Slot 0 is at byte 0, slot 1 at CKPT_STRIDE; within a slot:
 *
 *	   0 "FORKACKP"      8 format u32     12 flags u32 (1: clean stop)   16 sequence u64
 *	  24 commit u64     32 page u32       36 boot id, 36 characters
 *	 124 CRC-32C u32 of bytes 0 to 123 and the meta pages
 *	 128 meta page 0, 4096 bytes        4224 meta page 1, 4096 bytes
 *
 * Of a meta page its first 4096 bytes are kept, whatever the page size: the engine uses the first 152.
 */
#ifndef STORAGE_CKPTFILE_H
#define STORAGE_CKPTFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/check.h"
#include "common/err.h"

#define CKPT_STRIDE     12288
#define CKPT_META_BYTES 4096
#define BOOT_ID_BYTES   36

struct ckpt_slot {
	bool clean;
	uint64_t sequence, commit;
	uint32_t page_bytes;
	char boot_id[BOOT_ID_BYTES];
	uint8_t meta[2][CKPT_META_BYTES];
};

/* The running kernel's boot id. KAFKA_STORAGE_ERROR where there is none to read. */
MUST_CHECK enum err ckptfile_boot_id(char out[BOOT_ID_BYTES]);
/* Open DIR/ckpt for synchronous writes, making it, on disk, where it is absent. */
MUST_CHECK enum err ckptfile_open(const char *dir, int *fd);
/* False: nothing whole there. */
MUST_CHECK bool ckptfile_read(int fd, int slot, struct ckpt_slot *out);
MUST_CHECK enum err ckptfile_write(int fd, int slot, const struct ckpt_slot *in);
/* The newest whole slot into *out; its index, -1 if there is none. */
int ckptfile_newest(int fd, struct ckpt_slot *out);
/* Transaction number in a meta page; false: it is no meta page of this engine. */
bool ckptfile_meta_commit(const uint8_t meta[CKPT_META_BYTES], uint64_t *out);
/* Make it the meta page of this index and transaction number. */
void ckptfile_meta_place(uint8_t meta[CKPT_META_BYTES], unsigned index, uint64_t commit);
/* Make a name in the directory durable. */
MUST_CHECK enum err ckptfile_sync_dir(const char *dir);
/* The directory's own name. Its parent may be none of our business: then it is not. */
void ckptfile_sync_parent(const char *dir);

#endif
