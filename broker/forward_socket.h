/*
 * forward_socket: where workers find each other. Each has a listening Unix socket, made by the supervisor before
 * the forks and kept open by it: connections and requests that were under way to a worker that died are found
 * by its successor.
 *
 * The addresses are the kernel's choice (abstract, no file). Whoever connects must be of our own user.
 */
#ifndef BROKER_FORWARD_SOCKET_H
#define BROKER_FORWARD_SOCKET_H

#include <sys/socket.h>
#include <sys/un.h>

struct forward_socket {
	int fd; /* listens */
	socklen_t address_bytes;
	struct sockaddr_un address;
};

void forward_socket_create(struct forward_socket *s);
/* The owner's side: the next connection, or -1: none now. */
int forward_socket_accept(const struct forward_socket *s);
/* The other side: a connection, or -1: the owner's queue is full. */
int forward_socket_connect(const struct forward_socket *s);

#endif
