/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split virtqueues (virtio 1.2, 2.7).
 *
 * Three areas: the descriptor table (16 bytes a descriptor, chained by "next"),
 * the available ring, written by the driver
 *     u16 flags; u16 idx; u16 ring[size]; u16 used_event;
 * and the used ring, written by us
 *     u16 flags; u16 idx; { u32 id; u32 len; } ring[size]; u16 avail_event;
 * Both indices run freely; their low bits select the slot (sizes are powers of
 * two).
 *
 * Thread: the one that serves the queue. Trust: none; each value is loaded once
 * and then checked.
 */
#include "util/osdep.h"
#include "virtqueue-internal.h"

#define AVAIL_FLAGS 0
#define AVAIL_IDX 2
#define AVAIL_RING(n) (4 + 2 * (uint64_t)(n))
#define USED_FLAGS 0
#define USED_IDX 2
#define USED_RING(n) (4 + 8 * (uint64_t)(n))

uint64_t split_part_len(const VirtQueue *vq, VirtQueuePart part)
{
    uint64_t event = vq->event_idx ? 2 : 0;

    switch (part) {
    case VIRTQUEUE_DESC:
        return 16 * (uint64_t)vq->size;
    case VIRTQUEUE_DRIVER:
        return AVAIL_RING(vq->size) + event;
    default:
        return USED_RING(vq->size) + event;
    }
}

/* The driver's index; false when it is further ahead than the ring is long. */
static bool update_avail(VirtQueue *vq)
{
    uint16_t idx = ring_load16(&vq->part[VIRTQUEUE_DRIVER], AVAIL_IDX);

    if ((uint16_t)(idx - vq->next_avail) > vq->size) {
        return ring_bad(vq, "available index jumped");
    }
    vq->avail_seen = idx;
    /* Ring entries and descriptors are read after the index that announces them. */
    smp_rmb();
    return true;
}

bool split_empty(VirtQueue *vq)
{
    return vq->avail_seen == vq->next_avail &&
           (!update_avail(vq) || vq->avail_seen == vq->next_avail);
}

static bool fetch_indirect(VirtQueue *vq, RingChain *c, const RingDesc *head)
{
    unsigned count, n = 0, i = 0;
    const RingDesc *table;
    RingDesc d;

    if (!vq->indirect || (head->split.flags & VRING_DESC_F_NEXT)) {
        return ring_bad(vq, "indirect descriptor not allowed");
    }
    table = ring_indirect_table(vq, head->addr, head->len, &count);
    if (!table) {
        return false;
    }
    do {
        if (n++ == count) {
            return ring_bad(vq, "loop in an indirect table");
        }
        d = ring_desc_read(&table[i]);
        if (d.split.flags & VRING_DESC_F_INDIRECT) {
            return ring_bad(vq, "nested indirect table");
        }
        if (!ring_chain_add(vq, c, d.addr, d.len, d.split.flags & VRING_DESC_F_WRITE)) {
            return false;
        }
        i = d.split.next;
        if ((d.split.flags & VRING_DESC_F_NEXT) && i >= count) {
            return ring_bad(vq, "next descriptor outside the indirect table");
        }
    } while (d.split.flags & VRING_DESC_F_NEXT);
    return true;
}

static bool fetch_chain(VirtQueue *vq, RingChain *c, uint16_t head)
{
    const uint8_t *table = vq->part[VIRTQUEUE_DESC].host;
    unsigned n = 0, i = head;
    RingDesc d = ring_desc_read(table + 16 * i);

    if (d.split.flags & VRING_DESC_F_INDIRECT) {
        return fetch_indirect(vq, c, &d);
    }
    for (;;) {
        if (!ring_chain_add(vq, c, d.addr, d.len, d.split.flags & VRING_DESC_F_WRITE)) {
            return false;
        }
        if (!(d.split.flags & VRING_DESC_F_NEXT)) {
            return true;
        }
        i = d.split.next;
        if (i >= vq->size) {
            return ring_bad(vq, "next descriptor outside the table");
        }
        if (++n == vq->size) {
            return ring_bad(vq, "descriptor loop");
        }
        d = ring_desc_read(table + 16 * i);
        if (d.split.flags & VRING_DESC_F_INDIRECT) {
            return ring_bad(vq, "indirect descriptor in a chain");
        }
    }
}

bool split_fetch(VirtQueue *vq, RingChain *c)
{
    uint16_t head;

    if (split_empty(vq)) {
        return false;
    }
    if (vq->in_flight >= vq->size) {
        return ring_bad(vq, "more buffers than the ring has descriptors");
    }
    head = ring_load16(&vq->part[VIRTQUEUE_DRIVER],
                       AVAIL_RING(vq->next_avail & (vq->size - 1)));
    if (head >= vq->size) {
        return ring_bad(vq, "descriptor head outside the table");
    }
    c->index = head;
    c->ndescs = 1;
    if (!fetch_chain(vq, c, head)) {
        return false;
    }
    vq->next_avail++;
    return true;
}

void split_fill(VirtQueue *vq, const VirtQueueElement *elem, uint32_t written, unsigned nth)
{
    RingPart *used = &vq->part[VIRTQUEUE_DEVICE];
    uint64_t at = USED_RING((vq->next_used + nth) & (vq->size - 1));
    uint8_t *slot = used->host + at;

    store_le32(slot, elem->index);
    store_le32(slot + 4, written);
    ring_part_dirty(used, at, 8);
}

void split_flush(VirtQueue *vq, unsigned count)
{
    RingPart *used = &vq->part[VIRTQUEUE_DEVICE];

    vq->next_used += count;
    vq->unsignalled += count;
    /* The entries, and the data they announce, before the index. */
    smp_wmb();
    ring_store16(used, USED_IDX, vq->next_used);
    ring_part_dirty(used, 0, 4);
}

void split_enable_kicks(VirtQueue *vq, bool enable)
{
    RingPart *used = &vq->part[VIRTQUEUE_DEVICE];

    if (vq->event_idx) {
        /* A stale event index behind us is what suppresses. */
        if (enable) {
            ring_store16(used, USED_RING(vq->size), vq->next_avail);
            ring_part_dirty(used, USED_RING(vq->size), 2);
        }
    } else if (enable != vq->kicks_enabled) {
        ring_store16(used, USED_FLAGS, enable ? 0 : VRING_USED_F_NO_NOTIFY);
        ring_part_dirty(used, 0, 2);
    }
}

bool split_should_notify(VirtQueue *vq)
{
    const RingPart *avail = &vq->part[VIRTQUEUE_DRIVER];
    unsigned n = vq->unsignalled;

    if (!vq->event_idx) {
        return !(ring_load16(avail, AVAIL_FLAGS) & VRING_AVAIL_F_NO_INTERRUPT);
    }
    vq->unsignalled = 0;
    return n >= RING_UNSIGNALLED_ALL ||
           vring_need_event(ring_load16(avail, AVAIL_RING(vq->size)), vq->next_used,
                            vq->next_used - n);
}
