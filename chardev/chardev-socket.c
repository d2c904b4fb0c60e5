/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "socket": one peer at a time over a stream socket, as a client (perhaps
 * connecting again and again) or as a server.
 *
 * Thread: handlers on the device's loop; connecting and listening on the main
 * thread before the loop changes, later on the device's loop; write from any
 * thread. write_lock guards the channel pointer against the writers.
 * Trust: the peer is untrusted beyond its bytes being input: it may leave at
 * any time, never read, and pass descriptors that nobody asked for.
 */
#include "util/osdep.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include "chardev/chardev-internal.h"
#include "chardev/telnet.h"
#include "io/channel-tls.h"
#include "io/channel-websock.h"
#include "qapi-types.h"
#include "trace-chardev.h"

#define READ_SIZE 4096

typedef struct SocketChardev {
    Chardev parent;
    SocketAddress *addr;
    bool server, nodelay, telnet, websocket;
    const char *protocol;       /* how query-chardev calls TCP */
    TelnetState telnet_state;
    int64_t reconnect_s;
    IoListener *listener;
    IoChannel *ch;              /* NULL: not connected */
    struct IoConnect *connecting;
    TlsCreds *creds;            /* NULL: no TLS */
    char *authz;
    IoChannel *handshaking;     /* TLS or WebSocket, before it is a connection */
    Timer timer;                /* until the next attempt to connect */
    EventLoop *timer_loop;
    bool want_write;            /* under write_lock */
    int *in_fds;                /* came with the input that is being delivered */
    size_t n_in_fds;
    int *out_fds;               /* to go with the next output; under write_lock */
    size_t n_out_fds;
} SocketChardev;

static SocketChardev *socket_chardev(Chardev *chr)
{
    return (SocketChardev *)chr;
}

static void close_fds(int **fds, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        close((*fds)[i]);
    }
    g_clear_pointer(fds, g_free);
    *n = 0;
}

/* ---- what query-chardev shows ---- */

static void update_filename(SocketChardev *s)
{
    Chardev *chr = &s->parent;
    int fd = s->ch != NULL ? io_channel_socket_fd(s->ch) : -1;
    g_autoptr(SocketAddress) local = fd >= 0 ? socket_address_local(fd, NULL) : NULL;
    g_autoptr(SocketAddress) remote = NULL;
    g_autofree char *addr = NULL;
    g_autofree char *peer = NULL;

    if (local != NULL && local->type == SOCKET_ADDRESS_TYPE_INET) {
        remote = socket_address_remote(fd, NULL);
        peer = remote != NULL ? socket_address_format(remote) : NULL;
    } else if (!s->server) {
        /* A client's end of a unix socket has no name. */
        g_clear_pointer(&local, qapi_free_SocketAddress);
    }
    addr = socket_address_format(local != NULL ? local : s->addr);
    if (g_str_has_prefix(addr, "tcp:")) {
        g_autofree char *tcp = g_steal_pointer(&addr);

        addr = g_strconcat(s->protocol, strchr(tcp, ':'), NULL);
    }
    pthread_mutex_lock(&chr->write_lock);
    g_free(chr->filename);
    chr->filename = g_strdup_printf("%s%s%s%s%s", s->ch != NULL ? "" : "disconnected:", addr,
                                    s->server ? ",server=on" : "", peer != NULL ? " <-> " : "",
                                    peer != NULL ? strchr(peer, ':') + 1 : "");
    pthread_mutex_unlock(&chr->write_lock);
}

/* ---- connected and not ---- */

static void set_connected(SocketChardev *s, IoChannel *ch)
{
    int one = 1;

    io_channel_set_blocking(ch, false, NULL);
    if (s->nodelay) {
        /* Fails for what is no TCP; nothing to do about it. */
        setsockopt(io_channel_socket_fd(ch), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    pthread_mutex_lock(&s->parent.write_lock);
    s->ch = io_channel_ref(ch);
    s->want_write = false;
    pthread_mutex_unlock(&s->parent.write_lock);
    update_filename(s);
    if (s->telnet) {
        /* A new connection has room for these few bytes. */
        s->telnet_state.state = TELNET_DATA;
        io_channel_write(ch, telnet_greeting, telnet_greeting_size, NULL);
    }
    chardev_emit(&s->parent, CHARDEV_OPENED);
}

/* @ch with the layers that were asked for on it, before their handshakes. */
static IoChannel *wrap(SocketChardev *s, IoChannel *ch, Error **errp)
{
    const char *host = s->addr->type == SOCKET_ADDRESS_TYPE_INET ? s->addr->u.inet.host : NULL;
    IoChannel *top = io_channel_ref(ch);

    if (s->creds != NULL) {
        top = s->server ? io_channel_new_tls_server(ch, s->creds, s->authz, errp) :
                          io_channel_new_tls_client(ch, s->creds, host, errp);
        io_channel_unref(ch);
    }
    if (top != NULL && s->websocket) {
        ch = top;
        top = io_channel_new_websock_server(ch);
        io_channel_unref(ch);
    }
    return top;
}

static void on_handshake(void *opaque, Error *err);

/* @ch has come, and is a connection now or after its handshake. */
static void begin(SocketChardev *s, IoChannel *ch)
{
    Error *err = NULL;

    if (s->creds == NULL && !s->websocket) {
        set_connected(s, ch);
        return;
    }
    io_channel_set_blocking(ch, false, NULL);
    s->handshaking = wrap(s, ch, &err);
    object_ref(s);
    if (s->handshaking == NULL) {
        on_handshake(s, err);
        return;
    }
    io_channel_handshake_async(s->handshaking, on_handshake, s);
}

/* The same, waiting; at start-up. */
static bool begin_wait(SocketChardev *s, IoChannel *ch, Error **errp)
{
    g_autoptr(IoChannel) top = wrap(s, ch, errp);

    if (top == NULL || !io_channel_handshake(top, errp)) {
        return false;
    }
    set_connected(s, top);
    return true;
}

static void on_accept(void *opaque, IoChannel *ch);
static void on_connected(void *opaque, IoChannel *ch, Error *err);

static void connect_later(SocketChardev *s)
{
    timer_arm_ns(&s->timer, clock_now_ns(CLOCK_TYPE_REALTIME) + s->reconnect_s * 1000000000);
}

static void connect_now(void *opaque)
{
    SocketChardev *s = opaque;

    if (!s->parent.closed && s->ch == NULL && s->connecting == NULL) {
        s->connecting = io_channel_connect_async(s->addr, on_connected, s);
    }
}

static void on_handshake(void *opaque, Error *err)
{
    SocketChardev *s = opaque;
    g_autoptr(IoChannel) ch = g_steal_pointer(&s->handshaking);

    if (err != NULL) {
        trace_chardev_connect_failed(s->parent.label, error_message(err));
        error_free(err);
    }
    if (s->parent.closed || s->ch != NULL) {
        /* nobody waits for it any more */
    } else if (err == NULL) {
        set_connected(s, ch);
    } else {
        chardev_update_watch(&s->parent);       /* the next peer, or try */
    }
    object_unref(s);
}

static void on_connected(void *opaque, IoChannel *ch, Error *err)
{
    SocketChardev *s = opaque;

    s->connecting = NULL;
    if (ch != NULL) {
        begin(s, ch);
        io_channel_unref(ch);
    } else {
        trace_chardev_connect_failed(s->parent.label, error_message(err));
        error_free(err);
        connect_later(s);
    }
}

static void on_accept(void *opaque, IoChannel *ch)
{
    SocketChardev *s = opaque;

    /* One peer at a time; the others wait in the backlog. */
    io_listener_set_handler(s->listener, s->parent.loop, NULL, NULL);
    begin(s, ch);
}

static void socket_disconnect(Chardev *chr)
{
    SocketChardev *s = socket_chardev(chr);
    IoChannel *ch = s->ch;

    if (ch == NULL) {
        return;
    }
    io_channel_set_handlers(ch, chr->loop, NULL, NULL, NULL);
    pthread_mutex_lock(&chr->write_lock);
    s->ch = NULL;
    close_fds(&s->out_fds, &s->n_out_fds);
    pthread_mutex_unlock(&chr->write_lock);
    close_fds(&s->in_fds, &s->n_in_fds);
    io_channel_unref(ch);
    update_filename(s);
    chardev_emit(chr, CHARDEV_CLOSED);
    /* The front end may have moved us to another loop. */
    if (!chr->closed) {
        chardev_update_watch(chr);
    }
}

/* ---- input and output ---- */

static void want_writable(SocketChardev *s)
{
    pthread_mutex_lock(&s->parent.write_lock);
    s->want_write = true;
    pthread_mutex_unlock(&s->parent.write_lock);
}

static void on_readable(void *opaque)
{
    Chardev *chr = opaque;
    SocketChardev *s = socket_chardev(chr);
    uint8_t buf[READ_SIZE];
    size_t room = chardev_can_receive(chr), n_fds = 0;
    struct iovec iov = { .iov_base = buf, .iov_len = MIN(room, sizeof(buf)) };
    int *fds = NULL;
    ssize_t n;

    if (room == 0) {
        chardev_update_watch(chr);
        return;
    }
    n = io_channel_readv(s->ch, &iov, 1, &fds, &n_fds, NULL);
    if (n_fds > 0) {
        /* Nobody took the earlier ones, so nobody will. */
        close_fds(&s->in_fds, &s->n_in_fds);
        s->in_fds = fds;
        s->n_in_fds = n_fds;
    }
    if (n == IO_CHANNEL_BLOCK) {
        if (io_channel_unsent(s->ch)) {     /* an answer of the protocol's own */
            want_writable(s);
            chardev_update_watch(chr);
        }
        return;
    }
    if (n <= 0) {
        socket_disconnect(chr);
        return;
    }
    object_ref(chr);
    if (s->telnet) {
        bool brk;

        n = (ssize_t)telnet_input(&s->telnet_state, buf, (size_t)n, &brk);
        if (brk) {
            chardev_emit(chr, CHARDEV_BREAK);
        }
    }
    if (n > 0) {
        chardev_receive(chr, buf, (size_t)n);
    }
    chardev_update_watch(chr);
    object_unref(chr);
}

static void on_writable(void *opaque)
{
    Chardev *chr = opaque;

    pthread_mutex_lock(&chr->write_lock);
    socket_chardev(chr)->want_write = false;
    pthread_mutex_unlock(&chr->write_lock);
    chardev_update_watch(chr);
    chardev_writable(chr);
}

static void socket_watch(Chardev *chr)
{
    SocketChardev *s = socket_chardev(chr);
    bool wr;

    if (s->timer_loop != chr->loop) {
        timer_init(&s->timer, chr->loop, CLOCK_TYPE_REALTIME, connect_now, s);
        s->timer_loop = chr->loop;
    }
    if (s->ch != NULL) {
        pthread_mutex_lock(&chr->write_lock);
        wr = s->want_write;
        pthread_mutex_unlock(&chr->write_lock);
        io_channel_set_handlers(s->ch, chr->loop, chardev_can_receive(chr) > 0 ? on_readable : NULL,
                                wr ? on_writable : NULL, chr);
    } else if (s->handshaking != NULL) {
        /* its end comes back here */
    } else if (s->listener != NULL) {
        io_listener_set_handler(s->listener, chr->loop, on_accept, s);
    } else if (s->reconnect_s > 0 && s->connecting == NULL && !timer_armed(&s->timer)) {
        connect_later(s);
    }
}

static void socket_unwatch(Chardev *chr)
{
    SocketChardev *s = socket_chardev(chr);

    timer_disarm(&s->timer);
    if (s->ch != NULL) {
        io_channel_set_handlers(s->ch, chr->loop, NULL, NULL, NULL);
    }
    if (s->listener != NULL) {
        io_listener_set_handler(s->listener, chr->loop, NULL, NULL);
    }
}

static void disconnect_later(void *opaque)
{
    Chardev *chr = opaque;

    if (!chr->closed) {
        socket_disconnect(chr);
    }
    object_unref(chr);
}

static ssize_t socket_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    SocketChardev *s = socket_chardev(chr);
    struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
    ssize_t n;

    if (s->ch == NULL) {
        return (ssize_t)len;    /* nobody listens */
    }
    n = io_channel_writev(s->ch, &iov, 1, s->out_fds, s->n_out_fds, NULL);
    if (n == IO_CHANNEL_ERR) {
        /* The peer is gone; its end is noticed on the loop, and until then output vanishes. */
        object_ref(chr);
        event_loop_run_soon(chr->loop, disconnect_later, chr);
        return (ssize_t)len;
    }
    if (n >= 0) {
        close_fds(&s->out_fds, &s->n_out_fds);
    }
    if ((n < (ssize_t)len || io_channel_unsent(s->ch)) && !s->want_write) {
        s->want_write = true;
        chardev_watch_soon(chr);
    }
    if (n == IO_CHANNEL_BLOCK) {
        errno = EAGAIN;
        return -1;
    }
    return n;
}

static int socket_get_fds(Chardev *chr, int *fds, int max)
{
    SocketChardev *s = socket_chardev(chr);
    int n = (int)MIN(s->n_in_fds, (size_t)max);

    if (n > 0) {
        memcpy(fds, s->in_fds, (size_t)n * sizeof(int));
    }
    for (size_t i = (size_t)n; i < s->n_in_fds; i++) {
        close(s->in_fds[i]);
    }
    g_clear_pointer(&s->in_fds, g_free);
    s->n_in_fds = 0;
    return n;
}

static bool socket_set_fds(Chardev *chr, const int *fds, int n)
{
    SocketChardev *s = socket_chardev(chr);

    close_fds(&s->out_fds, &s->n_out_fds);
    if (s->ch == NULL || !io_channel_can_pass_fds(s->ch)) {
        return false;
    }
    s->out_fds = g_new(int, n);
    for (int i = 0; i < n; i++) {
        int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

        if (fd < 0) {
            close_fds(&s->out_fds, &s->n_out_fds);
            return false;
        }
        s->out_fds[s->n_out_fds++] = fd;
    }
    return true;
}

/* ---- opening and closing ---- */

static SocketAddress *flatten_address(const SocketAddressLegacy *legacy)
{
    SocketAddress *a = g_new0(SocketAddress, 1);

    a->type = legacy->type;
    switch (legacy->type) {
    case SOCKET_ADDRESS_TYPE_INET:
        a->u.inet = *legacy->u.inet.data;
        break;
    case SOCKET_ADDRESS_TYPE_UNIX:
        a->u.q_unix = *legacy->u.q_unix.data;
        break;
    case SOCKET_ADDRESS_TYPE_VSOCK:
        a->u.vsock = *legacy->u.vsock.data;
        break;
    default:
        a->u.fd = *legacy->u.fd.data;
        break;
    }
    return a;
}

static bool check_options(const ChardevSocket *o, bool server, Error **errp)
{
    if (o->has_tn3270 && o->tn3270) {
        error_setg(errp, "chardev: socket: 'tn3270' is not available: only s390x consoles speak it");
    } else if (!server && o->has_websocket && o->websocket) {
        error_setg(errp, "Websocket client is not implemented");
    } else if (o->tls_authz != NULL && o->tls_creds == NULL) {
        error_setg(errp, "'tls_authz' option requires 'tls_creds' option");
    } else if (server && o->has_reconnect) {
        error_setg(errp, "'reconnect' option is incompatible with socket in server listen mode");
    } else if (!server && o->has_wait) {
        error_setg(errp, "'wait' option is incompatible with socket in client connect mode");
    } else if (o->has_reconnect && (o->reconnect < 0 || o->reconnect > INT32_MAX)) {
        error_setg(errp, "Parameter 'reconnect' expects a number of seconds from 0 to %d", INT32_MAX);
    } else {
        return true;
    }
    return false;
}

static bool open_server(SocketChardev *s, bool wait, Error **errp)
{
    SocketAddress *bound;
    g_autoptr(IoChannel) ch = NULL;

    s->listener = io_listener_new(s->addr, 1, errp);
    if (s->listener == NULL) {
        return false;
    }
    /* The port may have been chosen by the kernel. */
    bound = io_listener_address(s->listener, NULL);
    if (bound != NULL) {
        qapi_free_SocketAddress(s->addr);
        s->addr = bound;
    }
    update_filename(s);
    if (!wait) {
        return true;
    }
    info_report("QEMU waiting for connection on: %s", s->parent.filename);
    ch = io_listener_accept_wait(s->listener, errp);
    if (ch == NULL) {
        g_clear_pointer(&s->listener, io_listener_free);
        return false;
    }
    return begin_wait(s, ch, errp);
}

static bool socket_open(Chardev *chr, const ChardevBackend *backend, Error **errp)
{
    SocketChardev *s = socket_chardev(chr);
    const ChardevSocket *o = backend->u.socket.data;
    /* The strings of the copied address belong to the option structure until it is cloned. */
    g_autofree SocketAddress *addr = flatten_address(o->addr);
    g_autoptr(IoChannel) ch = NULL;

    s->server = !o->has_server || o->server;
    s->nodelay = o->has_nodelay && o->nodelay;
    s->telnet = s->server && o->has_telnet && o->telnet;
    s->websocket = o->has_websocket && o->websocket;
    if (!check_options(o, s->server, errp)) {
        return false;
    }
    s->reconnect_s = o->has_reconnect ? o->reconnect : 0;
    if (o->tls_creds != NULL) {
        s->creds = tls_creds_get(o->tls_creds, s->server ? Q_CRYPTO_TLS_CREDS_ENDPOINT_SERVER :
                                                           Q_CRYPTO_TLS_CREDS_ENDPOINT_CLIENT, errp);
        if (s->creds == NULL) {
            return false;
        }
        s->authz = g_strdup(o->tls_authz);
    }
    s->protocol = o->has_telnet && o->telnet ? "telnet" : s->websocket ? "websocket" : "tcp";
    s->addr = qapi_clone(&qapi_type_SocketAddress, addr);
    update_filename(s);
    if (s->server) {
        return open_server(s, o->has_wait && o->wait, errp);
    }
    if (s->reconnect_s > 0) {
        connect_now(s);
        return true;
    }
    ch = io_channel_connect(s->addr, errp);
    return ch != NULL && begin_wait(s, ch, errp);
}

static void socket_close(Chardev *chr)
{
    SocketChardev *s = socket_chardev(chr);

    timer_disarm(&s->timer);
    if (s->connecting != NULL) {
        io_connect_cancel(g_steal_pointer(&s->connecting));
    }
    if (s->handshaking != NULL) {
        io_channel_shutdown(s->handshaking, true, true, NULL);
    }
    socket_disconnect(chr);
    g_clear_pointer(&s->listener, io_listener_free);
}

static bool socket_wait_connected(Chardev *chr, Error **errp)
{
    SocketChardev *s = socket_chardev(chr);
    g_autoptr(IoChannel) ch = NULL;

    if (s->ch != NULL) {
        return true;
    }
    if (s->connecting != NULL) {
        io_connect_cancel(g_steal_pointer(&s->connecting));
    }
    timer_disarm(&s->timer);
    if (s->listener != NULL) {
        ch = io_listener_accept_wait(s->listener, errp);
        io_listener_set_handler(s->listener, chr->loop, NULL, NULL);
    } else {
        ch = io_channel_connect(s->addr, errp);
    }
    if (ch == NULL || !begin_wait(s, ch, errp)) {
        chardev_update_watch(chr);
        return false;
    }
    return true;
}

static void socket_finalize(Object *obj)
{
    SocketChardev *s = (SocketChardev *)obj;

    close_fds(&s->in_fds, &s->n_in_fds);
    close_fds(&s->out_fds, &s->n_out_fds);
    qapi_free_SocketAddress(s->addr);
    object_unref(s->creds);
    g_free(s->authz);
}

static const ChardevOps socket_ops = {
    .open = socket_open, .close = socket_close, .write = socket_write,
    .watch = socket_watch, .unwatch = socket_unwatch,
    .get_fds = socket_get_fds, .set_fds = socket_set_fds,
    .wait_connected = socket_wait_connected, .disconnect = socket_disconnect,
};

OBJECT_TYPE_STATIC(chardev_socket_type) = {
    .name = "chardev-socket", .parent = &chardev_type,
    .instance_size = sizeof(SocketChardev),
    .instance_finalize = socket_finalize,
    .impls = TYPE_IMPLS({ &chardev_type, &socket_ops }),
};
