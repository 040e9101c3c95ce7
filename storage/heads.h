/*
 * heads: of each record of a batch the offset, the timestamp and the length of the key, in order.
 *
 * For those who need no more than that and must not be made to hold what a client's few compressed bytes
 * grow to: a window of some KB goes over the records, values are passed over, and nothing is opened behind
 * the last record that was asked for.
 *
 *	heads_open -> heads_next until false -> heads_end: why -> heads_close
 */
#ifndef STORAGE_HEADS_H
#define STORAGE_HEADS_H

#include "storage/codec.h"
#include "storage/records.h"

struct heads {
	const struct batch *batch;
	struct codec_stream *stream; /* NULL: not compressed, the window is all of the records */
	uint8_t *window;
	const uint8_t *at, *end; /* what is left of the window */
	int32_t given;
	int32_t skip; /* bytes that the last record still has */
	bool damaged;
};

/* The batch must stay. No more than max_bytes are opened of it. */
void heads_open(struct heads *h, const struct batch *batch, size_t max_bytes);
bool heads_next(struct heads *h, struct record_head *out);
/*
 * After heads_next() gave false: CODEC_ENDED where the records were as many as the batch says, and nothing
 * behind them.
 */
enum codec_state heads_end(struct heads *h);
/* Bytes opened so far; 0 for a batch that is not compressed. */
size_t heads_opened(const struct heads *h);
void heads_close(struct heads *h);

#endif
