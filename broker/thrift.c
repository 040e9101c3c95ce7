#include "broker/thrift.h"

#include <malloc.h>

#include "broker/worker.h"

#define LOOK_S 1.0

static void
on_look(struct ev_loop *loop, ev_timer *look, int revents)
{
	struct worker *w = look->data;
	size_t most = w->thrift.most;

	(void)revents;
	w->thrift.most = 0;
	if (most > THRIFT_KEPT_BYTES)
		return;
	ev_timer_stop(loop, look);
	chunk_pool_empty(&w->chunks);
	(void)malloc_trim(0);
}

void
thrift_init(struct worker *w)
{
	ev_init(&w->thrift.look, on_look);
	w->thrift.look.repeat = LOOK_S;
	w->thrift.look.data = w;
}

void
thrift_note(struct worker *w)
{
	size_t bytes = chunk_pool_most(&w->chunks) + w->pending_bytes;

	if (bytes > w->thrift.most)
		w->thrift.most = bytes;
	if (w->thrift.most > THRIFT_KEPT_BYTES && !ev_is_active(&w->thrift.look))
		ev_timer_again(w->base.loop, &w->thrift.look);
}
