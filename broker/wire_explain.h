/*
 * wire_explain: one message of the protocol, for people.
 *
 *	--- 2026-11-22T15:34:47.043537Z  #3 127.0.0.1:58058 -> Produce v7 request, id 2, 127 bytes, ...
 *	      00 00 00 7b              size                            123
 *	0000  00 00                    api_key                         0 Produce
 *	0002  00 07                    api_version                     7
 *	...
 *
 * The heading alone is the brief form. Below it stands what describe() says, which walks as the broker
 * itself does. Offsets count from the byte after the frame's size.
 */
#ifndef BROKER_WIRE_EXPLAIN_H
#define BROKER_WIRE_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/protocol/protocol.h"

enum wire_way { WIRE_REQUEST, WIRE_RESPONSE };

struct wire_message {
	enum wire_way way;
	const uint8_t *at; /* the frame, with its size unless bare */
	size_t n;
	size_t whole; /* bytes of the whole frame; more than n: the end is not there */
	bool bare;    /* without its size */

	/* Of a request: as its own header says. Of a response: as its request said. */
	int16_t api_key, api_version;
	int32_t correlation_id;
	bool is_known; /* false: of a request, no header; of a response, its request was not seen */

	const char *connection; /* NULL: none */
	int64_t time_us;        /* since 1970; -1: unknown */
	int64_t took_us;        /* from request to response; -1: unknown */
};

#define WIRE_FOLLOW_MAX 16

struct wire_view {
	FILE *out;
	bool brief;
	const struct api *follow[WIRE_FOLLOW_MAX]; /* only these; none: all */
	int follow_n;
};

/* Fill in what a frame says about itself: of a request its header; of a response its correlation id. */
void wire_message_read(struct wire_message *m);
bool wire_view_wants(const struct wire_view *view, const struct wire_message *m);
/* Print the message if the view wants it. */
void wire_explain(const struct wire_view *view, const struct wire_message *m);
/* Print a line of our own about the connection: it opened, closed, lost its thread. */
void wire_note(const struct wire_view *view, const char *connection, int64_t time_us, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* By key or by name, Kafka's ("FindCoordinator") or ours ("find_coordinator"), in any case. NULL: none. */
const struct api *wire_api_named(const char *name);

#endif
