#include "tests/lib/powercut.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/check.h"
#include "tests/lib/batches.h"

#define PAGE     4096
#define SECTOR   512
#define UNSYNCED UINT32_MAX

enum { DATA, CKPT, FILES };
static const char *const file_name[FILES] = { "data.mdb", "ckpt" };

struct version {
	uint32_t written, synced; /* moments */
	uint8_t *bytes;
};

struct page {
	struct version *version;
	uint32_t n, cap;
};

struct place {
	uint32_t page, version;
};

static struct file {
	char path[PATH_MAX];
	struct page *page;
	uint32_t n;
	struct place *unsynced;
	size_t unsynced_n, unsynced_cap;
} file[FILES];

static bool recording;
static bool simulated; /* the real disk does not matter any more: syncs take no time */
static uint32_t moment;
static void (*during_sync)(void);

/* --- keeping versions ------------------------------------------------------------------------------- */

void
powercut_record(const char *dir)
{
	powercut_free();
	char real[PATH_MAX];
	CHECK(realpath(dir, real) != NULL);
	for (int i = 0; i < FILES; i++)
		CHECK(snprintf(file[i].path, sizeof(file[i].path), "%.4000s/%s", real, file_name[i]) > 0);
	moment = 1;
	recording = simulated = true;
}

void
powercut_stop(void)
{
	recording = false;
	during_sync = NULL;
}

void
powercut_free(void)
{
	simulated = false;
	for (int i = 0; i < FILES; i++) {
		for (uint32_t p = 0; p < file[i].n; p++) {
			for (uint32_t v = 0; v < file[i].page[p].n; v++)
				free(file[i].page[p].version[v].bytes);
			free(file[i].page[p].version);
		}
		free(file[i].page);
		free(file[i].unsynced);
		file[i] = (struct file){ .n = 0 };
	}
}

uint32_t
powercut_now(void)
{
	return moment;
}

void
powercut_during_sync(void (*f)(void))
{
	during_sync = f;
}

static struct page *
page_of(struct file *f, uint32_t number)
{
	if (number >= f->n) {
		uint32_t n = (number + 1) * 2;
		f->page = realloc(f->page, n * sizeof(*f->page));
		CHECK(f->page != NULL);
		memset(f->page + f->n, 0, (n - f->n) * sizeof(*f->page));
		f->n = n;
	}
	return &f->page[number];
}

static void
note_unsynced(struct file *f, uint32_t page, uint32_t version)
{
	if (f->unsynced_n == f->unsynced_cap) {
		f->unsynced_cap = f->unsynced_cap > 0 ? f->unsynced_cap * 2 : 1024;
		f->unsynced = realloc(f->unsynced, f->unsynced_cap * sizeof(*f->unsynced));
		CHECK(f->unsynced != NULL);
	}
	f->unsynced[f->unsynced_n++] = (struct place){ page, version };
}

/* A new version of one page: the one before, with n bytes at `at` replaced. */
static void
keep_page(struct file *f, uint32_t number, size_t at, const uint8_t *bytes, size_t n)
{
	struct page *page = page_of(f, number);
	if (page->n == page->cap) {
		page->cap = page->cap > 0 ? page->cap * 2 : 4;
		page->version = realloc(page->version, page->cap * sizeof(*page->version));
		CHECK(page->version != NULL);
	}
	struct version *v = &page->version[page->n];
	*v = (struct version){ .written = moment, .synced = UNSYNCED, .bytes = calloc(1, PAGE) };
	CHECK(v->bytes != NULL);
	if (page->n > 0)
		memcpy(v->bytes, page->version[page->n - 1].bytes, PAGE);
	memcpy(v->bytes + at, bytes, n);
	note_unsynced(f, number, page->n++);
}

static void
keep(struct file *f, off_t offset, const uint8_t *bytes, size_t n)
{
	moment++;
	while (n > 0) {
		size_t at = (size_t)(offset % PAGE), here = PAGE - at < n ? PAGE - at : n;
		keep_page(f, (uint32_t)(offset / PAGE), at, bytes, here);
		offset += (off_t)here;
		bytes += here;
		n -= here;
	}
}

/* The first n of those that were not synced are, as of now. */
static void
synced(struct file *f, size_t n)
{
	moment++;
	for (size_t i = 0; i < n; i++)
		f->page[f->unsynced[i].page].version[f->unsynced[i].version].synced = moment;
	f->unsynced_n -= n;
	memmove(f->unsynced, f->unsynced + n, f->unsynced_n * sizeof(*f->unsynced));
}

static struct file *
file_of(int fd)
{
	if (!recording)
		return NULL;
	char link[64], path[PATH_MAX];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return NULL;
	path[n] = '\0';
	for (int i = 0; i < FILES; i++)
		if (strcmp(path, file[i].path) == 0)
			return &file[i];
	return NULL;
}

/* A write through a synchronous descriptor is on disk when it returns; it alone. */
static void
written(struct file *f, int fd, off_t offset, const void *bytes, ssize_t n)
{
	if (f == NULL || n <= 0)
		return;
	size_t before = f->unsynced_n;
	keep(f, offset, bytes, (size_t)n);
	if ((fcntl(fd, F_GETFL) & O_DSYNC) == 0)
		return;
	moment++;
	for (size_t i = before; i < f->unsynced_n; i++)
		f->page[f->unsynced[i].page].version[f->unsynced[i].version].synced = moment;
	f->unsynced_n = before;
}

/* --- libc's ----------------------------------------------------------------------------------------- */

static void *
real(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);
	CHECK(f != NULL);
	return f;
}

ssize_t
pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
	ssize_t (*f)(int, const void *, size_t, off_t) = real("pwrite");
	ssize_t done = f(fd, bytes, n, offset);
	written(file_of(fd), fd, offset, bytes, done);
	return done;
}

ssize_t
write(int fd, const void *bytes, size_t n)
{
	ssize_t (*f)(int, const void *, size_t) = real("write");
	struct file *of = file_of(fd);
	off_t offset = of != NULL ? lseek(fd, 0, SEEK_CUR) : 0;
	ssize_t done = f(fd, bytes, n);
	written(of, fd, offset, bytes, done);
	return done;
}

ssize_t
writev(int fd, const struct iovec *iov, int count)
{
	ssize_t (*f)(int, const struct iovec *, int) = real("writev");
	struct file *of = file_of(fd);
	off_t offset = of != NULL ? lseek(fd, 0, SEEK_CUR) : 0;
	ssize_t done = f(fd, iov, count), left = done;
	for (int i = 0; i < count && left > 0; i++) {
		ssize_t here = (ssize_t)iov[i].iov_len < left ? (ssize_t)iov[i].iov_len : left;
		written(of, fd, offset, iov[i].iov_base, here);
		offset += here;
		left -= here;
	}
	return done;
}

static int
sync_file(int fd, const char *name)
{
	struct file *of = file_of(fd);
	if (of == NULL) {
		int (*f)(int) = real(name);
		return simulated ? 0 : f(fd);
	}
	size_t n = of->unsynced_n; /* what is written while it goes on is not covered */
	if (during_sync != NULL)
		during_sync();
	synced(of, n);
	return 0;
}

int
fdatasync(int fd)
{
	return sync_file(fd, "fdatasync");
}

int
fsync(int fd)
{
	return sync_file(fd, "fsync");
}

/* --- images ----------------------------------------------------------------------------------------- */

/*
 * Of a page's versions at that moment: the last that is surely on disk (-1: none), and the last written
 * (-1: none).
 */
static void
bounds(const struct page *page, uint32_t when, int64_t *sure, int64_t *last)
{
	*sure = *last = -1;
	for (uint32_t i = 0; i < page->n && page->version[i].written <= when; i++) {
		*last = i;
		if (page->version[i].synced <= when)
			*sure = i;
	}
}

static int64_t
choose(enum powercut kind, bool meta, int64_t sure, int64_t last, uint64_t *seed)
{
	switch (kind) {
	case POWERCUT_OLD:
		return sure;
	case POWERCUT_NEW:
		return last;
	case POWERCUT_FEW_NEW:
		return test_random(seed) % 10 == 0 ? last : sure;
	case POWERCUT_METAS_NEW:
		return meta ? last : sure;
	case POWERCUT_DATA_NEW:
		return meta ? sure : last;
	default:
		return sure + (int64_t)(test_random(seed) % (uint64_t)(last - sure + 1));
	}
}

static void
tear(uint8_t bytes[PAGE], const uint8_t *older, uint64_t *seed)
{
	static const uint8_t nothing[PAGE];
	for (int at = 0; at < PAGE; at += SECTOR)
		if (test_random(seed) % 2 == 0)
			memcpy(bytes + at, (older != NULL ? older : nothing) + at, SECTOR);
}

static void
image_page(int fd, const struct page *page, uint32_t number, bool data, uint32_t when, enum powercut kind,
	   uint64_t *seed)
{
	ssize_t (*put)(int, const void *, size_t, off_t) = real("pwrite");
	int64_t sure, last;
	bounds(page, when, &sure, &last);
	bool meta = data && number < 2;
	int64_t chosen = choose(kind, meta || !data, sure, last, seed);
	if (chosen < 0)
		return;
	uint8_t bytes[PAGE];
	memcpy(bytes, page->version[chosen].bytes, PAGE);
	if (kind == POWERCUT_TORN && !meta && chosen > sure)
		tear(bytes, chosen > 0 ? page->version[chosen - 1].bytes : NULL, seed);
	CHECK(put(fd, bytes, PAGE, (off_t)number * PAGE) == PAGE);
}

void
powercut_image(const char *dir, uint32_t when, enum powercut kind, uint64_t *seed)
{
	for (int i = 0; i < FILES; i++) {
		char path[PATH_MAX];
		CHECK(snprintf(path, sizeof(path), "%s/%s", dir, file_name[i]) > 0);
		int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
		CHECK(fd >= 0);
		for (uint32_t p = 0; p < file[i].n; p++)
			image_page(fd, &file[i].page[p], p, i == DATA, when, kind, seed);
		close(fd);
	}
}
