/*
 * wire_live: stands between clients and a running broker, passes everything on, and explains what passes.
 *
 *	client  --- 127.0.0.1:9093 [broker wire --live] --->  localhost:9092  broker
 *
 * Only the broker's address in answers is changed, so that clients do not leave for the broker itself
 * (wire_address.h). Everything else arrives byte for byte as it was sent.
 */
#ifndef BROKER_WIRE_LIVE_H
#define BROKER_WIRE_LIVE_H

#include <stdbool.h>

#include "broker/wire_explain.h"
#include "common/check.h"

/* Both are HOST:PORT, an IPv6 address in brackets; port 0 to listen on: the kernel chooses. */
struct wire_live_options {
	const char *listen;
	const char *to;
};

/* Serves until SIGINT or SIGTERM. False: standard error says what failed. */
MUST_CHECK bool wire_live_run(const struct wire_live_options *options, const struct wire_view *view);

#endif
