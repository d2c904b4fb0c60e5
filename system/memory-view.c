/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flattening a tree of memory regions into a sorted array of ranges, and
 * looking addresses up in it.
 *
 * A view is built on the main thread with the machine lock and never changes
 * after it is published; readers on any thread look up in it inside an RCU
 * read section. Addresses come from the guest and may be anything.
 */
#include "util/osdep.h"
#include "system/machine-lock.h"
#include "util/event-loop.h"
#include "util/rcu.h"
#include "memory-internal.h"

/* Wider than an address, signed: an alias may place its target's start below zero. */
typedef __int128 WideAddr;

#define ADDRESS_END ((WideAddr)1 << 64)
/* Aliases of aliases and nested containers; deeper is a cycle, which is our bug. */
#define TREE_DEPTH_MAX 64

typedef struct Window {
    WideAddr start, end;        /* what may be filled; end is exclusive */
    bool readonly;
    uint8_t dirty_clients;
    unsigned depth;
} Window;

static WideAddr region_span(const MemoryRegion *mr)
{
    bool boundless = mr->size == 0 && (mr->kind == MEMORY_REGION_CONTAINER ||
                                       mr->kind == MEMORY_REGION_ALIAS);
    return boundless ? ADDRESS_END : (WideAddr)mr->size;
}

static bool region_has_memory(const MemoryRegion *mr)
{
    return mr->kind == MEMORY_REGION_RAM || mr->kind == MEMORY_REGION_ROM ||
           (mr->kind == MEMORY_REGION_ROM_DEVICE && mr->rom_read_mode);
}

static bool region_keeps_writes_out(const MemoryRegion *mr)
{
    return mr->kind == MEMORY_REGION_ROM || mr->kind == MEMORY_REGION_ROM_DEVICE;
}

static void insert_range(FlatView *view, unsigned at, const FlatRange *r)
{
    if (view->count == view->alloc) {
        view->alloc = view->alloc ? view->alloc * 2 : 16;
        view->ranges = g_renew(FlatRange, view->ranges, view->alloc);
    }
    memmove(&view->ranges[at + 1], &view->ranges[at],
            (view->count - at) * sizeof(*r));
    view->ranges[at] = *r;
    view->count++;
}

/* The first range that ends at or after @addr. */
static unsigned lower_bound(const FlatView *view, GuestAddr addr)
{
    unsigned lo = 0, hi = view->count;

    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        if (view->ranges[mid].last < addr) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* Give @mr, whose offset 0 is at @base, what is still free of [start, end). */
static void fill_gaps(FlatView *view, MemoryRegion *mr, WideAddr base, const Window *w)
{
    WideAddr pos = w->start;
    unsigned i = lower_bound(view, (GuestAddr)w->start);

    while (pos < w->end) {
        WideAddr stop = w->end;

        if (i < view->count && (WideAddr)view->ranges[i].first <= pos) {
            pos = (WideAddr)view->ranges[i].last + 1;
            i++;
            continue;
        }
        if (i < view->count && (WideAddr)view->ranges[i].first < stop) {
            stop = view->ranges[i].first;
        }
        FlatRange r = {
            .first = (GuestAddr)pos, .last = (GuestAddr)(stop - 1),
            .mr = mr, .owner = mr->owner, .ram = mr->ram,
            .offset = (uint64_t)(pos - base),
            .readonly = w->readonly || region_keeps_writes_out(mr),
        };
        if (region_has_memory(mr)) {
            r.host = mr->ram->host + r.offset;
            r.dirty_clients = w->dirty_clients | mr->dirty_clients;
        }
        insert_range(view, i, &r);
        i++;
        pos = stop;
    }
}

/* @base is where the region's offset 0 lies. Whoever comes first wins an address. */
static void render(FlatView *view, MemoryRegion *mr, WideAddr base, Window w)
{
    assert(w.depth++ < TREE_DEPTH_MAX);
    w.start = MAX(w.start, base);
    w.end = MIN(w.end, base + region_span(mr));
    if (!mr->enabled || w.start >= w.end) {
        return;
    }
    w.readonly |= mr->readonly;
    if (mr->kind == MEMORY_REGION_ALIAS) {
        render(view, mr->alias, base - (WideAddr)mr->alias_offset, w);
        return;
    }
    for (MemoryRegion *sub = mr->subregions; sub; sub = sub->next_sibling) {
        render(view, sub, base + (WideAddr)sub->addr, w);
    }
    if (mr->kind != MEMORY_REGION_CONTAINER) {
        fill_gaps(view, mr, base, &w);
    }
}

static bool ranges_join(const FlatRange *a, const FlatRange *b)
{
    return a->last + 1 == b->first && a->mr == b->mr &&
           a->offset + (b->first - a->first) == b->offset &&
           a->readonly == b->readonly && a->dirty_clients == b->dirty_clients;
}

static void join_ranges(FlatView *view)
{
    unsigned out = 0;

    for (unsigned i = 1; i < view->count; i++) {
        if (ranges_join(&view->ranges[out], &view->ranges[i])) {
            view->ranges[out].last = view->ranges[i].last;
        } else {
            view->ranges[++out] = view->ranges[i];
        }
    }
    if (view->count) {
        view->count = out + 1;
    }
}

#define COMPARE(a, b) if ((a) != (b)) { return (a) < (b) ? -1 : 1; }

int flat_notifier_compare(const FlatNotifier *a, const FlatNotifier *b)
{
    COMPARE(a->addr, b->addr);
    COMPARE(a->size, b->size);
    COMPARE(a->match, b->match);
    COMPARE(a->value, b->value);
    COMPARE((uintptr_t)a->n, (uintptr_t)b->n);
    COMPARE((uintptr_t)a->mr, (uintptr_t)b->mr);
    return 0;
}

static int compare_notifiers(const void *a, const void *b)
{
    return flat_notifier_compare(a, b);
}

static void collect_notifiers(FlatView *view)
{
    unsigned room = 0;

    for (unsigned i = 0; i < view->count; i++) {
        room += view->ranges[i].mr->notifier_count;
    }
    if (!room) {
        return;
    }
    view->notifiers = g_new(FlatNotifier, room);
    for (unsigned i = 0; i < view->count; i++) {
        FlatRange *r = &view->ranges[i];
        uint64_t span = r->last - r->first;

        for (RegionNotifier *n = r->mr->notifiers; n; n = n->next) {
            if (n->addr < r->offset || n->addr - r->offset > span) {
                continue;
            }
            r->has_notifiers = true;
            view->notifiers[view->notifier_count++] = (FlatNotifier){
                .addr = r->first + (n->addr - r->offset), .size = n->size,
                .match = n->match, .value = n->value, .n = n->n,
                .mr = r->mr, .offset = n->addr,
            };
        }
    }
    qsort(view->notifiers, view->notifier_count, sizeof(FlatNotifier), compare_notifiers);
}

FlatView *flat_view_new(const MemoryRegion *root, uint8_t dirty_clients)
{
    FlatView *view = g_new0(FlatView, 1);

    view->refs = 1;
    view->root = root;
    if (root) {
        render(view, (MemoryRegion *)root, 0,
               (Window){ .end = ADDRESS_END, .dirty_clients = dirty_clients });
    }
    join_ranges(view);
    collect_notifiers(view);
    for (unsigned i = 0; i < view->count; i++) {
        if (view->ranges[i].owner) {
            object_ref(view->ranges[i].owner);
        }
        if (view->ranges[i].ram) {
            ram_block_ref(view->ranges[i].ram);
        }
    }
    return view;
}

static FlatView *dead_views;    /* atomic stack */

/* The last reference to an owner may go here, and finalizers change the tree: machine lock held. */
static void destroy_view(FlatView *view)
{
    for (unsigned i = 0; i < view->count; i++) {
        /* The regions themselves may be gone by now. */
        if (view->ranges[i].ram) {
            ram_block_unref(view->ranges[i].ram);
        }
        if (view->ranges[i].owner) {
            object_unref(view->ranges[i].owner);
        }
    }
    g_free(view->ranges);
    g_free(view->notifiers);
    g_free(view);
}

void flat_view_destroy_dead(void)
{
    FlatView *view = atomic_xchg(&dead_views, NULL);

    while (view) {
        FlatView *next = view->next_dead;
        destroy_view(view);
        view = next;
    }
}

static void destroy_dead_on_main(void *opaque)
{
    flat_view_destroy_dead();
}

/* All readers have left. On any thread; it may not wait for the machine lock, whose holder may wait for us. */
static void bury_view(void *p)
{
    FlatView *view = p, *head;

    if (machine_lock_held()) {
        destroy_view(view);
        return;
    }
    do {
        head = atomic_load(&dead_views);
        view->next_dead = head;
    } while (!atomic_cas(&dead_views, head, view));
    if (!head && event_loop_main()) {
        event_loop_run_soon(event_loop_main(), destroy_dead_on_main, NULL);
    }
}

void flat_view_unref(FlatView *view)
{
    if (view && --view->refs == 0) {
        rcu_free_later(view, bury_view);
    }
}

const MemoryRegion *flat_view_root(const MemoryRegion *mr)
{
    while (mr) {
        const MemoryRegion *only = NULL;

        if (mr->kind == MEMORY_REGION_ALIAS) {
            if (!mr->enabled || mr->alias_offset || mr->readonly ||
                region_span(mr) < region_span(mr->alias)) {
                return mr;
            }
            mr = mr->alias;
            continue;
        }
        if (mr->kind != MEMORY_REGION_CONTAINER || !mr->enabled || mr->readonly) {
            return mr;
        }
        for (const MemoryRegion *sub = mr->subregions; sub; sub = sub->next_sibling) {
            if (!sub->enabled) {
                continue;
            }
            if (only || sub->addr || region_span(sub) > region_span(mr)) {
                return mr;
            }
            only = sub;
        }
        if (!only) {
            return NULL;
        }
        mr = only;
    }
    return NULL;
}

/* Where this thread's last access went; only a hint, checked against whatever view is searched. */
static __thread unsigned last_hit;

const FlatRange *flat_view_find(const FlatView *view, GuestAddr addr, GuestAddr *gap_last)
{
    unsigned i = last_hit;

    if (LIKELY(i < view->count && addr >= view->ranges[i].first &&
               addr <= view->ranges[i].last)) {
        return &view->ranges[i];
    }
    i = lower_bound(view, addr);
    if (i < view->count && addr >= view->ranges[i].first) {
        last_hit = i;
        return &view->ranges[i];
    }
    if (gap_last) {
        *gap_last = i < view->count ? view->ranges[i].first - 1 : UINT64_MAX;
    }
    return NULL;
}

unsigned flat_view_find_notifier(const FlatView *view, GuestAddr addr)
{
    unsigned lo = 0, hi = view->notifier_count;

    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        if (view->notifiers[mid].addr < addr) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}
