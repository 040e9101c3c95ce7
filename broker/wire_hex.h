/*
 * wire_hex: bytes from text, as people paste them.
 *
 *	0000001700120004 ...         a stream of digits          00:00:00:17, \x00\x00, 0x00,0x17
 *	00000000: 0000 0017 ..       xxd, tcpdump -X             00000000  00 00 00 17 ..  |....|   hexdump -C
 *	0000000 00 00 00 17 ..       od -t x1                    0000  00 00 00 17  ....           tshark -x
 *
 * An offset is known by its colon, or by being the count of the bytes before it. In a line with an offset the
 * column of text after the bytes is passed over.
 */
#ifndef BROKER_WIRE_HEX_H
#define BROKER_WIRE_HEX_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/check.h"

/* Append the bytes that the text means. False: `why` says which line makes no sense. */
MUST_CHECK bool wire_hex_parse(const char *text, size_t n, struct buf *out, char *why, size_t why_size);

#endif
