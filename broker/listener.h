/*
 * listener: the sockets that clients connect to. Owned by the supervisor, so that no worker's death closes
 * them and none has a backlog of its own.
 *
 * An option `listeners=PLAINTEXT://:9092` becomes one socket for IPv4 and one for IPv6; where the machine has
 * no IPv6, the one for IPv4 is enough. Port 0 (for tests) is chosen by the kernel, the same for both.
 *
 * Sockets that a service manager has opened (systemd.h) take their place: a socket belongs to the listener that bears
 * its name, in any case of letters, otherwise to the first. A listener that was given none opens its own.
 */
#ifndef BROKER_LISTENER_H
#define BROKER_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"

#define LISTENER_SOCKETS 32

struct listener_socket {
	int fd;
	uint8_t listener; /* index into the configuration's listeners */
	int port;         /* as bound */
	char address[80]; /* "0.0.0.0:9092", "[::]:9092" */
};

struct listeners {
	struct listener_socket socket[LISTENER_SOCKETS];
	int n;
};

enum listen_result { LISTEN_OK, LISTEN_IN_USE, LISTEN_FAILED };

/* Bind and listen everywhere; what went wrong is said in diag. */
enum listen_result listeners_open(struct listeners *l, const struct config *config);
/* Stop listening: new connections are refused by the kernel. */
void listeners_close(struct listeners *l);

#endif
