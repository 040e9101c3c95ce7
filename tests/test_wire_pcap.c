#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/wire_pcap.h"
#include "common/buf.h"
#include "common/bytes.h"

/*
 * Captures made by hand: IP packets without a link (LINKTYPE_RAW), one microsecond apart.
 */
#define CLIENT_BEGAN 1000u /* the first numbers of both sides; their SYNs take one */
#define BROKER_BEGAN 5000u
#define TIME_LENGTH  (sizeof("2023-11-14T22:13:20.000003Z  ") - 1)

static char *dir;
static FILE *file;
static uint32_t packets;
static uint16_t client_port;

static const char ask_7[] = "\0\0\0\x0e\0\3\0\1\0\0\0\7\xff\xff\0\0\0\0";
static const char ask_8[] = "\0\0\0\x0e\0\3\0\1\0\0\0\x08\xff\xff\0\0\0\0";
static const char answer_7[] = "\0\0\0\x10\0\0\0\7\0\0\0\0\0\0\0\1\0\0\0\0";
static const char answer_8[] = "\0\0\0\x10\0\0\0\x08\0\0\0\0\0\0\0\1\0\0\0\0";
#define ASK_BYTES    18u
#define ANSWER_BYTES 20u

static int
setup(void **state)
{
	(void)state;
	dir = test_dir_make();
	packets = 0;
	client_port = 50000;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	test_dir_remove(dir);
	return 0;
}

static void
begin(uint32_t link_type)
{
	uint32_t header[6] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, link_type };

	file = fopen(test_path(dir, "capture"), "w");
	assert_non_null(file);
	assert_int_equal(fwrite(header, sizeof(header), 1, file), 1);
}

static void
add_packet(const uint8_t *at, uint32_t n, uint32_t whole)
{
	uint32_t header[4] = { 1700000000, packets++, n, whole };

	assert_int_equal(fwrite(header, sizeof(header), 1, file), 1);
	assert_int_equal(fwrite(at, n, 1, file), 1);
}

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

/* A segment, of which the capture holds `held` bytes. */
static void
add_cut_segment(bool to_broker, uint32_t seq, int flags, const void *bytes, uint32_t n, uint32_t held)
{
	uint8_t packet[40 + 256] = { 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6 };

	assert_true(n <= 256);
	put_u16(packet + 2, (uint16_t)(40 + n));
	put_u32(packet + 12, to_broker ? 0x7f000001 : 0x7f000002);
	put_u32(packet + 16, to_broker ? 0x7f000002 : 0x7f000001);
	put_u16(packet + 20, to_broker ? client_port : 9092);
	put_u16(packet + 22, to_broker ? 9092 : client_port);
	put_u32(packet + 24, seq);
	packet[32] = 0x50;
	packet[33] = (uint8_t)flags;
	memcpy(packet + 40, bytes, n);
	add_packet(packet, 40 + held, 40 + n);
}

static void
add_segment(bool to_broker, uint32_t seq, int flags, const void *bytes, uint32_t n)
{
	add_cut_segment(to_broker, seq, flags, bytes, n, n);
}

static void
ask(uint32_t after, const void *bytes, uint32_t n)
{
	add_segment(true, CLIENT_BEGAN + 1 + after, ACK, bytes, n);
}

static void
answer(uint32_t after, const void *bytes, uint32_t n)
{
	add_segment(false, BROKER_BEGAN + 1 + after, ACK, bytes, n);
}

static void
shake_hands(void)
{
	add_segment(true, CLIENT_BEGAN, SYN, "", 0);
	add_segment(false, BROKER_BEGAN, SYN | ACK, "", 0);
	ask(0, "", 0);
}

static bool
explain_file(char **text)
{
	struct wire_view view = { .brief = true };
	size_t n = 0;
	bool good;

	if (file != NULL)
		assert_int_equal(fclose(file), 0);
	file = NULL;
	*text = NULL;
	view.out = open_memstream(text, &n);
	assert_non_null(view.out);
	good = wire_pcap_explain(test_path(dir, "capture"), 9092, &view);
	fclose(view.out);
	return good;
}

/* The lines without their times, which the tests of wire_explain show. */
static void
expect(const char *wanted)
{
	struct buf found = BUF_EMPTY;
	char *text;

	assert_true(explain_file(&text));
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
		buf_append(&found, line + TIME_LENGTH, strcspn(line, "\n") + 1 - TIME_LENGTH);
	buf_append(&found, "", 1);
	assert_string_equal((char *)buf_head(&found), wanted);
	buf_free(&found);
	free(text);
}

#define LINE_ASK_7    "#1 127.0.0.1:50000 -> Metadata v1 request, id 7, 18 bytes, client null\n"
#define LINE_ASK_8    "#1 127.0.0.1:50000 -> Metadata v1 request, id 8, 18 bytes, client null\n"
#define LINE_ANSWER_7 "#1 127.0.0.1:50000 <- Metadata v1 response, id 7, 20 bytes"
#define LINE_ANSWER_8 "#1 127.0.0.1:50000 <- Metadata v1 response, id 8, 20 bytes"

static void
a_conversation(void **state)
{
	(void)state;
	begin(101);
	shake_hands();
	ask(0, ask_7, 5); /* in two pieces */
	ask(5, ask_7 + 5, ASK_BYTES - 5);
	answer(0, answer_7, ANSWER_BYTES);
	ask(ASK_BYTES, ask_8, ASK_BYTES);
	answer(ANSWER_BYTES, answer_8, ANSWER_BYTES);
	add_segment(true, CLIENT_BEGAN + 1 + 2 * ASK_BYTES, FIN | ACK, "", 0);
	add_segment(false, BROKER_BEGAN + 1 + 2 * ANSWER_BYTES, FIN | ACK, "", 0);
	ask(2 * ASK_BYTES + 1, "", 0);
	expect(LINE_ASK_7 LINE_ANSWER_7 ", after 1 us\n" LINE_ASK_8 LINE_ANSWER_8 ", after 1 us\n");
}

static void
reordered_and_repeated(void **state)
{
	(void)state;
	begin(101);
	shake_hands();
	ask(ASK_BYTES, ask_8, ASK_BYTES);
	ask(10, ask_7 + 10, ASK_BYTES - 10);
	ask(0, ask_7, 12);
	ask(0, ask_7, ASK_BYTES);
	answer(0, answer_7, ANSWER_BYTES);
	answer(0, answer_7, ANSWER_BYTES);
	answer(ANSWER_BYTES, answer_8, ANSWER_BYTES);
	expect(LINE_ASK_7 LINE_ASK_8 LINE_ANSWER_7 ", after 2 us\n" LINE_ANSWER_8 ", after 4 us\n");
}

/* The capture began amid a frame: from the next frame on everything is understood. */
static void
began_before(void **state)
{
	(void)state;
	begin(101);
	ask(5, ask_7 + 5, ASK_BYTES - 5);
	answer(0, answer_7, ANSWER_BYTES);
	ask(ASK_BYTES, ask_8, ASK_BYTES);
	answer(ANSWER_BYTES, answer_8, ANSWER_BYTES);
	expect("#1 127.0.0.1:50000 requests: began before the capture\n"
	       "#1 127.0.0.1:50000 responses: began before the capture\n" LINE_ASK_8 LINE_ANSWER_8
	       ", after 1 us\n");
}

static void
a_hole(void **state)
{
	(void)state;
	begin(101);
	shake_hands();
	ask(0, ask_7, 5); /* the rest of it is missing */
	ask(ASK_BYTES, ask_8, ASK_BYTES);
	answer(0, answer_7, ANSWER_BYTES);
	answer(ANSWER_BYTES, answer_8, ANSWER_BYTES);
	add_segment(true, CLIENT_BEGAN + 1 + 2 * ASK_BYTES, RST, "", 0);
	expect("#1 127.0.0.1:50000 <- response to a request that was not seen, id 7, 20 bytes\n"
	       "#1 127.0.0.1:50000 <- response to a request that was not seen, id 8, 20 bytes\n"
	       "#1 127.0.0.1:50000 requests: 13 bytes are missing in the capture\n" LINE_ASK_8);
}

/* Nothing follows the gap but the farewell, whose number tells. */
static void
a_hole_at_the_end(void **state)
{
	(void)state;
	begin(101);
	shake_hands();
	ask(0, ask_7, ASK_BYTES);
	add_segment(true, CLIENT_BEGAN + 1 + ASK_BYTES, FIN | ACK, "", 0);
	add_segment(false, BROKER_BEGAN + 1 + ANSWER_BYTES, FIN | ACK, "", 0);
	expect(LINE_ASK_7 "#1 127.0.0.1:50000 responses: 20 bytes are missing in the capture\n");
}

/* Farewells that overtake what was said. */
static void
late_after_the_end(void **state)
{
	(void)state;
	begin(101);
	shake_hands();
	ask(0, ask_7, ASK_BYTES);
	add_segment(true, CLIENT_BEGAN + 1 + ASK_BYTES, FIN | ACK, "", 0);
	add_segment(false, BROKER_BEGAN + 1 + ANSWER_BYTES, FIN | ACK, "", 0);
	answer(0, answer_7, ANSWER_BYTES);
	expect(LINE_ASK_7 LINE_ANSWER_7 ", after 3 us\n");
}

static void
two_connections(void **state)
{
	(void)state;
	begin(101);
	shake_hands();
	ask(0, ask_7, ASK_BYTES);
	client_port = 50001;
	shake_hands();
	ask(0, ask_7, ASK_BYTES);
	client_port = 50000;
	answer(0, answer_7, ANSWER_BYTES);
	shake_hands(); /* repeated: nothing new */
	ask(ASK_BYTES, ask_8, ASK_BYTES);
	add_segment(true, 77, SYN, "", 0); /* the port is used again */
	add_segment(true, 78, ACK, ask_7, 6);
	expect(LINE_ASK_7
	       "#2 127.0.0.1:50001 -> Metadata v1 request, id 7, 18 bytes, client null\n" LINE_ANSWER_7
	       ", after 5 us\n" LINE_ASK_8 "#3 127.0.0.1:50000 ended within a frame, after 6 bytes of it\n");
}

static void
not_kafka(void **state)
{
	(void)state;
	begin(101);
	shake_hands();
	ask(0, "GET / HTTP/1.1\r\n\r\n", 18);
	answer(0, "\x16\3\1\2", 4);
	expect("#1 127.0.0.1:50000 requests: this is not Kafka's protocol (or TLS hides it)\n"
	       "#1 127.0.0.1:50000 responses: this is not Kafka's protocol (or TLS hides it)\n");
}

/* What goes to standard error is for the reader's eyes; here it is captured. */
static void
expect_error(bool good, const char *text, const char *error)
{
	char *found;
	const char *said;
	bool was_good;

	test_stderr_begin();
	was_good = explain_file(&found);
	said = test_stderr_end();
	assert_int_equal(was_good, good);
	assert_string_equal(found, text);
	if (strstr(said, error) == NULL)
		fail_msg("'%s' is not in '%s'", error, said);
	free(found);
}

static void
nothing_of_ours(void **state)
{
	(void)state;
	begin(101);
	add_packet((const uint8_t *)"E", 1, 1);
	expect_error(true, "", "no TCP packet to or from port 9092");
}

static void
cut_packets(void **state)
{
	(void)state;
	begin(101);
	shake_hands();
	add_cut_segment(true, CLIENT_BEGAN + 1, ACK, ask_7, ASK_BYTES, 4);
	expect_error(
	    true,
	    "2023-11-14T22:13:20.000003Z  #1 127.0.0.1:50000 ended within a frame, after 4 bytes of it\n",
	    "1 packets are not whole in the capture");
}

static void
unreadable_files(void **state)
{
	(void)state;
	file = NULL;
	expect_error(false, "", "No such file");
	test_file_write(test_path(dir, "capture"), "this is no capture, though it is long enough to be one");
	expect_error(false, "", "broker wire: ");
	begin(9);
	add_packet((const uint8_t *)"E", 1, 1);
	expect_error(false, "", "link type 9 is not known here");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_conversation, setup, teardown),
		cmocka_unit_test_setup_teardown(reordered_and_repeated, setup, teardown),
		cmocka_unit_test_setup_teardown(began_before, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hole, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hole_at_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(late_after_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(two_connections, setup, teardown),
		cmocka_unit_test_setup_teardown(not_kafka, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_of_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_packets, setup, teardown),
		cmocka_unit_test_setup_teardown(unreadable_files, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
