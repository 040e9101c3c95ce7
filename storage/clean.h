/* clean: where store_clean() stands in its round over the store. */
#ifndef STORAGE_CLEAN_H
#define STORAGE_CLEAN_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/keys.h"

struct clean_round {
	enum { CLEAN_PARTITIONS, CLEAN_PRODUCERS, CLEAN_GROUPS } phase;
	uint8_t at[KEY_PROD_BYTES]; /* key of `part`, `prod` or `offs` from which on to go */
};

#endif
