/*
 * pressure: how a worker shares out its memory for requests (queued.max.request.bytes), and who gives way when it is
 * short.
 *
 *	chunks of   0 ......... 3/16 ......... 3/8 ........... 1/2
 *	requests      trusted         tight          full            half requests give way
 *
 * Over 3/8 connections starve: they are not read. They do so in two queues. Of those that have half a request the first
 * goes on, alone. Those that have nothing yet (beginners) all go on, while what they have begun is less than a 16th of
 * the budget; beyond it the others sip: their first kilobytes are taken, and they wait with those, until the oldest of
 * those that have not come to an end are sent to the other queue. So one who only wants to say something small waits
 * neither for those who hold the memory, nor for those who say three bytes and no more, nor for those who begin
 * something large, however many these are.
 *
 * What can go wrong: a client stands still. It is closed, where it is its turn: pressure_look().
 */
#ifndef BROKER_PRESSURE_H
#define BROKER_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#define PRESSURE_SIP_BYTES 1024

struct connection;
struct worker;

void pressure_init(struct worker *w);

/* Over half of what may be received: requests get memory as their bytes come, whatever size they announce. */
bool pressure_is_tight(const struct worker *w);
/* Over the memory budget: new bytes are not read. */
bool pressure_is_full(const struct worker *w);
/* Many requests are under way, or large answers wait to be sent: one request a connection, for now. */
bool pressure_is_crowded(const struct worker *w);

/* Memory is full: from now on it waits in one of the queues, if it does not already. */
void pressure_queue(struct connection *c);
/* It waits for memory, and is none of those that may go on all the same. */
bool pressure_is_starved(const struct connection *c);
/* It may take a little all the same: PRESSURE_SIP_BYTES at a time, in a chunk of CHUNK_SLIM_BYTES that does not grow. */
bool pressure_sips(const struct connection *c);
/* What it has begun as a beginner has changed, or may have. */
void pressure_count(struct connection *c);

/* Before the loop blocks: whoever may read on does. */
void pressure_relieve(struct worker *w);
/* Too much is unsent: the client that has not read for longest pays for it. */
void pressure_shed_slow_readers(struct worker *w);
/* Now and then while somebody starves: those that stand still are closed, and those that have to give way. */
void pressure_look(struct worker *w, int64_t now_ms);

#endif
