/*
 * powercut: what a store's files may look like after the power failed, at any moment of a run of the real
 * code.
 *
 * A test that uses it has its own pwrite, write, writev, fdatasync and fsync, which stand before libc's
 * and keep every version of every page of DIR/data.mdb and DIR/ckpt, and when it was synced:
 *
 *	powercut_record(dir)    from now on
 *	powercut_now()          the moment, to be noted beside what was promised by then
 *	powercut_stop()
 *	powercut_image(...)     the files as they may be found if the power failed at that moment
 *
 * The disk that is simulated keeps what was synced, and of what came later any version of any page; a
 * page that was being written may be torn in sectors of 512 bytes. Only the meta pages are whole: the
 * engine writes 120 bytes of them, within one sector. A sync takes time: powercut_during_sync() is called
 * in the middle of one, to commit something meanwhile.
 */
#ifndef TESTS_LIB_POWERCUT_H
#define TESTS_LIB_POWERCUT_H

#include <stdint.h>

enum powercut {
	POWERCUT_OLD,       /* nothing unsynced got to the disk */
	POWERCUT_NEW,       /* everything did */
	POWERCUT_RANDOM,    /* any version of each page */
	POWERCUT_FEW_NEW,   /* one page in ten */
	POWERCUT_METAS_NEW, /* only meta pages and the checkpoint file did */
	POWERCUT_DATA_NEW,  /* only data pages did */
	POWERCUT_TORN,      /* any version, pages torn */
	POWERCUT_KINDS
};

void powercut_record(const char *dir);
void powercut_stop(void);
void powercut_free(void);
uint32_t powercut_now(void);
void powercut_during_sync(void (*f)(void));
/* Into an existing directory, whose data.mdb and ckpt are replaced. */
void powercut_image(const char *dir, uint32_t moment, enum powercut kind, uint64_t *seed);

#endif
