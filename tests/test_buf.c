#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

static void
what_goes_in_comes_out(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	buf_check(&b);
	buf_append(&b, "hello", 5);
	buf_append(&b, NULL, 0);
	buf_append(&b, " world", 6);
	buf_check(&b);
	assert_int_equal(buf_len(&b), 11);
	assert_memory_equal(buf_head(&b), "hello world", 11);
	buf_consume(&b, 6);
	assert_memory_equal(buf_head(&b), "world", 5);
	buf_consume(&b, 5);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(b.at, 0);
	buf_check(&b);
	buf_free(&b);
	buf_check(&b);
}

static void
reserve_and_grew(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	buf_reserve(&b, 10000);
	assert_true(buf_room(&b) >= 10000);
	memset(buf_tail(&b), 'x', 10000);
	buf_grew(&b, 10000);
	assert_int_equal(buf_len(&b), 10000);
	buf_reset(&b);
	assert_int_equal(buf_len(&b), 0);
	assert_true(b.cap >= 10000);
	buf_free(&b);
}

/* A queue that is filled and drained for ever must not grow for ever. */
static void
consumed_room_is_used_again(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	buf_append(&b, "1234567", 7);
	for (int i = 0; i < 100000; i++) {
		buf_append(&b, "1234567", 7);
		buf_check(&b);
		assert_memory_equal(buf_head(&b), "1234567", 7);
		buf_consume(&b, 7);
	}
	assert_int_equal(buf_len(&b), 7);
	assert_true(b.cap <= 1024);
	buf_free(&b);
}

/* Against a plain model, with random steps. */
static void
behaves_as_a_queue(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	unsigned seed = 1;
	uint8_t in = 0, out = 0;
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)rand_r(&seed) % 600;
		if (rand_r(&seed) % 2 == 0) {
			for (size_t k = 0; k < n; k++, in++)
				buf_append(&b, &in, 1);
		} else {
			n = n < buf_len(&b) ? n : buf_len(&b);
			for (size_t k = 0; k < n; k++, out++)
				assert_int_equal(buf_head(&b)[k], out);
			buf_consume(&b, n);
		}
		buf_check(&b);
	}
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out),
		cmocka_unit_test(reserve_and_grew),
		cmocka_unit_test(consumed_room_is_used_again),
		cmocka_unit_test(behaves_as_a_queue),
	};
	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
