#include "tests/lib/test.h"

#include <string.h>

#include "common/crc32c.h"

/* Check value of the CRC catalogues, and the test vectors of RFC 3720, B.4. */
static void
known_values(void **state)
{
	(void)state;
	uint8_t b[32];
	assert_true(crc32c("123456789", 9) == 0xe3069283);
	assert_true(crc32c("", 0) == 0);
	memset(b, 0, sizeof(b));
	assert_true(crc32c(b, sizeof(b)) == 0x8a9136aa);
	memset(b, 0xff, sizeof(b));
	assert_true(crc32c(b, sizeof(b)) == 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		b[i] = i;
	assert_true(crc32c(b, sizeof(b)) == 0x46dd794e);
}

static uint32_t
bit_by_bit(const uint8_t *at, size_t n)
{
	uint32_t crc = ~0u;
	for (size_t i = 0; i < n; i++) {
		crc ^= at[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

/* libisal takes other paths for short, long and unaligned input. */
static void
all_lengths_and_alignments(void **state)
{
	(void)state;
	static uint8_t b[8192 + 16];
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 31 + (i >> 5));
	for (size_t n = 0; n < 300; n++) {
		for (size_t at = 0; at < 8; at++)
			assert_true(crc32c(b + at, n) == bit_by_bit(b + at, n));
	}
	assert_true(crc32c(b + 3, 8192) == bit_by_bit(b + 3, 8192));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_values),
		cmocka_unit_test(all_lengths_and_alignments),
	};
	return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
