#include "broker/turn.h"

#include "broker/job.h"
#include "broker/worker.h"
#include "common/clock.h"
#include "common/diag.h"
#include "common/faultpoint.h"

#define HELD_UP_MOST_MS 3000

void
turn_init(struct turn *turn)
{
	*turn = (struct turn){ 0 };
	list_init(&turn->jobs);
}

void
turn_add(struct worker *w, struct job *job)
{
	list_append(&w->turn.jobs, &job->in_list);
	w->turn.bytes += job->bytes;
}

void
turn_touch(struct turn *turn, uint32_t hash)
{
	if (turn->touched_n > 0 && turn->touched[turn->touched_n - 1] == hash)
		return; /* the next batch for the same partition */
	if (turn->touched_n == TURN_TOUCHED)
		turn->touched_all = true;
	else
		turn->touched[turn->touched_n++] = hash;
}

/* Move the first jobs of the turn, as many as one transaction takes, to `batch`. */
static void
take_batch(struct turn *turn, struct list *batch)
{
	size_t bytes = 0;
	int n = 0;

	list_init(batch);
	LIST_EACH (&turn->jobs, it) {
		struct job *job = LIST_OF(it, struct job, in_list);
		if (n > 0 && (n == TURN_JOBS || bytes + job->bytes > TURN_BYTES))
			return;
		list_remove(it);
		list_append(batch, it);
		bytes += job->bytes;
		n++;
	}
}

static void
fail_batch(struct list *batch, enum err error)
{
	while (!list_is_empty(batch)) {
		struct job *job = LIST_OF(batch->next, struct job, in_list);
		list_remove(&job->in_list);
		job->kind->failed(job, error);
	}
}

/* Commits grow, so the parked list is in their order. */
void
turn_park(struct worker *w, struct job *job)
{
	if (store_is_durable(w->store, job->commit)) {
		job->kind->done(job);
		return;
	}
	list_append(&w->parked, &job->in_list);
	if (job->kind->parked != NULL)
		job->kind->parked(job);
}

static void
settle_batch(struct worker *w, struct list *batch, uint64_t commit)
{
	while (!list_is_empty(batch)) {
		struct job *job = LIST_OF(batch->next, struct job, in_list);
		list_remove(&job->in_list);
		job->commit = commit;
		if (job->promise == WHEN_DURABLE)
			turn_park(w, job);
		else
			job->kind->done(job);
	}
}

/* Let each job write, until the engine fails. */
static void
write_jobs(struct list *batch, struct store_txn *txn)
{
	LIST_EACH (batch, it) {
		struct job *job = LIST_OF(it, struct job, in_list);
		job->promise = job->kind->write(job, txn);
		if (store_failed(txn))
			return;
	}
}

static void
call_the_cleaner(struct worker *w)
{
	atomic_store(&w->shared->clean_wanted, 1);
	wakeup_send(&w->base.family->wakeup, w->config->workers + 1);
}

/* One transaction, from asking for the lock to having given it back. */
static enum err
commit_batch(struct worker *w, struct list *batch, uint64_t *commit)
{
	struct store_txn *txn;

	enum err err = store_write(w->store, &txn);
	if (err != ERR_NONE)
		return err;
	w->turn.touched_n = 0;
	w->turn.touched_all = false;
	w->turn.clean = false;
	write_jobs(batch, txn);
	FAULT_POINT("turn.written");
	if (store_failed(txn)) {
		store_abort(txn);
		err = ERR_KAFKA_STORAGE_ERROR;
	} else {
		err = store_commit(txn, commit);
	}
	if (err != ERR_NONE)
		diag_error("commit failed, nothing of it is stored", D_C("error", err_name(err)));
	return err;
}

static void
write_batch(struct worker *w, struct list *batch)
{
	uint64_t commit;

	int64_t began_ns = clock_monotonic_ns();
	enum err err = commit_batch(w, batch, &commit);
	w->turn.store_ns += clock_monotonic_ns() - began_ns;
	if (err != ERR_NONE) {
		fail_batch(batch, err);
		return;
	}
	FAULT_POINT("turn.committed");
	waits_tell(w, w->turn.touched, w->turn.touched_n, w->turn.touched_all, commit);
	if (atomic_load(&w->shared->dozing))
		wakeup_send(&w->base.family->wakeup, w->config->workers);
	if (w->turn.clean)
		call_the_cleaner(w);
	FAULT_POINT("turn.told");
	settle_batch(w, batch, commit);
}

/* Tell the checkpointer what we wait for. */
static void
want_durable(struct worker *w)
{
	struct job *oldest = LIST_OF(w->parked.next, struct job, in_list);

	if (list_is_empty(&w->parked)) {
		atomic_store_explicit(&w->slot->wants_commit, 0, memory_order_relaxed);
		return;
	}
	atomic_store(&w->slot->wants_commit, oldest->commit);
	atomic_store(&w->shared->checkpoint_wanted, 1);
}

bool
turn_is_due(const struct worker *w)
{
	return !list_is_empty(&w->turn.jobs) && atomic_load(&w->shared->store.writes_ok);
}

bool
turn_is_full(const struct worker *w)
{
	return w->turn.bytes >= TURN_BYTES && turn_is_due(w);
}

/* A checkpointer died and its successor is not ready yet: a matter of milliseconds. Producers wait, not for
 * ever. */
static bool
is_held_up(struct worker *w)
{
	struct turn *turn = &w->turn;
	int64_t now = clock_monotonic_ms();

	if (list_is_empty(&turn->jobs) || turn_is_due(w)) {
		turn->held_up_since_ms = 0;
		return false;
	}
	if (turn->held_up_since_ms == 0)
		turn->held_up_since_ms = now;
	if (now - turn->held_up_since_ms > HELD_UP_MOST_MS)
		return false; /* store_write() refuses, and says so */
	ev_timer_again(w->base.loop, &w->write_retry);
	return true;
}

void
turn_run(struct worker *w)
{
	struct list batch;

	while (!list_is_empty(&w->turn.jobs) && !is_held_up(w)) {
		take_batch(&w->turn, &batch);
		write_batch(w, &batch);
	}
	if (list_is_empty(&w->turn.jobs)) {
		w->turn.held_up_since_ms = 0;
		w->turn.bytes = 0;
	}
	worker_release_parked(w);
	want_durable(w);
	if (atomic_load_explicit(&w->shared->checkpoint_wanted, memory_order_relaxed))
		wakeup_send(&w->base.family->wakeup, w->config->workers);
}
