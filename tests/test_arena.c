#include "tests/lib/test.h"

#include <string.h>

#include "common/arena.h"

static void
zeroed_and_aligned(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	for (int round = 0; round < 3; round++) {
		for (size_t n = 0; n < 200; n++) {
			unsigned char *at = arena_alloc(&arena, n);
			assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(at[i], 0);
			memset(at, 0xaa, n);
		}
		arena_reset(&arena);
	}
	arena_free(&arena);
}

/* Each allocation is filled with its number; none may be overwritten by a later one, across many blocks. */
static void
allocations_do_not_overlap(void **state)
{
	(void)state;
	enum { N = 2000 };
	static unsigned char *at[N];
	struct arena arena = ARENA_EMPTY;
	for (int i = 0; i < N; i++) {
		at[i] = arena_alloc(&arena, (size_t)i);
		memset(at[i], i & 0xff, (size_t)i);
	}
	for (int i = 0; i < N; i++) {
		for (int j = 0; j < i; j++)
			assert_int_equal(at[i][j], i & 0xff);
	}
	assert_true(arena.used >= (size_t)N * (N - 1) / 2);
	arena_free(&arena);
	assert_null(arena.head);
}

static void
reset_keeps_one_small_block(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	void *first = arena_alloc(&arena, 100);
	(void)arena_alloc(&arena, 1000000);
	arena_reset(&arena);
	assert_int_equal(arena.used, 0);
	assert_ptr_equal(arena_alloc(&arena, 100), first);
	arena_free(&arena);

	(void)arena_alloc(&arena, 1000000); /* first of all: not worth keeping */
	arena_reset(&arena);
	assert_null(arena.head);
	arena_free(&arena);
}

static void
printf_of_any_length(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	assert_string_equal(arena_printf(&arena, "%s-%d", "orders", 7), "orders-7");
	char *wide = arena_printf(&arena, "%*d", 20000, 1);
	assert_int_equal(strlen(wide), 20000);
	arena_free(&arena);
}

static void
array_of_none_is_a_pointer(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	assert_non_null(arena_array(&arena, 0, 16));
	assert_non_null(arena_array(&arena, 3, 16));
	arena_free(&arena);
}

static void
a_list_grows_by_doubling_and_keeps_what_it_has(void **state)
{
	(void)state;
	struct arena arena = ARENA_EMPTY;
	int *at = NULL;
	for (int32_t n = 0; n < 1000; n++) {
		int *before = at;
		at = arena_grow(&arena, at, n, sizeof(*at));
		if (n > 0 && (n & (n - 1)) != 0)
			assert_ptr_equal(at, before);
		at[n] = n;
	}
	for (int i = 0; i < 1000; i++)
		assert_int_equal(at[i], i);
	assert_true(arena.used < 3 * 1024 * sizeof(*at));
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zeroed_and_aligned),
		cmocka_unit_test(allocations_do_not_overlap),
		cmocka_unit_test(reset_keeps_one_small_block),
		cmocka_unit_test(printf_of_any_length),
		cmocka_unit_test(array_of_none_is_a_pointer),
		cmocka_unit_test(a_list_grows_by_doubling_and_keeps_what_it_has),
	};
	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
