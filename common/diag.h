/*
 * diag: what the broker says about itself, one event a line, on standard error.
 *
 * The word "log" means a partition's log here; diagnostics are diag. A line has a level, a time, the process
 * that speaks, an event in a few words, and named values:
 *
 *	text   2026-11-22T14:40:15.123Z INFO  worker-0[4711] connection opened client=127.0.0.1:50412
 *	json   {"time":"...","level":"info","source":"worker-0","source_pid":4711,"event":"connection opened",...}
 *
 * Call order: diag_setup() once, diag_process() after each fork, then the macros (which work before, too:
 * info, as text). A value is escaped so that no client-supplied byte can forge a line or command a terminal,
 * and shortened if it is long. One write(2) a line; a full pipe holds the broker up for some milliseconds at
 * most, then lines are dropped and counted ("lines lost n=12"), and a dead reader harms nobody. One thread a
 * process.
 *
 * Levels: error (something is lost or refused that should not be), warn (a client or the machine misbehaves),
 * info (start, stop, topics), debug (a line per request and answer), trace (decoded fields).
 */
#ifndef COMMON_DIAG_H
#define COMMON_DIAG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/check.h"
#include "common/str.h"

enum diag_level { DIAG_ERROR, DIAG_WARN, DIAG_INFO, DIAG_DEBUG, DIAG_TRACE };
enum diag_format { DIAG_TEXT, DIAG_JSON };

struct diag_value {
	const char *name;
	enum { DIAG_INT, DIAG_STR, DIAG_HEX } kind;
	int64_t number;
	struct str text;
};

#define D_INT(name_, v) ((struct diag_value){ .name = (name_), .kind = DIAG_INT, .number = (int64_t)(v) })
#define D_STR(name_, s) ((struct diag_value){ .name = (name_), .kind = DIAG_STR, .text = (s) })
#define D_C(name_, c)   D_STR(name_, str_of(c))
#define D_HEX(name_, s)                                                                                      \
	((struct diag_value){ .name = (name_), .kind = DIAG_HEX, .text = (s) }) /* raw bytes */

/* Also ignores SIGPIPE for this process and its children, and opens standard error anew so as to write
 * unblocked. */
void diag_setup(enum diag_level level, enum diag_format format);
void
diag_process(const char *name); /* "supervisor", "worker-2", ...; remembers the pid. The string is copied */
bool diag_parse_level(const char *text, enum diag_level *out);
bool diag_parse_format(const char *text, enum diag_format *out);
bool diag_on(enum diag_level level); /* would a line of this level be written? */
void diag_write(enum diag_level level, const char *event, const struct diag_value *values, int n);
/* Lines of free text under one event (trace's decoded fields): text format prints them indented, JSON as one
 * string. */
void diag_block(enum diag_level level, const char *event, struct str text);

/* How often an event is told. All zero at first. */
struct diag_rate {
	int64_t
	    next_ms; /* monotonic: when the next line is due; it lies behind for as long as there is room */
	int64_t left_out; /* and not told yet */
};

/* One more line of this event? If so, it is also said how many were left out before it. */
bool diag_may_say(struct diag_rate *rate, const char *event);

#define DIAG(level, event, ...)                                                                              \
	do {                                                                                                 \
		if (diag_on(level)) {                                                                        \
			const struct diag_value values_[] = { __VA_ARGS__ };                                 \
			diag_write(level, event, values_, (int)(sizeof(values_) / sizeof(values_[0])));      \
		}                                                                                            \
	} while (0)

/* diag_info("topic created", D_STR("topic", name), D_INT("partitions", n)); at least one value. */
#define diag_error(event, ...) DIAG(DIAG_ERROR, event, __VA_ARGS__)
#define diag_warn(event, ...)  DIAG(DIAG_WARN, event, __VA_ARGS__)
/*
 * What a client can bring about as often as it likes: after DIAG_OFTEN_BURST lines of a place and process, one every
 * DIAG_OFTEN_MS, so that nobody fills the disk with them. How many were left out is said before the next one that is
 * not: "more of these were left out like=... n=...".
 */
#define DIAG_OFTEN_BURST 1000
#define DIAG_OFTEN_MS    50
#define diag_warn_often(event, ...)                                                                          \
	do {                                                                                                 \
		static struct diag_rate rate_;                                                               \
		if (diag_on(DIAG_WARN) && diag_may_say(&rate_, event))                                       \
			DIAG(DIAG_WARN, event, __VA_ARGS__);                                                 \
	} while (0)
#define diag_info(event, ...)  DIAG(DIAG_INFO, event, __VA_ARGS__)
#define diag_debug(event, ...) DIAG(DIAG_DEBUG, event, __VA_ARGS__)
#define diag_trace(event, ...) DIAG(DIAG_TRACE, event, __VA_ARGS__)

#endif
