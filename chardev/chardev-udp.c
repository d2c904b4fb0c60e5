/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "udp": each write is a datagram to one peer; datagrams from it are input.
 *
 * Thread: handlers on the device's loop, write from any thread.
 * Trust: datagrams are anybody's who can send from the peer's address. One that
 * nobody can take yet stops reading; the kernel drops the rest.
 */
#include "util/osdep.h"
#include <netdb.h>
#include <sys/socket.h>
#include "chardev/chardev-internal.h"
#include "qapi-types.h"

#define DATAGRAM_MAX 65536

typedef struct UdpChardev {
    Chardev parent;
    int fd;
    uint8_t *buffer;            /* the datagram that is being delivered */
    size_t pos, len;
} UdpChardev;

static UdpChardev *udp_chardev(Chardev *chr)
{
    return (UdpChardev *)chr;
}

static void deliver(UdpChardev *s)
{
    while (s->pos < s->len) {
        size_t n = MIN(chardev_can_receive(&s->parent), s->len - s->pos);

        if (n == 0) {
            return;
        }
        s->pos += n;
        chardev_receive(&s->parent, s->buffer + s->pos - n, n);
    }
}

static void on_readable(void *opaque)
{
    Chardev *chr = opaque;
    UdpChardev *s = udp_chardev(chr);
    ssize_t n = TEMP_FAILURE_RETRY(recv(s->fd, s->buffer, DATAGRAM_MAX, MSG_DONTWAIT));

    /* An error is one of an earlier datagram: nobody listens there. */
    if (n > 0) {
        s->pos = 0;
        s->len = (size_t)n;
        object_ref(chr);
        deliver(s);
        chardev_update_watch(chr);
        object_unref(chr);
    }
}

static void udp_watch(Chardev *chr)
{
    UdpChardev *s = udp_chardev(chr);

    deliver(s);
    event_loop_set_fd(chr->loop, s->fd, s->pos == s->len && chardev_can_receive(chr) > 0 ? on_readable : NULL, NULL,
                      chr);
}

static void udp_unwatch(Chardev *chr)
{
    event_loop_set_fd(chr->loop, udp_chardev(chr)->fd, NULL, NULL, NULL);
}

/* What cannot be sent is lost, as on any wire. */
static ssize_t udp_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    TEMP_FAILURE_RETRY(send(udp_chardev(chr)->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL));
    return (ssize_t)len;
}

static int family_of(const InetSocketAddress *a)
{
    bool v4 = !a->has_ipv4 || a->ipv4, v6 = !a->has_ipv6 || a->ipv6;

    if ((a->has_ipv4 && a->ipv4 && !a->has_ipv6) || !v6) {
        return AF_INET;
    }
    return (a->has_ipv6 && a->ipv6 && !a->has_ipv4) || !v4 ? AF_INET6 : AF_UNSPEC;
}

static struct addrinfo *resolve(const char *host, const char *port, int family, int flags, Error **errp)
{
    struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_DGRAM, .ai_flags = flags }, *list;
    int ret = getaddrinfo(host && *host ? host : NULL, port, &hints, &list);

    if (ret) {
        error_setg(errp, "address resolution failed for %s:%s: %s", host ? host : "", port, gai_strerror(ret));
        return NULL;
    }
    return list;
}

/* A socket from @local (NULL: any) to @remote. */
static int open_socket(const InetSocketAddress *remote, const InetSocketAddress *local, Error **errp)
{
    const char *host = remote->host && *remote->host ? remote->host : "localhost";
    struct addrinfo *to = resolve(host, remote->port, family_of(remote), 0, errp), *from = NULL;
    int one = 1, fd = -1;

    if (to == NULL) {
        return -1;
    }
    from = resolve(local ? local->host : NULL, local && local->port && *local->port ? local->port : "0",
                   to->ai_family, AI_PASSIVE, errp);
    if (from == NULL) {
        goto out;
    }
    fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        error_setg_errno(errp, errno, "Failed to create socket");
        goto out;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, from->ai_addr, from->ai_addrlen) < 0) {
        error_setg_errno(errp, errno, "Failed to bind socket");
    } else if (connect(fd, to->ai_addr, to->ai_addrlen) < 0) {
        error_setg_errno(errp, errno, "Failed to connect to '%s:%s'", host, remote->port);
    } else {
        goto out;
    }
    close(fd);
    fd = -1;
out:
    freeaddrinfo(to);
    if (from != NULL) {
        freeaddrinfo(from);
    }
    return fd;
}

static bool udp_open(Chardev *chr, const ChardevBackend *backend, Error **errp)
{
    UdpChardev *s = udp_chardev(chr);
    const ChardevUdp *o = backend->u.udp.data;
    const InetSocketAddress *local = NULL;

    if (o->remote->type != SOCKET_ADDRESS_TYPE_INET || (o->local && o->local->type != SOCKET_ADDRESS_TYPE_INET)) {
        error_setg(errp, "chardev: udp: addresses of type inet are needed");
        return false;
    }
    if (o->local) {
        local = o->local->u.inet.data;
    }
    s->fd = open_socket(o->remote->u.inet.data, local, errp);
    if (s->fd < 0) {
        return false;
    }
    s->buffer = g_malloc(DATAGRAM_MAX);
    chardev_emit(chr, CHARDEV_OPENED);
    return true;
}

static void udp_close(Chardev *chr)
{
    UdpChardev *s = udp_chardev(chr);

    udp_unwatch(chr);
    close(s->fd);
    s->fd = -1;
}

static void udp_finalize(Object *obj)
{
    g_free(((UdpChardev *)obj)->buffer);
}

static const ChardevOps udp_ops = {
    .open = udp_open, .close = udp_close, .write = udp_write, .watch = udp_watch, .unwatch = udp_unwatch,
};

OBJECT_TYPE_STATIC(chardev_udp_type) = {
    .name = "chardev-udp", .parent = &chardev_type,
    .instance_size = sizeof(UdpChardev),
    .instance_finalize = udp_finalize,
    .impls = TYPE_IMPLS({ &chardev_type, &udp_ops }),
};
