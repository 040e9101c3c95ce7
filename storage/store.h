/*
 * store: topics, their partitions' logs, producers, groups and their offsets, in one crash-safe
 * environment that many processes share. The only header of storage/ (with batch.h, which it brings
 * along) that broker/ includes; it knows nothing of LMDB nor of rows, so that another engine could stand
 * behind it.
 *
 * Who calls what:
 *
 *	supervisor     store_shared_init() in shared memory, before it forks. It never opens the store.
 *	checkpointer   store_recover(), store_open(), store_prepare(), then store_checkpoint() again and
 *	               again, store_reap() after a process died, store_finish() at the end
 *	worker         store_open(); per request store_read() .. store_read_end(); once a turn
 *	               store_write() .. store_commit()
 *	cleaner        store_open(), store_clean() in small steps
 *
 * A commit has a number. It is visible to every process at once, survives the death of any process at
 * once, and is on disk when shared->durable has reached its number: the checkpointer's work. Who
 * promises durability answers then.
 *
 *	log start          high watermark = last stable offset        log end
 *	|----- on disk, consumers read it -----|---- committed, not yet known to be on disk ----|
 *
 * The high watermark is no state of its own: each partition remembers which commits moved its log end,
 * so any process computes it from its snapshot and shared->durable. Nobody has to raise it, so nobody's
 * death can hold it back.
 *
 * Rules: open after the fork, once per process. One read and one write transaction at a time. Neither
 * outlives a callback of the event loop: a forgotten reader makes the file grow, a forgotten writer
 * stops everybody. Views (struct str, iovecs) live until the transaction that gave them ends; in a write
 * transaction, until the next change.
 */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/arena.h"
#include "common/check.h"
#include "common/err.h"
#include "common/str.h"
#include "common/uuid.h"
#include "storage/batch.h"

struct store;
struct store_txn; /* a snapshot, or a snapshot with this turn's changes on top */

/* --- processes -------------------------------------------------------------------------------------- */

enum durability {
	DURABILITY_DURABLE, /* commits are made durable by checkpoints, readers see only what is durable */
	DURABILITY_RELAXED, /* same, but nobody waits: the high watermark is the log end */
	DURABILITY_STRICT,  /* every commit is synchronous; no checkpoints */
};

#define STORE_SLOTS 272 /* processes that may write: 256 workers, checkpointer, cleaner, tools */

/*
 * What the processes of one broker share, in memory that the supervisor mapped before it forked. Atomics
 * only: a process may die between any two of them and the others go on.
 */
struct store_shared {
	_Atomic uint64_t durable;        /* newest commit known to be on disk */
	_Atomic uint64_t syncing;        /* newest commit that the checkpoint under way will have put there */
	_Atomic uint64_t catalog_commit; /* newest commit that changes topics; set before it commits */
	_Atomic uint32_t writes_ok;      /* 0: no checkpointer holds its pin, writers wait or refuse */
	_Atomic int32_t pinner;          /* pid of the checkpointer */
	_Atomic uint32_t disk_failed;    /* a sync did: nothing is called durable any more by this broker */
	_Atomic uint32_t disk_full;      /* appends are refused, all that frees space goes on */
	_Atomic uint64_t room_bytes;     /* estimate of what still fits, for metrics */
	_Atomic uint32_t last_writer;    /* slot of who committed last, for fairness */
	_Atomic uint32_t slots_used;     /* slots from here on have never wanted the lock */
	struct store_slot {
		_Atomic uint32_t waiting;      /* wants the writer lock */
		_Atomic int64_t held_since_ns; /* monotonic; 0: does not hold it */
	} slot[STORE_SLOTS];
};

void store_shared_init(struct store_shared *shared);
/* Forget what a dead process left in its slot. For the supervisor, when it reaps the process. */
void store_slot_clear(struct store_shared *shared, int slot);
/*
 * Does the process in this slot have the writer lock (since *held_since_ns on the monotonic clock, else 0), or
 * wait for it? For the supervisor's watch.
 */
bool store_slot_in_lock(const struct store_shared *shared, int slot, int64_t *held_since_ns);

struct store_options {
	const char *dir; /* created if absent (mode 0770) */
	enum durability durability;
	uint64_t map_bytes; /* upper bound of the file; address space only */
	struct store_shared *shared;
	int slot;
	bool read_only; /* tools: no slot, no writes */
};

/*
 * Put back the last checkpoint if the machine went down without a clean stop (the boot id changed),
 * before anybody opens. Never within one boot: the page cache is newer. *restored tells.
 * KAFKA_STORAGE_ERROR: cannot; the reason is in diag.
 */
MUST_CHECK enum err store_recover(const char *dir, bool *restored);
MUST_CHECK enum err store_open(const struct store_options *options, struct store **out);
void store_close(struct store *store);

/*
 * First process only, before any other opens: create what is missing, check the format version, clear
 * dead readers, first checkpoint, writes_ok = 1.
 */
MUST_CHECK enum err store_prepare(struct store *store);
/*
 * Make every commit so far durable; publishes shared->durable. An error means that the disk failed: stop
 * the broker.
 */
MUST_CHECK enum err store_checkpoint(struct store *store);
/* Final checkpoint, marked clean. */
MUST_CHECK enum err store_finish(struct store *store);
/*
 * Free what dead processes held (reader slots). Only where the checkpointer's pin is alive: by the
 * checkpointer itself.
 */
void store_reap(struct store *store);

struct store_backup {
	uint64_t commit; /* everything up to this one is in the copy */
	uint64_t bytes;
};
/*
 * Copy the store as it is now to DIR/data.mdb, and to disk, while others work on; nobody waits for it, but what is
 * freed meanwhile is not used again before it ends. The directory is made where absent (its parent is not), and must
 * not hold a store. `compact`: without free pages, which takes longer; the copy's commits count anew from 1. For tools:
 * one at a time in a process. KAFKA_STORAGE_ERROR: nothing is left of it; the reason is in diag.
 */
MUST_CHECK enum err store_backup(struct store *store, const char *dir, bool compact,
				 struct store_backup *out);
/* Remove what store_backup() has made so far. For a signal handler, before the process ends. */
void store_backup_abandon(void);

/* 22 characters of base64; view lives as long as the store is open. */
struct str store_cluster_id(const struct store *store);

/* --- transactions ----------------------------------------------------------------------------------- */

/* A snapshot of now. Never waits. End it before returning to the loop. */
MUST_CHECK enum err store_read(struct store *store, struct store_txn **out);
void store_read_end(struct store_txn *txn);

/*
 * The writer lock and a snapshot to change. Waits for other writers (tens of microseconds).
 * KAFKA_STORAGE_ERROR while !writes_ok.
 */
MUST_CHECK enum err store_write(struct store *store, struct store_txn **out);
/*
 * Commit all changes. *commit is the number to wait for (that of the newest commit where nothing
 * changed). KAFKA_STORAGE_ERROR: nothing was changed (disk or map full: disk_full is set). Ends the
 * transaction either way.
 */
MUST_CHECK enum err store_commit(struct store_txn *txn, uint64_t *commit);
void store_abort(struct store_txn *txn);

bool store_is_durable(const struct store *store, uint64_t commit); /* relaxed: always */
uint64_t store_snapshot(const struct store_txn *txn); /* newest commit that this transaction sees */

/* --- topics ----------------------------------------------------------------------------------------- */

struct topic_setting {
	struct str key, value;
};

struct topic {
	uint32_t number; /* key of the rows; never used again after deletion */
	struct uuid id;  /* what clients see */
	struct str name;
	int32_t partitions;
	int64_t created_ms;
	const struct topic_setting *settings; /* only what was set for this topic; in the arena given */
	int32_t setting_n;
};

/* UNKNOWN_TOPIC_OR_PARTITION. */
MUST_CHECK enum err topic_by_name(struct store_txn *txn, struct str name, struct arena *arena,
				  struct topic *out);
/* UNKNOWN_TOPIC_ID. */
MUST_CHECK enum err topic_by_id(struct store_txn *txn, struct uuid id, struct arena *arena,
				struct topic *out);
/*
 * The first topic whose name is after `name` (null: the first of all) in memcmp order, where '.' counts
 * as '_'; false at the end. `name` need not be a topic's. False, too, where it cannot be read: *err tells.
 */
bool topic_after(struct store_txn *txn, struct str name, struct arena *arena, struct topic *out,
		 enum err *err);
/* Value set for this topic; null: not set, the broker's default holds. */
struct str topic_setting(const struct topic *topic, const char *key);

/*
 * INVALID_TOPIC_EXCEPTION for names that Kafka refuses: empty, ".", "..", over 249, other than
 * [a-zA-Z0-9._-].
 */
MUST_CHECK enum err topic_name_check(struct str name);
/*
 * May a topic of this name be created? TOPIC_ALREADY_EXISTS; INVALID_TOPIC_EXCEPTION: as
 * topic_name_check(), or the name collides with another topic's ('.' and '_' are one).
 */
MUST_CHECK enum err topic_name_free(struct store_txn *txn, struct str name);
/*
 * TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION: as topic_name_free(); INVALID_PARTITIONS;
 * INVALID_CONFIG: settings too long for the store (4 KB in all).
 */
MUST_CHECK enum err topic_create(struct store_txn *txn, struct str name, int32_t partitions,
				 const struct topic_setting *settings, int32_t setting_n, struct arena *arena,
				 struct topic *out);
/* INVALID_PARTITIONS unless it grows. */
MUST_CHECK enum err topic_grow(struct store_txn *txn, const struct topic *topic, int32_t partitions);
/* Replace the topic's settings. INVALID_CONFIG: too long for the store (4 KB in all, with the name). */
MUST_CHECK enum err topic_configure(struct store_txn *txn, const struct topic *topic,
				    const struct topic_setting *settings, int32_t setting_n);
/* Gone for everybody at the commit; its rows are freed by store_clean() in steps. */
MUST_CHECK enum err topic_delete(struct store_txn *txn, const struct topic *topic);

/* --- partitions ------------------------------------------------------------------------------------- */

struct partition {
	int64_t log_start;      /* first offset that can be read */
	int64_t log_end;        /* offset of the next record */
	int64_t high_watermark; /* first offset that consumers may not see yet */
	int64_t last_stable;  /* first offset that read_committed may not see: the high watermark, or an open
				 transaction's start */
	int32_t leader_epoch; /* 0: one broker, one epoch */
	int64_t bytes;        /* of the rows that hold its batches; what is let go counts until it is freed */
};

/* UNKNOWN_TOPIC_OR_PARTITION for an index out of range. */
MUST_CHECK enum err partition_state(struct store_txn *txn, const struct topic *topic, int32_t index,
				    struct partition *out);

struct append_result {
	int64_t base_offset; /* of the first record; of the original for a duplicate */
	int64_t log_start;
	int64_t log_append_time_ms; /* -1 for CreateTime */
	bool duplicate;             /* an idempotent producer's retry: nothing was added */
};

/*
 * Append one checked batch. Base offset and leader epoch are stamped into the caller's bytes, which must
 * stay until store_commit(). log_append_time_ms >= 0: the topic has LogAppendTime, the batch's
 * timestamp, type and CRC are rewritten. OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH
 * (idempotence, KIP-98: five batches per producer and partition); KAFKA_STORAGE_ERROR: disk full, the
 * transaction must be aborted if store_failed() says so.
 */
MUST_CHECK enum err log_append(struct store_txn *txn, const struct topic *topic, int32_t index, uint8_t *at,
			       const struct batch *batch, int64_t log_append_time_ms,
			       struct append_result *out);
/* An engine error poisoned this write transaction; abort it. */
bool store_failed(const struct store_txn *txn);
/*
 * The disk is full: nothing new is taken. What is there may be written over and deleted, for which a margin is kept.
 */
bool store_is_full(const struct store *store);

/* Pieces of the map that hold whole consecutive batches. iov grows in the arena. */
struct log_slice {
	struct iovec *iov;
	int32_t iov_n, iov_cap;
	int32_t bytes;
	int64_t next_offset; /* behind the last batch in it */
};

/*
 * Whole batches from the one that holds `offset` on, up to `end` (high watermark or last stable offset:
 * no batch that reaches it or beyond), up to max_bytes; where at_least_one, the first batch in any case
 * (KIP-74). Nothing to read gives an empty slice. OFFSET_OUT_OF_RANGE: before log start or after log end
 * (between `end` and log end there is nothing yet).
 */
MUST_CHECK enum err log_read(struct store_txn *txn, const struct topic *topic, int32_t index, int64_t offset,
			     int64_t end, int32_t max_bytes, bool at_least_one, struct arena *arena,
			     struct log_slice *out);

/*
 * The log begins at `before` from now on (DeleteRecords, KIP-107); store_clean() frees what is in front
 * of it. Nothing happens where it begins there already, or later. OFFSET_OUT_OF_RANGE: negative, or
 * above the high watermark.
 */
MUST_CHECK enum err log_trim(struct store_txn *txn, const struct topic *topic, int32_t index, int64_t before);

struct log_position {
	int64_t offset, timestamp; /* -1, -1: none */
};
/*
 * The first record below `end` whose timestamp is >= timestamp_ms, with its own timestamp. Looks into
 * batches, and opens compressed ones as far as that record.
 *
 * Into 64 MB per transaction, opened bytes included, whatever they are asked for. From then on, and
 * where a batch is damaged inside, the answer is the batch that has the record by its header: its base
 * offset, which is at or before the record's, and its greatest timestamp, which is >= timestamp_ms.
 */
MUST_CHECK enum err log_find_time(struct store_txn *txn, const struct topic *topic, int32_t index,
				  int64_t timestamp_ms, int64_t end, struct log_position *out);
/* The first record below `end` with the greatest timestamp (KIP-734). */
MUST_CHECK enum err log_max_timestamp(struct store_txn *txn, const struct topic *topic, int32_t index,
				      int64_t end, struct log_position *out);

/* --- producers -------------------------------------------------------------------------------------- */

/* A producer id that no one had before; promised only once durable. */
MUST_CHECK enum err producer_id_next(struct store_txn *txn, int64_t *out);

/* --- groups ----------------------------------------------------------------------------------------- */

struct stored_group {
	uint32_t number; /* key of its offsets; from 1, never used again after deletion */
	struct str id;
	int64_t empty_since_ms; /* wall clock; -1: it has members */
	struct bytes state;     /* the broker's own; empty: only offsets were ever committed */
};

/* GROUP_ID_NOT_FOUND. What *out points to lives in the arena. */
MUST_CHECK enum err groups_find(struct store_txn *txn, struct str id, struct arena *arena,
				struct stored_group *out);
/* Only its number. GROUP_ID_NOT_FOUND. */
MUST_CHECK enum err groups_number(struct store_txn *txn, struct str id, uint32_t *number);
/* The first group whose number is above `number`; false at the end, and on failure: *err tells. */
bool groups_after(struct store_txn *txn, uint32_t number, struct arena *arena, struct stored_group *out,
		  enum err *err);
/*
 * The group's number; made, empty and without state, if it is not there. KAFKA_STORAGE_ERROR: disk full, and it is not
 * there (store_failed() tells this from an error of the engine: nothing is lost but this group).
 */
MUST_CHECK enum err groups_open(struct store_txn *txn, struct str id, uint32_t *number);
/*
 * The group's state from now on; made if it is not there. Not even a full disk refuses it: whoever would make a group
 * asks store_is_full() first.
 */
MUST_CHECK enum err groups_save(struct store_txn *txn, struct str id, struct bytes state,
				int64_t empty_since_ms);
/* Gone for everybody at the commit; store_clean() frees its offsets in steps. GROUP_ID_NOT_FOUND. */
MUST_CHECK enum err groups_delete(struct store_txn *txn, struct str id);

/* How far a group has read a partition. */
struct stored_offset {
	int64_t offset; /* of the next record to read; -1: none is stored */
	int32_t leader_epoch;
	int64_t committed_ms;
	int64_t expires_ms;  /* -1: by the broker's rule (offsets.retention.minutes) */
	struct str metadata; /* the client's own words; at most OFFSET_METADATA_BYTES_MAX */
};

#define OFFSET_METADATA_BYTES_MAX 32767

/*
 * By the topic's number: a topic that is deleted and made again has none of the old one's offsets.
 * KAFKA_STORAGE_ERROR: disk full, and there is no offset to write over, or only one with a shorter metadata (short ones
 * aside; store_failed() tells this from an error of the engine).
 */
MUST_CHECK enum err offsets_commit(struct store_txn *txn, uint32_t group, uint32_t topic, int32_t partition,
				   const struct stored_offset *offset);
/* Nothing stored is no error: offset -1, epoch -1, metadata "". */
MUST_CHECK enum err offsets_fetch(struct store_txn *txn, uint32_t group, uint32_t topic, int32_t partition,
				  struct arena *arena, struct stored_offset *out);
MUST_CHECK enum err offsets_delete(struct store_txn *txn, uint32_t group, uint32_t topic, int32_t partition);
/*
 * All offsets of a group, by topic and partition, those of deleted topics too: from *topic, *partition
 * on (0, 0: the first); false at the end, and on failure: *err tells. To go on: raise *partition by 1.
 */
bool offsets_next(struct store_txn *txn, uint32_t group, uint32_t *topic, int32_t *partition,
		  struct arena *arena, struct stored_offset *out, enum err *err);
/* The name of the topic with this number. UNKNOWN_TOPIC_OR_PARTITION: it was deleted. */
MUST_CHECK enum err topic_by_number(struct store_txn *txn, uint32_t number, struct arena *arena,
				    struct topic *out);

/* --- cleaning --------------------------------------------------------------------------------------- */

/*
 * What a group with members reads, which is in its state, which the store cannot read. Asked only where
 * an offset is old enough to expire, once per group and step.
 */
struct clean_readers {
	void *(*open)(const struct stored_group *group); /* NULL: it keeps all its offsets */
	bool (*reads)(void *opened, struct str topic);
	void (*close)(void *opened);
};

/* The broker's defaults for topics that set nothing themselves; -1: without limit. */
struct clean_rules {
	int64_t retention_ms, retention_bytes;
	bool delete_by_default; /* log.cleanup.policy has delete */
	int64_t producer_expiry_ms;
	int64_t offsets_retention_ms;        /* 0: for ever, unless the offset itself says otherwise */
	const struct clean_readers *readers; /* NULL: groups with members keep all their offsets */
	int64_t now_ms;
	/* Nothing but rows of deleted topics and groups; a round under way stays where it is. */
	bool deleted_only;
};
/*
 * One small step, its own write transaction, at most 400 rows: rows of deleted topics and groups, then,
 * unless deleted_only, what retention.ms and retention.bytes let go (the log start moves first), then
 * forgotten producers, then offsets of deleted topics and those that nobody reads any more (expiry.h),
 * and groups that have neither members nor offsets. *more: call again soon.
 */
MUST_CHECK enum err store_clean(struct store *store, const struct clean_rules *rules, bool *more);

#endif
