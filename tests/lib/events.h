/*
 * events: what happens to a broker, as a list of bytes that a fuzzer can change. Any bytes are some list; what does not
 * fit is left out. An event is what u8, whose u8, length u16, and so many bytes.
 *
 *	0 to 8  a request, its size put in front     12  all workers take a turn
 *	9, 10   bytes as they are                    13  the client sends no more
 *	11      the end, after which all begins      14  the client is gone
 *	        anew but for the store               15  the cleaner takes a step
 */
#ifndef TESTS_LIB_EVENTS_H
#define TESTS_LIB_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "tests/lib/sample.h"

#define EVENTS_MOST 64
#define EVENT_HEAD  4

enum event_kind {
	EVENT_REQUEST = 0,
	EVENT_BYTES = 9,
	EVENT_END = 11,
	EVENT_TURN = 12,
	EVENT_HANGUP = 13,
	EVENT_VANISH = 14,
	EVENT_CLEAN = 15,
};

struct event {
	enum event_kind what;
	uint8_t whom;
	uint16_t n;
	const uint8_t *at;
};

struct events {
	struct event at[EVENTS_MOST];
	int n;
};

/* Views of the bytes, up to and with the first EVENT_END, and as many as fit. The number of bytes that they took. */
size_t events_read(struct events *out, const uint8_t *at, size_t n);
/* The number of bytes, `most` at most. */
size_t events_write(const struct events *events, size_t most, struct buf *out);

/*
 * Change the list in these bytes, in a way that a broker understands more often than not: new requests (traffic.h), some
 * with other fields, twice, or not at all. bytes() changes any bytes. The number of bytes that there are then.
 */
size_t events_mutate(struct sample *s, uint8_t *at, size_t n, size_t most,
		     size_t (*bytes)(uint8_t *at, size_t n, size_t most));

#endif
