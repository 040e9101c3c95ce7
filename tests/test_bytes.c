#include "tests/lib/test.h"

#include "common/bytes.h"

static void
big_endian_at_any_address(void **state)
{
	(void)state;
	uint8_t b[16] = { 0 };
	put_u16(b + 1, 0x0102);
	put_u32(b + 3, 0x03040506);
	put_u64(b + 7, 0x0708090a0b0c0d0eu);
	for (uint8_t i = 0; i < 15; i++)
		assert_int_equal(b[i], i);
	assert_int_equal(b[15], 0);
	assert_int_equal(get_u16(b + 1), 0x0102);
	assert_int_equal(get_u32(b + 3), 0x03040506);
	assert_true(get_u64(b + 7) == 0x0708090a0b0c0d0eu);
}

/* What LMDB's key order needs: compared as bytes, numbers order as numbers. */
static void
bytes_order_as_numbers(void **state)
{
	(void)state;
	static const uint64_t ascending[] = {
		0, 1, 255, 256, 65535, 65536, UINT32_MAX, INT64_MAX, UINT64_MAX
	};
	for (size_t i = 1; i < sizeof(ascending) / sizeof(ascending[0]); i++) {
		uint8_t a[8], b[8];
		put_u64(a, ascending[i - 1]);
		put_u64(b, ascending[i]);
		assert_true(memcmp(a, b, 8) < 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(big_endian_at_any_address),
		cmocka_unit_test(bytes_order_as_numbers),
	};
	return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
