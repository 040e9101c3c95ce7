/*
 * CHECK: the program's own invariants, kept in release builds.
 *
 * A broken invariant or an exhausted heap ends the process at once: the supervisor starts another, the store
 * is crash-safe, and no code path limps on. What a client, a disk or a configuration file can cause is never
 * CHECKed; it is returned as an enum err.
 */
#ifndef COMMON_CHECK_H
#define COMMON_CHECK_H

/* Print where and what, then abort(). */
_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(cond) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond))

/* Annotates functions whose result must be looked at. */
#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#endif
