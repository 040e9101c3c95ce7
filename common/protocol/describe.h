/*
 * describe: the parts that describe.c and describe_records.c share. Private to common/protocol/.
 *
 *	0008  0e 6f 72 64 65 72 73 ..    name          "orders-topic"       with hex
 *	name: "orders-topic"                                                 without
 *
 * Bytes are untrusted: whatever they hold, the text is printable ASCII, a value is cut at 60 characters,
 * and the whole at LINES_BYTES_MAX.
 */
#ifndef COMMON_PROTOCOL_DESCRIBE_H
#define COMMON_PROTOCOL_DESCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/check.h"

#define LINES_BYTES_MAX  (4 * 1024 * 1024)
#define VALUE_LENGTH_MAX 60
#define VALUE_TEXT       (4 * VALUE_LENGTH_MAX + 64) /* room for any value's text */

struct lines {
	struct buf *out;
	const uint8_t *start; /* offsets count from here */
	bool hex;
	size_t limit; /* of out's length; beyond it nothing more is added */
	bool full;
};

/* One line: the bytes from..to, and what they mean. An empty value leaves the name alone on its line. */
void line_add(struct lines *l, int depth, const char *name, const uint8_t *from, const uint8_t *to,
	      const char *fmt, ...) PRINTF_LIKE(6, 7);
/* "text", quoted, escaped and cut; null for n < 0. Returns out. */
const char *quote(char out[VALUE_TEXT], const void *at, int32_t n);
/* 1700000000000 (2023-11-14T22:13:20.000Z); a negative one means none, and is but a number. Returns out. */
const char *time_text(char out[VALUE_TEXT], int64_t ms);

/* Record batches one after the other, as in a records field. The last may be cut. */
void describe_records(struct lines *l, int depth, const uint8_t *at, size_t n);

#endif
