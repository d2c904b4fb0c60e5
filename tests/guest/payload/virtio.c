/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small virtio 1.2 driver: PCI transport (4.1), split (2.7) and packed (2.8)
 * rings, indirect descriptors and event indices.
 */
#include "payload.h"

#define CAP_VENDOR 0x09
#define CFG_COMMON 1
#define CFG_NOTIFY 2
#define CFG_ISR 3
#define CFG_DEVICE 4

/* Common configuration (4.1.4.3). */
enum {
    COMMON_DFSELECT = 0, COMMON_DF = 4, COMMON_GFSELECT = 8, COMMON_GF = 12, COMMON_MSIX = 16,
    COMMON_STATUS = 20, COMMON_Q_SELECT = 22, COMMON_Q_SIZE = 24, COMMON_Q_MSIX = 26, COMMON_Q_ENABLE = 28,
    COMMON_Q_NOTIFY = 30, COMMON_Q_DESC = 32, COMMON_Q_DRIVER = 40, COMMON_Q_DEVICE = 48, COMMON_Q_RESET = 58,
};

enum { STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_DRIVER_OK = 4, STATUS_FEATURES_OK = 8 };

#define DESC_NEXT 1
#define DESC_WRITE 2
#define DESC_INDIRECT 4
#define PACKED_AVAIL (1 << 7)
#define PACKED_USED (1 << 15)
#define EVENTS_DISABLE 1

typedef struct Desc { uint64_t addr; uint32_t len; uint16_t flags, next; } Desc;
typedef struct PackedDesc { uint64_t addr; uint32_t len; uint16_t id, flags; } PackedDesc;

static bool find_capabilities(Virtio *v)
{
    PciFunction *f = v->pci;

    for (uint8_t cap = pci_read8(f, 0x34); cap; cap = pci_read8(f, cap + 1)) {
        uint8_t bar = pci_read8(f, cap + 4);
        uintptr_t at;

        if (pci_read8(f, cap) != CAP_VENDOR || bar > 5) {
            continue;
        }
        at = f->bar[bar] + pci_read32(f, cap + 8);
        switch (pci_read8(f, cap + 3)) {
        case CFG_COMMON:
            v->common = at;
            break;
        case CFG_NOTIFY:
            v->notify = at;
            v->notify_multiplier = pci_read32(f, cap + 16);
            break;
        case CFG_ISR:
            v->isr = at;
            break;
        case CFG_DEVICE:
            v->config = at;
            break;
        }
    }
    return v->common && v->notify && v->isr;
}

uint8_t virtio_status(Virtio *v)
{
    return read8(v->common + COMMON_STATUS);
}

static void status_add(Virtio *v, uint8_t bits)
{
    write8(v->common + COMMON_STATUS, virtio_status(v) | bits);
}

void virtio_reset(Virtio *v)
{
    write8(v->common + COMMON_STATUS, 0);
    while (virtio_status(v)) {
        cpu_pause();
    }
    memset(v->rings, 0, sizeof(v->rings));
    status_add(v, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
}

bool virtio_find(Virtio *v, uint16_t type, unsigned nth)
{
    for (unsigned i = 0; i < pci_count; i++) {
        PciFunction *f = &pci_functions[i];

        if (f->vendor != 0x1af4 || f->device != 0x1040 + type || nth--) {
            continue;
        }
        memset(v, 0, sizeof(*v));
        v->pci = f;
        v->type = type;
        pci_enable(f);
        if (!find_capabilities(v)) {
            return false;
        }
        virtio_reset(v);
        return true;
    }
    return false;
}

bool virtio_negotiate(Virtio *v, uint64_t wanted)
{
    v->offered = 0;
    for (unsigned i = 0; i < 2; i++) {
        write32(v->common + COMMON_DFSELECT, i);
        v->offered |= (uint64_t)read32(v->common + COMMON_DF) << 32 * i;
    }
    v->features = v->offered & (wanted | VIRTIO_F_VERSION_1);
    for (unsigned i = 0; i < 2; i++) {
        write32(v->common + COMMON_GFSELECT, i);
        write32(v->common + COMMON_GF, v->features >> 32 * i);
    }
    status_add(v, STATUS_FEATURES_OK);
    return virtio_status(v) & STATUS_FEATURES_OK;
}

static void write_address(Virtio *v, unsigned reg, uintptr_t addr)
{
    write32(v->common + reg, addr);
    write32(v->common + reg + 4, (uint64_t)addr >> 32);
}

bool virtio_ring_setup(Virtio *v, uint16_t index, uint16_t max_size, uint16_t msix)
{
    Ring *r = &v->rings[index];
    uint16_t size;

    write16(v->common + COMMON_Q_SELECT, index);
    size = read16(v->common + COMMON_Q_SIZE);
    if (!size) {
        return false;
    }
    memset(r, 0, sizeof(*r));
    r->dev = v;
    r->index = index;
    r->size = size < max_size ? size : max_size;
    r->packed = v->features & VIRTIO_F_PACKED;
    r->event_idx = v->features & VIRTIO_F_EVENT_IDX;
    r->indirect = v->features & VIRTIO_F_INDIRECT;
    r->avail_wrap = r->used_wrap = true;
    r->desc = (uintptr_t)alloc(16 * r->size, 4096);
    r->driver = (uintptr_t)alloc(r->packed ? 4 : 6 + 2 * r->size, 4096);
    r->device = (uintptr_t)alloc(r->packed ? 4 : 6 + 8 * r->size, 4096);
    r->indirect_table = (uintptr_t)alloc(16 * 16, 16);
    write16(v->common + COMMON_Q_SIZE, r->size);
    write16(v->common + COMMON_Q_MSIX, msix);
    if (read16(v->common + COMMON_Q_MSIX) != msix) {
        return false;
    }
    write_address(v, COMMON_Q_DESC, r->desc);
    write_address(v, COMMON_Q_DRIVER, r->driver);
    write_address(v, COMMON_Q_DEVICE, r->device);
    r->notify = v->notify + read16(v->common + COMMON_Q_NOTIFY) * v->notify_multiplier;
    write16(v->common + COMMON_Q_ENABLE, 1);
    return read16(v->common + COMMON_Q_ENABLE) == 1;
}

bool virtio_ring_reset(Virtio *v, uint16_t index)
{
    write16(v->common + COMMON_Q_SELECT, index);
    write16(v->common + COMMON_Q_RESET, 1);
    for (int i = 0; i < 1000 && read16(v->common + COMMON_Q_RESET); i++) {
        delay_us(100);
    }
    return !read16(v->common + COMMON_Q_RESET) && !read16(v->common + COMMON_Q_ENABLE);
}

void virtio_driver_ok(Virtio *v)
{
    status_add(v, STATUS_DRIVER_OK);
}

/* ---- split ring ---- */

static void split_add(Ring *r, const Buffer *bufs, unsigned n)
{
    Desc *desc = (Desc *)r->desc;
    uint16_t head = r->free_id;

    if (r->indirect && n > 1) {
        Desc *table = (Desc *)r->indirect_table;

        for (unsigned i = 0; i < n; i++) {
            table[i] = (Desc){ (uintptr_t)bufs[i].addr, bufs[i].len,
                               (bufs[i].write ? DESC_WRITE : 0) | (i + 1 < n ? DESC_NEXT : 0), i + 1 };
        }
        desc[head] = (Desc){ r->indirect_table, 16 * n, DESC_INDIRECT, 0 };
        r->free_id = (head + 1) % r->size;
    } else {
        for (unsigned i = 0; i < n; i++) {
            uint16_t next = (head + i + 1) % r->size;

            desc[(head + i) % r->size] = (Desc){ (uintptr_t)bufs[i].addr, bufs[i].len,
                                                 (bufs[i].write ? DESC_WRITE : 0) | (i + 1 < n ? DESC_NEXT : 0),
                                                 next };
        }
        r->free_id = (head + n) % r->size;
    }
    write16(r->driver + 4 + 2 * (r->avail % r->size), head);
    mb();
    r->avail++;
    write16(r->driver + 2, r->avail);
}

/* ---- packed ring ---- */

static uint16_t packed_flags(const Ring *r, uint16_t flags)
{
    return flags | (r->avail_wrap ? PACKED_AVAIL : PACKED_USED);
}

static void packed_advance(const Ring *r, uint16_t *slot, bool *wrap, unsigned n)
{
    *slot += n;
    if (*slot >= r->size) {
        *slot -= r->size;
        *wrap = !*wrap;
    }
}

static void packed_add(Ring *r, const Buffer *bufs, unsigned n)
{
    PackedDesc *desc = (PackedDesc *)r->desc;
    uint16_t first = r->avail, first_flags = 0;

    if (r->indirect && n > 1) {
        PackedDesc *table = (PackedDesc *)r->indirect_table;

        for (unsigned i = 0; i < n; i++) {
            table[i] = (PackedDesc){ (uintptr_t)bufs[i].addr, bufs[i].len, 0, bufs[i].write ? DESC_WRITE : 0 };
        }
        desc[first].addr = r->indirect_table;
        desc[first].len = 16 * n;
        desc[first].id = first;
        first_flags = packed_flags(r, DESC_INDIRECT);
        packed_advance(r, &r->avail, &r->avail_wrap, 1);
    } else {
        for (unsigned i = 0; i < n; i++) {
            PackedDesc *d = &desc[r->avail];
            uint16_t flags = packed_flags(r, (bufs[i].write ? DESC_WRITE : 0) | (i + 1 < n ? DESC_NEXT : 0));

            d->addr = (uintptr_t)bufs[i].addr;
            d->len = bufs[i].len;
            d->id = first;
            if (i == 0) {
                first_flags = flags;
            } else {
                d->flags = flags;
            }
            packed_advance(r, &r->avail, &r->avail_wrap, 1);
        }
    }
    /* The first descriptor's flags make the whole chain available. */
    r->free_id = n;
    mb();
    write16((uintptr_t)&desc[first].flags, first_flags);
}

/* ---- both ---- */

void ring_add(Ring *r, const Buffer *bufs, unsigned n)
{
    if (r->packed) {
        packed_add(r, bufs, n);
    } else {
        split_add(r, bufs, n);
    }
}

void ring_kick(Ring *r)
{
    mb();
    write16(r->notify, r->index);
}

static bool packed_has_used(Ring *r)
{
    uint16_t flags = read16((uintptr_t)&((PackedDesc *)r->desc)[r->used].flags);
    bool avail = flags & PACKED_AVAIL, used = flags & PACKED_USED;

    return avail == used && used == r->used_wrap;
}

bool ring_has_used(Ring *r)
{
    return r->packed ? packed_has_used(r) : read16(r->device + 2) != r->used;
}

bool ring_wait(Ring *r, uint32_t *len, uint32_t ms)
{
    for (uint32_t i = 0; !ring_has_used(r); i++) {
        if (i >= ms * 10) {
            return false;
        }
        delay_us(100);
    }
    barrier();
    if (r->packed) {
        PackedDesc *d = &((PackedDesc *)r->desc)[r->used];

        *len = d->len;
        /* One chain is in flight at a time here, so its length is known. */
        packed_advance(r, &r->used, &r->used_wrap, r->indirect && r->free_id > 1 ? 1 : r->free_id);
    } else {
        *len = read32(r->device + 4 + 8 * (r->used % r->size) + 4);
        r->used++;
    }
    return true;
}

void ring_want_irq(Ring *r, bool want)
{
    if (r->packed) {
        write16(r->driver + 2, want ? 0 : EVENTS_DISABLE);
    } else if (r->event_idx) {
        write16(r->driver + 4 + 2 * r->size, want ? r->used : (uint16_t)(r->used - 1));
    } else {
        write16(r->driver, want ? 0 : 1);
    }
    mb();
}

bool ring_do(Ring *r, const Buffer *bufs, unsigned n, uint32_t *len)
{
    ring_add(r, bufs, n);
    ring_kick(r);
    return ring_wait(r, len, 5000);
}
