/*
 * fetch_session: what a client asked to be told of, so that it need not say it again (KIP-227).
 *
 *	request            id, epoch     answered
 *	none wanted        0, -1         as asked; no session
 *	a new one          0 or old, 0   all that was asked, and the id of a session that knows it
 *	the next           id, 1 2 3 ... what has changed; names only partitions that are new, or read from elsewhere, and
 *	                                 those to be forgotten
 *	the end            id, -1        as asked; the session is gone
 *
 * A session belongs to its connection and dies with it, and with the worker: whoever comes by another way is answered
 * FETCH_SESSION_ID_NOT_FOUND and begins anew. One is enough for a connection: a client has one for each broker, over one
 * connection, with one fetch at a time.
 *
 * What it knows, and who of it is looked at: fetch_partitions.h.
 */
#ifndef BROKER_FETCH_SESSION_H
#define BROKER_FETCH_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/fetch_partitions.h"
#include "common/err.h"
#include "common/list.h"

struct fetch_session {
	struct list in_all;
	struct fetch_sessions *all;
	struct fetch_session **owner; /* where its connection has it */
	int64_t used_ms, looked_ms;   /* at all of its partitions */
	size_t bytes;
	uint32_t losses;
	int32_t id, epoch; /* the epoch that the next request must have */
	int8_t isolation;
	bool held;
	struct fetch_partitions partitions;
};

/* All sessions of a worker. */
struct fetch_sessions {
	struct list by_use; /* longest unused first */
	int32_t n;
	size_t bytes;
	uint64_t seed; /* of hashes: a client cannot choose what collides */
};

/* At most so many of them, in so much memory together. */
struct fetch_sessions_most {
	int32_t n;
	size_t bytes;
};

/* A session that was not used for so long gives way to a new one. As in Kafka. */
#define FETCH_SESSION_STALE_MS 120000
#define FETCH_SESSION_LOOK_MS  5000

void fetch_sessions_init(struct fetch_sessions *all);

/*
 * What a request means for *own, its connection's session (NULL: it has none), which may be made, changed or freed. *out
 * is the session to be answered from, held until fetch_session_release(); NULL: none, the request says all there is.
 * FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR: the whole answer.
 * Where there is no room for a session the client gets none, which it understands; where one outgrows the room, it is
 * not found.
 */
MUST_CHECK enum err fetch_session_begin(struct fetch_sessions *all, struct fetch_sessions_most most,
					const struct fetch_request *in, bool by_id, int64_t now_ms,
					struct fetch_session **own, struct fetch_session **out);
void fetch_session_release(struct fetch_session *session);
/* NULL is allowed. */
void fetch_session_free(struct fetch_session *session);

/*
 * Those of which something was committed since they became quiet are active again (appended: see shared.h). All are where
 * `losses` is not what it was at the last call, for something may have gone untold; and after FETCH_SESSION_LOOK_MS: that
 * retention has moved a log start is told by nobody.
 */
void fetch_session_wake(struct fetch_session *session, const _Atomic uint64_t *appended, uint32_t losses,
			int64_t now_ms);
#endif
