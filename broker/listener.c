#include "broker/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/systemd.h"
#include "common/diag.h"

#define BACKLOG 1024

static void
address_text(const struct sockaddr *addr, socklen_t len, char *out, size_t size)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getnameinfo(addr, len, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) !=
	    0)
		snprintf(out, size, "?");
	else
		snprintf(out, size, addr->sa_family == AF_INET6 ? "[%.*s]:%s" : "%.*s:%s", (int)size - 16,
			 host, port);
}

static int
bound_port(int fd)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
		return 0;
	return ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
						: ((struct sockaddr_in *)&addr)->sin_port);
}

static int
bind_one(const struct addrinfo *ai)
{
	int one = 1, fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ai->ai_family == AF_INET6) /* its own socket per family: neither steals the other's port */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int why = errno;
	close(fd);
	errno = why;
	return -1;
}

/* Where the family itself is missing, the other one serves. */
static bool
family_is_missing(int why)
{
	return why == EAFNOSUPPORT || why == EADDRNOTAVAIL || why == EPROTONOSUPPORT;
}

static enum listen_result
refused(const char *address, int why)
{
	diag_error(why == EADDRINUSE ? "port is in use" : "cannot listen", D_C("address", address),
		   D_C("reason", strerror(why)));
	return why == EADDRINUSE ? LISTEN_IN_USE : LISTEN_FAILED;
}

static void
describe(struct listener_socket *s)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);

	s->port = bound_port(s->fd);
	if (getsockname(s->fd, (struct sockaddr *)&addr, &len) == 0)
		address_text((struct sockaddr *)&addr, len, s->address, sizeof(s->address));
}

/* Returns 0, or what errno said. */
static int
open_address(struct listeners *l, const struct addrinfo *ai, uint8_t listener)
{
	struct listener_socket *s = &l->socket[l->n];

	if (l->n == LISTENER_SOCKETS)
		return EMFILE;
	s->fd = bind_one(ai);
	if (s->fd < 0)
		return errno;
	s->listener = listener;
	describe(s);
	l->n++;
	return 0;
}

static void
set_port(struct addrinfo *ai, int port)
{
	if (ai->ai_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)ai->ai_addr)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)(void *)ai->ai_addr)->sin_port = htons((uint16_t)port);
}

/* The first address of this family that the host's name stands for. NULL: none. */
static struct addrinfo *
look_up(const struct endpoint *e, int family)
{
	struct addrinfo hints = { .ai_family = family,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *list = NULL;

	return getaddrinfo(e->host[0] != '\0' ? e->host : NULL, "0", &hints, &list) == 0 ? list : NULL;
}

/* One configured listener: IPv4 first, so that a port chosen by the kernel is then asked for in IPv6 too. */
static enum listen_result
open_listener(struct listeners *l, const struct endpoint *e, uint8_t index)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int first = l->n, port = e->port, why = EADDRNOTAVAIL;

	for (int f = 0; f < 2; f++) {
		char address[80];
		struct addrinfo *ai = look_up(e, families[f]);
		if (ai == NULL)
			continue;
		set_port(ai, l->n > first ? l->socket[first].port : port);
		address_text(ai->ai_addr, ai->ai_addrlen, address, sizeof(address));
		why = open_address(l, ai, index);
		freeaddrinfo(ai);
		if (why != 0 && !family_is_missing(why))
			return refused(address, why);
	}
	return l->n > first ? LISTEN_OK : refused(e->host, why);
}

/* --- sockets that were opened before us --- */

static bool
is_listening(int fd)
{
	int yes = 0, domain = 0;
	socklen_t n = sizeof(yes), m = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &n) == 0 && yes &&
	       getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &m) == 0 &&
	       (domain == AF_INET || domain == AF_INET6);
}

static uint8_t
listener_named(const struct config *config, const char *name)
{
	for (int i = 0; i < config->listeners.n; i++)
		if (strcasecmp(config->listeners.at[i].name, name) == 0)
			return (uint8_t)i;
	return 0;
}

static enum listen_result
adopt(struct listeners *l, const struct config *config)
{
	for (int i = 0; i < systemd_sockets(); i++) {
		struct listener_socket *s = &l->socket[l->n];
		char name[64];
		int fd = SYSTEMD_FIRST_FD + i;
		systemd_socket_name(i, name, sizeof(name));
		if (l->n == LISTENER_SOCKETS || !is_listening(fd)) {
			diag_error("what the service manager passed is no listening TCP socket",
				   D_INT("descriptor", fd), D_C("name", name));
			return LISTEN_FAILED;
		}
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		fcntl(fd, F_SETFL, O_NONBLOCK);
		s->fd = fd;
		s->listener = listener_named(config, name);
		describe(s);
		l->n++;
	}
	return LISTEN_OK;
}

static bool
has_socket(const struct listeners *l, int listener)
{
	for (int i = 0; i < l->n; i++)
		if (l->socket[i].listener == listener)
			return true;
	return false;
}

enum listen_result
listeners_open(struct listeners *l, const struct config *config)
{
	l->n = 0;
	enum listen_result result = adopt(l, config);
	for (int i = 0; result == LISTEN_OK && i < config->listeners.n; i++)
		if (!has_socket(l, i))
			result = open_listener(l, &config->listeners.at[i], (uint8_t)i);
	if (result != LISTEN_OK)
		listeners_close(l);
	return result;
}

void
listeners_close(struct listeners *l)
{
	for (int i = 0; i < l->n; i++)
		close(l->socket[i].fd);
	l->n = 0;
}
