/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network: back ends (-netdev: user, tap, socket, ...) and NICs are peers that
 * hand each other Ethernet frames, optionally with a virtio-net header.
 *
 * Thread: main thread with the machine lock.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "qapi-types.h"
#include "qom/object.h"
#include "util/event-loop.h"

typedef struct NetClient NetClient;

typedef void NetSentFunc(NetClient *sender, ssize_t len);

typedef struct NetClientOps {
    const char *kind;           /* "user", "tap", "nic", ... */
    /* Can a frame be taken now? May be NULL (always). */
    bool (*can_receive)(NetClient *nc);
    /* A frame from the peer: its length when taken, 0 when it must be queued (call net_flush_queued later), -1 dropped. */
    ssize_t (*receive)(NetClient *nc, const struct iovec *iov, unsigned cnt);
    void (*link_changed)(NetClient *nc);
    /* Back ends: offloads of the virtio-net header; any may be NULL. */
    bool (*has_vnet_hdr)(NetClient *nc);
    bool (*has_ufo)(NetClient *nc);
    bool (*set_vnet_hdr_len)(NetClient *nc, int len);           /* 0 (none), 10 or 12 */
    void (*set_offload)(NetClient *nc, bool csum, bool tso4, bool tso6, bool ecn, bool ufo);
    /* One of several queues is in use or not (frames are steered to the others); may be NULL. */
    void (*set_queue_enabled)(NetClient *nc, bool enabled);
    /* Its vhost-net device, if it has one. While that serves, the back end leaves the interface alone. */
    const struct NetVhost *(*vhost)(NetClient *nc);
    void (*set_vhost_serving)(NetClient *nc, bool serving);
    RxFilterInfo *(*query_rx_filter)(NetClient *nc);
    void (*announce)(NetClient *nc);    /* NICs: say to the network, and have the guest say, where they are */
    void (*cleanup)(NetClient *nc);                             /* frees what holds @nc */
} NetClientOps;

/* For the queue of a back end that the kernel can serve (linux/vhost.h). */
typedef struct NetVhost {
    int fd;                     /* of the vhost-net device */
    int backend_fd;             /* what it is to be connected with */
    uint32_t poll_us;           /* how long the kernel may wait busily */
} NetVhost;

struct NetClient {
    const NetClientOps *ops;
    char *name;                 /* id */
    char *model;                /* "user", "virtio-net-pci" */
    char *info;                 /* "info network" text */
    NetClient *peer;
    unsigned queue_index;
    bool link_down;
    bool is_nic;
    struct NetQueue *incoming;  /* frames waiting for this client */
    struct NetFilter *filters;  /* of a back end, see net/filter.h */
    unsigned vnet_hdr_len;      /* of the offload header before the frames that a back end exchanges with its NIC */
    NetClient *next;
};

/* For embedding; @name and @model are copied. */
MODULE_API void net_client_init(NetClient *nc, const NetClientOps *ops, const char *name, const char *model, unsigned queue_index);
/* Leaves its peer unconnected, frees queued frames, calls cleanup. */
MODULE_API void net_client_del(NetClient *nc);
NetClient *net_client_find(const char *id, unsigned queue_index);
/* The first client of @model, of the name @id unless that is NULL. */
NetClient *net_client_first(const char *model, const char *id);
/* All queues of @id in order; returns how many. */
unsigned net_client_find_all(const char *id, NetClient **out, unsigned max);
void net_clients_foreach(void (*fn)(NetClient *nc, void *opaque), void *opaque);
bool net_connect(NetClient *a, NetClient *b, Error **errp);

/*
 * Hand a frame to the peer: its length, or 0 when it was queued (then @sent
 * runs later; stop sending until then). Without a peer, or with the link down,
 * frames vanish.
 */
ssize_t net_send_iov(NetClient *nc, const struct iovec *iov, unsigned cnt, NetSentFunc *sent);
MODULE_API ssize_t net_send(NetClient *nc, const void *buf, size_t len, NetSentFunc *sent);
/* The same past all filters. */
ssize_t net_send_unfiltered(NetClient *nc, const struct iovec *iov, unsigned cnt, NetSentFunc *sent);
bool net_can_send(NetClient *nc);
/* This client can take frames again: deliver what waits. */
void net_flush_queued(NetClient *nc);
/* Drop what this client sent and its peer has not taken; their @sent does not run. */
void net_purge_queued(NetClient *nc);

/* Offload capabilities of the peer of a NIC. */
bool net_peer_has_vnet_hdr(NetClient *nc);
bool net_peer_has_ufo(NetClient *nc);
bool net_peer_set_vnet_hdr_len(NetClient *nc, int len);
void net_peer_set_offload(NetClient *nc, bool csum, bool tso4, bool tso6, bool ecn, bool ufo);

/* Have the NICs announce themselves now and some times later; replaces an announcement with the same id. */
void net_announce(const AnnounceParameters *params);

/* ---- back ends ---- */

/* One opener a kind: makes its clients (one a queue) under @id. */
typedef bool NetBackendOpen(const Netdev *netdev, Error **errp);
NetBackendOpen net_open_user, net_open_tap, net_open_bridge, net_open_socket, net_open_stream, net_open_dgram;

/* netdev_add, and its inverse. */
bool net_backend_add(const Netdev *netdev, Error **errp);
bool net_backend_del(const char *id, Error **errp);
void net_cleanup_all(void);

/*
 * -netdev and -nic. Text is key=value or JSON; repeated hostfwd=, guestfwd= and
 * dnssearch= make lists. "help" prints the kinds and sets *@help.
 */
bool net_option_netdev(const char *text, bool *help, Error **errp);
/* "none", or a back end's options with model=, mac=, id=, ...: the device options are left for device_add in @devices (array). */
bool net_option_nic(const char *text, JsonValue *devices, bool *help, Error **errp);

#define NET_MAX_QUEUES 256

/* A NIC's common configuration. */
typedef struct NicConf {
    uint8_t mac[6];
    bool mac_set;
    char *netdev_id;
} NicConf;
/* A default MAC address (52:54:00:12:34:56 and up) for one that was not given. */
void nic_conf_default_mac(NicConf *conf);
/* How many queues the back end has; 1 without one. */
unsigned nic_conf_queue_count(const NicConf *conf);
/* Pair queue @index of the back end (if one was given) with the NIC's client @nc. */
bool nic_conf_connect(NicConf *conf, NetClient *nc, unsigned index, Error **errp);

/* "52:54:00:12:34:56", '-' for ':' too. */
bool net_mac_parse(const char *text, uint8_t mac[6]);
char *net_mac_format(const uint8_t mac[6]);     /* caller frees */
extern const PropertyKind prop_kind_netdev;     /* NicConf field, by id */
extern const PropertyKind prop_kind_mac;        /* NicConf field, "52:54:00:..." */
#define PROP_NIC(st, f)                                                     \
    PROP_FIELD_("netdev", netdev, st, f, .description = "ID of the network back end"), \
    PROP_FIELD_("mac", mac, st, f, .description = "Ethernet address")

#endif
