/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the schema's options of user-mode networking to libslirp's.
 */
#ifndef NET_SLIRP_CONFIG_H
#define NET_SLIRP_CONFIG_H

#include <libslirp.h>

#include "qapi-types.h"

typedef struct SlirpNetConfig {
    SlirpConfig slirp;          /* strings are borrowed from the options */
    const char **dnssearch;     /* owned */
} SlirpNetConfig;

/* Fill @config from @opts, which must outlive it. */
bool slirp_net_config_parse(SlirpNetConfig *config, const NetdevUserOptions *opts, Error **errp);
void slirp_net_config_clear(SlirpNetConfig *config);
/* One rule of hostfwd=, and the inverse of its first half; NULL, or what is wrong. */
const char *slirp_net_hostfwd_add(Slirp *slirp, const char *rule);
const char *slirp_net_hostfwd_remove(Slirp *slirp, const char *place);
/* Set up hostfwd= and guestfwd=. */
bool slirp_net_config_forward(Slirp *slirp, const SlirpNetConfig *config, const NetdevUserOptions *opts,
                              Error **errp);

#endif
