/*
 * scatter: requests that several workers must answer together.
 *
 *	scatter_begin(call) -> scatter_to(s, owner, request, ...) for each owner -> scatter_wait(s)
 *
 * Each part is an ordinary request of the same API and version, for its owner to serve on its own; its answer is
 * decoded and given to take(). The call is answered after the last.
 */
#ifndef BROKER_API_SCATTER_H
#define BROKER_API_SCATTER_H

#include "broker/call.h"
#include "broker/forward.h"

struct scatter {
	struct call *call;
	int pending;
	/* An owner's decoded answer, in the call's arena; NULL: it was lost, and take() says so in its place. */
	void (*take)(struct call *call, int owner, const void *answer);
};

/* May this call be answered here alone? */
bool scatter_is_needless(const struct call *call);
struct scatter *scatter_begin(struct call *call,
			      void (*take)(struct call *call, int owner, const void *answer));
void scatter_to(struct scatter *s, int owner, const void *request);
/* NEXT_WAIT */
enum next scatter_wait(struct scatter *s);
/* For handler.forget. */
void scatter_forget(struct call *call);

#endif
