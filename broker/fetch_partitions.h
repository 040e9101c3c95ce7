/*
 * fetch_partitions: the partitions of a fetch session, and what their client was told of them.
 *
 * Partitions of which there is nothing to say are quiet. Nobody looks at those: a fetch costs what its active partitions
 * cost, and a glance at a number per quiet one, which says whether anything was committed there since.
 *
 *	active   may have something to give or to tell, or an error. In the order in which they are served; who gave
 *	         records goes to the end, so that none starves
 *	quiet    all was read and told. Its mark is what shared->appended was for its hash then; another number there, and
 *	         it is active again
 *
 * Nothing here reads the store: fetch.c does, and says what came of it.
 */
#ifndef BROKER_FETCH_PARTITIONS_H
#define BROKER_FETCH_PARTITIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/hash.h"
#include "common/list.h"
#include "common/str.h"
#include "common/uuid.h"

struct fetch_request;
struct fetch_request_partition;
struct fetch_response_partition_data;

/* A topic as the client names it: by name up to version 12, from then on by id. */
struct fetch_topic {
	struct str name;
	struct uuid id;
};

/* A partition to be read. */
struct fetch_want {
	const struct fetch_topic *topic;
	int64_t offset;
	int32_t partition, leader_epoch, max_bytes;
};

struct fetch_want fetch_want_of(const struct fetch_topic *topic, const struct fetch_request_partition *asked);

struct fetch_partitions {
	uint64_t seed; /* of hashes: a client cannot choose what collides */
	size_t bytes;  /* of memory, all told */
	bool by_id;
	struct hash_table topics, partitions;
	struct list active;
	int32_t active_n;
	int32_t n, room;
	/* Of partition i; apart, since all are walked over at each fetch. */
	uint64_t *marks;
	uint16_t *hashes;
	struct kept_partition **at;
};

void fetch_partitions_init(struct fetch_partitions *set, uint64_t seed, bool by_id);
void fetch_partitions_free(struct fetch_partitions *set);

/* What the request names joins, or is read from elsewhere. False: it takes more than `most_bytes`, and not all was done. */
MUST_CHECK bool fetch_partitions_take(struct fetch_partitions *set, const struct fetch_request *in,
				      size_t most_bytes);
/* What it wants forgotten goes. */
void fetch_partitions_forget(struct fetch_partitions *set, const struct fetch_request *in);

/* Those whose mark is not what is in `appended` (shared.h) are active again. */
void fetch_partitions_wake(struct fetch_partitions *set, const _Atomic uint64_t *appended);
void fetch_partitions_wake_all(struct fetch_partitions *set);

/* The active ones, in the order in which they are to be served. The array is in the arena, what it points to in the set. */
struct fetch_want **fetch_partitions_active(const struct fetch_partitions *set, struct arena *arena,
					    int32_t *n);
/* This partition's place in shared->appended. To be said of all that are active before anybody waits. */
void fetch_partitions_place(struct fetch_partitions *set, const struct fetch_want *want, uint16_t hash);
/* Of all partitions, active and quiet; a copy in the arena. */
uint16_t *fetch_partitions_hashes(const struct fetch_partitions *set, struct arena *arena, int32_t *n);

/*
 * Must the client be told this? Records, an error, and what was never told or has changed since: high watermark, last
 * stable offset, log start. It counts as told from here on; who gives records is served last the next time.
 */
bool fetch_partitions_tell(struct fetch_partitions *set, struct fetch_want *want,
			   const struct fetch_response_partition_data *data);
/* Told, and nothing is left to be read: quiet until there is another number than `mark` in its place. */
void fetch_partitions_settle(struct fetch_partitions *set, struct fetch_want *want, uint64_t mark);

#endif
