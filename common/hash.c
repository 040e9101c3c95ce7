#include "common/hash.h"

#include <stdlib.h>

#include "common/check.h"

#define FIRST_BUCKETS 8
#define SPREAD        UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio */

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

size_t
hash_table_bytes(const struct hash_table *t)
{
	return t->bucket == NULL ? 0 : (size_t)(t->mask + 1) * sizeof(struct hash_node *);
}

uint64_t
hash_mix(uint64_t value)
{
	value = (value ^ (value >> 32)) * SPREAD;
	return value ^ (value >> 29);
}

/* --- SipHash-1-3 (Aumasson, Bernstein), its key made of the seed --- */

static uint64_t
rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static void
sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

uint64_t
hash_bytes(uint64_t seed, const void *at, size_t n)
{
	const uint8_t *byte = at;
	uint64_t key = hash_mix(seed), word = 0;
	uint64_t v[4] = { seed ^ UINT64_C(0x736f6d6570736575), key ^ UINT64_C(0x646f72616e646f6d),
			  seed ^ UINT64_C(0x6c7967656e657261), key ^ UINT64_C(0x7465646279746573) };

	for (size_t i = 0; i < n; i++) {
		word |= (uint64_t)byte[i] << (i % 8 * 8);
		if (i % 8 != 7)
			continue;
		sip_word(v, word);
		word = 0;
	}
	sip_word(v, word | (uint64_t)n << 56);
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
