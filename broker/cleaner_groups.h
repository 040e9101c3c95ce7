/* cleaner_groups: what groups with members read, for the expiry of their offsets. */
#ifndef BROKER_CLEANER_GROUPS_H
#define BROKER_CLEANER_GROUPS_H

#include "storage/store.h"

/*
 * Only of a stable group of consumers is it known. While a generation comes to be, of other protocol
 * types, and of a state that cannot be read, all offsets are kept.
 */
extern const struct clean_readers cleaner_groups;

#endif
