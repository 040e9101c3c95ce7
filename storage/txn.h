/*
 * txn: one transaction, and rows read and written in it. The files of storage/ use these instead of the
 * engine's calls.
 *
 * Sticky failure: the first engine error of a write transaction sets `failed`, and all that follows fails
 * at once; committing is then aborting. A scan stops at its first error; scan_close() tells.
 *
 *	struct scan s;
 *	scan_open(&s, txn, TABLE_LOG);
 *	for (bool row = scan_from(&s, key, n); row; row = scan_next(&s))
 *		... s.key, s.value ...
 *	return scan_close(&s);
 *
 * Views of rows live until the next change in the same transaction, or its end.
 */
#ifndef STORAGE_TXN_H
#define STORAGE_TXN_H

#include <lmdb.h>

#include "storage/keys.h"
#include "storage/store.h"

struct touched;

struct store_txn {
	struct store *store;
	MDB_txn *mdb; /* a reader's is kept between snapshots, reset */
	bool open, write;
	bool changed; /* something was written: the commit will have a number of its own */
	bool failed;
	struct arena arena;       /* lives as long as the transaction */
	struct touched **touched; /* partitions with changes not yet in their rows: partition.h */
	int32_t touched_n;
	uint64_t appended_bytes;
	uint64_t file_end;     /* when it began */
	int64_t now_ms;        /* wall clock, read once when first needed; 0: not yet */
	size_t searched_bytes; /* of batches, by searches for a time: timeindex.c */
};

/* The number that a commit of this write transaction gets. */
uint64_t txn_number(const struct store_txn *txn);
int64_t txn_now_ms(struct store_txn *txn);

/* As store_write(), also while writes_ok is 0: for the checkpointer. */
MUST_CHECK enum err txn_write_always(struct store *store, struct store_txn **out);

/* out->n == -1: there is no such row. */
MUST_CHECK enum err txn_get(struct store_txn *txn, enum table table, const void *key, size_t key_n,
			    struct bytes *out);
MUST_CHECK enum err txn_put(struct store_txn *txn, enum table table, const void *key, size_t key_n,
			    const void *value, size_t n);
/* Deleting what is not there is fine. */
MUST_CHECK enum err txn_del(struct store_txn *txn, enum table table, const void *key, size_t key_n);

struct scan {
	struct store_txn *txn;
	MDB_cursor *cursor;
	struct bytes key, value; /* of the row that it stands on */
	enum err err;
};

void scan_open(struct scan *s, struct store_txn *txn, enum table table);
bool scan_from(struct scan *s, const void *key, size_t n);   /* the first row at or after key */
bool scan_before(struct scan *s, const void *key, size_t n); /* the last row before key */
bool scan_next(struct scan *s); /* after scan_delete(): the row behind the deleted one */
/* Delete the row that it stands on. */
bool scan_delete(struct scan *s);
/* A new row of n bytes to be filled at once; NULL on failure, also where the key exists. */
uint8_t *scan_new_row(struct scan *s, const void *key, size_t key_n, size_t n);
/* Write a row, new or not; the scan stands on it, but its views show another: scan_next() first. */
bool scan_put(struct scan *s, const void *key, size_t key_n, const void *value, size_t n);
enum err scan_close(struct scan *s);

#endif
