/*
 * limits: what this machine allows, measured by programs that do nothing else, so that a figure of the broker's can
 * be read as a part of what is possible.
 *
 *	limits pair DIR            4 KB written and made durable (pwrite, fdatasync), one after another, in a file
 *	                           whose blocks are there already: what one acknowledged request costs at least
 *	limits disk DIR            the same with 1 MB each: the disk's bandwidth, if somebody waits for each
 *	limits loopback            1 MB after another from a process to another over TCP
 *	limits memory              1 MB copied, its CRC-32C (ISA-L), both: in the processor's caches, as the bytes of
 *	                           a request are
 *	limits engine DIR BYTES    LMDB alone: BYTES of record batches a transaction in rows of 4080 bytes, the oldest
 *	                           deleted once there are 256 MB. Without a sync (as workers commit), and with one
 *	                           in each commit
 *
 * One line of key=value on stdout; each measures for SECONDS_EACH (environment; 2).
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <isa-l/crc.h>
#include <lmdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"

#define MB         1000000
#define FILE_BYTES ((size_t)256 * MB)
#define ROW_BYTES  4080
#define MUST(test) ((test) ? (void)0 : fail(#test))

static double seconds = 2;

static _Noreturn void
fail(const char *what)
{
	fprintf(stderr, "limits: %s: %m\n", what);
	exit(1);
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* --- the disk --- */

/* Pages that are written a second time cost no new blocks: the file is as one that the store has used for a while. */
static int
file_with_blocks(const char *dir, const char *page, size_t bytes)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/limits.tmp", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	MUST(fd >= 0);
	MUST(unlink(path) == 0);
	for (size_t at = 0; at < FILE_BYTES; at += bytes)
		MUST(pwrite(fd, page, bytes, (off_t)at) == (ssize_t)bytes);
	MUST(fsync(fd) == 0);
	return fd;
}

static void
writes_and_syncs(const char *dir, size_t bytes)
{
	static struct histogram h;
	char *page = calloc(1, bytes);
	MUST(page != NULL);
	int fd = file_with_blocks(dir, page, bytes);
	double begin = now_s(), at;
	uint64_t n = 0;

	for (; (at = now_s()) - begin < seconds; n++) {
		memcpy(page, &n, sizeof(n));
		MUST(pwrite(fd, page, bytes, (off_t)(n * bytes % FILE_BYTES)) == (ssize_t)bytes);
		MUST(fdatasync(fd) == 0);
		histogram_add(&h, now_s() - at);
	}
	printf("bytes=%zu per_s=%.0f mb_per_s=%.1f", bytes, (double)n / seconds,
	       (double)n * (double)bytes / seconds / MB);
	histogram_print(&h);
	printf("\n");
	free(page);
	close(fd);
}

/* --- loopback --- */

static void
receive_all(int listening)
{
	int fd = accept(listening, NULL, NULL);
	char *at = malloc(MB);

	MUST(fd >= 0 && at != NULL);
	while (read(fd, at, MB) > 0)
		;
	double used = cpu_s();
	free(at);
	MUST(write(fd, &used, sizeof(used)) == sizeof(used));
	close(fd);
	exit(0);
}

static void
loopback(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(to);
	int listening = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	MUST(bind(listening, (struct sockaddr *)&to, n) == 0 && listen(listening, 1) == 0);
	MUST(getsockname(listening, (struct sockaddr *)&to, &n) == 0);
	pid_t child = fork();
	MUST(child >= 0);
	if (child == 0)
		receive_all(listening);
	MUST(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	char *bytes = calloc(1, MB);
	MUST(bytes != NULL);
	double sent = 0, begin = now_s(), cpu = cpu_s(), theirs;
	while (now_s() - begin < seconds) {
		ssize_t k = write(fd, bytes, MB);
		MUST(k > 0);
		sent += (double)k;
	}
	cpu = cpu_s() - cpu;
	MUST(shutdown(fd, SHUT_WR) == 0);
	MUST(read(fd, &theirs, sizeof(theirs)) == sizeof(theirs));
	double took = now_s() - begin;
	printf("mb_per_s=%.0f sender_cpu_s_per_gb=%.2f receiver_cpu_s_per_gb=%.2f\n", sent / took / MB,
	       cpu / sent * 1e9, theirs / sent * 1e9);
	free(bytes);
	waitpid(child, NULL, 0);
}

/* --- memory --- */

/* GB/s of what `what` says: 1 copy, 2 CRC, 3 both. */
static double
walk_memory(int what)
{
	unsigned char *from = calloc(1, MB), *to = calloc(1, MB);
	volatile unsigned sum = 0;
	double n = 0, begin = now_s();

	MUST(from != NULL && to != NULL);
	while (now_s() - begin < seconds / 3) {
		for (int i = 0; i < 100; i++, n++) {
			from[i]++;
			if (what & 1)
				memcpy(to, from, MB);
			if (what & 2)
				sum ^= crc32_iscsi(what & 1 ? to : from, MB, ~0u);
			__asm__ volatile("" : : "r"(to) : "memory");
		}
	}
	free(from);
	free(to);
	return n * MB / (now_s() - begin) / 1e9;
}

static void
memory(void)
{
	double copy = walk_memory(1), crc = walk_memory(2), both = walk_memory(3);

	printf("copy_gb_per_s=%.1f crc_gb_per_s=%.1f copy_and_crc_gb_per_s=%.1f\n", copy, crc, both);
}

/* --- the engine --- */

struct engine {
	MDB_env *env;
	MDB_dbi log;
	uint64_t first, next; /* keys of rows */
};

static void
engine_open(struct engine *e, const char *dir, unsigned flags)
{
	MDB_txn *txn;

	MUST(mdb_env_create(&e->env) == 0 && mdb_env_set_mapsize(e->env, (size_t)8 << 30) == 0);
	MUST(mdb_env_open(e->env, dir, flags | MDB_NOSUBDIR | MDB_NOTLS, 0600) == 0);
	MUST(mdb_txn_begin(e->env, NULL, 0, &txn) == 0);
	MUST(mdb_dbi_open(txn, NULL, MDB_CREATE, &e->log) == 0);
	MUST(mdb_txn_commit(txn) == 0);
}

static MDB_val
key_of(uint64_t number, uint8_t *at)
{
	for (int i = 0; i < 20; i++)
		at[i] = i < 12 ? 0 : (uint8_t)(number >> (8 * (19 - i)));
	return (MDB_val){ 20, at };
}

static void
engine_commit(struct engine *e, const char *row, size_t bytes)
{
	MDB_txn *txn;
	uint8_t key_bytes[20];

	MUST(mdb_txn_begin(e->env, NULL, 0, &txn) == 0);
	for (size_t done = 0; done < bytes; done += ROW_BYTES) {
		MDB_val key = key_of(e->next++, key_bytes);
		MDB_val value = { bytes - done < ROW_BYTES ? bytes - done : ROW_BYTES, (void *)row };
		MUST(mdb_put(txn, e->log, &key, &value, 0) == 0);
	}
	for (int i = 0; i < 400 && (e->next - e->first) * ROW_BYTES > FILE_BYTES; i++) {
		MDB_val key = key_of(e->first++, key_bytes);
		MUST(mdb_del(txn, e->log, &key, NULL) == 0);
	}
	MUST(mdb_txn_commit(txn) == 0);
}

static double
engine_run(const char *dir, size_t bytes, unsigned flags, double *commits_per_s, double *cpu_s_per_gb)
{
	struct engine e = { 0 };
	char path[4096], *row = calloc(1, ROW_BYTES);
	double done = 0;

	MUST(row != NULL);
	snprintf(path, sizeof(path), "%s/limits.mdb", dir);
	engine_open(&e, path, MDB_NOSYNC);
	while (e.next * ROW_BYTES < FILE_BYTES * 5 / 4)
		engine_commit(&e, row, MB);
	mdb_env_sync(e.env, 1);
	mdb_env_close(e.env);
	engine_open(&e, path, flags);
	double begin = now_s(), cpu = cpu_s();
	for (; now_s() - begin < seconds / 2; done++)
		engine_commit(&e, row, bytes);
	double took = now_s() - begin;
	*cpu_s_per_gb = (cpu_s() - cpu) / (done * (double)bytes / 1e9);
	mdb_env_close(e.env);
	unlink(path);
	strcat(path, "-lock");
	unlink(path);
	free(row);
	*commits_per_s = done / took;
	return done * (double)bytes / took / MB;
}

static void
engine(const char *dir, size_t bytes)
{
	double commits, synced_commits, cpu, synced_cpu;
	double mb = engine_run(dir, bytes, MDB_NOSYNC, &commits, &cpu);
	double synced_mb = engine_run(dir, bytes, 0, &synced_commits, &synced_cpu);

	printf("bytes=%zu commits_per_s=%.0f mb_per_s=%.1f cpu_s_per_gb=%.2f synced_commits_per_s=%.0f "
	       "synced_mb_per_s=%.1f synced_cpu_s_per_gb=%.2f\n",
	       bytes, commits, mb, cpu, synced_commits, synced_mb, synced_cpu);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *dir = argc > 2 ? argv[2] : NULL;

	if (getenv("SECONDS_EACH") != NULL)
		seconds = atof(getenv("SECONDS_EACH"));
	if (strcmp(what, "pair") == 0 && dir != NULL)
		writes_and_syncs(dir, 4096);
	else if (strcmp(what, "disk") == 0 && dir != NULL)
		writes_and_syncs(dir, 1 << 20);
	else if (strcmp(what, "loopback") == 0)
		loopback();
	else if (strcmp(what, "memory") == 0)
		memory();
	else if (strcmp(what, "engine") == 0 && argc == 4)
		engine(dir, strtoul(argv[3], NULL, 10));
	else {
		fprintf(stderr, "usage: limits pair|disk DIR | loopback | memory | engine DIR BYTES\n");
		return 2;
	}
	return 0;
}
