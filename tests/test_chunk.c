/* Receive memory: references, room, and the pool's count. */
#include <stdlib.h>
#include <string.h>

#include "broker/chunk.h"
#include "tests/lib/test.h"

static void
pool_free(struct chunk_pool *pool)
{
	while (pool->free != NULL) {
		struct chunk *next = pool->free->next_free;
		free(pool->free);
		pool->free = next;
	}
}

static void
test_pool_counts_and_reuses(void **state)
{
	(void)state;
	struct chunk_pool pool = { 0 };
	struct chunk *a = chunk_new(&pool, 1), *big = chunk_new(&pool, 3 * CHUNK_BYTES);
	assert_int_equal(a->cap, CHUNK_BYTES);
	assert_int_equal(big->cap, 3 * CHUNK_BYTES);
	assert_int_equal(pool.bytes, 4 * CHUNK_BYTES);
	chunk_release(&pool, a);
	assert_int_equal(pool.bytes, 3 * CHUNK_BYTES);
	assert_ptr_equal(chunk_new(&pool, 100), a); /* from the free list */
	chunk_release(&pool, a);
	chunk_release(&pool, big);
	assert_int_equal(pool.bytes, 0);
	chunk_release(&pool, NULL);
	pool_free(&pool);
}

static void
test_held_until_the_last_reference(void **state)
{
	(void)state;
	struct chunk_pool pool = { 0 };
	struct chunk *c = chunk_new(&pool, 1);
	chunk_hold(c);
	chunk_release(&pool, c);
	assert_int_equal(pool.bytes, CHUNK_BYTES);
	assert_int_equal(pool.free_n, 0);
	chunk_release(&pool, c);
	assert_int_equal(pool.free_n, 1);
	pool_free(&pool);
}

static struct chunk *
half_parsed(struct chunk_pool *pool)
{
	struct chunk *c = chunk_new(pool, 1);

	c->used = CHUNK_BYTES;
	c->parsed = CHUNK_BYTES - 5;
	memcpy(c->data + c->parsed, "abcde", 5);
	return c;
}

static void
test_room_is_made_in_place_where_nobody_looks(void **state)
{
	(void)state;
	struct chunk_pool pool = { 0 };
	struct chunk *c = half_parsed(&pool);
	assert_ptr_equal(chunk_with_room(&pool, c, 5), c); /* it fits as it is */
	assert_int_equal(c->parsed, CHUNK_BYTES - 5);
	assert_ptr_equal(chunk_with_room(&pool, c, 1000), c);
	assert_int_equal(c->parsed, 0);
	assert_int_equal(c->used, 5);
	assert_memory_equal(c->data, "abcde", 5);
	chunk_release(&pool, c);
	pool_free(&pool);
}

static void
test_a_call_keeps_its_bytes_when_the_connection_goes_on(void **state)
{
	(void)state;
	struct chunk_pool pool = { 0 };
	struct chunk *c = half_parsed(&pool);
	memcpy(c->data, "frame", 5);
	chunk_hold(c); /* a call's */
	struct chunk *next = chunk_with_room(&pool, c, 1000);
	assert_ptr_not_equal(next, c);
	assert_int_equal(next->used, 5);
	assert_memory_equal(next->data, "abcde", 5);
	assert_memory_equal(c->data, "frame", 5);
	assert_int_equal(c->references, 1);
	chunk_release(&pool, next);
	chunk_release(&pool, c);
	assert_int_equal(pool.bytes, 0);
	pool_free(&pool);
}

static void
test_a_large_frame_gets_a_large_chunk(void **state)
{
	(void)state;
	struct chunk_pool pool = { 0 };
	struct chunk *c = half_parsed(&pool), *next = chunk_with_room(&pool, c, 10 * CHUNK_BYTES);
	assert_int_equal(next->cap, 10 * CHUNK_BYTES);
	assert_memory_equal(next->data, "abcde", 5);
	assert_int_equal(pool.bytes, 10 * CHUNK_BYTES); /* the old one went back */
	chunk_release(&pool, next);
	pool_free(&pool);
}

static void
test_a_rest_moves_to_what_it_needs(void **state)
{
	(void)state;
	struct chunk_pool pool = { 0 };
	struct chunk *c = chunk_new(&pool, 1);
	c->used = 20000;
	assert_ptr_equal(chunk_slim(&pool, c, false), c); /* enough was sent, and there is plenty */
	c->data[19999] = 'z';
	c = chunk_slim(&pool, c, true);
	assert_in_range(c->cap, 40000, 45000);
	assert_int_equal(pool.bytes, c->cap);
	assert_int_equal(c->used, 20000);
	assert_int_equal(c->data[19999], 'z');
	chunk_hold(c); /* a call's: moving would cost more */
	assert_ptr_equal(chunk_slim(&pool, c, true), c);
	chunk_release(&pool, c);
	c->parsed = 19990;
	c = chunk_slim(&pool, c, false);
	assert_int_equal(c->cap, 4096);
	assert_int_equal(c->data[9], 'z');
	chunk_release(&pool, c);
	assert_int_equal(pool.bytes, 0);
	pool_free(&pool);
}

static void
test_no_memory_changes_nothing(void **state)
{
	(void)state;
#ifdef FORKA_SANITIZED
	skip(); /* its malloc() reports such a size as an error and ends the program */
#endif
	struct chunk_pool pool = { 0 };
	struct chunk *c = half_parsed(&pool);
	assert_null(chunk_with_room(&pool, c, PTRDIFF_MAX));
	assert_int_equal(c->references, 1);
	assert_int_equal(pool.bytes, CHUNK_BYTES);
	assert_memory_equal(c->data + c->parsed, "abcde", 5);
	chunk_release(&pool, c);
	pool_free(&pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pool_counts_and_reuses),
		cmocka_unit_test(test_held_until_the_last_reference),
		cmocka_unit_test(test_room_is_made_in_place_where_nobody_looks),
		cmocka_unit_test(test_a_call_keeps_its_bytes_when_the_connection_goes_on),
		cmocka_unit_test(test_a_large_frame_gets_a_large_chunk),
		cmocka_unit_test(test_a_rest_moves_to_what_it_needs),
		cmocka_unit_test(test_no_memory_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
