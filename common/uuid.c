#include "common/uuid.h"

#include <string.h>
#include <sys/random.h>

#include "common/check.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* RFC 9562, section 5.4. Drawn again where Kafka would: reserved ids, and texts that begin with '-'. */
struct uuid
uuid_random(void)
{
	struct uuid u;
	char text[UUID_TEXT];
	do {
		/* 16 bytes come whole once the kernel's generator is seeded; getrandom() waits for that. */
		CHECK(getrandom(u.b, sizeof(u.b), 0) == (ssize_t)sizeof(u.b));
		u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x40);
		u.b[8] = (uint8_t)((u.b[8] & 0x3f) | 0x80);
		uuid_text(u, text);
	} while (text[0] == '-');
	return u;
}

bool
uuid_is_zero(struct uuid u)
{
	static const struct uuid zero;
	return uuid_eq(u, zero);
}

bool
uuid_eq(struct uuid a, struct uuid b)
{
	return memcmp(a.b, b.b, sizeof(a.b)) == 0;
}

/* 16 bytes are 128 bits: 21 characters of 6 bits, and one whose last 4 bits are zero. */
void
uuid_text(struct uuid u, char out[UUID_TEXT])
{
	uint32_t bits = 0;
	int held = 0, at = 0;
	for (int i = 0; i < 16; i++) {
		bits = bits << 8 | u.b[i];
		for (held += 8; held >= 6; held -= 6)
			out[at++] = alphabet[bits >> (held - 6) & 63];
	}
	out[at++] = alphabet[bits << 4 & 63];
	out[at] = '\0';
}

bool
uuid_parse(struct str text, struct uuid *out)
{
	if (text.n != UUID_TEXT - 1)
		return false;
	struct uuid u;
	uint32_t bits = 0;
	int held = 0, at = 0;
	for (int i = 0; i < text.n; i++) {
		const char *found = text.at[i] != '\0' ? strchr(alphabet, text.at[i]) : NULL;
		if (found == NULL)
			return false;
		bits = bits << 6 | (uint32_t)(found - alphabet);
		held += 6;
		if (held >= 8 && at < 16) {
			held -= 8;
			u.b[at++] = (uint8_t)(bits >> held);
		}
	}
	if ((bits & 15) != 0)
		return false;
	*out = u;
	return true;
}
