/*
 * start: how long until a broker that is started now acknowledges (acks=all) its first message?
 *
 *	start HOST:PORT LOG PROGRAM [ARGUMENT...]
 *
 * Starts the program, connects as soon as somebody listens, creates a topic by asking for its metadata,
 *produces one message (again and again where the broker says that it does not serve the topic yet), and stops
 *the broker again (SIGTERM). One line of key=value on stdout: milliseconds
 *from the fork.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

#define TOPIC      "first"
#define PATIENCE_S 60

enum { UNKNOWN_TOPIC_OR_PARTITION = 3, NOT_LEADER_OR_FOLLOWER = 6 };

static pid_t
spawn(const char *log, char **argv)
{
	pid_t pid = fork();

	if (pid < 0)
		wire_die("fork: %s", strerror(errno));
	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);

		dup2(fd, 1);
		dup2(fd, 2);
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

/* Connect, trying again every 100 us for a minute. */
static int
connect_soon(const char *address, pid_t pid)
{
	struct timespec pause = { .tv_nsec = 100000 };
	double began = wire_now_s();

	while (wire_now_s() - began < PATIENCE_S) {
		int fd = wire_connect(address, 1);

		if (fd >= 0)
			return fd;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			wire_die("the broker has ended; see its log");
		nanosleep(&pause, NULL);
	}
	kill(pid, SIGKILL);
	wire_die("nobody listens on %s after %d s", address, PATIENCE_S);
}

/* True: the broker has acknowledged it. False: not yet, the topic is just being made. Ends where it is an error. */
static int
produced(int fd, struct bytes request)
{
	struct bytes answer = wire_call(fd, request);
	size_t error_at = wire_produced_error_at(TOPIC);
	int16_t error = answer.n < error_at + 2 ? -1 : wire_i16(answer.at + error_at);

	free(answer.at);
	if (error && error != UNKNOWN_TOPIC_OR_PARTITION && error != NOT_LEADER_OR_FOLLOWER)
		wire_die("Produce: error %d", error);
	return error == 0;
}

/* Ask for the topic's metadata, which creates it, and produce, until that has been well. Returns when. */
static double
produce_soon(int fd)
{
	struct bytes ask = wire_metadata_request(TOPIC), produce = wire_produce_request(TOPIC, 0, -1, 1, 100);
	struct timespec pause = { .tv_nsec = 1000000 };

	for (double began = wire_now_s(); wire_now_s() - began < PATIENCE_S; nanosleep(&pause, NULL)) {
		struct bytes answer = wire_call(fd, ask);

		free(answer.at);
		if (produced(fd, produce))
			return wire_now_s();
	}
	wire_die("nothing was acknowledged within %d s", PATIENCE_S);
}

/* A JVM that has ended in order says that it was a signal. */
static int
is_java_after(int number, int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == 128 + number;
}

int
main(int argc, char **argv)
{
	double began, listening, acknowledged, stopping;
	pid_t pid;
	int fd, status;

	if (argc < 4)
		wire_die("usage: start HOST:PORT LOG PROGRAM [ARGUMENT...]");
	began = wire_now_s();
	pid = spawn(argv[2], argv + 3);
	fd = connect_soon(argv[1], pid);
	listening = wire_now_s();
	acknowledged = produce_soon(fd);
	close(fd);

	kill(pid, SIGTERM);
	stopping = wire_now_s();
	waitpid(pid, &status, 0);
	printf("connected_ms=%.1f acknowledged_ms=%.1f stop_ms=%.1f status=%d\n", (listening - began) * 1e3,
	       (acknowledged - began) * 1e3, (wire_now_s() - stopping) * 1e3, status);
	return status && !is_java_after(SIGTERM, status);
}
