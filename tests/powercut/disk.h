/*
 * disk: what a store's files may look like after the power failed, at any moment of a run of the real code.
 *
 * A program that uses it has its own open, pwrite, fdatasync, unlink and their like, which stand before
 * libc's, also for the engine. Of DIR/data.mdb and DIR/ckpt they keep every version of every page, of the
 * files' lengths and of their names, and when each was synced:
 *
 *	disk_begin()         memory that outlives the processes of the run
 *	disk_record(dir)     what is in it now is on disk; all that comes is kept
 *	disk_now()           the moment, to be noted beside what was promised by then
 *	disk_stop(), disk_freeze()
 *	disk_image(...)      the directory as it may be found if the power failed at that moment
 *
 * What is synced stays. Of what came later, in any combination,
 *
 *	a page     may be any version of it; torn in sectors of 512 bytes, each of a version of its own
 *	a file     may be as short as it was when it was synced, or of any length since: what was written
 *	           behind that is gone, and what was not written within it is zeros
 *	a name     may lead nowhere, or to the file that it led to, until its directory is synced;
 *	           so may the directory's own, until its parent is
 *
 * A sync takes time: disk_during_sync() is called in the middle of one, to commit something meanwhile. The
 * real disk is never waited for.
 */
#ifndef TESTS_POWERCUT_DISK_H
#define TESTS_POWERCUT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_cut {
	CUT_OLD,       /* nothing unsynced got to the disk */
	CUT_NEW,       /* everything did */
	CUT_RANDOM,    /* any version of each page */
	CUT_FEW_NEW,   /* one page in ten */
	CUT_FEW_OLD,   /* nine in ten */
	CUT_METAS_NEW, /* only meta pages and the checkpoint file did */
	CUT_DATA_NEW,  /* only data pages did */
	CUT_TORN,      /* any version, pages torn */
	CUT_KINDS
};

void disk_begin(void);
/* Zeros. What children write is seen by all, until disk_freeze(): from then on each has its own copy. */
void *disk_alloc(size_t n);
void disk_freeze(void);
void disk_end(void);

/* DIR need not exist, its parent must. */
void disk_record(const char *dir);
void disk_stop(void);
uint32_t disk_now(void);
/* The n-th moment, counted round and round, that was in the middle of a synchronous write. */
uint32_t disk_in_flight(uint64_t n);
void disk_during_sync(void (*f)(void));
/* Call f before each write and sync. */
void disk_watch(void (*f)(void));
/* The kernel that the store sees from now on is another one: its boot id is. */
void disk_boot(void);
/*
 * At the n-th write or sync from now on call f, which does not return: before it, behind it, or after
 * some pages of it. 0: never.
 */
void disk_die_at(uint32_t n, void (*f)(void));
/* What is written and synced meanwhile is not counted. */
void disk_spare(bool spared);

/* Into a directory, made if it is absent; gone where its name is. */
void disk_image(const char *dir, uint32_t moment, enum disk_cut cut, uint64_t *seed);

#endif
