/*
 * hash: a hash table through the elements themselves.
 *
 *	struct thing { struct hash_node node; ... }
 *
 *	for (struct hash_node *n = hash_first(&table, h); n != NULL; n = n->next)
 *		... LIST_OF(n, struct thing, node), and is it the one? Others share its bucket ...
 *
 * It grows as it fills, and never shrinks. The hash is the caller's, and should depend on a secret where clients choose
 * the keys.
 */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_node {
	struct hash_node *next; /* in its bucket */
	uint64_t hash;          /* to be set before it is added */
};

struct hash_table {
	struct hash_node **bucket;
	uint64_t mask; /* buckets - 1; bucket is NULL before the first element */
	uint64_t n;
};

#define HASH_EMPTY ((struct hash_table){ 0 })

/* Where to look for what has this hash. */
struct hash_node *hash_first(const struct hash_table *t, uint64_t hash);
void hash_add(struct hash_table *t, struct hash_node *node);
void hash_remove(struct hash_table *t, struct hash_node *node); /* which is in it */
/* Of memory: the table, not what is in it. */
size_t hash_table_bytes(const struct hash_table *t);
/* The table, not what is in it. */
void hash_free(struct hash_table *t);

/* Spread what is known over all 64 bits. */
uint64_t hash_mix(uint64_t value);
/* Who does not know the seed cannot find bytes that collide more often than others. */
uint64_t hash_bytes(uint64_t seed, const void *at, size_t n);

#endif
