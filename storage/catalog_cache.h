/*
 * catalog_cache: what this process has read of topics, so that a request does not walk three trees for what
 * hardly ever changes.
 *
 * A row is never shown where the tables would show another. The shared segment has the number of the newest commit that
 * changes topics (`catalog_commit`), set by the transaction itself before it commits. What was read in snapshot r
 * holds in snapshot s if that number is neither above r nor above s: nothing changed up to the later of the two.
 * Whoever reads it does so after his snapshot has begun, and so cannot miss a change that the snapshot has.
 *
 * The numbers that names and ids lead to are hints: numbers are never used again, so a topic whose row holds, and which
 * says that it has this name, is the one. A place is found by its hash, and the newer takes it from the older. Absence is
 * not remembered.
 */
#ifndef STORAGE_CATALOG_CACHE_H
#define STORAGE_CATALOG_CACHE_H

#include "common/str.h"
#include "storage/keys.h"

#define CATALOG_CACHE_PLACES 1024

struct store_txn;

struct catalog_cache {
	struct catalog_cache_row {
		uint32_t number; /* of the topic; 0: free */
		uint64_t snapshot;
		uint8_t *at; /* on the heap */
		int32_t n;
	} row[CATALOG_CACHE_PLACES];
	struct catalog_cache_name {
		uint32_t number;
		uint64_t hash;
	} name[CATALOG_CACHE_PLACES];
};

/* The transaction is about to change topics. */
void catalog_cache_changes(struct store_txn *txn);

/* The row of a topic: a view until the next catalog_cache_keep_row(). */
bool catalog_cache_row(struct store_txn *txn, uint32_t number, struct bytes *out);
void catalog_cache_keep_row(struct store_txn *txn, uint32_t number, struct bytes row);

/* The number that a row of `tname` or `tid` may lead to; the caller compares the key with what the topic says. */
bool catalog_cache_number(struct store_txn *txn, enum table table, const void *key, size_t n, uint32_t *out);
void catalog_cache_keep_number(struct store_txn *txn, enum table table, const void *key, size_t n,
			       uint32_t number);

void catalog_cache_free(struct catalog_cache *cache);

#endif
