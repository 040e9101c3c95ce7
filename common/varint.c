#include "common/varint.h"

static int
get(const uint8_t *at, size_t n, int bits, uint64_t *out)
{
	uint64_t value = 0;
	int used = 0;

	for (int shift = 0; shift < bits; shift += 7) {
		uint64_t part;

		if ((size_t)used == n)
			return 0;
		part = at[used] & 0x7f;
		if (shift + 7 > bits && part >> (bits - shift) != 0)
			return -1;
		value |= part << shift;
		if ((at[used++] & 0x80) == 0) {
			*out = value;
			return used;
		}
	}
	return -1;
}

static int
put(uint8_t *at, uint64_t value)
{
	int n = 0;

	while (value > 0x7f) {
		at[n++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	at[n++] = (uint8_t)value;
	return n;
}

static uint64_t
zigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static int64_t
unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

int
varint_get_u32(const uint8_t *at, size_t n, uint32_t *out)
{
	uint64_t value = 0;
	int used = get(at, n, 32, &value);

	*out = (uint32_t)value;
	return used;
}

int
varint_get_i32(const uint8_t *at, size_t n, int32_t *out)
{
	uint64_t value = 0;
	int used = get(at, n, 32, &value);

	*out = (int32_t)unzigzag(value);
	return used;
}

int
varint_get_i64(const uint8_t *at, size_t n, int64_t *out)
{
	uint64_t value = 0;
	int used = get(at, n, 64, &value);

	*out = unzigzag(value);
	return used;
}

int
varint_put_u32(uint8_t *at, uint32_t value)
{
	return put(at, value);
}

int
varint_put_i32(uint8_t *at, int32_t value)
{
	return put(at, zigzag(value));
}

int
varint_put_i64(uint8_t *at, int64_t value)
{
	return put(at, zigzag(value));
}

int
varint_size_u32(uint32_t value)
{
	uint8_t scratch[VARINT64_MAX];

	return put(scratch, value);
}

int
varint_size_i32(int32_t value)
{
	uint8_t scratch[VARINT64_MAX];

	return put(scratch, zigzag(value));
}

int
varint_size_i64(int64_t value)
{
	uint8_t scratch[VARINT64_MAX];

	return put(scratch, zigzag(value));
}
