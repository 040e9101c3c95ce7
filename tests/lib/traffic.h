/*
 * traffic: requests that a broker would not refuse at first sight: any served API and version, but with topics,
 * groups, members, producers, partitions and offsets that are few enough to meet again.
 *
 *	struct sample s = { .seed = 7, .arena = &arena };
 *	traffic_request(&s, &frame);                        header and body, without the size in front
 *	traffic_change(&s, at, n, &frame);                  the same request with some fields changed
 *
 * What only a running broker knows stands in the bytes as a mark of the same length, for traffic_fill() to replace
 * at the moment of sending: the id of a topic, the id of a member that was called "c".
 */
#ifndef TESTS_LIB_TRAFFIC_H
#define TESTS_LIB_TRAFFIC_H

#include <stdbool.h>

#include "common/buf.h"
#include "tests/lib/sample.h"

/* Appended to `out`. */
void traffic_request(struct sample *s, struct buf *out);
/* False: these bytes are no request that is served. */
bool traffic_change(struct sample *s, const uint8_t *at, size_t n, struct buf *out);

#define TRAFFIC_MEMBER_BYTES 38 /* "c-" and a UUID */
#define TRAFFIC_KNOWN        4

struct traffic_known {
	struct uuid topics[TRAFFIC_KNOWN];
	char members[TRAFFIC_KNOWN][TRAFFIC_MEMBER_BYTES];
};
/* Put what is known where its marks are. */
void traffic_fill(const struct traffic_known *known, uint8_t *at, size_t n);

#endif
