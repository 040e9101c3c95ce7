/*
 * death: what the log says when a process has ended: what killed it, whether there is a core and where, and when
 * the next is started if not at once.
 */
#ifndef BROKER_DEATH_H
#define BROKER_DEATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child;

/* status: as of waitpid(); pid: it was. After children_wait(), which sets when the next may start. */
void death_say(const struct child *child, pid_t pid, int status);

/* Who left a core. */
struct core {
	const char *name; /* of the process: comm, at most 15 characters */
	pid_t pid;
	int signal;
};

/*
 * Where the kernel put it: core(5)'s pattern with what is known filled in, and '*' for what is not (%t). uses_pid:
 * /proc/sys/kernel/core_uses_pid. A relative name is in dir. Of a pattern that begins with '|': "given to PROGRAM".
 */
void death_core_place(const struct core *core, const char *pattern, bool uses_pid, const char *dir, char *out,
		      size_t size);

#endif
