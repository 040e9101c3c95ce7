/*
 * InitProducerId: an identity for an idempotent producer (KIP-98). Always a new id, epoch 0: without a
 * transactional id there is nothing that would outlive the producer, so also one that wants to go on after an
 * error (KIP-360: it sends its present id and epoch) is given a new one, as by Kafka. The id is answered once
 * it is durable, for it must not be given twice, not even over a power cut.
 */
#include "broker/api/handlers.h"
#include "protocol/messages.h"

#define NONE (-1) /* of producer_id and producer_epoch */

/* Transactions are not served yet; find_coordinator.c says why this error. */
static enum err
check_request(const struct init_producer_id_request *in)
{
	if ((in->producer_id == NONE) != (in->producer_epoch == NONE))
		return ERR_INVALID_REQUEST;
	if (str_is_null(in->transactional_id))
		return ERR_NONE;
	return in->transactional_id.n == 0 ? ERR_INVALID_REQUEST : ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
}

enum next
init_producer_id_handle(struct call *call)
{
	enum err e = check_request(call->in);
	if (e != ERR_NONE) {
		init_producer_id_failed(call, e);
		return NEXT_ANSWER;
	}
	call->job.bytes = sizeof(int64_t);
	return NEXT_WRITE;
}

enum next
init_producer_id_write(struct call *call, struct store_txn *txn)
{
	struct init_producer_id_response *out = call->out;

	enum err e = producer_id_next(txn, &out->producer_id);
	if (e != ERR_NONE) {
		init_producer_id_failed(call, e);
		return NEXT_ANSWER;
	}
	out->producer_epoch = 0;
	return NEXT_PROMISE;
}

void
init_producer_id_failed(struct call *call, enum err error)
{
	struct init_producer_id_response *out = call->out;

	out->error_code = error;
	out->producer_id = NONE;
	out->producer_epoch = NONE;
}
