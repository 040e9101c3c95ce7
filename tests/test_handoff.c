/* Descriptors between processes, and the bell that wakes them. */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/handoff.h"
#include "broker/wakeup.h"
#include "tests/lib/test.h"

static void
test_a_descriptor_arrives_with_its_listener(void **state)
{
	(void)state;
	struct handoff h;
	int pipe_fds[2], fd;
	struct arrival arrival = { 0 };
	char byte = 0;
	handoff_create(&h);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(handoff_receive(&h, &fd, &arrival), HANDOFF_NOTHING);
	assert_true(handoff_send(&h, pipe_fds[1], &(struct arrival){ .entry = 1 << 20, .listener = 7 }));
	close(pipe_fds[1]);
	assert_int_equal(handoff_receive(&h, &fd, &arrival), HANDOFF_CONNECTION);
	assert_true(fd >= 0);
	assert_int_equal(arrival.listener, 7);
	assert_int_equal(arrival.entry, 1 << 20);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(handoff_receive(&h, &fd, &arrival), HANDOFF_NOTHING);
	close(fd);
	close(pipe_fds[0]);
	close(h.supervisor);
	close(h.worker);
}

/* The supervisor keeps both ends: what was under way to a process that died is found by the next. */
static void
test_what_was_under_way_outlives_the_receiver(void **state)
{
	(void)state;
	struct handoff h;
	struct arrival arrival;
	int status, fd;
	handoff_create(&h);
	assert_true(handoff_send(&h, STDERR_FILENO, &(struct arrival){ .listener = 1 }));
	assert_true(handoff_send(&h, STDERR_FILENO, &(struct arrival){ .listener = 2 }));
	pid_t pid = fork();
	if (pid == 0)
		_exit(handoff_receive(&h, &fd, &arrival) == HANDOFF_CONNECTION && arrival.listener == 1 ? 0
													: 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(handoff_receive(&h, &fd, &arrival), HANDOFF_CONNECTION);
	assert_int_equal(arrival.listener, 2);
	close(fd);
	close(h.supervisor);
	close(h.worker);
}

/* In a child: the limit is the process's. */
static void
test_a_receiver_without_descriptors_is_told(void **state)
{
	(void)state;
	struct handoff h;
	struct arrival arrival;
	int status, fd;
	handoff_create(&h);
	assert_true(handoff_send(&h, STDERR_FILENO, &(struct arrival){ .listener = 1 }));
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit none = { 3, 3 };
		setrlimit(RLIMIT_NOFILE, &none);
		_exit(handoff_receive(&h, &fd, &arrival) == HANDOFF_LOST ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(h.supervisor);
	close(h.worker);
}

static void
test_a_full_queue_refuses(void **state)
{
	(void)state;
	struct handoff h;
	int sent = 0;
	handoff_create(&h);
	while (sent < 100000 && handoff_send(&h, STDERR_FILENO, &(struct arrival){ .listener = 0 }))
		sent++;
	assert_in_range(sent, 64, 99999); /* the supervisor has at most 64 under way */
	close(h.supervisor);
	close(h.worker);
}

static bool
is_rung(const struct wakeup *w, int slot)
{
	uint64_t count;

	return read(w->fd[slot], &count, sizeof(count)) == sizeof(count);
}

static void
test_only_sleepers_are_rung(void **state)
{
	(void)state;
	static struct wakeup w;
	wakeup_create(&w, shared_create(), 2);
	wakeup_send(&w, 0);
	assert_false(is_rung(&w, 0)); /* awake: it looks by itself */
	wakeup_sleep(&w, 0);
	wakeup_send(&w, 0);
	wakeup_send(&w, 0); /* once is enough */
	assert_true(is_rung(&w, 0));
	assert_false(is_rung(&w, 0));
	assert_false(is_rung(&w, 1));
	wakeup_sleep(&w, 0);
	wakeup_awake(&w, 0);
	wakeup_send(&w, 0);
	assert_false(is_rung(&w, 0));
}

static void
test_a_ring_before_the_sleep_ends_it(void **state)
{
	(void)state;
	static struct wakeup w;
	wakeup_create(&w, shared_create(), 1);
	wakeup_sleep(&w, 0);
	wakeup_send(&w, 0);
	wakeup_drain(&w, 0);
	assert_false(is_rung(&w, 0));
	wakeup_drain(&w, 0); /* nothing there: does not block */
}

static void
test_hashes_are_in_range_and_spread(void **state)
{
	(void)state;
	static int hits[WAIT_HASHES];
	int used = 0;
	for (uint32_t topic = 1; topic <= 64; topic++)
		for (int32_t p = 0; p < 64; p++) {
			uint32_t hash = wait_hash(topic, p);
			assert_true(hash < WAIT_HASHES);
			used += hits[hash]++ == 0;
		}
	assert_true(used > WAIT_HASHES / 2); /* 4096 partitions; chance alone gives 63 % */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_descriptor_arrives_with_its_listener),
		cmocka_unit_test(test_what_was_under_way_outlives_the_receiver),
		cmocka_unit_test(test_a_receiver_without_descriptors_is_told),
		cmocka_unit_test(test_a_full_queue_refuses),
		cmocka_unit_test(test_only_sleepers_are_rung),
		cmocka_unit_test(test_a_ring_before_the_sleep_ends_it),
		cmocka_unit_test(test_hashes_are_in_range_and_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
