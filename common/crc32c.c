#include "common/crc32c.h"

#include <isa-l/crc.h>

#include "common/check.h"

/* libisal takes an int and a pointer to non-const; it only reads. */
#define STEP_BYTES ((size_t)1 << 30)

uint32_t
crc32c(const void *at, size_t n)
{
	unsigned char *p = (unsigned char *)(uintptr_t)at;
	uint32_t crc = ~0u;
	for (; n > STEP_BYTES; n -= STEP_BYTES, p += STEP_BYTES)
		crc = crc32_iscsi(p, (int)STEP_BYTES, crc);
	return ~crc32_iscsi(p, (int)n, crc);
}
