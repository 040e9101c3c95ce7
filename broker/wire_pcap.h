/*
 * wire_pcap: explains the conversations in a capture file, as tcpdump, tshark and Wireshark write them (pcap,
 * pcapng).
 *
 * The file is read by libpcap, which is loaded when this is asked for: the broker does not carry it.
 */
#ifndef BROKER_WIRE_PCAP_H
#define BROKER_WIRE_PCAP_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/wire_explain.h"
#include "common/check.h"

/* port: where the broker listens. False: standard error says why the file cannot be read. */
MUST_CHECK bool wire_pcap_explain(const char *path, uint16_t port, const struct wire_view *view);

#endif
