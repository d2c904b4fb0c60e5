/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See virtqueue-fixture.h. Single thread.
 */
#include "util/osdep.h"
#include "virtqueue-fixture.h"

#define DESC_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define DESC_USED (1u << VRING_PACKED_DESC_F_USED)
#define INDIRECT_TABLES (RAM_A + 0x20000)       /* one of 8 descriptors for each id */

typedef struct FakeRam {
    GuestAddr addr;
    uint64_t size;
    bool readonly;
    RamBlock block;
} FakeRam;

static FakeRam rams[] = {
    { RAM_A, RAM_SIZE, false, { .id = "a" } },
    { RAM_B, RAM_SIZE, false, { .id = "b" } },
    { ROM, ROM_SIZE, true, { .id = "rom" } },
};
static int maps;
static unsigned notifications;
static uint64_t dirty_bytes;

/* ---- the stand-in for the machine ---- */

static FakeRam *ram_at(GuestAddr addr)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rams); i++) {
        if (addr - rams[i].addr < rams[i].size) {
            return &rams[i];
        }
    }
    return NULL;
}

void *guest_map(AddressSpace *as, GuestAddr addr, uint64_t *len, bool write)
{
    FakeRam *r = ram_at(addr);

    if (!r || !*len || (write && r->readonly)) {
        *len = 0;
        return NULL;
    }
    *len = MIN(*len, r->size - (addr - r->addr));
    maps++;
    return r->block.host + (addr - r->addr);
}

void guest_unmap(AddressSpace *as, void *host, uint64_t len, bool write, uint64_t written)
{
    g_assert_nonnull(host);
    g_assert_cmpuint(written, <=, len);
    g_assert_cmpint(maps, >, 0);
    maps--;
    dirty_bytes += written;
}

bool guest_ram_block_of(const void *host, RamBlock **rb, uint64_t *offset)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rams); i++) {
        uintptr_t at = (uintptr_t)host - (uintptr_t)rams[i].block.host;

        if (at < rams[i].size) {
            *rb = &rams[i].block;
            *offset = at;
            return true;
        }
    }
    return false;
}

void ram_block_set_dirty(RamBlock *rb, uint64_t offset, uint64_t len)
{
    g_assert_cmpuint(offset, <, rb->size);
    g_assert_cmpuint(len, <=, rb->size - offset);
    dirty_bytes += len;
}

bool guest_ram_read(AddressSpace *as, GuestAddr addr, void *buf, uint64_t len)
{
    while (len) {
        FakeRam *r = ram_at(addr);
        uint64_t n;

        if (!r) {
            return false;
        }
        n = MIN(len, r->size - (addr - r->addr));
        memcpy(buf, r->block.host + (addr - r->addr), n);
        buf = (uint8_t *)buf + n;
        addr += n;
        len -= n;
    }
    return true;
}

void virtio_device_broken(VirtioDevice *vdev, const char *why)
{
    if (!vdev->broken) {
        vdev->broken = true;
        vdev->broken_why = why;
    }
}

struct StateStream {
    GByteArray *bytes;
    size_t pos;
    bool failed;
};

void state_put_u16(StateStream *s, uint16_t v)
{
    g_byte_array_append(s->bytes, (uint8_t *)&v, sizeof(v));
}

void state_put_u32(StateStream *s, uint32_t v)
{
    g_byte_array_append(s->bytes, (uint8_t *)&v, sizeof(v));
}

void state_put_u64(StateStream *s, uint64_t v)
{
    g_byte_array_append(s->bytes, (uint8_t *)&v, sizeof(v));
}

static uint64_t get(StateStream *s, size_t n)
{
    uint64_t v = 0;

    if (s->failed || s->bytes->len - s->pos < n) {
        s->failed = true;
        return 0;
    }
    memcpy(&v, s->bytes->data + s->pos, n);
    s->pos += n;
    return v;
}

uint16_t state_get_u16(StateStream *s)
{
    return get(s, 2);
}

uint32_t state_get_u32(StateStream *s)
{
    return get(s, 4);
}

uint64_t state_get_u64(StateStream *s)
{
    return get(s, 8);
}

bool state_ok(const StateStream *s)
{
    return !s->failed;
}

void state_fail(StateStream *s, const char *why, ...)
{
    s->failed = true;
}

StateStream *fixture_stream_new(void)
{
    StateStream *s = g_new0(StateStream, 1);

    s->bytes = g_byte_array_new();
    return s;
}

void fixture_stream_free(StateStream *s)
{
    g_byte_array_unref(s->bytes);
    g_free(s);
}

/* ---- the fixture ---- */

static void notify_queue(DeviceState *transport, VirtQueue *vq)
{
    notifications++;
}

static const VirtioTransportOps transport_ops = {
    .notify_queue = notify_queue,
};

Fixture *fixture_new(uint64_t features, uint16_t size)
{
    static const bool dma_enabled = true;
    Fixture *f = g_new0(Fixture, 1);
    VirtQueue *vq = &f->vq;

    for (unsigned i = 0; i < ARRAY_SIZE(rams); i++) {
        rams[i].block.size = rams[i].size;
        rams[i].block.host = g_malloc0(rams[i].size);
    }
    f->vdev.transport_ops = &transport_ops;
    f->vdev.dma_enabled = &dma_enabled;
    f->vdev.guest_features = features;
    vq->vdev = &f->vdev;
    vq->max_size = VIRTIO_QUEUE_MAX_SIZE;
    vq->size = size;
    vq->enabled = true;
    vq->addr[VIRTQUEUE_DESC] = RING_DESC;
    vq->addr[VIRTQUEUE_DRIVER] = RING_DRIVER;
    vq->addr[VIRTQUEUE_DEVICE] = RING_DEVICE;
    vq->packed = features & BIT(VIRTIO_F_RING_PACKED);
    vq->event_idx = features & BIT(VIRTIO_RING_F_EVENT_IDX);
    vq->indirect = features & BIT(VIRTIO_RING_F_INDIRECT_DESC);
    notifications = 0;
    dirty_bytes = 0;
    fixture_go_live(f);
    return f;
}

bool fixture_go_live(Fixture *f)
{
    memset(fixture_mem(RAM_A), 0, 0x20000);
    f->vdev.broken = false;
    f->vdev.broken_why = NULL;
    virtqueue_init_indices(&f->vq);
    return virtqueue_map(&f->vq);
}

void fixture_free(Fixture *f)
{
    virtqueue_free(&f->vq);
    g_assert_cmpint(maps, ==, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(rams); i++) {
        g_free(rams[i].block.host);
    }
    g_free(f);
}

const char *fixture_broken(const Fixture *f)
{
    return f->vdev.broken ? f->vdev.broken_why : NULL;
}

unsigned fixture_notifications(void)
{
    unsigned n = notifications;

    notifications = 0;
    return n;
}

uint64_t fixture_take_dirty(void)
{
    uint64_t n = dirty_bytes;

    dirty_bytes = 0;
    return n;
}

uint8_t *fixture_mem(uint64_t addr)
{
    FakeRam *r = ram_at(addr);

    return r ? r->block.host + (addr - r->addr) : NULL;
}

int fixture_maps(void)
{
    return maps;
}

uint32_t prng(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* ---- the driver model ---- */

static void put16(uint64_t addr, uint16_t v)
{
    store_le16(fixture_mem(addr), v);
}

static uint16_t get16(uint64_t addr)
{
    return load_le16(fixture_mem(addr));
}

static void put_desc(uint64_t at, uint64_t addr, uint32_t len, uint16_t a, uint16_t b)
{
    uint8_t *p = fixture_mem(at);

    store_le64(p, addr);
    store_le32(p + 8, len);
    store_le16(p + 12, a);
    store_le16(p + 14, b);
}

Driver *driver_new(Fixture *f, uint64_t features)
{
    Driver *d = g_new0(Driver, 1);

    d->f = f;
    d->size = f->vq.size;
    d->packed = features & BIT(VIRTIO_F_RING_PACKED);
    d->event_idx = features & BIT(VIRTIO_RING_F_EVENT_IDX);
    d->free_ids = g_new(uint16_t, d->size);
    d->chain_len = g_new0(uint16_t, d->size);
    d->free_count = d->size;
    for (unsigned i = 0; i < d->size; i++) {
        d->free_ids[d->free_len++] = d->size - 1 - i;
    }
    d->avail_wrap = d->used_wrap = true;
    return d;
}

void driver_free(Driver *d)
{
    g_free(d->free_ids);
    g_free(d->chain_len);
    g_free(d);
}

static uint64_t write_indirect(Driver *d, uint16_t id, const Seg *segs, unsigned out, unsigned n)
{
    uint64_t table = INDIRECT_TABLES + 128 * id;

    g_assert_cmpuint(n, <=, 8);

    for (unsigned i = 0; i < n; i++) {
        uint16_t flags = i >= out ? VRING_DESC_F_WRITE : 0;

        if (d->packed) {
            put_desc(table + 16 * i, segs[i].addr, segs[i].len, 0, flags);
        } else {
            put_desc(table + 16 * i, segs[i].addr, segs[i].len,
                     flags | (i + 1 < n ? VRING_DESC_F_NEXT : 0), i + 1);
        }
    }
    return table;
}

static int add_split(Driver *d, const Seg *segs, unsigned out, unsigned n, bool indirect)
{
    Seg whole = { 0, 16 * n };
    unsigned slots = indirect ? 1 : n;
    uint16_t head = d->free_ids[d->free_len - 1];

    if (indirect) {
        whole.addr = write_indirect(d, head, segs, out, n);
    }
    for (unsigned i = 0; i < slots; i++) {
        uint16_t id = d->free_ids[--d->free_len];
        uint16_t next = i + 1 < slots ? d->free_ids[d->free_len - 1] : 0;
        const Seg *s = indirect ? &whole : &segs[i];
        uint16_t flags = indirect ? VRING_DESC_F_INDIRECT
                                  : (i >= out ? VRING_DESC_F_WRITE : 0) |
                                    (i + 1 < slots ? VRING_DESC_F_NEXT : 0);

        put_desc(RING_DESC + 16 * id, s->addr, s->len, flags, next);
    }
    d->chain_len[head] = slots;
    put16(RING_DRIVER + 4 + 2 * (d->avail_idx & (d->size - 1)), head);
    put16(RING_DRIVER + 2, ++d->avail_idx);
    return head;
}

static int add_packed(Driver *d, const Seg *segs, unsigned out, unsigned n, bool indirect)
{
    Seg whole = { 0, 16 * n };
    unsigned slots = indirect ? 1 : n;
    uint16_t id = d->free_ids[--d->free_len];
    uint16_t pos = d->avail_idx, first_flags = 0;

    if (indirect) {
        whole.addr = write_indirect(d, id, segs, out, n);
    }
    for (unsigned i = 0; i < slots; i++) {
        const Seg *s = indirect ? &whole : &segs[i];
        uint16_t flags = indirect ? VRING_DESC_F_INDIRECT
                                  : (i >= out ? VRING_DESC_F_WRITE : 0) |
                                    (i + 1 < slots ? VRING_DESC_F_NEXT : 0);

        flags |= d->avail_wrap ? DESC_AVAIL : DESC_USED;
        if (i == 0) {
            first_flags = flags;
            put_desc(RING_DESC + 16 * pos, s->addr, s->len, id, get16(RING_DESC + 16 * pos + 14));
        } else {
            put_desc(RING_DESC + 16 * pos, s->addr, s->len, id, flags);
        }
        if (++pos == d->size) {
            pos = 0;
            d->avail_wrap = !d->avail_wrap;
        }
    }
    put16(RING_DESC + 16 * d->avail_idx + 14, first_flags);
    d->avail_idx = pos;
    d->chain_len[id] = slots;
    return id;
}

int driver_add(Driver *d, const Seg *segs, unsigned out, unsigned in, bool indirect)
{
    unsigned n = out + in, slots = indirect ? 1 : n;

    if (slots > d->free_count || !d->free_len) {
        return -1;
    }
    d->free_count -= slots;
    d->added += d->packed ? slots : 1;
    return d->packed ? add_packed(d, segs, out, n, indirect)
                     : add_split(d, segs, out, n, indirect);
}

static void free_chain(Driver *d, uint16_t id)
{
    uint16_t at = id;

    g_assert_cmpuint(id, <, d->size);
    g_assert_cmpuint(d->chain_len[id], >, 0);
    d->free_count += d->chain_len[id];
    if (d->packed) {
        d->free_ids[d->free_len++] = id;
    } else {
        for (unsigned i = 0; i < d->chain_len[id]; i++) {
            d->free_ids[d->free_len++] = at;
            at = get16(RING_DESC + 16 * at + 14);
        }
    }
}

bool driver_get_used(Driver *d, uint16_t *id, uint32_t *len)
{
    uint64_t at;

    if (d->packed) {
        uint16_t flags;

        at = RING_DESC + 16 * d->used_idx;
        flags = get16(at + 14);
        if (!!(flags & DESC_AVAIL) != d->used_wrap || !!(flags & DESC_USED) != d->used_wrap) {
            return false;
        }
        *id = get16(at + 12);
        *len = load_le32(fixture_mem(at + 8));
        free_chain(d, *id);
        d->used_idx += d->chain_len[*id];
        if (d->used_idx >= d->size) {
            d->used_idx -= d->size;
            d->used_wrap = !d->used_wrap;
        }
    } else {
        if (get16(RING_DEVICE + 2) == d->used_idx) {
            return false;
        }
        at = RING_DEVICE + 4 + 8 * (d->used_idx++ & (d->size - 1));
        *id = load_le32(fixture_mem(at));
        *len = load_le32(fixture_mem(at + 4));
        free_chain(d, *id);
    }
    d->chain_len[*id] = 0;
    return true;
}

bool driver_should_kick(Driver *d)
{
    uint16_t n = d->added;
    uint16_t event, flags;

    d->added = 0;
    if (!d->packed) {
        event = get16(RING_DEVICE + 4 + 8 * d->size);
        return d->event_idx ? vring_need_event(event, d->avail_idx, d->avail_idx - n)
                            : !(get16(RING_DEVICE) & VRING_USED_F_NO_NOTIFY);
    }
    event = get16(RING_DEVICE);
    flags = get16(RING_DEVICE + 2);
    if (flags != VRING_PACKED_EVENT_FLAG_DESC) {
        return flags == VRING_PACKED_EVENT_FLAG_ENABLE;
    }
    if ((event >> 15) != d->avail_wrap) {
        event = (event & 0x7fff) - d->size;
    } else {
        event &= 0x7fff;
    }
    return vring_need_event(event, d->avail_idx, d->avail_idx - n);
}

void driver_want_interrupt(Driver *d, bool enable, unsigned delay)
{
    uint16_t pos = d->used_idx + delay;
    bool wrap = d->used_wrap;

    if (!d->packed) {
        put16(RING_DRIVER, enable || d->event_idx ? 0 : VRING_AVAIL_F_NO_INTERRUPT);
        put16(RING_DRIVER + 4 + 2 * d->size, enable ? pos : d->used_idx - 1);
        return;
    }
    if (pos >= d->size) {
        pos -= d->size;
        wrap = !wrap;
    }
    put16(RING_DRIVER, pos | (wrap ? 0x8000 : 0));
    put16(RING_DRIVER + 2, !enable ? VRING_PACKED_EVENT_FLAG_DISABLE
                                   : d->event_idx ? VRING_PACKED_EVENT_FLAG_DESC
                                                  : VRING_PACKED_EVENT_FLAG_ENABLE);
}
