#include "broker/cleaner_groups.h"

#include "broker/group.h"

static void *
open_group(const struct stored_group *stored)
{
	static const struct group_rules none;
	struct group *g = group_decode(stored->id, &none, stored->state, 0);

	if (g == NULL)
		return NULL;
	struct group_view view = group_view(g);
	if (view.state == GROUP_STABLE && str_is(view.protocol_type, "consumer"))
		return g;
	group_free(g);
	return NULL;
}

static bool
reads(void *opened, struct str topic)
{
	return group_is_subscribed(opened, topic);
}

static void
close_group(void *opened)
{
	group_free(opened);
}

const struct clean_readers cleaner_groups = { open_group, reads, close_group };
