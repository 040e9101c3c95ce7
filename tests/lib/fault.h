/*
 * fault: let the k-th call of the engine that changes something fail, or the k-th that reads.
 *
 * A test that uses it has its own mdb_put, mdb_cursor_put, mdb_cursor_del, mdb_del and mdb_txn_commit; and
 * mdb_get, mdb_cursor_open, mdb_cursor_get, mdb_txn_begin, mdb_txn_renew, mdb_dbi_open, mdb_env_open and
 * mdb_env_stat. They stand before the library's, also for the library's own calls (of mdb_cursor_get, when it looks
 * for a free page); nothing of it is in the program that is shipped. Call the operation
 * with k = 1, 2, ... until fault_fired() is false: then it has succeeded, and every way to fail was seen.
 */
#ifndef TESTS_LIB_FAULT_H
#define TESTS_LIB_FAULT_H

#include <stdbool.h>

/*
 * The k-th call from now on fails once with `error` (an errno or MDB_ code); the transaction is as after
 * a real one.
 */
void fault_set(int k, int error);
/* The same of reads, and of what comes before them. */
void fault_set_reads(int k, int error);
/* Only of mdb_get, mdb_cursor_open and mdb_cursor_get: a worker that cannot even begin to read ends itself. */
void fault_set_looks(int k, int error);
/* Did it, since fault_set()? Also puts an end to waiting for it. */
bool fault_fired(void);

#endif
