/*
 * faultpoint: named places in the code at which a test makes the process die, in builds for tests only (make FAULTS=1).
 * Elsewhere FAULT_POINT() is nothing at all.
 *
 *	FAULT_POINT("turn.committed"); // committed, and nobody knows it yet
 *
 * The environment's FORKA_FAULTS names a file of FAULT_FILE_BYTES, which the test made and maps as well as each
 * process of the broker. It holds a row of 64 bytes, in native order, for each point of the program:
 *
 *	char name[40]      all points are there as soon as one was passed
 *	u64  passed        so often, by any process
 *	i32  countdown     the test sets it: whoever counts it down to 0 is hit. 0 and less: nobody
 *	i32  signal        with what: SIGKILL, SIGSTOP
 *	i32  pid           who was hit last
 *	i32  unused
 *
 * So a test chooses a point as often as it likes in one life of the broker, whoever passes there is hit once, not its
 * successor, too; and it sees which points were never passed.
 */
#ifndef COMMON_FAULTPOINT_H
#define COMMON_FAULTPOINT_H

#ifdef FORKA_FAULTS

#define FAULT_FILE_BYTES 65536

struct fault_point {
	const char *name;
};

/* Each is in a section of its own, so that together they are a table without anybody keeping a list. */
#define FAULT_POINT(its_name)                                                                                \
	do {                                                                                                 \
		static const struct fault_point here                                                         \
		    __attribute__((section("fault_points"), used)) = { its_name };                           \
		fault_pass(&here);                                                                           \
	} while (0)

void fault_pass(const struct fault_point *point);

#else

#define FAULT_POINT(its_name) ((void)0)

#endif

#endif
