/*
 * The power fails at random moments of a store's life; each image of the disk must come up by itself, with
 * all that was promised, whole, and go on working. tests/powercut/ has what this is made of:
 *
 *	disk    what a disk may look like     load    what the store is made to do, and what it promised
 *	judge   one image is looked at        world, audit    what it is compared with
 *
 *	IMAGES=10000    how many. `make powercut IMAGES=100000`
 *	SEED=7          which; a number of its own with every other seed
 *	IMAGE=1234      only this one of them, with what the store says on standard error
 *
 * Images are made in /dev/shm where that is large enough (TMPDIR).
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/lib/test.h"
#include "tests/powercut/disk.h"
#include "tests/powercut/judge.h"

#define IMAGES_DEFAULT  1000
#define IMAGES_OF_A_RUN 250
#define IMAGES_OF_A_JOB 25 /* in one process, while they are good */
#define IMAGE_SECONDS   60
#define ROOM_BYTES      ((uint64_t)64 << 20)

static struct {
	uint64_t seed;
	long images, only; /* -1: all */
	long jobs;
} asked;

/* Of all processes. */
static struct tally {
	_Atomic long runs_taken, images, bad, bad_runs, cut_again, went_back, writes;
	_Atomic long image; /* that a process is at: of one run, in a page of its own */
	struct verdict verdict;
} * tally;

static void *
shared(size_t n)
{
	void *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(at != MAP_FAILED);
	return at;
}

static uint64_t
mix(uint64_t a, uint64_t b)
{
	uint64_t h = a * 0x9E3779B97F4A7C15u + b + 1;
	h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9u;
	h = (h ^ (h >> 27)) * 0x94D049BB133111EBu;
	return (h ^ (h >> 31)) | 1;
}

static long
number_of(const char *name, long otherwise)
{
	const char *text = getenv(name);
	return text != NULL && *text != '\0' ? strtol(text, NULL, 10) : otherwise;
}

/* --- processes that may fail ------------------------------------------------------------------------- */

static void
be_quiet(const char *log)
{
	for (int s = 1; s < 32; s++)
		signal(s, SIG_DFL); /* what cmocka would catch */
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	CHECK(fd >= 0);
	if (asked.only < 0)
		dup2(fd, STDERR_FILENO);
	close(fd);
}

static bool
ended_well(pid_t child)
{
	int status;
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What it said last: why it failed. */
static void
print_last_words(const char *log)
{
	char text[4096] = "";
	int fd = open(log, O_RDONLY);
	off_t end = lseek(fd, 0, SEEK_END);
	ssize_t n = pread(fd, text, sizeof(text) - 1, end > 600 ? end - 600 : 0);
	close(fd);
	printf("#   ...%.*s\n", (int)(n > 0 ? n : 0), text);
}

/* --- a run ------------------------------------------------------------------------------------------- */

struct runner {
	long number, first, behind; /* images of it */
	char *dir;
	struct run *run;
	struct tally *at; /* what the process that judges is at */
};

static void
judge_from(struct runner *r)
{
	for (long i = r->at->image; i < r->behind && i < r->at->image + IMAGES_OF_A_JOB;) {
		alarm(IMAGE_SECONDS);
		judge(r->run, r->dir, mix(asked.seed, (uint64_t)i + 1000000007u), &r->at->verdict);
		atomic_fetch_add(&tally->images, 1);
		atomic_fetch_add(&tally->cut_again, r->at->verdict.cuts > 1);
		atomic_fetch_add(&tally->went_back, r->at->verdict.found == r->at->verdict.floor);
		r->at->image = ++i;
		if (i % IMAGES_OF_A_JOB == 0)
			break;
	}
}

static void
print_bad(const struct runner *r, const char *log)
{
	const struct verdict *v = &r->at->verdict;
	printf("# bad: SEED=%llu IMAGE=%ld: moment %u of run %ld, cut %d (%d in a row), found %llu, promised "
	       "%llu\n",
	       (unsigned long long)asked.seed, (long)r->at->image, v->moment, r->number, v->cut, v->cuts,
	       (unsigned long long)v->found, (unsigned long long)v->floor);
	print_last_words(log);
	fflush(stdout);
}

static void
judge_all(struct runner *r)
{
	char log[4096];
	snprintf(log, sizeof(log), "%s/judge.log", r->dir);
	r->at->image = r->first;
	while (r->at->image < r->behind) {
		fflush(stdout);
		pid_t child = fork();
		if (child == 0) {
			be_quiet(log);
			judge_from(r);
			_exit(0);
		}
		if (ended_well(child))
			continue;
		print_bad(r, log);
		atomic_fetch_add(&tally->images, 1);
		atomic_fetch_add(&tally->bad, 1);
		r->at->image++;
	}
}

static void
live_and_judge(struct runner *r)
{
	char log[4096];
	r->dir = test_dir_make();
	snprintf(log, sizeof(log), "%s/run.log", r->dir);
	be_quiet(log);
	disk_begin();
	r->run = run_begin((enum load_kind)(r->number % LOAD_KINDS), mix(asked.seed, (uint64_t)r->number));
	run_live(r->run, r->dir);
	atomic_fetch_add(&tally->writes, disk_now());
	judge_all(r);
	disk_end();
	test_dir_remove(r->dir);
}

/* Image i is of run i / IMAGES_OF_A_RUN, whatever else is asked for. */
static void
do_run(long number)
{
	struct runner r = { .number = number, .at = shared(sizeof(*r.at)) };
	r.first = asked.only >= 0 ? asked.only : number * IMAGES_OF_A_RUN;
	r.behind = asked.only >= 0 ? asked.only + 1 : r.first + IMAGES_OF_A_RUN;
	if (r.behind > asked.images && asked.only < 0)
		r.behind = asked.images;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		live_and_judge(&r);
		fflush(stdout);
		_exit(0);
	}
	if (!ended_well(child)) {
		printf("# bad: SEED=%llu run %ld failed itself\n", (unsigned long long)asked.seed, number);
		atomic_fetch_add(&tally->bad_runs, 1);
	}
	munmap(r.at, sizeof(*r.at));
}

static void
do_runs(void)
{
	if (asked.only >= 0) {
		do_run(asked.only / IMAGES_OF_A_RUN);
		return;
	}
	for (long i; (i = atomic_fetch_add(&tally->runs_taken, 1)) * IMAGES_OF_A_RUN < asked.images;)
		do_run(i);
}

/* --- the test ---------------------------------------------------------------------------------------- */

static void
choose_room(void)
{
	struct statvfs fs;
	if (getenv("TMPDIR") == NULL && statvfs("/dev/shm", &fs) == 0 && access("/dev/shm", W_OK) == 0 &&
	    (uint64_t)fs.f_bavail * fs.f_frsize >= ROOM_BYTES)
		setenv("TMPDIR", "/dev/shm", 1);
}

static void
power_cuts(void **state)
{
	(void)state;
	asked.seed = (uint64_t)number_of("SEED", 1);
	asked.images = number_of("IMAGES", IMAGES_DEFAULT);
	asked.only = number_of("IMAGE", -1);
	asked.jobs = asked.only >= 0 ? 1 : number_of("JOBS", sysconf(_SC_NPROCESSORS_ONLN));
	choose_room();
	tally = shared(sizeof(*tally));
	int64_t began = clock_monotonic_ns();
	pid_t job[64];
	CHECK(asked.jobs > 0 && asked.jobs <= 64);
	fflush(stdout);
	for (long i = 0; i < asked.jobs; i++) {
		if ((job[i] = fork()) == 0) {
			do_runs();
			fflush(stdout);
			_exit(0);
		}
	}
	for (long i = 0; i < asked.jobs; i++)
		assert_true(ended_well(job[i]));
	printf(
	    "# SEED=%llu: %ld images, %ld bad, in %.1f s; %ld after more than one power cut, %ld of exactly "
	    "the last durable commit; the runs made %ld writes and syncs\n",
	    (unsigned long long)asked.seed, (long)tally->images, (long)tally->bad,
	    (double)(clock_monotonic_ns() - began) / 1e9, (long)tally->cut_again, (long)tally->went_back,
	    (long)tally->writes);
	assert_int_equal(tally->bad, 0);
	assert_int_equal(tally->bad_runs, 0);
	assert_int_equal(tally->images, asked.only >= 0 ? 1 : asked.images);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(power_cuts) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
