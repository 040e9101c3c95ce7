/*
 * broker: reads what it was told, then becomes the supervisor, or one of the tools.
 */
#include <stdio.h>

#include "broker/supervisor.h"
#include "broker/tools.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/diag.h"
#include "common/version.h"

static enum exit_status
run(const struct config *config, int64_t started_ns)
{
	diag_setup((enum diag_level)config->diag_level, (enum diag_format)config->diag_format);
	diag_process("broker");
	for (int i = 0; i < config->warning_n; i++)
		diag_warn("configuration", D_C("problem", config->warnings[i]));
	return supervisor_run(config_share(config), started_ns);
}

int
main(int argc, char **argv)
{
	static struct config config;
	int64_t started_ns = clock_monotonic_ns();

	config_init(&config);
	switch (config_parse_args(&config, argc, argv)) {
	case CONFIG_ACT_RUN:
		return (int)run(&config, started_ns);
	case CONFIG_ACT_HELP:
		config_help(stdout);
		return EXIT_STATUS_OK;
	case CONFIG_ACT_VERSION:
		printf("broker %s\n", FORKA_VERSION);
		return EXIT_STATUS_OK;
	case CONFIG_ACT_WIRE:
		return wire_main(argc - 1, argv + 1);
	case CONFIG_ACT_DUMP:
		return dump_main(argc - 1, argv + 1);
	case CONFIG_ACT_BACKUP:
		return backup_main(argc - 1, argv + 1);
	case CONFIG_ACT_BAD:
		break;
	}
	fprintf(stderr, "broker: %s\nTry 'broker --help'.\n", config.error);
	return EXIT_STATUS_USAGE;
}
