/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of system/memory share: the flat view and the notifier list.
 */
#ifndef SYSTEM_MEMORY_INTERNAL_H
#define SYSTEM_MEMORY_INTERNAL_H

#include "system/memory.h"

/* A run of addresses that one region answers. Ends are inclusive, so that 2^64 needs no wider type. */
typedef struct FlatRange {
    GuestAddr first, last;
    MemoryRegion *mr;
    Object *owner;              /* of @mr, and its RAM: referenced by the view */
    RamBlock *ram;
    uint64_t offset;            /* of @first in @mr */
    uint8_t *host;              /* of @first, where reads go straight to memory; else NULL */
    bool readonly;              /* writes do not go to memory (ROM, ROM device) */
    bool has_notifiers;
    uint8_t dirty_clients;
} FlatRange;

/* A region's notifier (ioeventfd) as registered. */
typedef struct RegionNotifier {
    GuestAddr addr;             /* in the region */
    unsigned size;
    bool match;
    uint64_t value;
    struct EventNotifier *n;
    struct RegionNotifier *next;
} RegionNotifier;

/* The same in an address space. */
typedef struct FlatNotifier {
    GuestAddr addr;
    unsigned size;
    bool match;
    uint64_t value;
    struct EventNotifier *n;
    MemoryRegion *mr;
    uint64_t offset;            /* of @addr in @mr */
} FlatNotifier;

/* Immutable once published. Holds a reference on every owner and RAM block in it. */
struct FlatView {
    unsigned refs;              /* machine lock: address spaces that show it */
    const MemoryRegion *root;
    unsigned count, alloc;
    FlatRange *ranges;          /* sorted, no overlap */
    unsigned notifier_count;
    FlatNotifier *notifiers;    /* sorted by address */
    FlatView *next_dead;
};

/* The region whose tree the view of @mr really shows: looks through plain windows. */
const MemoryRegion *flat_view_root(const MemoryRegion *mr);
/* Of the current tree; one reference. @dirty_clients are logged on all RAM. */
FlatView *flat_view_new(const MemoryRegion *root, uint8_t dirty_clients);
/* Drops a reference; the last one frees after readers have left. */
void flat_view_unref(FlatView *view);
/* Free the views without readers that wait for the machine lock, which is held. */
void flat_view_destroy_dead(void);
/* The range that holds @addr, or NULL; then *@gap_last (may be NULL) is the last address of the gap. Inside an RCU read section or the machine lock. */
const FlatRange *flat_view_find(const FlatView *view, GuestAddr addr, GuestAddr *gap_last);
/* The first notifier at or after @addr. */
unsigned flat_view_find_notifier(const FlatView *view, GuestAddr addr);
int flat_notifier_compare(const FlatNotifier *a, const FlatNotifier *b);


/* The block's region goes; a late reference may keep the memory, but not the name. */
void ram_block_retire(RamBlock *rb);

/* All address spaces; machine lock. */
AddressSpace *address_space_first(void);

static inline MemorySection flat_range_section(FlatView *view, const FlatRange *r)
{
    return (MemorySection){
        .mr = r->mr, .addr = r->first, .size = r->last - r->first + 1,
        .offset = r->offset, .host = r->host, .readonly = r->readonly, .view = view,
    };
}

#endif
