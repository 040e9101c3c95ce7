#include "broker/census.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#define FIRST 1024

static int32_t *
bucket_of(const struct census *c, const struct census_address *address)
{
	uint64_t high, low;

	memcpy(&high, address->at, 8);
	memcpy(&low, address->at + 8, 8);
	uint64_t hash = (high * 0x9e3779b97f4a7c15u ^ low) * 0x9e3779b97f4a7c15u;
	return &c->bucket[(hash >> 32) & (uint64_t)(c->n - 1)];
}

static void
put(struct census *c, int32_t *list, int32_t entry)
{
	c->entry[entry].next = *list;
	*list = entry;
}

/* Begin all lists anew. Returns how many entries are free. */
static int32_t
sort_out(struct census *c)
{
	int32_t free = 0;

	c->free = -1;
	for (int32_t i = 0; i < c->n; i++)
		c->bucket[i] = -1;
	for (int32_t i = c->n - 1; i >= 0; i--) {
		struct census_entry *e = &c->entry[i];
		if (e->slot >= 0 && atomic_load(&c->ended[i]) != 0)
			e->slot = -1;
		free += e->slot < 0;
		put(c, e->slot < 0 ? &c->free : bucket_of(c, &e->address), i);
	}
	return free;
}

static void
grow(struct census *c, int32_t n)
{
	c->entry = realloc(c->entry, (size_t)n * sizeof(*c->entry));
	c->bucket = realloc(c->bucket, (size_t)n * sizeof(*c->bucket));
	CHECK(c->entry != NULL && c->bucket != NULL);
	for (int32_t i = c->n; i < n; i++)
		c->entry[i] = (struct census_entry){ .slot = -1 };
	c->n = n;
	sort_out(c);
}

void
census_init(struct census *c, _Atomic uint8_t *ended)
{
	*c = (struct census){ .ended = ended };
	grow(c, FIRST);
}

void
census_free(struct census *c)
{
	free(c->entry);
	free(c->bucket);
	*c = (struct census){ 0 };
}

int32_t
census_count(struct census *c, const struct census_address *address)
{
	int32_t n = 0, i;

	for (int32_t *at = bucket_of(c, address); (i = *at) >= 0;) {
		struct census_entry *e = &c->entry[i];
		if (atomic_load(&c->ended[i]) != 0) {
			*at = e->next;
			e->slot = -1;
			put(c, &c->free, i);
			continue;
		}
		n += memcmp(&e->address, address, sizeof(*address)) == 0;
		at = &e->next;
	}
	return n;
}

/* Sorting out costs a look at each entry: not again before a quarter of them were given out. */
static void
make_free(struct census *c)
{
	if (sort_out(c) < c->n / 4 && c->n < CENSUS_MOST)
		grow(c, c->n * 2);
}

int32_t
census_add(struct census *c, const struct census_address *address, int slot)
{
	if (c->free < 0)
		make_free(c);
	int32_t i = c->free;
	if (i < 0)
		return -1;
	c->free = c->entry[i].next;
	c->entry[i] = (struct census_entry){ .address = *address, .slot = slot };
	atomic_store(&c->ended[i], 0);
	put(c, bucket_of(c, address), i);
	return i;
}

void
census_move(struct census *c, int32_t entry, int slot)
{
	CHECK(entry >= 0 && entry < c->n && c->entry[entry].slot >= 0);
	c->entry[entry].slot = slot;
}

void
census_bury(struct census *c, int slot)
{
	for (int32_t i = 0; i < c->n; i++)
		if (c->entry[i].slot == slot)
			c->entry[i].slot = -1;
	sort_out(c);
}
