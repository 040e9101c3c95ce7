#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "broker/wire_packet.h"
#include "common/buf.h"
#include "common/bytes.h"

#define ETHERNET 1
#define RAW      101
#define SLL      113
#define SLL2     276

static void
add(struct buf *b, const void *at, size_t n)
{
	buf_append(b, at, n);
}

#define ADD(b, ...) add((b), (uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))

/* 10.0.0.1:50000 -> 10.0.0.2:9092, number 0x01020304, and seven bytes after a header of 24. */
static void
add_tcp(struct buf *b, uint8_t flags)
{
	ADD(b, 0xc3, 0x50, 0x23, 0x84, 1, 2, 3, 4, 0, 0, 0, 0, 0x60, flags, 0xff, 0xff, 0, 0, 0, 0);
	ADD(b, 1, 1, 1, 1); /* options */
	add(b, "payload", 7);
}

static void
add_ipv4(struct buf *b, uint16_t fragment, uint8_t protocol)
{
	ADD(b, 0x46, 0, 0, 24 + 24 + 7, 0, 1, (uint8_t)(fragment >> 8), (uint8_t)fragment, 64, protocol, 0,
	    0);
	ADD(b, 10, 0, 0, 1, 10, 0, 0, 2, 1, 1, 1, 1);
	add_tcp(b, 0x18);
}

static void
add_ipv6(struct buf *b, bool with_extension)
{
	ADD(b, 0x60, 0, 0, 0, 0, (uint8_t)(31 + (with_extension ? 16 : 0)), with_extension ? 0 : 6, 64);
	ADD(b, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
	ADD(b, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2);
	if (with_extension)
		ADD(b, 60, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0);
	add_tcp(b, 0x18);
}

/* From a block of just those bytes, so that a sanitizer sees a read beyond them. */
static enum wire_packet_kind
parse(int link_type, const struct buf *b, size_t n, struct wire_packet *out)
{
	uint8_t *copy = malloc(n + 1);
	enum wire_packet_kind kind;

	assert_non_null(copy);
	memcpy(copy + 1, buf_head(b), n);
	kind = wire_packet_parse(link_type, copy + 1, n, out);
	if (kind == WIRE_PACKET_TCP) {
		assert_true(out->at >= copy + 1 && out->at + out->n <= copy + 1 + n);
		out->at = buf_head(b) + (out->at - copy - 1);
	}
	free(copy);
	return kind;
}

static void
expect(int link_type, struct buf *b, int family)
{
	struct wire_packet packet;

	assert_int_equal(parse(link_type, b, buf_len(b), &packet), WIRE_PACKET_TCP);
	assert_int_equal(packet.from.family, family);
	assert_int_equal(packet.from.address[0], family == 4 ? 10 : 0xfd);
	assert_int_equal(packet.from.address[family == 4 ? 3 : 15], 1);
	assert_int_equal(packet.to.address[family == 4 ? 3 : 15], 2);
	assert_int_equal(packet.from.port, 50000);
	assert_int_equal(packet.to.port, 9092);
	assert_int_equal(packet.seq, 0x01020304);
	assert_false(packet.syn || packet.fin || packet.rst || packet.cut);
	assert_int_equal(packet.n, 7);
	assert_memory_equal(packet.at, "payload", 7);
	for (size_t n = 0; n < buf_len(b); n++)
		if (parse(link_type, b, n, &packet) == WIRE_PACKET_TCP)
			assert_true(packet.cut);
	buf_free(b);
}

static void
links(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;

	ADD(&b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00);
	add_ipv4(&b, 0, 6);
	expect(ETHERNET, &b, 4);

	ADD(&b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd);
	add_ipv6(&b, false);
	expect(ETHERNET, &b, 6);

	ADD(&b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0xa8, 0, 1, 0x81, 0x00, 0, 2, 0x08, 0x00);
	add_ipv4(&b, 0x4000, 6); /* two VLAN tags; "do not fragment" */
	expect(ETHERNET, &b, 4);

	ADD(&b, 0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00);
	add_ipv4(&b, 0, 6);
	expect(SLL, &b, 4);

	ADD(&b, 0x86, 0xdd, 0, 0, 0, 0, 0, 1, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0);
	add_ipv6(&b, true);
	expect(SLL2, &b, 6);

	ADD(&b, 2, 0, 0, 0);
	add_ipv4(&b, 0, 6);
	expect(0, &b, 4);

	ADD(&b, 0, 0, 0, 30);
	add_ipv6(&b, false);
	expect(108, &b, 6);

	add_ipv6(&b, true);
	expect(RAW, &b, 6);
	add_ipv4(&b, 0, 6);
	expect(12, &b, 4);
}

/* What follows the IP packet is the link's, not TCP's. */
static void
padding(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;

	struct wire_packet packet;

	add_ipv4(&b, 0, 6);
	ADD(&b, 0, 0, 0, 0, 0, 0);
	assert_int_equal(parse(RAW, &b, buf_len(&b), &packet), WIRE_PACKET_TCP);
	assert_int_equal(packet.n, 7);
	assert_false(packet.cut);
	buf_free(&b);
}

/* A packet that the sending card was to cut says length 0. */
static void
length_zero(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;
	struct wire_packet packet;

	add_ipv4(&b, 0, 6);
	put_u16(buf_head(&b) + 2, 0);
	assert_int_equal(parse(RAW, &b, buf_len(&b), &packet), WIRE_PACKET_TCP);
	assert_int_equal(packet.n, 7);
	assert_false(packet.cut);
	buf_free(&b);
}

static void
flags(void **state)
{
	(void)state;
	for (int flag = 1; flag <= 4; flag *= 2) {
		struct buf b = BUF_EMPTY;
		struct wire_packet packet;

		add_ipv4(&b, 0, 6);
		buf_head(&b)[24 + 13] = (uint8_t)flag;
		assert_int_equal(parse(RAW, &b, buf_len(&b), &packet), WIRE_PACKET_TCP);
		assert_int_equal(packet.fin, flag == 1);
		assert_int_equal(packet.syn, flag == 2);
		assert_int_equal(packet.rst, flag == 4);
		buf_free(&b);
	}
}

static void
expect_kind(int link_type, struct buf *b, enum wire_packet_kind kind)
{
	struct wire_packet packet;

	assert_int_equal(parse(link_type, b, buf_len(b), &packet), kind);
	buf_free(b);
}

static void
other_things(void **state)
{
	(void)state;
	struct buf b = BUF_EMPTY;

	add_ipv4(&b, 0, 17);
	expect_kind(RAW, &b, WIRE_PACKET_OTHER);
	add_ipv4(&b, 0x2000, 6);
	expect_kind(RAW, &b, WIRE_PACKET_FRAGMENT);
	add_ipv4(&b, 0x0010, 6);
	expect_kind(RAW, &b, WIRE_PACKET_FRAGMENT);
	add_ipv4(&b, 0, 6);
	buf_head(&b)[0] = 0x41; /* a header that is shorter than any */
	expect_kind(RAW, &b, WIRE_PACKET_OTHER);
	add_ipv4(&b, 0, 6);
	buf_head(&b)[24 + 12] = 0x10; /* the same, of TCP */
	expect_kind(RAW, &b, WIRE_PACKET_OTHER);
	add_ipv6(&b, false);
	buf_head(&b)[6] = 44;
	expect_kind(RAW, &b, WIRE_PACKET_FRAGMENT);
	ADD(&b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x06, 1, 2, 3); /* ARP */
	expect_kind(ETHERNET, &b, WIRE_PACKET_OTHER);
	add_ipv4(&b, 0, 6);
	expect_kind(9999, &b, WIRE_PACKET_STRANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links), cmocka_unit_test(padding),      cmocka_unit_test(length_zero),
		cmocka_unit_test(flags), cmocka_unit_test(other_things),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
