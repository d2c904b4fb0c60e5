/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program as the operating system sees it: going to the background once it
 * can be used, and the file that says which process it is. Main thread.
 */
#ifndef UTIL_PROCESS_H
#define UTIL_PROCESS_H

#include <stdbool.h>
#include "util/error.h"

/* Returns in the child, before threads exist; the parent waits and exits as the child says. */
bool process_daemonize(Error **errp);
bool process_is_daemon(void);
/* The child can be used: it leaves the terminal, the parent exits 0. Nothing without the above. */
bool process_finish_daemonize(Error **errp);
/* Write and lock it; another living process with the same file is an error. */
bool process_write_pidfile(const char *path, Error **errp);
/* Remove the pidfile. */
void process_cleanup(void);

#endif
