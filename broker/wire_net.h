/*
 * wire_net: addresses and sockets of `broker wire --live`. What fails here is said on standard error.
 *
 * Addresses are HOST:PORT, an IPv6 address in brackets. All sockets are non-blocking.
 */
#ifndef BROKER_WIRE_NET_H
#define BROKER_WIRE_NET_H

#include <stdbool.h>
#include <sys/socket.h>

#include "common/check.h"

#define WIRE_HOST_BYTES 256

/* Where a broker was found. */
struct wire_target {
	struct sockaddr_storage address;
	socklen_t address_bytes;
	char host[WIRE_HOST_BYTES]; /* as it was given */
	int port;
};

/* The first of the name's addresses that takes a connection. False: none does. */
MUST_CHECK bool wire_net_find(const char *text, struct wire_target *out);
/* Begin a connection; -1 and errno if that fails at once. *waiting: it is made when the socket is writable. */
int wire_net_dial(const struct wire_target *to, bool *waiting);
/* What came of it: 0, or an errno. */
int wire_net_dialed(int fd);
/* A listening socket, or -1. Port 0: the kernel chooses. */
int wire_net_listen(const char *text);
/* A client's connection, or -1. */
int wire_net_accept(int listener, struct sockaddr_storage *peer, socklen_t *peer_bytes);

/* A socket's own end: its host in numbers, and its port (-1: unknown). */
int wire_net_own(int fd, char host[WIRE_HOST_BYTES]);
/* "127.0.0.1:50412", "[::1]:50412". */
void wire_net_text(const struct sockaddr_storage *address, socklen_t bytes, char *out, size_t size);

#endif
