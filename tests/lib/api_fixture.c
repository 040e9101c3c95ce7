#include "tests/lib/api_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/sample.h"
#include "tests/lib/test.h"

static struct api_fixture *
fixture_of(const struct call *call)
{
	return (struct api_fixture *)(void *)call->worker;
}

/* --- what handlers ask of a worker --------------------------------------------------------------------- */

const struct config *
call_config(const struct call *call)
{
	return &fixture_of(call)->config;
}

struct store *
call_store(const struct call *call)
{
	return fixture_of(call)->store;
}

struct store_txn *
call_read(struct call *call)
{
	struct api_fixture *f = fixture_of(call);

	if (f->reading == NULL)
		assert_int_equal(store_read(f->store, &f->reading), ERR_NONE);
	return f->reading;
}

void
call_advertised(const struct call *call, struct str *host, int32_t *port)
{
	(void)call;
	*host = STR(API_HOST);
	*port = API_PORT;
}

void
call_touch(struct call *call, uint32_t topic_number, int32_t partition)
{
	struct api_fixture *f = fixture_of(call);

	if (f->touched_n < (int)(sizeof(f->touched) / sizeof(f->touched[0])))
		f->touched[f->touched_n++] = (struct api_touch){ topic_number, partition };
}

void
call_clean(struct call *call)
{
	fixture_of(call)->clean = true;
}

/* --- set up -------------------------------------------------------------------------------------------- */

int
api_setup(void **state)
{
	struct api_fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->shared = calloc(1, sizeof(*f->shared));
	assert_non_null(f->shared);
	f->dir = test_dir_make();
	config_init(&f->config);
	f->config.node_id = API_NODE_ID;

	struct store_options options = {
		.dir = f->dir,
		.durability = DURABILITY_DURABLE,
		.map_bytes = 256 << 20,
		.shared = f->shared,
	};
	bool restored;
	store_shared_init(f->shared);
	assert_int_equal(store_recover(f->dir, &restored), ERR_NONE);
	assert_int_equal(store_open(&options, &f->store), ERR_NONE);
	assert_int_equal(store_prepare(f->store), ERR_NONE);
	*state = f;
	return 0;
}

int
api_teardown(void **state)
{
	struct api_fixture *f = *state;

	store_close(f->store);
	config_free(&f->config);
	arena_free(&f->call.arena);
	test_dir_remove(f->dir);
	free(f->shared);
	free(f);
	return 0;
}

/* --- serving ------------------------------------------------------------------------------------------- */

void *
api_request(struct api_fixture *f, const struct handler *handler)
{
	const struct message *message = api_find(handler->key)->request;
	void *in = arena_alloc(&f->call.arena, message_size(message));
	message_defaults(message, in);
	return in;
}

/* Through the wire and back. */
static void *
carry(struct api_fixture *f, const struct message *message, int16_t version, const void *what)
{
	struct frame frame = FRAME_EMPTY;
	struct wire_fault fault = { 0 };
	struct arena *arena = &f->call.arena;

	encode(message, version, what, &frame);
	assert_int_equal(frame.splice_n, 0);
	size_t n = buf_len(&frame.bytes);
	uint8_t *bytes = arena_alloc(arena, n);
	if (n > 0)
		memcpy(bytes, buf_head(&frame.bytes), n);
	frame_free(&frame);

	void *out = arena_alloc(arena, message_size(message));
	if (!decode(message, version, bytes, n, arena, out, &fault))
		fail_msg("%s v%d: %s: %s", message_name(message), version, fault.where, fault.what);
	return out;
}

static void
end_reading(struct api_fixture *f)
{
	if (f->reading != NULL)
		store_read_end(f->reading);
	f->reading = NULL;
}

static void
run_write(struct api_fixture *f, const struct handler *handler)
{
	struct store_txn *txn;
	uint64_t commit;

	f->touched_n = 0;
	f->clean = false;
	assert_int_equal(store_write(f->store, &txn), ERR_NONE);
	f->next = handler->write(&f->call, txn);
	if (f->lose_commit) {
		store_abort(txn);
		handler->failed(&f->call, ERR_KAFKA_STORAGE_ERROR);
		return;
	}
	assert_int_equal(store_commit(txn, &commit), ERR_NONE);
	assert_int_equal(store_checkpoint(f->store), ERR_NONE);
	assert_true(store_is_durable(f->store, commit));
}

void *
api_serve(struct api_fixture *f, const struct handler *handler, int16_t version, const void *in)
{
	const struct api *api = api_find(handler->key);
	assert_in_range(version, api->min, api->max);
	f->call = (struct call){
		.arena = f->call.arena,
		.handler = handler,
		.api = api,
		.version = version,
		.client_id = STR("test"),
		.worker = (struct worker *)(void *)f,
	};
	f->call.in = carry(f, api->request, version, in);
	f->call.out = arena_alloc(&f->call.arena, message_size(api->response));
	message_defaults(api->response, f->call.out);

	f->next = handler->handle(&f->call);
	end_reading(f);
	if (f->next == NEXT_WRITE)
		run_write(f, handler);
	else if (f->next == NEXT_PROMISE)
		assert_int_equal(store_checkpoint(f->store), ERR_NONE);
	if (handler->answer != NULL)
		handler->answer(&f->call);
	end_reading(f);
	return carry(f, api->response, version, f->call.out);
}

/* --- straight into the store ---------------------------------------------------------------------------- */

static struct store_txn *
begin_write(struct api_fixture *f)
{
	struct store_txn *txn;
	assert_int_equal(store_write(f->store, &txn), ERR_NONE);
	return txn;
}

static void
commit_write(struct api_fixture *f, struct store_txn *txn, bool durable)
{
	uint64_t commit;
	assert_int_equal(store_commit(txn, &commit), ERR_NONE);
	if (durable)
		assert_int_equal(store_checkpoint(f->store), ERR_NONE);
}

struct topic
api_topic_with(struct api_fixture *f, const char *name, int32_t partitions, const char *key,
	       const char *value)
{
	struct topic_setting setting = { str_of(key), str_of(value) };
	struct topic topic;

	struct store_txn *txn = begin_write(f);
	assert_int_equal(
	    topic_create(txn, str_of(name), partitions, &setting, key != NULL, &f->call.arena, &topic),
	    ERR_NONE);
	commit_write(f, txn, true);
	assert_true(api_topic_exists(f, name, &topic));
	return topic;
}

struct topic
api_topic(struct api_fixture *f, const char *name, int32_t partitions)
{
	return api_topic_with(f, name, partitions, NULL, NULL);
}

static void
append(struct api_fixture *f, const char *name, int32_t partition, int n, bool durable)
{
	struct batch_rules rules = { .max_bytes = INT32_MAX };
	struct batch_fault fault;
	struct append_result result;
	struct batch batch;
	struct topic topic;

	struct bytes bytes = sample_batch(&f->call.arena, 0, n);
	assert_int_equal(batch_check(bytes.at, (size_t)bytes.n, &rules, &batch, &fault), ERR_NONE);
	struct store_txn *txn = begin_write(f);
	assert_int_equal(topic_by_name(txn, str_of(name), &f->call.arena, &topic), ERR_NONE);
	/* sample_batch() gave the arena's memory, which is ours to stamp. */
	assert_int_equal(
	    log_append(txn, &topic, partition, (uint8_t *)(uintptr_t)bytes.at, &batch, -1, &result),
	    ERR_NONE);
	commit_write(f, txn, durable);
}

void
api_append(struct api_fixture *f, const char *topic, int32_t partition, int n)
{
	append(f, topic, partition, n, true);
}

void
api_append_unsynced(struct api_fixture *f, const char *topic, int32_t partition, int n)
{
	append(f, topic, partition, n, false);
}

bool
api_topic_exists(struct api_fixture *f, const char *name, struct topic *out)
{
	struct store_txn *txn;

	assert_int_equal(store_read(f->store, &txn), ERR_NONE);
	enum err e = topic_by_name(txn, str_of(name), &f->call.arena, out);
	if (e == ERR_NONE)
		out->name = str_of(name);
	store_read_end(txn);
	return e == ERR_NONE;
}
