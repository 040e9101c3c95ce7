/*
 * 0 Produce: check every batch, append all in the turn's transaction, answer as `acks` wants.
 *
 *	handle()   each batch is checked (size, CRC, counts, codec, the topic's rules) before anything waits
 *	           for the writer lock
 *	write()    base offsets, idempotence, the append itself; a partition's error harms no other partition
 *
 * acks=-1 is answered once the commit is durable, 1 once it is committed, 0 never: an error closes the
 * connection, which is all that such a producer can notice.
 */
#include "broker/api/handlers.h"
#include "broker/api/topic_settings.h"
#include "broker/connection.h"
#include "common/clock.h"
#include "common/diag.h"
#include "protocol/messages.h"

/* What handle() found out about one partition's records. */
struct produced {
	struct batch batch;
	uint8_t *at;
	bool log_append_time;
};

struct produce_own {
	struct produced *produced; /* all partitions of all topics, in order; at == NULL: refused already */
	bool failed;               /* of any partition */
};

static enum err
find_topic(struct call *call, struct store_txn *txn, const struct produce_request_topic_data *asked,
	   struct topic *out)
{
	if (call->version >= 13)
		return topic_by_id(txn, asked->topic_id, &call->arena, out);
	return topic_by_name(txn, asked->name, &call->arena, out);
}

static void
refuse(struct call *call, const struct produce_request_topic_data *asked,
       struct produce_response_partition_response *out, enum err error, const char *why)
{
	struct produce_own *own = call->own;
	/* Of a full disk the store has told, once; each producer tries again and again. */
	enum diag_level level = error == ERR_KAFKA_STORAGE_ERROR ? DIAG_DEBUG : DIAG_WARN;

	if (!own->failed) /* one line a request; there may be half a million partitions in it */
		DIAG(level, "batch refused", D_C("client", call->connection->peer),
		     D_STR("client_id", call->client_id), D_STR("topic", asked->name),
		     D_INT("partition", out->index), D_C("error", err_name(error)), D_C("reason", why));
	out->error_code = error;
	out->base_offset = -1;
	out->error_message = str_of(why);
	own->failed = true;
}

/* A record by its number, for producers that can drop just that one (KIP-467). */
static void
blame_record(struct call *call, struct produce_response_partition_response *out,
	     const struct batch_fault *fault)
{
	if (fault->record < 0)
		return;
	CALL_LIST(call, out->record_errors, 1);
	out->record_errors.at[0].batch_index = fault->record;
	out->record_errors.at[0].batch_index_error_message = str_of(fault->why);
}

static void
check_records(struct call *call, const struct produce_request_topic_data *asked, const struct topic *topic,
	      const struct records *records, struct produced *p,
	      struct produce_response_partition_response *out)
{
	struct topic_config room;
	const struct topic_config *settings = topic_settings(call_config(call), topic, &room);
	const struct produce_request *in = call->in;
	struct batch_rules rules = { .max_bytes = settings->max_message_bytes,
				     .keys_required = topic_settings_compact(settings),
				     .zstd_allowed = call->version >= 7 };
	struct batch_fault fault = { .record = -1 };

	if (records->n <= 0) {
		refuse(call, asked, out, ERR_INVALID_RECORD,
		       "a partition's records must be exactly one batch");
		return;
	}
	if (in->acks == -1 && settings->min_insync_replicas > 1) {
		refuse(call, asked, out, ERR_NOT_ENOUGH_REPLICAS,
		       "min.insync.replicas is more than the one replica there is");
		return;
	}
	enum err err = batch_check(records->at, (size_t)records->n, &rules, &p->batch, &fault);
	if (err != ERR_NONE) {
		refuse(call, asked, out, err, fault.why);
		blame_record(call, out, &fault);
		return;
	}
	if (batch_is_transactional(&p->batch)) {
		refuse(call, asked, out, ERR_INVALID_TXN_STATE, "transactions are not served by this broker");
		return;
	}
	p->at = (uint8_t *)(uintptr_t)records->at; /* the frame is ours: offsets are stamped into it */
	p->log_append_time = topic_settings_log_append_time(settings);
	call->job.bytes += (size_t)records->n;
}

static void
check_topic(struct call *call, const struct produce_request_topic_data *asked, struct produced *produced,
	    struct produce_response_topic_response *out)
{
	const struct produce_request *in = call->in;
	struct topic topic;
	enum err err = find_topic(call, call_read(call), asked, &topic);

	out->name = asked->name;
	out->topic_id = asked->topic_id;
	CALL_LIST(call, out->partition_responses, asked->partition_data.n);
	for (int32_t i = 0; i < asked->partition_data.n; i++) {
		const struct produce_request_partition_data *data = &asked->partition_data.at[i];
		struct produce_response_partition_response *answer = &out->partition_responses.at[i];
		message_defaults(&produce_response_partition_response_message, answer);
		answer->index = data->index;
		if (in->acks < -1 || in->acks > 1)
			refuse(call, asked, answer, ERR_INVALID_REQUIRED_ACKS, "acks must be 0, 1 or -1");
		else if (err != ERR_NONE)
			refuse(call, asked, answer, err, err_text(err));
		else if (data->index < 0 || data->index >= topic.partitions)
			refuse(call, asked, answer, ERR_UNKNOWN_TOPIC_OR_PARTITION,
			       "the topic has no such partition");
		else
			check_records(call, asked, &topic, &data->records, &produced[i], answer);
	}
}

static int32_t
count_partitions(const struct produce_request *in)
{
	int32_t n = 0;

	for (int32_t t = 0; t < in->topic_data.n; t++)
		n += in->topic_data.at[t].partition_data.n;
	return n;
}

static enum next
answer_of(const struct call *call, enum next good)
{
	const struct produce_request *in = call->in;
	const struct produce_own *own = call->own;

	if (in->acks != 0)
		return good;
	return own->failed ? NEXT_CLOSE : NEXT_SILENT;
}

enum next
produce_handle(struct call *call)
{
	const struct produce_request *in = call->in;
	struct produce_response *out = call->out;
	struct produce_own *own = arena_alloc(&call->arena, sizeof(*own));
	struct produced *produced =
	    arena_array(&call->arena, (size_t)count_partitions(in), sizeof(*produced));

	call->own = own;
	own->produced = produced;
	CALL_LIST(call, out->responses, in->topic_data.n);
	for (int32_t t = 0; t < in->topic_data.n; t++) {
		check_topic(call, &in->topic_data.at[t], produced, &out->responses.at[t]);
		produced += in->topic_data.at[t].partition_data.n;
	}
	return call->job.bytes > 0 ? NEXT_WRITE : answer_of(call, NEXT_ANSWER);
}

static void
append(struct call *call, struct store_txn *txn, const struct produce_request_topic_data *asked,
       const struct topic *topic, struct produced *p, struct produce_response_partition_response *out)
{
	struct append_result result;
	int64_t now_ms = p->log_append_time ? clock_wall_ms() : -1;

	enum err err = log_append(txn, topic, out->index, p->at, &p->batch, now_ms, &result);
	if (err != ERR_NONE) {
		refuse(call, asked, out, err, err_text(err));
		return;
	}
	out->base_offset = result.base_offset;
	out->log_append_time_ms = result.log_append_time_ms;
	out->log_start_offset = result.log_start;
	if (!result.duplicate)
		call_touch(call, topic->number, out->index);
}

enum next
produce_write(struct call *call, struct store_txn *txn)
{
	const struct produce_request *in = call->in;
	struct produce_response *out = call->out;
	struct produce_own *own = call->own;
	struct produced *p = own->produced;

	for (int32_t t = 0; t < in->topic_data.n; t++) {
		const struct produce_request_topic_data *asked = &in->topic_data.at[t];
		struct topic topic;
		enum err err = find_topic(call, txn, asked, &topic); /* may be gone since handle() */
		for (int32_t i = 0; i < asked->partition_data.n; i++, p++) {
			struct produce_response_partition_response *answer =
			    &out->responses.at[t].partition_responses.at[i];
			if (p->at == NULL || store_failed(txn))
				continue;
			if (err != ERR_NONE)
				refuse(call, asked, answer, err, err_text(err));
			else
				append(call, txn, asked, &topic, p, answer);
		}
	}
	return answer_of(call, in->acks == -1 ? NEXT_PROMISE : NEXT_ANSWER);
}

void
produce_keep(struct call *call)
{
	struct produce_response *out = call->out;

	for (int32_t t = 0; t < out->responses.n; t++)
		out->responses.at[t].name = str_keep(&call->arena, out->responses.at[t].name);
}

void
produce_failed(struct call *call, enum err error)
{
	const struct produce_request *in = call->in;
	struct produce_response *out = call->out;

	if (in->acks == 0) {
		call_close(call);
		return;
	}
	for (int32_t t = 0; t < out->responses.n; t++) {
		const struct produce_request_topic_data *asked = &in->topic_data.at[t];
		for (int32_t i = 0; i < out->responses.at[t].partition_responses.n; i++) {
			struct produce_response_partition_response *answer =
			    &out->responses.at[t].partition_responses.at[i];
			if (answer->error_code == ERR_NONE)
				refuse(call, asked, answer, error, err_text(error));
		}
	}
}
