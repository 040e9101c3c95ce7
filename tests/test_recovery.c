/*
 * After a power cut. First what store_recover() decides, case by case. Then a simulator
 * (tests/lib/powercut.h): the real store works, is checkpointed, cleaned, closed and opened; the power
 * fails at random moments; each image of the disk must come up by itself as exactly what one commit left,
 * no older than the newest that was called durable, without a lost or doubled page, and must go on
 * working.
 *
 * FORKA_CRASH_SECONDS (8) bounds the simulation, FORKA_TEST_SEED chooses another one.
 */
#include "storage/recovery.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "storage/checkpoint.h"
#include "storage/ckptfile.h"
#include "storage/env.h"
#include "tests/lib/powercut.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/test.h"

/* --- what is decided -------------------------------------------------------------------------------- */

/* As if the machine had been started anew: all whole slots are an earlier boot's. */
static void
reboot(const char *dir)
{
	int fd = open(test_path(dir, "ckpt"), O_RDWR);
	if (fd < 0)
		return;
	for (int i = 0; i < 2; i++) {
		struct ckpt_slot slot;
		if (!ckptfile_read(fd, i, &slot))
			continue;
		memset(slot.boot_id, 'x', sizeof(slot.boot_id));
		MUST(ckptfile_write(fd, i, &slot));
	}
	close(fd);
}

static bool
recover(const struct store_fixture *f)
{
	bool restored;
	MUST(store_recover(f->dir, &restored));
	return restored;
}

static void
within_one_boot_nothing_is_restored(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 5 });
	fixture_close(&f, false);
	assert_false(recovery_is_due(f.dir));
	assert_false(recover(&f));
	fixture_open(&f);
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5); /* never checkpointed, and there */
	fixture_end(&f);
}

static void
after_a_reboot_the_checkpoint_is_restored(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 5 });
	fixture_checkpoint(&f);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 3 });
	fixture_close(&f, false);
	reboot(f.dir);
	test_stderr_begin();
	assert_true(recovery_is_due(f.dir));
	assert_true(recover(&f));
	assert_true(recover(&f)); /* cut off in the middle, and again */
	(void)test_stderr_end();
	fixture_open(&f);
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5);
	assert_int_equal(fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 1 }), 5);
	/* The first checkpoint of this run made the matter this boot's. */
	assert_false(recovery_is_due(f.dir));
	fixture_end(&f);
}

static void
after_a_clean_stop_nothing_is_restored(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 5 });
	fixture_close(&f, true);
	reboot(f.dir);
	assert_false(recover(&f));
	fixture_open(&f);
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5);
	/* Opening took the mark away, before anything was written. */
	fixture_close(&f, false);
	reboot(f.dir);
	test_stderr_begin();
	assert_true(recover(&f));
	(void)test_stderr_end();
	fixture_open(&f);
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5);
	fixture_end(&f);
}

static void
a_torn_slot_leaves_the_other(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 5 });
	fixture_checkpoint(&f);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 3 });
	fixture_checkpoint(&f);
	fixture_close(&f, false);
	reboot(f.dir);
	struct ckpt_slot slot;
	int fd = open(test_path(f.dir, "ckpt"), O_RDWR);
	int newest = ckptfile_newest(fd, &slot);
	assert_true(newest >= 0);
	assert_int_equal(pwrite(fd, "torn", 4, newest * CKPT_STRIDE + 5000), 4);
	assert_int_equal(ckptfile_newest(fd, &slot), 1 - newest);
	close(fd);
	test_stderr_begin();
	assert_true(recover(&f));
	(void)test_stderr_end();
	fixture_open(&f);
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5);
	fixture_end(&f);
}

/* data.mdb of an old backup beside the checkpoint of a newer store: left alone. */
static void
a_backup_is_not_overwritten(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 5 });
	char *backup = test_dir_make();
	assert_int_equal(mdb_env_copy2(f.store->env, backup, MDB_CP_COMPACT), 0);
	for (int i = 0; i < 20; i++)
		fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 1 });
	fixture_checkpoint(&f);
	fixture_close(&f, false);
	reboot(f.dir);
	char *from = strdup(test_path(backup, "data.mdb"));
	assert_int_equal(rename(from, test_path(f.dir, "data.mdb")), 0);
	free(from);
	test_dir_remove(backup);
	test_stderr_begin();
	assert_false(recover(&f));
	fixture_open(&f);
	(void)test_stderr_end();
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5);
	fixture_end(&f);
}

static void
nothing_there_is_nothing_to_do(void **state)
{
	(void)state;
	bool restored;
	char *dir = test_dir_make();
	assert_int_equal(store_recover(dir, &restored), ERR_NONE);
	assert_false(restored);
	assert_int_equal(store_recover(test_path(dir, "absent"), &restored), ERR_NONE);
	assert_false(restored);
	test_dir_remove(dir);
}

/*
 * The power failed in the very first moments: pages of zeros where meta pages should be. Nothing was
 * promised yet.
 */
static void
a_stillborn_file_is_removed(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	fixture_close(&f, false);
	unlink(test_path(f.dir, "ckpt"));
	unlink(test_path(f.dir, "data.mdb"));
	int fd = open(test_path(f.dir, "data.mdb"), O_RDWR | O_CREAT, 0644);
	assert_int_equal(ftruncate(fd, 8192), 0);
	close(fd);
	test_stderr_begin();
	assert_false(recover(&f));
	fixture_open(&f);
	(void)test_stderr_end();
	fixture_topic(&f, "t", 1);
	fixture_end(&f);
}

/* A tool must not look at a mixture, and must not repair it. */
static void
tools_wait_for_recovery(void **state)
{
	(void)state;
	struct store_fixture f;
	struct store *store;
	fixture_begin(&f, DURABILITY_DURABLE);
	fixture_close(&f, false);
	struct store_options tool = { .dir = f.dir, .map_bytes = f.map_bytes, .read_only = true };
	assert_int_equal(store_open(&tool, &store), ERR_NONE);
	store_close(store);
	reboot(f.dir);
	test_stderr_begin();
	assert_int_equal(store_open(&tool, &store), ERR_KAFKA_STORAGE_ERROR);
	(void)test_stderr_end();
	fixture_end(&f);
}

static void
strict_leaves_no_side_file(void **state)
{
	(void)state;
	struct store_fixture f;
	fixture_begin(&f, DURABILITY_DURABLE);
	struct topic t = fixture_topic(&f, "t", 1);
	fixture_close(&f, false);
	assert_int_equal(access(test_path(f.dir, "ckpt"), F_OK), 0);
	f.durability = DURABILITY_STRICT;
	fixture_open(&f);
	assert_int_not_equal(access(test_path(f.dir, "ckpt"), F_OK), 0);
	fixture_append(&f, &t, 0, &(struct batch_spec){ .count = 5 });
	fixture_close(&f, false);
	reboot(f.dir);
	assert_false(recover(&f)); /* and so no older state comes back */
	f.durability = DURABILITY_DURABLE;
	fixture_open(&f);
	assert_int_equal(fixture_partition(&f, &t, 0).log_end, 5);
	fixture_end(&f);
}

/* --- the simulator ---------------------------------------------------------------------------------- */

#define TOPICS      3
#define PARTITIONS  2
#define GROUPS      3
#define COMMITS_MAX 8192
#define STEPS       700

/* What a commit left: enough to know every byte again, as contents are functions of place. */
struct world {
	struct {
		uint32_t number; /* 0: there is no such topic */
		struct {
			int64_t start, end;
		} partition[PARTITIONS];
	} topic[TOPICS];
	struct {
		uint32_t number;                    /* 0: there is no such group */
		uint32_t saves;                     /* 0: it was made by a commit, and has no state */
		int64_t offset[TOPICS][PARTITIONS]; /* -1: none */
	} group[GROUPS];
};

static struct play {
	struct store_fixture f;
	uint64_t seed;
	struct world world; /* now */
	bool stopping;
	struct {
		uint32_t moment; /* when it was called durable; 0: not yet, or not by itself */
		bool there;
		struct world world;
	} commit[COMMITS_MAX];
} play;

static void
spec_at(const struct world *w, int t, int p, int64_t offset, struct batch_spec *out)
{
	uint64_t h = w->topic[t].number * 1000003ull + (uint64_t)p * 1009 + (uint64_t)offset * 7919 + 1;
	for (int i = 0; i < 3; i++)
		(void)test_random(&h);
	*out = (struct batch_spec){ .count = 1 + (int32_t)(h % 4),
				    .seed = h,
				    .idempotent = true,
				    .producer_id = p,
				    .base_sequence = (int32_t)offset,
				    .value_bytes = (int32_t)(h % 5 == 0 ? h % 60000 : h % 3000) };
	if (out->value_bytes > 20000)
		out->count = 1;
}

static enum err
load(struct store_fixture *f, struct store_txn *txn, int t, struct topic *out)
{
	char name[] = { 't', (char)('0' + t), '\0' };
	return topic_by_name(txn, str_of(name), &f->arena, out);
}

static void
append_at(struct store_fixture *f, struct world *w, struct store_txn *txn, int t, int p)
{
	struct topic topic;
	struct batch_spec spec;
	struct append_result result;
	MUST(load(f, txn, t, &topic));
	spec_at(w, t, p, w->topic[t].partition[p].end, &spec);
	MUST(fixture_append_in(f, txn, &topic, p, &spec, &result));
	CHECK(!result.duplicate && result.base_offset == w->topic[t].partition[p].end);
	w->topic[t].partition[p].end += spec.count;
}

static void
make_or_drop(struct store_fixture *f, struct world *w, struct store_txn *txn, int t)
{
	struct topic topic;
	if (w->topic[t].number != 0) {
		MUST(load(f, txn, t, &topic));
		MUST(topic_delete(txn, &topic));
		memset(&w->topic[t], 0, sizeof(w->topic[t]));
		for (int g = 0; g < GROUPS; g++)
			memset(w->group[g].offset[t], 0xff, sizeof(w->group[g].offset[t]));
		return;
	}
	char name[] = { 't', (char)('0' + t), '\0' };
	MUST(topic_create(txn, str_of(name), PARTITIONS, NULL, 0, &f->arena, &topic));
	w->topic[t].number = topic.number;
}

/* --- groups: the last one's id is long --- */

#define EXPIRES_NOW_MS 1000000 /* the cleaner's clock: what is younger stays */

static struct str
group_id(int g)
{
	static char id[700];
	memset(id, 'a' + g, sizeof(id));
	return (struct str){ .at = id, .n = g == GROUPS - 1 ? (int32_t)sizeof(id) : 2 };
}

static int64_t
empty_since(uint32_t saves)
{
	return saves % 3 == 0 ? 1 : saves % 3 == 1 ? -1 : INT64_C(2) * EXPIRES_NOW_MS;
}

/* As it was saved for the n-th time: of no piece of its own to four. */
static struct bytes
group_state(struct store_fixture *f, uint32_t number, uint32_t saves)
{
	int32_t n = 1 + (int32_t)((saves * 2654435761u) % 13000);
	uint8_t *at = arena_alloc(&f->arena, (size_t)n);
	for (int32_t i = 0; i < n; i++)
		at[i] = (uint8_t)((uint32_t)i * 31 + saves * 7 + number);
	return (struct bytes){ .at = at, .n = n };
}

/* The row of this offset: what else is in it, and how much, follows from it. */
static struct stored_offset
offset_row(struct store_fixture *f, int64_t offset)
{
	int32_t n = offset % 7 == 0 ? 9000 : (int32_t)(offset % 50);
	char *at = arena_alloc(&f->arena, (size_t)n + 1);
	memset(at, 'a' + (int)(offset % 26), (size_t)n);
	return (struct stored_offset){ .offset = offset,
				       .leader_epoch = (int32_t)(offset % 3),
				       .committed_ms = offset % 4 == 0 ? 1 : INT64_C(2) * EXPIRES_NOW_MS,
				       .expires_ms = -1,
				       .metadata = { .at = at, .n = n } };
}

static void
forget_group(struct world *w, int g)
{
	memset(&w->group[g], 0, sizeof(w->group[g]));
	memset(w->group[g].offset, 0xff, sizeof(w->group[g].offset));
}

static void
save_group(struct store_fixture *f, struct world *w, struct store_txn *txn, int g, uint64_t *seed)
{
	uint32_t number, saves = (uint32_t)(test_random(seed) % 1000 + 1);
	MUST(groups_open(txn, group_id(g), &number));
	CHECK(w->group[g].number == 0 || w->group[g].number == number);
	MUST(groups_save(txn, group_id(g), group_state(f, number, saves), empty_since(saves)));
	w->group[g].number = number;
	w->group[g].saves = saves;
}

static void
commit_offsets(struct store_fixture *f, struct world *w, struct store_txn *txn, int g, uint64_t *seed)
{
	uint32_t number;
	MUST(groups_open(txn, group_id(g), &number));
	CHECK(w->group[g].number == 0 || w->group[g].number == number);
	w->group[g].number = number;
	for (int i = 0; i < 2; i++) {
		int t = (int)(test_random(seed) % TOPICS), p = (int)(test_random(seed) % PARTITIONS);
		int64_t offset = (int64_t)(test_random(seed) % 100000);
		struct stored_offset row = offset_row(f, offset);
		if (w->topic[t].number == 0)
			continue;
		MUST(offsets_commit(txn, number, w->topic[t].number, p, &row));
		w->group[g].offset[t][p] = offset;
	}
}

static void
change_group(struct store_fixture *f, struct world *w, struct store_txn *txn, uint64_t *seed)
{
	int g = (int)(test_random(seed) % GROUPS);
	uint64_t kind = test_random(seed) % 16;
	if (kind == 0 && w->group[g].number != 0) {
		MUST(groups_delete(txn, group_id(g)));
		forget_group(w, g);
	} else if (kind < 6) {
		save_group(f, w, txn, g, seed);
	} else {
		commit_offsets(f, w, txn, g, seed);
	}
}

/* What the cleaner left of it. */
static void
look_at_group(struct store_fixture *f, struct world *w, struct store_txn *txn, int g)
{
	struct stored_offset row;
	uint32_t number;
	if (w->group[g].number == 0)
		return;
	enum err e = groups_number(txn, group_id(g), &number);
	if (e == ERR_GROUP_ID_NOT_FOUND) {
		for (int i = 0; i < TOPICS * PARTITIONS; i++) {
			int64_t offset = w->group[g].offset[i / PARTITIONS][i % PARTITIONS];
			CHECK(offset < 0 || offset % 4 == 0);
		}
		forget_group(w, g);
		return;
	}
	MUST(e);
	for (int t = 0; t < TOPICS; t++) {
		for (int p = 0; p < PARTITIONS && w->topic[t].number != 0; p++) {
			int64_t *offset = &w->group[g].offset[t][p];
			MUST(offsets_fetch(txn, number, w->topic[t].number, p, &f->arena, &row));
			CHECK(row.offset == *offset || (row.offset < 0 && *offset % 4 == 0));
			*offset = row.offset;
		}
	}
}

/* One transaction of any kind, but cleaning. */
static void
write_something(struct store_fixture *f, struct world *w, uint64_t *seed)
{
	struct store_txn *txn = fixture_write(f);
	int t = (int)(test_random(seed) % TOPICS);
	if (w->topic[t].number == 0 || test_random(seed) % 60 == 0)
		make_or_drop(f, w, txn, t);
	for (uint64_t n = test_random(seed) % 4; n < 4; n++) {
		t = (int)(test_random(seed) % TOPICS);
		if (w->topic[t].number != 0)
			append_at(f, w, txn, t, (int)(test_random(seed) % PARTITIONS));
	}
	for (uint64_t n = test_random(seed) % 3; n < 2; n++)
		change_group(f, w, txn, seed);
	fixture_commit(txn);
	arena_reset(&f->arena);
}

static void
clean_something(struct store_fixture *f, struct world *w)
{
	bool more;
	struct clean_rules rules = { .retention_ms = -1,
				     .retention_bytes = 150000,
				     .delete_by_default = true,
				     .producer_expiry_ms = -1,
				     .offsets_retention_ms = 1,
				     .now_ms = EXPIRES_NOW_MS };
	MUST(store_clean(f->store, &rules, &more));
	struct store_txn *txn = fixture_read(f);
	for (int g = 0; g < GROUPS; g++)
		look_at_group(f, w, txn, g);
	for (int t = 0; t < TOPICS; t++) {
		struct topic topic;
		if (w->topic[t].number == 0)
			continue;
		MUST(load(f, txn, t, &topic));
		for (int p = 0; p < PARTITIONS; p++) {
			struct partition state;
			MUST(partition_state(txn, &topic, p, &state));
			w->topic[t].partition[p].start = state.log_start;
		}
	}
	store_read_end(txn);
	arena_reset(&f->arena);
}

/* Note what the newest commit left. */
static void
note(void)
{
	struct store_txn *txn = fixture_read(&play.f);
	uint64_t commit = store_snapshot(txn);
	store_read_end(txn);
	CHECK(commit < COMMITS_MAX);
	play.commit[commit].there = true;
	play.commit[commit].world = play.world;
	if (play.f.durability == DURABILITY_STRICT)
		play.commit[commit].moment = powercut_now();
}

static void
step(void)
{
	if (test_random(&play.seed) % 4 == 0)
		clean_something(&play.f, &play.world);
	else
		write_something(&play.f, &play.world, &play.seed);
	note();
}

/* While the checkpointer waits for the disk, workers do not. */
static void
meanwhile(void)
{
	if (play.stopping || play.f.store == NULL || atomic_load(&play.f.shared->writes_ok) == 0)
		return;
	for (uint64_t n = test_random(&play.seed) % 4; n > 0; n--)
		step();
}

static void
called_durable(void)
{
	uint64_t durable = atomic_load(&play.f.shared->durable);
	CHECK(durable < COMMITS_MAX);
	if (play.commit[durable].moment == 0)
		play.commit[durable].moment = powercut_now();
}

static void
restart(bool clean)
{
	play.stopping = true;
	fixture_close(&play.f, clean);
	fixture_open(&play.f);
	play.stopping = false;
	note();
	called_durable();
}

static void
work(enum durability durability)
{
	memset(&play, 0, sizeof(play));
	play.seed = test_seed();
	for (int g = 0; g < GROUPS; g++)
		forget_group(&play.world, g);
	play.f.dir = test_dir_make();
	play.f.durability = durability;
	play.f.map_bytes = (uint64_t)1 << 28;
	play.f.shared =
	    mmap(NULL, sizeof(*play.f.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(play.f.shared != MAP_FAILED);
	powercut_record(play.f.dir);
	powercut_during_sync(durability == DURABILITY_STRICT ? NULL : meanwhile);
	play.stopping = true;
	fixture_open(&play.f);
	play.stopping = false;
	note();
	called_durable();
	bool under_way = false;
	for (int i = 0; i < STEPS; i++) {
		step();
		if (durability == DURABILITY_STRICT || test_random(&play.seed) % 4 != 0)
			continue;
		if (!under_way)
			MUST(checkpoint_begin(play.f.store, &under_way));
		else
			MUST(checkpoint_finish(play.f.store, under_way = false));
		called_durable();
		if (!under_way && test_random(&play.seed) % 40 == 0)
			restart(test_random(&play.seed) % 2 == 0);
	}
	powercut_stop();
}

/* --- an image is looked at -------------------------------------------------------------------------- */

static void
check_partition(struct store_fixture *f, const struct world *w, struct store_txn *txn, int t, int p)
{
	struct topic topic;
	struct partition state;
	struct log_slice slice;
	MUST(load(f, txn, t, &topic));
	CHECK(topic.number == w->topic[t].number);
	MUST(partition_state(txn, &topic, p, &state));
	CHECK(state.log_start == w->topic[t].partition[p].start &&
	      state.log_end == w->topic[t].partition[p].end);
	int64_t offset = state.log_start, bytes = 0;
	while (offset < state.log_end) {
		struct batch_spec spec;
		MUST(log_read(txn, &topic, p, offset, state.log_end, 1, true, &f->arena, &slice));
		spec_at(w, t, p, offset, &spec);
		batches_make(&f->batch, &spec);
		put_u64(buf_head(&f->batch), (uint64_t)offset);
		put_u32(buf_head(&f->batch) + 12, 0);
		CHECK(slice.bytes == (int32_t)buf_len(&f->batch));
		for (int32_t i = 0, at = 0; i < slice.iov_n; at += (int32_t)slice.iov[i++].iov_len)
			CHECK(memcmp(slice.iov[i].iov_base, buf_head(&f->batch) + at, slice.iov[i].iov_len) ==
			      0);
		offset += spec.count;
		bytes += slice.bytes;
		CHECK(slice.next_offset == offset);
		arena_reset(&f->arena);
		MUST(load(f, txn, t, &topic));
	}
	CHECK(bytes == state.bytes);
}

static void
check_group(struct store_fixture *f, const struct world *w, struct store_txn *txn, int g)
{
	struct stored_group found;
	enum err e = groups_find(txn, group_id(g), &f->arena, &found);
	CHECK((e == ERR_GROUP_ID_NOT_FOUND) == (w->group[g].number == 0));
	if (w->group[g].number == 0)
		return;
	MUST(e);
	CHECK(found.number == w->group[g].number && str_eq(found.id, group_id(g)));
	if (w->group[g].saves > 0) {
		struct bytes state = group_state(f, found.number, w->group[g].saves);
		CHECK(found.empty_since_ms == empty_since(w->group[g].saves));
		CHECK(found.state.n == state.n && memcmp(found.state.at, state.at, (size_t)state.n) == 0);
	} else {
		CHECK(found.state.n == 0);
	}
	for (int t = 0; t < TOPICS; t++) {
		for (int p = 0; p < PARTITIONS && w->topic[t].number != 0; p++) {
			struct stored_offset row;
			MUST(offsets_fetch(txn, found.number, w->topic[t].number, p, &f->arena, &row));
			CHECK(row.offset == w->group[g].offset[t][p]);
			if (row.offset < 0)
				continue;
			struct stored_offset is = offset_row(f, row.offset);
			CHECK(row.leader_epoch == is.leader_epoch && row.committed_ms == is.committed_ms);
			CHECK(row.metadata.n == is.metadata.n &&
			      memcmp(row.metadata.at, is.metadata.at, (size_t)is.metadata.n) == 0);
		}
	}
}

static void
check_world(struct store_fixture *f, const struct world *w)
{
	struct store_txn *txn = fixture_read(f);
	for (int g = 0; g < GROUPS; g++) {
		check_group(f, w, txn, g);
		arena_reset(&f->arena);
	}
	for (int t = 0; t < TOPICS; t++) {
		struct topic topic;
		if (w->topic[t].number == 0)
			CHECK(load(f, txn, t, &topic) == ERR_UNKNOWN_TOPIC_OR_PARTITION);
		for (int p = 0; p < PARTITIONS && w->topic[t].number != 0; p++)
			check_partition(f, w, txn, t, p);
	}
	store_read_end(txn);
}

static uint64_t
pages_of(const MDB_stat *stat)
{
	return stat->ms_branch_pages + stat->ms_leaf_pages + stat->ms_overflow_pages;
}

/* Every page is used once, or free once, or a meta page. */
static void
audit_pages(struct store_fixture *f)
{
	struct store_txn *txn = fixture_read(f);
	MDB_stat stat;
	MDB_envinfo info;
	uint64_t pages = 2;
	for (MDB_dbi core = 0; core < 2; core++) { /* the free list, and the table of tables */
		CHECK(mdb_stat(txn->mdb, core, &stat) == 0);
		pages += pages_of(&stat);
	}
	for (int i = 0; i < TABLE_N; i++) {
		CHECK(mdb_stat(txn->mdb, f->store->table[i], &stat) == 0);
		pages += pages_of(&stat);
	}
	MDB_cursor *cursor;
	MDB_val key, list;
	CHECK(mdb_cursor_open(txn->mdb, 0, &cursor) == 0);
	while (mdb_cursor_get(cursor, &key, &list, MDB_NEXT) == 0) {
		size_t n;
		memcpy(&n, list.mv_data, sizeof(n));
		CHECK((n + 1) * sizeof(n) <= list.mv_size);
		pages += n;
	}
	mdb_cursor_close(cursor);
	store_read_end(txn);
	CHECK(mdb_env_info(f->store->env, &info) == 0);
	CHECK(pages == info.me_last_pgno + 1);
}

/*
 * In a process of its own, which may die of what it finds. `floor`: the newest commit that was called
 * durable.
 */
static void
check_image(const char *dir, uint64_t floor, uint64_t seed)
{
	struct store_fixture f = play.f;
	f.dir = (char *)(uintptr_t)dir;
	f.batch = BUF_EMPTY;
	f.arena = ARENA_EMPTY;
	bool restored;
	store_shared_init(f.shared);
	MUST(store_recover(dir, &restored));
	f.store = fixture_store(&f, 0);
	MDB_envinfo info;
	CHECK(mdb_env_info(f.store->env, &info) == 0);
	uint64_t commit = info.me_last_txnid;
	MUST(store_prepare(f.store));
	CHECK(commit >= floor && commit < COMMITS_MAX);
	struct world world = play.commit[commit].world;
	CHECK(commit == 0 || play.commit[commit].there);
	for (int g = 0; commit == 0 && g < GROUPS; g++)
		forget_group(&world, g);
	check_world(&f, &world);
	audit_pages(&f);
	for (int i = 0; i < 15; i++) {
		if (i % 5 == 4)
			clean_something(&f, &world);
		else
			write_something(&f, &world, &seed);
		if (i % 4 == 3)
			fixture_checkpoint(&f);
	}
	check_world(&f, &world);
	audit_pages(&f);
}

static uint64_t
floor_at(uint32_t moment)
{
	uint64_t floor = 0;
	for (uint64_t i = 1; i < COMMITS_MAX; i++)
		if (play.commit[i].moment != 0 && play.commit[i].moment <= moment)
			floor = i;
	return floor;
}

static bool
survives(const char *dir, uint32_t moment, enum powercut kind)
{
	unlink(test_path(dir, "lock.mdb"));
	powercut_image(dir, moment, kind, &play.seed);
	reboot(dir);
	uint64_t floor = floor_at(moment), seed = play.seed;
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		alarm(60);
		for (int s = 1; s < 32; s++)
			signal(s, SIG_DFL); /* what cmocka would catch */
		alarm(60);
		int null = open("/dev/null", O_WRONLY);
		if (getenv("FORKA_CRASH_LOUD") == NULL)
			dup2(null, STDERR_FILENO);
		check_image(dir, floor, seed);
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
simulate(enum durability durability, double share)
{
	const char *seconds = getenv("FORKA_CRASH_SECONDS");
	double bound = (seconds != NULL ? atof(seconds) : 8) * share;
	test_stderr_begin();
	work(durability);
	(void)test_stderr_end();
	uint32_t moments = powercut_now();
	char *dir = test_dir_make();
	int64_t begin = clock_monotonic_ns();
	int images = 0, bad = 0;
	while ((double)(clock_monotonic_ns() - begin) < bound * 1e9 || images < POWERCUT_KINDS * 2) {
		uint32_t moment = (uint32_t)(test_random(&play.seed) % moments);
		enum powercut kind = (enum powercut)(images++ % POWERCUT_KINDS);
		if (survives(dir, moment, kind))
			continue;
		bad++;
		print_message("bad: moment %u of %u, kind %d\n", moment, moments, kind);
	}
	print_message("%d power cuts, %d bad, in a run of %u writes\n", images, bad, moments);
	test_dir_remove(dir);
	powercut_free();
	fixture_end(&play.f);
	assert_int_equal(bad, 0);
}

static void
power_cuts(void **state)
{
	(void)state;
	simulate(DURABILITY_DURABLE, 0.8);
}

static void
power_cuts_strict(void **state)
{
	(void)state;
	simulate(DURABILITY_STRICT, 0.2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(within_one_boot_nothing_is_restored),
		cmocka_unit_test(after_a_reboot_the_checkpoint_is_restored),
		cmocka_unit_test(after_a_clean_stop_nothing_is_restored),
		cmocka_unit_test(a_torn_slot_leaves_the_other),
		cmocka_unit_test(a_backup_is_not_overwritten),
		cmocka_unit_test(nothing_there_is_nothing_to_do),
		cmocka_unit_test(a_stillborn_file_is_removed),
		cmocka_unit_test(tools_wait_for_recovery),
		cmocka_unit_test(strict_leaves_no_side_file),
		cmocka_unit_test(power_cuts),
		cmocka_unit_test(power_cuts_strict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
