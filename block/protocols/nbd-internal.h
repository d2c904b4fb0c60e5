/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the NBD driver share. */
#ifndef BLOCK_PROTOCOLS_NBD_INTERNAL_H
#define BLOCK_PROTOCOLS_NBD_INTERNAL_H

#include "block/block-int.h"
#include "block/nbd-client.h"
#include "util/coroutine.h"

#define NBD_CLIENT_REQUESTS 16          /* in flight */

/* A request that waits for its reply. */
typedef struct NbdRequest {
    uint16_t type, flags;
    uint64_t offset, len;
    IoVector *v;                /* read: where data go, from v_offset on; write: whence */
    size_t v_offset;
    Coroutine *co;              /* waits; NULL: not yet */
    bool done;
    int ret;                    /* 0 or -errno */
    bool lost;                  /* the connection broke: worth trying again */
    bool filled;                /* read: part of the data has come */
    uint64_t received;          /* read: bytes */
    uint32_t extent_len, extent_flags;  /* block status: the first extent */
    bool have_extent;
    uint64_t cookie;
} NbdRequest;

typedef struct NbdState {
    BlockNode *bn;

    /* options */
    SocketAddress *addr;
    char *export, *tls_hostname, *context;
    TlsCreds *creds;
    uint64_t reconnect_delay_ns, open_timeout_ns;

    NbdExportInfo info;

    /* On the node's loop. */
    IoChannel *sock, *ch;       /* NULL: no connection */
    CoMutex send_lock;
    CoMutex connect_lock;       /* one tries to connect, others wait */
    CoQueue free_slots;
    CoQueue receiver_gone;
    NbdRequest *requests[NBD_CLIENT_REQUESTS];
    unsigned in_flight;
    bool receiving;             /* a coroutine reads replies; it ends when none is awaited */
    uint64_t next_cookie;
    int64_t lost_at_ns;         /* when the connection broke */
    int64_t last_try_ns;
} NbdState;

/* Connect and negotiate within @timeout_ns (0: no limit), again and again if @retry; errors leave no connection. */
bool coroutine_fn nbd_connect(NbdState *s, uint64_t timeout_ns, bool retry, Error **errp);
void nbd_disconnect(NbdState *s);
/* Send, wait, and after a lost connection again. 0 or -errno. */
int coroutine_fn nbd_request(NbdState *s, NbdRequest *r);

#endif
