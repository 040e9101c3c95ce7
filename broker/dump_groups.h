/* dump_groups: groups, their members and their committed offsets, for `broker dump`. */
#ifndef BROKER_DUMP_GROUPS_H
#define BROKER_DUMP_GROUPS_H

#include <stdbool.h>

#include "common/err.h"
#include "storage/store.h"

/*
 * Print to standard output: all groups; or, where an id is given, that group and its members. No
 * snapshot is open while it prints. GROUP_ID_NOT_FOUND.
 */
MUST_CHECK enum err dump_groups(struct store *store, const char *id, bool json);
/* The committed offsets of all groups, or of one. GROUP_ID_NOT_FOUND. */
MUST_CHECK enum err dump_offsets(struct store *store, const char *id, bool json);

#endif
