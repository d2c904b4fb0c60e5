/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtqueues, the part that both ring formats share: the ring's memory, the
 * mapping of buffers, elements and their pool, and what devices call (virtio
 * 1.2, 2.6 to 2.8).
 *
 * Buffers are mapped through windows: large pieces of guest RAM that stay
 * mapped from one request to the next, so that the usual descriptor costs a
 * comparison. A buffer that no window covers as a whole is mapped piece by
 * piece.
 *
 * Thread: the one that serves the queue, or the holder of the machine lock
 * while the queue does not run. Trust: ring contents are hostile. Limits: 1024
 * descriptors and 2^32 - 1 bytes a buffer.
 */
#include "util/osdep.h"
#include "util/iov.h"
#include "util/rcu.h"
#include "virtqueue-internal.h"

/* ---- windows ---- */

static void window_drop(VirtQueue *vq, RingWindow *w)
{
    guest_unmap(vq->vdev->dma, w->host, w->len, true, 0);
    memset(w, 0, sizeof(*w));
}

static bool window_map(VirtQueue *vq, RingWindow *w, uint64_t base, uint64_t addr, uint32_t len)
{
    uint64_t got = UINT64_MAX - base;
    void *host = guest_map(vq->vdev->dma, base, &got, true);
    bool known;

    if (!host) {
        return false;
    }
    rcu_read_lock();
    known = guest_ram_block_of(host, &w->block, &w->block_offset);
    rcu_read_unlock();
    if (!known || addr - base >= got || len > got - (addr - base)) {
        guest_unmap(vq->vdev->dma, host, got, true, 0);
        return false;
    }
    w->addr = base;
    w->len = got;
    w->host = host;
    return true;
}

/* A window that covers the range, made if it can be; -1: none. */
static int window_load(VirtQueue *vq, uint64_t addr, uint32_t len)
{
    RingWindow *w;
    unsigned n;

    for (n = 0; n < VQ_WINDOWS; n++) {
        w = &vq->window[(vq->window_next + n) % VQ_WINDOWS];
        if (!w->users) {
            break;
        }
    }
    if (n == VQ_WINDOWS) {
        return -1;
    }
    n = w - vq->window;
    vq->window_next = (n + 1) % VQ_WINDOWS;
    if (w->len) {
        window_drop(vq, w);
    }
    if (!window_map(vq, w, ROUND_DOWN(addr, VQ_WINDOW_ALIGN), addr, len) &&
        !window_map(vq, w, addr, addr, len)) {
        return -1;
    }
    return n;
}

/* The host address of guest RAM within one window, whose number goes to @window; NULL: not so. */
static inline uint8_t *window_find(VirtQueue *vq, uint64_t addr, uint32_t len, int *window)
{
    for (int i = 0; i < VQ_WINDOWS; i++) {
        RingWindow *w = &vq->window[i];
        uint64_t offset = addr - w->addr;

        if (offset < w->len && len <= w->len - offset && !w->stale) {
            *window = i;
            return w->host + offset;
        }
    }
    *window = window_load(vq, addr, len);
    if (*window < 0) {
        return NULL;
    }
    return vq->window[*window].host + (addr - vq->window[*window].addr);
}

static void windows_put(VirtQueue *vq, unsigned mask)
{
    for (int i = 0; mask; i++, mask >>= 1) {
        RingWindow *w = &vq->window[i];

        if ((mask & 1) && --w->users == 0 && w->stale) {
            window_drop(vq, w);
        }
    }
}

static void windows_retire(VirtQueue *vq)
{
    for (int i = 0; i < VQ_WINDOWS; i++) {
        RingWindow *w = &vq->window[i];

        if (w->users) {
            w->stale = true;
        } else if (w->len) {
            window_drop(vq, w);
        }
    }
}

/* ---- the ring's own memory ---- */

static void part_unmap(VirtQueue *vq, RingPart *part)
{
    if (part->host) {
        guest_unmap(vq->vdev->dma, part->host, part->len, part->write, 0);
        memset(part, 0, sizeof(*part));
    }
}

static bool part_map(VirtQueue *vq, RingPart *part, uint64_t addr, uint64_t len, bool write)
{
    uint64_t got = len;
    bool known = true;

    part->host = guest_map(vq->vdev->dma, addr, &got, write);
    part->len = got;
    part->write = write;
    if (!part->host) {
        return false;
    }
    if (write) {
        rcu_read_lock();
        known = guest_ram_block_of(part->host, &part->block, &part->block_offset);
        rcu_read_unlock();
    }
    /* Guest alignment was checked; a back end whose pages are odd is not usable. */
    if (!known || got < len || !IS_ALIGNED((uintptr_t)part->host, 4)) {
        part_unmap(vq, part);
        return false;
    }
    return true;
}

static bool geometry_ok(const VirtQueue *vq)
{
    static const uint8_t align[2][VIRTQUEUE_PARTS] = { { 16, 2, 4 }, { 16, 4, 4 } };

    if (!vq->size || vq->size > vq->max_size || (!vq->packed && !IS_POWER_OF_2(vq->size))) {
        return false;
    }
    for (int i = 0; i < VIRTQUEUE_PARTS; i++) {
        uint64_t len = vq->packed ? packed_part_len(vq, i) : split_part_len(vq, i);

        if (vq->addr[i] % align[vq->packed][i] || vq->addr[i] > UINT64_MAX - len) {
            return false;
        }
    }
    return true;
}

bool virtqueue_map(VirtQueue *vq)
{
    uint32_t generation = atomic_load_acquire(&vq->vdev->map_generation);

    virtqueue_unmap(vq);
    if (!geometry_ok(vq)) {
        return ring_bad(vq, "queue size or address not possible");
    }
    for (int i = 0; i < VIRTQUEUE_PARTS; i++) {
        uint64_t len = vq->packed ? packed_part_len(vq, i) : split_part_len(vq, i);
        bool write = i == VIRTQUEUE_DEVICE || (vq->packed && i == VIRTQUEUE_DESC);

        if (!part_map(vq, &vq->part[i], vq->addr[i], len, write)) {
            virtqueue_unmap(vq);
            return ring_bad(vq, "ring outside RAM");
        }
    }
    vq->map_generation = generation;
    vq->live = true;
    return true;
}

void virtqueue_unmap(VirtQueue *vq)
{
    vq->live = false;
    for (int i = 0; i < VIRTQUEUE_PARTS; i++) {
        part_unmap(vq, &vq->part[i]);
    }
    windows_retire(vq);
}

void virtqueue_init_indices(VirtQueue *vq)
{
    vq->next_avail = vq->avail_seen = vq->next_used = 0;
    vq->avail_wrap = vq->used_wrap = true;
    vq->in_flight = vq->in_flight_descs = 0;
    vq->unsignalled = RING_UNSIGNALLED_ALL;
    vq->kicks_enabled = true;
}

void virtqueue_free(VirtQueue *vq)
{
    VirtQueueElement *next;

    virtqueue_unmap(vq);
    for (VirtQueueElement *e = vq->pool; e; e = next) {
        next = e->next_free;
        g_free(e);
    }
    vq->pool = NULL;
    g_clear_pointer(&vq->scratch, g_free);
    g_clear_pointer(&vq->filled, g_free);
    g_clear_pointer(&vq->table, g_free);
}

/* The queue may be worked on now; its memory is current. */
static inline bool queue_usable(VirtQueue *vq)
{
    VirtioDevice *vdev = vq->vdev;

    if (UNLIKELY(!vq->live || atomic_load(&vdev->broken) || !atomic_load(vdev->dma_enabled))) {
        return false;
    }
    if (UNLIKELY(vq->map_generation != atomic_load(&vdev->map_generation))) {
        return virtqueue_map(vq);
    }
    return true;
}

/* What the first buffer needs: many queues never see one. */
static void queue_prepare(VirtQueue *vq)
{
    vq->scratch = g_new(RingScratch, 1);
    vq->filled = g_new(RingFilled, vq->max_size);
}

/* ---- collecting a buffer ---- */

bool ring_chain_add(VirtQueue *vq, RingChain *c, uint64_t addr, uint32_t len, bool write)
{
    unsigned n = c->out_count + c->in_count;
    uint8_t *host;
    int window;

    if (UNLIKELY(!len)) {
        return ring_bad(vq, "descriptor of no length");
    }
    if (UNLIKELY(n == VIRTIO_QUEUE_MAX_SIZE)) {
        return ring_bad(vq, "buffer of too many descriptors");
    }
    if (UNLIKELY(!write && c->in_count)) {
        return ring_bad(vq, "readable descriptor after a writable one");
    }
    if (UNLIKELY(c->out_size + c->in_size + len > UINT32_MAX)) {
        return ring_bad(vq, "buffer of more than 4 GiB");
    }
    host = window_find(vq, addr, len, &window);
    if (LIKELY(host)) {
        /* Taken at once, so that a later descriptor of this buffer does not evict it. */
        if (!(c->windows & (1u << window))) {
            c->windows |= 1u << window;
            vq->window[window].users++;
        }
    } else {
        c->direct = true;
    }
    vq->scratch->iov[n] = (struct iovec){ .iov_base = host, .iov_len = len };
    vq->scratch->addr[n] = addr;
    if (write) {
        c->in_count++;
        c->in_size += len;
    } else {
        c->out_count++;
        c->out_size += len;
    }
    return true;
}

const RingDesc *ring_indirect_table(VirtQueue *vq, uint64_t addr, uint32_t len, unsigned *count)
{
    uint8_t *host;
    int window;

    *count = len / sizeof(RingDesc);
    if (!len || len % sizeof(RingDesc)) {
        ring_bad(vq, "indirect table of odd length");
        return NULL;
    }
    if (*count > VIRTIO_QUEUE_MAX_SIZE) {
        ring_bad(vq, "indirect table too long");
        return NULL;
    }
    host = window_find(vq, addr, len, &window);
    if (LIKELY(host)) {
        /* Windows are only evicted by the next look-up, which takes free ones first. */
        vq->table_window = window;
        vq->window[window].users++;
        return (const RingDesc *)host;
    }
    if (!vq->table) {
        vq->table = g_new(RingDesc, VIRTIO_QUEUE_MAX_SIZE);
    }
    if (!guest_ram_read(vq->vdev->dma, addr, vq->table, len)) {
        ring_bad(vq, "indirect table outside RAM");
        return NULL;
    }
    return vq->table;
}

/* ---- elements ---- */

static size_t elem_lists_size(unsigned n)
{
    return n * (sizeof(struct iovec) + sizeof(uint64_t));
}

/* The lists lie behind the device's part of the allocation. */
static VirtQueueElement *elem_new(VirtQueue *vq, size_t size, unsigned iovs)
{
    VirtQueueElement *e = vq->pool;
    bool pooled = iovs <= VQ_POOL_IOVS;

    assert(size >= sizeof(*e));
    size = ROUND_UP(size, 16);
    if (!vq->pool_elem_size) {
        vq->pool_elem_size = size;
    }
    pooled = pooled && size == vq->pool_elem_size;
    if (LIKELY(pooled && e)) {
        vq->pool = e->next_free;
    } else {
        e = g_malloc(size + elem_lists_size(pooled ? VQ_POOL_IOVS : iovs));
    }
    *e = (VirtQueueElement){ .vq = vq, .pooled = pooled };
    e->out = (struct iovec *)((char *)e + size);
    e->addrs = (uint64_t *)(e->out + iovs);
    return e;
}

void virtqueue_element_free(void *elem)
{
    VirtQueueElement *e = elem;

    if (!e) {
        return;
    }
    assert(!e->mapped);
    if (e->pooled) {
        e->next_free = e->vq->pool;
        e->vq->pool = e;
    } else {
        g_free(e);
    }
}

static void direct_unmap(VirtQueueElement *e, uint32_t written)
{
    AddressSpace *as = e->vq->vdev->dma;

    for (unsigned i = 0; i < e->out_count; i++) {
        guest_unmap(as, e->out[i].iov_base, e->out[i].iov_len, false, 0);
    }
    for (unsigned i = 0; i < e->in_count; i++) {
        uint32_t n = MIN(written, e->in[i].iov_len);

        guest_unmap(as, e->in[i].iov_base, e->in[i].iov_len, true, n);
        written -= n;
    }
}

/* Tell dirty logging what was written through windows. */
static void windows_dirty(VirtQueueElement *e, uint32_t written)
{
    VirtQueue *vq = e->vq;

    for (unsigned i = 0; i < e->in_count && written; i++) {
        uint32_t n = MIN(written, e->in[i].iov_len);

        for (int k = 0; k < VQ_WINDOWS; k++) {
            RingWindow *w = &vq->window[k];
            uintptr_t offset = (uintptr_t)e->in[i].iov_base - (uintptr_t)w->host;

            if ((e->windows & (1u << k)) && offset < w->len) {
                ram_block_set_dirty(w->block, w->block_offset + offset, n);
                break;
            }
        }
        written -= n;
    }
}

static void elem_unmap(VirtQueueElement *e, uint32_t written)
{
    if (!e->mapped) {
        return;
    }
    e->mapped = false;
    if (UNLIKELY(e->direct)) {
        direct_unmap(e, written);
    } else {
        windows_dirty(e, written);
    }
    windows_put(e->vq, e->windows);
    e->windows = 0;
}

/* Map [@addr, @addr + @len) in as many pieces as it takes. */
static bool direct_map_range(VirtQueue *vq, GArray *iovs, GArray *addrs, uint64_t addr,
                             uint64_t len, bool write)
{
    while (len) {
        uint64_t got = len;
        void *host = iovs->len < VIRTIO_QUEUE_MAX_SIZE
                     ? guest_map(vq->vdev->dma, addr, &got, write) : NULL;
        struct iovec iov = { .iov_base = host, .iov_len = got };

        if (!host) {
            return false;
        }
        g_array_append_val(iovs, iov);
        g_array_append_val(addrs, addr);
        addr += got;
        len -= got;
    }
    return true;
}

/* An element whose parts are mapped one by one, from the scratch lists' addresses; NULL: not RAM. */
static VirtQueueElement *elem_new_direct(VirtQueue *vq, const RingChain *c, size_t size)
{
    g_autoptr(GArray) iovs = g_array_new(false, false, sizeof(struct iovec));
    g_autoptr(GArray) addrs = g_array_new(false, false, sizeof(uint64_t));
    unsigned n = c->out_count + c->in_count, out_pieces = 0, i;
    VirtQueueElement *e;

    for (i = 0; i < n; i++) {
        if (i == c->out_count) {
            out_pieces = iovs->len;
        }
        if (!direct_map_range(vq, iovs, addrs, vq->scratch->addr[i],
                              vq->scratch->iov[i].iov_len, i >= c->out_count)) {
            goto undo_map;
        }
    }
    if (c->in_count == 0) {
        out_pieces = iovs->len;
    }
    e = elem_new(vq, size, iovs->len);
    e->direct = true;
    e->out_count = out_pieces;
    e->in_count = iovs->len - out_pieces;
    memcpy(e->out, iovs->data, iovs->len * sizeof(struct iovec));
    memcpy(e->addrs, addrs->data, iovs->len * sizeof(uint64_t));
    return e;

undo_map:
    if (i < c->out_count) {
        out_pieces = iovs->len;
    }
    for (unsigned k = 0; k < iovs->len; k++) {
        struct iovec *v = &g_array_index(iovs, struct iovec, k);

        guest_unmap(vq->vdev->dma, v->iov_base, v->iov_len, k >= out_pieces, 0);
    }
    return NULL;
}

/* The collected buffer as an element; NULL: broken. */
static VirtQueueElement *elem_from_chain(VirtQueue *vq, const RingChain *c, size_t size)
{
    unsigned n = c->out_count + c->in_count;
    VirtQueueElement *e;

    if (UNLIKELY(c->direct)) {
        e = elem_new_direct(vq, c, size);
        if (!e) {
            ring_bad(vq, "buffer outside RAM");
            return NULL;
        }
    } else {
        e = elem_new(vq, size, n);
        e->out_count = c->out_count;
        e->in_count = c->in_count;
        memcpy(e->out, vq->scratch->iov, n * sizeof(struct iovec));
        memcpy(e->addrs, vq->scratch->addr, n * sizeof(uint64_t));
    }
    e->in = e->out + e->out_count;
    e->out_size = c->out_size;
    e->in_size = c->in_size;
    e->index = c->index;
    e->ndescs = c->ndescs;
    e->windows = c->windows;
    e->mapped = true;
    return e;
}

/* ---- what devices call ---- */

void *virtqueue_pop(VirtQueue *vq, size_t size)
{
    RingChain c = { 0 };
    VirtQueueElement *e = NULL;
    bool got;

    if (!queue_usable(vq)) {
        return NULL;
    }
    if (vq->in_handler && UNLIKELY(!vq->budget)) {
        vq->rerun = true;
        return NULL;
    }
    if (UNLIKELY(!vq->scratch)) {
        queue_prepare(vq);
    }
    vq->table_window = -1;
    got = vq->packed ? packed_fetch(vq, &c) : split_fetch(vq, &c);
    if (UNLIKELY(vq->table_window >= 0)) {
        vq->window[vq->table_window].users--;
    }
    if (got) {
        e = elem_from_chain(vq, &c, size);
    }
    if (!e) {
        windows_put(vq, c.windows);
        return NULL;
    }
    vq->in_flight++;
    vq->in_flight_descs += c.ndescs;
    if (vq->kicks_enabled && vq->event_idx) {
        /* The kick that is wanted is the one after this buffer. */
        virtqueue_enable_kicks(vq, true);
    }
    if (vq->in_handler) {
        vq->budget--;
        vq->popped = true;
    }
    return e;
}

void virtqueue_fill(VirtQueueElement *elem, uint32_t written, unsigned nth)
{
    VirtQueue *vq = elem->vq;

    elem_unmap(elem, written);
    if (!queue_usable(vq)) {
        return;
    }
    if (vq->packed) {
        packed_fill(vq, elem, written, nth);
    } else {
        split_fill(vq, elem, written, nth);
    }
    vq->in_flight_descs -= elem->ndescs;
}

void virtqueue_flush(VirtQueue *vq, unsigned count)
{
    if (!queue_usable(vq)) {
        return;
    }
    if (vq->packed) {
        packed_flush(vq, count);
    } else {
        split_flush(vq, count);
    }
    vq->in_flight -= count;
}

void virtqueue_push(VirtQueueElement *elem, uint32_t written)
{
    virtqueue_fill(elem, written, 0);
    virtqueue_flush(elem->vq, 1);
}

void virtqueue_unpop(VirtQueueElement *elem)
{
    VirtQueue *vq = elem->vq;

    elem_unmap(elem, 0);
    if (vq->packed) {
        packed_unfetch(vq, elem->ndescs);
    } else {
        vq->next_avail--;
    }
    vq->in_flight--;
    vq->in_flight_descs -= elem->ndescs;
    /* The device cannot take more now: no second look in this run. */
    vq->popped = false;
}

void virtqueue_detach(VirtQueueElement *elem)
{
    elem_unmap(elem, elem->in_size);
}

void virtqueue_notify(VirtQueue *vq)
{
    VirtioDevice *vdev = vq->vdev;

    if (!queue_usable(vq)) {
        return;
    }
    /* The used index before the driver's wish is read; the driver does it the other way round. */
    smp_mb();
    if (vq->packed ? packed_should_notify(vq) : split_should_notify(vq)) {
        vdev->transport_ops->notify_queue(vdev->transport, vq);
    }
}

bool virtqueue_empty(VirtQueue *vq)
{
    if (!queue_usable(vq)) {
        return true;
    }
    return vq->packed ? packed_empty(vq) : split_empty(vq);
}

void virtqueue_enable_kicks(VirtQueue *vq, bool enable)
{
    if (!queue_usable(vq)) {
        return;
    }
    if (vq->packed) {
        packed_enable_kicks(vq, enable);
    } else {
        split_enable_kicks(vq, enable);
    }
    vq->kicks_enabled = enable;
    if (enable) {
        /* The wish before the ring is looked at again. */
        smp_mb();
    }
}

unsigned virtqueue_in_flight(const VirtQueue *vq)
{
    return vq->in_flight;
}

/* ---- state of a held element ---- */

void virtqueue_element_save(StateStream *s, const VirtQueueElement *elem)
{
    unsigned n = elem->out_count + elem->in_count;

    state_put_u16(s, elem->index);
    state_put_u16(s, elem->ndescs);
    state_put_u16(s, elem->out_count);
    state_put_u16(s, elem->in_count);
    for (unsigned i = 0; i < n; i++) {
        state_put_u64(s, elem->addrs[i]);
        state_put_u32(s, elem->out[i].iov_len);
    }
}

void *virtqueue_element_load(StateStream *s, VirtQueue *vq, size_t size)
{
    RingChain c = { .index = state_get_u16(s), .ndescs = state_get_u16(s) };
    unsigned out = state_get_u16(s), in = state_get_u16(s);
    VirtQueueElement *e = NULL;
    bool ok = state_ok(s) && out + in && out + in <= VIRTIO_QUEUE_MAX_SIZE &&
              c.ndescs && c.ndescs <= vq->max_size && (vq->packed || c.index < vq->max_size);

    if (!vq->scratch) {
        queue_prepare(vq);
    }
    for (unsigned i = 0; ok && i < out + in; i++) {
        uint64_t addr = state_get_u64(s);
        uint32_t len = state_get_u32(s);

        ok = state_ok(s) && ring_chain_add(vq, &c, addr, len, i >= out);
    }
    if (ok) {
        e = elem_from_chain(vq, &c, size);
    }
    if (!e) {
        windows_put(vq, c.windows);
        state_fail(s, "queue %u: a request in flight is not acceptable", vq->index);
        return NULL;
    }
    vq->in_flight++;
    vq->in_flight_descs += e->ndescs;
    return e;
}
