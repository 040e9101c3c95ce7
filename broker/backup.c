/*
 * backup: a copy of everything that the store holds, at one moment, while a broker works on it. What it does is
 * in storage/backup.h.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/tools.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/diag.h"
#include "storage/store.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

struct asked {
	const char *from, *to;
	bool compact;
};

static const char usage[] =
    "Usage: broker backup [-d DATA] [--compact] DIR\n"
    "\n"
    "Copy all that the store in DATA (./data) holds to DIR, as it is at one moment: topics, records, "
    "groups,\n"
    "offsets. May be used while the broker runs, and holds nobody up. `broker -d DIR` starts a broker on "
    "the\n"
    "copy. DIR is made where it is absent, and must not hold a store yet. The copy is on disk when the "
    "command\n"
    "ends with status 0; otherwise nothing is left of it.\n"
    "\n"
    "  -d, --dir DATA  the store's directory\n"
    "  --compact       leave out free pages: a smaller copy, which takes longer to make\n"
    "  -h, --help      this text\n";

static int
refuse(void)
{
	(void)fputs(usage, stderr);
	return EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int
parse_args(int argc, char **argv, struct asked *asked)
{
	enum { FLAG_COMPACT = 256 };
	static const struct option flags[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "compact", no_argument, NULL, FLAG_COMPACT },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int flag;

	optind = 0; /* the broker's own command line went through getopt before */
	while ((flag = getopt_long(argc, argv, "d:h", flags, NULL)) != -1) {
		if (flag == 'd')
			asked->from = optarg;
		else if (flag == FLAG_COMPACT)
			asked->compact = true;
		else if (flag == 'h')
			return fputs(usage, stdout) == EOF ? EXIT_FAILED : EXIT_OK;
		else
			return EXIT_USAGE;
	}
	if (argc - optind != 1 || argv[optind][0] == '\0')
		return refuse();
	asked->to = argv[optind];
	return -1;
}

static void
on_signal(int number)
{
	store_backup_abandon();
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

/* Whoever is asked to end leaves nothing behind. A file-size limit is an error of the write. */
static void
set_signals(void)
{
	static const int end[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++) {
		struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
		struct sigaction before;
		if (sigaction(end[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* nohup */
			(void)sigaction(end[i], &action, NULL);
	}
	(void)signal(SIGXFSZ, SIG_IGN);
}

static int
back_up(const struct asked *asked, int64_t map_bytes)
{
	struct store_options options = {
		.dir = asked->from,
		.map_bytes = (uint64_t)map_bytes,
		.read_only = true,
	};
	struct store *store;
	struct store_backup copy;
	int64_t begun_ns = clock_monotonic_ns();

	set_signals();
	enum err e = store_open(&options, &store);
	if (e == ERR_NONE) {
		e = store_backup(store, asked->to, asked->compact, &copy);
		store_close(store);
	}
	if (e != ERR_NONE) {
		(void)fprintf(stderr, "broker backup: no backup was made in %s\n", asked->to);
		return EXIT_FAILED;
	}
	printf("copied %" PRIu64 " bytes in %.3f s, all up to commit %" PRIu64 ", to %s/data.mdb\n",
	       copy.bytes, (double)(clock_monotonic_ns() - begun_ns) / 1e9, copy.commit, asked->to);
	return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

int
backup_main(int argc, char **argv)
{
	struct config standard;
	config_init(&standard);
	struct asked asked = { .from = standard.dir };

	diag_setup(DIAG_INFO, DIAG_TEXT);
	diag_process("backup");
	int status = parse_args(argc, argv, &asked);
	if (status < 0)
		status = back_up(&asked, standard.map_bytes);
	config_free(&standard);
	return status;
}
