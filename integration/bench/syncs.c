/*
 * syncs: counts what a program and its children ask of the disk. Preloaded (LD_PRELOAD) into the broker under
 * load; the counters lie in the file that $SYNCS names, shared by all its processes: calls of fdatasync,
 * fsync, msync and sync_file_range, and the nanoseconds spent in them, as two native 64-bit numbers.
 *
 * $SYNC_DELAY_US makes a slower disk of the one there is: each of these calls, and each write to a file that was
 * opened with O_DSYNC, takes so many microseconds more.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static struct counters {
	_Atomic uint64_t calls, ns;
} * counters, nowhere;

static int (*real_fdatasync)(int), (*real_fsync)(int), (*real_msync)(void *, size_t, int);
static int (*real_range)(int, off_t, off_t, unsigned);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static uint64_t delay_ns;

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("SYNCS");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;
	void *at = MAP_FAILED;

	*(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
	*(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
	*(void **)&real_msync = dlsym(RTLD_NEXT, "msync");
	*(void **)&real_range = dlsym(RTLD_NEXT, "sync_file_range");
	*(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite");
	if (getenv("SYNC_DELAY_US") != NULL)
		delay_ns = strtoull(getenv("SYNC_DELAY_US"), NULL, 10) * 1000;
	if (fd >= 0 && ftruncate(fd, sizeof(nowhere)) == 0)
		at = mmap(NULL, sizeof(nowhere), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	counters = at == MAP_FAILED ? &nowhere : at;
	if (fd >= 0)
		close(fd);
}

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void
delay(void)
{
	struct timespec t = { (time_t)(delay_ns / 1000000000), (long)(delay_ns % 1000000000) };

	if (delay_ns > 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static int
counted(uint64_t began, int result)
{
	delay();
	counters->calls++;
	counters->ns += now_ns() - began;
	return result;
}

int
fdatasync(int fd)
{
	uint64_t began = now_ns();

	return counted(began, real_fdatasync(fd));
}

int
fsync(int fd)
{
	uint64_t began = now_ns();

	return counted(began, real_fsync(fd));
}

int
msync(void *at, size_t n, int flags)
{
	uint64_t began = now_ns();

	return counted(began, real_msync(at, n, flags));
}

int
sync_file_range(int fd, off_t offset, off_t n, unsigned flags)
{
	uint64_t began = now_ns();

	return counted(began, real_range(fd, offset, n, flags));
}

ssize_t
pwrite(int fd, const void *at, size_t n, off_t offset)
{
	ssize_t written = real_pwrite(fd, at, n, offset);

	if (delay_ns > 0 && (fcntl(fd, F_GETFL) & O_DSYNC) != 0)
		delay();
	return written;
}
