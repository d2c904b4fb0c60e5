/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exports: block nodes that others reach through this process. Each kind is a
 * BlockExportOps; "nbd" is in block/export/nbd-*.c.
 *
 * Main thread; what serves requests runs on the export's loop.
 */
#ifndef BLOCK_EXPORT_H
#define BLOCK_EXPORT_H

#include "block/block-backend.h"
#include "crypto/tls-creds.h"
#include "io/channel.h"
#include "qapi-types.h"

typedef struct BlockExport BlockExport;

typedef struct BlockExportOps {
    BlockExportType type;
    size_t instance_size;       /* with a BlockExport first */
    /* @exp->blk has the node. */
    bool (*create)(BlockExport *exp, const BlockExportOptions *options, Error **errp);
    /* Begin to let clients go; references that they hold go later. */
    void (*request_shutdown)(BlockExport *exp);
    /* Is somebody connected? */
    bool (*in_use)(BlockExport *exp);
    /* The last reference has gone. */
    void (*finalize)(BlockExport *exp);
} BlockExportOps;

struct BlockExport {
    const BlockExportOps *ops;
    char *id;
    BlockBackend *blk;
    unsigned refs;
    bool user_owned;            /* management's reference is there: block-export-del may take it */
    BlockExport *next;
};

/* One reference is management's. */
BlockExport *block_export_add(const BlockExportOptions *options, Error **errp);
BlockExport *block_export_find(const char *id);
void block_export_ref(BlockExport *exp);
void block_export_unref(BlockExport *exp);
/* Throw everybody out and drop management's reference. */
void block_export_request_shutdown(BlockExport *exp);
/* The same for all (of one kind; BLOCK_EXPORT_TYPE__MAX: every kind), waiting until they are gone. */
void block_export_close_all(BlockExportType type);
/* All exports and management's NBD server; the program ends. */
void block_export_shutdown(void);

/* ---- NBD server ---- */

typedef struct NbdServer NbdServer;

typedef struct NbdServerOptions {
    TlsCreds *creds;            /* borrowed; NULL: no TLS */
    const char *authz;          /* object that TLS clients must satisfy, or NULL */
    uint32_t max_connections;   /* 0: any number */
    /* A connection has ended; @count are left. @negotiated: it got as far as an export. May be NULL. */
    void (*closed)(void *opaque, unsigned count, bool negotiated);
    void *opaque;
} NbdServerOptions;

/* Serve all NBD exports to whoever connects to @listener (taken over; NULL: to nobody but added clients). */
NbdServer *nbd_server_new(IoListener *listener, const NbdServerOptions *options);
/* Serve one more connection. */
void nbd_server_add_client(NbdServer *server, IoChannel *ch);
unsigned nbd_server_client_count(const NbdServer *server);
/* Stop listening, throw everybody out, wait until they are gone. */
void nbd_server_free(NbdServer *server);
/* Management's server, which nbd-server-stop ends. */
bool nbd_server_start(const NbdServerConfig *config, Error **errp);
/* NBD exports need a server; a program with one of its own (qemu-nbd) says so. */
void nbd_server_set_default(NbdServer *server);

#endif
