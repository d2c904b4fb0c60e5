/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network clients (back ends and NICs), their pairing, and the hand-over of
 * frames with a bounded queue in front of each receiver.
 *
 * Thread: main thread with the machine lock.
 * Trust: frames come from the guest or the network; nothing here looks into them.
 */
#include "util/osdep.h"

#include "net/filter.h"
#include "net/net.h"
#include "trace-net.h"
#include "util/iov.h"

/* Frames that may wait for one receiver; a sender that goes on regardless loses the rest. */
#define NET_QUEUE_MAX 1024

typedef struct NetFrame {
    struct NetFrame *next;
    NetClient *sender;
    NetSentFunc *sent;
    size_t len;
    uint8_t data[];
} NetFrame;

struct NetQueue {
    NetFrame *first;
    NetFrame **last;
    unsigned count;
    bool delivering;            /* the receiver's code runs: what comes meanwhile waits */
};

static NetClient *clients;

static struct NetQueue *queue_new(void)
{
    struct NetQueue *q = g_new0(struct NetQueue, 1);

    q->last = &q->first;
    return q;
}

static NetFrame *queue_pop(struct NetQueue *q)
{
    NetFrame *f = q->first;

    if (f) {
        q->first = f->next;
        if (!q->first) {
            q->last = &q->first;
        }
        q->count--;
    }
    return f;
}

static void queue_push_front(struct NetQueue *q, NetFrame *f)
{
    f->next = q->first;
    q->first = f;
    if (q->last == &q->first) {
        q->last = &f->next;
    }
    q->count++;
}

static void queue_append(struct NetQueue *q, NetClient *sender, const struct iovec *iov, unsigned cnt,
                         NetSentFunc *sent)
{
    size_t len = iov_size(iov, cnt);
    NetFrame *f;

    if (q->count >= NET_QUEUE_MAX && !sent) {
        trace_net_frame_dropped(sender->name, len);
        return;
    }
    f = g_malloc(sizeof(*f) + len);
    f->next = NULL;
    f->sender = sender;
    f->sent = sent;
    f->len = len;
    iov_to_buf(iov, cnt, 0, f->data, len);
    *q->last = f;
    q->last = &f->next;
    q->count++;
}

/* Forget the frames of @sender, or all when it is NULL. */
static void queue_purge(struct NetQueue *q, NetClient *sender)
{
    NetFrame **link = &q->first;

    while (*link) {
        NetFrame *f = *link;

        if (sender && f->sender != sender) {
            link = &f->next;
            continue;
        }
        *link = f->next;
        q->count--;
        g_free(f);
    }
    q->last = link;
}

static bool client_can_receive(NetClient *nc)
{
    return nc->link_down || !nc->ops->can_receive || nc->ops->can_receive(nc);
}

/* As NetClientOps.receive; a receiver without link swallows everything. */
static ssize_t client_receive(NetClient *nc, const struct iovec *iov, unsigned cnt)
{
    if (nc->link_down) {
        return iov_size(iov, cnt);
    }
    return nc->ops->receive(nc, iov, cnt);
}

void net_flush_queued(NetClient *nc)
{
    struct NetQueue *q = nc->incoming;

    if (q->delivering) {
        return;
    }
    while (q->first && client_can_receive(nc)) {
        NetFrame *f = queue_pop(q);
        struct iovec iov = { .iov_base = f->data, .iov_len = f->len };
        ssize_t ret;

        q->delivering = true;
        ret = client_receive(nc, &iov, 1);
        q->delivering = false;
        if (ret == 0) {
            queue_push_front(q, f);
            break;
        }
        if (f->sent) {
            f->sent(f->sender, ret);
        }
        g_free(f);
    }
}

ssize_t net_send_iov(NetClient *nc, const struct iovec *iov, unsigned cnt, NetSentFunc *sent)
{
    if (nc->peer && !nc->link_down && net_filters_receive(nc, iov, cnt)) {
        return iov_size(iov, cnt);
    }
    return net_send_unfiltered(nc, iov, cnt, sent);
}

ssize_t net_send_unfiltered(NetClient *nc, const struct iovec *iov, unsigned cnt, NetSentFunc *sent)
{
    NetClient *peer = nc->peer;
    size_t len = iov_size(iov, cnt);
    struct NetQueue *q;
    ssize_t ret;

    if (!peer || nc->link_down) {
        return len;
    }
    q = peer->incoming;
    if (q->first || q->delivering || !client_can_receive(peer)) {
        queue_append(q, nc, iov, cnt, sent);
        return 0;
    }
    q->delivering = true;
    ret = client_receive(peer, iov, cnt);
    q->delivering = false;
    if (ret == 0) {
        queue_append(q, nc, iov, cnt, sent);
        return 0;
    }
    if (q->first) {
        net_flush_queued(peer);
    }
    return len;
}

ssize_t net_send(NetClient *nc, const void *buf, size_t len, NetSentFunc *sent)
{
    struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };

    return net_send_iov(nc, &iov, 1, sent);
}

bool net_can_send(NetClient *nc)
{
    return !nc->peer || nc->link_down ||
           (!nc->peer->incoming->first && client_can_receive(nc->peer));
}

void net_purge_queued(NetClient *nc)
{
    if (nc->peer) {
        queue_purge(nc->peer->incoming, nc);
    }
}

void net_client_init(NetClient *nc, const NetClientOps *ops, const char *name, const char *model,
                     unsigned queue_index)
{
    NetClient **last = &clients;

    nc->ops = ops;
    nc->name = g_strdup(name);
    nc->model = g_strdup(model);
    nc->queue_index = queue_index;
    nc->incoming = queue_new();
    while (*last) {
        last = &(*last)->next;
    }
    *last = nc;
    nc->next = NULL;
}

void net_client_del(NetClient *nc)
{
    NetClient **link = &clients;
    NetClient *peer = nc->peer;

    while (*link && *link != nc) {
        link = &(*link)->next;
    }
    if (*link) {
        *link = nc->next;
    }
    net_filters_forget(nc);
    if (peer) {
        queue_purge(peer->incoming, nc);
        peer->peer = NULL;
        peer->link_down = true;
        nc->peer = NULL;
        if (peer->ops->link_changed) {
            peer->ops->link_changed(peer);
        }
    }
    queue_purge(nc->incoming, NULL);
    g_clear_pointer(&nc->incoming, g_free);
    g_clear_pointer(&nc->name, g_free);
    g_clear_pointer(&nc->model, g_free);
    g_clear_pointer(&nc->info, g_free);
    if (nc->ops->cleanup) {
        nc->ops->cleanup(nc);
    }
}

NetClient *net_client_find(const char *id, unsigned queue_index)
{
    for (NetClient *nc = clients; nc; nc = nc->next) {
        if (nc->queue_index == queue_index && !strcmp(nc->name, id)) {
            return nc;
        }
    }
    return NULL;
}

NetClient *net_client_first(const char *model, const char *id)
{
    for (NetClient *nc = clients; nc; nc = nc->next) {
        if (!strcmp(nc->model, model) && (!id || !strcmp(nc->name, id))) {
            return nc;
        }
    }
    return NULL;
}

unsigned net_client_find_all(const char *id, NetClient **out, unsigned max)
{
    unsigned n = 0;

    for (NetClient *nc = clients; nc && n < max; nc = nc->next) {
        if (!strcmp(nc->name, id)) {
            out[n++] = nc;
        }
    }
    return n;
}

void net_clients_foreach(void (*fn)(NetClient *nc, void *opaque), void *opaque)
{
    NetClient *next;

    for (NetClient *nc = clients; nc; nc = next) {
        next = nc->next;
        fn(nc, opaque);
    }
}

bool net_connect(NetClient *a, NetClient *b, Error **errp)
{
    if (a->peer || b->peer) {
        error_setg(errp, "Network back end '%s' is already in use", a->peer ? a->name : b->name);
        return false;
    }
    a->peer = b;
    b->peer = a;
    return true;
}

void net_cleanup_all(void)
{
    /* NICs went with their devices; what is left are back ends, whose queues are separate clients. */
    while (clients) {
        net_client_del(clients);
    }
}

/* ---- offloads of the peer ---- */

bool net_peer_has_vnet_hdr(NetClient *nc)
{
    return nc->peer && nc->peer->ops->has_vnet_hdr && nc->peer->ops->has_vnet_hdr(nc->peer);
}

bool net_peer_has_ufo(NetClient *nc)
{
    return nc->peer && nc->peer->ops->has_ufo && nc->peer->ops->has_ufo(nc->peer);
}

bool net_peer_set_vnet_hdr_len(NetClient *nc, int len)
{
    return nc->peer && nc->peer->ops->set_vnet_hdr_len && nc->peer->ops->set_vnet_hdr_len(nc->peer, len);
}

void net_peer_set_offload(NetClient *nc, bool csum, bool tso4, bool tso6, bool ecn, bool ufo)
{
    if (nc->peer && nc->peer->ops->set_offload) {
        nc->peer->ops->set_offload(nc->peer, csum, tso4, tso6, ecn, ufo);
    }
}
