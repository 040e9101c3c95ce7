/*
 * heir: was a lock of the engine inherited from a process that died with it?
 *
 * The engine's two locks (the writers', and that of the table of readers) are robust mutexes: the next who asks is
 * given the lock, with a note. The engine then clears the places of all dead readers, and calls
 * pthread_mutex_consistent(). It tells nobody, but among the dead may be the checkpointer, whose pin keeps the last
 * checkpoint whole. So that call goes through here.
 */
#ifndef STORAGE_HEIR_H
#define STORAGE_HEIR_H

#include <stdbool.h>

/* Has this process inherited a lock since it asked last? */
bool heir_of_the_dead(void);

#endif
