#include "common/str.h"

#include <string.h>

#include "common/arena.h"
#include "common/check.h"

struct str
str_of(const char *c)
{
	if (c == NULL)
		return STR_NULL;
	size_t n = strlen(c);
	CHECK(n <= INT32_MAX);
	return (struct str){ .at = c, .n = (int32_t)n };
}

bool
str_is_null(struct str s)
{
	return s.n < 0;
}

bool
str_eq(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	return a.n <= 0 || memcmp(a.at, b.at, (size_t)a.n) == 0;
}

int
str_cmp(struct str a, struct str b)
{
	int32_t n = a.n < b.n ? a.n : b.n;
	int order = n > 0 ? memcmp(a.at, b.at, (size_t)n) : 0;
	return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

bool
str_is(struct str s, const char *c)
{
	return str_eq(s, str_of(c));
}

struct str
str_keep(struct arena *arena, struct str s)
{
	if (s.n < 0)
		return STR_NULL;
	return (struct str){ .at = str_c(arena, s), .n = s.n };
}

char *
str_c(struct arena *arena, struct str s)
{
	size_t n = s.n > 0 ? (size_t)s.n : 0;
	char *c = arena_alloc(arena, n + 1);
	if (n > 0)
		memcpy(c, s.at, n);
	return c;
}

struct bytes
bytes_keep(struct arena *arena, struct bytes b)
{
	if (b.n <= 0)
		return (struct bytes){ 0 };
	uint8_t *copy = arena_alloc(arena, (size_t)b.n);
	memcpy(copy, b.at, (size_t)b.n);
	return (struct bytes){ .at = copy, .n = b.n };
}

bool
str_to_int64(struct str s, int64_t *out)
{
	bool negative = s.n > 0 && s.at[0] == '-';
	int32_t i = negative ? 1 : 0;
	if (i >= s.n)
		return false;

	int64_t v = 0; /* kept at or below zero, as INT64_MIN has no positive twin */
	for (; i < s.n; i++) {
		int digit = s.at[i] - '0';
		if (digit < 0 || digit > 9)
			return false;
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, digit, &v))
			return false;
	}
	if (!negative && __builtin_sub_overflow((int64_t)0, v, &v))
		return false;
	*out = v;
	return true;
}
