/* ListGroups: every worker names the groups that it owns (KIP-518: by state, KIP-848: by type). */
#include <string.h>
#include <strings.h>

#include "broker/api/handlers.h"
#include "broker/api/scatter.h"
#include "broker/coordinator.h"
#include "broker/worker.h"
#include "common/clock.h"
#include "protocol/messages.h"

#define TYPE "classic"

/* Filters are lists of str; empty: all. Kafka takes any case. */
static bool
passes(const struct str *filter, int32_t n, const char *word)
{
	for (int32_t i = 0; i < n; i++)
		if ((size_t)filter[i].n == strlen(word) && strncasecmp(filter[i].at, word, strlen(word)) == 0)
			return true;
	return n <= 0;
}

static void
add(struct call *call, const struct group *group)
{
	const struct list_groups_request *in = call->in;
	struct list_groups_response *out = call->out;
	struct group_view view = group_view(group);
	const char *state = group_state_name(view.state);

	if (!passes(in->states_filter.at, in->states_filter.n, state) ||
	    !passes(in->types_filter.at, in->types_filter.n, TYPE))
		return;
	out->groups.at = arena_grow(&call->arena, out->groups.at, out->groups.n, sizeof(*out->groups.at));
	out->groups.at[out->groups.n++] = (struct list_groups_response_group){
		.group_id = str_keep(&call->arena, view.id),
		.protocol_type =
		    str_is_null(view.protocol_type) ? STR("") : str_keep(&call->arena, view.protocol_type),
		.group_state = str_of(state),
		.group_type = STR(TYPE),
	};
}

/* One that is in the store only. */
static void
add_stored(struct call *call, const struct stored_group *stored)
{
	const struct group_rules *rules = &call->worker->coordinator.rules;
	struct group *group = stored->state.n > 0
				  ? group_decode(stored->id, rules, stored->state, clock_monotonic_ms())
				  : group_new(stored->id, rules);

	if (group != NULL)
		add(call, group);
	group_free(group);
}

static void
list_own(struct call *call)
{
	struct worker *w = call->worker;
	struct arena arena = ARENA_EMPTY;
	struct list_groups_response *out = call->out;
	struct stored_group stored;
	enum err e;

	for (struct coordinator_slot *s = coordinator_next(w, NULL); s != NULL; s = coordinator_next(w, s))
		if (s->group != NULL)
			add(call, s->group);
	for (uint32_t last = 0; groups_after(call_read(call), last, &arena, &stored, &e);) {
		last = stored.number;
		struct coordinator_slot *s = coordinator_peek(w, stored.id);
		if (coordinator_owner(w, stored.id) == w->base.slot && (s == NULL || s->group == NULL))
			add_stored(call, &stored);
		arena_reset(&arena);
	}
	if (e != ERR_NONE)
		out->error_code = ERR_COORDINATOR_NOT_AVAILABLE;
	arena_free(&arena);
}

static void
take(struct call *call, int owner, const void *answer)
{
	const struct list_groups_response *part = answer;
	struct list_groups_response *out = call->out;

	(void)owner;
	if (part == NULL) {
		out->error_code = ERR_COORDINATOR_NOT_AVAILABLE;
		return;
	}
	if (part->error_code != ERR_NONE)
		out->error_code = part->error_code;
	struct list_groups_response_group *all =
	    arena_array(&call->arena, (size_t)out->groups.n + (size_t)part->groups.n, sizeof(*all));
	if (out->groups.n > 0)
		memcpy(all, out->groups.at, (size_t)out->groups.n * sizeof(*all));
	if (part->groups.n > 0)
		memcpy(all + out->groups.n, part->groups.at, (size_t)part->groups.n * sizeof(*all));
	out->groups.at = all;
	out->groups.n += part->groups.n;
}

enum next
list_groups_handle(struct call *call)
{
	if (scatter_is_needless(call)) {
		list_own(call);
		return NEXT_ANSWER;
	}
	struct scatter *s = scatter_begin(call, take);
	for (int i = 0; i < call_config(call)->workers; i++)
		scatter_to(s, i, call->in);
	return scatter_wait(s);
}
