#include "broker/systemd.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/diag.h"

/* Of this process: a child of one that was told inherits the variables, but is not meant. */
static bool
is_meant(const char *variable)
{
	const char *pid = getenv(variable);

	return pid != NULL && strtol(pid, NULL, 10) == getpid();
}

static int64_t
number(const char *variable)
{
	const char *text = getenv(variable);

	return text != NULL ? strtoll(text, NULL, 10) : 0;
}

/* --- telling --- */

void
systemd_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, strlen(path));
	if (path[0] == '@')
		to.sun_path[0] = '\0'; /* abstract */
	socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, n) < 0)
		diag_warn("service manager cannot be told", D_C("socket", path),
			  D_C("reason", strerror(errno)));
	if (fd >= 0)
		close(fd);
}

void
systemd_notify_reloading(void)
{
	char state[64];

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
		 (long long)(clock_monotonic_ns() / 1000));
	systemd_notify(state);
}

int64_t
systemd_watchdog_us(void)
{
	int64_t us = number("WATCHDOG_USEC");

	return us > 0 && (getenv("WATCHDOG_PID") == NULL || is_meant("WATCHDOG_PID")) ? us : 0;
}

/* --- sockets --- */

int
systemd_sockets(void)
{
	int64_t n = number("LISTEN_FDS");

	return is_meant("LISTEN_PID") && n > 0 && n < 1024 ? (int)n : 0;
}

void
systemd_socket_name(int i, char *out, int size)
{
	const char *name = getenv("LISTEN_FDNAMES");

	for (; name != NULL && i > 0; i--) {
		name = strchr(name, ':');
		name = name != NULL ? name + 1 : NULL;
	}
	size_t n = name != NULL ? strcspn(name, ":") : 0;
	snprintf(out, (size_t)size, "%.*s", (int)n, name != NULL ? name : "");
}
