/*
 * Big-endian numbers in bytes, as the network and LMDB's key order both want them. No alignment is needed;
 * the caller has checked that there is room.
 */
#ifndef COMMON_BYTES_H
#define COMMON_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define BYTES_GET_PUT(bits)                                                                                  \
	static inline uint##bits##_t get_u##bits(const void *at)                                             \
	{                                                                                                    \
		uint##bits##_t v;                                                                            \
		memcpy(&v, at, sizeof(v));                                                                   \
		return be##bits##toh(v);                                                                     \
	}                                                                                                    \
	static inline void put_u##bits(void *at, uint##bits##_t v)                                           \
	{                                                                                                    \
		v = htobe##bits(v);                                                                          \
		memcpy(at, &v, sizeof(v));                                                                   \
	}

BYTES_GET_PUT(16)
BYTES_GET_PUT(32)
BYTES_GET_PUT(64)

#undef BYTES_GET_PUT

#endif
