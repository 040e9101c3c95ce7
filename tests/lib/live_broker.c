#include "tests/lib/live_broker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/test.h"

#define PATIENCE_MS test_patience_ms(20000)
#define ARGS_MOST   32

static void
nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

/* The whole log so far; the caller frees. */
static char *
read_log(const struct live_broker *b)
{
	char path[300];
	char *text = calloc(1, 1 << 20);

	snprintf(path, sizeof(path), "%s/broker.log", b->dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, text, (1 << 20) - 1) < 0)
			text[0] = '\0';
		close(fd);
	}
	return text;
}

static int
find_port(const struct live_broker *b)
{
	char *text = read_log(b), *ready = strstr(text, "broker is ready");
	char *at = ready != NULL ? strstr(text, "listening address=") : NULL;
	char *colon = at != NULL ? strchr(at, ':') : NULL;
	int port = colon != NULL ? (int)strtol(colon + 1, NULL, 10) : 0;

	free(text);
	return port;
}

/* Before the fork: what a predecessor said must not be taken for its successor's words. */
static void
empty_log(const struct live_broker *b)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/broker.log", b->dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void
become_broker(const struct live_broker *b, char **args)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/broker.log", b->dir);
	int fd = open(path, O_WRONLY | O_APPEND);
	dup2(fd, STDERR_FILENO);
	execv(args[0], args);
	_exit(127);
}

struct live_broker
live_broker_start(const char *dir, ...)
{
	struct live_broker b = { 0 };
	char data[300], *broker = getenv("BROKER");
	char *args[ARGS_MOST] = { broker != NULL ? broker : "build/broker", "-o",
				  "listeners=PLAINTEXT://127.0.0.1:0", "-d", data };
	va_list more;
	int n = 5;

	snprintf(b.dir, sizeof(b.dir), "%s", dir);
	snprintf(data, sizeof(data), "%s/data", dir);
	va_start(more, dir);
	while (n < ARGS_MOST - 1 && (args[n] = va_arg(more, char *)) != NULL)
		n++;
	va_end(more);
	empty_log(&b);
	b.pid = fork();
	assert_true(b.pid >= 0);
	if (b.pid == 0)
		become_broker(&b, args);
	for (int waited = 0; (b.port = find_port(&b)) == 0; waited += 2) {
		int status;
		if (waitpid(b.pid, &status, WNOHANG) == b.pid || waited > PATIENCE_MS) {
			char *text = read_log(&b);
			print_error("%s\n", text);
			free(text);
			fail_msg("the broker did not start");
		}
		nap();
	}
	return b;
}

int
live_broker_stop(struct live_broker *b)
{
	int status;

	kill(b->pid, SIGTERM);
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void
live_broker_kill(struct live_broker *b)
{
	kill(b->pid, SIGKILL);
	waitpid(b->pid, NULL, 0);
}

pid_t
live_broker_process(const struct live_broker *b, const char *name)
{
	char *text = read_log(b), wanted[64];
	pid_t pid = 0;

	snprintf(wanted, sizeof(wanted), "process started process=%s pid=", name);
	for (char *at = text; (at = strstr(at, wanted)) != NULL; at++)
		pid = (pid_t)strtol(at + strlen(wanted), NULL, 10);
	free(text);
	return pid;
}

pid_t
live_broker_successor(const struct live_broker *b, const char *name, pid_t old)
{
	for (int waited = 0; waited < PATIENCE_MS; waited += 2) {
		pid_t pid = live_broker_process(b, name);
		if (pid != 0 && pid != old)
			return pid;
		nap();
	}
	fail_msg("no successor of %s was started", name);
	return 0;
}

int
live_broker_said(const struct live_broker *b, const char *what)
{
	char *text = read_log(b);
	int n = 0;

	for (char *at = text; (at = strstr(at, what)) != NULL; at++)
		n++;
	free(text);
	return n;
}
