/*
 * start: how long until a broker that is started now acknowledges (acks=all) its first message?
 *
 *	start HOST:PORT LOG PROGRAM [ARGUMENT...]
 *
 * Starts the program, connects as soon as somebody listens, creates a topic by asking for its metadata,
 *produces one message, and stops the broker again (SIGTERM). One line of key=value on stdout: milliseconds
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

#define TOPIC "first"

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

/* Connect, trying again every 100 us for 10 s. */
static int
connect_soon(const char *address, pid_t pid)
{
	struct timespec pause = { .tv_nsec = 100000 };
	double began = wire_now_s();

	while (wire_now_s() - began < 10) {
		int fd = wire_connect(address, 1);

		if (fd >= 0)
			return fd;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			wire_die("the broker has ended; see its log");
		nanosleep(&pause, NULL);
	}
	kill(pid, SIGKILL);
	wire_die("nobody listens on %s after 10 s", address);
}

int
main(int argc, char **argv)
{
	double began, listening, answered, acknowledged, stopping;
	size_t topic_error_at;
	struct bytes answer;
	pid_t pid;
	int fd, status;

	if (argc < 4)
		wire_die("usage: start HOST:PORT LOG PROGRAM [ARGUMENT...]");
	began = wire_now_s();
	pid = spawn(argv[2], argv + 3);
	fd = connect_soon(argv[1], pid);
	listening = wire_now_s();
	answer = wire_call(fd, wire_metadata_request(TOPIC));
	answered = wire_now_s();
	topic_error_at = wire_produced_error_at(TOPIC);
	wire_ask(fd, wire_produce_request(TOPIC, 0, -1, 1, 100), topic_error_at, 0, "Produce");
	acknowledged = wire_now_s();
	close(fd);
	free(answer.at);

	kill(pid, SIGTERM);
	stopping = wire_now_s();
	waitpid(pid, &status, 0);
	printf("connected_ms=%.1f metadata_ms=%.1f acknowledged_ms=%.1f stop_ms=%.1f status=%d\n",
	       (listening - began) * 1e3, (answered - began) * 1e3, (acknowledged - began) * 1e3,
	       (wire_now_s() - stopping) * 1e3, status);
	return status ? 1 : 0;
}
