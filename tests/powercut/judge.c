#include "tests/powercut/judge.h"

#include <stdio.h>

#include "tests/powercut/audit.h"
#include "tests/powercut/disk.h"

/* Any moment; more often one soon after the store was opened, or while a checkpoint is being written down. */
static uint32_t
choose_moment(const struct run *run, uint64_t *seed)
{
	uint32_t moments = disk_now(), moment;
	uint64_t kind = test_random(seed) % 8, n = test_random(seed);
	if (kind == 0)
		return disk_in_flight(n);
	if (kind > 2 || run->lives == 0)
		return (uint32_t)(n % moments);
	moment =
	    kind == 1
		? 0
		: run->life_began[n % (uint64_t)run->lives]; /* of all lives, the first is another thing */
	moment += (uint32_t)(test_random(seed) % 30);
	return moment < moments ? moment : moments - 1;
}

/* A start makes all that it finds durable: so it is for consumers to read. */
static void
all_is_visible(struct store_fixture *f)
{
	struct store_txn *txn = fixture_read(f);
	struct topic topic;
	struct str name = STR_NULL;
	enum err e;
	while (topic_after(txn, name, &f->arena, &topic, &e)) {
		for (int32_t p = 0; p < topic.partitions; p++) {
			struct partition state;
			MUST(partition_state(txn, &topic, p, &state));
			CHECK(state.high_watermark == state.log_end);
		}
		name = topic.name;
	}
	MUST(e);
	store_read_end(txn);
	arena_reset(&f->arena);
}

static void
audit(struct run *run)
{
	world_check(life_store(), &run->world);
	audit_rows(life_store());
	audit_pages(life_store());
}

/* It goes on working, over a restart too. */
static void
work_on(struct run *run, const char *dir, enum durability durability, uint64_t *seed)
{
	life_steps(12);
	audit(run);
	life_close(test_random(seed) % 2 == 0);
	life_open(run, dir, durability, NULL);
	life_steps(4);
	audit(run);
	life_close(false);
}

/* The power comes back, and fails again within this life. */
static void
live_shortly(struct run *run, const char *dir, enum durability durability, uint64_t floor)
{
	disk_record(dir);
	life_open(run, dir, durability, &floor);
	life_steps((int)(test_random(&run->seed) % 6));
	life_close(test_random(&run->seed) % 4 == 0);
	disk_stop();
}

void
judge(struct run *run, const char *dir, uint64_t seed, struct verdict *out)
{
	disk_freeze();
	uint64_t again = test_random(&seed) % 24;
	out->cuts = again < 4 ? 2 : again == 4 ? 3 : 1;
	for (int i = 1; i <= out->cuts; i++) {
		char image[4096];
		snprintf(image, sizeof(image), "%s/image-%d", dir, i);
		out->moment = choose_moment(run, &seed);
		out->cut = (int)(test_random(&seed) % CUT_KINDS);
		out->floor = run_floor(run, out->moment);
		disk_image(image, out->moment, (enum disk_cut)out->cut, &seed);
		disk_boot();
		run->lives = 0;
		run->seed = seed;
		enum durability durability = load_durability(run->kind, &seed);
		if (i < out->cuts) {
			live_shortly(run, image, durability, out->floor);
			continue;
		}
		life_open(run, image, durability, &out->floor);
		out->found = life_found();
		all_is_visible(life_store());
		audit(run);
		work_on(run, image, durability, &seed);
	}
}
