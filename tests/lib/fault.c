#include "tests/lib/fault.h"

#include <dlfcn.h>
#include <lmdb.h>
#include <stddef.h>

#include "common/check.h"

enum fault_kind { FAULT_CHANGES, FAULT_LOOKS, FAULT_READS }; /* reads are looks and beginnings */

static enum fault_kind kind;
static int left, code;
static bool fired;

static void
set(enum fault_kind which, int k, int error)
{
	kind = which;
	left = k;
	code = error;
	fired = false;
}

void
fault_set(int k, int error)
{
	set(FAULT_CHANGES, k, error);
}

void
fault_set_reads(int k, int error)
{
	set(FAULT_READS, k, error);
}

void
fault_set_looks(int k, int error)
{
	set(FAULT_LOOKS, k, error);
}

bool
fault_fired(void)
{
	left = 0;
	return fired;
}

static bool
is_time(enum fault_kind of)
{
	bool counts = of == kind || (of == FAULT_LOOKS && kind == FAULT_READS);
	if (!counts || left == 0 || --left > 0)
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
	return is_time(FAULT_CHANGES) ? code : f(txn, dbi, key, data, flags);
}

int
mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
	int (*f)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *) = real("mdb_del");
	return is_time(FAULT_CHANGES) ? code : f(txn, dbi, key, data);
}

int
mdb_cursor_put(MDB_cursor *cursor, MDB_val *key, MDB_val *data, unsigned flags)
{
	int (*f)(MDB_cursor *, MDB_val *, MDB_val *, unsigned) = real("mdb_cursor_put");
	return is_time(FAULT_CHANGES) ? code : f(cursor, key, data, flags);
}

int
mdb_cursor_del(MDB_cursor *cursor, unsigned flags)
{
	int (*f)(MDB_cursor *, unsigned) = real("mdb_cursor_del");
	return is_time(FAULT_CHANGES) ? code : f(cursor, flags);
}

/* Ends the transaction also when it fails, as the real one does. */
int
mdb_txn_commit(MDB_txn *txn)
{
	int (*f)(MDB_txn *) = real("mdb_txn_commit");
	if (!is_time(FAULT_CHANGES))
		return f(txn);
	mdb_txn_abort(txn);
	return code;
}

/* --- reads, and what comes before them ---------------------------------------------------------------- */

int
mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
	int (*f)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *) = real("mdb_get");
	return is_time(FAULT_LOOKS) ? code : f(txn, dbi, key, data);
}

int
mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor)
{
	int (*f)(MDB_txn *, MDB_dbi, MDB_cursor **) = real("mdb_cursor_open");
	return is_time(FAULT_LOOKS) ? code : f(txn, dbi, cursor);
}

int
mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data, MDB_cursor_op op)
{
	int (*f)(MDB_cursor *, MDB_val *, MDB_val *, MDB_cursor_op) = real("mdb_cursor_get");
	return is_time(FAULT_LOOKS) ? code : f(cursor, key, data, op);
}

int
mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn)
{
	int (*f)(MDB_env *, MDB_txn *, unsigned, MDB_txn **) = real("mdb_txn_begin");
	return is_time(FAULT_READS) ? code : f(env, parent, flags, txn);
}

int
mdb_txn_renew(MDB_txn *txn)
{
	int (*f)(MDB_txn *) = real("mdb_txn_renew");
	return is_time(FAULT_READS) ? code : f(txn);
}

int
mdb_dbi_open(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *dbi)
{
	int (*f)(MDB_txn *, const char *, unsigned, MDB_dbi *) = real("mdb_dbi_open");
	return is_time(FAULT_READS) ? code : f(txn, name, flags, dbi);
}

int
mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
	int (*f)(MDB_env *, const char *, unsigned, mdb_mode_t) = real("mdb_env_open");
	return is_time(FAULT_READS) ? code : f(env, path, flags, mode);
}

int
mdb_env_stat(MDB_env *env, MDB_stat *stat)
{
	int (*f)(MDB_env *, MDB_stat *) = real("mdb_env_stat");
	return is_time(FAULT_READS) ? code : f(env, stat);
}
