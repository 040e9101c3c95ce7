#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "broker/wire_frames.h"
#include "common/bytes.h"

static void
put_frame(struct wire_frames *f, uint32_t size, size_t n)
{
	uint8_t head[4], *body = calloc(1, n + 1);

	assert_non_null(body);
	put_u32(head, size);
	memset(body, 'x', n);
	wire_frames_put(f, head, sizeof(head));
	wire_frames_put(f, body, n);
	free(body);
}

static void
expect(struct wire_frames *f, enum wire_piece_kind kind, size_t n, size_t whole)
{
	struct wire_piece piece = wire_frames_next(f);

	assert_int_equal(piece.kind, kind);
	assert_int_equal(piece.n, n);
	assert_int_equal(piece.whole, whole);
}

static void
byte_by_byte(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0, 0, 0, 0, 1, 'd' };
	struct wire_frames f = WIRE_FRAMES_EMPTY;
	size_t found = 0, total = 0;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		struct wire_piece piece;

		wire_frames_put(&f, &bytes[i], 1);
		piece = wire_frames_next(&f);
		if (piece.kind == WIRE_NOTHING)
			continue;
		assert_int_equal(piece.kind, WIRE_FRAME);
		assert_memory_equal(piece.at, bytes + total, piece.n);
		total += piece.n;
		found++;
	}
	assert_int_equal(found, 3);
	assert_int_equal(total, sizeof(bytes));
	assert_int_equal(wire_frames_unfinished(&f), 0);
	wire_frames_free(&f);
}

static void
several_at_once(void **state)
{
	(void)state;
	struct wire_frames f = WIRE_FRAMES_EMPTY;

	put_frame(&f, 10, 10);
	put_frame(&f, 0, 0);
	put_frame(&f, 7, 5);
	expect(&f, WIRE_FRAME, 14, 14);
	expect(&f, WIRE_FRAME, 4, 4);
	expect(&f, WIRE_NOTHING, 0, 0);
	expect(&f, WIRE_NOTHING, 0, 0);
	assert_int_equal(wire_frames_unfinished(&f), 9);
	wire_frames_reset(&f);
	assert_int_equal(wire_frames_unfinished(&f), 0);
	put_frame(&f, 1, 1);
	expect(&f, WIRE_FRAME, 5, 5);
	wire_frames_free(&f);
}

/* Of a frame larger than can be kept the head comes, then the rest as it comes in; the next frame is found.
 */
static void
large_frame(void **state)
{
	(void)state;
	struct wire_frames f = WIRE_FRAMES_EMPTY;
	size_t size = 3 * WIRE_FRAME_MAX, whole = size + 4;
	uint8_t rest[1000] = { 0 };

	put_frame(&f, (uint32_t)size, WIRE_FRAME_MAX - 5);
	expect(&f, WIRE_NOTHING, 0, 0);
	wire_frames_put(&f, rest, 1);
	expect(&f, WIRE_HEAD, WIRE_FRAME_MAX, whole);
	expect(&f, WIRE_NOTHING, 0, 0);
	assert_true(wire_frames_unfinished(&f) > 0);
	for (size_t left = whole - WIRE_FRAME_MAX; left > 0;) {
		size_t n = left < sizeof(rest) ? left : sizeof(rest);

		wire_frames_put(&f, rest, n);
		if (n == left)
			put_frame(&f, 2, 2);
		expect(&f, WIRE_REST, n, 0);
		left -= n;
	}
	expect(&f, WIRE_FRAME, 6, 6);
	assert_true(f.kept.cap <= 2 * WIRE_FRAME_MAX);
	wire_frames_free(&f);
}

static void
no_frame(void **state)
{
	(void)state;
	struct wire_frames f = WIRE_FRAMES_EMPTY;

	put_frame(&f, 1, 1);
	put_frame(&f, WIRE_SIZE_MAX + 1, 3);
	expect(&f, WIRE_FRAME, 5, 5);
	expect(&f, WIRE_LOST, 7, 0);
	expect(&f, WIRE_NOTHING, 0, 0);
	put_frame(&f, 1, 1);
	expect(&f, WIRE_LOST, 5, 0);
	wire_frames_free(&f);

	put_frame(&f, UINT32_MAX, 0);
	expect(&f, WIRE_LOST, 4, 0);
	wire_frames_free(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(several_at_once),
		cmocka_unit_test(large_frame),
		cmocka_unit_test(no_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
