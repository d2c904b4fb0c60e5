/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening the sockets of -netdev socket, stream and dgram, and what these
 * options mean.
 *
 * Thread: main thread with the machine lock. Connecting waits for the peer.
 */
#include "util/osdep.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "net/socket-internal.h"
#include "qapi-types.h"
#include "util/cutils.h"

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
    s = socket_net_new(id, NET_CLIENT_DRIVER_SOCKET);
    s->dgram_fd = fd;
    memcpy(&s->dest, &dest, sizeof(dest));
    s->dest_len = sizeof(dest);
    socket_net_set_info(s, "%s=%s", o->mcast ? "mcast" : "udp", o->mcast ?: o->udp);
    socket_net_watch_dgram(s);
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
        s = socket_net_new(id, NET_CLIENT_DRIVER_SOCKET);
        s->dgram_fd = fd;
        socket_net_set_info(s, "fd=%s", text);
        socket_net_watch_dgram(s);
        return true;
    }
    ch = io_channel_new_fd(fd, id, errp);
    if (!ch) {
        close(fd);
        return false;
    }
    s = socket_net_new(id, NET_CLIENT_DRIVER_SOCKET);
    if (!socket_net_connected(s, ch, errp)) {
        net_client_del(&s->nc);
        return false;
    }
    return true;
}

static bool open_listen(const char *id, NetClientDriver kind, const SocketAddress *addr, const char *text,
                        Error **errp)
{
    IoListener *listener = io_listener_new(addr, 1, errp);
    SocketNet *s;

    if (!listener) {
        return false;
    }
    s = socket_net_new(id, kind);
    s->listener = listener;
    socket_net_set_info(s, "%s%s", kind == NET_CLIENT_DRIVER_SOCKET ? "listen=" : "", text);
    io_listener_set_handler(listener, event_loop_main(), socket_net_accept, s);
    return true;
}

static bool open_connect(const char *id, NetClientDriver kind, const SocketAddress *addr, Error **errp)
{
    g_autoptr(IoChannel) ch = io_channel_connect(addr, errp);
    SocketNet *s;

    if (!ch) {
        return false;
    }
    s = socket_net_new(id, kind);
    if (!socket_net_connected(s, ch, errp)) {
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
    if (o->listen || o->connect) {
        g_autoptr(SocketAddress) addr = socket_address_parse(o->listen ? o->listen : o->connect, errp);

        return addr && (o->listen ? open_listen(netdev->id, NET_CLIENT_DRIVER_SOCKET, addr, o->listen, errp)
                                  : open_connect(netdev->id, NET_CLIENT_DRIVER_SOCKET, addr, errp));
    }
    return open_dgram(netdev->id, o, errp);
}

/* ---- stream ---- */

bool net_open_stream(const Netdev *netdev, Error **errp)
{
    const NetdevStreamOptions *o = &netdev->u.stream;
    g_autofree char *text = socket_address_format(o->addr);

    return o->has_server && o->server
           ? open_listen(netdev->id, NET_CLIENT_DRIVER_STREAM, o->addr, text, errp)
           : open_connect(netdev->id, NET_CLIENT_DRIVER_STREAM, o->addr, errp);
}

/* ---- dgram ---- */

typedef struct DgramAddress {
    struct sockaddr_storage addr;
    socklen_t len;              /* 0: none */
} DgramAddress;

static bool inet_address(const InetSocketAddress *in, DgramAddress *out, Error **errp)
{
    struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *res;
    int ret = getaddrinfo(*in->host ? in->host : NULL, in->port, &hints, &res);

    if (ret) {
        error_setg(errp, "can't convert socket address %s:%s: %s", in->host, in->port, gai_strerror(ret));
        return false;
    }
    memcpy(&out->addr, res->ai_addr, res->ai_addrlen);
    out->len = res->ai_addrlen;
    freeaddrinfo(res);
    return true;
}

static bool unix_address(const UnixSocketAddress *in, DgramAddress *out, Error **errp)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    if (in->has_abstract && in->abstract) {
        error_setg(errp, "dgram: abstract unix sockets are not possible");
        return false;
    }
    if (g_strlcpy(un.sun_path, in->path, sizeof(un.sun_path)) >= sizeof(un.sun_path)) {
        error_setg(errp, "dgram: the path of a unix socket has at most %zu characters", sizeof(un.sun_path) - 1);
        return false;
    }
    memcpy(&out->addr, &un, sizeof(un));
    out->len = sizeof(un);
    return true;
}

static bool dgram_address(const SocketAddress *in, DgramAddress *out, Error **errp)
{
    switch (in->type) {
    case SOCKET_ADDRESS_TYPE_INET:
        return inet_address(&in->u.inet, out, errp);
    case SOCKET_ADDRESS_TYPE_UNIX:
        return unix_address(&in->u.q_unix, out, errp);
    default:
        error_setg(errp, "only support inet, unix and (local) fd type addresses for dgram");
        return false;
    }
}

static bool is_multicast(const DgramAddress *a)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&a->addr;

    return a->len && in->sin_family == AF_INET && IN_MULTICAST(ntohl(in->sin_addr.s_addr));
}

/* A socket bound to @local, or for a group to that with @local's interface. */
static int bind_addresses(const DgramAddress *local, const DgramAddress *remote, Error **errp)
{
    const DgramAddress *own = is_multicast(remote) ? remote : local;
    int one = 1, fd = socket(own->addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        error_setg_errno(errp, errno, "can't create datagram socket");
        return -1;
    }
    if (own->addr.ss_family == AF_INET) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    } else {
        unlink_type(((const struct sockaddr_un *)&own->addr)->sun_path, S_IFSOCK);
    }
    if (bind(fd, (const struct sockaddr *)&own->addr, own->len) < 0) {
        error_setg_errno(errp, errno, "can't bind datagram socket");
        close(fd);
        return -1;
    }
    if (is_multicast(remote) && !join_group(fd, (const struct sockaddr_in *)&remote->addr,
                                            local->len ? (const struct sockaddr_in *)&local->addr : NULL, errp)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_dgram_socket(const NetdevDgramOptions *o, const DgramAddress *local, const DgramAddress *remote,
                             Error **errp)
{
    if (o->local && o->local->type == SOCKET_ADDRESS_TYPE_FD) {
        return fd_param(o->local->u.fd.str, errp);
    }
    if (!local->len && !is_multicast(remote)) {
        error_setg(errp, "dgram requires local= parameter");
        return -1;
    }
    if (local->len && remote->len && !is_multicast(remote) && local->addr.ss_family != remote->addr.ss_family) {
        error_setg(errp, "remote and local types must be the same");
        return -1;
    }
    return bind_addresses(local, remote, errp);
}

bool net_open_dgram(const Netdev *netdev, Error **errp)
{
    const NetdevDgramOptions *o = &netdev->u.dgram;
    DgramAddress local = { .len = 0 }, remote = { .len = 0 };
    g_autofree char *text = NULL;
    SocketNet *s;
    int fd;

    if ((o->remote && !dgram_address(o->remote, &remote, errp)) ||
        (o->local && o->local->type != SOCKET_ADDRESS_TYPE_FD && !dgram_address(o->local, &local, errp))) {
        return false;
    }
    fd = open_dgram_socket(o, &local, &remote, errp);
    if (fd < 0) {
        return false;
    }
    s = socket_net_new(netdev->id, NET_CLIENT_DRIVER_DGRAM);
    s->dgram_fd = fd;
    memcpy(&s->dest, &remote.addr, sizeof(s->dest));
    s->dest_len = remote.len;
    if (local.len && local.addr.ss_family == AF_UNIX) {
        s->unlink_path = g_strdup(((struct sockaddr_un *)&local.addr)->sun_path);
    }
    text = socket_address_format(o->remote ? o->remote : o->local);
    socket_net_set_info(s, "%s", text);
    socket_net_watch_dgram(s);
    return true;
}
