/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control queue and receive filter of virtio-net: virtio 1.2, section 5.1.6.5.
 *
 * Thread: main thread (the queue's loop) with the machine lock.
 * Trust: commands are the guest's; a malformed one is answered with
 * VIRTIO_NET_ERR, lists longer than ours set the overflow flag.
 */
#include "util/osdep.h"

#include <linux/virtio_net.h>

#include "hw/net/virtio-net.h"
#include "qapi-events.h"
#include "trace-hw-net.h"
#include "util/bswap.h"
#include "util/iov.h"

#define ETH_HEADER_LEN 14
#define ETH_TYPE_OFFSET 12
#define ETH_TYPE_VLAN 0x8100

#define OFFLOAD_MASK                                                        \
    (BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | \
     BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_UFO))

/* ---- the filter ---- */

void virtio_net_filter_reset(VirtioNet *n)
{
    memset(&n->filter, 0, sizeof(n->filter));
    n->filter.promisc = true;
    /* Without VLAN filtering all pass. */
    if (!virtio_has_feature(&n->vdev, VIRTIO_NET_F_CTRL_VLAN)) {
        memset(n->filter.vlans, 0xff, sizeof(n->filter.vlans));
    }
}

static bool vlan_passes(const VirtioNetFilter *f, uint16_t vlan)
{
    return f->vlans[vlan / 8] >> (vlan % 8) & 1;
}

static bool table_has(const uint8_t (*table)[6], uint32_t count, const uint8_t *mac)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!memcmp(table[i], mac, 6)) {
            return true;
        }
    }
    return false;
}

bool virtio_net_filter_accepts(const VirtioNet *n, const struct iovec *iov, unsigned cnt, size_t skip)
{
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    const VirtioNetFilter *f = &n->filter;
    uint8_t head[ETH_HEADER_LEN + 2];
    size_t len;

    if (f->promisc) {
        return true;
    }
    len = iov_to_buf(iov, cnt, skip, head, sizeof(head));
    if (len < ETH_HEADER_LEN) {
        return false;
    }
    if (len == sizeof(head) && load_be16(head + ETH_TYPE_OFFSET) == ETH_TYPE_VLAN &&
        !vlan_passes(f, load_be16(head + ETH_HEADER_LEN) & 0xfff)) {
        return false;
    }
    if (head[0] & 1) {
        if (!memcmp(head, broadcast, 6)) {
            return !f->nobcast;
        }
        if (f->nomulti) {
            return false;
        }
        return f->allmulti || f->multi_overflow || table_has(f->multi, f->multi_count, head);
    }
    if (f->nouni) {
        return false;
    }
    return f->alluni || f->uni_overflow || !memcmp(head, n->mac, 6) || table_has(f->uni, f->uni_count, head);
}

/* Tell management once, until it asks. */
static void filter_changed(VirtioNet *n)
{
    g_autofree char *path = NULL;
    const char *id = n->queues[0].nc.name;

    if (!n->filter_event_armed) {
        return;
    }
    n->filter_event_armed = false;
    path = object_path(n);
    qapi_event_send_NIC_RX_FILTER_CHANGED(id, path);
}

static RxState rx_state(bool none, bool all)
{
    return none ? RX_STATE_NONE : all ? RX_STATE_ALL : RX_STATE_NORMAL;
}

static StrList *mac_list(const uint8_t (*table)[6], uint32_t count)
{
    StrList *list = NULL;

    while (count--) {
        StrList *e = g_new0(StrList, 1);

        e->value = net_mac_format(table[count]);
        e->next = list;
        list = e;
    }
    return list;
}

RxFilterInfo *virtio_net_query_rx_filter(NetClient *nc)
{
    VirtioNet *n = container_of(nc, VirtioNetQueue, nc)->n;
    const VirtioNetFilter *f = &n->filter;
    RxFilterInfo *info = g_new0(RxFilterInfo, 1);
    bool filters_vlans = virtio_has_feature(&n->vdev, VIRTIO_NET_F_CTRL_VLAN);

    info->name = g_strdup(nc->name);
    info->promiscuous = f->promisc;
    info->multicast = rx_state(f->nomulti, f->allmulti || f->multi_overflow);
    info->unicast = rx_state(f->nouni, f->alluni || f->uni_overflow);
    info->vlan = filters_vlans ? RX_STATE_NORMAL : RX_STATE_ALL;
    info->broadcast_allowed = !f->nobcast;
    info->multicast_overflow = f->multi_overflow;
    info->unicast_overflow = f->uni_overflow;
    info->main_mac = net_mac_format(n->mac);
    for (int vlan = VIRTIO_NET_VLAN_MAX; filters_vlans && vlan-- > 0;) {
        if (vlan_passes(f, vlan)) {
            IntList *e = g_new0(IntList, 1);

            e->value = vlan;
            e->next = info->vlan_table;
            info->vlan_table = e;
        }
    }
    info->unicast_table = mac_list(f->uni, f->uni_count);
    info->multicast_table = mac_list(f->multi, f->multi_count);
    n->filter_event_armed = true;
    return info;
}

/* ---- commands ---- */

/* The driver-readable part behind the header, read piece by piece. */
typedef struct Command {
    const VirtQueueElement *elem;
    size_t offset;
} Command;

static bool take(Command *c, void *buf, size_t len)
{
    if (iov_to_buf(c->elem->out, c->elem->out_count, c->offset, buf, len) != len) {
        return false;
    }
    c->offset += len;
    return true;
}

static bool at_end(const Command *c)
{
    return c->offset == c->elem->out_size;
}

static bool ctrl_rx_mode(VirtioNet *n, uint8_t cmd, Command *c)
{
    VirtioNetFilter *f = &n->filter;
    bool *const modes[] = {
        [VIRTIO_NET_CTRL_RX_PROMISC] = &f->promisc,
        [VIRTIO_NET_CTRL_RX_ALLMULTI] = &f->allmulti,
        [VIRTIO_NET_CTRL_RX_ALLUNI] = &f->alluni,
        [VIRTIO_NET_CTRL_RX_NOMULTI] = &f->nomulti,
        [VIRTIO_NET_CTRL_RX_NOUNI] = &f->nouni,
        [VIRTIO_NET_CTRL_RX_NOBCAST] = &f->nobcast,
    };
    unsigned feature = cmd <= VIRTIO_NET_CTRL_RX_ALLMULTI ? VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA;
    uint8_t on;

    if (cmd >= ARRAY_SIZE(modes) || !virtio_has_feature(&n->vdev, feature) || !take(c, &on, 1) || !at_end(c)) {
        return false;
    }
    *modes[cmd] = on;
    filter_changed(n);
    return true;
}

/* One counted list of addresses; more than fit only set @overflow. */
static bool take_mac_table(Command *c, uint8_t (*table)[6], uint32_t *count, bool *overflow)
{
    uint8_t le[4];
    uint32_t entries;

    if (!take(c, le, sizeof(le))) {
        return false;
    }
    entries = load_le32(le);
    if (entries > (c->elem->out_size - c->offset) / 6) {
        return false;
    }
    *overflow = entries > VIRTIO_NET_MAC_TABLE_MAX;
    *count = *overflow ? 0 : entries;
    if (*overflow) {
        c->offset += (size_t)entries * 6;
        return true;
    }
    return take(c, table, (size_t)entries * 6);
}

static bool ctrl_mac(VirtioNet *n, uint8_t cmd, Command *c)
{
    VirtioNetFilter f = n->filter;

    switch (cmd) {
    case VIRTIO_NET_CTRL_MAC_ADDR_SET: {
        uint8_t mac[6];

        if (!virtio_has_feature(&n->vdev, VIRTIO_NET_F_CTRL_MAC_ADDR) || !take(c, mac, 6) || !at_end(c)) {
            return false;
        }
        memcpy(n->mac, mac, 6);
        break;
    }
    case VIRTIO_NET_CTRL_MAC_TABLE_SET:
        if (!virtio_has_feature(&n->vdev, VIRTIO_NET_F_CTRL_RX) ||
            !take_mac_table(c, f.uni, &f.uni_count, &f.uni_overflow) ||
            !take_mac_table(c, f.multi, &f.multi_count, &f.multi_overflow) || !at_end(c)) {
            return false;
        }
        n->filter = f;
        break;
    default:
        return false;
    }
    filter_changed(n);
    return true;
}

static bool ctrl_vlan(VirtioNet *n, uint8_t cmd, Command *c)
{
    uint8_t le[2];
    uint16_t vlan;

    if (!virtio_has_feature(&n->vdev, VIRTIO_NET_F_CTRL_VLAN) || !take(c, le, 2) || !at_end(c)) {
        return false;
    }
    vlan = load_le16(le);
    if (vlan >= VIRTIO_NET_VLAN_MAX) {
        return false;
    }
    if (cmd == VIRTIO_NET_CTRL_VLAN_ADD) {
        n->filter.vlans[vlan / 8] |= 1 << (vlan % 8);
    } else if (cmd == VIRTIO_NET_CTRL_VLAN_DEL) {
        n->filter.vlans[vlan / 8] &= ~(1 << (vlan % 8));
    } else {
        return false;
    }
    filter_changed(n);
    return true;
}

static bool ctrl_announce(VirtioNet *n, uint8_t cmd, Command *c)
{
    if (!virtio_has_feature(&n->vdev, VIRTIO_NET_F_GUEST_ANNOUNCE) || cmd != VIRTIO_NET_CTRL_ANNOUNCE_ACK ||
        !n->announce) {
        return false;
    }
    n->announce = false;
    return true;
}

static bool ctrl_mq(VirtioNet *n, uint8_t cmd, Command *c)
{
    uint8_t le[2];
    uint16_t pairs;

    if (!virtio_has_feature(&n->vdev, VIRTIO_NET_F_MQ) || cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET ||
        !take(c, le, 2) || !at_end(c)) {
        return false;
    }
    pairs = load_le16(le);
    if (pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN || pairs > n->max_pairs) {
        return false;
    }
    virtio_net_set_pairs(n, pairs);
    return true;
}

static bool ctrl_offloads(VirtioNet *n, uint8_t cmd, Command *c)
{
    uint8_t le[8];
    uint64_t offloads;

    if (!virtio_has_feature(&n->vdev, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
        cmd != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || !take(c, le, 8) || !at_end(c)) {
        return false;
    }
    offloads = load_le64(le);
    if (offloads & ~(n->vdev.guest_features & OFFLOAD_MASK)) {
        return false;
    }
    n->offloads = offloads;
    virtio_net_apply_offloads(n);
    return true;
}

static bool run_command(VirtioNet *n, const VirtQueueElement *elem)
{
    typedef bool Handler(VirtioNet *n, uint8_t cmd, Command *c);
    static Handler *const handlers[] = {
        [VIRTIO_NET_CTRL_RX] = ctrl_rx_mode,
        [VIRTIO_NET_CTRL_MAC] = ctrl_mac,
        [VIRTIO_NET_CTRL_VLAN] = ctrl_vlan,
        [VIRTIO_NET_CTRL_ANNOUNCE] = ctrl_announce,
        [VIRTIO_NET_CTRL_MQ] = ctrl_mq,
        [VIRTIO_NET_CTRL_GUEST_OFFLOADS] = ctrl_offloads,
    };
    Command c = { .elem = elem };
    struct virtio_net_ctrl_hdr hdr;
    bool ok;

    ok = take(&c, &hdr, sizeof(hdr)) && hdr.class < ARRAY_SIZE(handlers) && handlers[hdr.class](n, hdr.cmd, &c);
    trace_virtio_net_ctrl(n, elem->out_size ? hdr.class : 0, elem->out_size > 1 ? hdr.cmd : 0, ok);
    return ok;
}

void virtio_net_ctrl_handler(VirtioDevice *vdev, VirtQueue *vq)
{
    VirtioNet *n = container_of(vdev, VirtioNet, vdev);
    VirtQueueElement *elem;
    bool done = false;

    while ((elem = virtqueue_pop(vq, sizeof(*elem)))) {
        uint8_t ack;

        if (elem->in_size < sizeof(ack) || elem->out_size < sizeof(struct virtio_net_ctrl_hdr)) {
            virtqueue_detach(elem);
            virtqueue_element_free(elem);
            virtio_device_broken(vdev, "virtio-net: control buffer without room for header or answer");
            return;
        }
        ack = run_command(n, elem) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
        iov_from_buf(elem->in, elem->in_count, 0, &ack, sizeof(ack));
        virtqueue_push(elem, sizeof(ack));
        virtqueue_element_free(elem);
        done = true;
    }
    if (done) {
        virtqueue_notify(vq);
    }
}
