#include "broker/fetch_session.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "protocol/messages.h"

/* Session epochs with which a request names all its partitions. */
#define FULL  0  /* and wants a new session */
#define FINAL -1 /* and wants none */

/* After 2^31-1 comes 1: 0 is for new sessions. */
static int32_t
epoch_after(int32_t epoch)
{
	return epoch == INT32_MAX ? 1 : epoch + 1;
}

static void
hold(struct fetch_session *s, const struct fetch_request *in, int64_t now_ms)
{
	if (s->isolation != in->isolation_level)
		fetch_partitions_wake_all(&s->partitions); /* what is to be read ends elsewhere */
	s->isolation = in->isolation_level;
	s->epoch = epoch_after(s->epoch);
	s->held = true;
	s->used_ms = now_ms;
	list_remove(&s->in_all);
	list_append(&s->all->by_use, &s->in_all);
}

/* --- sessions --------------------------------------------------------------------------------------- */

void
fetch_sessions_init(struct fetch_sessions *all)
{
	struct uuid random = uuid_random();

	*all = (struct fetch_sessions){ 0 };
	list_init(&all->by_use);
	memcpy(&all->seed, random.b, sizeof(all->seed));
}

/* Random: one that a client had from another connection, or another process, is not taken for ours. */
static int32_t
new_id(void)
{
	int32_t id = 0;

	while (id == 0) {
		struct uuid random = uuid_random();
		memcpy(&id, random.b, sizeof(id));
		id &= INT32_MAX;
	}
	return id;
}

static struct fetch_session *
session_new(struct fetch_sessions *all, bool by_id)
{
	struct fetch_session *s = calloc(1, sizeof(*s));

	CHECK(s != NULL);
	s->all = all;
	s->id = new_id();
	fetch_partitions_init(&s->partitions, all->seed, by_id);
	list_append(&all->by_use, &s->in_all);
	all->n++;
	s->bytes = sizeof(*s);
	all->bytes += s->bytes;
	return s;
}

void
fetch_session_free(struct fetch_session *s)
{
	if (s == NULL)
		return;
	if (s->owner != NULL)
		*s->owner = NULL;
	fetch_partitions_free(&s->partitions);
	s->all->bytes -= s->bytes;
	list_remove(&s->in_all);
	s->all->n--;
	free(s);
}

/* What it takes is counted among all. */
static void
count_bytes(struct fetch_session *s)
{
	size_t bytes = sizeof(*s) + s->partitions.bytes;

	s->all->bytes += bytes - s->bytes;
	s->bytes = bytes;
}

/* False: it has outgrown the room that sessions have. */
static bool
take(struct fetch_session *s, struct fetch_sessions_most most, const struct fetch_request *in)
{
	size_t others = s->all->bytes - s->bytes;
	bool fits = others < most.bytes && fetch_partitions_take(&s->partitions, in, most.bytes - others);

	count_bytes(s);
	return fits;
}

/* The longest unused, if it is stale, makes room. */
static bool
has_room(struct fetch_sessions *all, struct fetch_sessions_most most, int64_t now_ms)
{
	if (all->n < most.n && all->bytes < most.bytes)
		return true;
	if (most.n <= 0 || list_is_empty(&all->by_use))
		return false;
	struct fetch_session *oldest = LIST_OF(all->by_use.next, struct fetch_session, in_all);
	if (oldest->held || now_ms - oldest->used_ms <= FETCH_SESSION_STALE_MS)
		return false;
	fetch_session_free(oldest);
	return all->n < most.n && all->bytes < most.bytes;
}

static void
begin_full(struct fetch_sessions *all, struct fetch_sessions_most most, const struct fetch_request *in,
	   bool by_id, int64_t now_ms, struct fetch_session **own, struct fetch_session **out)
{
	if (*own != NULL && (in->session_epoch == FULL || (*own)->id == in->session_id))
		fetch_session_free(*own);
	if (in->session_epoch == FINAL || !has_room(all, most, now_ms))
		return;
	struct fetch_session *s = session_new(all, by_id);
	s->isolation = in->isolation_level;
	if (!take(s, most, in)) {
		fetch_session_free(s);
		return;
	}
	hold(s, in, now_ms);
	s->owner = own;
	*own = *out = s;
}

static enum err
check(const struct fetch_session *s, const struct fetch_request *in, bool by_id)
{
	if (s == NULL || s->id != in->session_id)
		return ERR_FETCH_SESSION_ID_NOT_FOUND;
	if (s->epoch != in->session_epoch)
		return ERR_INVALID_FETCH_SESSION_EPOCH;
	return s->partitions.by_id == by_id ? ERR_NONE : ERR_FETCH_SESSION_TOPIC_ID_ERROR;
}

static enum err
begin_next(struct fetch_sessions_most most, const struct fetch_request *in, bool by_id, int64_t now_ms,
	   struct fetch_session *s, struct fetch_session **out)
{
	enum err err = check(s, in, by_id);

	if (err != ERR_NONE)
		return err;
	bool fits = take(s, most, in);
	fetch_partitions_forget(&s->partitions, in);
	count_bytes(s);
	if (!fits || s->partitions.n == 0) {
		fetch_session_free(s);
		return fits ? ERR_NONE : ERR_FETCH_SESSION_ID_NOT_FOUND;
	}
	hold(s, in, now_ms);
	*out = s;
	return ERR_NONE;
}

enum err
fetch_session_begin(struct fetch_sessions *all, struct fetch_sessions_most most,
		    const struct fetch_request *in, bool by_id, int64_t now_ms, struct fetch_session **own,
		    struct fetch_session **out)
{
	*out = NULL;
	if (in->session_epoch != FULL && in->session_epoch != FINAL)
		return begin_next(most, in, by_id, now_ms, *own, out);
	begin_full(all, most, in, by_id, now_ms, own, out);
	return ERR_NONE;
}

void
fetch_session_release(struct fetch_session *s)
{
	s->held = false;
}

void
fetch_session_wake(struct fetch_session *s, const _Atomic uint64_t *appended, uint32_t losses, int64_t now_ms)
{
	if (s->losses == losses && now_ms - s->looked_ms < FETCH_SESSION_LOOK_MS) {
		fetch_partitions_wake(&s->partitions, appended);
		return;
	}
	s->losses = losses;
	s->looked_ms = now_ms;
	fetch_partitions_wake_all(&s->partitions);
}
