#include "broker/wire_address.h"

#include <string.h>

#include "broker/wire_frames.h"
#include "protocol/messages.h"

/* Where in a decoded answer an address stands. */
struct place {
	struct str *host;
	int32_t *port;
};

struct places {
	struct place *at;
	int32_t n;
};

/* Room for n more, in the arena. */
static void
places_room(struct places *p, struct arena *arena, int32_t n)
{
	p->at = n > 0 ? arena_array(arena, (size_t)n, sizeof(*p->at)) : NULL;
	p->n = 0;
}

/* No host, or no port: a coordinator that was not found, for one. */
static void
places_add(struct places *p, struct str *host, int32_t *port)
{
	if (host->n > 0 && *port > 0)
		p->at[p->n++] = (struct place){ host, port };
}

/* Every list of brokers has the same two fields, each in a struct of its own. */
#define ADD_LIST(p, arena, list)                                                                             \
	do {                                                                                                 \
		places_room((p), (arena), (list).n);                                                         \
		for (int32_t i_ = 0; i_ < (list).n; i_++)                                                    \
			places_add((p), &(list).at[i_].host, &(list).at[i_].port);                           \
	} while (0)

static void
find_coordinators(struct find_coordinator_response *answer, int16_t version, struct arena *arena,
		  struct places *out)
{
	if (version >= 4) {
		ADD_LIST(out, arena, answer->coordinators);
		return;
	}
	places_room(out, arena, 1);
	places_add(out, &answer->host, &answer->port);
}

static bool
may_have_addresses(const struct wire_message *m)
{
	switch (m->api_key) {
	case API_METADATA:
	case API_FIND_COORDINATOR:
	case API_DESCRIBE_CLUSTER:
		return true;
	case API_PRODUCE:
		return m->api_version >= 10; /* KIP-951 */
	case API_FETCH:
		return m->api_version >= 16 &&
		       m->n == m->whole; /* records make it large, leaders move seldom */
	default:
		return false;
	}
}

static void
find_places(const struct wire_message *m, void *answer, struct arena *arena, struct places *out)
{
	switch (m->api_key) {
	case API_METADATA:
		ADD_LIST(out, arena, ((struct metadata_response *)answer)->brokers);
		break;
	case API_FIND_COORDINATOR:
		find_coordinators(answer, m->api_version, arena, out);
		break;
	case API_DESCRIBE_CLUSTER:
		ADD_LIST(out, arena, ((struct describe_cluster_response *)answer)->brokers);
		break;
	case API_PRODUCE:
		ADD_LIST(out, arena, ((struct produce_response *)answer)->node_endpoints);
		break;
	case API_FETCH:
		ADD_LIST(out, arena, ((struct fetch_response *)answer)->node_endpoints);
		break;
	}
}

/* Do all places name one address? */
static bool
is_one_broker(const struct places *p)
{
	for (int32_t i = 1; i < p->n; i++)
		if (!str_eq(*p->at[i].host, *p->at[0].host) || *p->at[i].port != *p->at[0].port)
			return false;
	return true;
}

static bool
is_theirs(const struct place *place, const struct wire_addresses *addresses)
{
	return !addresses->several ||
	       (str_is(*place->host, addresses->theirs.host) && *place->port == addresses->theirs.port);
}

static int32_t
replace_places(const struct places *p, const struct wire_addresses *addresses, char *note, size_t note_size)
{
	int32_t replaced = 0;

	for (int32_t i = 0; i < p->n; i++) {
		struct place *place = &p->at[i];

		if (!is_theirs(place, addresses))
			continue;
		snprintf(note, note_size, "passed on with %s:%d in the place of %.*s:%d",
			 addresses->ours.host, addresses->ours.port, STR_ARG(*place->host), *place->port);
		*place->host = str_of(addresses->ours.host);
		*place->port = addresses->ours.port;
		replaced++;
	}
	return replaced;
}

static void
encode_answer(const struct wire_message *m, const struct api *api, const void *answer, struct buf *out)
{
	struct frame frame = FRAME_EMPTY;

	response_encode(api, m->api_version, m->correlation_id, answer, &frame);
	frame_flatten(&frame, out);
	frame_free(&frame);
}

static enum wire_replaced
replace(const struct wire_message *m, const struct api *api, struct arena *arena,
	struct wire_addresses *addresses, struct buf *out, char *note, size_t note_size)
{
	void *answer = arena_alloc(arena, message_size(api->response));
	struct places places = { NULL, 0 };
	struct wire_fault fault;
	int32_t id;
	int from =
	    response_header_decode(m->at + WIRE_SIZE_BYTES, m->n - WIRE_SIZE_BYTES, api, m->api_version, &id);

	if (from < 0 || m->n < m->whole) {
		snprintf(note, note_size, "not searched for the broker's address: too large, or too short");
		return WIRE_ADDRESS_UNCLEAR;
	}
	from += WIRE_SIZE_BYTES;
	if (!decode(api->response, m->api_version, m->at + from, m->n - (size_t)from, arena, answer,
		    &fault)) {
		snprintf(note, note_size, "not searched for the broker's address: %s: %s", fault.where,
			 fault.what);
		return WIRE_ADDRESS_UNCLEAR;
	}
	find_places(m, answer, arena, &places);
	addresses->several |= !is_one_broker(&places);
	if (replace_places(&places, addresses, note, note_size) == 0)
		return WIRE_ADDRESS_NONE;
	encode_answer(m, api, answer, out);
	return WIRE_ADDRESS_REPLACED;
}

enum wire_replaced
wire_address_replace(const struct wire_message *m, struct wire_addresses *addresses, struct buf *out,
		     char *note, size_t note_size)
{
	const struct api *api = m->is_known ? api_find(m->api_key) : NULL;
	struct arena arena = ARENA_EMPTY;
	enum wire_replaced replaced;

	if (m->way != WIRE_RESPONSE || api == NULL || !may_have_addresses(m))
		return WIRE_ADDRESS_NONE;
	replaced = replace(m, api, &arena, addresses, out, note, note_size);
	arena_free(&arena);
	return replaced;
}
