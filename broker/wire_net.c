#include "broker/wire_net.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT_BYTES 8
#define CONNECT_MS 5000 /* for the connection that shows that a broker is there */

/* --- names ------------------------------------------------------------------------------------ */

/* HOST:PORT or [HOST]:PORT into its parts. */
static bool
split(const char *text, char host[WIRE_HOST_BYTES], char port[PORT_BYTES])
{
	const char *colon = strrchr(text, ':');
	size_t n;

	if (colon == NULL || colon[1] == '\0' || strlen(colon + 1) > 5)
		return false;
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && colon[-1] == ']') {
		text++;
		n -= 2;
	}
	if (n >= WIRE_HOST_BYTES)
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	snprintf(port, PORT_BYTES, "%s", colon + 1);
	return strspn(port, "0123456789") == strlen(port) && atoi(port) <= UINT16_MAX;
}

/* The caller frees with freeaddrinfo(). */
static struct addrinfo *
resolve(const char *text, int flags, char host[WIRE_HOST_BYTES])
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags }, *found = NULL;
	char port[PORT_BYTES];
	int why;

	if (!split(text, host, port)) {
		fprintf(stderr, "broker wire: '%s' is no HOST:PORT\n", text);
		return NULL;
	}
	why = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &found);
	if (why != 0)
		fprintf(stderr, "broker wire: %s: %s\n", text, gai_strerror(why));
	return why == 0 ? found : NULL;
}

int
wire_net_own(int fd, char host[WIRE_HOST_BYTES])
{
	struct sockaddr_storage own;
	socklen_t n = sizeof(own);
	char port[PORT_BYTES];

	if (getsockname(fd, (struct sockaddr *)&own, &n) != 0 ||
	    getnameinfo((struct sockaddr *)&own, n, host, WIRE_HOST_BYTES, port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		host[0] = '\0';
		return -1;
	}
	return atoi(port);
}

void
wire_net_text(const struct sockaddr_storage *address, socklen_t bytes, char *out, size_t size)
{
	char host[64] = "?", port[PORT_BYTES] = "?";

	getnameinfo((const struct sockaddr *)address, bytes, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(out, size, address->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* --- sockets ---------------------------------------------------------------------------------- */

int
wire_net_dial(const struct wire_target *to, bool *waiting)
{
	int one = 1, why, fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*waiting = false;
	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&to->address, to->address_bytes) == 0)
		return fd;
	*waiting = errno == EINPROGRESS;
	if (*waiting)
		return fd;
	why = errno;
	close(fd);
	errno = why;
	return -1;
}

int
wire_net_dialed(int fd)
{
	int why = 0;
	socklen_t n = sizeof(why);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n) == 0 ? why : errno;
}

/* Connects and hangs up; 0, or an errno. */
static int
try_target(const struct wire_target *to)
{
	bool waiting;
	int why, fd = wire_net_dial(to, &waiting);
	struct pollfd polled = { fd, POLLOUT, 0 };

	if (fd < 0)
		return errno;
	why = waiting && poll(&polled, 1, CONNECT_MS) != 1 ? ETIMEDOUT : wire_net_dialed(fd);
	close(fd);
	return why;
}

bool
wire_net_find(const char *text, struct wire_target *out)
{
	struct addrinfo *found = resolve(text, 0, out->host);
	int why = -1;

	if (found == NULL)
		return false;
	out->port = atoi(strrchr(text, ':') + 1);
	for (struct addrinfo *ai = found; ai != NULL && why != 0; ai = ai->ai_next) {
		memcpy(&out->address, ai->ai_addr, ai->ai_addrlen);
		out->address_bytes = ai->ai_addrlen;
		why = try_target(out);
	}
	if (why != 0)
		fprintf(stderr, "broker wire: no broker can be reached at %s: %s\n", text, strerror(why));
	freeaddrinfo(found);
	return why == 0;
}

int
wire_net_listen(const char *text)
{
	char host[WIRE_HOST_BYTES];
	struct addrinfo *found = resolve(text, AI_PASSIVE, host);
	int one = 1, fd;

	if (found == NULL)
		return -1;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
		fprintf(stderr, "broker wire: cannot listen on %s: %s\n", text, strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

int
wire_net_accept(int listener, struct sockaddr_storage *peer, socklen_t *peer_bytes)
{
	int one = 1, fd;

	*peer_bytes = sizeof(*peer);
	fd = accept4(listener, (struct sockaddr *)peer, peer_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}
