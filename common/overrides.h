/*
 * overrides: a number for some hosts, another than for all the rest: host:number, several separated by commas. The host
 * is a name or an address; of IPv6, with brackets or without, since the last colon is what counts (as in Kafka).
 *
 *	127.0.0.1:200,batch.example.org:20,fd00::1:5,[fd00::2]:5
 */
#ifndef COMMON_OVERRIDES_H
#define COMMON_OVERRIDES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"

struct override {
	const char *host; /* without brackets */
	int32_t number;   /* 0 or more */
};

struct overrides {
	struct override *at;
	int32_t n;
};

/* Empty text gives an empty list. False: `why` says what is wrong. What *out points to lives in the arena. */
bool overrides_parse(struct str text, struct arena *arena, struct overrides *out, char *why, size_t why_size);
/* The same list as text, in the arena. */
char *overrides_text(const struct overrides *list, struct arena *arena);

#endif
