/*
 * judge: one disk that a power cut left. Fails the process where a promise is broken:
 *
 *	the store comes up by itself, as exactly what one commit left (world.h), which is none older than
 *	the newest that was called durable; every page and every row is in order (audit.h); it goes on
 *	working; and it is still all this after that, and when it was closed and opened again
 */
#ifndef TESTS_POWERCUT_JUDGE_H
#define TESTS_POWERCUT_JUDGE_H

#include "tests/powercut/load.h"

struct verdict {
	uint32_t moment;
	int cut;  /* enum disk_cut */
	int cuts; /* power cuts in a row: 2 and more: it failed again while the store came up, or soon after */
	uint64_t floor, found; /* commits */
};

/*
 * Make an image of the recorded disk by `seed`, in DIR, and judge it. The run is private to this process
 * (disk_freeze()).
 */
void judge(struct run *run, const char *dir, uint64_t seed, struct verdict *out);

#endif
