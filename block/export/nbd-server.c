/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NBD servers: listening, one coroutine for each client from the first byte to
 * the last; and nbd-server-start, -add, -remove, -stop.
 *
 * Thread: main; clients in transmission run on their export's loop and come
 * back to end.
 */
#include "util/osdep.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include "block/block-int.h"
#include "block/export/export-internal.h"
#include "qapi-commands.h"
#include "trace-block-export.h"

#define LISTEN_BACKLOG 128

struct NbdServer {
    IoListener *listener;       /* NULL: not listening any more */
    NbdServerOptions options;
    char *authz;
    NbdClient *clients;
    unsigned count;
    bool paused;                /* full */
};

NbdServerOptions *nbd_server_options(NbdServer *s)
{
    return &s->options;
}

unsigned nbd_server_client_count(const NbdServer *s)
{
    return s->count;
}

/* ---- clients ---- */

void nbd_client_shutdown(NbdClient *c)
{
    io_channel_shutdown(c->sock, true, true, NULL);
}

static void accept_client(void *opaque, IoChannel *ch)
{
    nbd_server_add_client(opaque, ch);
}

/* Listen while there is room for one more. */
static void update_listener(NbdServer *s)
{
    bool full = s->options.max_connections && s->count >= s->options.max_connections;

    if (s->listener && full != s->paused) {
        s->paused = full;
        io_listener_set_handler(s->listener, event_loop_main(), full ? NULL : accept_client, s);
    }
}

static void leave_export(NbdClient *c)
{
    NbdClient **link = &c->exp->clients;

    while (*link != c) {
        link = &(*link)->next_of_export;
    }
    *link = c->next_of_export;
    blk_pin_loop(c->exp->common.blk, false);
    block_export_unref(&c->exp->common);
    c->exp = NULL;
}

/* On the main thread, outside coroutines: the client's coroutine is at its end. */
static void client_ended(void *opaque)
{
    NbdClient *c = opaque, **link;
    NbdServer *s = c->server;
    bool negotiated = c->exp != NULL;

    trace_nbd_client_closed(c, negotiated);
    for (link = &s->clients; *link != c; link = &(*link)->next) {
    }
    *link = c->next;
    s->count--;
    if (c->exp) {
        leave_export(c);
    }
    io_channel_unref(c->ch);
    io_channel_unref(c->sock);
    g_free(c->contexts.bitmaps);
    g_free(c);
    update_listener(s);
    if (s->options.closed) {
        s->options.closed(s->options.opaque, s->count, negotiated);
    }
    block_wait_kick();
}

static void coroutine_fn client_coroutine(void *opaque)
{
    NbdClient *c = opaque;
    Error *err = NULL;

    if (nbd_negotiate(c, &err)) {
        EventLoop *loop = blk_loop(c->exp->common.blk);

        c->next_of_export = c->exp->clients;
        c->exp->clients = c;
        blk_pin_loop(c->exp->common.blk, true);
        trace_nbd_client_serving(c, c->exp->name);
        if (!event_loop_is_current(loop)) {
            coroutine_move(loop);
        }
        nbd_serve(c);
    } else if (err) {
        trace_nbd_client_failed(c, error_message(err));
    }
    error_free(err);
    event_loop_run_soon(event_loop_main(), client_ended, c);
}

void nbd_server_add_client(NbdServer *s, IoChannel *ch)
{
    NbdClient *c = g_new0(NbdClient, 1);
    int fd = io_channel_socket_fd(ch), on = 1;

    /* Without effect on unix sockets. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    io_channel_set_blocking(ch, false, NULL);
    c->server = s;
    c->sock = io_channel_ref(ch);
    c->ch = io_channel_ref(ch);
    co_mutex_init(&c->send_lock);
    c->next = s->clients;
    s->clients = c;
    s->count++;
    update_listener(s);
    trace_nbd_client_new(c);
    coroutine_enter(coroutine_create(client_coroutine, c));
}

/* ---- servers ---- */

NbdServer *nbd_server_new(IoListener *listener, const NbdServerOptions *options)
{
    NbdServer *s = g_new0(NbdServer, 1);

    s->listener = listener;
    s->options = *options;
    s->authz = g_strdup(options->authz);
    s->options.authz = s->authz;
    if (options->creds) {
        object_ref(options->creds);
    }
    s->paused = true;
    update_listener(s);
    return s;
}

static bool no_clients(void *opaque)
{
    return !((NbdServer *)opaque)->clients;
}

void nbd_server_free(NbdServer *s)
{
    io_listener_free(s->listener);
    s->listener = NULL;
    for (NbdClient *c = s->clients; c; c = c->next) {
        nbd_client_shutdown(c);
    }
    block_wait(no_clients, s);
    object_unref(s->options.creds);
    g_free(s->authz);
    g_free(s);
}

/* ---- QMP ---- */

static NbdServer *qmp_server;

void block_export_shutdown(void)
{
    block_export_close_all(BLOCK_EXPORT_TYPE__MAX);
    if (qmp_server) {
        nbd_server_free(qmp_server);
        qmp_server = NULL;
        nbd_server_set_default(NULL);
    }
}

/* An address whose members are in a "data" member, without that. */
static SocketAddress *flatten(const SocketAddressLegacy *addr)
{
    SocketAddress *a = g_new0(SocketAddress, 1);

    a->type = addr->type;
    switch (addr->type) {
    case SOCKET_ADDRESS_TYPE_INET: {
        InetSocketAddress *inet = qapi_clone(&qapi_type_InetSocketAddress, addr->u.inet.data);

        a->u.inet = *inet;
        g_free(inet);
        break;
    }
    case SOCKET_ADDRESS_TYPE_UNIX: {
        UnixSocketAddress *un = qapi_clone(&qapi_type_UnixSocketAddress, addr->u.q_unix.data);

        a->u.q_unix = *un;
        g_free(un);
        break;
    }
    case SOCKET_ADDRESS_TYPE_VSOCK: {
        VsockSocketAddress *vs = qapi_clone(&qapi_type_VsockSocketAddress, addr->u.vsock.data);

        a->u.vsock = *vs;
        g_free(vs);
        break;
    }
    default:
        a->u.fd.str = g_strdup(addr->u.fd.data->str);
        break;
    }
    return a;
}

bool nbd_server_start(const NbdServerConfig *config, Error **errp)
{
    NbdServerOptions o = {
        .authz = config->tls_authz,
        .max_connections = config->has_max_connections ? config->max_connections : 0,
    };
    IoListener *listener;

    if (qmp_server) {
        error_setg(errp, "NBD server already running");
        return false;
    }
    listener = io_listener_new(config->addr, LISTEN_BACKLOG, errp);
    if (!listener) {
        return false;
    }
    if (config->tls_creds) {
        o.creds = tls_creds_get(config->tls_creds, Q_CRYPTO_TLS_CREDS_ENDPOINT_SERVER, errp);
        if (!o.creds) {
            io_listener_free(listener);
            return false;
        }
    }
    qmp_server = nbd_server_new(listener, &o);
    object_unref(o.creds);
    nbd_server_set_default(qmp_server);
    return true;
}

bool qmp_nbd_server_start(const QmpNbdServerStartArgs *args, Error **errp)
{
    g_autoptr(SocketAddress) addr = flatten(args->addr);
    NbdServerConfig config = {
        .addr = addr,
        .tls_creds = args->tls_creds,
        .tls_authz = args->tls_authz,
        .has_max_connections = args->has_max_connections,
        .max_connections = args->max_connections,
    };

    return nbd_server_start(&config, errp);
}

bool qmp_nbd_server_stop(Error **errp)
{
    if (!qmp_server) {
        error_setg(errp, "NBD server not running");
        return false;
    }
    nbd_server_set_default(NULL);
    block_export_close_all(BLOCK_EXPORT_TYPE_NBD);
    nbd_server_free(qmp_server);
    qmp_server = NULL;
    return true;
}

bool qmp_nbd_server_add(const QmpNbdServerAddArgs *args, Error **errp)
{
    const char *name = args->name ? args->name : args->device;
    BlockNode *bn;
    BlockDirtyBitmapOrStr bitmap = { .type = QAPI_ALT_STR, .u.local = args->bitmap };
    BlockDirtyBitmapOrStrList bitmaps = { .value = &bitmap };
    BlockExportOptions o = {
        .type = BLOCK_EXPORT_TYPE_NBD,
        .id = (char *)name,
        .has_writable = true,
        .u.nbd = {
            .name = (char *)name,
            .description = args->description,
            .bitmaps = args->bitmap ? &bitmaps : NULL,
        },
    };

    if (!qmp_server) {
        error_setg(errp, "NBD server not running");
        return false;
    }
    bn = block_lookup(args->device, args->device, errp);
    if (!bn) {
        return false;
    }
    o.node_name = bn->node_name;
    /* This old command shares a read-only node without complaint. */
    o.writable = args->has_writable && args->writable && !bn->read_only;
    return block_export_add(&o, errp) != NULL;
}

bool qmp_nbd_server_remove(const QmpNbdServerRemoveArgs *args, Error **errp)
{
    BlockExport *exp = block_export_find(args->name);

    if (exp && exp->ops->type != BLOCK_EXPORT_TYPE_NBD) {
        error_setg(errp, "Block export '%s' is not an NBD export", args->name);
        return false;
    }
    return block_export_del(args->name, args->has_mode ? args->mode : BLOCK_EXPORT_REMOVE_MODE_SAFE, errp);
}
