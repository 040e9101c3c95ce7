/*
 * endpoint: where a broker listens, or says that it can be reached: NAME://host:port, several separated by
 * commas.
 *
 *	PLAINTEXT://:9092            every address of the machine, IPv4 and IPv6
 *	LOCAL://127.0.0.1:9092,LAN://[fd00::1]:9092
 *
 * NAME is the listener's name, kept in capitals as in Kafka; names and letters are what advertised.listeners
 * refers to. The broker has no TLS and no SASL yet, so the names that mean these in Kafka are refused.
 */
#ifndef COMMON_ENDPOINT_H
#define COMMON_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"

#define ENDPOINTS_MAX 16

struct endpoint {
	const char *name; /* "PLAINTEXT" */
	const char *host; /* without brackets; "" is every address */
	uint16_t port;    /* 0: the kernel chooses */
};

struct endpoints {
	struct endpoint *at;
	int32_t n;
};

/* Empty text gives an empty list. False: `why` says what is wrong. Strings of *out live in the arena. */
bool endpoints_parse(struct str text, struct arena *arena, struct endpoints *out, char *why, size_t why_size);
/* The same list as text, in the arena. */
char *endpoints_text(const struct endpoints *list, struct arena *arena);
/* NULL: no such name (in capitals). */
const struct endpoint *endpoints_find(const struct endpoints *list, const char *name);

#endif
