/*
 * varint: numbers in as few bytes as they need, seven bits a byte, the lowest first; the top bit says that
 * more follow.
 *
 *	300 = 10 0101100  ->  ac 02
 *
 * Unsigned ones are the lengths and tags of flexible versions (KIP-482). Signed ones, in records (KIP-98),
 * are zigzagged first, so that small negative numbers are short too: 0, -1, 1, -2 become 0, 1, 2, 3.
 *
 * The get functions read from n bytes at `at` and return how many they used; 0 if the bytes end too
 * early, -1
 * if the number does not fit. The put functions return how many bytes they wrote, and want room for
 * VARINT32_MAX or VARINT64_MAX.
 */
#ifndef COMMON_VARINT_H
#define COMMON_VARINT_H

#include <stddef.h>
#include <stdint.h>

#define VARINT32_MAX 5
#define VARINT64_MAX 10

int varint_get_u32(const uint8_t *at, size_t n, uint32_t *out);
int varint_get_i32(const uint8_t *at, size_t n, int32_t *out);
int varint_get_i64(const uint8_t *at, size_t n, int64_t *out);

/*
 * A signed one of one or two bytes, as nearly all in records are, without a call: how many it used; 0: it is longer,
 * or not all there, which the others tell.
 */
static inline int
varint_get_short(const uint8_t *at, size_t n, int32_t *out)
{
	uint32_t value;
	int used;

	if (n >= 1 && at[0] < 0x80) {
		value = at[0];
		used = 1;
	} else if (n >= 2 && at[1] < 0x80) {
		value = (at[0] & 0x7fu) | (uint32_t)at[1] << 7;
		used = 2;
	} else {
		return 0;
	}
	*out = (int32_t)(value >> 1 ^ (0 - (value & 1)));
	return used;
}

int varint_put_u32(uint8_t *at, uint32_t value);
int varint_put_i32(uint8_t *at, int32_t value);
int varint_put_i64(uint8_t *at, int64_t value);

int varint_size_u32(uint32_t value);
int varint_size_i32(int32_t value);
int varint_size_i64(int64_t value);

#endif
