/*
 * slots: who wants the writer lock and who holds it, in the shared segment.
 *
 * The engine's lock is a pthread mutex, and such a mutex is unfair: who releases it may take it again
 * before a waiter wakes, for a second and longer. So everybody says when he waits, and who committed last
 * steps back for a few microseconds while another waits. Nothing here blocks; whoever dies in between
 * leaves at most a flag, which store_slot_clear() takes away.
 */
#ifndef STORAGE_SLOTS_H
#define STORAGE_SLOTS_H

#include "storage/store.h"

void slots_wait(struct store_shared *shared, int slot);    /* before asking for the lock */
void slots_hold(struct store_shared *shared, int slot);    /* got it */
void slots_release(struct store_shared *shared, int slot); /* gave it back */

#endif
