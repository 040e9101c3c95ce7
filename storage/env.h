/*
 * env: the environment that all processes share, and the one seam where the engine's and the system's
 * error codes become Kafka's. What struct store is made of; for the files of storage/ alone.
 *
 * An error of the engine is one of four things (env_error):
 *
 *	no room        disk or map full. The transaction is lost, disk_full is set, the store goes on
 *	panic          a commit failed half way through a meta page: the process ends, the next one
 *	               starts from the file
 *	lost snapshot  the process read the meta page while it changed; txn.c renews once
 *	anything else  KAFKA_STORAGE_ERROR, and a line in diag that says what was being done
 */
#ifndef STORAGE_ENV_H
#define STORAGE_ENV_H

#include <limits.h>
#include <lmdb.h>

#include "storage/ahead.h"
#include "storage/catalog_cache.h"
#include "storage/checkpoint.h"
#include "storage/clean.h"
#include "storage/keys.h"
#include "storage/reserve.h"
#include "storage/store.h"
#include "storage/txn.h"

struct store {
	MDB_env *env;
	MDB_dbi table[TABLE_N];
	bool tables_open; /* false in a directory that store_prepare() has not seen yet */
	char dir[PATH_MAX];
	char cluster_id[UUID_TEXT];
	enum durability durability;
	struct store_shared *shared;     /* never NULL */
	struct store_shared *own_shared; /* of a tool that has no broker around it */
	int slot;
	bool read_only;
	int data_fd; /* of data.mdb; the engine's own */
	int lock_fd; /* of lock.mdb; -1: only who prepares the store has it */
	uint32_t page_bytes;
	uint64_t map_bytes;
	struct store_txn reader, writer;
	struct checkpoint checkpoint;
	struct reserve reserve;
	struct clean_round round;
	struct catalog_cache catalog;
	struct ahead ahead; /* of what was read */
};

/* Translate; `doing` says in the diag line what failed. MDB_PANIC ends the process. */
MUST_CHECK enum err env_error(struct store *store, int rc, const char *doing);
/* Open the tables, creating those that are missing where `create`; reads the cluster id. */
MUST_CHECK enum err env_open_tables(struct store *store, bool create);

#endif
