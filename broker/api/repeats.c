#include "broker/api/repeats.h"

#include <stdlib.h>

/* Equal keys in the order in which they came, as all are elements of one array. */
static int
by_key(const void *a, const void *b)
{
	const struct str *x = *(const struct str *const *)a, *y = *(const struct str *const *)b;
	int order = str_cmp(*x, *y);
	return order != 0 ? order : (x > y) - (x < y);
}

const uint8_t *
repeats_find(const struct str *keys, int32_t n, struct arena *arena)
{
	uint8_t *repeats = arena_array(arena, (size_t)n, sizeof(*repeats)); /* all REPEAT_NONE */
	if (n < 2)
		return repeats;

	const struct str **sorted = arena_array(arena, (size_t)n, sizeof(*sorted));
	for (int32_t i = 0; i < n; i++)
		sorted[i] = &keys[i];
	qsort(sorted, (size_t)n, sizeof(*sorted), by_key);

	for (int32_t i = 1; i < n; i++) {
		if (!str_eq(*sorted[i - 1], *sorted[i]))
			continue;
		if (repeats[sorted[i - 1] - keys] == REPEAT_NONE)
			repeats[sorted[i - 1] - keys] = REPEAT_FIRST;
		repeats[sorted[i] - keys] = REPEAT_AGAIN;
	}
	return repeats;
}
