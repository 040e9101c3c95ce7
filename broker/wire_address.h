/*
 * wire_address: the addresses of brokers in answers (Metadata, FindCoordinator, DescribeCluster; and where a
 * leader has moved, Produce and Fetch). Clients connect to these, whatever address they began with; so who
 * stands between has to put its own there.
 */
#ifndef BROKER_WIRE_ADDRESS_H
#define BROKER_WIRE_ADDRESS_H

#include "broker/wire_explain.h"

struct wire_address {
	const char *host;
	int32_t port;
};

struct wire_addresses {
	struct wire_address theirs; /* the broker's, as we call it */
	struct wire_address ours;   /* where clients reach us */
	bool several;               /* an answer has named several brokers */
};

enum wire_replaced {
	WIRE_ADDRESS_NONE,     /* no address in it, or only of other brokers: pass on as it is */
	WIRE_ADDRESS_REPLACED, /* *out is the answer to pass on */
	WIRE_ADDRESS_UNCLEAR,  /* it may have one, but cannot be decoded: pass on as it is, and say so */
};

/*
 * Append the answer to `out`, with our address in the place of the broker's. As long as no more than one
 * broker was named, that is the one we speak to, whatever it calls itself; among several it is the one called
 * `theirs`. note: what was done, or why not, for people.
 */
enum wire_replaced wire_address_replace(const struct wire_message *m, struct wire_addresses *addresses,
					struct buf *out, char *note, size_t note_size);

#endif
