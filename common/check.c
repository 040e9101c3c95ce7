#include "common/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One write(2) from the stack: the heap may be what is broken, and another process may be writing too. */
_Noreturn void
check_failed(const char *file, int line, const char *what)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s:%d: broken invariant: %s (pid %d)\n", file, line, what,
			 (int)getpid());
	size_t len = n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1;
	if (write(STDERR_FILENO, text, len) < 0) {
		/* Nobody is left to be told; the core dump still says where. */
	}
	abort();
}
