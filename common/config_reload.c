/*
 * Changing the configuration of a broker that runs. Only numbers change, each in one store: whoever reads meanwhile
 * sees the old value or the new one.
 */
#include <string.h>
#include <sys/mman.h>

#include "common/config.h"

struct config *
config_share(const struct config *c)
{
	struct config *shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	*shared = *c;
	return shared;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void
take(struct config *to, const struct config *from, const struct config_option *o)
{
	void *field = (char *)to + o->offset;
	const void *value = (const char *)from + o->offset;
	switch (o->kind) {
	case CONFIG_BOOL:
		__atomic_store_n((bool *)field, *(const bool *)value, __ATOMIC_RELAXED);
		return;
	case CONFIG_INT:
	case CONFIG_CHOICE:
	case CONFIG_CHOICES:
		__atomic_store_n((int32_t *)field, *(const int32_t *)value, __ATOMIC_RELAXED);
		return;
	case CONFIG_LONG:
		__atomic_store_n((int64_t *)field, *(const int64_t *)value, __ATOMIC_RELAXED);
		return;
	case CONFIG_STRING:
	case CONFIG_ENDPOINTS:
	case CONFIG_OVERRIDES:
		CHECK(false && "these need a restart");
	}
}

/* That outlives the config. */
static const char *
text(const struct config_option *o, const struct config *c, struct arena *arena)
{
	const char *t = config_option_text(o, c, arena);
	return t != NULL ? arena_printf(arena, "%s", t) : NULL;
}

static int
compare(struct config *running, const struct config *read, struct arena *arena, struct config_change *out)
{
	int n = 0;
	for (int i = 0; i < config_option_count(); i++) {
		const struct config_option *o = config_option_at(i);
		if (o->scope != CONFIG_BROKER)
			continue;
		struct config_change change = { .option = o, .taken = o->reloads };
		change.from = text(o, running, arena);
		change.to = text(o, read, arena);
		if (same_text(change.from, change.to))
			continue;
		out[n++] = change;
		if (!o->reloads)
			continue;
		take(running, read, o);
		running->is_set[i] = read->is_set[i];
	}
	return n;
}

int
config_reload(struct config *running, struct arena *arena, struct config_change **out, const char **error)
{
	struct config read;
	int n = -1;
	*out = arena_array(arena, CONFIG_OPTIONS_MAX, sizeof(**out));
	config_init(&read);
	if (config_parse_args(&read, running->argc, running->argv) == CONFIG_ACT_RUN) {
		n = compare(running, &read, arena, *out);
		__atomic_store_n(&running->topic.retention_ms, read.topic.retention_ms, __ATOMIC_RELAXED);
	} else {
		*error = arena_printf(arena, "%s", read.error != NULL ? read.error : "it is no order to run");
	}
	config_free(&read);
	return n;
}
