/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client's side of the NBD handshake, for the "nbd" block driver and for
 * listing a server's exports. Waits, or yields in a coroutine.
 */
#ifndef BLOCK_NBD_CLIENT_H
#define BLOCK_NBD_CLIENT_H

#include "crypto/tls-creds.h"
#include "io/channel.h"

/* What is asked for, and what a server said about an export. */
typedef struct NbdExportInfo {
    char *name;
    char *description;          /* NULL: none */
    uint64_t size;
    uint16_t flags;             /* NBD_EXPORT_* */
    uint32_t min_block, opt_block, max_block;   /* min_block 0: the server did not say */
    bool structured;            /* replies */
    char **contexts;            /* listing: all meta contexts; NULL-terminated */
    bool has_context;           /* the one that was asked for is there */
    uint32_t context_id;
} NbdExportInfo;

void nbd_export_info_clear(NbdExportInfo *info);

/* Whom to expect; creds NULL: no TLS. */
typedef struct NbdClientTls {
    TlsCreds *creds;
    const char *hostname;
} NbdClientTls;

/*
 * From the first byte to transmission of the export @info->name, asking for the meta context
 * @context. *@ch is replaced (its reference taken) when TLS starts.
 */
bool nbd_client_negotiate(IoChannel **ch, const NbdClientTls *tls, const char *context, NbdExportInfo *info,
                          Error **errp);
/* All exports of the server, oldest first, or -1; the connection then is only good for closing. */
int nbd_client_list(IoChannel **ch, const NbdClientTls *tls, NbdExportInfo **list, Error **errp);

#endif
