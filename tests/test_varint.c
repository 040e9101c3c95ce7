#include "tests/lib/test.h"

#include <string.h>

#include "common/varint.h"

static void
known_encodings(void **state)
{
	(void)state;
	static const struct {
		uint32_t value;
		int n;
		uint8_t bytes[5];
	} known[] = {
		{ 0, 1, { 0 } },
		{ 127, 1, { 0x7f } },
		{ 128, 2, { 0x80, 1 } },
		{ 300, 2, { 0xac, 2 } },
		{ 16383, 2, { 0xff, 0x7f } },
		{ 16384, 3, { 0x80, 0x80, 1 } },
		{ UINT32_MAX, 5, { 0xff, 0xff, 0xff, 0xff, 0x0f } },
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		uint8_t bytes[VARINT32_MAX];
		uint32_t value;

		assert_int_equal(varint_put_u32(bytes, known[i].value), known[i].n);
		assert_int_equal(varint_size_u32(known[i].value), known[i].n);
		assert_memory_equal(bytes, known[i].bytes, (size_t)known[i].n);
		assert_int_equal(varint_get_u32(bytes, (size_t)known[i].n, &value), known[i].n);
		assert_int_equal(value, known[i].value);
		for (int cut = 0; cut < known[i].n; cut++)
			assert_int_equal(varint_get_u32(bytes, (size_t)cut, &value), 0);
	}
}

static void
zigzag(void **state)
{
	(void)state;
	static const int64_t values[] = { 0,  -1,  1,         -2,        63,        -64,
					  64, -65, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN };
	static const int sizes[] = { 1, 1, 1, 1, 1, 1, 2, 2, 5, 5, 10, 10 };
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint8_t bytes[VARINT64_MAX];
		int64_t wide;
		int32_t narrow;

		assert_int_equal(varint_put_i64(bytes, values[i]), sizes[i]);
		assert_int_equal(varint_size_i64(values[i]), sizes[i]);
		assert_int_equal(varint_get_i64(bytes, sizeof(bytes), &wide), sizes[i]);
		assert_int_equal(wide, values[i]);
		if (values[i] < INT32_MIN || values[i] > INT32_MAX)
			continue;
		assert_int_equal(varint_put_i32(bytes, (int32_t)values[i]), sizes[i]);
		assert_int_equal(varint_size_i32((int32_t)values[i]), sizes[i]);
		assert_int_equal(varint_get_i32(bytes, sizeof(bytes), &narrow), sizes[i]);
		assert_int_equal(narrow, values[i]);
	}
}

/* The short way agrees with the long one, and takes what is of one or two bytes. */
static void
short_numbers(void **state)
{
	(void)state;
	for (int32_t i = -10000; i <= 10000; i++) {
		uint8_t bytes[VARINT32_MAX];
		int32_t value = i + 1;
		int n = varint_put_i32(bytes, i);

		for (int cut = 0; cut < n; cut++)
			assert_int_equal(varint_get_short(bytes, (size_t)cut, &value), 0);
		assert_int_equal(varint_get_short(bytes, sizeof(bytes), &value), n <= 2 ? n : 0);
		assert_int_equal(value, n <= 2 ? i : i + 1);
	}
}

static void
what_does_not_fit(void **state)
{
	(void)state;
	static const uint8_t bits33[] = { 0xff, 0xff, 0xff, 0xff, 0x1f };
	static const uint8_t six[] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0 };
	static const uint8_t bits65[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02 };
	uint32_t u;
	int32_t i;
	int64_t wide;

	assert_int_equal(varint_get_u32(bits33, sizeof(bits33), &u), -1);
	assert_int_equal(varint_get_i32(bits33, sizeof(bits33), &i), -1);
	assert_int_equal(varint_get_u32(six, sizeof(six), &u), -1);
	assert_int_equal(varint_get_i64(six, sizeof(six), &wide), 6);
	assert_int_equal(varint_get_i64(bits65, sizeof(bits65), &wide), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_encodings),
		cmocka_unit_test(zigzag),
		cmocka_unit_test(short_numbers),
		cmocka_unit_test(what_does_not_fit),
	};

	return cmocka_run_group_tests_name("varint", tests, NULL, NULL);
}
