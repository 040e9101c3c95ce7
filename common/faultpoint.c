#include "common/faultpoint.h"

#ifdef FORKA_FAULTS

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/check.h"

struct row {
	char name[40];
	_Atomic uint64_t passed;
	_Atomic int32_t countdown, signal, pid, unused;
};

/* By the linker: the first of the section, and the end. */
extern const struct fault_point __start_fault_points[], __stop_fault_points[];

static struct row *
rows_map(void)
{
	const char *path = getenv("FORKA_FAULTS");
	if (path == NULL)
		return NULL;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	struct row *rows = mmap(NULL, FAULT_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(rows != MAP_FAILED);
	close(fd);
	size_t n = (size_t)(__stop_fault_points - __start_fault_points);
	CHECK(n * sizeof(struct row) <= FAULT_FILE_BYTES);
	for (size_t i = 0; i < n; i++)
		strncpy(rows[i].name, __start_fault_points[i].name, sizeof(rows[i].name) - 1);
	return rows;
}

void
fault_pass(const struct fault_point *point)
{
	static struct row *rows;
	static bool asked;

	if (!asked)
		rows = rows_map();
	asked = true;
	if (rows == NULL)
		return;
	struct row *row = &rows[point - __start_fault_points];
	atomic_fetch_add(&row->passed, 1);
	if (atomic_load(&row->countdown) <= 0 || atomic_fetch_sub(&row->countdown, 1) != 1)
		return;
	atomic_store(&row->pid, (int32_t)getpid());
	kill(getpid(), atomic_load(&row->signal));
}

#endif
