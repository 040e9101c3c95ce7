#include "broker/call.h"

#include <malloc.h>
#include <stdlib.h>

#include "broker/connection.h"
#include "broker/worker.h"
#include "common/check.h"

#define SPARE_MOST     64
#define OUTSIZED_BYTES (4 * 1024 * 1024)

/* --- a call as a job --- */

static struct call *
call_of(struct job *job)
{
	return LIST_OF(job, struct call, job);
}

static enum promise
call_write(struct job *job, struct store_txn *txn)
{
	struct call *call = call_of(job);
	enum next next = call->handler->write(call, txn);

	call->silent = next == NEXT_SILENT;
	if (next == NEXT_CLOSE)
		call_close(call);
	return next == NEXT_PROMISE ? WHEN_DURABLE : WHEN_COMMITTED;
}

static void
call_done(struct job *job)
{
	call_finish(call_of(job));
}

static void
call_failed(struct job *job, enum err error)
{
	struct call *call = call_of(job);

	call->handler->failed(call, error);
	call_finish(call);
}

static void
forget_request(struct call *call)
{
	call->in = NULL;
	call->body = NULL;
	call->body_bytes = 0;
	call_drop_chunk(call);
}

/* Records are in the store now. Megabytes may be parked, and a disk that is slow must not make them more. */
static void
call_parked(struct job *job)
{
	struct call *call = call_of(job);

	if (call->chunk != NULL && call->handler->keep != NULL) {
		call->handler->keep(call);
		call->client_id = str_keep(&call->arena, call->client_id);
		forget_request(call);
	}
	call_count_answer(call);
}

static const struct job_kind call_job = { call_write, call_done, call_failed, call_parked };

/* --- calls --- */

struct call *
call_new(struct worker *w)
{
	struct call *call = w->spare_calls;

	if (call != NULL) {
		struct arena arena = call->arena;
		w->spare_calls = call->next_spare;
		w->spare_call_n--;
		*call = (struct call){ .arena = arena };
	} else {
		call = calloc(1, sizeof(*call));
		CHECK(call != NULL);
	}
	call->worker = w;
	list_init(&call->in_connection);
	list_init(&call->job.in_list);
	call->job.kind = &call_job;
	return call;
}

void
call_recycle(struct call *call)
{
	struct worker *w = call->worker;
	bool outsized = call->arena.used > OUTSIZED_BYTES;

	if (w->spare_call_n < SPARE_MOST) {
		arena_reset(&call->arena);
		call->next_spare = w->spare_calls;
		w->spare_calls = call;
		w->spare_call_n++;
	} else {
		arena_free(&call->arena);
		free(call);
	}
	if (outsized)
		malloc_trim(0); /* one monstrous request must not make the process large for good */
}

const struct config *
call_config(const struct call *call)
{
	return call->worker->config;
}

struct store *
call_store(const struct call *call)
{
	return call->worker->store;
}

struct store_txn *
call_read(struct call *call)
{
	return worker_read(call->worker);
}

void
call_advertised(const struct call *call, struct str *host, int32_t *port)
{
	const struct config *config = call->worker->config;
	const struct connection *c = call->connection;
	const struct endpoint *said =
	    endpoints_find(&config->advertised, config->listeners.at[c->listener].name);

	*host = str_of(said != NULL ? said->host : c->local_host);
	*port = said != NULL && said->port != 0 ? said->port : c->local_port;
}

void
call_touch(struct call *call, uint32_t topic_number, int32_t partition)
{
	turn_touch(&call->worker->turn, wait_hash(topic_number, partition));
}

void
call_clean(struct call *call)
{
	call->worker->turn.clean = true;
}

void
call_prepare_answer(struct call *call)
{
	call->out = arena_alloc(&call->arena, message_size(call->api->response));
	message_defaults(call->api->response, call->out);
}

void
call_drop_chunk(struct call *call)
{
	if (call->chunk == NULL)
		return;
	chunk_release(&call->worker->chunks, call->chunk);
	call->chunk = NULL;
	call->connection->holding_n--;
}

void
call_drop_request(struct call *call, struct str *keep)
{
	struct arena all = call->arena;

	call->arena = (struct arena)ARENA_EMPTY;
	call->client_id = str_keep(&call->arena, call->client_id);
	call->client_host = str_keep(&call->arena, call->client_host);
	if (keep != NULL)
		*keep = str_keep(&call->arena, *keep);
	call_prepare_answer(call);
	forget_request(call);
	arena_free(&all);
}

void
call_ready(struct call *call)
{
	list_remove(&call->job.in_list);
	call_finish(call);
}

void
call_stand_alone(struct call *call)
{
	call->connection->alone_n += !call->alone;
	call->alone = true;
}

void
call_close(struct call *call)
{
	call->silent = true;
	connection_refuse(call->connection);
}
