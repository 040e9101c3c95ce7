/*
 * status: what is going on, in the log, when the supervisor gets SIGUSR1. The supervisor says a line for each
 * process and passes the signal on; each worker says a line for each of its connections and of its groups.
 */
#ifndef BROKER_STATUS_H
#define BROKER_STATUS_H

struct children;
struct worker;

void status_of_processes(const struct children *c);
/* The least recently active connections first, at most STATUS_MOST; likewise groups in memory. */
void status_of_worker(struct worker *w);

#define STATUS_MOST 1000

#endif
