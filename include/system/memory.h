/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory: RAM blocks, MMIO and port regions and PCI BARs form a tree of
 * regions; each address space is the tree flattened into an immutable view
 * that readers use without a lock.
 *
 * The checked door: guest_read(), guest_write(), guest_map() and friends are
 * the only way from device code to guest RAM. They take any address and
 * length, never trust them, and never crash.
 *
 * Thread: the tree changes on the main thread with the machine lock; the door
 * works on any thread (MMIO through it takes the machine lock unless the region
 * is marked lockless).
 */
#ifndef SYSTEM_MEMORY_H
#define SYSTEM_MEMORY_H

#include "qom/object.h"

typedef uint64_t GuestAddr;

typedef struct MemoryRegion MemoryRegion;
typedef struct AddressSpace AddressSpace;
typedef struct RamBlock RamBlock;
typedef struct MemoryListener MemoryListener;
typedef struct FlatView FlatView;
struct EventNotifier;

/* Who wants to know which pages were written. */
typedef enum DirtyClient { DIRTY_MIGRATION, DIRTY_DISPLAY, DIRTY_CLIENT_COUNT } DirtyClient;

/* ---- regions ---- */

typedef struct MemoryRegionOps {
    /*
     * @size is 1, 2, 4 or 8 and within [impl_min, impl_max]; @addr is inside
     * the region. A handler is not entered again by its own device's accesses
     * to guest memory: those are refused.
     */
    uint64_t (*read)(void *opaque, GuestAddr addr, unsigned size);
    void (*write)(void *opaque, GuestAddr addr, uint64_t value, unsigned size);
    /* What the guest may use (others read as ones, writes ignored); 0: 1 and 8. */
    unsigned valid_min, valid_max;
    bool valid_unaligned;
    /*
     * What the handlers take; 0: as valid. Larger accesses are split; smaller
     * reads take their bytes from an aligned one, smaller writes read the
     * aligned value, change it and write it back.
     */
    unsigned impl_min, impl_max;
    /* Handlers need no machine lock; they run in an RCU read section and must not block. */
    bool lockless;
} MemoryRegionOps;

typedef enum MemoryRegionKind {
    MEMORY_REGION_CONTAINER, MEMORY_REGION_RAM, MEMORY_REGION_ROM,
    MEMORY_REGION_IO, MEMORY_REGION_ALIAS,
    MEMORY_REGION_ROM_DEVICE,   /* reads from RAM while in read mode, writes to the handlers */
} MemoryRegionKind;

struct MemoryRegion {
    const char *name;           /* owned copy */
    /* Kept alive while the region is in a view; NULL: the memory of this struct outlives all readers. */
    Object *owner;
    MemoryRegionKind kind;
    uint64_t size;              /* bytes; 0 in a container or alias means 2^64 */
    const MemoryRegionOps *ops;
    void *opaque;
    RamBlock *ram;
    bool readonly;
    bool rom_read_mode;         /* MEMORY_REGION_ROM_DEVICE */
    uint8_t dirty_clients;      /* bit mask of DirtyClient */
    bool enabled;
    /* Place in the tree; private to system/memory. */
    MemoryRegion *container;
    GuestAddr addr;             /* in the container */
    int priority;
    MemoryRegion *alias;
    GuestAddr alias_offset;
    MemoryRegion *subregions, *next_sibling;
    struct RegionNotifier *notifiers;   /* ioeventfds */
    unsigned notifier_count;
};

void memory_region_init_container(MemoryRegion *mr, Object *owner, const char *name, uint64_t size);
void memory_region_init_io(MemoryRegion *mr, Object *owner, const MemoryRegionOps *ops,
                           void *opaque, const char *name, uint64_t size);
/* Anonymous, private RAM of the machine's own (firmware, tables); memory back ends use ram_block_new_* directly. */
bool memory_region_init_ram(MemoryRegion *mr, Object *owner, const char *name, uint64_t size, Error **errp);
bool memory_region_init_rom(MemoryRegion *mr, Object *owner, const char *name, uint64_t size, Error **errp);
/* RAM that somebody allocated (memory back end, shared memory, vfio BAR). Takes over @ram. */
void memory_region_init_ram_block(MemoryRegion *mr, Object *owner, const char *name, RamBlock *ram);
void memory_region_init_alias(MemoryRegion *mr, Object *owner, const char *name,
                              MemoryRegion *target, GuestAddr offset, uint64_t size);
/* A ROM device: starts in read mode (reads come from memory, writes go to @ops). */
bool memory_region_init_rom_device(MemoryRegion *mr, Object *owner, const MemoryRegionOps *ops,
                                   void *opaque, const char *name, uint64_t size, Error **errp);
/* Out of every tree, its subregions out of it, then free what it owns. Harmless on a zeroed or cleaned one. */
void memory_region_cleanup(MemoryRegion *mr);

/* Any kind but an alias may have subregions; they cover the region's own content. */
void memory_region_add(MemoryRegion *container, GuestAddr addr, MemoryRegion *mr);
/* The higher priority wins where siblings overlap (default 0), among equals the one added last. */
void memory_region_add_overlap(MemoryRegion *container, GuestAddr addr, MemoryRegion *mr, int priority);
void memory_region_del(MemoryRegion *container, MemoryRegion *mr);
void memory_region_set_enabled(MemoryRegion *mr, bool enabled);
void memory_region_set_address(MemoryRegion *mr, GuestAddr addr);
void memory_region_set_size(MemoryRegion *mr, uint64_t size);
void memory_region_set_readonly(MemoryRegion *mr, bool readonly);
void memory_region_set_rom_read_mode(MemoryRegion *mr, bool read_mode);
/* Log writes to this RAM for @client. */
void memory_region_set_dirty_logging(MemoryRegion *mr, DirtyClient client, bool on);
/* Changes between begin and commit (nestable) take effect together. */
void memory_transaction_begin(void);
void memory_transaction_commit(void);

/*
 * A write of @size bytes (0: any length) at @addr, of @value when @match, sets
 * @n without leaving to user space (ioeventfd); the same happens in software
 * when the write is dispatched by us.
 */
void memory_region_add_notifier(MemoryRegion *mr, GuestAddr addr, unsigned size,
                                bool match, uint64_t value, struct EventNotifier *n);
void memory_region_del_notifier(MemoryRegion *mr, GuestAddr addr, unsigned size,
                                bool match, uint64_t value, struct EventNotifier *n);

/* ---- RAM ---- */

struct RamBlock {
    char id[64];                /* migration identity, unique */
    uint8_t *host;
    uint64_t size;              /* used bytes */
    uint64_t max_size;
    size_t page_size;           /* of the backing */
    int fd;                     /* -1: anonymous */
    uint64_t fd_offset;
    bool shared;
    bool readonly;              /* mapped without write permission */
    /* A bit per 4 KiB page and client; NULL while not tracked. Read in an RCU read section. */
    uint64_t *dirty[DIRTY_CLIENT_COUNT];
    unsigned dirty_users[DIRTY_CLIENT_COUNT];
    unsigned refs;
};

typedef struct RamOptions {
    const char *id;
    uint64_t size;
    bool shared;
    int fd;                     /* -1: anonymous; otherwise taken over on success */
    uint64_t fd_offset;
    bool readonly;
    bool noreserve;
    uint64_t align;             /* 0: default */
    size_t page_size;           /* 0: host page size */
    bool dump, merge;
} RamOptions;

/* Bytes of guest memory behind one bit of a dirty bitmap. */
#define DIRTY_PAGE_SIZE 4096

/* One reference. Shared without a file gets a memfd, so that other processes can be given it. */
RamBlock *ram_block_new(const RamOptions *opts, Error **errp);
/* Any thread. */
void ram_block_ref(RamBlock *rb);
void ram_block_unref(RamBlock *rb);
/*
 * Give [host, host + len), which the caller keeps mapped, back to the host, as far as it is whole pages
 * of the backing: it reads as zeroes. Memory that cannot be given back stays as it is. Any thread.
 */
void ram_block_discard(void *host, uint64_t len);
/* All blocks, in order of address. Main thread with the machine lock. */
void ram_block_foreach(void (*fn)(RamBlock *rb, void *opaque), void *opaque);
RamBlock *ram_block_find(const char *id);

/* Track writes for @client (nests); everything starts clean. Machine lock. */
void ram_block_dirty_start(RamBlock *rb, DirtyClient client);
void ram_block_dirty_stop(RamBlock *rb, DirtyClient client);
/* [offset, offset+len) of @rb was written by us. Any thread. */
void ram_block_set_dirty(RamBlock *rb, uint64_t offset, uint64_t len);
/* Merge the accelerator's bitmap: bit 0 is the page at @offset. Any thread. */
void ram_block_merge_dirty(RamBlock *rb, uint64_t offset, const uint64_t *bitmap, uint64_t pages);
/* Whether a page of [offset, offset+len) is dirty for @client; clears them. Any thread. */
bool ram_block_test_and_clear_dirty(RamBlock *rb, DirtyClient client, uint64_t offset, uint64_t len);
/*
 * The first dirty page at or after page @from, with those that follow, at most @max: clears them, gives
 * their number in *@count (0: none). Any thread.
 */
uint64_t ram_block_take_dirty(RamBlock *rb, DirtyClient client, uint64_t from, uint64_t max, uint64_t *count);
uint64_t ram_block_dirty_pages(RamBlock *rb, DirtyClient client);

/* ---- address spaces ---- */

struct AddressSpace {
    const char *name;
    MemoryRegion *root;
    FlatView *view;             /* published; private to system/memory */
    MemoryListener *listeners;
    AddressSpace *next;
    bool unassigned_ones;       /* unassigned reads give all ones (guest), else zero (qtest); survives init */
};

/* @as is zeroed or says unassigned_ones; @root NULL is an empty one. */
void address_space_init(AddressSpace *as, MemoryRegion *root, const char *name);
void address_space_cleanup(AddressSpace *as);

extern AddressSpace address_space_memory;       /* what the CPUs see */
extern AddressSpace address_space_io;           /* x86 ports */
MemoryRegion *system_memory(void);
MemoryRegion *system_io(void);
void system_memory_init(void);

typedef struct MemorySection {
    MemoryRegion *mr;
    GuestAddr addr;             /* in the address space */
    uint64_t size;
    uint64_t offset;            /* in the region */
    uint8_t *host;              /* where reads go straight to memory (mr->ram); else NULL */
    bool readonly;              /* writes do not go to memory */
    FlatView *view;
} MemorySection;

/* Told of every change of a view: KVM slots, ioeventfds, vhost, vfio. Machine lock held. */
struct MemoryListener {
    const char *name;
    int priority;               /* higher: told earlier of additions, later of removals */
    void *opaque;
    void (*begin)(MemoryListener *l);
    void (*region_add)(MemoryListener *l, const MemorySection *s);
    void (*region_del)(MemoryListener *l, const MemorySection *s);
    void (*commit)(MemoryListener *l);
    void (*notifier_add)(MemoryListener *l, const MemorySection *s, bool match, uint64_t value, struct EventNotifier *n);
    void (*notifier_del)(MemoryListener *l, const MemorySection *s, bool match, uint64_t value, struct EventNotifier *n);
    /* Dirty logging. */
    void (*log_start)(MemoryListener *l, const MemorySection *s);
    void (*log_stop)(MemoryListener *l, const MemorySection *s);
    void (*log_sync)(MemoryListener *l, const MemorySection *s);
    AddressSpace *as;
    MemoryListener *next;
};
void memory_listener_register(MemoryListener *l, AddressSpace *as);
void memory_listener_unregister(MemoryListener *l);

/* Log writes to all RAM for @client (nests). */
void memory_dirty_log_start(DirtyClient client);
void memory_dirty_log_stop(DirtyClient client);
/* For whom all RAM is logged now: a bit each. */
uint8_t memory_dirty_log_clients(void);
/* Bring what listeners (the accelerator) have logged into the RAM blocks' bitmaps. */
void memory_dirty_log_sync(void);

/* "info mtree"-like text. */
void memory_print_tree(GString *out, bool flat);

/* ---- the door ---- */

typedef enum GuestResult {
    GUEST_OK = 0,
    GUEST_UNASSIGNED,           /* nothing there: reads gave the fill value */
    GUEST_ERROR,                /* a device or permission refused */
} GuestResult;

/* Copy, across regions, MMIO included. All of @buf is written on reads even when the result is not OK. */
GuestResult guest_read(AddressSpace *as, GuestAddr addr, void *buf, uint64_t len);
GuestResult guest_write(AddressSpace *as, GuestAddr addr, const void *buf, uint64_t len);
/* RAM is set; device registers are left alone and make the result GUEST_ERROR. */
GuestResult guest_memset(AddressSpace *as, GuestAddr addr, int byte, uint64_t len);
/* RAM only: for rings and payload, where touching a device register would be an attack. False when any byte is not RAM. */
bool guest_ram_read(AddressSpace *as, GuestAddr addr, void *buf, uint64_t len);
bool guest_ram_write(AddressSpace *as, GuestAddr addr, const void *buf, uint64_t len);
/* One aligned access of 2, 4 or 8 bytes to RAM, atomic, little-endian. */
bool guest_ram_load(AddressSpace *as, GuestAddr addr, unsigned size, uint64_t *value);
bool guest_ram_store(AddressSpace *as, GuestAddr addr, unsigned size, uint64_t value);

/* A CPU's or qtest's single access of 1, 2, 4 or 8 bytes (dispatch to a region's handler). */
GuestResult guest_access_read(AddressSpace *as, GuestAddr addr, unsigned size, uint64_t *value);
GuestResult guest_access_write(AddressSpace *as, GuestAddr addr, unsigned size, uint64_t value);

/*
 * A direct pointer to RAM. guest_map() maps at most @*len bytes at @addr and
 * says in @*len how many; NULL (and 0) when there is no RAM, or it is
 * read-only and @write. Each map is undone with guest_unmap() of the same
 * pointer; @written bytes of it are marked dirty. The memory stays allocated
 * in between, whatever the guest or management does.
 */
void *guest_map(AddressSpace *as, GuestAddr addr, uint64_t *len, bool write);
void guest_unmap(AddressSpace *as, void *host, uint64_t len, bool write, uint64_t written);

/* From a pointer into guest RAM back to the block and offset; false when it is none of ours. Inside an RCU read section. */
bool guest_ram_block_of(const void *host, RamBlock **rb, uint64_t *offset);

#endif
