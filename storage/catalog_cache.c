#include "storage/catalog_cache.h"

#include <stdlib.h>
#include <string.h>

#include "storage/env.h"

static bool
holds(const struct store_txn *txn, uint64_t snapshot)
{
	uint64_t changed = atomic_load(&txn->store->shared->catalog_commit);
	return snapshot >= changed && store_snapshot(txn) >= changed;
}

void
catalog_cache_changes(struct store_txn *txn)
{
	CHECK(txn->write);
	atomic_store(&txn->store->shared->catalog_commit, txn_number(txn));
}

bool
catalog_cache_row(struct store_txn *txn, uint32_t number, struct bytes *out)
{
	const struct catalog_cache_row *row = &txn->store->catalog.row[number % CATALOG_CACHE_PLACES];
	if (row->number != number || row->at == NULL || !holds(txn, row->snapshot))
		return false;
	*out = (struct bytes){ .at = row->at, .n = row->n };
	return true;
}

void
catalog_cache_keep_row(struct store_txn *txn, uint32_t number, struct bytes bytes)
{
	struct catalog_cache_row *row = &txn->store->catalog.row[number % CATALOG_CACHE_PLACES];
	if (bytes.n <= 0 || txn->store->own_shared != NULL)
		return; /* a tool's shared memory is its own: nobody would tell it of changes */
	uint8_t *at = realloc(row->at, (size_t)bytes.n);
	CHECK(at != NULL);
	memcpy(at, bytes.at, (size_t)bytes.n);
	*row = (struct catalog_cache_row){
		.number = number, .snapshot = store_snapshot(txn), .at = at, .n = bytes.n
	};
}

/* FNV-1a, begun with the table: a name and an id may be the same bytes. */
static uint64_t
hash_of(enum table table, const uint8_t *key, size_t n)
{
	uint64_t hash = 14695981039346656037u + (uint64_t)table;
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ key[i]) * 1099511628211u;
	return hash;
}

bool
catalog_cache_number(struct store_txn *txn, enum table table, const void *key, size_t n, uint32_t *out)
{
	uint64_t hash = hash_of(table, key, n);
	const struct catalog_cache_name *name = &txn->store->catalog.name[hash % CATALOG_CACHE_PLACES];
	if (name->number == 0 || name->hash != hash)
		return false;
	*out = name->number;
	return true;
}

void
catalog_cache_keep_number(struct store_txn *txn, enum table table, const void *key, size_t n, uint32_t number)
{
	uint64_t hash = hash_of(table, key, n);
	txn->store->catalog.name[hash % CATALOG_CACHE_PLACES] =
	    (struct catalog_cache_name){ .number = number, .hash = hash };
}

void
catalog_cache_free(struct catalog_cache *cache)
{
	for (size_t i = 0; i < CATALOG_CACHE_PLACES; i++)
		free(cache->row[i].at);
	memset(cache, 0, sizeof(*cache));
}
