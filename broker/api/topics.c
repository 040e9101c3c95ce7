#include "broker/api/topics.h"

enum err
topic_find(struct store_txn *txn, struct str name, struct uuid id, struct arena *arena, struct topic *out)
{
	if (!uuid_is_zero(id))
		return topic_by_id(txn, id, arena, out);
	return topic_by_name(txn, name, arena, out);
}

enum err
partition_find(struct store_txn *txn, const struct topic *topic, int32_t index, int32_t client_epoch,
	       struct partition *out)
{
	enum err e = partition_state(txn, topic, index, out);
	if (e != ERR_NONE || client_epoch == -1 || client_epoch == out->leader_epoch)
		return e;
	return client_epoch < out->leader_epoch ? ERR_FENCED_LEADER_EPOCH : ERR_UNKNOWN_LEADER_EPOCH;
}

bool
topic_is_internal(struct str name)
{
	return str_is(name, "__consumer_offsets") || str_is(name, "__transaction_state") ||
	       str_is(name, "__share_group_state");
}

struct str
topic_name_fault(struct str name, struct arena *arena)
{
	if (name.n <= 0)
		return STR("a topic's name cannot be empty");
	if (str_is(name, ".") || str_is(name, ".."))
		return STR("a topic cannot be called '.' or '..'");
	if (name.n > 249)
		return str_of(
		    arena_printf(arena, "a topic's name has at most 249 characters, this one %d", name.n));
	return STR("a topic's name is made of ASCII letters, digits, '.', '_' and '-' only");
}
