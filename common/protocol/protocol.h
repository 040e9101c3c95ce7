/*
 * The wire: Kafka's messages, from schema to structs and back.
 *
 *	schema/<api>.msg --(gen/msgc, at build time)-->
 *		build/gen/protocol/messages.h   one struct per message and element
 *		build/gen/protocol/messages.c   one field table each, and apis[]
 *
 *	bytes --request_header_decode--> header --decode--> struct produce_request
 *		--handler--> struct produce_response --response_encode--> bytes
 *
 * One walker reads the tables (decode.c), one writes (encode.c), and one explains (describe.c: the
 * decoder, watched). A decoded message's strings, bytes and records are views into the frame; only list
 * arrays and nullable structs come from the arena. So a decoded message lives as long as both the frame
 * and the arena.
 *
 * Generated names: `api 10 find_coordinator` with a list `coordinators []coordinator` gives
 *	struct find_coordinator_request, struct find_coordinator_response,
 *	struct find_coordinator_response_coordinator,  and the field
 *	struct { struct find_coordinator_response_coordinator *at; int32_t n; } coordinators;    n == -1: null
 * and, for each of these structs, a table: find_coordinator_response_coordinator_message. enum api_key
 * has API_FIND_COORDINATOR = 10. Fields bear Kafka's names, in snake case. An error code is an enum err.
 *
 * How a broker uses it:
 *
 *	struct request_header header;
 *	struct wire_fault fault;
 *	int n = request_header_decode(at, size, &header, &fault);       n < 0: close, and log fault
 *	const struct api *api = api_find(header.api_key);               NULL, or version not served: close
 *	void *in = arena_alloc(arena, message_size(api->request));
 *	if (!decode(api->request, header.api_version, at + n, size - n, arena, in, &fault))
 *		...                                                     close; log fault.where and fault.what
 *
 *	struct metadata_response *out = arena_alloc(arena, message_size(api->response));
 *	message_defaults(api->response, out);
 *	out->topics.n = 2;
 *	out->topics.at = NEW_LIST(arena, metadata_response_topic, 2);
 *	out->topics.at[0].error_code = ERR_UNKNOWN_TOPIC_OR_PARTITION;
 *	response_encode(api, header.api_version, header.correlation_id, out, &frame);
 *	frame_iov(&frame, iov);                                         frame_iov_count() of them, for writev
 *
 * A handler sees no bytes, no tags, and no versions but where their meaning differs: it fills what it
 * knows, and what the version has no place for is left out.
 *
 * Sources: https://kafka.apache.org/protocol, KIP-482 (flexible versions), KIP-511 (ApiVersions).
 */
#ifndef COMMON_PROTOCOL_H
#define COMMON_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/check.h"
#include "common/err.h"
#include "common/str.h"
#include "common/uuid.h"

struct message; /* a table of fields: field.h */

/* One API of the protocol: what a schema file says. */
struct api {
	int16_t key;
	const char *name;       /* "find_coordinator" */
	const char *kafka_name; /* "FindCoordinator" */
	int16_t min, max;       /* versions that the schema describes */
	int16_t flexible_from;  /* first flexible version; INT16_MAX: none */
	const struct message *request, *response;
};

extern const struct api apis[]; /* by ascending key */
extern const int api_count;
const struct api *api_find(int16_t key); /* NULL: no schema */

/* Where and why decoding stopped. */
struct wire_fault {
	size_t offset;   /* into the bytes given to decode() */
	char where[160]; /* "produce_request v9: topic_data[2].partition_data[0].records" */
	char what[96];   /* "needs 1000 bytes, 12 left" */
};

/*
 * A request's header. Versions 1 (old) and 2 (flexible); client_id stays an int16-prefixed nullable
 * string in both. Decode takes the bytes after the frame's size. Returns the header's length, or -1 and
 * *fault. The key and version are read first, so they are valid in *out even on failure once 4 bytes were
 * there. Of an API without a schema only that much of the header is read that all headers share.
 */
struct request_header {
	int16_t api_key, api_version;
	int32_t correlation_id;
	struct str client_id;
};
int request_header_decode(const uint8_t *at, size_t n, struct request_header *out, struct wire_fault *fault);
/* For test clients and tools: append a header, in the shape that this API and version want. */
void request_header_encode(struct buf *out, const struct api *api, const struct request_header *header);
/* Response header: correlation id, then a tag byte where flexible, but never for ApiVersions (KIP-511). */
size_t response_header_size(const struct api *api, int16_t version);
/* Returns the header's length, or -1. */
int response_header_decode(const uint8_t *at, size_t n, const struct api *api, int16_t version,
			   int32_t *correlation_id);

/*
 * Decode all n bytes as one message of this version into the struct at `out` (of the message's size;
 * zeroed by us, fields outside the version set to their defaults). False: *fault says where and why; out
 * must not be used. Bytes left over are a fault, and so is a version that the schema does not have. A
 * list's count is checked against the bytes left before anything is allocated; a message with more than
 * 1,000,000 elements in all its lists together, or more than 10,000 tags in one struct, is refused. An
 * error code may be one that enum err does not name.
 */
MUST_CHECK bool decode(const struct message *message, int16_t version, const uint8_t *at, size_t n,
		       struct arena *arena, void *out, struct wire_fault *fault);
/*
 * The same for a message with more behind it: *leftover bytes are not looked at. Requests are read so, as Kafka
 * reads them: librdkafka from 2.3 on sends Metadata v9+ for all topics with three bytes too many.
 */
MUST_CHECK bool decode_front(const struct message *message, int16_t version, const uint8_t *at, size_t n,
			     struct arena *arena, void *out, struct wire_fault *fault, size_t *leftover);

/*
 * An encoded answer: owned bytes, with pieces of other memory (records that were given as iovecs) spliced
 * in. After encoding, frame_iov() lists everything in order for writev; the iovecs stay valid until the
 * next change of the frame, and as long as the spliced memory does. Several answers may follow each other
 * in one frame.
 */
struct splice {
	size_t at; /* position in bytes where the pieces belong */
	const struct iovec *iov;
	int32_t iov_n;
};
struct frame {
	struct buf bytes;
	struct splice *splices;
	int splice_n, splice_cap;
	size_t spliced; /* bytes in all splices */
};
#define FRAME_EMPTY ((struct frame){ 0 })
void frame_reset(struct frame *f); /* no content; memory kept */
void frame_free(struct frame *f);
size_t frame_size(const struct frame *f);
/* Total pieces that frame_iov() would give. */
int frame_iov_count(const struct frame *f);
void frame_iov(const struct frame *f, struct iovec *out);
/* Append everything in order to `out`, copied: for tests, tools, and what a socket did not take. */
void frame_flatten(const struct frame *f, struct buf *out);

/*
 * Append the message to the frame. Cannot fail: what does not fit the version is left out; null where the
 * version has no null is written empty; strings are cut at 32767 bytes. The version must be one of the
 * schema's.
 */
void encode(const struct message *message, int16_t version, const void *in, struct frame *out);

/* A whole answer: size, header, body. */
void response_encode(const struct api *api, int16_t version, int32_t correlation_id, const void *in,
		     struct frame *out);
/* A whole request, for test clients and tools. */
void request_encode(const struct api *api, const struct request_header *header, const void *in,
		    struct buf *out);

size_t message_size(const struct message *message); /* of its struct: what decode() fills */
const char *message_name(const struct message *message);
/* Set every field to its default, as if decoded from a version that has none of them. Answers begin so. */
void message_defaults(const struct message *message, void *out);

/*
 * n structs in the arena with their defaults set, for the lists of an answer. Not arena_array(): zero is
 * not every field's default, and a tagged field that is not its default is sent. NULL for n = 0.
 */
void *message_list(const struct message *message, struct arena *arena, size_t n);
#define NEW_LIST(arena, tag, n) ((struct tag *)message_list(&tag##_message, (arena), (size_t)(n)))

/*
 * Explain: decode once more, and append a line per field to `out`: offset, the bytes in hex, the name,
 * the value, indented by 2 spaces per depth. Reads on to the first fault, which becomes the last line:
 * "!! where: what".
 *
 * hex: with the offset and hex columns (broker wire), or names and values only (the trace log).
 *
 * Record batches within are explained too: their headers' fields, and, where not compressed, each record.
 * The text is printable ASCII whatever the bytes are, and about 4 MB at most.
 */
void describe(const struct message *message, int16_t version, const uint8_t *at, size_t n, bool hex,
	      struct buf *out);

/*
 * The same with the header in front, from the bytes after the frame's size. Of a request *header tells
 * its reader what response to expect; false: it could not be read, or its API is unknown.
 */
bool describe_request(const uint8_t *at, size_t n, bool hex, struct buf *out, struct request_header *header);
void describe_response(const struct api *api, int16_t version, const uint8_t *at, size_t n, bool hex,
		       struct buf *out);

#endif
