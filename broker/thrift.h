/*
 * thrift: what a load has taken from the kernel goes back once the load is over.
 *
 * While requests come their memory is kept and used again (keep_heap() in storage/env.c says why). A second in which
 * hardly any was in use is the end of a load: then all that is free goes back, in one go. Nothing of this happens, nor
 * wakes a worker, where no more than THRIFT_KEPT_BYTES was ever in use.
 */
#ifndef BROKER_THRIFT_H
#define BROKER_THRIFT_H

#include <ev.h>
#include <stddef.h>

struct worker;

#define THRIFT_KEPT_BYTES (1024 * 1024)

struct thrift {
	ev_timer look;
	size_t most; /* of requests and of answers that sockets did not take, since the last look */
};

void thrift_init(struct worker *w);
/* Once a turn of the loop, and while what it received is still there. */
void thrift_note(struct worker *w);

#endif
