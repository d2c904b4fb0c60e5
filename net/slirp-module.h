/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the module "net-slirp" offers to the emulator.
 */
#ifndef NET_SLIRP_MODULE_H
#define NET_SLIRP_MODULE_H

#include "net/net.h"

typedef struct NetSlirpOps {
    /* As net_open_user(). */
    bool (*open)(const char *id, const NetdevUserOptions *opts, Error **errp);
} NetSlirpOps;

#endif
