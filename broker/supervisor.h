/*
 * supervisor: the parent of all processes, which cannot fall over because it does next to nothing.
 *
 * It owns what must outlive a child: the listening sockets, the shared memory, the eventfds, the
 * hand-over sockets, the lock on the data directory. It opens no store and reads no byte of a client. It
 * accepts, hands over, forks, reaps.
 *
 *	PREPARING --the checkpointer says that the store is ready--> RUNNING
 *	RUNNING   --SIGTERM, SIGINT, or a hopeless child-----------> DRAINING
 *	DRAINING  --workers and cleaner are gone-------------------> FINISHING
 *	FINISHING --the checkpointer has made all durable----------> DONE
 *
 * One function moves it along, advance(). Whatever hangs is killed at the deadline; recovery is safe.
 */
#ifndef BROKER_SUPERVISOR_H
#define BROKER_SUPERVISOR_H

#include "common/config.h"

/* The broker's exit statuses; part of the command line's contract (docs/operations.md). */
enum exit_status {
	EXIT_STATUS_OK = 0,               /* asked to leave */
	EXIT_STATUS_FAILED = 1,           /* the store or the machine failed */
	EXIT_STATUS_USAGE = 2,            /* command line or configuration */
	EXIT_STATUS_DIRECTORY_IN_USE = 3, /* another broker has the data directory */
	EXIT_STATUS_PORT_IN_USE = 4,
	EXIT_STATUS_DISK_FAILED = 5, /* a sync failed; look at the disk first */
};

/*
 * Run the broker until it is told to stop; returns its exit status. The config is shared with all processes
 * (config_share) and changes when it is reloaded (SIGHUP). started_ns: clock_monotonic_ns() at the program's
 * begin.
 */
enum exit_status supervisor_run(struct config *config, int64_t started_ns);

#endif
