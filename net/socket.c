/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -netdev socket: frames to another guest over a socket. A stream carries each
 * frame behind its length (4 bytes, big-endian); a datagram is one frame.
 *
 * Thread: main thread with the machine lock.
 * Trust: the peer is not trusted; a length beyond the largest frame ends the
 * connection.
 */
#include "util/osdep.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include "io/channel.h"
#include "net/net.h"
#include "trace-net.h"
#include "util/bswap.h"
#include "util/cutils.h"
#include "util/event-loop.h"
#include "util/iov.h"

#define FRAME_MAX (65536 + 64)
#define LENGTH_SIZE 4
#define READ_BATCH 64

typedef struct SocketNet {
    NetClient nc;
    /* Stream: the connection, or NULL while there is none. */
    IoChannel *channel;
    IoListener *listener;
    uint8_t in[LENGTH_SIZE + FRAME_MAX];
    size_t in_len;
    uint8_t out[LENGTH_SIZE + FRAME_MAX];
    size_t out_len, out_done;   /* a frame that the socket took in part */
    /* Datagrams. */
    int dgram_fd;               /* -1: a stream */
    struct sockaddr_storage dest;
    socklen_t dest_len;         /* 0: the socket is connected */
    bool read_blocked, write_blocked;
} SocketNet;

static void stream_update_handlers(SocketNet *s);
static void dgram_update_handlers(SocketNet *s);

static void set_info(SocketNet *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void set_info(SocketNet *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_free(s->nc.info);
    s->nc.info = g_strdup_vprintf(fmt, ap);
    va_end(ap);
}

/* ---- streams ---- */

static void listener_accept(void *opaque, IoChannel *ch);

static void stream_disconnect(SocketNet *s)
{
    if (!s->channel) {
        return;
    }
    io_channel_set_handlers(s->channel, event_loop_main(), NULL, NULL, NULL);
    g_clear_pointer(&s->channel, io_channel_unref);
    s->in_len = s->out_len = s->out_done = 0;
    s->read_blocked = s->write_blocked = false;
    set_info(s, "disconnected");
    if (s->listener) {
        io_listener_set_handler(s->listener, event_loop_main(), listener_accept, s);
    }
    net_flush_queued(&s->nc);
}

/* Hand over whole frames of the input buffer; false when the connection is gone or the NIC is full. */
static bool stream_deliver(SocketNet *s);

static void stream_sent(NetClient *nc, ssize_t len)
{
    SocketNet *s = container_of(nc, SocketNet, nc);

    s->read_blocked = false;
    if (s->channel && stream_deliver(s)) {
        stream_update_handlers(s);
    }
}

static void consume_input(SocketNet *s, size_t len)
{
    s->in_len -= len;
    memmove(s->in, s->in + len, s->in_len);
}

static bool stream_deliver(SocketNet *s)
{
    while (s->in_len >= LENGTH_SIZE) {
        uint32_t len = load_be32(s->in);
        ssize_t sent;

        if (len > FRAME_MAX) {
            trace_socket_net_oversize(s->nc.name, len);
            stream_disconnect(s);
            return false;
        }
        if (s->in_len < LENGTH_SIZE + len) {
            break;
        }
        sent = net_send(&s->nc, s->in + LENGTH_SIZE, len, stream_sent);
        consume_input(s, LENGTH_SIZE + len);
        if (sent == 0 && len) {
            s->read_blocked = true;
            stream_update_handlers(s);
            return false;
        }
    }
    return true;
}

static void stream_readable(void *opaque)
{
    SocketNet *s = opaque;
    ssize_t n = io_channel_read(s->channel, s->in + s->in_len, sizeof(s->in) - s->in_len, NULL);

    if (n == IO_CHANNEL_BLOCK) {
        return;
    }
    if (n <= 0) {
        stream_disconnect(s);
        return;
    }
    s->in_len += n;
    stream_deliver(s);
}

/* Push out what is left of a frame; false while some of it stays. */
static bool stream_drain(SocketNet *s)
{
    while (s->out_done < s->out_len) {
        ssize_t n = io_channel_write(s->channel, s->out + s->out_done, s->out_len - s->out_done, NULL);

        if (n == IO_CHANNEL_BLOCK) {
            s->write_blocked = true;
            stream_update_handlers(s);
            return false;
        }
        if (n <= 0) {
            stream_disconnect(s);
            return true;
        }
        s->out_done += n;
    }
    s->out_len = s->out_done = 0;
    return true;
}

static void stream_writable(void *opaque)
{
    SocketNet *s = opaque;

    s->write_blocked = false;
    if (stream_drain(s) && s->channel) {
        stream_update_handlers(s);
        net_flush_queued(&s->nc);
    }
}

static void stream_update_handlers(SocketNet *s)
{
    io_channel_set_handlers(s->channel, event_loop_main(), s->read_blocked ? NULL : stream_readable,
                            s->write_blocked ? stream_writable : NULL, s);
}

static ssize_t stream_receive(SocketNet *s, const struct iovec *iov, unsigned cnt)
{
    size_t len = iov_size(iov, cnt);

    if (!s->channel || len > FRAME_MAX) {
        return len;
    }
    if (s->out_len) {
        return 0;
    }
    store_be32(s->out, len);
    iov_to_buf(iov, cnt, 0, s->out + LENGTH_SIZE, len);
    s->out_len = LENGTH_SIZE + len;
    stream_drain(s);
    return len;
}

static bool stream_connected(SocketNet *s, IoChannel *ch, Error **errp)
{
    if (!io_channel_set_blocking(ch, false, errp)) {
        return false;
    }
    s->channel = io_channel_ref(ch);
    set_info(s, "connected");
    stream_update_handlers(s);
    return true;
}

static void listener_accept(void *opaque, IoChannel *ch)
{
    SocketNet *s = opaque;

    /* One peer at a time; the next one waits in the backlog. */
    if (stream_connected(s, ch, NULL)) {
        io_listener_set_handler(s->listener, event_loop_main(), NULL, NULL);
    }
}

/* ---- datagrams ---- */

static void dgram_sent(NetClient *nc, ssize_t len)
{
    SocketNet *s = container_of(nc, SocketNet, nc);

    s->read_blocked = false;
    dgram_update_handlers(s);
}

static void dgram_readable(void *opaque)
{
    SocketNet *s = opaque;

    for (int i = 0; i < READ_BATCH; i++) {
        ssize_t n = TEMP_FAILURE_RETRY(recv(s->dgram_fd, s->in, sizeof(s->in), MSG_DONTWAIT));

        if (n <= 0) {
            return;
        }
        if (net_send(&s->nc, s->in, n, dgram_sent) == 0) {
            s->read_blocked = true;
            dgram_update_handlers(s);
            return;
        }
    }
}

static void dgram_writable(void *opaque)
{
    SocketNet *s = opaque;

    s->write_blocked = false;
    dgram_update_handlers(s);
    net_flush_queued(&s->nc);
}

static void dgram_update_handlers(SocketNet *s)
{
    event_loop_set_fd(event_loop_main(), s->dgram_fd, s->read_blocked ? NULL : dgram_readable,
                      s->write_blocked ? dgram_writable : NULL, s);
}

static ssize_t dgram_receive(SocketNet *s, const struct iovec *iov, unsigned cnt)
{
    struct msghdr msg = {
        .msg_iov = (struct iovec *)iov,
        .msg_iovlen = cnt,
        .msg_name = s->dest_len ? &s->dest : NULL,
        .msg_namelen = s->dest_len,
    };
    ssize_t n = TEMP_FAILURE_RETRY(sendmsg(s->dgram_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL));

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        s->write_blocked = true;
        dgram_update_handlers(s);
        return 0;
    }
    /* Nobody listening is a loss on the wire. */
    return n < 0 ? -1 : n;
}

/* ---- the client ---- */

static ssize_t socket_receive(NetClient *nc, const struct iovec *iov, unsigned cnt)
{
    SocketNet *s = container_of(nc, SocketNet, nc);

    return s->dgram_fd >= 0 ? dgram_receive(s, iov, cnt) : stream_receive(s, iov, cnt);
}

static void socket_cleanup(NetClient *nc)
{
    SocketNet *s = container_of(nc, SocketNet, nc);

    if (s->channel) {
        io_channel_set_handlers(s->channel, event_loop_main(), NULL, NULL, NULL);
        io_channel_unref(s->channel);
    }
    if (s->listener) {
        io_listener_free(s->listener);
    }
    if (s->dgram_fd >= 0) {
        event_loop_set_fd(event_loop_main(), s->dgram_fd, NULL, NULL, NULL);
        close(s->dgram_fd);
    }
    g_free(s);
}

static const NetClientOps socket_ops = {
    .kind = "socket",
    .receive = socket_receive,
    .cleanup = socket_cleanup,
};

static SocketNet *socket_new(const char *id)
{
    SocketNet *s = g_new0(SocketNet, 1);

    s->dgram_fd = -1;
    net_client_init(&s->nc, &socket_ops, id, "socket", 0);
    return s;
}

/* ADDRESS:PORT of an IPv4 datagram socket. */
static bool parse_dgram_address(const char *text, struct sockaddr_in *addr, Error **errp)
{
    struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *res;
    const char *colon = strrchr(text, ':');
    g_autofree char *host = colon ? g_strndup(text, colon - text) : NULL;
    int ret;

    if (!colon) {
        error_setg(errp, "address '%s' has no port, expected HOST:PORT", text);
        return false;
    }
    ret = getaddrinfo(*host ? host : "0.0.0.0", colon + 1, &hints, &res);
    if (ret) {
        error_setg(errp, "address resolution failed for %s: %s", text, gai_strerror(ret));
        return false;
    }
    memcpy(addr, res->ai_addr, sizeof(*addr));
    freeaddrinfo(res);
    return true;
}

static bool bind_dgram(int fd, const struct sockaddr_in *local, Error **errp)
{
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
        bind(fd, (const struct sockaddr *)local, sizeof(*local)) < 0) {
        error_setg_errno(errp, errno, "can't bind ip=%s to socket", inet_ntoa(local->sin_addr));
        return false;
    }
    return true;
}

static bool join_group(int fd, const struct sockaddr_in *group, const struct sockaddr_in *source, Error **errp)
{
    struct ip_mreq mreq = { .imr_multiaddr = group->sin_addr };
    uint8_t loop = 1;

    if (!IN_MULTICAST(ntohl(group->sin_addr.s_addr))) {
        error_setg(errp, "specified mcastaddr %s (0x%08x) does not contain a multicast address",
                   inet_ntoa(group->sin_addr), ntohl(group->sin_addr.s_addr));
        return false;
    }
    mreq.imr_interface = source ? source->sin_addr : (struct in_addr){ .s_addr = INADDR_ANY };
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) < 0 ||
        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof(loop)) < 0 ||
        (source && setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &mreq.imr_interface, sizeof(struct in_addr)) < 0)) {
        error_setg_errno(errp, errno, "can't join multicast group %s", inet_ntoa(group->sin_addr));
        return false;
    }
    return true;
}

static bool open_dgram(const char *id, const NetdevSocketOptions *o, Error **errp)
{
    struct sockaddr_in dest, local;
    SocketNet *s;
    int fd;

    if (!parse_dgram_address(o->mcast ?: o->udp, &dest, errp)) {
        return false;
    }
    if (o->udp && !o->localaddr) {
        error_setg(errp, "localaddr= is mandatory with udp=");
        return false;
    }
    if (o->udp && !parse_dgram_address(o->localaddr, &local, errp)) {
        return false;
    }
    if (o->mcast && o->localaddr && inet_pton(AF_INET, o->localaddr, &local.sin_addr) != 1) {
        error_setg(errp, "localaddr '%s' is no IPv4 address", o->localaddr);
        return false;
    }
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error_setg_errno(errp, errno, "can't create datagram socket");
        return false;
    }
    if (!bind_dgram(fd, o->mcast ? &dest : &local, errp) ||
        (o->mcast && !join_group(fd, &dest, o->localaddr ? &local : NULL, errp))) {
        close(fd);
        return false;
    }
    s = socket_new(id);
    s->dgram_fd = fd;
    memcpy(&s->dest, &dest, sizeof(dest));
    s->dest_len = sizeof(dest);
    set_info(s, "%s=%s", o->mcast ? "mcast" : "udp", o->mcast ?: o->udp);
    dgram_update_handlers(s);
    return true;
}

static bool open_fd(const char *id, const char *text, Error **errp)
{
    g_autoptr(IoChannel) ch = NULL;
    int type, fd = fd_param(text, errp);
    socklen_t len = sizeof(type);
    SocketNet *s;

    if (fd < 0) {
        return false;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
        error_setg_errno(errp, errno, "can't get socket option SO_TYPE of fd=%s", text);
        close(fd);
        return false;
    }
    if (type == SOCK_DGRAM) {
        s = socket_new(id);
        s->dgram_fd = fd;
        set_info(s, "fd=%s", text);
        dgram_update_handlers(s);
        return true;
    }
    ch = io_channel_new_fd(fd, id, errp);
    if (!ch) {
        close(fd);
        return false;
    }
    s = socket_new(id);
    if (!stream_connected(s, ch, errp)) {
        net_client_del(&s->nc);
        return false;
    }
    return true;
}

static bool open_listen(const char *id, const char *text, Error **errp)
{
    g_autoptr(SocketAddress) addr = socket_address_parse(text, errp);
    IoListener *listener = addr ? io_listener_new(addr, 1, errp) : NULL;
    SocketNet *s;

    if (!listener) {
        return false;
    }
    s = socket_new(id);
    s->listener = listener;
    set_info(s, "listen=%s", text);
    io_listener_set_handler(listener, event_loop_main(), listener_accept, s);
    return true;
}

static bool open_connect(const char *id, const char *text, Error **errp)
{
    g_autoptr(SocketAddress) addr = socket_address_parse(text, errp);
    g_autoptr(IoChannel) ch = addr ? io_channel_connect(addr, errp) : NULL;
    SocketNet *s;

    if (!ch) {
        return false;
    }
    s = socket_new(id);
    if (!stream_connected(s, ch, errp)) {
        net_client_del(&s->nc);
        return false;
    }
    return true;
}

bool net_open_socket(const Netdev *netdev, Error **errp)
{
    const NetdevSocketOptions *o = &netdev->u.socket;

    if (!!o->fd + !!o->listen + !!o->connect + !!o->mcast + !!o->udp != 1) {
        error_setg(errp, "exactly one of listen=, connect=, mcast=, udp=, and fd= is required");
        return false;
    }
    if (o->localaddr && !o->mcast && !o->udp) {
        error_setg(errp, "localaddr= is only valid with mcast= or udp=");
        return false;
    }
    if (o->fd) {
        return open_fd(netdev->id, o->fd, errp);
    }
    if (o->listen) {
        return open_listen(netdev->id, o->listen, errp);
    }
    if (o->connect) {
        return open_connect(netdev->id, o->connect, errp);
    }
    return open_dgram(netdev->id, o, errp);
}
