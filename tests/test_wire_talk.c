#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "broker/wire_talk.h"
#include "protocol/messages.h"

static struct wire_talk talk;

static int
setup(void **state)
{
	(void)state;
	wire_talk_init(&talk);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	wire_talk_free(&talk);
	return 0;
}

/* Both directions' frames, as short as can be. */
static struct wire_piece
ask(int16_t key, int16_t version, int32_t id, int64_t at_us, struct wire_message *m)
{
	struct request_header header = { key, version, id, STR("me") };
	struct buf frame = BUF_EMPTY;
	struct wire_piece piece;

	buf_append(&frame, "\0\0\0\x0c", 4);
	request_header_encode(&frame, NULL, &header);
	wire_talk_put(&talk, WIRE_REQUEST, buf_head(&frame), buf_len(&frame));
	buf_free(&frame);
	piece = wire_talk_next(&talk, WIRE_REQUEST, at_us, m);
	return piece;
}

static struct wire_piece
answer(int32_t id, int64_t at_us, struct wire_message *m)
{
	uint8_t frame[8] = { 0, 0, 0, 4, 0, 0, (uint8_t)(id >> 8), (uint8_t)id };

	wire_talk_put(&talk, WIRE_RESPONSE, frame, sizeof(frame));
	return wire_talk_next(&talk, WIRE_RESPONSE, at_us, m);
}

static void
expect_answer(int32_t id, int64_t at_us, int16_t key, int16_t version, int64_t took_us)
{
	struct wire_message m;

	assert_int_equal(answer(id, at_us, &m).kind, WIRE_FRAME);
	assert_int_equal(m.way, WIRE_RESPONSE);
	assert_int_equal(m.correlation_id, id);
	assert_int_equal(m.is_known, key >= 0);
	assert_int_equal(m.took_us, took_us);
	if (key < 0)
		return;
	assert_int_equal(m.api_key, key);
	assert_int_equal(m.api_version, version);
}

static void
pairs(void **state)
{
	(void)state;
	struct wire_message m;

	assert_int_equal(ask(3, 1, 7, 1000, &m).kind, WIRE_FRAME);
	assert_true(m.is_known);
	assert_int_equal(m.api_key, 3);
	assert_int_equal(m.api_version, 1);
	assert_int_equal(m.correlation_id, 7);
	assert_int_equal(m.n, 16);
	ask(1, 4, 8, 1100, &m);
	ask(2, 1, 9, -1, &m);
	expect_answer(7, 1250, 3, 1, 250);
	expect_answer(8, 2000, 1, 4, 900);
	expect_answer(9, 2000, 2, 1, -1);
	expect_answer(9, 2000, -1, 0, -1);
}

/* Produce with acks = 0 is never answered; the ones before an answered one need not be waited for. */
static void
some_are_never_answered(void **state)
{
	(void)state;
	struct wire_message m;

	for (int32_t id = 0; id < 5 * WIRE_WAITING_MAX; id++)
		ask(0, (int16_t)(id % 8), id, id, &m);
	expect_answer(3, 9000, -1, 0, -1); /* so long ago that it was forgotten */
	expect_answer(5 * WIRE_WAITING_MAX - 2, 9000, 0, (5 * WIRE_WAITING_MAX - 2) % 8,
		      9000 - (5 * WIRE_WAITING_MAX - 2));
	expect_answer(5 * WIRE_WAITING_MAX - 3, 9000, -1, 0, -1);
	expect_answer(5 * WIRE_WAITING_MAX - 1, 9000, 0, (5 * WIRE_WAITING_MAX - 1) % 8,
		      9000 - (5 * WIRE_WAITING_MAX - 1));
}

static void
broken_requests(void **state)
{
	(void)state;
	struct wire_message m;
	static const uint8_t frame[] = { 0, 0, 0, 6, 0, 3, 0, 1, 0, 0 }, tiny[] = { 0, 0, 0, 2, 0, 0 };

	wire_talk_put(&talk, WIRE_REQUEST, frame, sizeof(frame));
	assert_int_equal(wire_talk_next(&talk, WIRE_REQUEST, 0, &m).kind, WIRE_FRAME);
	assert_false(m.is_known);
	wire_talk_put(&talk, WIRE_RESPONSE, tiny, sizeof(tiny));
	assert_int_equal(wire_talk_next(&talk, WIRE_RESPONSE, 0, &m).kind, WIRE_FRAME);
	assert_false(m.is_known);
	assert_int_equal(m.correlation_id, -1);
}

/* Where a capture has a hole, frames are found again by what their beginnings look like. */
static void
found_again(void **state)
{
	(void)state;
	struct wire_message m;
	static const uint8_t request[] = { 0, 0, 0, 12, 0, 3, 0, 1, 0, 0, 0, 7, 0, 2, 'm', 'e' };
	static const uint8_t response[] = { 0, 0, 0, 4, 0, 0, 0, 7 };
	static const uint8_t no_request[] = { 0, 0, 0, 12, 'a', 'b', 'c', 'd', 0, 0, 0, 7, 0, 2, 'm', 'e' };
	static const uint8_t half[] = { 0, 0, 1, 0, 'x' };

	assert_true(wire_talk_could_begin(&talk, WIRE_REQUEST, request, sizeof(request)));
	assert_false(wire_talk_could_begin(&talk, WIRE_REQUEST, request + 1, sizeof(request) - 1));
	assert_false(wire_talk_could_begin(&talk, WIRE_REQUEST, no_request, sizeof(no_request)));
	for (size_t n = 0; n < sizeof(request); n++)
		assert_false(wire_talk_could_begin(&talk, WIRE_REQUEST, request, n));
	assert_false(wire_talk_could_begin(&talk, WIRE_RESPONSE, response, sizeof(response)));

	wire_talk_put(&talk, WIRE_REQUEST, half, sizeof(half));
	assert_int_equal(wire_talk_next(&talk, WIRE_REQUEST, 0, &m).kind, WIRE_NOTHING);
	wire_talk_lose(&talk, WIRE_REQUEST);
	wire_talk_put(&talk, WIRE_REQUEST, request, sizeof(request));
	assert_int_equal(wire_talk_next(&talk, WIRE_REQUEST, 0, &m).kind, WIRE_FRAME);
	assert_true(wire_talk_could_begin(&talk, WIRE_RESPONSE, response, sizeof(response)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pairs, setup, teardown),
		cmocka_unit_test_setup_teardown(some_are_never_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(found_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
