/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to hw/net: the state of virtio-net and what its files call of each other.
 */
#ifndef HW_NET_VIRTIO_NET_H
#define HW_NET_VIRTIO_NET_H

#include "hw/virtio/virtio.h"
#include "net/net.h"

#define VIRTIO_NET_MAC_TABLE_MAX 64
#define VIRTIO_NET_VLAN_MAX 4096
/* Of virtio_net_hdr_v1 (5.1.6): all that a modern driver and a back end exchange. */
#define VIRTIO_NET_HDR_LEN 12
#define VIRTIO_NET_HDR_NUM_BUFFERS 10

typedef struct VirtioNet VirtioNet;

typedef struct VirtioNetQueue {
    NetClient nc;
    VirtioNet *n;
    VirtQueue *rx, *tx;
    VirtQueueElement *tx_waiting;       /* its frame is queued at the peer */
    bool tx_done;                       /* ... and was taken while the data path was stopped */
} VirtioNetQueue;

/* Receive filter, as the driver programs it (5.1.6.5.1 to 5.1.6.5.3). */
typedef struct VirtioNetFilter {
    bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
    bool uni_overflow, multi_overflow;
    uint32_t uni_count, multi_count;
    uint8_t uni[VIRTIO_NET_MAC_TABLE_MAX][6];
    uint8_t multi[VIRTIO_NET_MAC_TABLE_MAX][6];
    uint8_t vlans[VIRTIO_NET_VLAN_MAX / 8];
} VirtioNetFilter;

struct VirtioNet {
    VirtioDevice vdev;
    NicConf conf;
    uint16_t rx_queue_size, tx_queue_size;
    uint16_t host_mtu;
    int32_t bootindex;
    int32_t speed;
    char *duplex;
    char *tx_mode;
    uint16_t max_pairs;
    uint16_t pairs;             /* in use */
    VirtioNetQueue *queues;     /* max_pairs */
    bool peer_hdr;              /* the back end takes and gives our header */
    uint8_t mac[6];             /* current; the driver may change it */
    bool announce;
    uint64_t offloads;          /* GUEST_* bits that are on */
    VirtioNetFilter filter;
    struct VhostDevice *vhost;  /* serves the data queues; NULL: we do */
    bool filter_event_armed;
};

/* Data path (virtio-net-data.c). */
void virtio_net_rx_handler(VirtioDevice *vdev, VirtQueue *vq);
void virtio_net_tx_handler(VirtioDevice *vdev, VirtQueue *vq);
bool virtio_net_can_receive(NetClient *nc);
ssize_t virtio_net_receive(NetClient *nc, const struct iovec *iov, unsigned cnt);
/* A frame that waits at the peer goes back to the ring, to be sent again: nothing is held while the VM is stopped. */
void virtio_net_return_tx(VirtioNetQueue *q);
/* Give up what the queue holds of the ring. */
void virtio_net_drop_tx(VirtioNetQueue *q);

/* Control queue and filter (virtio-net-ctrl.c). */
void virtio_net_ctrl_handler(VirtioDevice *vdev, VirtQueue *vq);
void virtio_net_filter_reset(VirtioNet *n);
/* Whether the frame (without header) passes. */
bool virtio_net_filter_accepts(const VirtioNet *n, const struct iovec *iov, unsigned cnt, size_t skip);
RxFilterInfo *virtio_net_query_rx_filter(NetClient *nc);

/* Service by the kernel (virtio-net-vhost.c): made when the back ends have it. */
void virtio_net_vhost_init(VirtioNet *n);
/* The link, or the back end behind it, may have gone or come. */
void virtio_net_vhost_link(VirtioNet *n);
uint64_t virtio_net_vhost_features(VirtioNet *n, uint64_t features);

/* Of virtio-net.c. */
void virtio_net_apply_offloads(VirtioNet *n);
void virtio_net_set_pairs(VirtioNet *n, uint16_t pairs);

#endif
