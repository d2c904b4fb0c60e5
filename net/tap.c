/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -netdev tap: a TAP interface of the host (Linux Documentation/networking/
 * tuntap.rst), opened here or inherited, with several queues and the offload
 * header of virtio-net.
 *
 * Thread: main thread with the machine lock.
 * Trust: frames are opaque; the kernel checks offload headers.
 */
#include "util/osdep.h"

#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "io/channel.h"
#include "net/net.h"
#include "net/tap.h"
#include "trace-net.h"
#include "util/cutils.h"
#include "util/event-loop.h"
#include "util/iov.h"

#define FRAME_MAX (65536 + 64)
/* Of one read round, so that a flood does not keep the main loop. */
#define READ_BATCH 64
#define VNET_HDR_MAX 12
#define DEFAULT_UP_SCRIPT "/etc/qemu-ifup"
#define DEFAULT_DOWN_SCRIPT "/etc/qemu-ifdown"

typedef struct TapNet {
    NetClient nc;
    int fd;
    bool vnet_hdr;              /* the descriptor carries offload headers */
    bool has_ufo;
    bool multi_queue, enabled;
    int tap_hdr_len;            /* of those headers */
    int nic_hdr_len;            /* of the headers that the NIC exchanges with us; 0: none */
    bool read_blocked, write_blocked;
    NetVhost vhost;             /* .fd -1: none */
    bool vhost_serving;         /* the kernel reads and writes the interface */
    char *down_script, *ifname; /* first queue only */
    uint8_t frame[FRAME_MAX];
} TapNet;

static void tap_update_handlers(TapNet *t);

/* ---- data ---- */

static void tap_sent(NetClient *nc, ssize_t len)
{
    TapNet *t = container_of(nc, TapNet, nc);

    t->read_blocked = false;
    tap_update_handlers(t);
}

static void tap_readable(void *opaque)
{
    TapNet *t = opaque;

    for (int i = 0; i < READ_BATCH; i++) {
        ssize_t len = TEMP_FAILURE_RETRY(read(t->fd, t->frame, sizeof(t->frame)));
        int skip = t->vnet_hdr && !t->nic_hdr_len ? t->tap_hdr_len : 0;

        if (len <= skip) {
            return;
        }
        if (net_send(&t->nc, t->frame + skip, len - skip, tap_sent) == 0) {
            t->read_blocked = true;
            tap_update_handlers(t);
            return;
        }
    }
}

static void tap_writable(void *opaque)
{
    TapNet *t = opaque;

    t->write_blocked = false;
    tap_update_handlers(t);
    net_flush_queued(&t->nc);
}

static void tap_update_handlers(TapNet *t)
{
    event_loop_set_fd(event_loop_main(), t->fd, t->read_blocked || t->vhost_serving ? NULL : tap_readable,
                      t->write_blocked ? tap_writable : NULL, t);
}

static ssize_t tap_receive(NetClient *nc, const struct iovec *iov, unsigned cnt)
{
    TapNet *t = container_of(nc, TapNet, nc);
    static const uint8_t no_offload[VNET_HDR_MAX];
    struct iovec with_hdr[IOV_MAX];
    ssize_t ret;

    if (t->vnet_hdr && !t->nic_hdr_len) {
        if (cnt + 1 > IOV_MAX) {
            return -1;
        }
        with_hdr[0].iov_base = (void *)no_offload;
        with_hdr[0].iov_len = t->tap_hdr_len;
        memcpy(&with_hdr[1], iov, cnt * sizeof(*iov));
        iov = with_hdr;
        cnt++;
    }
    ret = TEMP_FAILURE_RETRY(writev(t->fd, iov, MIN(cnt, IOV_MAX)));
    if (ret < 0 && errno == EAGAIN) {
        t->write_blocked = true;
        tap_update_handlers(t);
        return 0;
    }
    /* An interface that is down (EIO) or a frame that it does not like is a loss on the wire. */
    return ret < 0 ? -1 : ret;
}

/* ---- offloads ---- */

static bool tap_has_vnet_hdr(NetClient *nc)
{
    return container_of(nc, TapNet, nc)->vnet_hdr;
}

static bool tap_has_ufo(NetClient *nc)
{
    return container_of(nc, TapNet, nc)->has_ufo;
}

static bool tap_set_vnet_hdr_len(NetClient *nc, int len)
{
    TapNet *t = container_of(nc, TapNet, nc);

    if (!t->vnet_hdr) {
        return len == 0;
    }
    if (len && ioctl(t->fd, TUNSETVNETHDRSZ, &len) < 0) {
        return false;
    }
    if (len) {
        t->tap_hdr_len = len;
    }
    t->nic_hdr_len = len;
    nc->vnet_hdr_len = (unsigned)len;
    return true;
}

static void tap_set_offload(NetClient *nc, bool csum, bool tso4, bool tso6, bool ecn, bool ufo)
{
    TapNet *t = container_of(nc, TapNet, nc);
    unsigned flags = 0;

    if (csum) {
        flags = TUN_F_CSUM | (tso4 ? TUN_F_TSO4 : 0) | (tso6 ? TUN_F_TSO6 : 0) |
                ((tso4 || tso6) && ecn ? TUN_F_TSO_ECN : 0) | (ufo && t->has_ufo ? TUN_F_UFO : 0);
    }
    if (t->vnet_hdr && ioctl(t->fd, TUNSETOFFLOAD, flags) < 0 && flags & TUN_F_UFO) {
        ioctl(t->fd, TUNSETOFFLOAD, flags & ~TUN_F_UFO);
    }
}

static void tap_set_queue_enabled(NetClient *nc, bool enabled)
{
    TapNet *t = container_of(nc, TapNet, nc);
    struct ifreq ifr = { .ifr_flags = enabled ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

    if (t->multi_queue && t->enabled != enabled && ioctl(t->fd, TUNSETQUEUE, &ifr) == 0) {
        t->enabled = enabled;
    }
}

/* ---- service by the kernel ---- */

static const NetVhost *tap_vhost(NetClient *nc)
{
    TapNet *t = container_of(nc, TapNet, nc);

    return t->vhost.fd >= 0 ? &t->vhost : NULL;
}

static void tap_set_vhost_serving(NetClient *nc, bool serving)
{
    TapNet *t = container_of(nc, TapNet, nc);

    if (serving) {
        /* What waited for the NIC is lost, as on a wire. */
        net_purge_queued(nc);
        t->read_blocked = false;
    }
    t->vhost_serving = serving;
    tap_update_handlers(t);
}

/* vhost= wants more than is there: an error with vhostforce=, else the frames pass through this process. */
static bool no_vhost(const NetdevTapOptions *o, Error *err, Error **errp)
{
    if (o->has_vhostforce && o->vhostforce) {
        error_propagate(errp, err);
        return false;
    }
    warn_report_err(err);
    return true;
}

/* Gives @t a vhost-net device: @fd (taken over), or a new one when it is -1. */
static bool tap_add_vhost(TapNet *t, const NetdevTapOptions *o, int fd, Error **errp)
{
    Error *err = NULL;

    if (fd < 0) {
        fd = open_cloexec("/dev/vhost-net", O_RDWR);
        if (fd < 0) {
            error_setg_errno(&err, errno, "tap: open vhost char device failed");
            return no_vhost(o, err, errp);
        }
    }
    if (ioctl(fd, VHOST_SET_OWNER) < 0) {
        error_setg_errno(&err, errno, "vhost-net requested but could not be initialized: vhost_set_owner failed");
        close(fd);
        return no_vhost(o, err, errp);
    }
    t->vhost = (NetVhost) { .fd = fd, .backend_fd = t->fd, .poll_us = o->has_poll_us ? o->poll_us : 0 };
    return true;
}

/* vhost= as it is meant: a descriptor or force alone asks for it, too. */
static bool wants_vhost(const NetdevTapOptions *o)
{
    return o->has_vhost ? o->vhost : o->vhostfd || o->vhostfds || (o->has_vhostforce && o->vhostforce);
}

/* ---- life ---- */

static bool run_script(const char *script, const char *ifname, Error **errp)
{
    char *argv[] = { (char *)script, (char *)ifname, NULL };
    GError *gerr = NULL;
    int status;

    if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL, NULL, &status, &gerr)) {
        error_setg(errp, "could not launch network script %s: %s", script, gerr->message);
        g_error_free(gerr);
        return false;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        error_setg(errp, "network script %s failed with status %d", script, status);
        return false;
    }
    return true;
}

static void tap_cleanup(NetClient *nc)
{
    TapNet *t = container_of(nc, TapNet, nc);

    event_loop_set_fd(event_loop_main(), t->fd, NULL, NULL, NULL);
    if (t->down_script) {
        Error *err = NULL;

        if (!run_script(t->down_script, t->ifname, &err)) {
            warn_report_err(err);
        }
    }
    if (t->vhost.fd >= 0) {
        close(t->vhost.fd);
    }
    close(t->fd);
    g_free(t->down_script);
    g_free(t->ifname);
    g_free(t);
}

static const NetClientOps tap_ops = {
    .kind = "tap",
    .receive = tap_receive,
    .has_vnet_hdr = tap_has_vnet_hdr,
    .has_ufo = tap_has_ufo,
    .set_vnet_hdr_len = tap_set_vnet_hdr_len,
    .set_offload = tap_set_offload,
    .set_queue_enabled = tap_set_queue_enabled,
    .vhost = tap_vhost,
    .set_vhost_serving = tap_set_vhost_serving,
    .cleanup = tap_cleanup,
};

/* Takes over @fd on success. */
static TapNet *tap_new(const char *id, unsigned queue, int fd, bool need_vnet_hdr, Error **errp)
{
    struct ifreq ifr = { 0 };
    TapNet *t;

    if (ioctl(fd, TUNGETIFF, &ifr) < 0) {
        error_setg_errno(errp, errno, "netdev '%s': descriptor %d is no TAP interface", id, fd);
        return NULL;
    }
    if (need_vnet_hdr && !(ifr.ifr_flags & IFF_VNET_HDR)) {
        error_setg(errp, "vnet_hdr=1 requested, but no kernel support for IFF_VNET_HDR available");
        return NULL;
    }
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
        error_setg_errno(errp, errno, "netdev '%s': cannot make descriptor %d non-blocking", id, fd);
        return NULL;
    }
    t = g_new0(TapNet, 1);
    t->fd = fd;
    t->vhost.fd = -1;
    t->enabled = true;
    t->multi_queue = ifr.ifr_flags & IFF_MULTI_QUEUE;
    t->vnet_hdr = ifr.ifr_flags & IFF_VNET_HDR;
    if (t->vnet_hdr) {
        ioctl(fd, TUNGETVNETHDRSZ, &t->tap_hdr_len);
        t->has_ufo = ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_UFO) == 0;
        ioctl(fd, TUNSETOFFLOAD, 0);
    }
    net_client_init(&t->nc, &tap_ops, id, "tap", queue);
    t->nc.info = g_strdup_printf("ifname=%s", ifr.ifr_name);
    trace_tap_open(id, fd, t->vnet_hdr);
    tap_update_handlers(t);
    return t;
}

static int tap_open_interface(char ifname[IFNAMSIZ], bool vnet_hdr, bool multi_queue, Error **errp)
{
    struct ifreq ifr = { 0 };
    unsigned features = 0;
    int fd = open_cloexec("/dev/net/tun", O_RDWR);

    if (fd < 0) {
        error_setg_errno(errp, errno, "could not open /dev/net/tun");
        return -1;
    }
    ioctl(fd, TUNGETFEATURES, &features);
    ifr.ifr_flags = IFF_TAP | IFF_NO_PI | (vnet_hdr ? features & IFF_VNET_HDR : 0) |
                    (multi_queue ? IFF_MULTI_QUEUE : 0);
    g_strlcpy(ifr.ifr_name, *ifname ? ifname : "tap%d", IFNAMSIZ);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
        error_setg_errno(errp, errno, "could not configure /dev/net/tun (%s)", ifr.ifr_name);
        close(fd);
        return -1;
    }
    g_strlcpy(ifname, ifr.ifr_name, IFNAMSIZ);
    return fd;
}

static bool open_inherited(const char *id, const NetdevTapOptions *o, Error **errp)
{
    g_auto(GStrv) fds = g_strsplit(o->fds ?: o->fd, o->fds ? ":" : "\n", -1);
    g_auto(GStrv) vhostfds = g_strsplit(o->vhostfds ?: o->vhostfd ?: "", o->vhostfds ? ":" : "\n", -1);
    unsigned n = g_strv_length(fds), n_vhost = g_strv_length(vhostfds);

    if (o->ifname || o->script || o->downscript || o->has_vnet_hdr || o->helper || o->has_queues ||
        (o->fds ? o->vhostfd : o->vhostfds)) {
        error_setg(errp, "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, and %s are invalid with %s=",
                   o->fds ? "vhostfd=" : "vhostfds=", o->fds ? "fds" : "fd");
        return false;
    }
    if (n == 0 || n > NET_MAX_QUEUES) {
        error_setg(errp, "fds= takes 1 to %d descriptors", NET_MAX_QUEUES);
        return false;
    }
    if (n_vhost && n_vhost != n) {
        error_setg(errp, "The number of fds passed does not match the number of vhostfds passed");
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        int fd = fd_param(fds[i], errp), vhost_fd = -1;
        TapNet *t;

        if (fd < 0) {
            return false;
        }
        t = tap_new(id, i, fd, false, errp);
        if (!t) {
            close(fd);
            return false;
        }
        if (n_vhost) {
            vhost_fd = fd_param(vhostfds[i], errp);
            if (vhost_fd < 0) {
                return false;
            }
        }
        if (wants_vhost(o) && !tap_add_vhost(t, o, vhost_fd, errp)) {
            return false;
        }
    }
    return true;
}

static bool open_by_helper(const char *id, const char *br, const char *helper, const NetdevTapOptions *o, Error **errp)
{
    int fd = tap_open_bridge(br, helper, errp), vhost_fd = -1;
    TapNet *t;

    if (fd < 0) {
        return false;
    }
    t = tap_new(id, 0, fd, false, errp);
    if (!t) {
        close(fd);
        return false;
    }
    if (o && o->vhostfd) {
        vhost_fd = fd_param(o->vhostfd, errp);
        if (vhost_fd < 0) {
            return false;
        }
    }
    return !o || !wants_vhost(o) || tap_add_vhost(t, o, vhost_fd, errp);
}

static bool open_named(const char *id, const NetdevTapOptions *o, Error **errp)
{
    unsigned queues = o->has_queues ? o->queues : 1;
    const char *up = o->script ?: DEFAULT_UP_SCRIPT;
    const char *down = o->downscript ?: DEFAULT_DOWN_SCRIPT;
    char ifname[IFNAMSIZ] = "";

    if (queues < 1 || queues > NET_MAX_QUEUES) {
        error_setg(errp, "queues= takes 1 to %d", NET_MAX_QUEUES);
        return false;
    }
    if (o->ifname && g_strlcpy(ifname, o->ifname, IFNAMSIZ) >= IFNAMSIZ) {
        error_setg(errp, "ifname '%s' is longer than %d characters", o->ifname, IFNAMSIZ - 1);
        return false;
    }
    for (unsigned i = 0; i < queues; i++) {
        int fd = tap_open_interface(ifname, !o->has_vnet_hdr || o->vnet_hdr, queues > 1, errp);
        TapNet *t;

        if (fd < 0) {
            return false;
        }
        if (i == 0 && *up && strcmp(up, "no") && !run_script(up, ifname, errp)) {
            close(fd);
            return false;
        }
        t = tap_new(id, i, fd, o->has_vnet_hdr && o->vnet_hdr, errp);
        if (!t) {
            close(fd);
            return false;
        }
        if (o->has_sndbuf && o->sndbuf && ioctl(fd, TUNSETSNDBUF, &(int){ MIN(o->sndbuf, INT_MAX) }) < 0) {
            error_setg_errno(errp, errno, "TUNSETSNDBUF ioctl failed");
            return false;
        }
        if (i == 0 && *down && strcmp(down, "no")) {
            t->down_script = g_strdup(down);
            t->ifname = g_strdup(ifname);
        }
        if (wants_vhost(o)) {
            int vhost_fd = o->vhostfd ? fd_param(o->vhostfd, errp) : -1;

            if ((o->vhostfd && vhost_fd < 0) || !tap_add_vhost(t, o, vhost_fd, errp)) {
                return false;
            }
        }
    }
    return true;
}

static bool check_options(const char *id, const NetdevTapOptions *o, Error **errp)
{
    if (!wants_vhost(o) && (o->vhostfd || o->vhostfds)) {
        error_setg(errp, "vhostfd(s)= is not valid without vhost");
    } else if (o->fd && o->fds) {
        error_setg(errp, "netdev '%s': fd= and fds= exclude each other", id);
    } else if (o->vhostfds && !o->fds && !o->fd) {
        error_setg(errp, "vhostfds= is invalid if fds= wasn't specified");
    } else if (o->vhostfd && o->has_queues && o->queues > 1) {
        error_setg(errp, "vhostfd= is for one queue, not for queues=%u", o->queues);
    } else if (o->helper && !o->fd && !o->fds &&
               (o->ifname || o->script || o->downscript || o->has_vnet_hdr || o->has_queues)) {
        error_setg(errp, "ifname=, script=, downscript=, vnet_hdr=, queues=, and vhostfds= are invalid with helper=");
    } else {
        return true;
    }
    return false;
}

static bool undo_unless(bool ok, const char *id)
{
    NetClient *nc;

    for (unsigned i = 0; !ok && (nc = net_client_find(id, i)); i++) {
        net_client_del(nc);
    }
    return ok;
}

bool net_open_tap(const Netdev *netdev, Error **errp)
{
    const NetdevTapOptions *o = &netdev->u.tap;

    return check_options(netdev->id, o, errp) &&
           undo_unless(o->fd || o->fds ? open_inherited(netdev->id, o, errp) :
                       o->helper ? open_by_helper(netdev->id, o->br, o->helper, o, errp) :
                                   open_named(netdev->id, o, errp), netdev->id);
}

bool net_open_bridge(const Netdev *netdev, Error **errp)
{
    return undo_unless(open_by_helper(netdev->id, netdev->u.bridge.br, netdev->u.bridge.helper, NULL, errp), netdev->id);
}
