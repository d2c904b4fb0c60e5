/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -netdev user: loads the module that carries libslirp on first use.
 *
 * Thread: main thread with the machine lock.
 */
#include "util/osdep.h"

#include "net/net.h"
#include "net/slirp-module.h"
#include "util/module.h"

#ifdef CONFIG_SLIRP
bool net_open_user(const Netdev *netdev, Error **errp)
{
    const NetSlirpOps *ops = module_load("net-slirp", errp);

    return ops && ops->open(netdev->id, &netdev->u.user, errp);
}
NetClient *net_user_find(const char *id, const NetSlirpOps **ops)
{
    NetClient *nc = net_client_first("user", id);

    *ops = nc ? module_load("net-slirp", NULL) : NULL;
    return nc;
}
#endif
