/*
 * checkpoint: make commits durable without anybody waiting for a disk under the writer lock.
 *
 * The engine runs without sync. After a power cut each page of the file may then be any of its versions
 * since the last completed sync, so the file alone is worth nothing. A checkpoint makes one snapshot of
 * it safe:
 *
 *	begin    take the writer lock, so that there is a newest commit N; read the two meta pages; open a
 *	         reader on N, the new pin; say `syncing = N`; give the lock back without a change
 *	finish   fdatasync(): every page of snapshot N is on disk. Write N's meta pages to the side file,
 *	         synchronously, over the older of its two slots. Publish `durable = N`. Close the reader on
 *	         the checkpoint before, the old pin
 *
 * The pin keeps the engine from using a page of snapshot N again, so that later commits leave these pages
 * as they are, whatever reaches the disk of theirs. After a power cut recovery.c puts N's meta pages
 * back, and the file is snapshot N. The old pin goes only when the new slot is on disk: a torn slot
 * leaves the other one, with its pages still there.
 *
 * Hence two rules. The first checkpoint of a run comes before its first write: what a run before left
 * pinned is pinned no longer. And without a live pin nobody may write (writes_ok; the supervisor takes it
 * back when the checkpointer has died, or whoever finds the pin gone before).
 *
 * The two halves are separate functions for the tests' sake: they put commits, and power cuts, between
 * them.
 */
#ifndef STORAGE_CHECKPOINT_H
#define STORAGE_CHECKPOINT_H

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/check.h"
#include "common/err.h"
#include "storage/ckptfile.h"

struct store;

struct checkpoint {
	int fd;          /* of the side file; -1 until the first */
	int older;       /* slot to write next */
	bool any;        /* one was made by this process */
	uint64_t commit; /* newest that is durable by it */
	MDB_txn *pin, *next_pin;
	struct ckpt_slot next;
};

/* False in *due: nothing was committed since the last one, there is nothing to finish. */
MUST_CHECK enum err checkpoint_begin(struct store *store, bool *due);
MUST_CHECK enum err checkpoint_finish(struct store *store, bool clean);
/*
 * Is the last checkpoint's pin there? For whoever has the writer lock after an owner that may have died with it: getting
 * it the engine has freed the slots of all dead readers, that of a checkpointer among them, of whose death the
 * supervisor may not know yet.
 */
bool checkpoint_is_pinned(struct store *store);
/* Drops the pins: only when the store closes. */
void checkpoint_close(struct store *store);

#endif
