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

const int32_t *
repeats_first(const struct str *keys, int32_t n, struct arena *arena)
{
	int32_t *first = arena_array(arena, (size_t)n, sizeof(*first));
	if (n < 2)
		return first; /* 0 */

	const struct str **sorted = arena_array(arena, (size_t)n, sizeof(*sorted));
	for (int32_t i = 0; i < n; i++)
		sorted[i] = &keys[i];
	qsort(sorted, (size_t)n, sizeof(*sorted), by_key);

	for (int32_t i = 0; i < n; i++) {
		bool again = i > 0 && str_eq(*sorted[i - 1], *sorted[i]);
		first[sorted[i] - keys] = again ? first[sorted[i - 1] - keys] : (int32_t)(sorted[i] - keys);
	}
	return first;
}

const uint8_t *
repeats_find(const struct str *keys, int32_t n, struct arena *arena)
{
	uint8_t *repeats = arena_array(arena, (size_t)n, sizeof(*repeats)); /* all REPEAT_NONE */
	const int32_t *first = repeats_first(keys, n, arena);

	for (int32_t i = 0; i < n; i++) {
		if (first[i] == i)
			continue;
		repeats[first[i]] = REPEAT_FIRST;
		repeats[i] = REPEAT_AGAIN;
	}
	return repeats;
}

int32_t
repeats_drop(struct str *keys, int32_t n, struct arena *arena)
{
	const int32_t *first = repeats_first(keys, n, arena);
	int32_t left = 0;

	for (int32_t i = 0; i < n; i++)
		if (first[i] == i)
			keys[left++] = keys[i];
	return left;
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

bool
repeats_number(uint64_t *numbers, int32_t n)
{
	bool sorted = true;

	for (int32_t i = 1; i < n; i++) {
		if (numbers[i - 1] == numbers[i])
			return true;
		sorted &= numbers[i - 1] < numbers[i];
	}
	if (sorted)
		return false;
	qsort(numbers, (size_t)n, sizeof(*numbers), by_number);
	for (int32_t i = 1; i < n; i++)
		if (numbers[i - 1] == numbers[i])
			return true;
	return false;
}
