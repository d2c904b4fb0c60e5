/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters: objects that see, copy, hold or take the frames between a network
 * back end and its NIC. They are attached to the back end: "tx" is what it
 * sends (to the guest), "rx" what it receives (from the guest).
 *
 * Thread: main thread with the machine lock.
 */
#ifndef NET_FILTER_H
#define NET_FILTER_H

#include "net/net.h"

typedef struct NetFilter NetFilter;

extern const TypeInfo net_filter_type;  /* "netfilter", abstract */

typedef enum NetFilterVerdict {
    NET_FILTER_PASS,            /* on to the next one */
    NET_FILTER_TAKEN,           /* it is the filter's now, or dropped */
} NetFilterVerdict;

typedef struct NetFilterOps {
    /* Properties are set and @f->netdev is known. */
    bool (*setup)(NetFilter *f, Error **errp);
    void (*cleanup)(NetFilter *f);      /* after setup() */
    NetFilterVerdict (*receive)(NetFilter *f, NetClient *sender, const struct iovec *iov, unsigned cnt);
    /* @f->on changed; may be NULL. */
    void (*switched)(NetFilter *f);
} NetFilterOps;

struct NetFilter {
    Object obj;
    char *netdev_id;
    int queue;                  /* NetFilterDirection */
    char *status, *position;
    int insert;                 /* NetfilterInsert */
    bool on, attached;
    NetClient *netdev;          /* NULL once it is gone */
    NetFilter *next;            /* on the same back end, in the order of "tx" */
};

#define NET_FILTER(p) ((NetFilter *)object_cast(p, &net_filter_type))

/* A frame from @sender to its peer: true when a filter took it. */
bool net_filters_receive(NetClient *sender, const struct iovec *iov, unsigned cnt);
/* Hand a frame that @f held, or made, to what comes after it; @sender sent it. */
void net_filter_pass_on(NetFilter *f, NetClient *sender, const struct iovec *iov, unsigned cnt);
/* The back end goes: its filters see nothing any more. */
void net_filters_forget(NetClient *nc);
/* Lines for "info network". */
void net_filters_describe(NetClient *nc, GString *out);

#endif
