/*
 * census: an entry for each client's connection, from its acceptance to its end, and so how many each address has
 * (max.connections.per.ip).
 *
 * The supervisor's own, but for one byte an entry: `ended`, in the shared segment, which the worker sets when it closes
 * the connection. Nothing is counted up and down by anybody, so no death can leave a count wrong: a worker's entries go
 * with it.
 *
 *	entry = census_add(&c, address, slot)      accepted, goes to the worker in this slot
 *	census_move(&c, entry, other)              that worker died before it took it
 *	census_bury(&c, slot)                      all that this worker had is gone
 *
 * Ended entries are noticed when their address is counted, or when a new entry is wanted and none is free.
 */
#ifndef BROKER_CENSUS_H
#define BROKER_CENSUS_H

#include <stdatomic.h>
#include <stdint.h>

/* More connections than a machine has descriptors for. */
#define CENSUS_MOST (1 << 20)

/* An IPv6 address; IPv4 as ::ffff:a.b.c.d. */
struct census_address {
	uint8_t at[16];
};

struct census_entry {
	struct census_address address;
	int32_t next; /* in its bucket, or in the list of free ones; -1: the last */
	int32_t slot; /* of the worker; -1: the entry is free */
};

struct census {
	_Atomic uint8_t *ended; /* shared; CENSUS_MOST */
	struct census_entry *entry;
	int32_t *bucket; /* first entry by hash of the address; as many as entries */
	int32_t n;       /* entries there is memory for: a power of two */
	int32_t free;    /* first of the free ones; -1: none */
};

void census_init(struct census *c, _Atomic uint8_t *ended);
void census_free(struct census *c);
/* Connections of this address that have not ended. */
int32_t census_count(struct census *c, const struct census_address *address);
/* -1: there are CENSUS_MOST. */
int32_t census_add(struct census *c, const struct census_address *address, int slot);
void census_move(struct census *c, int32_t entry, int slot);
void census_bury(struct census *c, int slot);

#endif
