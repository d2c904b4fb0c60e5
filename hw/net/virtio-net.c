/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net, the network device of virtio 1.2, section 5.1: properties,
 * features, configuration space, queues. Data path and control queue have
 * files of their own.
 *
 * Thread: main thread with the machine lock.
 */
#include "util/osdep.h"

#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include "hw/net/virtio-net.h"
#include "hw/pci/pci_regs.h"
#include "hw/virtio/vhost.h"
#include "trace-hw-net.h"
#include "util/bswap.h"

extern const TypeInfo virtio_net_type;

#define CTRL_QUEUE_SIZE 64
#define QUEUE_SIZE_MIN 64
#define MTU_MIN 68
#define SPEED_UNKNOWN UINT32_MAX
#define DUPLEX_HALF 0
#define DUPLEX_FULL 1
#define DUPLEX_UNKNOWN 0xff

/* Offsets in the configuration space (5.1.4). */
enum {
    CONFIG_MAC = 0, CONFIG_STATUS = 6, CONFIG_MAX_PAIRS = 8, CONFIG_MTU = 10,
    CONFIG_SPEED = 12, CONFIG_DUPLEX = 16, CONFIG_SIZE = 20,
};

/* What can only be offered when the back end takes our header. */
#define HEADER_FEATURES                                                     \
    (BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | \
     BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_NET_F_GUEST_CSUM) | \
     BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) | \
     BIT(VIRTIO_NET_F_GUEST_UFO))
#define UFO_FEATURES (BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_NET_F_GUEST_UFO))
#define GUEST_OFFLOADS                                                      \
    (BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | \
     BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_UFO))

/* ---- back end ---- */

void virtio_net_apply_offloads(VirtioNet *n)
{
    if (!n->peer_hdr) {
        return;
    }
    for (unsigned i = 0; i < n->max_pairs; i++) {
        net_peer_set_offload(&n->queues[i].nc,
                             n->offloads >> VIRTIO_NET_F_GUEST_CSUM & 1,
                             n->offloads >> VIRTIO_NET_F_GUEST_TSO4 & 1,
                             n->offloads >> VIRTIO_NET_F_GUEST_TSO6 & 1,
                             n->offloads >> VIRTIO_NET_F_GUEST_ECN & 1,
                             n->offloads >> VIRTIO_NET_F_GUEST_UFO & 1);
    }
}

void virtio_net_set_pairs(VirtioNet *n, uint16_t pairs)
{
    n->pairs = pairs;
    for (unsigned i = 0; i < n->max_pairs; i++) {
        NetClient *peer = n->queues[i].nc.peer;

        if (peer && peer->ops->set_queue_enabled) {
            peer->ops->set_queue_enabled(peer, i < pairs);
        }
    }
}

static void virtio_net_link_changed(NetClient *nc)
{
    VirtioNetQueue *q = container_of(nc, VirtioNetQueue, nc);

    if (nc->queue_index == 0) {
        virtio_net_vhost_link(q->n);
        virtio_config_changed(&q->n->vdev);
    }
    if (!nc->link_down) {
        net_flush_queued(nc);
    }
}

/* A reverse ARP request (RFC 903) that nobody needs to answer: switches learn from its source address. */
static void send_rarp(VirtioNet *n, NetClient *nc)
{
    enum { FRAME_SIZE = 60, OPCODE_REQUEST_REVERSE = 3 };
    uint8_t packet[VIRTIO_NET_HDR_LEN + FRAME_SIZE] = { 0 }, *p = packet + VIRTIO_NET_HDR_LEN;
    size_t skip = n->peer_hdr ? 0 : VIRTIO_NET_HDR_LEN;

    memset(p, 0xff, 6);
    memcpy(p + 6, n->mac, 6);
    store_be16(p + 12, 0x8035);
    store_be16(p + 14, 1);              /* Ethernet */
    store_be16(p + 16, 0x0800);         /* IPv4 */
    p[18] = 6;
    p[19] = 4;
    store_be16(p + 20, OPCODE_REQUEST_REVERSE);
    memcpy(p + 22, n->mac, 6);
    memcpy(p + 32, n->mac, 6);
    net_send(nc, packet + skip, sizeof(packet) - skip, NULL);
}

static void virtio_net_announce(NetClient *nc)
{
    VirtioNet *n = container_of(nc, VirtioNetQueue, nc)->n;

    send_rarp(n, nc);
    if (virtio_has_feature(&n->vdev, VIRTIO_NET_F_GUEST_ANNOUNCE)) {
        n->announce = true;
        virtio_config_changed(&n->vdev);
    }
}

static const NetClientOps virtio_net_client_ops = {
    .kind = "nic",
    .can_receive = virtio_net_can_receive,
    .receive = virtio_net_receive,
    .link_changed = virtio_net_link_changed,
    .query_rx_filter = virtio_net_query_rx_filter,
    .announce = virtio_net_announce,
};

/* ---- features and configuration ---- */

static uint64_t virtio_net_get_features(VirtioDevice *vdev, uint64_t features)
{
    VirtioNet *n = container_of(vdev, VirtioNet, vdev);

    features |= BIT(VIRTIO_NET_F_MAC);
    if (!n->peer_hdr) {
        features &= ~HEADER_FEATURES;
    } else if (!net_peer_has_ufo(&n->queues[0].nc)) {
        features &= ~UFO_FEATURES;
    }
    if (!(features & BIT(VIRTIO_NET_F_CTRL_VQ))) {
        features &= ~(BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_VLAN) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |
                      BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_MQ) |
                      BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS));
    }
    if (n->max_pairs == 1) {
        features &= ~BIT(VIRTIO_NET_F_MQ);
    }
    if (n->host_mtu) {
        features |= BIT(VIRTIO_NET_F_MTU);
    }
    if (n->speed >= 0 || n->duplex) {
        features |= BIT(VIRTIO_NET_F_SPEED_DUPLEX);
    }
    return virtio_net_vhost_features(n, features);
}

/* Which feature each one needs (5.1.3.1). */
static bool virtio_net_set_features(VirtioDevice *vdev, uint64_t features)
{
    static const struct { uint8_t bit, needs; } rules[] = {
        { VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_CSUM }, { VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_CSUM },
        { VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_CSUM }, { VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_CSUM },
        { VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_CSUM }, { VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_CSUM },
        { VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VQ }, { VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_VQ },
        { VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_CTRL_VQ }, { VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ },
        { VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_CTRL_VQ },
    };
    VirtioNet *n = container_of(vdev, VirtioNet, vdev);

    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
        if (features & BIT(rules[i].bit) && !(features & BIT(rules[i].needs))) {
            return false;
        }
    }
    n->offloads = features & GUEST_OFFLOADS;
    virtio_net_apply_offloads(n);
    virtio_net_filter_reset(n);
    return true;
}

static void virtio_net_get_config(VirtioDevice *vdev, uint8_t *config)
{
    VirtioNet *n = container_of(vdev, VirtioNet, vdev);
    uint16_t status = (n->queues[0].nc.link_down ? 0 : VIRTIO_NET_S_LINK_UP) |
                      (n->announce ? VIRTIO_NET_S_ANNOUNCE : 0);

    memcpy(config + CONFIG_MAC, n->mac, 6);
    store_le16(config + CONFIG_STATUS, status);
    store_le16(config + CONFIG_MAX_PAIRS, n->max_pairs);
    store_le16(config + CONFIG_MTU, n->host_mtu);
    store_le32(config + CONFIG_SPEED, n->speed >= 0 ? (uint32_t)n->speed : SPEED_UNKNOWN);
    config[CONFIG_DUPLEX] = !n->duplex ? DUPLEX_UNKNOWN : !strcmp(n->duplex, "half") ? DUPLEX_HALF : DUPLEX_FULL;
}

/* ---- queues ---- */

/*
 * Where the control queue is depends on the driver: behind all pairs when it
 * takes multi-queue, else behind the first (5.1.2). So all share a handler.
 */
static void virtio_net_handler(VirtioDevice *vdev, VirtQueue *vq)
{
    VirtioNet *n = container_of(vdev, VirtioNet, vdev);
    unsigned index = virtio_queue_index(vq);
    unsigned ctrl = virtio_has_feature(vdev, VIRTIO_NET_F_MQ) ? 2 * n->max_pairs : 2;

    if (index == ctrl) {
        if (virtio_has_feature(vdev, VIRTIO_NET_F_CTRL_VQ)) {
            virtio_net_ctrl_handler(vdev, vq);
        }
    } else if (index > ctrl) {
        return;
    } else if (index & 1) {
        virtio_net_tx_handler(vdev, vq);
    } else {
        virtio_net_rx_handler(vdev, vq);
    }
}

static void virtio_net_start(VirtioDevice *vdev)
{
    VirtioNet *n = container_of(vdev, VirtioNet, vdev);

    virtio_net_set_pairs(n, n->pairs);
    if (n->announce) {
        /* After a migration: the driver does not know yet. */
        virtio_config_changed(vdev);
    }
    if (n->vhost) {
        vhost_start(n->vhost);
    }
}

static void virtio_net_stop(VirtioDevice *vdev)
{
    VirtioNet *n = container_of(vdev, VirtioNet, vdev);

    if (n->vhost) {
        vhost_stop(n->vhost);
    }
    for (unsigned i = 0; i < n->max_pairs; i++) {
        virtio_net_return_tx(&n->queues[i]);
    }
}

static void virtio_net_queue_reset(VirtioDevice *vdev, uint16_t index)
{
    VirtioNet *n = container_of(vdev, VirtioNet, vdev);

    if (index & 1 && index / 2 < n->max_pairs) {
        virtio_net_drop_tx(&n->queues[index / 2]);
    }
}

static void virtio_net_reset(VirtioDevice *vdev)
{
    VirtioNet *n = container_of(vdev, VirtioNet, vdev);

    for (unsigned i = 0; i < n->max_pairs; i++) {
        virtio_net_drop_tx(&n->queues[i]);
    }
    memcpy(n->mac, n->conf.mac, 6);
    n->announce = false;
    n->pairs = 1;
    n->offloads = 0;
    virtio_net_apply_offloads(n);
    virtio_net_filter_reset(n);
    n->filter_event_armed = true;
}

/* ---- life ---- */

static bool check_properties(VirtioNet *n, Error **errp)
{
    const uint16_t sizes[] = { n->rx_queue_size, n->tx_queue_size };
    static const char *const names[] = { "rx_queue_size", "tx_queue_size" };

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        if (sizes[i] < QUEUE_SIZE_MIN || sizes[i] > VIRTIO_QUEUE_MAX_SIZE || !IS_POWER_OF_2(sizes[i])) {
            error_setg(errp, "Invalid %s (= %u), must be a power of 2 between %d and %d", names[i], sizes[i],
                       QUEUE_SIZE_MIN, VIRTIO_QUEUE_MAX_SIZE);
            return false;
        }
    }
    if (n->host_mtu && n->host_mtu < MTU_MIN) {
        error_setg(errp, "Invalid host_mtu (= %u), must be %d or more", n->host_mtu, MTU_MIN);
        return false;
    }
    if (n->duplex && strcmp(n->duplex, "half") && strcmp(n->duplex, "full")) {
        error_setg(errp, "'duplex' must be 'half' or 'full'");
        return false;
    }
    if (n->speed < -1) {
        error_setg(errp, "'speed' must be between 0 and INT_MAX");
        return false;
    }
    if (n->tx_mode && strcmp(n->tx_mode, "bh")) {
        error_setg(errp, "Invalid tx '%s', only 'bh' is possible", n->tx_mode);
        return false;
    }
    return true;
}

/* The id that management knows: of the PCI device that we are the core of. */
static const char *client_name(VirtioNet *n)
{
    DeviceState *transport = n->vdev.transport;

    return transport && transport->id ? transport->id : "virtio-net";
}

static bool virtio_net_realize(VirtioDevice *vdev, Error **errp)
{
    VirtioNet *n = container_of(vdev, VirtioNet, vdev);

    if (!check_properties(n, errp)) {
        return false;
    }
    nic_conf_default_mac(&n->conf);
    n->max_pairs = vdev->host_features & BIT(VIRTIO_NET_F_MQ) ? nic_conf_queue_count(&n->conf) : 1;
    n->pairs = 1;
    n->queues = g_new0(VirtioNetQueue, n->max_pairs);
    for (unsigned i = 0; i < n->max_pairs; i++) {
        VirtioNetQueue *q = &n->queues[i];

        q->n = n;
        net_client_init(&q->nc, &virtio_net_client_ops, client_name(n), "virtio-net-pci", i);
        q->nc.is_nic = true;
    }
    for (unsigned i = 0; i < n->max_pairs; i++) {
        if (!nic_conf_connect(&n->conf, &n->queues[i].nc, i, errp)) {
            goto undo_clients;
        }
    }
    n->peer_hdr = true;
    for (unsigned i = 0; i < n->max_pairs; i++) {
        n->peer_hdr = n->peer_hdr && net_peer_has_vnet_hdr(&n->queues[i].nc) &&
                      net_peer_set_vnet_hdr_len(&n->queues[i].nc, VIRTIO_NET_HDR_LEN);
    }
    for (unsigned i = 0; i < n->max_pairs; i++) {
        VirtioNetQueue *q = &n->queues[i];

        q->rx = virtio_queue_add(vdev, n->rx_queue_size, virtio_net_handler);
        virtio_queue_set_manual_kicks(q->rx);
        q->tx = virtio_queue_add(vdev, n->tx_queue_size, virtio_net_handler);
    }
    virtio_queue_add(vdev, CTRL_QUEUE_SIZE, virtio_net_handler);
    memcpy(n->mac, n->conf.mac, 6);
    n->queues[0].nc.info = g_strdup_printf("model=virtio-net-pci,macaddr=%02x:%02x:%02x:%02x:%02x:%02x", n->mac[0],
                                           n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5]);
    virtio_net_filter_reset(n);
    n->filter_event_armed = true;
    virtio_net_vhost_init(n);
    return true;

undo_clients:
    for (unsigned i = 0; i < n->max_pairs; i++) {
        net_client_del(&n->queues[i].nc);
    }
    g_clear_pointer(&n->queues, g_free);
    return false;
}

static void virtio_net_unrealize(VirtioDevice *vdev)
{
    VirtioNet *n = container_of(vdev, VirtioNet, vdev);

    g_clear_pointer(&n->vhost, vhost_free);
    for (unsigned i = 0; i < n->max_pairs; i++) {
        if (n->peer_hdr) {
            net_peer_set_vnet_hdr_len(&n->queues[i].nc, 0);
        }
        net_client_del(&n->queues[i].nc);
    }
    g_clear_pointer(&n->queues, g_free);
}

static const ObjectProperty virtio_net_properties[] = {
    PROP_NIC(VirtioNet, conf),
    PROP_INT32("bootindex", VirtioNet, bootindex, -1, "place in the firmware's boot order"),
    PROP_UINT16("rx_queue_size", VirtioNet, rx_queue_size, 256, "size of the receive rings"),
    PROP_UINT16("tx_queue_size", VirtioNet, tx_queue_size, 256, "size of the transmit rings"),
    PROP_UINT16("host_mtu", VirtioNet, host_mtu, 0, "MTU that the driver is told; 0: none"),
    PROP_INT32("speed", VirtioNet, speed, -1, "link speed in Mbit/s that the driver is told; -1: none"),
    PROP_STRING("duplex", VirtioNet, duplex, "\"half\" or \"full\", as the driver is told"),
    PROP_STRING("tx", VirtioNet, tx_mode, "how transmission is scheduled: \"bh\""),
    PROP_BIT64("gso", VirtioNet, vdev.legacy_features, VIRTIO_NET_F_GSO, true, "for legacy drivers: no effect"),
#define FEATURE(name, bit, def, text) PROP_BIT64(name, VirtioNet, vdev.host_features, bit, def, text)
    FEATURE("csum", VIRTIO_NET_F_CSUM, true, "checksums of sent packets can be left out"),
    FEATURE("guest_csum", VIRTIO_NET_F_GUEST_CSUM, true, "received packets may come without checksum"),
    FEATURE("host_tso4", VIRTIO_NET_F_HOST_TSO4, true, "large TCP/IPv4 segments can be sent"),
    FEATURE("host_tso6", VIRTIO_NET_F_HOST_TSO6, true, "large TCP/IPv6 segments can be sent"),
    FEATURE("host_ecn", VIRTIO_NET_F_HOST_ECN, true, "large segments with ECN can be sent"),
    FEATURE("host_ufo", VIRTIO_NET_F_HOST_UFO, true, "large UDP datagrams can be sent"),
    FEATURE("guest_tso4", VIRTIO_NET_F_GUEST_TSO4, true, "large TCP/IPv4 segments may be received"),
    FEATURE("guest_tso6", VIRTIO_NET_F_GUEST_TSO6, true, "large TCP/IPv6 segments may be received"),
    FEATURE("guest_ecn", VIRTIO_NET_F_GUEST_ECN, true, "large segments with ECN may be received"),
    FEATURE("guest_ufo", VIRTIO_NET_F_GUEST_UFO, true, "large UDP datagrams may be received"),
    FEATURE("mrg_rxbuf", VIRTIO_NET_F_MRG_RXBUF, true, "a packet may span receive buffers"),
    FEATURE("status", VIRTIO_NET_F_STATUS, true, "the link state is shown"),
    FEATURE("ctrl_vq", VIRTIO_NET_F_CTRL_VQ, true, "control queue"),
    FEATURE("ctrl_rx", VIRTIO_NET_F_CTRL_RX, true, "receive modes"),
    FEATURE("ctrl_vlan", VIRTIO_NET_F_CTRL_VLAN, true, "VLAN filter"),
    FEATURE("ctrl_rx_extra", VIRTIO_NET_F_CTRL_RX_EXTRA, true, "further receive modes"),
    FEATURE("guest_announce", VIRTIO_NET_F_GUEST_ANNOUNCE, true, "the driver can announce itself"),
    FEATURE("ctrl_mac_addr", VIRTIO_NET_F_CTRL_MAC_ADDR, true, "the driver can change the address"),
    FEATURE("ctrl_guest_offloads", VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, true, "offloads can be changed at run time"),
    FEATURE("mq", VIRTIO_NET_F_MQ, false, "as many queue pairs as the back end has"),
#undef FEATURE
    PROP_END
};

static const StateField virtio_net_filter_fields[] = {
    STATE_F_BOOL(VirtioNetFilter, promisc),
    STATE_F_BOOL(VirtioNetFilter, allmulti),
    STATE_F_BOOL(VirtioNetFilter, alluni),
    STATE_F_BOOL(VirtioNetFilter, nomulti),
    STATE_F_BOOL(VirtioNetFilter, nouni),
    STATE_F_BOOL(VirtioNetFilter, nobcast),
    STATE_F_BOOL(VirtioNetFilter, uni_overflow),
    STATE_F_BOOL(VirtioNetFilter, multi_overflow),
    STATE_F_UINT32(VirtioNetFilter, uni_count),
    STATE_F_UINT32(VirtioNetFilter, multi_count),
    STATE_F_BYTES(VirtioNetFilter, uni),
    STATE_F_BYTES(VirtioNetFilter, multi),
    STATE_F_BYTES(VirtioNetFilter, vlans),
    STATE_F_END
};

static const StateTable virtio_net_filter_state = {
    .name = "virtio-net-filter",
    .version = 1,
    .minimum_version = 1,
    .fields = virtio_net_filter_fields,
};

/* Frames on their way are lost as on a wire; everything else continues. */
static bool virtio_net_post_load(void *opaque, int version)
{
    VirtioNet *n = opaque;

    if (n->pairs < 1 || n->pairs > n->max_pairs || n->filter.uni_count > VIRTIO_NET_MAC_TABLE_MAX ||
        n->filter.multi_count > VIRTIO_NET_MAC_TABLE_MAX || n->offloads & ~GUEST_OFFLOADS) {
        return false;
    }
    virtio_net_apply_offloads(n);
    n->announce = virtio_has_feature(&n->vdev, VIRTIO_NET_F_GUEST_ANNOUNCE);
    return true;
}

static const StateField virtio_net_fields[] = {
    STATE_F_BYTES(VirtioNet, mac),
    STATE_F_UINT16(VirtioNet, pairs),
    STATE_F_UINT64(VirtioNet, offloads),
    STATE_F_STRUCT(VirtioNet, filter, &virtio_net_filter_state),
    STATE_F_END
};

static const StateTable virtio_net_state = {
    .name = "virtio-net",
    .version = 1,
    .minimum_version = 1,
    .fields = virtio_net_fields,
    .post_load = virtio_net_post_load,
};

static const VirtioDeviceOps virtio_net_ops = {
    .name = "virtio-net",
    .category = DEVICE_CATEGORY_NETWORK,
    .device_id = VIRTIO_ID_NET,
    .pci_class = PCI_CLASS_NETWORK_ETHERNET,
    .config_size = CONFIG_SIZE,
    .realize = virtio_net_realize,
    .unrealize = virtio_net_unrealize,
    .reset = virtio_net_reset,
    .get_features = virtio_net_get_features,
    .set_features = virtio_net_set_features,
    .get_config = virtio_net_get_config,
    .start = virtio_net_start,
    .stop = virtio_net_stop,
    .queue_reset = virtio_net_queue_reset,
    .state = &virtio_net_state,
};

OBJECT_TYPE(virtio_net_type) = {
    .name = "virtio-net-device",
    .parent = &virtio_device_type,
    .instance_size = sizeof(VirtioNet),
    .description = "Virtio network card",
    .properties = virtio_net_properties,
    .impls = TYPE_IMPLS({ &virtio_device_type, &virtio_net_ops }),
};
