#include "broker/wire_packet.h"

#include <string.h>

#include "common/bytes.h"

/*
 * wire_packet.c: a packet is peeled from the outside. Each layer shortens the view [at, at + n), and what is
 * too short for its header is of no interest. Link types: https://www.tcpdump.org/linktypes.html.
 */
#define LINK_NULL       0 /* BSD loopback: the address family, in the capturing machine's byte order */
#define LINK_ETHERNET   1
#define LINK_RAW        101 /* IP at once; and under its older numbers */
#define LINK_RAW_12     12
#define LINK_RAW_14     14
#define LINK_LOOP       108 /* OpenBSD loopback: as LINK_NULL, big-endian */
#define LINK_LINUX_SLL  113 /* Linux, any interface */
#define LINK_IPV4       228
#define LINK_IPV6       229
#define LINK_LINUX_SLL2 276

#define ETHER_IPV4 0x0800
#define ETHER_IPV6 0x86dd
#define ETHER_VLAN 0x8100
#define ETHER_QINQ 0x88a8

#define PROTOCOL_TCP 6
/* IPv6 extension headers that may stand before TCP */
#define IPV6_HOP_BY_HOP  0
#define IPV6_ROUTING     43
#define IPV6_FRAGMENT    44
#define IPV6_DESTINATION 60

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04

struct view {
	const uint8_t *at;
	size_t n;
};

static bool
skip(struct view *v, size_t n)
{
	if (v->n < n)
		return false;
	v->at += n;
	v->n -= n;
	return true;
}

/* --- TCP -------------------------------------------------------------------------------------- */

/* `missing`: bytes of the segment that the capture does not hold. */
static enum wire_packet_kind
parse_tcp(struct view v, size_t missing, struct wire_packet *out)
{
	const uint8_t *header = v.at;

	if (v.n < 20 || !skip(&v, (size_t)(header[12] >> 4) * 4) || v.at - header < 20)
		return WIRE_PACKET_OTHER;
	out->from.port = get_u16(header);
	out->to.port = get_u16(header + 2);
	out->seq = get_u32(header + 4);
	out->fin = (header[13] & TCP_FIN) != 0;
	out->syn = (header[13] & TCP_SYN) != 0;
	out->rst = (header[13] & TCP_RST) != 0;
	out->at = v.at;
	out->n = (uint32_t)v.n;
	out->cut = missing > 0;
	return WIRE_PACKET_TCP;
}

/* --- IP --------------------------------------------------------------------------------------- */

/*
 * Keep `length` bytes of the view; what is behind them is the link's padding. Returns how many bytes are
 * missing. Length 0: the packet is longer than its field can say, as network cards that cut packets
 * themselves are handed.
 */
static size_t
limit(struct view *v, size_t length)
{
	if (length == 0 || length == v->n)
		return 0;
	if (length > v->n)
		return length - v->n;
	v->n = length;
	return 0;
}

static void
set_end(struct wire_end *end, uint8_t family, const uint8_t *address)
{
	*end = (struct wire_end){ .family = family };
	memcpy(end->address, address, family == 4 ? 4 : 16);
}

static enum wire_packet_kind
parse_ipv4(struct view v, struct wire_packet *out)
{
	const uint8_t *header = v.at;
	size_t missing;

	if (v.n < 20 || header[0] >> 4 != 4)
		return WIRE_PACKET_OTHER;
	missing = limit(&v, get_u16(header + 2));
	if (header[9] != PROTOCOL_TCP || !skip(&v, (size_t)(header[0] & 15) * 4) || v.at - header < 20)
		return WIRE_PACKET_OTHER;
	if ((get_u16(header + 6) & 0x3fff) != 0) /* more fragments, or not the first */
		return WIRE_PACKET_FRAGMENT;
	set_end(&out->from, 4, header + 12);
	set_end(&out->to, 4, header + 16);
	return parse_tcp(v, missing, out);
}

static enum wire_packet_kind
parse_ipv6(struct view v, struct wire_packet *out)
{
	const uint8_t *header = v.at;
	uint8_t next;
	size_t missing;

	if (!skip(&v, 40) || header[0] >> 4 != 6)
		return WIRE_PACKET_OTHER;
	missing = limit(&v, get_u16(header + 4));
	next = header[6];
	while (next == IPV6_HOP_BY_HOP || next == IPV6_ROUTING || next == IPV6_DESTINATION) {
		const uint8_t *extension = v.at;

		if (v.n < 8 || !skip(&v, (size_t)extension[1] * 8 + 8))
			return WIRE_PACKET_OTHER;
		next = extension[0];
	}
	if (next == IPV6_FRAGMENT)
		return WIRE_PACKET_FRAGMENT;
	if (next != PROTOCOL_TCP)
		return WIRE_PACKET_OTHER;
	set_end(&out->from, 6, header + 8);
	set_end(&out->to, 6, header + 24);
	return parse_tcp(v, missing, out);
}

static enum wire_packet_kind
parse_ip(struct view v, struct wire_packet *out)
{
	if (v.n == 0)
		return WIRE_PACKET_OTHER;
	return v.at[0] >> 4 == 6 ? parse_ipv6(v, out) : parse_ipv4(v, out);
}

/* --- link ------------------------------------------------------------------------------------- */

static enum wire_packet_kind
parse_ether_type(uint16_t type, struct view v, struct wire_packet *out)
{
	while ((type == ETHER_VLAN || type == ETHER_QINQ) && v.n >= 4) {
		type = get_u16(v.at + 2);
		skip(&v, 4);
	}
	if (type == ETHER_IPV4)
		return parse_ipv4(v, out);
	return type == ETHER_IPV6 ? parse_ipv6(v, out) : WIRE_PACKET_OTHER;
}

/* A header of so many bytes, with the Ethernet type of what follows at `type_at`. */
static enum wire_packet_kind
parse_typed(struct view v, size_t header, size_t type_at, struct wire_packet *out)
{
	const uint8_t *link = v.at;

	return skip(&v, header) ? parse_ether_type(get_u16(link + type_at), v, out) : WIRE_PACKET_OTHER;
}

enum wire_packet_kind
wire_packet_parse(int link_type, const uint8_t *at, size_t n, struct wire_packet *out)
{
	struct view v = { at, n };

	switch (link_type) {
	case LINK_ETHERNET:
		return parse_typed(v, 14, 12, out);
	case LINK_LINUX_SLL:
		return parse_typed(v, 16, 14, out);
	case LINK_LINUX_SLL2:
		return parse_typed(v, 20, 0, out);
	case LINK_NULL:
	case LINK_LOOP:
		return skip(&v, 4) ? parse_ip(v, out) : WIRE_PACKET_OTHER;
	case LINK_RAW:
	case LINK_RAW_12:
	case LINK_RAW_14:
	case LINK_IPV4:
	case LINK_IPV6:
		return parse_ip(v, out);
	default:
		return WIRE_PACKET_STRANGE;
	}
}
