/*
 * topics: what the handlers that speak of topics and partitions have in common.
 *
 * Requests name a topic by its name, in newer versions by its id (KIP-516), which no later topic of that name
 * will have. A partition is leader epoch 0 everywhere: one broker, one leader, for ever (KIP-320).
 */
#ifndef BROKER_API_TOPICS_H
#define BROKER_API_TOPICS_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/call.h"
#include "storage/store.h"

/* More partitions than this are not created by one request, and no topic has more: answers list them all. */
#define PARTITIONS_MAX 100000

/* Authorized operations, a bit for each AclOperation (KIP-430): there are no ACLs, so everybody may do
 * everything. */
#define OPERATIONS_NOT_ASKED INT32_MIN
#define OPERATIONS_TOPIC     0x0df8 /* read write create delete alter describe describe_configs alter_configs */
#define OPERATIONS_CLUSTER                                                                                   \
	0x1fa0 /* create alter describe cluster_action describe_configs alter_configs idempotent_write */

/* By id unless that is all zeros, then by name. UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION. */
MUST_CHECK enum err topic_find(struct store_txn *txn, struct str name, struct uuid id, struct arena *arena,
			       struct topic *out);

/*
 * A partition's state for a client that believes in leader epoch `client_epoch` (-1: believes nothing).
 * UNKNOWN_TOPIC_OR_PARTITION, FENCED_LEADER_EPOCH (it is behind), UNKNOWN_LEADER_EPOCH (it is ahead).
 */
MUST_CHECK enum err partition_find(struct store_txn *txn, const struct topic *topic, int32_t index,
				   int32_t client_epoch, struct partition *out);

/* Names that Kafka keeps for itself: told to clients as internal, and never created just because somebody
 * asked. */
bool topic_is_internal(struct str name);

/* What is wrong with a topic's name, in words; for INVALID_TOPIC_EXCEPTION. */
struct str topic_name_fault(struct str name, struct arena *arena);

/* What a topic created, changed or deleted adds to a transaction, roughly: for call->write_bytes. */
#define TOPIC_BYTES 1024

#endif
