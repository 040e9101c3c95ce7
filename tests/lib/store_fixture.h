/*
 * store_fixture: a temporary store with everything around it that a broker would have.
 *
 *	struct store_fixture f;
 *	fixture_begin(&f, DURABILITY_DURABLE);      a prepared store, this process being its checkpointer
 *	struct topic t = fixture_topic(&f, "t", 3);
 *	int64_t base = fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 5 });
 *	fixture_end(&f);
 *
 * What fails in here fails the program: a test that expects an error calls the store itself.
 */
#ifndef TESTS_LIB_STORE_FIXTURE_H
#define TESTS_LIB_STORE_FIXTURE_H

#include "storage/store.h"
#include "tests/lib/batches.h"

struct store_fixture {
	char *dir;
	enum durability durability;
	uint64_t map_bytes;
	struct store_shared *shared; /* shared with children that the test forks */
	struct store *store;
	struct arena arena; /* reset by nobody but fixture_end() */
	struct buf batch;
};

void fixture_begin(struct store_fixture *f, enum durability durability);
void fixture_begin_mapped(struct store_fixture *f, enum durability durability, uint64_t map_bytes);
void fixture_end(struct store_fixture *f);

/* Close and open again, as after a restart of the whole broker: new shared memory, recovery, preparation. */
void fixture_close(struct store_fixture *f, bool clean);
void fixture_open(struct store_fixture *f);
/* Another handle, for a forked child or after fixture_close(). */
struct store *fixture_store(const struct store_fixture *f, int slot);

struct store_txn *fixture_read(struct store_fixture *f);
struct store_txn *fixture_write(struct store_fixture *f);
uint64_t fixture_commit(struct store_txn *txn);

struct topic fixture_topic(struct store_fixture *f, const char *name, int32_t partitions);
/* With settings "key=value", ended by NULL. */
struct topic fixture_topic_with(struct store_fixture *f, const char *name, int32_t partitions,
				const char *const *settings);

/* One batch in a transaction of its own; its first offset. */
int64_t fixture_append(struct store_fixture *f, const struct topic *topic, int32_t index,
		       const struct batch_spec *spec);
/* In an open transaction; the bytes live in the arena, and the result is not judged. */
enum err fixture_append_in(struct store_fixture *f, struct store_txn *txn, const struct topic *topic,
			   int32_t index, const struct batch_spec *spec, struct append_result *out);
void fixture_checkpoint(struct store_fixture *f);
struct partition fixture_partition(struct store_fixture *f, const struct topic *topic, int32_t index);
/* Call store_clean() until a round has ended. */
void fixture_clean(struct store_fixture *f, const struct clean_rules *rules);

/* Fails the program where e is not ERR_NONE. */
#define MUST(e) fixture_must((e), #e, __FILE__, __LINE__)
void fixture_must(enum err e, const char *what, const char *file, int line);

#endif
