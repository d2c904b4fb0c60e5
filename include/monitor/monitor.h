/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Monitors: QMP servers over character devices. Commands live in the room
 * that they act on; this is only how they reach the client.
 *
 * Thread: main thread; with out-of-band commands enabled, parsing and those
 * commands run on the monitors' own iothread. Events from any thread.
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include "chardev/chardev.h"

typedef struct Monitor Monitor;

typedef struct MonitorOptions {
    const char *chardev_id;
    bool qmp;                   /* mode=control */
    bool pretty;
} MonitorOptions;
bool monitor_add(const MonitorOptions *opts, Error **errp);
/* Before there is a machine, only some commands run (-preconfig). */
void monitor_set_preconfig(bool on);
bool monitor_is_preconfig(void);
/* Send what is queued and close. */
void monitor_cleanup_all(void);
/* The monitor whose command this thread runs; NULL outside commands. */
Monitor *monitor_current(void);
/* A descriptor that the client passed as @name (getfd); ownership moves to the caller. -1 with @errp. */
int monitor_take_fd(Monitor *mon, const char *name, Error **errp);
/* Handlers of coroutine or asynchronous commands are not needed yet: every handler returns its result. */

/* While a command that nobody dispatched runs (a human's), QMP commands wait; nests. Main thread. */
void monitor_hold_dispatch(bool hold);

#endif
