/*
 * dispatch: from a frame to a handler.
 */
#ifndef BROKER_DISPATCH_H
#define BROKER_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;
struct connection;

/*
 * Serve one frame (without its size field), which lies in the connection's chunk: make a call of it, decode
 * it, and let its handler begin. False: the connection must be closed (unknown API or version, malformed
 * request), as Kafka does; the reason is in diag.
 */
bool dispatch(struct connection *c, const uint8_t *frame, size_t bytes);

#endif
