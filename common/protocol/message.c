#include "common/protocol/field.h"

#include <string.h>

/*
 * message.c: what can be said about a message without looking at bytes: its size, its name, its defaults.
 */

const struct api *
api_find(int16_t key)
{
	int from = 0, to = api_count;

	while (from < to) {
		int middle = from + (to - from) / 2;

		if (apis[middle].key == key)
			return &apis[middle];
		if (apis[middle].key < key)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

size_t
message_size(const struct message *message)
{
	return message->size;
}

const char *
message_name(const struct message *message)
{
	return message->name;
}

size_t
field_size(const struct field *f)
{
	static const size_t sizes[] = {
		[F_BOOL] = sizeof(bool),
		[F_INT8] = sizeof(int8_t),
		[F_INT16] = sizeof(int16_t),
		[F_INT32] = sizeof(int32_t),
		[F_INT64] = sizeof(int64_t),
		[F_UUID] = sizeof(struct uuid),
		[F_STRING] = sizeof(struct str),
		[F_BYTES] = sizeof(struct bytes),
		[F_RECORDS] = sizeof(struct records),
		[F_ERROR] = sizeof(enum err),
	};

	return f->type == F_STRUCT ? f->of->size : sizes[f->type];
}

static void
fields_set_default(const struct message *message, void *out)
{
	for (int i = 0; i < message->field_n; i++)
		field_set_default(&message->fields[i], (char *)out + message->fields[i].offset);
}

void
field_set_default(const struct field *f, void *at)
{
	if (f->list) {
		int32_t n = (int32_t)f->fallback;

		memcpy((char *)at + offsetof(struct any_list, n), &n, sizeof(n));
		return;
	}
	switch ((enum field_type)f->type) {
	case F_BOOL:
		*(bool *)at = f->fallback != 0;
		break;
	case F_INT8:
		*(int8_t *)at = (int8_t)f->fallback;
		break;
	case F_INT16:
		*(int16_t *)at = (int16_t)f->fallback;
		break;
	case F_INT32:
		*(int32_t *)at = (int32_t)f->fallback;
		break;
	case F_INT64:
		*(int64_t *)at = f->fallback;
		break;
	case F_STRING:
		((struct str *)at)->n = (int32_t)f->fallback;
		break;
	case F_BYTES:
		((struct bytes *)at)->n = (int32_t)f->fallback;
		break;
	case F_RECORDS:
		((struct records *)at)->n = (int32_t)f->fallback;
		break;
	case F_ERROR:
		*(enum err *)at = (enum err)f->fallback;
		break;
	case F_STRUCT:
		if (!field_is_pointer(f))
			fields_set_default(f->of, at);
		break;
	case F_UUID:
		break;
	}
}

void
message_defaults(const struct message *message, void *out)
{
	memset(out, 0, message->size);
	fields_set_default(message, out);
}

void *
message_list(const struct message *message, struct arena *arena, size_t n)
{
	char *list;

	if (n == 0)
		return NULL;
	list = arena_array(arena, n, message->size);
	for (size_t i = 0; i < n; i++)
		fields_set_default(message, list + i * message->size);
	return list;
}
