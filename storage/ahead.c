#include "storage/ahead.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

/* Partitions that are read together end their answers near each other, in any order. */
static struct ahead_trail *
find_trail(struct ahead *ahead, uintptr_t at)
{
	for (int i = 0; i < AHEAD_TRAILS; i++) {
		struct ahead_trail *t = &ahead->trail[i];
		if (t->at != 0 && at + AHEAD_BYTES >= t->at && at <= t->at + AHEAD_BYTES)
			return t;
	}
	return NULL;
}

static void
begin_trail(struct ahead *ahead, uintptr_t at)
{
	ahead->trail[ahead->oldest] = (struct ahead_trail){ .at = at, .asked = at };
	ahead->oldest = (ahead->oldest + 1) % AHEAD_TRAILS;
}

uintptr_t
ahead_wanted(struct ahead *ahead, uintptr_t at, uintptr_t *from)
{
	struct ahead_trail *t = find_trail(ahead, at);
	if (t == NULL) {
		begin_trail(ahead, at);
		return 0;
	}
	if (at <= t->at)
		return 0;
	t->at = at;
	if (t->asked >= at + AHEAD_BYTES / 2)
		return 0;
	*from = t->asked > at ? t->asked : at;
	t->asked = at + AHEAD_BYTES;
	return t->asked;
}

static bool
is_in_memory(uintptr_t page, size_t page_bytes)
{
	unsigned char resident;
	return mincore((void *)page, page_bytes, &resident) == 0 && (resident & 1) != 0;
}

void
ahead_of(struct ahead *ahead, const void *row)
{
	uintptr_t from, to = ahead_wanted(ahead, (uintptr_t)row, &from);
	if (to == 0)
		return;
	uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	from -= from % page_bytes;
	to -= to % page_bytes;
	/* Behind the end of the file nothing is, of the map not even an address: both are fine, it is a hint. */
	if (!is_in_memory(to - page_bytes, page_bytes))
		(void)madvise((void *)from, to - from, MADV_WILLNEED);
}
