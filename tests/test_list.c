#include "tests/lib/test.h"

#include "common/list.h"

struct call {
	int id;
	struct list link;
};

static int
sum_in_order(const struct list *head)
{
	int digits = 0;
	for (const struct list *l = head->next; l != head; l = l->next)
		digits = digits * 10 + LIST_OF(l, const struct call, link)->id;
	return digits;
}

static void
appended_in_order(void **state)
{
	(void)state;
	struct list head;
	struct call calls[] = { { .id = 1 }, { .id = 2 }, { .id = 3 } };
	list_init(&head);
	assert_true(list_is_empty(&head));
	for (int i = 0; i < 3; i++)
		list_append(&head, &calls[i].link);
	assert_false(list_is_empty(&head));
	assert_int_equal(sum_in_order(&head), 123);
	list_remove(&calls[1].link);
	assert_int_equal(sum_in_order(&head), 13);
	list_append(&head, &calls[1].link);
	assert_int_equal(sum_in_order(&head), 132);
}

static void
removal_is_always_allowed(void **state)
{
	(void)state;
	struct list head;
	struct call call = { .id = 1 };
	list_init(&head);
	list_init(&call.link);
	list_remove(&call.link);
	list_append(&head, &call.link);
	list_remove(&call.link);
	list_remove(&call.link);
	assert_true(list_is_empty(&head));
	assert_true(list_is_empty(&call.link));
}

static void
each_may_be_removed_within_the_loop(void **state)
{
	(void)state;
	struct list head;
	struct call calls[5] = { { .id = 1 }, { .id = 2 }, { .id = 3 }, { .id = 4 }, { .id = 5 } };
	list_init(&head);
	for (int i = 0; i < 5; i++)
		list_append(&head, &calls[i].link);
	int seen = 0;
	LIST_EACH (&head, it) {
		seen++;
		if (LIST_OF(it, struct call, link)->id % 2 == 1)
			list_remove(it);
	}
	assert_int_equal(seen, 5);
	assert_int_equal(sum_in_order(&head), 24);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appended_in_order),
		cmocka_unit_test(removal_is_always_allowed),
		cmocka_unit_test(each_may_be_removed_within_the_loop),
	};
	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
