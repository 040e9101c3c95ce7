#include "tests/lib/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/lib/test.h"

#define MAP_BYTES ((uint64_t)16 << 30) /* what Valgrind bears */

void
fixture_must(enum err e, const char *what, const char *file, int line)
{
	if (e == ERR_NONE)
		return;
	fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, err_name(e));
	abort();
}

struct store *
fixture_store(const struct store_fixture *f, int slot)
{
	struct store_options options = { .dir = f->dir,
					 .durability = f->durability,
					 .map_bytes = f->map_bytes,
					 .shared = f->shared,
					 .slot = slot };
	struct store *store;
	MUST(store_open(&options, &store));
	return store;
}

void
fixture_open(struct store_fixture *f)
{
	bool restored;
	store_shared_init(f->shared);
	MUST(store_recover(f->dir, &restored));
	f->store = fixture_store(f, 0);
	MUST(store_prepare(f->store));
}

void
fixture_close(struct store_fixture *f, bool clean)
{
	if (clean)
		MUST(store_finish(f->store));
	store_close(f->store);
	f->store = NULL;
}

void
fixture_begin_mapped(struct store_fixture *f, enum durability durability, uint64_t map_bytes)
{
	*f = (struct store_fixture){ .dir = test_dir_make(),
				     .durability = durability,
				     .map_bytes = map_bytes };
	f->shared = mmap(NULL, sizeof(*f->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(f->shared != MAP_FAILED);
	fixture_open(f);
}

void
fixture_begin(struct store_fixture *f, enum durability durability)
{
	fixture_begin_mapped(f, durability, MAP_BYTES);
}

void
fixture_end(struct store_fixture *f)
{
	if (f->store != NULL)
		store_close(f->store);
	test_dir_remove(f->dir);
	munmap(f->shared, sizeof(*f->shared));
	arena_free(&f->arena);
	buf_free(&f->batch);
}

struct store_txn *
fixture_read(struct store_fixture *f)
{
	struct store_txn *txn;
	MUST(store_read(f->store, &txn));
	return txn;
}

struct store_txn *
fixture_write(struct store_fixture *f)
{
	struct store_txn *txn;
	MUST(store_write(f->store, &txn));
	return txn;
}

uint64_t
fixture_commit(struct store_txn *txn)
{
	uint64_t commit;
	MUST(store_commit(txn, &commit));
	return commit;
}

struct topic
fixture_topic_with(struct store_fixture *f, const char *name, int32_t partitions, const char *const *settings)
{
	struct topic_setting setting[16];
	int32_t n = 0;
	for (; settings[n] != NULL; n++) {
		const char *is = strchr(settings[n], '=');
		CHECK(is != NULL && n < 16);
		setting[n].key = (struct str){ .at = settings[n], .n = (int32_t)(is - settings[n]) };
		setting[n].value = str_of(is + 1);
	}
	struct store_txn *txn = fixture_write(f);
	struct topic topic;
	MUST(topic_create(txn, str_of(name), partitions, setting, n, &f->arena, &topic));
	fixture_commit(txn);
	return topic;
}

struct topic
fixture_topic(struct store_fixture *f, const char *name, int32_t partitions)
{
	const char *const none[] = { NULL };
	return fixture_topic_with(f, name, partitions, none);
}

enum err
fixture_append_in(struct store_fixture *f, struct store_txn *txn, const struct topic *topic, int32_t index,
		  const struct batch_spec *spec, struct append_result *out)
{
	batches_make(&f->batch, spec);
	size_t n = buf_len(&f->batch);
	uint8_t *at = arena_alloc(&f->arena, n);
	memcpy(at, buf_head(&f->batch), n);
	struct batch batch = batches_check(&f->batch);
	return log_append(txn, topic, index, at, &batch, -1, out);
}

int64_t
fixture_append(struct store_fixture *f, const struct topic *topic, int32_t index,
	       const struct batch_spec *spec)
{
	struct store_txn *txn = fixture_write(f);
	struct append_result result;
	batches_make(&f->batch, spec);
	struct batch batch = batches_check(&f->batch);
	MUST(log_append(txn, topic, index, buf_head(&f->batch), &batch, -1, &result));
	fixture_commit(txn);
	return result.base_offset;
}

void
fixture_checkpoint(struct store_fixture *f)
{
	MUST(store_checkpoint(f->store));
}

struct partition
fixture_partition(struct store_fixture *f, const struct topic *topic, int32_t index)
{
	struct store_txn *txn = fixture_read(f);
	struct partition p;
	MUST(partition_state(txn, topic, index, &p));
	store_read_end(txn);
	return p;
}

void
fixture_clean(struct store_fixture *f, const struct clean_rules *rules)
{
	bool more = true;
	for (int i = 0; more; i++) {
		CHECK(i < 100000); /* a round ends */
		MUST(store_clean(f->store, rules, &more));
	}
}
