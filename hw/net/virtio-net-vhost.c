/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net whose data queues the kernel serves (vhost-net): each pair has a
 * vhost device of its own, connected with the pair's TAP queue. The control
 * queue stays here.
 *
 * Thread: main thread with the machine lock.
 */
#include "util/osdep.h"

#include <linux/vhost.h>
#include <linux/virtio_net.h>
#include <sys/ioctl.h>

#include "hw/net/virtio-net.h"
#include "hw/virtio/vhost.h"

static const NetVhost *pair_vhost(VirtioNetQueue *q)
{
    NetClient *peer = q->nc.peer;

    return peer && peer->ops->vhost ? peer->ops->vhost(peer) : NULL;
}

static bool set_backend(const VhostUnit *u, unsigned index, bool on)
{
    const NetVhost *v = pair_vhost(u->opaque);
    struct vhost_vring_file file = { .index = index, .fd = on && v ? v->backend_fd : -1 };
    struct vhost_vring_state poll = { .index = index, .num = v ? v->poll_us : 0 };

    if (poll.num && on && ioctl(u->fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &poll) < 0) {
        return false;
    }
    return ioctl(u->fd, VHOST_NET_SET_BACKEND, &file) == 0;
}

static void serving(const VhostUnit *u, bool on)
{
    VirtioNetQueue *q = u->opaque;
    NetClient *peer = q->nc.peer;

    virtio_net_return_tx(q);
    if (peer && peer->ops->set_vhost_serving) {
        peer->ops->set_vhost_serving(peer, on);
    }
}

/* The back end checks and makes offload headers, or the kernel puts empty ones before frames that have none. */
static const VhostOps with_header = { .set_backend = set_backend, .serving = serving };
static const VhostOps without_header = {
    .set_backend = set_backend, .serving = serving, .extra_features = BIT(VHOST_NET_F_VIRTIO_NET_HDR),
};

void virtio_net_vhost_init(VirtioNet *n)
{
    g_autofree VhostUnit *units = g_new0(VhostUnit, n->max_pairs);

    for (unsigned i = 0; i < n->max_pairs; i++) {
        const NetVhost *v = pair_vhost(&n->queues[i]);

        if (!v) {
            return;
        }
        units[i] = (VhostUnit) { .fd = v->fd, .first_queue = 2 * i, .n_queues = 2, .opaque = &n->queues[i] };
    }
    n->vhost = vhost_new(&n->vdev, n->peer_hdr ? &with_header : &without_header, units, n->max_pairs);
}

uint64_t virtio_net_vhost_features(VirtioNet *n, uint64_t features)
{
    return n->vhost ? vhost_filter_features(pair_vhost(&n->queues[0])->fd, features) : features;
}

void virtio_net_vhost_link(VirtioNet *n)
{
    NetClient *nc = &n->queues[0].nc;

    if (!n->vhost) {
        return;
    }
    if (!nc->peer) {
        /* The back end goes, and its descriptors. */
        g_clear_pointer(&n->vhost, vhost_free);
        return;
    }
    vhost_block(n->vhost, nc->link_down || nc->peer->link_down);
}
