/*
 * handoff: an accepted connection goes from the supervisor to a worker, over a Unix socket, as SCM_RIGHTS.
 *
 * Both ends of each worker's pair are kept by the supervisor: connections that were under way to a worker
 * that died are found by its successor.
 */
#ifndef BROKER_HANDOFF_H
#define BROKER_HANDOFF_H

#include <stdbool.h>
#include <stdint.h>

/* What is told of a connection. */
struct arrival {
	int32_t entry;    /* in the census */
	uint8_t listener; /* index in the configuration */
};

struct handoff {
	int supervisor, worker; /* the two ends */
};

void handoff_create(struct handoff *h);
/* False: the worker's queue is full, try another. The descriptor stays the caller's. */
bool handoff_send(const struct handoff *h, int fd, const struct arrival *arrival);
enum handoff_result {
	HANDOFF_NOTHING,    /* none waits */
	HANDOFF_CONNECTION, /* *fd is the caller's now */
	HANDOFF_LOST,       /* one came, and this process has no descriptor free: the kernel has closed it */
};
enum handoff_result handoff_receive(const struct handoff *h, int *fd, struct arrival *arrival);

#endif
