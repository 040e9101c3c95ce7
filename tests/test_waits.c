/* Who waits for which partitions, and who is told. */
#include <unistd.h>

#include "broker/worker.h"
#include "tests/lib/test.h"

static struct worker w;
static struct family family;
static struct config config;
static struct call call;
static int looks;

static bool
count_look(struct wait *wait)
{
	(void)wait;
	looks++;
	return false;
}

static int
setup(void **state)
{
	(void)state;
	config = (struct config){ .workers = 3, .durability = DURABILITY_DURABLE };
	family.config = &config;
	family.shared = shared_create();
	wakeup_create(&family.wakeup, family.shared, 4);
	w = (struct worker){ .base = { .family = &family, .slot = 1 },
			     .config = &config,
			     .shared = family.shared };
	w.slot = &family.shared->slot[1];
	waits_init(&w.waits);
	looks = 0;
	return 0;
}

static struct wait
wait_for(uint16_t *hashes, int32_t n)
{
	struct wait wait = { .call = &call, .hashes = hashes, .n = n, .look = count_look };

	list_init(&wait.in_waits);
	return wait;
}

static void
test_bits_are_counted(void **state)
{
	(void)state;
	uint16_t one[] = { 5, 70 }, two[] = { 70 };
	struct wait a = wait_for(one, 2), b = wait_for(two, 1);
	waits_add(&w, &a);
	waits_add(&w, &b);
	assert_true(atomic_load(&w.slot->waits[0]) == 1u << 5);
	assert_true(atomic_load(&w.slot->waits[1]) == 1u << 6);
	waits_remove(&w, &a);
	assert_true(atomic_load(&w.slot->waits[0]) == 0);
	assert_true(atomic_load(&w.slot->waits[1]) == 1u << 6);
	waits_remove(&w, &b);
	assert_true(atomic_load(&w.slot->waits[1]) == 0);
}

static void
test_only_moved_partitions_are_looked_at(void **state)
{
	(void)state;
	uint16_t mine[] = { 5 }, other[] = { 6 };
	struct wait a = wait_for(mine, 1), b = wait_for(other, 1);
	uint32_t moved = 5;
	a.seen = b.seen = 10;
	waits_add(&w, &a);
	waits_add(&w, &b);
	waits_tell(&w, &moved, 1, false, 10);
	waits_look(&w, false);
	assert_int_equal(looks, 0); /* that commit was seen */
	waits_tell(&w, &moved, 1, false, 11);
	waits_look(&w, false);
	assert_int_equal(looks, 1);
	waits_look(&w, true);
	assert_int_equal(looks, 3);
}

static void
test_durable_pokes_through_the_checkpointer(void **state)
{
	(void)state;
	uint16_t mine[] = { 5 };
	struct wait a = wait_for(mine, 1);
	uint32_t others[] = { 6, 7 }, moved[] = { 6, 5 };
	waits_add(&w, &a);
	waits_tell(&w, others, 2, false, 1);
	assert_int_equal(atomic_load(&w.slot->poked), 0);
	assert_int_equal(atomic_load(&family.shared->checkpoint_wanted), 0);
	waits_tell(&w, moved, 2, false, 2);
	assert_int_equal(atomic_load(&w.slot->poked), 1);
	assert_int_equal(atomic_load(&w.slot->look), 0);
	assert_int_equal(atomic_load(&family.shared->checkpoint_wanted), 1);
	assert_int_equal(atomic_load(&family.shared->slot[0].poked), 0); /* does not wait */
}

/* The committer died before it told anybody; who looks for another reason finds it, not durable yet. */
static void
test_what_is_found_is_expected(void **state)
{
	(void)state;
	uint16_t mine[] = { 5 }, other[] = { 6 };
	struct wait a = wait_for(mine, 1), b = wait_for(other, 1);
	a.seen = b.seen = 8;
	waits_add(&w, &a);
	waits_add(&w, &b);
	waits_expect(&w, &a, 9);
	assert_int_equal(atomic_load(&w.slot->poked), 1);
	assert_int_equal(atomic_load(&w.shared->checkpoint_wanted), 1);
	waits_look(&w, false); /* when it is */
	assert_int_equal(looks, 1);
	waits_remove(&w, &a);
	waits_remove(&w, &b);
}

static void
test_relaxed_pokes_at_once(void **state)
{
	(void)state;
	uint16_t mine[] = { 5 };
	struct wait a = wait_for(mine, 1);
	uint32_t moved = 5;
	uint64_t rung;
	config.durability = DURABILITY_RELAXED;
	waits_add(&w, &a);
	wakeup_sleep(&family.wakeup, 1);
	waits_tell(&w, &moved, 1, false, 3);
	assert_int_equal(atomic_load(&w.slot->look), LOOK_APPENDED);
	assert_int_equal(read(family.wakeup.fd[1], &rung, sizeof(rung)), sizeof(rung));
	assert_int_equal(atomic_load(&family.shared->checkpoint_wanted), 0);
}

static void
test_more_than_fit_tells_everybody(void **state)
{
	(void)state;
	waits_tell(&w, NULL, 0, true, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(atomic_load(&family.shared->slot[i].poked), 1);
	for (int i = 0; i < WAIT_HASHES; i++)
		assert_int_equal(atomic_load(&family.shared->appended[i]), 1);
}

static void
test_appended_never_goes_back(void **state)
{
	(void)state;
	uint32_t moved = 9;
	waits_tell(&w, &moved, 1, false, 8);
	waits_tell(&w, &moved, 1, false, 7); /* a slower committer */
	assert_int_equal(atomic_load(&family.shared->appended[9]), 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_bits_are_counted, setup),
		cmocka_unit_test_setup(test_only_moved_partitions_are_looked_at, setup),
		cmocka_unit_test_setup(test_durable_pokes_through_the_checkpointer, setup),
		cmocka_unit_test_setup(test_what_is_found_is_expected, setup),
		cmocka_unit_test_setup(test_relaxed_pokes_at_once, setup),
		cmocka_unit_test_setup(test_more_than_fit_tells_everybody, setup),
		cmocka_unit_test_setup(test_appended_never_goes_back, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
