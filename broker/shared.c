#include "broker/shared.h"

#include <sys/mman.h>

#include "common/check.h"

struct shared *
shared_create(void)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(shared != MAP_FAILED);
	store_shared_init(&shared->store);
	return shared;
}

/* Fibonacci hashing: neighbouring partitions of one topic land far apart. */
uint32_t
wait_hash(uint32_t topic_number, int32_t partition)
{
	uint64_t both = (uint64_t)topic_number << 32 | (uint32_t)partition;

	return (uint32_t)(both * 0x9e3779b97f4a7c15u >> 52) % WAIT_HASHES;
}
