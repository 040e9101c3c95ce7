#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/check.h"
#include "tests/powercut/disk_internal.h"

#define MEMORY_BYTES ((size_t)4 << 30) /* address space; what is used counts */
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define FDS          256

const char *const disk_file_name[FILES] = { "data.mdb", "ckpt" };
struct disk *disk;

/* --- memory ------------------------------------------------------------------------------------------ */

static struct memory {
	size_t used;
} * memory;
static int memory_fd = -1;

void
disk_begin(void)
{
	memory_fd = memfd_create("powercut", MFD_CLOEXEC);
	CHECK(memory_fd >= 0 && ftruncate(memory_fd, (off_t)MEMORY_BYTES) == 0);
	memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memory_fd, 0);
	CHECK(memory != MAP_FAILED);
	memory->used = PAGE;
	disk = disk_alloc(sizeof(*disk));
	disk->boot = 1;
}

void
disk_end(void)
{
	munmap(memory, MEMORY_BYTES);
	close(memory_fd);
	memory = NULL;
	disk = NULL;
}

void
disk_freeze(void)
{
	void *same = mmap(memory, MEMORY_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, memory_fd, 0);
	CHECK(same == (void *)memory);
}

void *
disk_alloc(size_t n)
{
	void *at = (uint8_t *)memory + memory->used;
	memory->used += (n + 15) / 16 * 16;
	CHECK(memory->used <= MEMORY_BYTES);
	return at;
}

/* --- versions ---------------------------------------------------------------------------------------- */

static struct change *
add(struct changes *c)
{
	if (c->n == c->cap) {
		uint32_t cap = c->cap > 0 ? c->cap * 2 : 4;
		struct change *bigger = disk_alloc(cap * sizeof(*bigger));
		if (c->n > 0)
			memcpy(bigger, c->at, c->n * sizeof(*bigger));
		c->at = bigger;
		c->cap = cap;
	}
	struct change *new = &c->at[c->n++];
	*new = (struct change){ .written = disk->moment, .synced = NEVER };
	return new;
}

/* The first n changes are on disk as of now. */
static void
settle(struct changes *c, uint32_t n)
{
	for (uint32_t i = n; i > 0 && c->at[i - 1].synced == NEVER; i--)
		c->at[i - 1].synced = disk->moment;
}

void
disk_bounds(const struct changes *c, uint32_t moment, int64_t *sure, int64_t *last)
{
	*sure = *last = -1;
	for (uint32_t i = 0; i < c->n && c->at[i].written <= moment; i++) {
		*last = i;
		if (c->at[i].synced <= moment)
			*sure = i;
	}
}

static struct changes *
page_of(struct inode *f, uint32_t number)
{
	if (number >= f->page_n) {
		uint32_t n = (number + 1) * 2;
		struct changes *bigger = disk_alloc(n * sizeof(*bigger));
		if (f->page_n > 0)
			memcpy(bigger, f->page, f->page_n * sizeof(*bigger));
		f->page = bigger;
		f->page_n = n;
	}
	return &f->page[number];
}

static uint64_t
size_of(const struct inode *f)
{
	return f->size.at[f->size.n - 1].size;
}

/* A new version of one page: the one before, with n bytes at `at` replaced. */
static void
keep_page(struct changes *page, size_t at, const uint8_t *bytes, size_t n)
{
	uint8_t *whole = disk_alloc(PAGE);
	if (page->n > 0)
		memcpy(whole, page->at[page->n - 1].bytes, PAGE);
	memcpy(whole + at, bytes, n);
	add(page)->bytes = whole;
}

/* A write through a synchronous descriptor is on disk when it returns; it, and the length that it needs. */
static void
keep(struct inode *f, uint64_t offset, const uint8_t *bytes, size_t n, bool synchronous)
{
	uint64_t end = offset + n;
	uint32_t first = (uint32_t)(offset / PAGE), behind = (uint32_t)((end + PAGE - 1) / PAGE);
	disk->moment++;
	for (size_t done = 0; done < n;) {
		size_t at = (offset + done) % PAGE, here = PAGE - at < n - done ? PAGE - at : n - done;
		keep_page(page_of(f, (uint32_t)((offset + done) / PAGE)), at, bytes + done, here);
		done += here;
	}
	if (end > size_of(f))
		add(&f->size)->size = end;
	if (!synchronous)
		return;
	add(&disk->in_flight);
	disk->moment++;
	for (uint32_t p = first; p < behind; p++)
		settle(&f->page[p], f->page[p].n);
	uint32_t i = 0;
	while (f->size.at[i].size < end)
		i++;
	settle(&f->size, i + 1);
}

static int32_t
inode_new(void)
{
	CHECK(disk->inode_n < (int32_t)(sizeof(disk->inode) / sizeof(disk->inode[0])));
	disk->inode[disk->inode_n] = disk_alloc(sizeof(struct inode));
	add(&disk->inode[disk->inode_n]->size)->size = 0;
	return disk->inode_n++;
}

static int32_t
leads_to(int name)
{
	const struct changes *c = &disk->name[name];
	return c->n > 0 ? c->at[c->n - 1].inode : -1;
}

static void
name_changes(int name, int32_t inode)
{
	disk->moment++;
	add(&disk->name[name])->inode = inode;
}

/* --- descriptors ------------------------------------------------------------------------------------- */

/* What a descriptor of this process is open on. */
static struct open_file {
	enum { OTHER, FILE_, DIR_, PARENT } kind;
	int32_t inode;
	bool synchronous;
} open_file[FDS];

static bool simulated; /* the real disk does not matter any more: syncs take no time */
static void (*during_sync)(void), (*watch)(void);
static uint32_t ops_left;
static bool nobody_dies;
static void (*die)(void);

void
disk_during_sync(void (*f)(void))
{
	during_sync = f;
}

void
disk_watch(void (*f)(void))
{
	watch = f;
}

void
disk_die_at(uint32_t n, void (*f)(void))
{
	ops_left = n;
	die = f;
}

void
disk_spare(bool spared)
{
	nobody_dies = spared;
}

void
disk_boot(void)
{
	disk->boot++;
}

uint32_t
disk_in_flight(uint64_t n)
{
	return disk->in_flight.n > 0 ? disk->in_flight.at[n % disk->in_flight.n].written : 0;
}

uint32_t
disk_now(void)
{
	return disk->moment;
}

void
disk_stop(void)
{
	disk->recording = false;
	during_sync = watch = NULL;
	ops_left = 0;
}

static bool
is_time_to_die(void)
{
	if (watch != NULL)
		watch();
	return disk != NULL && disk->recording && !nobody_dies && ops_left > 0 && --ops_left == 0;
}

static void *
real(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);
	CHECK(f != NULL);
	return f;
}

#define REAL(result, name, ...)                                                                              \
	static result (*real_##name)(__VA_ARGS__);                                                           \
	if (real_##name == NULL)                                                                             \
	real_##name = (result(*)(__VA_ARGS__))real(#name)

static struct open_file *
file_of(int fd)
{
	if (disk == NULL || !disk->recording || fd < 0 || fd >= FDS || open_file[fd].kind == OTHER)
		return NULL;
	return &open_file[fd];
}

static int
name_of(const char *path)
{
	size_t n = strlen(disk->dir);
	if (strncmp(path, disk->dir, n) != 0)
		return -1;
	if (path[n] == '\0')
		return NAME_DIR;
	for (int i = 0; i < FILES; i++)
		if (path[n] == '/' && strcmp(path + n + 1, disk_file_name[i]) == 0)
			return i;
	return -1;
}

static void
opened(int fd, bool synchronous)
{
	char link[64], path[PATH_MAX];
	CHECK(fd < FDS);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	CHECK(n > 0);
	path[n] = '\0';
	int name = name_of(path);
	if (strcmp(path, disk->parent) == 0)
		open_file[fd] = (struct open_file){ .kind = PARENT };
	else if (name == NAME_DIR)
		open_file[fd] = (struct open_file){ .kind = DIR_ };
	if (name < 0 || name >= FILES)
		return;
	if (leads_to(name) < 0)
		name_changes(name, inode_new());
	open_file[fd] =
	    (struct open_file){ .kind = FILE_, .inode = leads_to(name), .synchronous = synchronous };
}

/* --- libc's ------------------------------------------------------------------------------------------ */

static int
open_boot_id(void)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%036u\n", disk->boot);
	int fd = memfd_create("boot_id", MFD_CLOEXEC);
	CHECK(fd >= 0 && write(fd, text, (size_t)n) == n && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

int
open(const char *path, int flags, ...)
{
	REAL(int, open, const char *, int, ...);
	va_list more;
	va_start(more, flags);
	int mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, int) : 0;
	va_end(more);
	if (disk != NULL && strcmp(path, BOOT_ID_PATH) == 0)
		return open_boot_id();
	int fd = real_open(path, simulated ? flags & ~O_DSYNC : flags, mode);
	if (fd >= 0 && fd < FDS)
		open_file[fd] = (struct open_file){ .kind = OTHER };
	if (fd >= 0 && disk != NULL && disk->recording)
		opened(fd, (flags & O_DSYNC) != 0);
	return fd;
}

int
close(int fd)
{
	REAL(int, close, int);
	if (fd >= 0 && fd < FDS)
		open_file[fd] = (struct open_file){ .kind = OTHER };
	return real_close(fd);
}

/* Half way: a killed process's write may end behind any page. */
static size_t
before_death(size_t n)
{
	size_t pages = n / PAGE;
	return pages > 1 && disk->moment % 3 == 1 ? pages / 2 * PAGE : n;
}

static ssize_t
put(int fd, const void *bytes, size_t n, off_t offset)
{
	REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
	const struct open_file *f = file_of(fd);
	bool dies = f != NULL && is_time_to_die();
	if (dies && disk->moment % 3 == 0)
		die();
	ssize_t done = real_pwrite(fd, bytes, dies ? before_death(n) : n, offset);
	if (f != NULL && done > 0)
		keep(disk->inode[f->inode], (uint64_t)offset, bytes, (size_t)done, f->synchronous);
	if (dies)
		die();
	return done;
}

ssize_t
pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
	return put(fd, bytes, n, offset);
}

ssize_t
write(int fd, const void *bytes, size_t n)
{
	REAL(ssize_t, write, int, const void *, size_t);
	if (file_of(fd) == NULL)
		return real_write(fd, bytes, n);
	ssize_t done = put(fd, bytes, n, lseek(fd, 0, SEEK_CUR));
	if (done > 0)
		CHECK(lseek(fd, done, SEEK_CUR) >= 0);
	return done;
}

ssize_t
writev(int fd, const struct iovec *iov, int count)
{
	REAL(ssize_t, writev, int, const struct iovec *, int);
	if (file_of(fd) == NULL)
		return real_writev(fd, iov, count);
	ssize_t sum = 0;
	for (int i = 0; i < count; i++) {
		ssize_t done = write(fd, iov[i].iov_base, iov[i].iov_len);
		if (done < 0)
			return sum > 0 ? sum : done;
		sum += done;
	}
	return sum;
}

static void
sync_inode(struct inode *f)
{
	/* What is written while it goes on is not covered. */
	uint32_t began = disk->moment;
	if (during_sync != NULL)
		during_sync();
	disk->moment++;
	int64_t sure, last;
	for (uint32_t p = 0; p < f->page_n; p++) {
		disk_bounds(&f->page[p], began, &sure, &last);
		settle(&f->page[p], (uint32_t)(last + 1));
	}
	disk_bounds(&f->size, began, &sure, &last);
	settle(&f->size, (uint32_t)(last + 1));
}

static void
sync_names(int first, int behind)
{
	disk->moment++;
	for (int i = first; i < behind; i++)
		settle(&disk->name[i], disk->name[i].n);
}

static int
sync_file(int fd, int (*otherwise)(int))
{
	const struct open_file *f = file_of(fd);
	if (f == NULL)
		return simulated ? 0 : otherwise(fd);
	bool dies = is_time_to_die();
	if (dies && disk->moment % 2 == 0)
		die();
	if (f->kind == FILE_)
		sync_inode(disk->inode[f->inode]);
	else if (f->kind == DIR_)
		sync_names(0, FILES);
	else
		sync_names(NAME_DIR, NAME_DIR + 1);
	if (dies)
		die();
	return 0;
}

int
fdatasync(int fd)
{
	REAL(int, fdatasync, int);
	return sync_file(fd, real_fdatasync);
}

int
fsync(int fd)
{
	REAL(int, fsync, int);
	return sync_file(fd, real_fsync);
}

/* The paths that the store uses are absolute and without links where a test gives it such a directory. */
int
unlink(const char *path)
{
	REAL(int, unlink, const char *);
	int done = real_unlink(path), name;
	if (done == 0 && disk != NULL && disk->recording && (name = name_of(path)) >= 0)
		name_changes(name, -1);
	return done;
}

int
mkdir(const char *path, mode_t mode)
{
	REAL(int, mkdir, const char *, mode_t);
	int done = real_mkdir(path, mode);
	if (done == 0 && disk != NULL && disk->recording && name_of(path) == NAME_DIR)
		name_changes(NAME_DIR, 0);
	return done;
}

/* Blocks ahead of the file's end, which say nothing of its content: they would only cost memory here. */
int
fallocate(int fd, int mode, off_t offset, off_t n)
{
	REAL(int, fallocate, int, int, off_t, off_t);
	return simulated ? 0 : real_fallocate(fd, mode, offset, n);
}

/* --- begin ------------------------------------------------------------------------------------------- */

/* A file that is there counts as synced. */
static void
read_file(int name)
{
	REAL(int, open, const char *, int, ...);
	char path[PATH_MAX + 16];
	static uint8_t bytes[PAGE];
	snprintf(path, sizeof(path), "%s/%s", disk->dir, disk_file_name[name]);
	int fd = real_open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	int32_t number = inode_new();
	struct inode *f = disk->inode[number];
	uint64_t at = 0;
	for (ssize_t n; (n = pread(fd, bytes, PAGE, (off_t)at)) > 0; at += (uint64_t)n)
		keep_page(page_of(f, (uint32_t)(at / PAGE)), 0, bytes, (size_t)n);
	add(&f->size)->size = at;
	for (uint32_t p = 0; p < f->page_n; p++)
		settle(&f->page[p], f->page[p].n);
	settle(&f->size, f->size.n);
	add(&disk->name[name])->inode = number;
	settle(&disk->name[name], 1);
	close(fd);
}

void
disk_record(const char *dir)
{
	uint32_t boot = disk->boot;
	memset(disk, 0, sizeof(*disk));
	disk->boot = boot;
	const char *slash = strrchr(dir, '/');
	CHECK(slash != NULL && dir[0] == '/');
	CHECK(snprintf(disk->dir, sizeof(disk->dir), "%s", dir) < (int)sizeof(disk->dir));
	memcpy(disk->parent, dir, (size_t)(slash - dir));
	struct stat st;
	if (stat(dir, &st) == 0) {
		add(&disk->name[NAME_DIR])->inode = 0;
		settle(&disk->name[NAME_DIR], 1);
	}
	for (int i = 0; i < FILES; i++)
		read_file(i);
	disk->moment = 1;
	disk->recording = simulated = true;
}
