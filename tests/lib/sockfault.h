/*
 * sockfault: let the k-th call on a socket fail.
 *
 * A test that uses it has its own recv, send, sendmsg, recvmsg, accept4 and connect, which stand before libc's; nothing
 * of it is in the program that is shipped. Only what the broker does is counted: its sockets do not block, a test's
 * own do (tests/lib/client.h). As with fault.h: k = 1, 2, ... until sockfault_fired() is false.
 *
 * What is written is written: a send that fails with ECONNRESET has not sent, a short one has sent one byte.
 */
#ifndef TESTS_LIB_SOCKFAULT_H
#define TESTS_LIB_SOCKFAULT_H

#include <stdbool.h>

enum sockfault_calls {
	SOCKFAULT_RECEIVE = 1, /* recv, recvmsg */
	SOCKFAULT_SEND = 2,    /* send, sendmsg */
	SOCKFAULT_CONNECT = 4, /* accept4, connect */
};

#define SOCKFAULT_SHORT 0 /* instead of an errno: one byte, and no more */

/* The k-th of these calls from now on fails once. */
void sockfault_set(int k, unsigned calls, int error);
/* Did it, since sockfault_set()? Also puts an end to waiting for it. */
bool sockfault_fired(void);

#endif
