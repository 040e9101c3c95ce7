/*
 * The wire: Kafka's messages, from schema to structs and back.
 *
 *	schema/<api>.msg --(gen/msgc, at build time)--> build/gen/protocol/messages.h   one struct per message and element
 *	                                                build/gen/protocol/messages.c   one field table each, and apis[]
 *
 *	bytes --header_decode--> header --decode--> struct produce_request  --handler--> struct produce_response --encode--> bytes
 *
 * One walker reads the tables (decode.c), one writes (encode.c), one explains (describe.c, the decoder with an observer).
 * A decoded message's strings, bytes and records are views into the frame; only list arrays and nullable structs come
 * from the arena. So a decoded message lives as long as both the frame and the arena.
 *
 * Generated names: `api 10 find_coordinator` with a list `coordinators []coordinator` gives
 *	struct find_coordinator_request, struct find_coordinator_response,
 *	struct find_coordinator_response_coordinator,  and the field
 *	struct { struct find_coordinator_response_coordinator *at; int32_t n; } coordinators;    n == -1: null
 * and the tables  find_coordinator_request_message, find_coordinator_response_message.
 * enum api_key has API_FIND_COORDINATOR = 10.
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
	const char *name;	    /* "find_coordinator" */
	const char *kafka_name;	    /* "FindCoordinator" */
	int16_t min, max;	    /* versions that the schema describes */
	int16_t flexible_from;	    /* first flexible version; INT16_MAX: none */
	const struct message *request, *response;
};

extern const struct api apis[]; /* by ascending key */
extern const int api_count;
const struct api *api_find(int16_t key); /* NULL: no schema */

/* Where and why decoding stopped. */
struct wire_fault {
	size_t offset;	   /* into the bytes given to decode() */
	char where[160];   /* "produce_request v9: topics[2].partitions[0].records" */
	char what[96];	   /* "needs 1000 bytes, 12 left" */
};

/*
 * A request's header. Versions 1 (old) and 2 (flexible); client_id stays an int16-prefixed nullable string in both.
 * Decode takes the bytes after the frame's size. Returns the header's length, or -1 and *fault.
 * The key and version are read first, so they are valid in *out even on failure once 4 bytes were there.
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
int response_header_decode(const uint8_t *at, size_t n, const struct api *api, int16_t version, int32_t *correlation_id);

/*
 * Decode all n bytes as one message of this version into the struct at `out` (of the message's size; zeroed by us,
 * fields outside the version set to their defaults). False: *fault says where and why; out must not be used.
 * Bytes left over are a fault. A list's count is checked against the bytes left before anything is allocated, lists
 * of more than 1,000,000 elements and more than 10,000 tags are refused.
 */
MUST_CHECK bool decode(const struct message *message, int16_t version, const uint8_t *at, size_t n,
		       struct arena *arena, void *out, struct wire_fault *fault);

/*
 * An encoded answer: owned bytes, with pieces of other memory (records that were given as iovecs) spliced in.
 * After encoding, frame_iov() lists everything in order for writev; the iovecs stay valid until the next change of
 * the frame, and as long as the spliced memory does.
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
void frame_reset(struct frame *f);
void frame_free(struct frame *f);
size_t frame_size(const struct frame *f);
/* Total pieces that frame_iov() would give. */
int frame_iov_count(const struct frame *f);
void frame_iov(const struct frame *f, struct iovec *out);

/* Append the message to the frame. Cannot fail: what does not fit the version is left out, as in Kafka. */
void encode(const struct message *message, int16_t version, const void *in, struct frame *out);

/* A whole answer: size, header, body. */
void response_encode(const struct api *api, int16_t version, int32_t correlation_id, const void *in, struct frame *out);
/* A whole request, for test clients and tools. */
void request_encode(const struct api *api, const struct request_header *header, const void *in, struct buf *out);

size_t message_size(const struct message *message); /* of its struct: what decode() fills */
const char *message_name(const struct message *message);
/* Set every field to its default, as if decoded from a version that has none of them. Handlers' answers begin so. */
void message_defaults(const struct message *message, void *out);

/*
 * n structs in the arena with their defaults set, for the lists of an answer. Not arena_array(): zero is not every
 * field's default, and a tagged field that is not its default is sent. NULL for n = 0.
 *
 *	out->topics.at = NEW_LIST(arena, metadata_response_topic, n);
 *	out->topics.n = n;
 */
void *message_list(const struct message *message, struct arena *arena, size_t n);
#define NEW_LIST(arena, tag, n) ((struct tag *)message_list(&tag##_message, (arena), (size_t)(n)))

/*
 * Explain: decode once more, and append a line per field to `out`: offset, the bytes in hex, the name, the value.
 * Reads on to the first fault, which becomes the last line. `indent` 2 spaces per depth.
 * hex: with the offset and hex columns (broker wire), or names and values only (the trace log).
 * Record batches within are explained too: their headers' fields, and, where not compressed, each record.
 */
void describe(const struct message *message, int16_t version, const uint8_t *at, size_t n, bool hex, struct buf *out);

#endif
