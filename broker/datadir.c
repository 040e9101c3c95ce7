#include "broker/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/diag.h"

#define ORPHANS_GRACE_MS 3000 /* how long children of a killed supervisor may take to go */

static pid_t
read_holder(int fd)
{
	char text[32] = { 0 };

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return (pid_t)strtol(text, NULL, 10);
}

/* Over what is there: on a full disk there may be no room for a file that was cut first. */
static bool
write_holder(int fd)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	return pwrite(fd, text, (size_t)n, 0) == n && ftruncate(fd, n) == 0;
}

/* A supervisor that lives will not let go; a dead one's children will in a moment. */
static bool
lock_patiently(int fd, pid_t *holder)
{
	for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited_ms++) {
		*holder = read_holder(fd);
		bool alive = *holder > 0 && (kill(*holder, 0) == 0 || errno == EPERM);
		if (alive || waited_ms >= ORPHANS_GRACE_MS)
			return false;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return true;
}

static int
fail(const char *what, const char *path)
{
	diag_error(what, D_C("path", path), D_C("reason", strerror(errno)));
	return -1;
}

int
datadir_lock(const char *dir, pid_t *holder)
{
	char path[4096];

	*holder = 0;
	if (mkdir(dir, 0770) != 0 && errno != EEXIST)
		return fail("data directory cannot be created", dir);
	if ((size_t)snprintf(path, sizeof(path), "%s/broker.lock", dir) >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return fail("data directory cannot be used", dir);
	}
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
	if (fd < 0)
		return fail("data directory cannot be used", path);
	if (!lock_patiently(fd, holder)) {
		close(fd);
		return -1;
	}
	if (!write_holder(fd)) {
		fail("data directory cannot be written", path);
		close(fd);
		return -1;
	}
	return fd;
}
