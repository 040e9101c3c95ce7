/*
 * A library to put before the broker (LD_PRELOAD): a disk that is slow, a kernel that will not fork. What it does is in
 * the file that SLOW_DISK names, and may change while the broker runs:
 *
 *	u32 fdatasync takes so many microseconds more
 *	u32 each write at a position likewise
 *	u32 not 0: fork() fails
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct orders {
	volatile uint32_t fdatasync_us, write_us, no_fork;
};

static const struct orders *
orders(void)
{
	static const struct orders none, *found;

	if (found == NULL) {
		const char *path = getenv("SLOW_DISK");
		int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		void *at = fd >= 0 ? mmap(NULL, sizeof(none), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
		found = at != MAP_FAILED ? at : &none;
		if (fd >= 0)
			close(fd);
	}
	return found;
}

static void
wait_us(uint32_t us)
{
	struct timespec left = { .tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000 };

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int
fdatasync(int fd)
{
	wait_us(orders()->fdatasync_us);
	return NEXT(fdatasync)(fd);
}

ssize_t
pwrite(int fd, const void *at, size_t n, off_t where)
{
	wait_us(orders()->write_us);
	return NEXT(pwrite)(fd, at, n, where);
}

ssize_t
pwrite64(int fd, const void *at, size_t n, off64_t where)
{
	wait_us(orders()->write_us);
	return NEXT(pwrite64)(fd, at, n, where);
}

ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t where)
{
	wait_us(orders()->write_us);
	return NEXT(pwritev)(fd, iov, count, where);
}

pid_t
fork(void)
{
	if (orders()->no_fork) {
		errno = EAGAIN;
		return -1;
	}
	return NEXT(fork)();
}
