/*
 * explain: what passes through, for those who watch: at debug a line per request and one per answer, at trace
 * the decoded fields, by the same tables and the same walk that serve the request. Costs a comparison when
 * off.
 */
#ifndef BROKER_EXPLAIN_H
#define BROKER_EXPLAIN_H

#include <stddef.h>

#include "broker/call.h"

void explain_request(const struct call *call, size_t bytes);
/* The last `bytes` bytes of the frame are the call's answer, size field included. */
void explain_answer(const struct call *call, const struct frame *frame, size_t bytes);

#endif
