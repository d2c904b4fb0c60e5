/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packed virtqueues (virtio 1.2, 2.8).
 *
 * One ring of 16-byte descriptors { u64 addr; u32 len; u16 id; u16 flags; } that
 * both sides write. A descriptor is available when its AVAIL bit equals our
 * wrap counter and its USED bit does not; we mark it used by writing both bits
 * equal to our used wrap counter. Both counters flip at the end of the ring.
 * Two 4-byte areas { u16 off_wrap; u16 flags; } say when each side wants to
 * be told.
 *
 * Thread: the one that serves the queue. Trust: none; each value is loaded once
 * and then checked.
 */
#include "util/osdep.h"
#include "virtqueue-internal.h"

#define DESC_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define DESC_USED (1u << VRING_PACKED_DESC_F_USED)
#define EVENT_OFF_WRAP 0
#define EVENT_FLAGS 2
#define EVENT_WRAP (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

#define DESC_AT(n) (16 * (uint64_t)(n))

uint64_t packed_part_len(const VirtQueue *vq, VirtQueuePart part)
{
    return part == VIRTQUEUE_DESC ? DESC_AT(vq->size) : 4;
}

static bool desc_is_avail(VirtQueue *vq)
{
    uint16_t flags = ring_load16(&vq->part[VIRTQUEUE_DESC], DESC_AT(vq->next_avail) + 14);

    return !!(flags & DESC_AVAIL) == vq->avail_wrap && !!(flags & DESC_USED) != vq->avail_wrap;
}

bool packed_empty(VirtQueue *vq)
{
    return !desc_is_avail(vq);
}

/* Step over @n (at most the ring size) slots, forwards or back. */
static void advance(VirtQueue *vq, uint16_t *pos, bool *wrap, unsigned n)
{
    unsigned next = *pos + n;

    if (next >= vq->size) {
        next -= vq->size;
        *wrap = !*wrap;
    }
    *pos = next;
}

void packed_unfetch(VirtQueue *vq, unsigned ndescs)
{
    if (vq->next_avail < ndescs) {
        vq->next_avail += vq->size;
        vq->avail_wrap = !vq->avail_wrap;
    }
    vq->next_avail -= ndescs;
}

static bool fetch_indirect(VirtQueue *vq, RingChain *c, const RingDesc *head)
{
    unsigned count;
    const RingDesc *table;

    if (!vq->indirect || (head->packed.flags & VRING_DESC_F_NEXT)) {
        return ring_bad(vq, "indirect descriptor not allowed");
    }
    table = ring_indirect_table(vq, head->addr, head->len, &count);
    if (!table) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        RingDesc d = ring_desc_read(&table[i]);

        if (d.packed.flags & VRING_DESC_F_INDIRECT) {
            return ring_bad(vq, "nested indirect table");
        }
        if (!ring_chain_add(vq, c, d.addr, d.len, d.packed.flags & VRING_DESC_F_WRITE)) {
            return false;
        }
    }
    return true;
}

static bool fetch_chain(VirtQueue *vq, RingChain *c)
{
    const uint8_t *ring = vq->part[VIRTQUEUE_DESC].host;
    unsigned room = vq->size - vq->in_flight_descs;
    unsigned pos = vq->next_avail;
    RingDesc d = ring_desc_read(ring + DESC_AT(pos));

    c->ndescs = 1;
    c->index = d.packed.id;
    if (d.packed.flags & VRING_DESC_F_INDIRECT) {
        return fetch_indirect(vq, c, &d);
    }
    for (;;) {
        if (!ring_chain_add(vq, c, d.addr, d.len, d.packed.flags & VRING_DESC_F_WRITE)) {
            return false;
        }
        /* The last descriptor of a chain carries the buffer's id. */
        c->index = d.packed.id;
        if (!(d.packed.flags & VRING_DESC_F_NEXT)) {
            return true;
        }
        if (c->ndescs == room) {
            return ring_bad(vq, "chain longer than the free part of the ring");
        }
        c->ndescs++;
        pos = pos + 1 == vq->size ? 0 : pos + 1;
        d = ring_desc_read(ring + DESC_AT(pos));
        if (d.packed.flags & VRING_DESC_F_INDIRECT) {
            return ring_bad(vq, "indirect descriptor in a chain");
        }
    }
}

bool packed_fetch(VirtQueue *vq, RingChain *c)
{
    if (packed_empty(vq)) {
        return false;
    }
    if (vq->in_flight_descs >= vq->size) {
        return ring_bad(vq, "more buffers than the ring has descriptors");
    }
    /* The descriptor is read after the flags that made it available. */
    smp_rmb();
    if (!fetch_chain(vq, c)) {
        return false;
    }
    advance(vq, &vq->next_avail, &vq->avail_wrap, c->ndescs);
    return true;
}

void packed_fill(VirtQueue *vq, const VirtQueueElement *elem, uint32_t written, unsigned nth)
{
    assert(nth < vq->size);
    vq->filled[nth] = (RingFilled){ .len = written, .id = elem->index, .ndescs = elem->ndescs };
}

static uint16_t write_used(VirtQueue *vq, const RingFilled *f, uint16_t pos, bool wrap)
{
    uint8_t *desc = vq->part[VIRTQUEUE_DESC].host + DESC_AT(pos);
    uint16_t flags = wrap ? DESC_AVAIL | DESC_USED : 0;

    store_le32(desc + 8, f->len);
    store_le16(desc + 12, f->id);
    return f->len ? flags | VRING_DESC_F_WRITE : flags;
}

void packed_flush(VirtQueue *vq, unsigned count)
{
    RingPart *ring = &vq->part[VIRTQUEUE_DESC];
    uint16_t first = vq->next_used, pos = vq->next_used;
    bool wrap = vq->used_wrap;
    uint16_t first_flags = 0;

    if (!count) {
        return;
    }
    /* All but the first become visible only with the first, whose flags go last. */
    for (unsigned i = 0; i < count; i++) {
        uint16_t flags = write_used(vq, &vq->filled[i], pos, wrap);

        if (i == 0) {
            first_flags = flags;
        } else {
            smp_wmb();
            ring_store16(ring, DESC_AT(pos) + 14, flags);
        }
        ring_part_dirty(ring, DESC_AT(pos), 16);
        advance(vq, &pos, &wrap, vq->filled[i].ndescs);
        vq->unsignalled += vq->filled[i].ndescs;
    }
    smp_wmb();
    ring_store16(ring, DESC_AT(first) + 14, first_flags);
    vq->next_used = pos;
    vq->used_wrap = wrap;
}

void packed_enable_kicks(VirtQueue *vq, bool enable)
{
    RingPart *device = &vq->part[VIRTQUEUE_DEVICE];
    uint16_t flags = VRING_PACKED_EVENT_FLAG_DISABLE;

    if (enable == vq->kicks_enabled && !(enable && vq->event_idx)) {
        return;
    }
    if (enable && vq->event_idx) {
        ring_store16(device, EVENT_OFF_WRAP,
                     vq->next_avail | (vq->avail_wrap ? EVENT_WRAP : 0));
        smp_wmb();
        flags = VRING_PACKED_EVENT_FLAG_DESC;
    } else if (enable) {
        flags = VRING_PACKED_EVENT_FLAG_ENABLE;
    }
    ring_store16(device, EVENT_FLAGS, flags);
    ring_part_dirty(device, 0, 4);
}

bool packed_should_notify(VirtQueue *vq)
{
    uint32_t event = le32toh(READ_ONCE(*(const uint32_t *)vq->part[VIRTQUEUE_DRIVER].host));
    unsigned flags = (event >> 16) & 3;
    uint16_t off = event & (EVENT_WRAP - 1);
    unsigned n = vq->unsignalled;

    vq->unsignalled = 0;
    if (flags == VRING_PACKED_EVENT_FLAG_DISABLE) {
        return false;
    }
    if (!vq->event_idx || flags != VRING_PACKED_EVENT_FLAG_DESC || n >= vq->size) {
        return true;
    }
    /* A place in the lap before counts as negative, and so does where we were then. */
    if (!!(event & EVENT_WRAP) != vq->used_wrap) {
        off -= vq->size;
    }
    return vring_need_event(off, vq->next_used, vq->next_used - n);
}
