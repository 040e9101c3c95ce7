#include "broker/death.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/children.h"
#include "common/clock.h"
#include "common/diag.h"

/* --- cores --- */

/* What one letter behind a '%' stands for. */
static void
expand(char letter, const struct core *core, char *out, size_t size)
{
	switch (letter) {
	case '%':
		snprintf(out, size, "%%");
		break;
	case 'p': /* as one pid namespace sees it */
	case 'P': /* as the machine does: the same where there is one namespace */
	case 'i': /* threads: there is one */
	case 'I':
		snprintf(out, size, "%d", (int)core->pid);
		break;
	case 's':
		snprintf(out, size, "%d", core->signal);
		break;
	case 'u':
		snprintf(out, size, "%u", (unsigned)getuid());
		break;
	case 'g':
		snprintf(out, size, "%u", (unsigned)getgid());
		break;
	case 'e':
		snprintf(out, size, "%s", core->name);
		break;
	case 'h':
		if (gethostname(out, size) == 0)
			break;
		/* fall through */
	default:
		snprintf(out, size, "*");
	}
}

void
death_core_place(const struct core *core, const char *pattern, bool uses_pid, const char *dir, char *out,
		 size_t size)
{
	bool has_pid = false;
	size_t n = 0;

	if (pattern[0] == '|') {
		pattern += 1 + strspn(pattern + 1, " ");
		snprintf(out, size, "given to %.*s", (int)strcspn(pattern, " "), pattern);
		return;
	}
	if (pattern[0] != '/')
		n = (size_t)snprintf(out, size, "%s/", dir);
	for (const char *at = pattern; *at != '\0' && n + 80 < size; at++) {
		if (at[0] != '%') {
			out[n++] = *at;
			out[n] = '\0';
		} else if (at[1] != '\0') {
			at++;
			has_pid = has_pid || *at == 'p';
			expand(*at, core, out + n, size - n);
			n += strlen(out + n);
		}
	}
	if (uses_pid && !has_pid && n < size)
		snprintf(out + n, size - n, ".%d", (int)core->pid);
}

/* The file's first line, "" if it cannot be read. */
static void
read_line(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, size - 1) : 0;

	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

static void
find_core(const struct core *core, bool dumped, char *out, size_t size)
{
	char pattern[256], uses_pid[8], dir[512];
	struct rlimit limit;

	if (!dumped) {
		bool forbidden = getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0;
		snprintf(out, size, "none: %s",
			 forbidden ? "the limit of core files is 0" : "it could not be written");
		return;
	}
	read_line("/proc/sys/kernel/core_pattern", pattern, sizeof(pattern));
	read_line("/proc/sys/kernel/core_uses_pid", uses_pid, sizeof(uses_pid));
	if (getcwd(dir, sizeof(dir)) == NULL)
		snprintf(dir, sizeof(dir), ".");
	death_core_place(core, pattern, uses_pid[0] == '1', dir, out, size);
}

static bool
leaves_core(int signal)
{
	static const int such[] = { SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
				    SIGFPE,  SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS };

	for (size_t i = 0; i < sizeof(such) / sizeof(such[0]); i++)
		if (such[i] == signal)
			return true;
	return false;
}

/* --- what is said --- */

static void
say_killed(const struct child *child, pid_t pid, int status)
{
	int signal = WTERMSIG(status);
	char where[1024];

	if (!leaves_core(signal)) {
		diag_error("process was killed", D_C("process", child->name), D_INT("pid", pid),
			   D_C("signal", strsignal(signal)), D_INT("number", signal));
		return;
	}
	find_core(&(struct core){ child->name, pid, signal }, WCOREDUMP(status), where, sizeof(where));
	diag_error("process was killed", D_C("process", child->name), D_INT("pid", pid),
		   D_C("signal", strsignal(signal)), D_INT("number", signal), D_C("core", where));
}

void
death_say(const struct child *child, pid_t pid, int status)
{
	int64_t pause_ms = child->not_before_ms - clock_monotonic_ms();

	if (WIFSIGNALED(status))
		say_killed(child, pid, status);
	else if (WEXITSTATUS(status) != 0)
		diag_error("process ended", D_C("process", child->name), D_INT("pid", pid),
			   D_INT("status", WEXITSTATUS(status)));
	else
		diag_debug("process left", D_C("process", child->name), D_INT("pid", pid));
	if (child->wanted && pause_ms > 0)
		diag_warn("process dies again and again: the next has to wait", D_C("process", child->name),
			  D_INT("starts_in_ms", pause_ms));
}
