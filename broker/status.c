#include "broker/status.h"

#include "broker/children.h"
#include "broker/connection.h"
#include "broker/coordinator.h"
#include "broker/worker.h"
#include "common/clock.h"
#include "common/diag.h"

static void
say_stalls(const struct child *child, const struct shared_slot *slot)
{
	const struct stalls *turns = &slot->turns, *store = &slot->store;

	diag_info("status of a loop", D_C("process", child->name), D_INT("turns", stall_n(turns)),
		  D_INT("turn_p50_us", stall_us(turns, 0.5)), D_INT("turn_p99_us", stall_us(turns, 0.99)),
		  D_INT("turn_p999_us", stall_us(turns, 0.999)),
		  D_INT("turn_max_us", atomic_load(&turns->max_us)),
		  D_INT("turns_over_5ms", atomic_load(&turns->long_n)), D_INT("writes", stall_n(store)),
		  D_INT("store_p50_us", stall_us(store, 0.5)), D_INT("store_p99_us", stall_us(store, 0.99)),
		  D_INT("store_p999_us", stall_us(store, 0.999)),
		  D_INT("store_max_us", atomic_load(&store->max_us)),
		  D_INT("store_over_5ms", atomic_load(&store->long_n)));
}

void
status_of_processes(const struct children *c)
{
	int64_t now = clock_monotonic_ms();

	for (int i = 0; i < c->n; i++) {
		const struct child *child = &c->child[i];
		const struct shared_slot *slot = &c->family->shared->slot[i];
		if (child->pid == 0)
			diag_info("status of a process", D_C("process", child->name), D_C("state", "absent"),
				  D_INT("ended", atomic_load(&slot->restarts)));
		else
			diag_info("status of a process", D_C("process", child->name),
				  D_INT("pid", child->pid), D_INT("up_s", (now - child->started_ms) / 1000),
				  D_INT("ended", atomic_load(&slot->restarts)),
				  D_INT("connections", atomic_load(&slot->connections)));
		if (child->kind == CHILD_WORKER && child->pid != 0)
			say_stalls(child, slot);
	}
}

static void
say_rest(const char *what, int n)
{
	if (n > STATUS_MOST)
		diag_info("status: there are more", D_C("of", what), D_INT("not_shown", n - STATUS_MOST));
}

static void
say_connections(struct worker *w)
{
	int64_t now = clock_monotonic_ms();
	int n = 0;

	LIST_EACH (&w->connections, it) {
		const struct connection *c = LIST_OF(it, struct connection, in_worker);
		if (c->internal || ++n > STATUS_MOST)
			continue;
		diag_info("status of a connection", D_INT("connection", c->id), D_C("client", c->peer),
			  D_INT("idle_ms", now - c->active_ms), D_INT("requests_under_way", c->call_n),
			  D_INT("unsent_bytes", buf_len(&c->pending)));
	}
	say_rest("connections", n);
}

static void
say_groups(struct worker *w)
{
	int n = 0;

	for (struct coordinator_slot *s = coordinator_next(w, NULL); s != NULL; s = coordinator_next(w, s)) {
		if (s->group == NULL || ++n > STATUS_MOST)
			continue;
		struct group_view view = group_view(s->group);
		diag_info("status of a group", D_STR("group", view.id),
			  D_C("state", group_state_name(view.state)), D_INT("generation", view.generation),
			  D_INT("members", view.member_n));
	}
	say_rest("groups", n);
}

void
status_of_worker(struct worker *w)
{
	say_connections(w);
	say_groups(w);
}
