#include "broker/reload.h"

#include <signal.h>

#include "broker/children.h"
#include "broker/systemd.h"
#include "common/config.h"
#include "common/diag.h"

static void
say_change(const struct config_change *change)
{
	const char *from = change->from != NULL ? change->from : "not set";
	const char *to = change->to != NULL ? change->to : "not set";

	if (change->taken)
		diag_info("configuration changed", D_C("option", change->option->name), D_C("from", from),
			  D_C("to", to));
	else
		diag_warn("configuration: this needs a restart", D_C("option", change->option->name),
			  D_C("from", from), D_C("to", to));
}

void
reload_configuration(struct config *config, const struct children *children, bool serving)
{
	struct arena arena = ARENA_EMPTY;
	struct config_change *changes;
	const char *error;

	if (serving)
		systemd_notify_reloading();
	int n = config_reload(config, &arena, &changes, &error);
	if (n < 0)
		diag_error("configuration is not reloaded", D_C("reason", error));
	for (int i = 0; i < n; i++)
		say_change(&changes[i]);
	if (n >= 0)
		diag_info("configuration reloaded", D_C("file", config->file != NULL ? config->file : "none"),
			  D_INT("changes", n));
	diag_setup((enum diag_level)config->diag_level, (enum diag_format)config->diag_format);
	children_signal(children, CHILD_WORKER, SIGHUP);
	children_signal(children, CHILD_CHECKPOINTER, SIGHUP);
	children_signal(children, CHILD_CLEANER, SIGHUP);
	if (serving)
		systemd_notify("READY=1");
	arena_free(&arena);
}
