#include "broker/api/scatter.h"

#include <string.h>

#include "broker/connection.h"
#include "broker/worker.h"
#include "common/diag.h"

struct part {
	struct part *next;
	struct scatter *scatter;
	struct forwarded forwarded;
};

/* call->own */
struct scattered {
	struct scatter scatter;
	struct part *parts;
};

bool
scatter_is_needless(const struct call *call)
{
	return call->connection->internal || call->worker->config->workers == 1;
}

struct scatter *
scatter_begin(struct call *call, void (*take)(struct call *call, int owner, const void *answer))
{
	struct scattered *all = arena_alloc(&call->arena, sizeof(*all));

	all->scatter =
	    (struct scatter){ .call = call, .pending = 1, .take = take }; /* 1: see scatter_wait() */
	call->own = all;
	return &all->scatter;
}

static void
part_done(struct scatter *s)
{
	if (--s->pending == 0)
		call_ready(s->call);
}

static void
on_answered(struct forwarded *f, const uint8_t *body, size_t bytes)
{
	struct part *part = LIST_OF(f, struct part, forwarded);
	struct call *call = f->call;
	struct wire_fault fault;
	uint8_t *copy = arena_alloc(&call->arena, bytes + 1);
	void *answer = arena_alloc(&call->arena, message_size(call->api->response));

	memcpy(copy, body, bytes);
	bool good = decode(call->api->response, call->version, copy, bytes, &call->arena, answer, &fault);
	if (!good)
		diag_error("another worker's answer cannot be read", D_C("where", fault.where),
			   D_C("reason", fault.what));
	part->scatter->take(call, f->owner, good ? answer : NULL);
	part_done(part->scatter);
}

static void
on_broken(struct forwarded *f)
{
	struct part *part = LIST_OF(f, struct part, forwarded);

	part->scatter->take(f->call, f->owner, NULL);
	part_done(part->scatter);
}

void
scatter_to(struct scatter *s, int owner, const void *request)
{
	struct call *call = s->call;
	struct scattered *all = call->own;
	struct part *part = arena_alloc(&call->arena, sizeof(*part));
	struct frame frame = FRAME_EMPTY;

	part->next = all->parts;
	all->parts = part;
	part->scatter = s;
	part->forwarded.answered = on_answered;
	part->forwarded.broken = on_broken;
	s->pending++;
	encode(call->api->request, call->version, request, &frame);
	forward_send(call, owner, &part->forwarded, buf_head(&frame.bytes), buf_len(&frame.bytes));
	frame_free(&frame);
}

enum next
scatter_wait(struct scatter *s)
{
	part_done(s);
	return NEXT_WAIT;
}

void
scatter_forget(struct call *call)
{
	struct scattered *all = call->own;

	for (struct part *part = all != NULL ? all->parts : NULL; part != NULL; part = part->next)
		forward_forget(&part->forwarded);
}
