/*
 * systemd: how a service manager and the broker talk, where there is one: readiness and the watchdog
 * (sd_notify(3)), and sockets that were opened before (sd_listen_fds(3)).
 *
 * Both are a few environment variables and one datagram, stable by promise; so this is written here, as systemd's
 * own documentation recommends to those who do not need libsystemd for more.
 */
#ifndef BROKER_SYSTEMD_H
#define BROKER_SYSTEMD_H

#include <stdint.h>

/* Tell the manager, lines of KEY=VALUE; nothing happens where $NOTIFY_SOCKET is not set. */
void systemd_notify(const char *state);
/* "RELOADING=1" with the time of the clock, as Type=notify-reload wants it; READY=1 is to follow. */
void systemd_notify_reloading(void);
/* How often the manager wants to hear from this process, in microseconds; 0: it does not. */
int64_t systemd_watchdog_us(void);

#define SYSTEMD_FIRST_FD 3

/* How many sockets were passed to this process, from SYSTEMD_FIRST_FD on. */
int systemd_sockets(void);
/* The name of the i-th, from 0 (FileDescriptorName=); "": it has none. At most size - 1 bytes of it. */
void systemd_socket_name(int i, char *out, int size);

#endif
