#include "storage/txn.h"

#include "common/clock.h"
#include "common/faultpoint.h"
#include "storage/append.h"
#include "storage/env.h"
#include "storage/heir.h"
#include "storage/partition.h"
#include "storage/slots.h"

static MDB_val
val_of(const void *at, size_t n)
{
	return (MDB_val){ .mv_size = n, .mv_data = (void *)(uintptr_t)at };
}

static struct bytes
bytes_of(MDB_val v)
{
	return (struct bytes){ .at = v.mv_data, .n = (int32_t)v.mv_size };
}

/*
 * Engine errors of a write transaction poison it: committing after one would fail anyway, or worse, not
 * fail.
 */
static enum err
failed(struct store_txn *txn, int rc, const char *doing)
{
	if (rc == MDB_SUCCESS)
		return ERR_NONE;
	txn->failed = txn->write;
	return env_error(txn->store, rc, doing);
}

/* --- snapshots -------------------------------------------------------------------------------------- */

static int
renew(struct store_txn *txn)
{
	if (txn->mdb != NULL)
		return mdb_txn_renew(txn->mdb);
	return mdb_txn_begin(txn->store->env, NULL, MDB_RDONLY, &txn->mdb);
}

/*
 * A reader that was held up for two commits between choosing a meta page and copying it may have copied a
 * mixture. It shows at the first look-up; the next attempt sees a newer page.
 */
static int
look(struct store_txn *txn)
{
	MDB_val key = val_of("format", 6), value;
	return mdb_get(txn->mdb, txn->store->table[TABLE_SYS], &key, &value);
}

static bool
is_mixture(int rc)
{
	return rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_NOTFOUND || rc == MDB_INVALID;
}

enum err
store_read(struct store *store, struct store_txn **out)
{
	struct store_txn *txn = &store->reader;
	CHECK(!txn->open);
	if (!store->tables_open && env_open_tables(store, false) != ERR_NONE)
		return ERR_KAFKA_STORAGE_ERROR;
	txn->store = store;
	int rc = renew(txn);
	if (rc == MDB_SUCCESS && is_mixture(rc = look(txn))) {
		mdb_txn_reset(txn->mdb);
		if ((rc = renew(txn)) == MDB_SUCCESS)
			rc = look(txn);
	}
	if (rc != MDB_SUCCESS) {
		if (txn->mdb != NULL)
			mdb_txn_abort(txn->mdb);
		txn->mdb = NULL;
		return env_error(store, rc, "begin to read");
	}
	txn->open = true;
	*out = txn;
	return ERR_NONE;
}

void
store_read_end(struct store_txn *txn)
{
	CHECK(txn->open && !txn->write);
	mdb_txn_reset(txn->mdb);
	arena_reset(&txn->arena);
	txn->open = false;
	txn->now_ms = 0;
	txn->searched_bytes = 0;
}

/* --- writing ---------------------------------------------------------------------------------------- */

/*
 * With the lock of a dead process comes that the engine has forgotten all dead readers, and so perhaps the pin of a
 * dead checkpointer. Then nobody may write before its successor has made a checkpoint, for which it needs the lock
 * that we have now.
 */
static void
look_after_the_dead(struct store *store)
{
	if (heir_of_the_dead() && !checkpoint_is_pinned(store))
		atomic_store(&store->shared->writes_ok, 0);
}

enum err
txn_write_always(struct store *store, struct store_txn **out)
{
	struct store_txn *txn = &store->writer;
	CHECK(!txn->open && !store->read_only);
	if (!store->tables_open && env_open_tables(store, false) != ERR_NONE)
		return ERR_KAFKA_STORAGE_ERROR;
	slots_wait(store->shared, store->slot);
	MDB_txn *mdb;
	int rc = mdb_txn_begin(store->env, NULL, 0, &mdb);
	if (rc != MDB_SUCCESS) {
		store_slot_clear(store->shared, store->slot);
		return env_error(store, rc, "begin to write");
	}
	slots_hold(store->shared, store->slot);
	look_after_the_dead(store);
	struct arena arena = txn->arena;
	*txn = (struct store_txn){ .store = store, .mdb = mdb, .open = true, .write = true, .arena = arena };
	txn->file_end = reserve_file_end(store);
	*out = txn;
	return ERR_NONE;
}

enum err
store_write(struct store *store, struct store_txn **out)
{
	if (atomic_load(&store->shared->writes_ok) == 0)
		return ERR_KAFKA_STORAGE_ERROR;
	enum err e = txn_write_always(store, out);
	/*
	 * The checkpointer may have died while we waited: its pin was there when it mattered only if the
	 * flag still stands.
	 */
	if (e == ERR_NONE && atomic_load(&store->shared->writes_ok) == 0) {
		store_abort(*out);
		return ERR_KAFKA_STORAGE_ERROR;
	}
	return e;
}

static void
end_write(struct store_txn *txn)
{
	struct store *store = txn->store;
	slots_release(store->shared, store->slot);
	arena_reset(&txn->arena);
	txn->open = false;
	txn->mdb = NULL;
}

void
store_abort(struct store_txn *txn)
{
	CHECK(txn->open && txn->write);
	mdb_txn_abort(txn->mdb);
	end_write(txn);
}

static void
raise_to(_Atomic uint64_t *at, uint64_t value)
{
	uint64_t seen = atomic_load(at);
	while (seen < value && !atomic_compare_exchange_weak(at, &seen, value))
		;
}

/*
 * Without checkpoints a commit that returned is on disk; one whose process died before it could say so
 * may not be.
 */
static enum err
publish_strict(struct store *store, uint64_t commit, bool synced)
{
	if (!synced && !store_is_durable(store, commit)) {
		enum err e = env_error(store, mdb_env_sync(store->env, 1), "sync");
		if (e != ERR_NONE) {
			atomic_store(&store->shared->disk_failed, 1);
			atomic_store(&store->shared->writes_ok, 0);
			return e;
		}
	}
	raise_to(&store->shared->durable, commit);
	return ERR_NONE;
}

enum err
store_commit(struct store_txn *txn, uint64_t *commit)
{
	CHECK(txn->open && txn->write);
	struct store *store = txn->store;
	enum err e = txn->failed ? ERR_KAFKA_STORAGE_ERROR : append_flush(txn);
	if (e == ERR_NONE)
		e = part_flush(txn);
	if (e != ERR_NONE) {
		store_abort(txn);
		return e;
	}
	FAULT_POINT("commit.due");
	bool changed = txn->changed;
	/*
	 * The engine gives no number to a commit that changes nothing: then it is the newest one's that
	 * counts.
	 */
	*commit = changed ? txn_number(txn) : store_snapshot(txn);
	if (changed)
		e = env_error(store, mdb_txn_commit(txn->mdb), "commit"); /* ends it also on failure */
	else
		mdb_txn_abort(txn->mdb);
	FAULT_POINT("commit.made");
	if (changed && e == ERR_NONE)
		reserve_note_growth(store, txn->file_end);
	end_write(txn);
	if (e == ERR_NONE && store->durability == DURABILITY_STRICT)
		e = publish_strict(store, *commit, changed);
	return e;
}

bool
store_failed(const struct store_txn *txn)
{
	return txn->failed;
}

bool
store_is_durable(const struct store *store, uint64_t commit)
{
	return store->durability == DURABILITY_RELAXED || commit <= atomic_load(&store->shared->durable);
}

uint64_t
store_snapshot(const struct store_txn *txn)
{
	return (uint64_t)mdb_txn_id(txn->mdb) - (txn->write ? 1 : 0);
}

uint64_t
txn_number(const struct store_txn *txn)
{
	return (uint64_t)mdb_txn_id(txn->mdb);
}

int64_t
txn_now_ms(struct store_txn *txn)
{
	if (txn->now_ms == 0)
		txn->now_ms = clock_wall_ms();
	return txn->now_ms;
}

/* --- rows ------------------------------------------------------------------------------------------- */

enum err
txn_get(struct store_txn *txn, enum table table, const void *key, size_t key_n, struct bytes *out)
{
	MDB_val k = val_of(key, key_n), v;
	int rc = mdb_get(txn->mdb, txn->store->table[table], &k, &v);
	*out = rc == MDB_SUCCESS ? bytes_of(v) : (struct bytes){ .at = NULL, .n = -1 };
	return rc == MDB_NOTFOUND ? ERR_NONE : failed(txn, rc, "read a row");
}

enum err
txn_put(struct store_txn *txn, enum table table, const void *key, size_t key_n, const void *value, size_t n)
{
	CHECK(txn->write && n <= ROW_BYTES);
	if (txn->failed)
		return ERR_KAFKA_STORAGE_ERROR;
	MDB_val k = val_of(key, key_n), v = val_of(value, n);
	txn->changed = true;
	return failed(txn, mdb_put(txn->mdb, txn->store->table[table], &k, &v, 0), "write a row");
}

enum err
txn_del(struct store_txn *txn, enum table table, const void *key, size_t key_n)
{
	CHECK(txn->write);
	if (txn->failed)
		return ERR_KAFKA_STORAGE_ERROR;
	MDB_val k = val_of(key, key_n);
	int rc = mdb_del(txn->mdb, txn->store->table[table], &k, NULL);
	if (rc == MDB_NOTFOUND)
		return ERR_NONE;
	txn->changed = true;
	return failed(txn, rc, "delete a row");
}

/* --- scans ------------------------------------------------------------------------------------------ */

void
scan_open(struct scan *s, struct store_txn *txn, enum table table)
{
	*s = (struct scan){ .txn = txn };
	if (txn->failed)
		s->err = ERR_KAFKA_STORAGE_ERROR;
	else
		s->err = failed(txn, mdb_cursor_open(txn->mdb, txn->store->table[table], &s->cursor),
				"open a cursor");
}

static bool
move(struct scan *s, MDB_val k, MDB_cursor_op op)
{
	if (s->err != ERR_NONE)
		return false;
	MDB_val v;
	int rc = mdb_cursor_get(s->cursor, &k, &v, op);
	if (rc == MDB_NOTFOUND)
		return false;
	s->err = failed(s->txn, rc, "scan rows");
	if (s->err != ERR_NONE)
		return false;
	s->key = bytes_of(k);
	s->value = bytes_of(v);
	return true;
}

bool
scan_from(struct scan *s, const void *key, size_t n)
{
	return move(s, val_of(key, n), MDB_SET_RANGE);
}

bool
scan_before(struct scan *s, const void *key, size_t n)
{
	bool row = move(s, val_of(key, n), MDB_SET_RANGE);
	return move(s, (MDB_val){ 0 }, row ? MDB_PREV : MDB_LAST);
}

bool
scan_next(struct scan *s)
{
	return move(s, (MDB_val){ 0 }, MDB_NEXT);
}

bool
scan_delete(struct scan *s)
{
	if (s->err != ERR_NONE)
		return false;
	CHECK(s->txn->write);
	s->txn->changed = true;
	s->err = failed(s->txn, mdb_cursor_del(s->cursor, 0), "delete a row");
	return s->err == ERR_NONE;
}

uint8_t *
scan_new_row(struct scan *s, const void *key, size_t key_n, size_t n)
{
	CHECK(s->txn->write && n <= ROW_BYTES);
	if (s->err != ERR_NONE)
		return NULL;
	MDB_val k = val_of(key, key_n), v = { .mv_size = n };
	s->txn->changed = true;
	s->err =
	    failed(s->txn, mdb_cursor_put(s->cursor, &k, &v, MDB_RESERVE | MDB_NOOVERWRITE), "write a row");
	return s->err == ERR_NONE ? v.mv_data : NULL;
}

bool
scan_put(struct scan *s, const void *key, size_t key_n, const void *value, size_t n)
{
	CHECK(s->txn->write && n <= ROW_BYTES);
	if (s->err != ERR_NONE)
		return false;
	MDB_val k = val_of(key, key_n), v = val_of(value, n);
	s->txn->changed = true;
	s->err = failed(s->txn, mdb_cursor_put(s->cursor, &k, &v, 0), "write a row");
	return s->err == ERR_NONE;
}

enum err
scan_close(struct scan *s)
{
	if (s->cursor != NULL)
		mdb_cursor_close(s->cursor);
	s->cursor = NULL;
	return s->err;
}
