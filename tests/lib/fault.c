#include "tests/lib/fault.h"

#include <dlfcn.h>
#include <lmdb.h>
#include <stddef.h>

#include "common/check.h"

static int left, code;
static bool fired;

void
fault_set(int k, int error)
{
	left = k;
	code = error;
	fired = false;
}

bool
fault_fired(void)
{
	left = 0;
	return fired;
}

static bool
is_time(void)
{
	if (left == 0 || --left > 0)
		return false;
	fired = true;
	return true;
}

static void *
real(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);
	CHECK(f != NULL);
	return f;
}

int
mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags)
{
	int (*f)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *, unsigned) = real("mdb_put");
	return is_time() ? code : f(txn, dbi, key, data, flags);
}

int
mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
	int (*f)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *) = real("mdb_del");
	return is_time() ? code : f(txn, dbi, key, data);
}

int
mdb_cursor_put(MDB_cursor *cursor, MDB_val *key, MDB_val *data, unsigned flags)
{
	int (*f)(MDB_cursor *, MDB_val *, MDB_val *, unsigned) = real("mdb_cursor_put");
	return is_time() ? code : f(cursor, key, data, flags);
}

int
mdb_cursor_del(MDB_cursor *cursor, unsigned flags)
{
	int (*f)(MDB_cursor *, unsigned) = real("mdb_cursor_del");
	return is_time() ? code : f(cursor, flags);
}

/* Ends the transaction also when it fails, as the real one does. */
int
mdb_txn_commit(MDB_txn *txn)
{
	int (*f)(MDB_txn *) = real("mdb_txn_commit");
	if (!is_time())
		return f(txn);
	mdb_txn_abort(txn);
	return code;
}
