/* The disk is asked for what a reader of history wants next: after two answers in a row, once, and in good time. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "storage/ahead.h"
#include "storage/env.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

#define MB          ((uintptr_t)1 << 20)
#define START       (1000 * MB)
#define DEADLINE_MS 20000

static void
assert_asks(struct ahead *ahead, uintptr_t at, uintptr_t from, uintptr_t to)
{
	uintptr_t really_from = 0;
	assert_int_equal(ahead_wanted(ahead, at, &really_from), to);
	if (to != 0)
		assert_int_equal(really_from, from);
}

static void
assert_asks_nothing(struct ahead *ahead, uintptr_t at)
{
	assert_asks(ahead, at, 0, 0);
}

static void
test_one_answer_proves_nothing(void **state)
{
	(void)state;
	struct ahead ahead = { 0 };
	assert_asks_nothing(&ahead, START);
	assert_asks_nothing(&ahead, START);
	assert_asks_nothing(&ahead, START - 1 * MB); /* backwards */
	assert_asks_nothing(&ahead, START + 1 + AHEAD_BYTES);
	assert_asks_nothing(&ahead, START + 2 + 3 * AHEAD_BYTES);
}

static void
test_reading_on_asks_for_each_byte_once(void **state)
{
	(void)state;
	struct ahead ahead = { 0 };
	assert_asks_nothing(&ahead, START);
	uintptr_t asked = START + 1 * MB + AHEAD_BYTES;
	assert_asks(&ahead, START + 1 * MB, START + 1 * MB, asked);
	for (uintptr_t at = START + 2 * MB; at < START + 50 * MB; at += 1 * MB) {
		assert_asks_nothing(&ahead, at - 1 * MB - 1); /* another partition, a bit behind */
		bool due = asked - at < AHEAD_BYTES / 2;
		assert_asks(&ahead, at, asked, due ? at + AHEAD_BYTES : 0);
		asked = due ? at + AHEAD_BYTES : asked;
	}
}

static void
test_nothing_behind_the_reader(void **state)
{
	(void)state;
	struct ahead ahead = { 0 };
	assert_asks_nothing(&ahead, START);
	assert_asks(&ahead, START + 7 * MB, START + 7 * MB, START + 15 * MB);
	assert_asks(&ahead, START + 15 * MB, START + 15 * MB, START + 23 * MB);
}

static void
test_readers_at_many_places(void **state)
{
	(void)state;
	struct ahead ahead = { 0 };
	uintptr_t apart = 4 * AHEAD_BYTES, at = START + 1 * MB;
	for (uintptr_t i = 0; i < AHEAD_TRAILS; i++)
		assert_asks_nothing(&ahead, START + i * apart);
	for (uintptr_t i = 0; i < AHEAD_TRAILS; i++)
		assert_asks(&ahead, at + i * apart, at + i * apart, at + i * apart + AHEAD_BYTES);
	assert_asks_nothing(&ahead, START + AHEAD_TRAILS * apart); /* the first one's place is taken */
	assert_asks_nothing(&ahead, at + 2 * MB);
}

/* --- a real file --- */

#define FILE_BYTES (4 * AHEAD_BYTES)

static bool
is_resident(const uint8_t *page)
{
	unsigned char resident;
	assert_return_code(mincore((void *)(uintptr_t)page, 1, &resident), 0);
	return resident & 1;
}

/* A mapped file; *cold: none of it is in memory, which not every file system can be brought to. */
static uint8_t *
map_file(const char *dir, bool *cold)
{
	char path[300];
	static uint8_t zeros[1 << 20];
	snprintf(path, sizeof(path), "%s/file", dir);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_return_code(fd, 0);
	for (size_t n = 0; n < FILE_BYTES; n += sizeof(zeros))
		assert_int_equal(write(fd, zeros, sizeof(zeros)), sizeof(zeros));
	assert_return_code(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	uint8_t *map = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	close(fd);
	*cold = !is_resident(map) && !is_resident(map + 2 * AHEAD_BYTES);
	return map;
}

static void
test_the_kernel_brings_what_is_asked_for(void **state)
{
	(void)state;
	struct ahead ahead = { 0 };
	char *dir = test_dir_make();
	bool cold;
	uint8_t *map = map_file(dir, &cold);
	if (!cold)
		print_message(
		    "the file cannot be put out of the page cache here: nothing is seen of the disk\n");
	const uint8_t *last = map + AHEAD_BYTES; /* of what is asked for, but one */
	ahead_of(&ahead, map);
	assert_false(cold && is_resident(last));
	ahead_of(&ahead, map + 8192);
	int64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
	while (!is_resident(last) && clock_monotonic_ms() < deadline)
		usleep(1000);
	assert_true(is_resident(last));         /* and nobody has touched it */
	ahead_of(&ahead, map + FILE_BYTES - 1); /* a trail that leads out of the file and the map */
	ahead_of(&ahead, map + FILE_BYTES);
	munmap(map, FILE_BYTES);
	test_dir_remove(dir);
}

/* --- who reads --- */

static struct ahead_trail
trail_after_read(struct store_fixture *f, const struct topic *topic, int32_t max_bytes)
{
	struct log_slice slice;
	f->store->ahead = (struct ahead){ 0 };
	struct store_txn *txn = fixture_read(f);
	MUST(log_read(txn, topic, 0, 0, 2, max_bytes, true, &f->arena, &slice));
	store_read_end(txn);
	return f->store->ahead.trail[0];
}

static void
test_only_who_does_not_reach_the_end(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_RELAXED);
	struct topic t = fixture_topic(&f, "t", 1);
	for (int i = 0; i < 2; i++)
		fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 1, .value_bytes = 5000 });
	assert_int_not_equal(trail_after_read(&f, &t, 100).at, 0);
	assert_int_equal(trail_after_read(&f, &t, 100000).at, 0);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_answer_proves_nothing),
		cmocka_unit_test(test_reading_on_asks_for_each_byte_once),
		cmocka_unit_test(test_nothing_behind_the_reader),
		cmocka_unit_test(test_readers_at_many_places),
		cmocka_unit_test(test_the_kernel_brings_what_is_asked_for),
		cmocka_unit_test(test_only_who_does_not_reach_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
