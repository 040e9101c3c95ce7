#include "tests/lib/sockfault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/check.h"

static int left, code;
static unsigned counted;
static bool fired;

void
sockfault_set(int k, unsigned calls, int error)
{
	left = k;
	counted = calls;
	code = error;
	fired = false;
}

bool
sockfault_fired(void)
{
	left = 0;
	return fired;
}

static bool
is_time(int fd, unsigned call)
{
	if (left == 0 || (counted & call) == 0 || (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0 || --left > 0)
		return false;
	fired = true;
	errno = code;
	return true;
}

static void *
real(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);
	CHECK(f != NULL);
	return f;
}

ssize_t
recv(int fd, void *at, size_t n, int flags)
{
	ssize_t (*f)(int, void *, size_t, int) = real("recv");
	if (!is_time(fd, SOCKFAULT_RECEIVE))
		return f(fd, at, n, flags);
	return code == SOCKFAULT_SHORT ? f(fd, at, 1, flags) : -1;
}

ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t (*f)(int, struct msghdr *, int) = real("recvmsg");
	return is_time(fd, SOCKFAULT_RECEIVE) && code != SOCKFAULT_SHORT ? -1 : f(fd, msg, flags);
}

ssize_t
send(int fd, const void *at, size_t n, int flags)
{
	ssize_t (*f)(int, const void *, size_t, int) = real("send");
	if (!is_time(fd, SOCKFAULT_SEND))
		return f(fd, at, n, flags);
	return code == SOCKFAULT_SHORT ? f(fd, at, 1, flags) : -1;
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	ssize_t (*f)(int, const struct msghdr *, int) = real("sendmsg");
	if (!is_time(fd, SOCKFAULT_SEND))
		return f(fd, msg, flags);
	if (code != SOCKFAULT_SHORT)
		return -1;
	struct iovec one = { .iov_base = msg->msg_iov[0].iov_base, .iov_len = 1 };
	struct msghdr cut = *msg;
	cut.msg_iov = &one;
	cut.msg_iovlen = 1;
	return f(fd, &cut, flags);
}

int
accept4(int fd, struct sockaddr *address, socklen_t *n, int flags)
{
	int (*f)(int, struct sockaddr *, socklen_t *, int) = real("accept4");
	return is_time(fd, SOCKFAULT_CONNECT) && code != SOCKFAULT_SHORT ? -1 : f(fd, address, n, flags);
}

int
connect(int fd, const struct sockaddr *address, socklen_t n)
{
	int (*f)(int, const struct sockaddr *, socklen_t) = real("connect");
	return is_time(fd, SOCKFAULT_CONNECT) && code != SOCKFAULT_SHORT ? -1 : f(fd, address, n);
}
