/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qtest server: register-level tests drive a machine over a character
 * device (docs/devel/qtest.md). Main thread with the machine lock.
 */
#ifndef SYSTEM_QTEST_H
#define SYSTEM_QTEST_H

#include <stdbool.h>
#include "util/error.h"

/*
 * Serve the protocol on @chardev (-qtest, a shorthand like "unix:PATH"),
 * logging to the file @log ("none": nowhere, NULL: stderr).
 */
bool qtest_start(const char *chardev, const char *log, Error **errp);

#endif
