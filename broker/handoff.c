#include "broker/handoff.h"

#include <string.h>
#include <sys/socket.h>

#include "common/check.h"

union control {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

void
handoff_create(struct handoff *h)
{
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	h->supervisor = pair[0];
	h->worker = pair[1];
}

bool
handoff_send(const struct handoff *h, int fd, const struct arrival *arrival)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)arrival, .iov_len = sizeof(*arrival) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(h->supervisor, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(*arrival);
}

enum handoff_result
handoff_receive(const struct handoff *h, int *fd, struct arrival *arrival)
{
	union control control;
	struct iovec iov = { .iov_base = arrival, .iov_len = sizeof(*arrival) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	*fd = -1;
	if (recvmsg(h->worker, &msg, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*arrival))
		return HANDOFF_NOTHING;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg); cmsg != NULL; cmsg = CMSG_NXTHDR(&msg, cmsg))
		if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
			memcpy(fd, CMSG_DATA(cmsg), sizeof(int));
	return *fd >= 0 ? HANDOFF_CONNECTION : HANDOFF_LOST;
}
