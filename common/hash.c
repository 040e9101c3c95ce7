#include "common/hash.h"

#include <stdlib.h>

#include "common/check.h"

#define FIRST_BUCKETS 8
#define SPREAD        UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio */
#define FNV_PRIME     UINT64_C(0x100000001b3)

struct hash_node *
hash_first(const struct hash_table *t, uint64_t hash)
{
	return t->bucket == NULL ? NULL : t->bucket[hash & t->mask];
}

static void
link_node(struct hash_table *t, struct hash_node *node)
{
	struct hash_node **bucket = &t->bucket[node->hash & t->mask];

	node->next = *bucket;
	*bucket = node;
}

static void
grow(struct hash_table *t)
{
	uint64_t had = t->bucket == NULL ? 0 : t->mask + 1;
	struct hash_node **old = t->bucket;

	t->mask = (had == 0 ? FIRST_BUCKETS : had * 2) - 1;
	t->bucket = calloc(t->mask + 1, sizeof(struct hash_node *));
	CHECK(t->bucket != NULL);
	for (uint64_t i = 0; i < had; i++)
		for (struct hash_node *node = old[i], *next; node != NULL; node = next) {
			next = node->next;
			link_node(t, node);
		}
	free(old);
}

void
hash_add(struct hash_table *t, struct hash_node *node)
{
	if (t->bucket == NULL || t->n > t->mask)
		grow(t);
	link_node(t, node);
	t->n++;
}

void
hash_remove(struct hash_table *t, struct hash_node *node)
{
	struct hash_node **at = &t->bucket[node->hash & t->mask];

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	t->n--;
}

void
hash_free(struct hash_table *t)
{
	free(t->bucket);
	*t = HASH_EMPTY;
}

uint64_t
hash_mix(uint64_t value)
{
	value = (value ^ (value >> 32)) * SPREAD;
	return value ^ (value >> 29);
}

uint64_t
hash_bytes(uint64_t seed, const void *at, size_t n)
{
	const uint8_t *byte = at;

	for (size_t i = 0; i < n; i++)
		seed = (seed ^ byte[i]) * FNV_PRIME;
	return hash_mix(seed);
}
