#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "broker/wire_hex.h"

static const char want[] = "\x00\x00\x00\x17\x00\x12\x00\x04\x00\x00\x00\x01\x00\x07rdkafka\x00";
#define WANT_BYTES (sizeof(want) - 1)

static void
expect(const char *text, const char *bytes, size_t n)
{
	struct buf out = BUF_EMPTY;
	char why[200] = "";

	if (!wire_hex_parse(text, strlen(text), &out, why, sizeof(why)))
		fail_msg("%s: %s", text, why);
	if (buf_len(&out) != n)
		fail_msg("%zu bytes instead of %zu of: %s", buf_len(&out), n, text);
	if (n > 0)
		assert_memory_equal(buf_head(&out), bytes, n);
	buf_free(&out);
}

static void
refuse(const char *text, const char *why_expected)
{
	struct buf out = BUF_EMPTY;
	char why[200] = "";

	if (wire_hex_parse(text, strlen(text), &out, why, sizeof(why)))
		fail_msg("taken: %s", text);
	assert_string_equal(why, why_expected);
	buf_free(&out);
}

static void
streams_of_digits(void **state)
{
	(void)state;
	expect("", "", 0);
	expect("\n\n", "", 0);
	expect("000000170012000400000001000772646b61666b6100", want, WANT_BYTES);
	expect("00000017 00120004 00000001\n0007 72646b61666b61 00", want, WANT_BYTES);
	expect("00:00:00:17:00:12:00:04:00:00:00:01:00:07:72:64:6B:61:66:6B:61:00", want, WANT_BYTES);
	expect("0000:0017:0012:0004:0000:0001:0007:7264:6b61:666b:6100", want, WANT_BYTES);
	expect("0x00, 0x00, 0x00, 0x17, {0x00,0x12}", want, 6);
}

/* Words of two digits' bytes and more, none of which counts what stood before it. */
static void
numbers_that_are_no_offsets(void **state)
{
	(void)state;
	expect("00000000 00000001", "\0\0\0\0\0\0\0\1", 8);
	expect("00000000", "\0\0\0\0", 4);
	expect("0000000e 0003", "\0\0\0\x0e\0\3", 6);
	expect("00000017\n00000004", "\0\0\0\x17\0\0\0\4", 8);
}

static void
dumps(void **state)
{
	(void)state;
	expect("00000000: 0000 0017 0012 0004 0000 0001 0007 7264  ..............rd\n"
	       "00000010: 6b61 666b 6100                           kafka.\n",
	       want, WANT_BYTES);
	expect("00000000  00 00 00 17 00 12 00 04  00 00 00 01 00 07 72 64  |..............rd|\n"
	       "00000010  6b 61 66 6b 61 00                                 |kafka.|\n"
	       "00000016\n",
	       want, WANT_BYTES);
	expect("0000000 00 00 00 17 00 12 00 04 00 00 00 01 00 07 72 64\n"
	       "0000020 6b 61 66 6b 61 00\n"
	       "0000026\n",
	       want, WANT_BYTES);
	expect("0000  00 00 00 17 00 12 00 04 00 00 00 01 00 07 72 64   ..............rd\n"
	       "0010  6b 61 66 6b 61 00                                 kafka.\n",
	       want, WANT_BYTES);
	expect("\t0x0000:  0000 0017 0012 0004 0000 0001 0007 7264  ..............rd\n"
	       "\t0x0010:  6b61 666b 6100                           kafka.\r\n",
	       want, WANT_BYTES);
}

/* The column of text may itself look like bytes. */
static void
text_that_looks_like_bytes(void **state)
{
	(void)state;
	expect("00000000: 6161 6262  aabb\n", "aabb", 4);
	expect("00000000: 61616262  aabb\n", "aabb", 4);
	expect("00000000  61 61 62 62                                       |aabb|\n", "aabb", 4);
	expect("0000  61 61 62 62                                       aabb\n", "aabb", 4);
	expect("0000  61 61 62 62 61 61 62 62 61 61 62 62 61 61 62 62 aabbaabb\n", "aabbaabbaabbaabb", 16);
}

static void
nonsense(void **state)
{
	(void)state;
	refuse("00 00\nhello", "line 2: no hex digit: 'h'");
	refuse("00 0", "line 1: an odd number of hex digits: 0");
	refuse("0000000 0000 1700\n0000004\n", "line 1: words of two bytes, which plain hexdump and od -x "
					       "swap: use hexdump -C, xxd or od -t x1");
	refuse("00 \x01", "line 1: no hex digit: '?'");
}

/* Whatever the text, no byte beyond it is read (a sanitizer would see it), and nothing aborts. */
static void
any_prefix(void **state)
{
	(void)state;
	static const char text[] = "0x0000:  0000 0017  ....\n00000004  12 34  |..|\n\\x00,0x1\n";
	struct buf out = BUF_EMPTY;
	char why[200];

	for (size_t n = 0; n < sizeof(text); n++) {
		char *copy = strndup(text, n);

		buf_reset(&out);
		assert_non_null(copy);
		if (!wire_hex_parse(copy, n, &out, why, sizeof(why)))
			assert_in_range(strlen(why), 1, sizeof(why) - 1);
		free(copy);
	}
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_of_digits),
		cmocka_unit_test(numbers_that_are_no_offsets),
		cmocka_unit_test(dumps),
		cmocka_unit_test(text_that_looks_like_bytes),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(any_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
