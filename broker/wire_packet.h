/*
 * wire_packet: what a captured packet holds: the link's header, IPv4 or IPv6, and a TCP segment.
 */
#ifndef BROKER_WIRE_PACKET_H
#define BROKER_WIRE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_end {
	uint8_t family; /* 4 or 6 */
	uint8_t address[16];
	uint16_t port;
};

struct wire_packet {
	struct wire_end from, to;
	uint32_t seq;
	bool syn, fin, rst;
	const uint8_t *at; /* payload: a view into the packet */
	uint32_t n;
	bool cut; /* the capture does not hold all of the payload (snap length) */
};

enum wire_packet_kind {
	WIRE_PACKET_TCP,
	WIRE_PACKET_OTHER,    /* something else, or cut before its payload: of no interest */
	WIRE_PACKET_FRAGMENT, /* a piece of an IP packet; these are not put together */
	WIRE_PACKET_STRANGE,  /* this kind of link is not known here */
};

/* link_type: libpcap's number (DLT_). */
enum wire_packet_kind wire_packet_parse(int link_type, const uint8_t *at, size_t n, struct wire_packet *out);

#endif
