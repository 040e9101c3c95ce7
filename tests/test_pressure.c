/*
 * Memory for requests is short: who is read all the same, who is closed, and who is not. One worker in this process;
 * memory becomes short when the budget is made smaller, or when others (who are not there) hold some.
 */
#include "broker/pressure.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/connection.h"
#include "common/clock.h"
#include "common/diag.h"
#include "tests/lib/test.h"
#include "tests/lib/workers.h"

static const uint8_t ask[] = { 0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff }; /* ApiVersions */
static const uint8_t zeros[65536];

static struct workers *ws;
static struct worker *w;

static int
setup(void **state)
{
	(void)state;
	diag_setup(DIAG_ERROR, DIAG_TEXT);
	ws = workers_begin(1);
	w = ws->at[0];
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	workers_end(ws);
	return 0;
}

static struct connection *
newest_connection(void)
{
	return LIST_OF(w->connections.prev, struct connection, in_worker);
}

/* It holds the beginning of a request of 64 KB, in a chunk of 128 KB if memory is not tight. */
static struct client
connect_with_half(void)
{
	static const uint8_t size[] = { 0, 1, 0, 0 };
	struct client c = workers_connect(ws, 0);

	client_send_raw(&c, size, sizeof(size));
	client_send_raw(&c, zeros, 5000);
	workers_turn(ws);
	return c;
}

/* It does not read its answers, and has sent more than is served. */
static struct client
connect_deaf(void)
{
	static uint8_t many[sizeof(ask) * 500];
	struct client c = workers_connect(ws, 0);
	struct connection *connection = newest_connection();

	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = ask[i % sizeof(ask)];
	assert_int_equal(setsockopt(connection->fd, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int)), 0);
	client_send_raw(&c, many, sizeof(many));
	workers_settle(ws);
	assert_non_null(connection->chunk);
	assert_true(buf_len(&connection->pending) > 0);
	return c;
}

/* Reads what there is, at most so many bytes. False: it was closed. */
static bool
read_some(struct client *c, size_t most)
{
	char text[512];
	ssize_t n = 1;

	for (size_t got = 0; got < most && n > 0; got += (size_t)n)
		n = recv(c->fd, text, sizeof(text), MSG_DONTWAIT);
	return n > 0 || (n < 0 && errno == EAGAIN);
}

static bool
is_open(struct client *c)
{
	workers_settle(ws);
	return read_some(c, SIZE_MAX);
}

/* The worker looks who stands still, as if it were so much later. */
static void
look_ms_later(int64_t ms)
{
	pressure_look(w, clock_monotonic_ms() + ms);
	workers_turn(ws);
}

/* Nobody has to give way before it is over. */
static void
look_for_a_second(void)
{
	uint32_t n = w->connection_n;

	look_ms_later(0);
	look_ms_later(900);
	assert_int_equal(w->connection_n, n);
	look_ms_later(1000);
	assert_true(w->connection_n < n);
}

static void
test_who_does_not_read_gives_way_first(void **state)
{
	(void)state;
	struct client half[3];
	for (int i = 0; i < 3; i++)
		half[i] = connect_with_half();
	struct client deaf = connect_deaf();
	ws->config.queued_max_bytes =
	    4 * CHUNK_BYTES; /* half of it may be held by all but the first that waits */
	for (int i = 0; i < 3; i++)
		client_send_raw(&half[i], zeros, 1);
	workers_turn(ws);
	look_for_a_second();
	assert_false(is_open(&deaf));
	client_close(&deaf);
	for (int i = 0; i < 3; i++) {
		assert_true(is_open(&half[i]));
		client_close(&half[i]);
	}
}

static void
test_who_waits_longest_keeps_its_place(void **state)
{
	(void)state;
	struct client half[5];
	for (int i = 0; i < 5; i++)
		half[i] = connect_with_half();
	ws->config.queued_max_bytes = 4 * CHUNK_BYTES;
	for (int i = 0; i < 5; i++)
		client_send_raw(&half[i], zeros, 1);
	workers_turn(ws);
	look_for_a_second();
	static const bool stays[] = { true, false, false, true, true };
	for (int i = 0; i < 5; i++) {
		assert_int_equal(is_open(&half[i]), stays[i]);
		client_close(&half[i]);
	}
}

/* 4 KB in five seconds: of its own, or of the answers that it had not read. */
static void
test_who_stands_still_is_closed(void **state)
{
	(void)state;
	struct client silent = connect_with_half(), slow = connect_with_half();
	struct client deaf = connect_deaf(), listens = connect_deaf();

	look_ms_later(0);
	client_send_raw(&slow, zeros, 4096);
	for (int i = 0; i < 50; i++) {
		assert_true(read_some(&listens, 4096));
		workers_turn(ws);
	}
	look_ms_later(4900);
	assert_int_equal(w->connection_n, 4);
	look_ms_later(5100);
	assert_int_equal(w->connection_n, 2);
	assert_true(is_open(&slow) && is_open(&listens));
	assert_false(is_open(&silent));
	assert_false(is_open(&deaf));
	client_close(&silent);
	client_close(&slow);
	client_close(&deaf);
	client_close(&listens);
}

/* So many begin a request and go no further; and then comes somebody who has something to say, of 6 KB if it is `long`. */
static struct client
come_behind(struct client *slow, int n, const void *bytes, size_t size, bool is_long)
{
	static const uint8_t header[] = {
		0, 0, 0x17, 0x7a, 0, 18, 0, 0, 0, 0, 0, 1, 0x17, 0x70
	}; /* client id: 6000 */
	for (int i = 0; i < n; i++) {
		slow[i] = workers_connect(ws, 0);
		client_send_raw(&slow[i], bytes, size);
	}
	workers_settle(ws);
	struct client c = workers_connect(ws, 0);
	client_send_raw(&c, is_long ? header : ask, sizeof(ask));
	if (is_long)
		client_send_raw(&c, zeros, 6000);
	return c;
}

static void
all_leave(struct client *slow, int n, struct client *c)
{
	for (int i = 0; i < n; i++) {
		assert_true(is_open(&slow[i]));
		client_close(&slow[i]);
	}
	client_close(c);
	workers_settle(ws);
	assert_int_equal(w->begun_bytes, 0);
}

static void
test_beginners_that_stand_still_delay_nobody(void **state)
{
	(void)state;
	struct client slow[200];
	size_t others = 1 << 19;

	ws->config.queued_max_bytes = 1 << 20;
	w->chunks.bytes += others;
	struct client c = come_behind(slow, 200, ask, 3, true);
	assert_false(workers_is_quiet(ws, &c));
	all_leave(slow, 200, &c);
	w->chunks.bytes -= others;
}

/* There are more of them than there is memory for beginners. It is given anew, to many at once. */
static void
test_beginners_do_not_keep_the_beginners_memory(void **state)
{
	(void)state;
	static const uint8_t half[3000] = { 0, 0, 64, 0 };
	struct client slow[30];
	size_t others = 1 << 19;
	int looks = 0;

	ws->config.queued_max_bytes = 1 << 20;
	w->chunks.bytes += others;
	struct client c = come_behind(slow, 30, half, sizeof(half), true);
	assert_in_range(w->begun_bytes, 1, (1 << 16) + CHUNK_BYTES);
	for (; workers_is_quiet(ws, &c); looks++) {
		assert_true(looks < 6);
		look_ms_later(400);
	}
	assert_true(looks > 0);
	all_leave(slow, 30, &c);
	w->chunks.bytes -= others;
}

/* Nor need those who have little to say wait for that, however much others begin. */
static void
test_who_says_little_waits_for_nobody(void **state)
{
	(void)state;
	static const uint8_t half[3000] = { 0, 0, 64, 0 };
	struct client slow[30];
	size_t others = 1 << 19;

	ws->config.queued_max_bytes = 1 << 20;
	w->chunks.bytes += others;
	struct client c = come_behind(slow, 30, half, sizeof(half), false);
	assert_true(w->begun_bytes > 1 << 16);
	assert_false(workers_is_quiet(ws, &c));
	assert_in_range(w->chunks.bytes - others, 1, (1 << 16) + CHUNK_BYTES + 31 * CHUNK_SLIM_BYTES);
	all_leave(slow, 30, &c);
	w->chunks.bytes -= others;
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(who_does_not_read_gives_way_first),
		T(who_waits_longest_keeps_its_place),
		T(who_stands_still_is_closed),
		T(beginners_that_stand_still_delay_nobody),
		T(beginners_do_not_keep_the_beginners_memory),
		T(who_says_little_waits_for_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
