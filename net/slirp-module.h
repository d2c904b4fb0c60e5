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
    /* Of a client that open() made: forward as hostfwd= says; NULL, or what is wrong with @rule. */
    const char *(*hostfwd_add)(NetClient *nc, const char *rule);
    /* "tcp|udp:[ADDRESS]:PORT"; NULL, or what is wrong. */
    const char *(*hostfwd_remove)(NetClient *nc, const char *place);
    char *(*connections)(NetClient *nc);    /* a table for people; caller frees */
} NetSlirpOps;

/* "user" clients; *@ops is set when there is one. @id NULL: the first. */
NetClient *net_user_find(const char *id, const NetSlirpOps **ops);

#endif
