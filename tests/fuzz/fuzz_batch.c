/*
 * fuzz_batch: any bytes as a record batch, through the gate and, where they pass, record by record. The first byte of the
 * input chooses the rules and whether the checksum is put right, which no fuzzer would guess.
 */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "storage/heads.h"

#define OPENED_MAX ((size_t)1 << 20)

static void
walk(const struct batch *batch)
{
	struct record_reader *reader;
	struct record record;
	volatile uint8_t last = 0;

	if (records_open(batch, OPENED_MAX, &reader) != ERR_NONE)
		return;
	while (records_next(reader, &record)) {
		/* Both ends of every view are readable. */
		if (record.key.n > 0)
			last ^= record.key.at[0] ^ record.key.at[record.key.n - 1];
		if (record.value.n > 0)
			last ^= record.value.at[0] ^ record.value.at[record.value.n - 1];
		if (record.headers.n > 0)
			last ^= record.headers.at[record.headers.n - 1];
	}
	(void)records_failed(reader);
	records_close(reader);
}

static void
walk_heads(const struct batch *batch)
{
	struct heads heads;
	struct record_head head;

	heads_open(&heads, batch, OPENED_MAX);
	while (heads_next(&heads, &head))
		;
	(void)heads_end(&heads);
	heads_close(&heads);
}

static void
put_right(uint8_t *at, size_t n)
{
	if (n < BATCH_HEADER_BYTES)
		return;
	at[16] = 2;
	put_u32(at + 8, (uint32_t)n - 12);
	put_u32(at + 17, crc32c(at + 21, n - 21));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 1 || n > 1 << 20)
		return 0;
	struct batch_rules rules = { .max_bytes = 1 << 20,
				     .keys_required = data[0] & 1,
				     .zstd_allowed = data[0] & 2 };
	uint8_t *copy = malloc(n - 1 > 0 ? n - 1 : 1); /* of exactly that size */
	memcpy(copy, data + 1, n - 1);
	if (data[0] & 4)
		put_right(copy, n - 1);
	struct batch batch;
	struct batch_fault fault;
	if (batch_check(copy, n - 1, &rules, &batch, &fault) == ERR_NONE)
		walk(&batch);
	if (batch_parse(copy, n - 1, &batch)) { /* what was stored by another version is not trusted either */
		walk(&batch);
		walk_heads(&batch);
	}
	free(copy);
	return 0;
}
