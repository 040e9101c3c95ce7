/*
 * consumer_protocol: what consumers tell each other through JoinGroup and SyncGroup (protocol type
 * "consumer"). To a broker these are bytes of the clients' own; it looks at what every version begins
 * with:
 *
 *	subscription   version int16, topics: int32 and as often a name (int16 length, bytes), ...
 *	assignment     version int16, topics: int32 and as often a name, partitions: int32 and as often int32; ...
 *
 *	struct consumer_reader r = consumer_assignment(bytes);
 *	while (consumer_topic(&r, &topic))
 *		while (consumer_partition(&r, &partition))
 *			...
 *	if (consumer_failed(&r)) ...
 *
 * Views live as long as the bytes. Whatever the bytes are, it ends: each step takes some of them.
 */
#ifndef BROKER_CONSUMER_PROTOCOL_H
#define BROKER_CONSUMER_PROTOCOL_H

#include <stdbool.h>

#include "common/arena.h"
#include "common/str.h"

struct consumer_reader {
	const uint8_t *at, *end;
	int32_t topics, partitions; /* still to come */
	bool is_assignment;
	bool failed;
};

struct consumer_reader consumer_subscription(struct bytes metadata);
struct consumer_reader consumer_assignment(struct bytes assignment);
/*
 * The next topic; false: there is none, or it cannot be read. Partitions of the one before that were not
 * asked for are passed over.
 */
bool consumer_topic(struct consumer_reader *r, struct str *topic);
/* The next partition of that topic. */
bool consumer_partition(struct consumer_reader *r, int32_t *partition);
/* It ended early. */
bool consumer_failed(const struct consumer_reader *r);

/* For people: "orders, payments" and "orders 0-3,7; payments 1", in the arena; null: cannot be read. */
struct str consumer_subscription_text(struct bytes metadata, struct arena *arena);
struct str consumer_assignment_text(struct bytes assignment, struct arena *arena);

#endif
