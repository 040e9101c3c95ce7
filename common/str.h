/*
 * Views: a pointer and a length into bytes that somebody else owns.
 *
 * Strings of the Kafka protocol are not NUL-terminated and may be null, which differs from empty:
 *
 *	null    at == NULL, n == -1        empty    n == 0        else    n bytes at `at`
 *
 * A view lives as long as what it points into: a request's views until the call is finished, a store's views
 * until its transaction ends. Copying is a visible word: str_keep().
 */
#ifndef COMMON_STR_H
#define COMMON_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct arena;

struct str {
	const char *at;
	int32_t n;
};

struct bytes {
	const uint8_t *at;
	int32_t n;
};

/*
 * Record batches in a request or an answer. Decoded: one view in `at`. To be encoded: either one view, or,
 * where iov_n > 0, that many pieces which together are n bytes and are sent without being copied.
 */
struct records {
	const uint8_t *at;
	int32_t n; /* bytes in all; -1 null */
	const struct iovec *iov;
	int32_t iov_n;
};

#define STR(literal) ((struct str){ .at = (literal), .n = (int32_t)sizeof(literal) - 1 })
#define STR_NULL     ((struct str){ .at = NULL, .n = -1 })
/* For printf's "%.*s": null prints as nothing. */
#define STR_ARG(s) ((s).n > 0 ? (int)(s).n : 0), ((s).n > 0 ? (s).at : "")

struct str str_of(const char *c); /* view of a C string; NULL gives null */
bool str_is_null(struct str s);
bool str_eq(struct str a, struct str b); /* null equals only null */
int str_cmp(struct str a, struct str b); /* memcmp order, shorter first; null before all */
bool str_is(struct str s, const char *c);
struct str str_keep(struct arena *arena, struct str s); /* copy that lives as long as the arena */
char *str_c(struct arena *arena, struct str s);         /* NUL-terminated copy in the arena; "" for null */
/* Copy that lives as long as the arena; null becomes empty. */
struct bytes bytes_keep(struct arena *arena, struct bytes b);
/* A decimal number, with an optional '-', and nothing else; false (and *out untouched) otherwise or on
 * overflow. */
bool str_to_int64(struct str s, int64_t *out);

#endif
