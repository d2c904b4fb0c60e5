/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of block/export/ share among themselves. */
#ifndef BLOCK_EXPORT_EXPORT_INTERNAL_H
#define BLOCK_EXPORT_EXPORT_INTERNAL_H

#include "block/dirty-bitmap.h"
#include "block/export.h"
#include "util/coroutine.h"

bool block_export_del(const char *id, BlockExportRemoveMode mode, Error **errp);

extern const BlockExportOps nbd_export_ops;

/* ---- nbd-export.c ---- */

typedef struct NbdExport {
    BlockExport common;
    char *name;
    char *description;          /* or NULL */
    uint64_t size;
    uint16_t flags;             /* NBD_EXPORT_*, without DF */
    bool allocation_depth;
    DirtyBitmap **bitmaps;      /* held busy; their index is what a client's context ids start from */
    size_t bitmap_count;
    uint64_t serial;            /* no other export ever has the same */
    struct NbdClient *clients;  /* in transmission */
    struct NbdExport *next;
} NbdExport;

/* NULL: there is none. */
NbdExport *nbd_export_find(const char *name);
NbdExport *nbd_export_next(NbdExport *exp);     /* NULL: the first */

/* ---- nbd-server.c ---- */

#define NBD_MAX_IN_FLIGHT 16            /* requests of one client */
#define NBD_BASE_ALLOCATION_ID 0
#define NBD_ALLOCATION_DEPTH_ID 1
#define NBD_BITMAP_ID 2                 /* of the first bitmap */

/* Which contexts of one export a client wants to hear about. */
typedef struct NbdContexts {
    uint64_t serial;            /* of the export; 0: none chosen */
    bool base_allocation, allocation_depth;
    bool *bitmaps;              /* by index */
    unsigned count;
} NbdContexts;

typedef struct NbdClient {
    NbdServer *server;
    IoChannel *sock;            /* to shut down from the main thread */
    IoChannel *ch;              /* the same, or TLS on it */
    NbdExport *exp;             /* in transmission: a reference */
    bool no_zeroes, structured;
    NbdContexts contexts;
    struct NbdClient *next;             /* of the server */
    struct NbdClient *next_of_export;

    /* transmission, on the export's loop */
    CoMutex send_lock;
    unsigned in_flight;
    Coroutine *receiver;        /* waits for in_flight to fall */
    bool broken;                /* nothing can be sent any more */
} NbdClient;

/* The client is to go; it does so when its coroutine notices. Main thread. */
void nbd_client_shutdown(NbdClient *c);

/* ---- nbd-negotiate.c ---- */

/* Until the client has chosen an export (@c->exp, referenced); false: it left, or was thrown out. */
bool coroutine_fn nbd_negotiate(NbdClient *c, Error **errp);

/* ---- nbd-request.c ---- */

/* Serve requests until the client leaves or breaks the protocol, and all have been answered. */
void coroutine_fn nbd_serve(NbdClient *c);

NbdServerOptions *nbd_server_options(NbdServer *s);

#endif
