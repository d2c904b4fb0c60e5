/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -netdev socket, stream, dgram: frames to another guest or program over a socket (socket-open.c opens it). A stream carries each
 * frame behind its length (4 bytes, big-endian); a datagram is one frame.
 *
 * Thread: main thread with the machine lock.
 * Trust: the peer is not trusted; a length beyond the largest frame ends the
 * connection.
 */
#include "util/osdep.h"

#include <sys/socket.h>

#include "io/channel.h"
#include "net/net.h"
#include "net/socket-internal.h"
#include "qapi-events.h"
#include "trace-net.h"
#include "util/bswap.h"
#include "util/event-loop.h"
#include "util/iov.h"

#define READ_BATCH 64


static void stream_update_handlers(SocketNet *s);

void socket_net_set_info(SocketNet *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_free(s->nc.info);
    s->nc.info = g_strdup_vprintf(fmt, ap);
    va_end(ap);
}

/* ---- streams ---- */


static void stream_disconnect(SocketNet *s)
{
    if (!s->channel) {
        return;
    }
    io_channel_set_handlers(s->channel, event_loop_main(), NULL, NULL, NULL);
    g_clear_pointer(&s->channel, io_channel_unref);
    s->in_len = s->out_len = s->out_done = 0;
    s->read_blocked = s->write_blocked = false;
    socket_net_set_info(s, "disconnected");
    if (s->sends_events) {
        qapi_event_send_NETDEV_STREAM_DISCONNECTED(s->nc.name);
    }
    if (s->listener) {
        io_listener_set_handler(s->listener, event_loop_main(), socket_net_accept, s);
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
    while (s->in_len >= SOCKET_LENGTH_SIZE) {
        uint32_t len = load_be32(s->in);
        ssize_t sent;

        if (len > SOCKET_FRAME_MAX) {
            trace_socket_net_oversize(s->nc.name, len);
            stream_disconnect(s);
            return false;
        }
        if (s->in_len < SOCKET_LENGTH_SIZE + len) {
            break;
        }
        sent = net_send(&s->nc, s->in + SOCKET_LENGTH_SIZE, len, stream_sent);
        consume_input(s, SOCKET_LENGTH_SIZE + len);
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

    if (!s->channel || len > SOCKET_FRAME_MAX) {
        return len;
    }
    if (s->out_len) {
        return 0;
    }
    store_be32(s->out, len);
    iov_to_buf(iov, cnt, 0, s->out + SOCKET_LENGTH_SIZE, len);
    s->out_len = SOCKET_LENGTH_SIZE + len;
    stream_drain(s);
    return len;
}

bool socket_net_connected(SocketNet *s, IoChannel *ch, Error **errp)
{
    if (!io_channel_set_blocking(ch, false, errp)) {
        return false;
    }
    s->channel = io_channel_ref(ch);
    socket_net_set_info(s, "connected");
    if (s->sends_events) {
        g_autoptr(SocketAddress) addr = socket_address_remote(io_channel_socket_fd(ch), NULL);

        if (addr) {
            qapi_event_send_NETDEV_STREAM_CONNECTED(s->nc.name, addr);
        }
    }
    stream_update_handlers(s);
    return true;
}

void socket_net_accept(void *opaque, IoChannel *ch)
{
    SocketNet *s = opaque;

    /* One peer at a time; the next one waits in the backlog. */
    if (socket_net_connected(s, ch, NULL)) {
        io_listener_set_handler(s->listener, event_loop_main(), NULL, NULL);
    }
}

/* ---- datagrams ---- */

static void dgram_sent(NetClient *nc, ssize_t len)
{
    SocketNet *s = container_of(nc, SocketNet, nc);

    s->read_blocked = false;
    socket_net_watch_dgram(s);
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
            socket_net_watch_dgram(s);
            return;
        }
    }
}

static void dgram_writable(void *opaque)
{
    SocketNet *s = opaque;

    s->write_blocked = false;
    socket_net_watch_dgram(s);
    net_flush_queued(&s->nc);
}

void socket_net_watch_dgram(SocketNet *s)
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
        socket_net_watch_dgram(s);
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
    if (s->unlink_path) {
        unlink(s->unlink_path);
        g_free(s->unlink_path);
    }
    g_free(s);
}

#define SOCKET_OPS(k) { .kind = (k), .receive = socket_receive, .cleanup = socket_cleanup }

/* What the kind is called makes all the difference. */
static const NetClientOps socket_ops = SOCKET_OPS("socket"), stream_ops = SOCKET_OPS("stream"),
                          dgram_ops = SOCKET_OPS("dgram");

SocketNet *socket_net_new(const char *id, NetClientDriver kind)
{
    SocketNet *s = g_new0(SocketNet, 1);

    s->dgram_fd = -1;
    s->sends_events = kind == NET_CLIENT_DRIVER_STREAM;
    net_client_init(&s->nc, kind == NET_CLIENT_DRIVER_STREAM ? &stream_ops
                            : kind == NET_CLIENT_DRIVER_DGRAM ? &dgram_ops : &socket_ops, id,
                    NetClientDriver_str(kind), 0);
    return s;
}
