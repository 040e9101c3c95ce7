#include "broker/forward_socket.h"

#include <errno.h>
#include <unistd.h>

#include "common/check.h"
#include "common/diag.h"

#define BACKLOG 1024 /* more than there are workers */

void
forward_socket_create(struct forward_socket *s)
{
	*s = (struct forward_socket){ .address.sun_family = AF_UNIX, .address_bytes = sizeof(s->address) };
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(s->fd >= 0);
	CHECK(bind(s->fd, (struct sockaddr *)&s->address, sizeof(sa_family_t)) == 0);
	CHECK(getsockname(s->fd, (struct sockaddr *)&s->address, &s->address_bytes) == 0);
	CHECK(listen(s->fd, BACKLOG) == 0);
}

static bool
is_one_of_us(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && peer.uid == geteuid();
}

int
forward_socket_accept(const struct forward_socket *s)
{
	for (;;) {
		/* cppcheck-suppress nullPointer ; the peer has no address */
		int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 || is_one_of_us(fd))
			return fd;
		diag_warn("connection from another user to a worker's own socket refused", D_INT("fd", fd));
		close(fd);
	}
}

int
forward_socket_connect(const struct forward_socket *s)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&s->address, s->address_bytes) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}
