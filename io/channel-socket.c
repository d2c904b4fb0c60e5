/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Socket channels, with descriptor passing on unix sockets, listeners, and
 * connecting on a helper thread.
 *
 * Thread: see include/io/channel.h.
 * Trust: a peer may send any number of descriptors with any byte; at most
 * FDS_MAX are taken, all close-on-exec.
 */
#include "util/osdep.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "io/channel-internal.h"
#include "util/thread.h"

#define FDS_MAX 16

typedef struct SocketChannel {
    IoChannel ch;
    int fd;
} SocketChannel;

static void take_fds(struct msghdr *msg, int **fds, size_t *nfds)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t n;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(sizeof(int))) {
            continue;
        }
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        *fds = g_renew(int, *fds, *nfds + n);
        memcpy(*fds + *nfds, CMSG_DATA(c), n * sizeof(int));
        *nfds += n;
    }
}

static ssize_t socket_readv(IoChannel *ch, const struct iovec *iov, unsigned cnt, int **fds, size_t *nfds,
                            Error **errp)
{
    SocketChannel *s = container_of(ch, SocketChannel, ch);
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    } control;
    struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = MIN(cnt, IOV_MAX) };
    ssize_t n;

    if (fds) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
    }
    n = TEMP_FAILURE_RETRY(recvmsg(s->fd, &msg, MSG_CMSG_CLOEXEC));
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return IO_CHANNEL_BLOCK;
    }
    if (n < 0) {
        error_setg_errno(errp, errno, "Unable to read from socket");
        return IO_CHANNEL_ERR;
    }
    if (fds) {
        take_fds(&msg, fds, nfds);
    }
    return n;
}

static ssize_t socket_writev(IoChannel *ch, const struct iovec *iov, unsigned cnt, const int *fds, size_t nfds,
                             Error **errp)
{
    SocketChannel *s = container_of(ch, SocketChannel, ch);
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    } control = { 0 };
    struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = MIN(cnt, IOV_MAX) };
    ssize_t n;

    if (nfds > FDS_MAX) {
        error_setg(errp, "Only %d file descriptors can be passed at once", FDS_MAX);
        return IO_CHANNEL_ERR;
    }
    if (nfds) {
        struct cmsghdr *c;

        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
    }
    n = TEMP_FAILURE_RETRY(sendmsg(s->fd, &msg, MSG_NOSIGNAL));
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return IO_CHANNEL_BLOCK;
    }
    if (n < 0) {
        error_setg_errno(errp, errno, "Unable to write to socket");
        return IO_CHANNEL_ERR;
    }
    return n;
}

static bool socket_set_blocking(IoChannel *ch, bool blocking, Error **errp)
{
    SocketChannel *s = container_of(ch, SocketChannel, ch);
    int flags = fcntl(s->fd, F_GETFL);

    if (flags < 0 || fcntl(s->fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) < 0) {
        error_setg_errno(errp, errno, "Unable to set the blocking mode of a socket");
        return false;
    }
    return true;
}

static bool socket_shutdown(IoChannel *ch, bool read, bool write, Error **errp)
{
    SocketChannel *s = container_of(ch, SocketChannel, ch);

    if (shutdown(s->fd, read && write ? SHUT_RDWR : read ? SHUT_RD : SHUT_WR) < 0) {
        error_setg_errno(errp, errno, "Unable to shut down a socket");
        return false;
    }
    return true;
}

static void socket_set_handlers(IoChannel *ch, EventLoop *loop, EventFdHandler *on_read, EventFdHandler *on_write,
                                void *opaque)
{
    SocketChannel *s = container_of(ch, SocketChannel, ch);

    if (s->fd >= 0) {
        event_loop_set_fd(loop, s->fd, on_read, on_write, opaque);
    }
}

static int socket_poll_fd(IoChannel *ch, bool for_write)
{
    return container_of(ch, SocketChannel, ch)->fd;
}

static bool socket_close(IoChannel *ch, Error **errp)
{
    SocketChannel *s = container_of(ch, SocketChannel, ch);
    int fd = s->fd;

    s->fd = -1;
    if (fd >= 0 && close(fd) < 0) {
        error_setg_errno(errp, errno, "Unable to close a socket");
        return false;
    }
    return true;
}

static void socket_free(IoChannel *ch)
{
    g_free(container_of(ch, SocketChannel, ch));
}

#define SOCKET_OPS                                                          \
    .name = "socket",                                                       \
    .readv = socket_readv,                                                  \
    .writev = socket_writev,                                                \
    .set_blocking = socket_set_blocking,                                    \
    .shutdown = socket_shutdown,                                            \
    .set_handlers = socket_set_handlers,                                    \
    .poll_fd = socket_poll_fd,                                              \
    .close = socket_close,                                                  \
    .free = socket_free

static const IoChannelOps socket_ops = { SOCKET_OPS };
static const IoChannelOps unix_socket_ops = { SOCKET_OPS, .can_pass_fds = true };

IoChannel *io_channel_new_socket(int fd, const char *name)
{
    SocketChannel *s = g_new0(SocketChannel, 1);
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    bool is_unix = getsockname(fd, (struct sockaddr *)&addr, &len) == 0 && addr.ss_family == AF_UNIX;

    io_channel_init(&s->ch, is_unix ? &unix_socket_ops : &socket_ops, name);
    s->fd = fd;
    return &s->ch;
}

int io_channel_socket_fd(IoChannel *ch)
{
    while (ch->ops->below) {
        ch = ch->ops->below(ch);
    }
    return ch->ops == &socket_ops || ch->ops == &unix_socket_ops ? container_of(ch, SocketChannel, ch)->fd : -1;
}

IoChannel *io_channel_connect(const SocketAddress *addr, Error **errp)
{
    int fd = socket_connect(addr, errp);
    g_autofree char *name = NULL;

    if (fd < 0) {
        return NULL;
    }
    name = socket_address_format(addr);
    return io_channel_new_socket(fd, name);
}

/* ---- connecting in the background ---- */

struct IoConnect {
    SocketAddress *addr;
    EventLoop *loop;
    IoConnectDone *done;        /* NULL: cancelled */
    void *opaque;
    IoChannel *ch;
    Error *err;
};

static void connect_finished(void *opaque)
{
    struct IoConnect *c = opaque;

    if (c->done) {
        c->done(c->opaque, c->ch, c->err);
    } else {
        io_channel_unref(c->ch);
        error_free(c->err);
    }
    event_loop_unref(c->loop);
    qapi_free_SocketAddress(c->addr);
    g_free(c);
}

static void *connect_thread(void *opaque)
{
    struct IoConnect *c = opaque;

    c->ch = io_channel_connect(c->addr, &c->err);
    event_loop_run_soon(c->loop, connect_finished, c);
    return NULL;
}

struct IoConnect *io_channel_connect_async(const SocketAddress *addr, IoConnectDone *done, void *opaque)
{
    struct IoConnect *c = g_new0(struct IoConnect, 1);
    pthread_t thread;

    c->addr = qapi_clone(&qapi_type_SocketAddress, addr);
    c->loop = event_loop_current();
    event_loop_ref(c->loop);
    c->done = done;
    c->opaque = opaque;
    if (thread_create(&thread, "connect", connect_thread, c, &c->err)) {
        pthread_detach(thread);
    } else {
        event_loop_run_soon(c->loop, connect_finished, c);
    }
    return c;
}

void io_connect_cancel(struct IoConnect *c)
{
    c->done = NULL;
}

/* ---- listeners ---- */

struct IoListener {
    int fd;
    EventLoop *loop;
    IoListenerAccept *accept;
    void *opaque;
    char *unlink_path;          /* of a unix socket that we made */
};

IoListener *io_listener_new(const SocketAddress *addr, int backlog, Error **errp)
{
    int fd = socket_listen(addr, backlog, errp);
    IoListener *l;

    if (fd < 0) {
        return NULL;
    }
    l = g_new0(IoListener, 1);
    l->fd = fd;
    if (addr->type == SOCKET_ADDRESS_TYPE_UNIX && !(addr->u.q_unix.has_abstract && addr->u.q_unix.abstract)) {
        l->unlink_path = g_strdup(addr->u.q_unix.path);
    }
    return l;
}

static IoChannel *accept_one(IoListener *l)
{
    int fd = TEMP_FAILURE_RETRY(accept4(l->fd, NULL, NULL, SOCK_CLOEXEC));

    return fd < 0 ? NULL : io_channel_new_socket(fd, "client");
}

static void listener_readable(void *opaque)
{
    IoListener *l = opaque;
    g_autoptr(IoChannel) ch = NULL;
    struct pollfd p = { .fd = l->fd, .events = POLLIN };

    /* An inherited socket may block, and the client may have left again. */
    if (poll(&p, 1, 0) == 1) {
        ch = accept_one(l);
    }
    if (ch) {
        l->accept(l->opaque, ch);
    }
}

void io_listener_set_handler(IoListener *l, EventLoop *loop, IoListenerAccept *accept, void *opaque)
{
    if (l->loop && (l->loop != loop || !accept)) {
        event_loop_set_fd(l->loop, l->fd, NULL, NULL, NULL);
        l->loop = NULL;
    }
    l->accept = accept;
    l->opaque = opaque;
    if (accept) {
        l->loop = loop;
        event_loop_set_fd(loop, l->fd, listener_readable, NULL, l);
    }
}

IoChannel *io_listener_accept_wait(IoListener *l, Error **errp)
{
    struct pollfd p = { .fd = l->fd, .events = POLLIN };

    for (;;) {
        IoChannel *ch;

        if (TEMP_FAILURE_RETRY(poll(&p, 1, -1)) < 0) {
            error_setg_errno(errp, errno, "Unable to wait for a client");
            return NULL;
        }
        ch = accept_one(l);
        if (ch) {
            return ch;
        }
        if (errno != EAGAIN && errno != ECONNABORTED) {
            error_setg_errno(errp, errno, "Unable to accept a client");
            return NULL;
        }
    }
}

SocketAddress *io_listener_address(IoListener *l, Error **errp)
{
    return socket_address_local(l->fd, errp);
}

void io_listener_free(IoListener *l)
{
    if (!l) {
        return;
    }
    io_listener_set_handler(l, NULL, NULL, NULL);
    close(l->fd);
    if (l->unlink_path) {
        unlink(l->unlink_path);
    }
    g_free(l->unlink_path);
    g_free(l);
}
