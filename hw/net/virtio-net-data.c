/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Data path of virtio-net: virtio 1.2, sections 5.1.6.2 (transmission) and
 * 5.1.6.3, 5.1.6.4 (reception, with mergeable buffers).
 *
 * Thread: main thread (the queues' loop) with the machine lock.
 * Trust: buffers are the guest's; offload headers go to the back end's kernel
 * unread, and only when the driver negotiated them and the back end checks them.
 */
#include "util/osdep.h"

#include <linux/virtio_net.h>

#include "hw/net/virtio-net.h"
#include "trace-hw-net.h"
#include "util/bswap.h"
#include "util/iov.h"

/* ---- transmission ---- */

static VirtioNetQueue *queue_of(VirtioDevice *vdev, VirtQueue *vq)
{
    VirtioNet *n = container_of(vdev, VirtioNet, vdev);

    return &n->queues[virtio_queue_index(vq) / 2];
}

static void tx_complete(VirtioNetQueue *q)
{
    virtqueue_push(q->tx_waiting, 0);
    virtqueue_notify(q->tx);
    virtqueue_element_free(q->tx_waiting);
    q->tx_waiting = NULL;
    q->tx_done = false;
}

/* The peer took the frame that it had queued. */
static void tx_sent(NetClient *nc, ssize_t len)
{
    VirtioNetQueue *q = container_of(nc, VirtioNetQueue, nc);

    if (!q->tx_waiting) {
        return;
    }
    if (!virtio_queue_ready(q->tx)) {
        q->tx_done = true;
        return;
    }
    tx_complete(q);
    virtio_queue_rerun(q->tx);
}

void virtio_net_return_tx(VirtioNetQueue *q)
{
    if (!q->tx_waiting) {
        return;
    }
    if (q->tx_done) {
        tx_complete(q);
        return;
    }
    net_purge_queued(&q->nc);
    virtqueue_unpop(q->tx_waiting);
    virtqueue_element_free(q->tx_waiting);
    q->tx_waiting = NULL;
}

void virtio_net_drop_tx(VirtioNetQueue *q)
{
    net_purge_queued(&q->nc);
    if (q->tx_waiting) {
        virtqueue_detach(q->tx_waiting);
        virtqueue_element_free(q->tx_waiting);
        q->tx_waiting = NULL;
        q->tx_done = false;
    }
}

/* Returns 0 when the frame waits at the peer. */
static ssize_t tx_send(VirtioNetQueue *q, VirtQueueElement *elem)
{
    struct iovec frame[VIRTIO_QUEUE_MAX_SIZE];
    unsigned cnt;

    if (q->n->peer_hdr) {
        return net_send_iov(&q->nc, elem->out, elem->out_count, tx_sent);
    }
    cnt = iov_slice(frame, ARRAY_SIZE(frame), elem->out, elem->out_count, VIRTIO_NET_HDR_LEN,
                    elem->out_size - VIRTIO_NET_HDR_LEN);
    return cnt ? net_send_iov(&q->nc, frame, cnt, tx_sent) : 1;
}

void virtio_net_tx_handler(VirtioDevice *vdev, VirtQueue *vq)
{
    VirtioNetQueue *q = queue_of(vdev, vq);
    VirtQueueElement *elem;
    unsigned sent = 0;

    if (q->tx_waiting) {
        if (!q->tx_done) {
            return;
        }
        tx_complete(q);
    }
    while ((elem = virtqueue_pop(vq, sizeof(*elem)))) {
        if (elem->out_size < VIRTIO_NET_HDR_LEN || elem->in_count) {
            virtqueue_detach(elem);
            virtqueue_element_free(elem);
            virtio_device_broken(vdev, "virtio-net: transmit buffer without room for its header");
            return;
        }
        if (tx_send(q, elem) == 0) {
            q->tx_waiting = elem;
            break;
        }
        virtqueue_push(elem, 0);
        virtqueue_element_free(elem);
        sent++;
    }
    if (sent) {
        virtqueue_notify(vq);
    }
}

/* ---- reception ---- */

bool virtio_net_can_receive(NetClient *nc)
{
    VirtioNetQueue *q = container_of(nc, VirtioNetQueue, nc);

    return virtio_queue_ready(q->rx);
}

/* New buffers: what waited for them may come. */
void virtio_net_rx_handler(VirtioDevice *vdev, VirtQueue *vq)
{
    virtqueue_enable_kicks(vq, false);
    net_flush_queued(&queue_of(vdev, vq)->nc);
}

/* Copy [@skip, end) of @src to @dst from @offset on; returns the bytes copied. */
static size_t copy_iov(const struct iovec *dst, unsigned dst_cnt, size_t offset,
                       const struct iovec *src, unsigned src_cnt, size_t skip, size_t max)
{
    size_t done = 0;

    for (unsigned i = 0; i < src_cnt && done < max; i++) {
        size_t len = src[i].iov_len, n;

        if (skip >= len) {
            skip -= len;
            continue;
        }
        n = MIN(len - skip, max - done);
        n = iov_from_buf(dst, dst_cnt, offset + done, (char *)src[i].iov_base + skip, n);
        done += n;
        if (n == 0) {
            break;
        }
        skip = 0;
    }
    return done;
}

static void unpop_all(VirtQueueElement **elems, unsigned count)
{
    while (count--) {
        virtqueue_unpop(elems[count]);
        virtqueue_element_free(elems[count]);
    }
}

/* The next buffer; when there is none, ask for a kick, look again, and give up. */
static VirtQueueElement *rx_pop(VirtQueue *vq)
{
    VirtQueueElement *elem = virtqueue_pop(vq, sizeof(*elem));

    if (!elem) {
        virtqueue_enable_kicks(vq, true);
        if (!virtqueue_empty(vq)) {
            virtqueue_enable_kicks(vq, false);
            elem = virtqueue_pop(vq, sizeof(*elem));
        }
    }
    return elem;
}

/* The header in front of a frame whose back end gives none. */
static const uint8_t plain_header[VIRTIO_NET_HDR_LEN];

ssize_t virtio_net_receive(NetClient *nc, const struct iovec *iov, unsigned cnt)
{
    VirtioNetQueue *q = container_of(nc, VirtioNetQueue, nc);
    VirtioNet *n = q->n;
    VirtQueueElement *elems[VIRTIO_QUEUE_MAX_SIZE];
    uint32_t written[VIRTIO_QUEUE_MAX_SIZE];
    const size_t hdr_in = n->peer_hdr ? VIRTIO_NET_HDR_LEN : 0;
    const size_t size = iov_size(iov, cnt);
    const bool mergeable = virtio_has_feature(&n->vdev, VIRTIO_NET_F_MRG_RXBUF);
    uint8_t num_buffers[2];
    size_t done = hdr_in;
    unsigned count = 0;

    if (!virtio_queue_ready(q->rx)) {
        return 0;
    }
    if (size <= hdr_in || !virtio_net_filter_accepts(n, iov, cnt, hdr_in)) {
        return size;
    }
    while (done < size) {
        VirtQueueElement *elem;
        size_t offset = 0, copied;

        if (count == ARRAY_SIZE(elems) || (count && !mergeable)) {
            /* The driver's buffers are too small for this frame: it is lost. */
            trace_virtio_net_rx_too_long(n, size);
            unpop_all(elems, count);
            return size;
        }
        elem = rx_pop(q->rx);
        if (!elem) {
            unpop_all(elems, count);
            return virtio_queue_ready(q->rx) ? 0 : (ssize_t)size;
        }
        elems[count] = elem;
        if (elem->in_size <= (count ? 0 : VIRTIO_NET_HDR_LEN)) {
            unpop_all(elems, count + 1);
            virtio_device_broken(&n->vdev, "virtio-net: receive buffer without room for data");
            return size;
        }
        if (count == 0) {
            if (hdr_in) {
                copy_iov(elem->in, elem->in_count, 0, iov, cnt, 0, hdr_in);
            } else {
                iov_from_buf(elem->in, elem->in_count, 0, plain_header, sizeof(plain_header));
            }
            offset = VIRTIO_NET_HDR_LEN;
        }
        copied = copy_iov(elem->in, elem->in_count, offset, iov, cnt, done, size - done);
        done += copied;
        written[count++] = offset + copied;
    }
    store_le16(num_buffers, count);
    iov_from_buf(elems[0]->in, elems[0]->in_count, VIRTIO_NET_HDR_NUM_BUFFERS, num_buffers, sizeof(num_buffers));
    for (unsigned i = 0; i < count; i++) {
        virtqueue_fill(elems[i], written[i], i);
    }
    virtqueue_flush(q->rx, count);
    for (unsigned i = 0; i < count; i++) {
        virtqueue_element_free(elems[i]);
    }
    virtqueue_notify(q->rx);
    return size;
}
