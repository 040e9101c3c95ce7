#include "common/protocol/field.h"

#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/varint.h"

/*
 * header.c: what stands before a body.
 *
 *	request   api_key int16, api_version int16, correlation_id int32, client_id (int16 length, -1 null);
 *	          then, if flexible, tagged fields.
 *	response  correlation_id int32; then, if flexible, tagged fields. Never for ApiVersions (KIP-511).
 *
 * The client_id is compact in no version: KIP-482 left it as it was, so that any broker can read the
 * start of any header.
 */

static bool
is_flexible(const struct api *api, int16_t version)
{
	return api != NULL && version >= api->flexible_from;
}

static int
header_fault(struct wire_fault *fault, size_t offset, const char *field, size_t left, const char *what)
{
	fault->offset = offset;
	snprintf(fault->where, sizeof(fault->where), "request header: %s", field);
	snprintf(fault->what, sizeof(fault->what), "%s, %zu left", what, left);
	return -1;
}

/*
 * Length of a section of tagged fields, all passed over; 0: it does not end within n bytes, or has too
 * many.
 */
static size_t
skip_tags(const uint8_t *at, size_t n)
{
	size_t from = 0;
	uint32_t tags, tag, size;
	int used = varint_get_u32(at, n, &tags);

	if (used <= 0 || tags > TAGS_MAX)
		return 0;
	from = (size_t)used;
	while (tags-- > 0) {
		used = varint_get_u32(at + from, n - from, &tag);
		if (used <= 0)
			return 0;
		from += (size_t)used;
		used = varint_get_u32(at + from, n - from, &size);
		if (used <= 0)
			return 0;
		from += (size_t)used;
		if (n - from < size)
			return 0;
		from += size;
	}
	return from;
}

int
request_header_decode(const uint8_t *at, size_t n, struct request_header *out, struct wire_fault *fault)
{
	int16_t length;
	size_t from = 10, tags;

	*out = (struct request_header){ .client_id = STR_NULL };
	if (n < 4)
		return header_fault(fault, 0, "api_key", n, "needs 4 bytes");
	out->api_key = (int16_t)get_u16(at);
	out->api_version = (int16_t)get_u16(at + 2);
	if (n < 8)
		return header_fault(fault, 4, "correlation_id", n - 4, "needs 4 bytes");
	out->correlation_id = (int32_t)get_u32(at + 4);
	if (n < 10)
		return header_fault(fault, 8, "client_id", n - 8, "needs 2 bytes");
	length = (int16_t)get_u16(at + 8);
	if (length < -1)
		return header_fault(fault, 8, "client_id", n - from, "a negative length");
	if (length >= 0) {
		if (n - from < (size_t)length)
			return header_fault(fault, 10, "client_id", n - from,
					    "needs more bytes than there are");
		out->client_id = (struct str){ (const char *)at + from, length };
		from += (size_t)length;
	}
	if (!is_flexible(api_find(out->api_key), out->api_version))
		return (int)from;
	tags = skip_tags(at + from, n - from);
	if (tags == 0)
		return header_fault(fault, from, "tagged fields", n - from, "need more bytes than there are");
	return (int)(from + tags);
}

void
request_header_encode(struct buf *out, const struct api *api, const struct request_header *header)
{
	uint8_t fixed[10];

	put_u16(fixed, (uint16_t)header->api_key);
	put_u16(fixed + 2, (uint16_t)header->api_version);
	put_u32(fixed + 4, (uint32_t)header->correlation_id);
	put_u16(fixed + 8, (uint16_t)header->client_id.n);
	buf_append(out, fixed, sizeof(fixed));
	if (header->client_id.n > 0)
		buf_append(out, header->client_id.at, (size_t)header->client_id.n);
	if (is_flexible(api, header->api_version))
		buf_append(out, (uint8_t[1]){ 0 }, 1);
}

size_t
response_header_size(const struct api *api, int16_t version)
{
	return is_flexible(api, version) && api->key != API_VERSIONS_KEY ? 5 : 4;
}

int
response_header_decode(const uint8_t *at, size_t n, const struct api *api, int16_t version,
		       int32_t *correlation_id)
{
	size_t tags;

	if (n < 4)
		return -1;
	*correlation_id = (int32_t)get_u32(at);
	if (response_header_size(api, version) == 4)
		return 4;
	tags = skip_tags(at + 4, n - 4);
	return tags > 0 ? (int)(4 + tags) : -1;
}
