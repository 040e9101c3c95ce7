/*
 * reload: SIGHUP. The configuration is read again, what may change changes in all processes at once (they share
 * it), and each is told to look. The log says what changed, and what has to wait for a restart.
 */
#ifndef BROKER_RELOAD_H
#define BROKER_RELOAD_H

#include <stdbool.h>

struct config;
struct children;

/* serving: it is ready, and a service manager is told of the reload. */
void reload_configuration(struct config *config, const struct children *children, bool serving);

#endif
