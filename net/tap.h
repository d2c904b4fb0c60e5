/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to net/: the parts of the TAP back end. Main thread. */
#ifndef NET_TAP_H
#define NET_TAP_H

#include "util/error.h"

#define TAP_DEFAULT_BRIDGE "br0"
#define TAP_DEFAULT_BRIDGE_HELPER "/usr/lib/qemu/qemu-bridge-helper"

/* A TAP interface on bridge @br, made by @helper (NULL: the defaults): its descriptor, or -1. */
int tap_open_bridge(const char *br, const char *helper, Error **errp);

#endif
