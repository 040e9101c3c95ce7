#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "broker/wire_stream.h"

static void
put(struct wire_stream *s, uint32_t seq, const char *text)
{
	wire_stream_put(s, seq, (const uint8_t *)text, (uint32_t)strlen(text));
}

static void
expect(struct wire_stream *s, const char *text)
{
	struct wire_stream_next next = wire_stream_next(s, false);

	if (text == NULL) {
		assert_int_equal(next.kind, WIRE_STREAM_WAITS);
		return;
	}
	assert_int_equal(next.kind, WIRE_STREAM_BYTES);
	assert_int_equal(next.n, strlen(text));
	assert_memory_equal(next.at, text, next.n);
}

static void
in_order(void **state)
{
	(void)state;
	struct wire_stream s = WIRE_STREAM_EMPTY;

	wire_stream_begin(&s, 100);
	expect(&s, NULL);
	put(&s, 100, "abc");
	put(&s, 103, "d");
	put(&s, 104, "");
	expect(&s, "abc");
	expect(&s, "d");
	expect(&s, NULL);
	wire_stream_free(&s);
}

static void
late_twice_and_overlapping(void **state)
{
	(void)state;
	struct wire_stream s = WIRE_STREAM_EMPTY;

	wire_stream_begin(&s, 100);
	put(&s, 106, "ghi");
	put(&s, 103, "def");
	expect(&s, NULL);
	put(&s, 103, "def");
	put(&s, 100, "abc");
	expect(&s, "abc");
	expect(&s, "def");
	expect(&s, "ghi");
	put(&s, 100, "abc");      /* sent again, late */
	put(&s, 104, "efghijkl"); /* sent again, with more */
	expect(&s, "jkl");
	put(&s, 114, "op");
	put(&s, 111, "lmnop"); /* overlaps on both sides */
	expect(&s, "mnop");
	expect(&s, NULL);
	wire_stream_free(&s);
}

/* Numbers start anywhere, and wrap. */
static void
numbers_wrap(void **state)
{
	(void)state;
	struct wire_stream s = WIRE_STREAM_EMPTY;

	wire_stream_begin(&s, UINT32_MAX - 1);
	put(&s, 1, "def");
	expect(&s, NULL);
	put(&s, UINT32_MAX - 1, "abc");
	expect(&s, "abc");
	expect(&s, "def");
	assert_int_equal(s.next, 4);
	wire_stream_free(&s);
}

static void
began_before(void **state)
{
	(void)state;
	struct wire_stream s = WIRE_STREAM_EMPTY;

	put(&s, 5000, "abc");
	put(&s, 4000, "older");
	expect(&s, "abc");
	expect(&s, NULL);
	wire_stream_free(&s);
}

static void
expect_hole(struct wire_stream *s, bool hopeless, uint32_t n)
{
	struct wire_stream_next next = wire_stream_next(s, hopeless);

	assert_int_equal(next.kind, WIRE_STREAM_HOLE);
	assert_int_equal(next.n, n);
}

static void
holes(void **state)
{
	(void)state;
	struct wire_stream s = WIRE_STREAM_EMPTY;

	wire_stream_begin(&s, 100);
	put(&s, 110, "late");
	put(&s, 120, "later");
	expect(&s, NULL);
	expect_hole(&s, true, 10);
	expect(&s, "late");
	expect(&s, NULL);
	expect_hole(&s, true, 6);
	expect(&s, "later");
	assert_int_equal(wire_stream_next(&s, true).kind, WIRE_STREAM_WAITS);
	wire_stream_free(&s);
}

/* What is missing is given up once too much is held for it. */
static void
no_endless_hope(void **state)
{
	(void)state;
	struct wire_stream s = WIRE_STREAM_EMPTY;

	wire_stream_begin(&s, 0);
	for (uint32_t i = 0; i <= WIRE_HELD_MAX; i++) {
		expect(&s, NULL);
		put(&s, 10 + i, "x");
	}
	expect_hole(&s, false, 10);
	for (uint32_t i = 0; i <= WIRE_HELD_MAX; i++)
		expect(&s, "x");
	expect(&s, NULL);
	wire_stream_free(&s);
}

/* Any order of segments, with repetitions, gives the text. */
static void
any_order(void **state)
{
	(void)state;
	static const char text[] = "the quick brown fox jumps over the lazy dog";
	uint32_t length = sizeof(text) - 1;

	srandom(7);
	for (int round = 0; round < 200; round++) {
		struct wire_stream s = WIRE_STREAM_EMPTY;
		uint32_t base = (uint32_t)random() * 2, got = 0;

		wire_stream_begin(&s, base);
		while (got < length) {
			uint32_t from = (uint32_t)random() % length, n = 1 + (uint32_t)random() % 9;
			struct wire_stream_next next;

			n = n > length - from ? length - from : n;
			if (s.held_n < WIRE_HELD_MAX || from <= got)
				wire_stream_put(&s, base + from, (const uint8_t *)text + from, n);
			for (next = wire_stream_next(&s, false); next.kind != WIRE_STREAM_WAITS;
			     next = wire_stream_next(&s, false)) {
				assert_int_equal(next.kind, WIRE_STREAM_BYTES);
				assert_memory_equal(next.at, text + got, next.n);
				got += next.n;
			}
		}
		wire_stream_free(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),     cmocka_unit_test(late_twice_and_overlapping),
		cmocka_unit_test(numbers_wrap), cmocka_unit_test(began_before),
		cmocka_unit_test(holes),        cmocka_unit_test(no_endless_hope),
		cmocka_unit_test(any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
