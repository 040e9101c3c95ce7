/*
 * audit: what must hold of any store at any time, looked at from outside.
 *
 *	struct audit audit = { 0 };                 one for as long as the store lives
 *	audit_store(&audit, store, true);           now and then
 *	audit_end(&audit);
 *
 * Per partition: log start <= high watermark <= log end, and none of them has gone back since the last audit. With
 * `records`, every batch from log start to log end is read: its CRC is right, and each begins where the one before
 * ended. What does not hold ends the program.
 */
#ifndef TESTS_LIB_AUDIT_H
#define TESTS_LIB_AUDIT_H

#include <stdbool.h>

#include "storage/store.h"

#define AUDIT_PARTITIONS 64 /* of each topic, the first */

struct audit_seen;
struct audit {
	struct audit_seen *seen; /* by topic and partition */
	int n, room;
	struct arena arena;
};

/* The number of topics. */
int audit_store(struct audit *a, struct store *store, bool records);
void audit_end(struct audit *a);

#endif
