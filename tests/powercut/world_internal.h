/* world_internal: what world.c writes and world_check.c reads. */
#ifndef TESTS_POWERCUT_WORLD_INTERNAL_H
#define TESTS_POWERCUT_WORLD_INTERNAL_H

#include "tests/powercut/world.h"

/* A batch that was appended. Its CRC stands for its content. */
struct entry {
	int64_t base, producer; /* producer -1: none */
	int32_t count, bytes, sequence;
	uint32_t crc;
	int16_t epoch;
};

/* The batch that begins there; NULL: none was appended. */
const struct entry *ledger_at(uint32_t topic, int p, int64_t base);

struct str world_topic_name(int t);
enum err world_topic_load(struct store_fixture *f, struct store_txn *txn, int t, struct topic *out);
int32_t world_settings(uint32_t settings, struct topic_setting out[2]);

struct str world_group_id(int g);
int64_t world_empty_since(uint32_t saves);
/* As it was saved for the n-th time: of no piece of its own to three. */
struct bytes world_group_state(struct store_fixture *f, uint32_t number, uint32_t saves);
/* The row of this offset: what else is in it, and how much, follows from it. */
struct stored_offset world_offset(struct store_fixture *f, int64_t offset);
/* The cleaner may let it go. */
bool world_offset_expires(int64_t offset);

#endif
