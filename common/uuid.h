/*
 * UUIDs as Kafka uses them: 16 random bytes, written as 22 characters of URL-safe base64 without padding.
 * All zeros means "no id". Ids never begin with '-', as Kafka's never do, so that they can be command-line
 * arguments.
 */
#ifndef COMMON_UUID_H
#define COMMON_UUID_H

#include <stdbool.h>
#include <stdint.h>

#include "common/str.h"

struct uuid {
	uint8_t b[16];
};

#define UUID_TEXT 23 /* 22 characters and the NUL */

struct uuid uuid_random(void); /* version 4, from getrandom(2) */
bool uuid_is_zero(struct uuid u);
bool uuid_eq(struct uuid a, struct uuid b);
void uuid_text(struct uuid u, char out[UUID_TEXT]);
bool uuid_parse(struct str text, struct uuid *out); /* false: not 22 characters of that alphabet */

#endif
