/*
 * keys: every table of the store, byte by byte, and the format version that stands for all of them.
 *
 * Numbers are big-endian, so that memcmp order of keys is their order. A timestamp in a value is an i64.
 * Every value is at most ROW_BYTES long and so takes one page at most: the engine looks for several free
 * pages in a row in quadratic time, under the writer lock.
 *
 *	table  key                                   value
 *	-----  ------------------------------------  -------------------------------------------------------
 *	sys    "format"                              u32 FORMAT_VERSION
 *	       "cluster"                             22 characters: the cluster id
 *	       "next.topic"                          u32 number of the next topic
 *	       "next.producer"                       u64 next producer id
 *	       "next.group"                          u32 number of the next group
 *	       "gone" + topic u32                    (empty) a deleted topic whose rows are still to be freed
 *	       "ggone" + group u32                   (empty) a deleted group whose offsets are still to be freed
 *	topic  topic u32                             uuid 16, partitions u32, created ms i64, name length u16,
 *	                                             name, settings u16, per setting: key length u16, key,
 *	                                             value length u16, value
 *	tname  name, with '_' for every '.'          topic u32
 *	tid    uuid 16                               topic u32
 *	part   topic u32, partition u32              PART_BYTES, see below; no row: never written to
 *	log    topic u32, partition u32,             a slice of a run (below)
 *	       last offset u64, position u32
 *	time   topic u32, partition u32,             of a closed span: max timestamp i64, bytes u64,
 *	       last offset u64                       closed ms i64
 *	prod   topic u32, partition u32,             PROD_BYTES, see below
 *	       producer id u64
 *	gname  's' + group id                        group u32
 *	       'l' + first 400 bytes of the group    group u32; of ids that are longer than that
 *	       id + their hash u64 + group u32
 *	group  group u32, piece u16                  a slice of: id length u16, id, empty since ms i64 (-1: it
 *	                                             has members), the broker's state of it
 *	offs   group u32, topic u32, partition u32,  a slice of: offset i64, leader epoch i32, committed ms i64,
 *	       piece u16                             expires ms i64 (-1: by the broker's rule), metadata
 *
 * What may be larger than a row is cut in slices, numbered by the last two bytes of their keys (pieces.h).
 *
 * A run is the batches that one transaction appended to one partition, joined, up to RUN_BYTES (or one
 * batch that is larger). It is cut in slices of ROW_BYTES or, at its end, less (append.c); all bear the
 * last offset of the whole run, and their position in it. So the first key at or after (topic, partition,
 * wanted offset, 0) is the beginning of the run that holds the wanted offset, or of the next run where
 * there is a gap.
 *
 * A span is SPAN_BYTES of consecutive batches. The `time` row of a closed span tells its greatest
 * timestamp, so that a search by time and retention.ms need not look at the batches. The newest span is
 * open: its figures are in `part`.
 *
 *	part	 0 log start i64	 8 log end i64		16 row start i64
 *		24 bytes u64		32 leader epoch u32	36 span start i64
 *		44 span bytes u64	52 span max timestamp	60 span opened ms
 *		68 trail: 3 times (log end i64, commit u64)
 *
 *	log start, log end   offsets that can be read: [start, end)
 *	row start            rows of runs that end before this offset are freed already; <= log start
 *	bytes                of all rows in `log`, those still to be freed included
 *	trail                which commits moved the log end: partition.h
 *
 *	prod	 0 epoch u16		 2 batches u16		 4 appended ms i64
 *		12 up to 5 times, oldest first: last sequence u32, last offset delta u32,
 *		   last offset i64, timestamp i64
 *
 * To change any of this: raise FORMAT_VERSION, keep the reader of the old version beside the new one, and
 * convert in store_prepare() in steps of at most 400 rows; a store of a newer version is refused. A new
 * table is no change of format: add it to TABLES, store_prepare() creates it.
 */
#ifndef STORAGE_KEYS_H
#define STORAGE_KEYS_H

#include <stdint.h>

#include "common/bytes.h"

#define FORMAT_VERSION 1

#define TABLES(T)                                                                                            \
	T(SYS, "sys")                                                                                        \
	T(TOPIC, "topic")                                                                                    \
	T(TNAME, "tname")                                                                                    \
	T(TID, "tid")                                                                                        \
	T(PART, "part")                                                                                      \
	T(LOG, "log")                                                                                        \
	T(TIME, "time")                                                                                      \
	T(PROD, "prod")                                                                                      \
	T(GNAME, "gname")                                                                                    \
	T(GROUP, "group")                                                                                    \
	T(OFFS, "offs")

enum table {
#define T(name, text) TABLE_##name,
	TABLES(T)
#undef T
	    TABLE_N
};

#define TABLES_MAX 16 /* room for more without touching the environment's limits */

#define ROW_BYTES  4080 /* fills exactly one page of 4096 behind its header of 16 */
#define RUN_BYTES  (16 * ROW_BYTES)
#define SPAN_BYTES (1024 * 1024)

/* Where the fields of a `part` row are. */
enum {
	PART_LOG_START = 0,
	PART_LOG_END = 8,
	PART_ROW_START = 16,
	PART_BYTES_HELD = 24,
	PART_LEADER_EPOCH = 32,
	PART_SPAN_START = 36,
	PART_SPAN_BYTES = 44,
	PART_SPAN_MAX = 52,
	PART_SPAN_OPENED = 60,
	PART_TRAIL_FROM = 68,
};

#define PART_TRAIL           3
#define PART_TRAIL_END(i)    (PART_TRAIL_FROM + (i)*16)
#define PART_TRAIL_COMMIT(i) (PART_TRAIL_END(i) + 8)
#define PART_BYTES           PART_TRAIL_END(PART_TRAIL)

#define PROD_BATCHES 5
#define PROD_BYTES   (12 + PROD_BATCHES * 24)

#define KEY_TOPIC_BYTES 4
#define KEY_PART_BYTES  8
#define KEY_LOG_BYTES   20
#define KEY_TIME_BYTES  16
#define KEY_PROD_BYTES  16
#define KEY_GONE_BYTES  8
#define KEY_GGONE_BYTES 9
#define KEY_GROUP_BYTES 4  /* without the piece */
#define KEY_OFFS_BYTES  12 /* likewise */
#define KEY_PIECE_BYTES 2
#define TIME_BYTES      24

static inline void
key_part(uint8_t key[KEY_PART_BYTES], uint32_t topic, uint32_t partition)
{
	put_u32(key, topic);
	put_u32(key + 4, partition);
}

static inline void
key_log(uint8_t key[KEY_LOG_BYTES], uint32_t topic, uint32_t partition, int64_t last_offset, uint32_t pos)
{
	key_part(key, topic, partition);
	put_u64(key + 8, (uint64_t)last_offset);
	put_u32(key + 16, pos);
}

/* `time` and `prod`: topic, partition and a number. */
static inline void
key_numbered(uint8_t key[KEY_TIME_BYTES], uint32_t topic, uint32_t partition, int64_t number)
{
	key_part(key, topic, partition);
	put_u64(key + 8, (uint64_t)number);
}

static inline void
key_gone(uint8_t key[KEY_GONE_BYTES], uint32_t topic)
{
	memcpy(key, "gone", 4);
	put_u32(key + 4, topic);
}

static inline void
key_ggone(uint8_t key[KEY_GGONE_BYTES], uint32_t group)
{
	memcpy(key, "ggone", 5);
	put_u32(key + 5, group);
}

static inline void
key_offs(uint8_t key[KEY_OFFS_BYTES], uint32_t group, uint32_t topic, uint32_t partition)
{
	put_u32(key, group);
	put_u32(key + 4, topic);
	put_u32(key + 8, partition);
}

#endif
