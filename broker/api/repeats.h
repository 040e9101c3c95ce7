/*
 * repeats: which elements of a request name the same thing.
 *
 * Kafka takes the topics of most requests as a set. What comes twice is answered once (Metadata), or refused
 * once (CreateTopics, DeleteTopics, CreatePartitions), but never done twice. Sorting finds it in n log n,
 * whatever names a client thinks up; a hash table could be made slow from outside.
 */
#ifndef BROKER_API_REPEATS_H
#define BROKER_API_REPEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"

enum repeat {
	REPEAT_NONE,  /* comes once */
	REPEAT_FIRST, /* comes several times, here for the first time */
	REPEAT_AGAIN, /* came before */
};

/* One enum repeat for each of the n keys, in the arena. */
const uint8_t *repeats_find(const struct str *keys, int32_t n, struct arena *arena);
/* For each of the n keys the index of the first that is equal to it, its own where none is before it; in the arena. */
const int32_t *repeats_first(const struct str *keys, int32_t n, struct arena *arena);
/* Leave each of the n keys once, where it comes first. How many are left. */
int32_t repeats_drop(struct str *keys, int32_t n, struct arena *arena);
/* Does one of them come twice? Sorts them, unless that is to be seen without. */
bool repeats_number(uint64_t *numbers, int32_t n);

#endif
