/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accesses to guest addresses: dispatch to region handlers, and the checked
 * door to RAM.
 *
 * Any thread. Address and length come from the guest and may be anything: an
 * access never leaves a view's ranges, never wraps, and takes work in
 * proportion to the caller's buffer. RAM is reached without any lock; handlers
 * run with the machine lock unless their region is lockless.
 */
#include "util/osdep.h"
#include "system/machine-lock.h"
#include "util/bswap.h"
#include "util/event-loop.h"
#include "util/rcu.h"
#include "memory-internal.h"

/* ---- handlers ---- */

/* Handlers that this thread is inside of, innermost first. */
typedef struct ActiveHandler {
    const void *who;            /* owner, or the region that has none */
    struct ActiveHandler *outer;
} ActiveHandler;

static __thread ActiveHandler *active_handlers;

/* A device whose own access comes back to it would find itself half-way through something. */
static bool handler_enter(ActiveHandler *h, const FlatRange *r)
{
    h->who = r->owner ? (const void *)r->owner : r->mr;
    for (ActiveHandler *a = active_handlers; a; a = a->outer) {
        if (a->who == h->who) {
            return false;
        }
    }
    h->outer = active_handlers;
    active_handlers = h;
    return true;
}

static void handler_leave(ActiveHandler *h)
{
    active_handlers = h->outer;
}

static uint64_t size_mask(unsigned size)
{
    return UINT64_MAX >> (64 - 8 * size);
}

static bool access_valid(const MemoryRegionOps *ops, uint64_t offset, unsigned size, bool write)
{
    unsigned min = ops->valid_min ? ops->valid_min : 1;
    unsigned max = ops->valid_max ? ops->valid_max : 8;

    if (size < min || size > max || (write ? !ops->write : !ops->read)) {
        return false;
    }
    return ops->valid_unaligned || IS_ALIGNED(offset, size);
}

/* What one call of a handler may move for an access of @size. */
static unsigned handler_size(const MemoryRegionOps *ops, unsigned size)
{
    unsigned min = ops->impl_min ? ops->impl_min : ops->valid_min ? ops->valid_min : 1;
    unsigned max = ops->impl_max ? ops->impl_max : ops->valid_max ? ops->valid_max : 8;

    return size < min ? min : MIN(size, max);
}

static uint64_t call_read(const MemoryRegionOps *ops, void *opaque, uint64_t offset, unsigned size)
{
    unsigned unit = handler_size(ops, size);
    uint64_t value = 0;

    if (unit <= size) {
        for (unsigned i = 0; i < size; i += unit) {
            value |= (ops->read(opaque, offset + i, unit) & size_mask(unit)) << (8 * i);
        }
        return value;
    }
    /* Smaller than the handler takes: cut it out of one or two units. */
    for (unsigned done = 0; done < size; ) {
        unsigned skip = (offset + done) & (unit - 1);
        unsigned n = MIN(unit - skip, size - done);
        uint64_t v = ops->read(opaque, offset + done - skip, unit) >> (8 * skip);
        value |= (v & size_mask(n)) << (8 * done);
        done += n;
    }
    return value;
}

static void call_write(const MemoryRegionOps *ops, void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    unsigned unit = handler_size(ops, size);

    if (unit <= size) {
        for (unsigned i = 0; i < size; i += unit) {
            ops->write(opaque, offset + i, (value >> (8 * i)) & size_mask(unit), unit);
        }
        return;
    }
    for (unsigned done = 0; done < size; ) {
        unsigned skip = (offset + done) & (unit - 1);
        unsigned n = MIN(unit - skip, size - done);
        uint64_t mask = size_mask(n) << (8 * skip);
        uint64_t v = ops->read ? ops->read(opaque, offset + done - skip, unit) : 0;
        v = (v & size_mask(unit) & ~mask) | (((value >> (8 * done)) << (8 * skip)) & mask);
        ops->write(opaque, offset + done - skip, v, unit);
        done += n;
    }
}

/*
 * Call the handler of @r, which was found in the RCU read section that the
 * caller is in. A handler that takes the machine lock is waited for outside
 * of the section, with its owner held instead.
 */
static GuestResult run_handler(const FlatRange *r, GuestAddr addr, unsigned size, uint64_t *value, bool write)
{
    const MemoryRegionOps *ops = r->mr->ops;
    void *opaque = r->mr->opaque;
    Object *owner = r->owner;
    uint64_t offset = r->offset + (addr - r->first);
    ActiveHandler frame;
    bool leave_rcu = !ops->lockless, lock;

    if (!access_valid(ops, offset, size, write) || !handler_enter(&frame, r)) {
        return GUEST_ERROR;
    }
    lock = leave_rcu && !machine_lock_held();
    if (leave_rcu) {
        if (owner) {
            object_ref(owner);
        }
        rcu_read_unlock();
    }
    if (lock) {
        machine_lock();
    }
    if (write) {
        call_write(ops, opaque, offset, *value, size);
    } else {
        *value = call_read(ops, opaque, offset, size);
    }
    if (leave_rcu && owner) {
        object_unref(owner);
    }
    if (lock) {
        machine_unlock();
    }
    if (leave_rcu) {
        rcu_read_lock();
    }
    handler_leave(&frame);
    return GUEST_OK;
}

/* ---- software ioeventfds ---- */

static bool notifier_matches(const FlatNotifier *n, unsigned size, uint64_t value)
{
    if (n->size && n->size != size) {
        return false;
    }
    return !n->match || n->value == (value & size_mask(size));
}

/* Set every notifier for this write; says whether there was one. */
static bool set_notifiers(const FlatView *view, GuestAddr addr, unsigned size, uint64_t value, bool only_look)
{
    bool found = false;
    unsigned i = flat_view_find_notifier(view, addr);

    for (; i < view->notifier_count && view->notifiers[i].addr == addr; i++) {
        const FlatNotifier *n = &view->notifiers[i];
        if (!notifier_matches(n, size, value)) {
            continue;
        }
        found = true;
        if (only_look) {
            break;
        }
        event_notifier_set(n->n);
    }
    return found;
}

typedef enum NotifyResult {
    NOTIFY_NONE,                /* the write has no notifier */
    NOTIFY_DONE,
    NOTIFY_AGAIN,               /* it went away; the view may be gone too */
} NotifyResult;

/*
 * Notifiers belong to whoever registered them until he takes them back with
 * the machine lock, so they are only touched with it. In an RCU read section,
 * which is left while waiting.
 */
static NotifyResult notify_write(AddressSpace *as, const FlatView *view, GuestAddr addr,
                                 unsigned size, uint64_t value)
{
    bool found, lock = !machine_lock_held();

    if (!set_notifiers(view, addr, size, value, true)) {
        return NOTIFY_NONE;
    }
    if (lock) {
        rcu_read_unlock();
        machine_lock();
    }
    found = set_notifiers(as->view, addr, size, value, false);
    if (lock) {
        machine_unlock();
        rcu_read_lock();
    }
    return found ? NOTIFY_DONE : NOTIFY_AGAIN;
}

/* One write of an access size that the region at @r may take, in an RCU read section. */
static GuestResult write_region(AddressSpace *as, const FlatView *view, const FlatRange *r,
                                GuestAddr addr, unsigned size, uint64_t value)
{
    if (r->has_notifiers) {
        switch (notify_write(as, view, addr, size, value)) {
        case NOTIFY_NONE:
            break;
        case NOTIFY_DONE:
            return GUEST_OK;
        case NOTIFY_AGAIN:
            view = rcu_dereference(as->view);
            r = flat_view_find(view, addr, NULL);
            if (!r || r->last - addr < size - 1) {
                return GUEST_UNASSIGNED;
            }
            break;
        }
    }
    if (!r->mr->ops || r->mr->readonly) {
        return GUEST_ERROR;
    }
    value &= size_mask(size);
    return run_handler(r, addr, size, &value, true);
}

/* ---- single accesses ---- */

static uint64_t fill_value(const AddressSpace *as, unsigned size)
{
    return as->unassigned_ones ? size_mask(size) : 0;
}

static bool is_access_size(unsigned size)
{
    return size == 1 || size == 2 || size == 4 || size == 8;
}

GuestResult guest_access_read(AddressSpace *as, GuestAddr addr, unsigned size, uint64_t *value)
{
    GuestResult result = GUEST_OK;
    const FlatView *view;
    const FlatRange *r;

    *value = 0;
    if (!is_access_size(size)) {
        return GUEST_ERROR;
    }
    rcu_read_lock();
    view = rcu_dereference(as->view);
    r = flat_view_find(view, addr, NULL);
    if (!r) {
        *value = fill_value(as, size);
        result = GUEST_UNASSIGNED;
    } else if (r->last - addr < size - 1) {
        uint8_t buf[8];
        rcu_read_unlock();
        result = guest_read(as, addr, buf, size);
        *value = load_le(buf, size);
        return result;
    } else if (r->host) {
        *value = load_le(r->host + (addr - r->first), size);
    } else {
        result = run_handler(r, addr, size, value, false);
        if (result != GUEST_OK) {
            *value = size_mask(size);
        }
    }
    rcu_read_unlock();
    return result;
}

GuestResult guest_access_write(AddressSpace *as, GuestAddr addr, unsigned size, uint64_t value)
{
    GuestResult result = GUEST_OK;
    const FlatView *view;
    const FlatRange *r;

    if (!is_access_size(size)) {
        return GUEST_ERROR;
    }
    rcu_read_lock();
    view = rcu_dereference(as->view);
    r = flat_view_find(view, addr, NULL);
    if (!r) {
        result = GUEST_UNASSIGNED;
    } else if (r->last - addr < size - 1) {
        uint8_t buf[8];
        rcu_read_unlock();
        store_le(buf, value, size);
        return guest_write(as, addr, buf, size);
    } else if (r->host && !r->readonly) {
        uint64_t offset = addr - r->first;
        store_le(r->host + offset, value, size);
        ram_block_set_dirty(r->ram, r->offset + offset, size);
    } else {
        result = write_region(as, view, r, addr, size, value);
    }
    rcu_read_unlock();
    return result;
}

/* ---- copies ---- */

/* A piece of at most @len bytes at @addr that the region takes in one access. */
static unsigned piece_size(const FlatRange *r, GuestAddr addr, uint64_t len)
{
    const MemoryRegionOps *ops = r->mr->ops;
    uint64_t offset = r->offset + (addr - r->first);
    unsigned size = ops && ops->valid_max ? ops->valid_max : 8;
    bool unaligned = ops && ops->valid_unaligned;

    while (size > 1 && (size > len || (!unaligned && !IS_ALIGNED(offset, size)))) {
        size /= 2;
    }
    return size;
}

/*
 * One step of a walk over [addr, addr + len): the range there or NULL for a
 * gap, and in *@n how much of @len it covers (0: the address space ends).
 */
static const FlatRange *walk_step(const FlatView *view, GuestAddr addr, uint64_t len, uint64_t *n)
{
    GuestAddr last;
    const FlatRange *r = flat_view_find(view, addr, &last);

    if (r) {
        last = r->last;
    }
    *n = last - addr < len - 1 ? last - addr + 1 : len;
    return r;
}

static void merge_result(GuestResult *all, GuestResult one)
{
    *all = MAX(*all, one);
}

/* The view may change while a handler runs, so it is looked up again for each step. */
GuestResult guest_read(AddressSpace *as, GuestAddr addr, void *buf, uint64_t len)
{
    GuestResult result = GUEST_OK;
    uint8_t *p = buf;

    rcu_read_lock();
    while (len) {
        uint64_t n;
        const FlatRange *r = walk_step(rcu_dereference(as->view), addr, len, &n);

        if (!r) {
            memset(p, as->unassigned_ones ? 0xff : 0, n);
            merge_result(&result, GUEST_UNASSIGNED);
        } else if (r->host) {
            memcpy(p, r->host + (addr - r->first), n);
        } else {
            uint64_t value;
            GuestResult one;
            n = piece_size(r, addr, n);
            one = run_handler(r, addr, n, &value, false);
            merge_result(&result, one);
            store_le(p, one == GUEST_OK ? value : UINT64_MAX, n);
        }
        p += n;
        len -= n;
        addr += n;
        if (!addr && len) {
            memset(p, as->unassigned_ones ? 0xff : 0, len);
            merge_result(&result, GUEST_UNASSIGNED);
            break;
        }
    }
    rcu_read_unlock();
    return result;
}

GuestResult guest_write(AddressSpace *as, GuestAddr addr, const void *buf, uint64_t len)
{
    GuestResult result = GUEST_OK;
    const uint8_t *p = buf;

    rcu_read_lock();
    while (len) {
        uint64_t n;
        const FlatView *view = rcu_dereference(as->view);
        const FlatRange *r = walk_step(view, addr, len, &n);

        if (!r) {
            merge_result(&result, GUEST_UNASSIGNED);
        } else if (r->host && !r->readonly) {
            uint64_t offset = addr - r->first;
            memcpy(r->host + offset, p, n);
            ram_block_set_dirty(r->ram, r->offset + offset, n);
        } else if (r->mr->ops) {
            n = piece_size(r, addr, n);
            merge_result(&result, write_region(as, view, r, addr, n, load_le(p, n)));
        } else {
            merge_result(&result, GUEST_ERROR);
        }
        p += n;
        len -= n;
        addr += n;
        if (!addr && len) {
            merge_result(&result, GUEST_UNASSIGNED);
            break;
        }
    }
    rcu_read_unlock();
    return result;
}

GuestResult guest_memset(AddressSpace *as, GuestAddr addr, int byte, uint64_t len)
{
    GuestResult result = GUEST_OK;

    rcu_read_lock();
    const FlatView *view = rcu_dereference(as->view);
    while (len) {
        uint64_t n;
        const FlatRange *r = walk_step(view, addr, len, &n);

        if (!r) {
            merge_result(&result, GUEST_UNASSIGNED);
        } else if (r->host && !r->readonly) {
            uint64_t offset = addr - r->first;
            memset(r->host + offset, byte, n);
            ram_block_set_dirty(r->ram, r->offset + offset, n);
        } else {
            merge_result(&result, GUEST_ERROR);
        }
        len -= n;
        addr += n;
        if (!addr && len) {
            merge_result(&result, GUEST_UNASSIGNED);
            break;
        }
    }
    rcu_read_unlock();
    return result;
}

/* ---- RAM only ---- */

/* RAM at @addr, and in *@n how much of @len is there in one piece; NULL when it is none. */
static const FlatRange *find_ram(AddressSpace *as, GuestAddr addr, uint64_t len, bool write, uint64_t *n)
{
    const FlatRange *r = flat_view_find(rcu_dereference(as->view), addr, NULL);

    if (!r || !r->host || (write && r->readonly)) {
        return NULL;
    }
    *n = r->last - addr < len - 1 ? r->last - addr + 1 : len;
    return r;
}

static bool all_ram(AddressSpace *as, GuestAddr addr, uint64_t len, bool write)
{
    while (len) {
        uint64_t n;
        if (!find_ram(as, addr, len, write, &n)) {
            return false;
        }
        addr += n;
        len -= n;
        if (!addr && len) {
            return false;
        }
    }
    return true;
}

bool guest_ram_read(AddressSpace *as, GuestAddr addr, void *buf, uint64_t len)
{
    uint8_t *p = buf;
    bool ok = true;

    rcu_read_lock();
    while (len && ok) {
        uint64_t n;
        const FlatRange *r = find_ram(as, addr, len, false, &n);
        if (!r) {
            memset(p, 0, len);
            ok = false;
            break;
        }
        memcpy(p, r->host + (addr - r->first), n);
        p += n;
        addr += n;
        len -= n;
        if (!addr && len) {
            memset(p, 0, len);
            ok = false;
        }
    }
    rcu_read_unlock();
    return ok;
}

bool guest_ram_write(AddressSpace *as, GuestAddr addr, const void *buf, uint64_t len)
{
    const uint8_t *p = buf;
    bool ok;

    rcu_read_lock();
    ok = all_ram(as, addr, len, true);
    while (ok && len) {
        uint64_t n;
        const FlatRange *r = find_ram(as, addr, len, true, &n);
        if (!r) {
            ok = false;     /* the map changed under us */
            break;
        }
        uint64_t offset = addr - r->first;
        memcpy(r->host + offset, p, n);
        ram_block_set_dirty(r->ram, r->offset + offset, n);
        p += n;
        addr += n;
        len -= n;
    }
    rcu_read_unlock();
    return ok;
}

static const FlatRange *find_aligned_ram(AddressSpace *as, GuestAddr addr, unsigned size, bool write)
{
    uint64_t n;
    const FlatRange *r;

    if (!is_access_size(size)) {
        return NULL;
    }
    r = find_ram(as, addr, size, write, &n);
    return r && n == size && IS_ALIGNED((uintptr_t)r->host + (addr - r->first), size) ? r : NULL;
}

bool guest_ram_load(AddressSpace *as, GuestAddr addr, unsigned size, uint64_t *value)
{
    const FlatRange *r;

    *value = 0;
    rcu_read_lock();
    r = find_aligned_ram(as, addr, size, false);
    if (r) {
        const void *p = r->host + (addr - r->first);
        switch (size) {
        case 1: *value = atomic_load_acquire((const uint8_t *)p); break;
        case 2: *value = le16toh(atomic_load_acquire((const uint16_t *)p)); break;
        case 4: *value = le32toh(atomic_load_acquire((const uint32_t *)p)); break;
        case 8: *value = le64toh(atomic_load_acquire((const uint64_t *)p)); break;
        }
    }
    rcu_read_unlock();
    return r != NULL;
}

bool guest_ram_store(AddressSpace *as, GuestAddr addr, unsigned size, uint64_t value)
{
    const FlatRange *r;

    rcu_read_lock();
    r = find_aligned_ram(as, addr, size, true);
    if (r) {
        uint64_t offset = addr - r->first;
        void *p = r->host + offset;
        switch (size) {
        case 1: atomic_store_release((uint8_t *)p, (uint8_t)value); break;
        case 2: atomic_store_release((uint16_t *)p, htole16(value)); break;
        case 4: atomic_store_release((uint32_t *)p, htole32(value)); break;
        case 8: atomic_store_release((uint64_t *)p, htole64(value)); break;
        }
        ram_block_set_dirty(r->ram, r->offset + offset, size);
    }
    rcu_read_unlock();
    return r != NULL;
}

void *guest_map(AddressSpace *as, GuestAddr addr, uint64_t *len, bool write)
{
    void *host = NULL;
    uint64_t n = 0;

    rcu_read_lock();
    const FlatRange *r = *len ? find_ram(as, addr, *len, write, &n) : NULL;
    if (r) {
        host = r->host + (addr - r->first);
        ram_block_ref(r->ram);
    } else {
        n = 0;
    }
    rcu_read_unlock();
    *len = n;
    return host;
}

void guest_unmap(AddressSpace *as, void *host, uint64_t len, bool write, uint64_t written)
{
    RamBlock *rb;
    uint64_t offset;

    rcu_read_lock();
    /* It has our reference, so it is there. */
    if (!guest_ram_block_of(host, &rb, &offset)) {
        assert(!"guest_unmap of memory that was not mapped");
    }
    if (write && written) {
        ram_block_set_dirty(rb, offset, MIN(written, len));
    }
    rcu_read_unlock();
    ram_block_unref(rb);
}
