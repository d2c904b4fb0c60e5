/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree of memory regions, the address spaces that show it, and telling
 * listeners (KVM, vhost, vfio) what changed.
 *
 * A change inside a transaction only marks the tree; the outermost commit
 * builds new views, publishes them, and hands each listener the difference.
 *
 * Thread: main thread with the machine lock (or before any other exists).
 */
#include "util/osdep.h"
#include "util/rcu.h"
#include "memory-internal.h"

AddressSpace address_space_memory;
AddressSpace address_space_io;

static MemoryRegion system_memory_root, system_io_root;
static AddressSpace *address_spaces;
static unsigned transaction_depth;
static bool transaction_changed;
static unsigned dirty_users[DIRTY_CLIENT_COUNT];
static uint8_t dirty_clients_everywhere;

AddressSpace *address_space_first(void)
{
    return address_spaces;
}

MemoryRegion *system_memory(void)
{
    return &system_memory_root;
}

MemoryRegion *system_io(void)
{
    return &system_io_root;
}

void system_memory_init(void)
{
    memory_region_init_container(&system_memory_root, NULL, "system", 0);
    memory_region_init_container(&system_io_root, NULL, "io", 64 * KIB);
    address_space_init(&address_space_memory, &system_memory_root, "memory");
    address_space_init(&address_space_io, &system_io_root, "I/O");
}

/* ---- regions ---- */

static void region_init(MemoryRegion *mr, MemoryRegionKind kind, Object *owner,
                        const char *name, uint64_t size)
{
    *mr = (MemoryRegion){
        .name = g_strdup(name), .owner = owner, .kind = kind,
        .size = size, .enabled = true,
    };
}

void memory_region_init_container(MemoryRegion *mr, Object *owner, const char *name, uint64_t size)
{
    region_init(mr, MEMORY_REGION_CONTAINER, owner, name, size);
}

void memory_region_init_io(MemoryRegion *mr, Object *owner, const MemoryRegionOps *ops,
                           void *opaque, const char *name, uint64_t size)
{
    region_init(mr, MEMORY_REGION_IO, owner, name, size);
    mr->ops = ops;
    mr->opaque = opaque;
}

void memory_region_init_ram_block(MemoryRegion *mr, Object *owner, const char *name, RamBlock *ram)
{
    region_init(mr, MEMORY_REGION_RAM, owner, name, ram->size);
    mr->ram = ram;
}

static bool init_own_memory(MemoryRegion *mr, MemoryRegionKind kind, Object *owner,
                            const char *name, uint64_t size, Error **errp)
{
    RamBlock *ram = ram_block_new(&(RamOptions){
        .id = name, .size = size, .fd = -1, .dump = true,
    }, errp);

    if (!ram) {
        return false;
    }
    region_init(mr, kind, owner, name, size);
    mr->ram = ram;
    return true;
}

bool memory_region_init_ram(MemoryRegion *mr, Object *owner, const char *name, uint64_t size, Error **errp)
{
    return init_own_memory(mr, MEMORY_REGION_RAM, owner, name, size, errp);
}

bool memory_region_init_rom(MemoryRegion *mr, Object *owner, const char *name, uint64_t size, Error **errp)
{
    return init_own_memory(mr, MEMORY_REGION_ROM, owner, name, size, errp);
}

bool memory_region_init_rom_device(MemoryRegion *mr, Object *owner, const MemoryRegionOps *ops,
                                   void *opaque, const char *name, uint64_t size, Error **errp)
{
    if (!init_own_memory(mr, MEMORY_REGION_ROM_DEVICE, owner, name, size, errp)) {
        return false;
    }
    mr->ops = ops;
    mr->opaque = opaque;
    mr->rom_read_mode = true;
    return true;
}

void memory_region_init_alias(MemoryRegion *mr, Object *owner, const char *name,
                              MemoryRegion *target, GuestAddr offset, uint64_t size)
{
    region_init(mr, MEMORY_REGION_ALIAS, owner, name, size);
    mr->alias = target;
    mr->alias_offset = offset;
}

void memory_region_cleanup(MemoryRegion *mr)
{
    if (!mr->name) {
        return;     /* never initialised, or done already */
    }
    memory_transaction_begin();
    if (mr->container) {
        memory_region_del(mr->container, mr);
    }
    while (mr->subregions) {
        memory_region_del(mr, mr->subregions);
    }
    memory_transaction_commit();
    while (mr->notifiers) {
        RegionNotifier *n = mr->notifiers;
        mr->notifiers = n->next;
        g_free(n);
    }
    mr->notifier_count = 0;
    if (mr->ram) {
        ram_block_retire(mr->ram);
        ram_block_unref(mr->ram);
        mr->ram = NULL;
    }
    g_free((char *)mr->name);
    mr->name = NULL;
}

static void tree_changed(void)
{
    transaction_changed = true;
}

/* Higher priority first; the latest first among equals. */
static void link_subregion(MemoryRegion *container, MemoryRegion *mr)
{
    MemoryRegion **p = &container->subregions;

    while (*p && (*p)->priority > mr->priority) {
        p = &(*p)->next_sibling;
    }
    mr->next_sibling = *p;
    *p = mr;
}

static void unlink_subregion(MemoryRegion *container, MemoryRegion *mr)
{
    MemoryRegion **p = &container->subregions;

    while (*p != mr) {
        p = &(*p)->next_sibling;
    }
    *p = mr->next_sibling;
    mr->next_sibling = NULL;
}

void memory_region_add_overlap(MemoryRegion *container, GuestAddr addr, MemoryRegion *mr, int priority)
{
    assert(!mr->container);
    memory_transaction_begin();
    mr->container = container;
    mr->addr = addr;
    mr->priority = priority;
    link_subregion(container, mr);
    tree_changed();
    memory_transaction_commit();
}

void memory_region_add(MemoryRegion *container, GuestAddr addr, MemoryRegion *mr)
{
    memory_region_add_overlap(container, addr, mr, 0);
}

void memory_region_del(MemoryRegion *container, MemoryRegion *mr)
{
    assert(mr->container == container);
    memory_transaction_begin();
    unlink_subregion(container, mr);
    mr->container = NULL;
    tree_changed();
    memory_transaction_commit();
}

#define SET_AND_COMMIT(mr, field, value)                                    \
    do {                                                                    \
        if ((mr)->field != (value)) {                                       \
            memory_transaction_begin();                                     \
            (mr)->field = (value);                                          \
            tree_changed();                                                 \
            memory_transaction_commit();                                    \
        }                                                                   \
    } while (0)

void memory_region_set_enabled(MemoryRegion *mr, bool enabled)
{
    SET_AND_COMMIT(mr, enabled, enabled);
}

void memory_region_set_address(MemoryRegion *mr, GuestAddr addr)
{
    SET_AND_COMMIT(mr, addr, addr);
}

void memory_region_set_size(MemoryRegion *mr, uint64_t size)
{
    SET_AND_COMMIT(mr, size, size);
}

void memory_region_set_readonly(MemoryRegion *mr, bool readonly)
{
    SET_AND_COMMIT(mr, readonly, readonly);
}

void memory_region_set_rom_read_mode(MemoryRegion *mr, bool read_mode)
{
    assert(mr->kind == MEMORY_REGION_ROM_DEVICE);
    SET_AND_COMMIT(mr, rom_read_mode, read_mode);
}

void memory_region_set_dirty_logging(MemoryRegion *mr, DirtyClient client, bool on)
{
    uint8_t clients = on ? mr->dirty_clients | BIT(client) : mr->dirty_clients & ~BIT(client);

    if (on == !!(mr->dirty_clients & BIT(client))) {
        return;
    }
    if (on) {
        ram_block_dirty_start(mr->ram, client);
        SET_AND_COMMIT(mr, dirty_clients, clients);
    } else {
        SET_AND_COMMIT(mr, dirty_clients, clients);
        ram_block_dirty_stop(mr->ram, client);
    }
}

void memory_region_add_notifier(MemoryRegion *mr, GuestAddr addr, unsigned size,
                                bool match, uint64_t value, struct EventNotifier *n)
{
    RegionNotifier *rn = g_new(RegionNotifier, 1);

    *rn = (RegionNotifier){ addr, size, match, match ? value : 0, n, mr->notifiers };
    memory_transaction_begin();
    mr->notifiers = rn;
    mr->notifier_count++;
    tree_changed();
    memory_transaction_commit();
}

void memory_region_del_notifier(MemoryRegion *mr, GuestAddr addr, unsigned size,
                                bool match, uint64_t value, struct EventNotifier *n)
{
    RegionNotifier **p = &mr->notifiers;

    for (;; p = &(*p)->next) {
        assert(*p);
        if ((*p)->addr == addr && (*p)->size == size && (*p)->match == match &&
            (!match || (*p)->value == value) && (*p)->n == n) {
            break;
        }
    }
    RegionNotifier *rn = *p;
    memory_transaction_begin();
    *p = rn->next;
    mr->notifier_count--;
    tree_changed();
    memory_transaction_commit();
    g_free(rn);
}

/* ---- telling listeners ---- */

typedef struct ViewChange {
    AddressSpace *as;
    FlatView *old, *new;
} ViewChange;

static bool same_range(const FlatRange *a, const FlatRange *b)
{
    return a->first == b->first && a->last == b->last && a->mr == b->mr &&
           a->offset == b->offset && a->host == b->host && a->ram == b->ram &&
           a->readonly == b->readonly;
}

static bool same_view(const FlatView *a, const FlatView *b)
{
    if (!a || a->count != b->count || a->notifier_count != b->notifier_count) {
        return false;
    }
    for (unsigned i = 0; i < a->count; i++) {
        if (!same_range(&a->ranges[i], &b->ranges[i]) ||
            a->ranges[i].dirty_clients != b->ranges[i].dirty_clients) {
            return false;
        }
    }
    for (unsigned i = 0; i < a->notifier_count; i++) {
        if (flat_notifier_compare(&a->notifiers[i], &b->notifiers[i])) {
            return false;
        }
    }
    return true;
}

/* Listeners of @as from the lowest priority up, as a growing array. */
static GPtrArray *listeners_reversed(AddressSpace *as)
{
    GPtrArray *list = g_ptr_array_new();

    for (MemoryListener *l = as->listeners; l; l = l->next) {
        g_ptr_array_insert(list, 0, l);
    }
    return list;
}

#define TELL(l, call, ...)                                                  \
    do {                                                                    \
        if ((l)->call) {                                                    \
            (l)->call((l), __VA_ARGS__);                                    \
        }                                                                   \
    } while (0)

/* Call @fn for ranges of @a that are not in @b, and @same (may be NULL) for pairs that are. */
typedef void RangeFunc(const ViewChange *c, FlatView *view, const FlatRange *r, const FlatRange *other);

static void each_missing(const ViewChange *c, FlatView *a, const FlatView *b,
                         RangeFunc *fn, RangeFunc *same)
{
    unsigned j = 0;

    for (unsigned i = 0; a && i < a->count; i++) {
        const FlatRange *r = &a->ranges[i];
        while (b && j < b->count && b->ranges[j].first < r->first) {
            j++;
        }
        if (b && j < b->count && same_range(r, &b->ranges[j])) {
            if (same) {
                same(c, a, r, &b->ranges[j]);
            }
        } else {
            fn(c, a, r, NULL);
        }
    }
}

static void tell_region_del(const ViewChange *c, FlatView *view, const FlatRange *r, const FlatRange *other)
{
    MemorySection s = flat_range_section(view, r);
    g_autoptr(GPtrArray) list = listeners_reversed(c->as);

    for (unsigned i = 0; i < list->len; i++) {
        MemoryListener *l = g_ptr_array_index(list, i);
        if (r->dirty_clients) {
            TELL(l, log_stop, &s);
        }
        TELL(l, region_del, &s);
    }
}

static void tell_region_add(const ViewChange *c, FlatView *view, const FlatRange *r, const FlatRange *other)
{
    MemorySection s = flat_range_section(view, r);

    for (MemoryListener *l = c->as->listeners; l; l = l->next) {
        TELL(l, region_add, &s);
        if (r->dirty_clients) {
            TELL(l, log_start, &s);
        }
    }
}

static void tell_logging(const ViewChange *c, FlatView *view, const FlatRange *r, const FlatRange *old)
{
    MemorySection s = flat_range_section(view, r);

    if (!r->dirty_clients == !old->dirty_clients) {
        return;
    }
    for (MemoryListener *l = c->as->listeners; l; l = l->next) {
        if (r->dirty_clients) {
            TELL(l, log_start, &s);
        } else {
            TELL(l, log_stop, &s);
        }
    }
}

static MemorySection notifier_section(FlatView *view, const FlatNotifier *n)
{
    return (MemorySection){
        .mr = n->mr, .addr = n->addr, .size = n->size, .offset = n->offset, .view = view,
    };
}

static void tell_notifiers(const ViewChange *c, FlatView *a, const FlatView *b, bool add)
{
    unsigned j = 0;

    for (unsigned i = 0; a && i < a->notifier_count; i++) {
        const FlatNotifier *n = &a->notifiers[i];
        while (b && j < b->notifier_count &&
               flat_notifier_compare(&b->notifiers[j], n) < 0) {
            j++;
        }
        if (b && j < b->notifier_count && flat_notifier_compare(&b->notifiers[j], n) == 0) {
            continue;
        }
        MemorySection s = notifier_section(a, n);
        for (MemoryListener *l = c->as->listeners; l; l = l->next) {
            if (add) {
                TELL(l, notifier_add, &s, n->match, n->value, n->n);
            } else {
                TELL(l, notifier_del, &s, n->match, n->value, n->n);
            }
        }
    }
}

static void tell_change(const ViewChange *c)
{
    for (MemoryListener *l = c->as->listeners; l; l = l->next) {
        if (l->begin) {
            l->begin(l);
        }
    }
    tell_notifiers(c, c->old, c->new, false);
    each_missing(c, c->old, c->new, tell_region_del, NULL);
    each_missing(c, c->new, c->old, tell_region_add, tell_logging);
    tell_notifiers(c, c->new, c->old, true);
    for (MemoryListener *l = c->as->listeners; l; l = l->next) {
        if (l->commit) {
            l->commit(l);
        }
    }
}

/* A new view for @as, or one that an address space before it has just got. */
static FlatView *view_for(AddressSpace *as, bool share)
{
    const MemoryRegion *root = flat_view_root(as->root);

    for (AddressSpace *other = address_spaces; share && other != as; other = other->next) {
        if (other->view->root == root) {
            other->view->refs++;
            return other->view;
        }
    }
    return flat_view_new(root, dirty_clients_everywhere);
}

static void update_address_space(AddressSpace *as)
{
    ViewChange c = { .as = as, .old = as->view, .new = view_for(as, true) };

    if (c.old != c.new && same_view(c.old, c.new)) {
        /* Old readers and sharers keep what they have. */
        c.old->root = c.new->root;
        flat_view_unref(c.new);
        return;
    }
    if (c.old == c.new) {
        flat_view_unref(c.new);
        return;
    }
    rcu_assign(as->view, c.new);
    if (as->listeners) {
        tell_change(&c);
    }
    flat_view_unref(c.old);
}

void memory_transaction_begin(void)
{
    transaction_depth++;
}

void memory_transaction_commit(void)
{
    assert(transaction_depth);
    if (transaction_depth > 1 || !transaction_changed) {
        transaction_depth--;
        return;
    }
    /* Listeners must not change the tree: the depth stays 1 meanwhile. */
    transaction_changed = false;
    for (AddressSpace *as = address_spaces; as; as = as->next) {
        update_address_space(as);
    }
    assert(!transaction_changed);
    transaction_depth--;
}

/* ---- address spaces and listeners ---- */

void address_space_init(AddressSpace *as, MemoryRegion *root, const char *name)
{
    AddressSpace **p = &address_spaces;
    bool ones = as->unassigned_ones;

    while (*p) {
        p = &(*p)->next;
    }
    *as = (AddressSpace){ .name = name, .root = root, .unassigned_ones = ones };
    *p = as;
    rcu_assign(as->view, view_for(as, !transaction_changed));
}

void address_space_cleanup(AddressSpace *as)
{
    AddressSpace **p = &address_spaces;

    assert(!as->listeners);
    while (*p != as) {
        p = &(*p)->next;
    }
    *p = as->next;
    flat_view_unref(as->view);
    rcu_assign(as->view, NULL);
}

void memory_listener_register(MemoryListener *l, AddressSpace *as)
{
    MemoryListener **p = &as->listeners;
    MemoryListener *rest;
    ViewChange all = { .as = as, .new = as->view };

    l->as = as;
    while (*p && (*p)->priority > l->priority) {
        p = &(*p)->next;
    }
    l->next = *p;
    *p = l;
    /* Tell only this one what is there. */
    rest = as->listeners;
    MemoryListener *after = l->next;
    as->listeners = l;
    l->next = NULL;
    tell_change(&all);
    as->listeners = rest;
    l->next = after;
}

void memory_listener_unregister(MemoryListener *l)
{
    AddressSpace *as = l->as;
    MemoryListener **p = &as->listeners;
    ViewChange all = { .as = as, .old = as->view };

    while (*p != l) {
        p = &(*p)->next;
    }
    *p = l->next;
    MemoryListener *rest = as->listeners;
    as->listeners = l;
    l->next = NULL;
    tell_change(&all);
    as->listeners = rest;
    l->as = NULL;
}

/* ---- dirty logging ---- */

uint8_t memory_dirty_log_clients(void)
{
    return dirty_clients_everywhere;
}

static void start_block(RamBlock *rb, void *opaque)
{
    ram_block_dirty_start(rb, *(DirtyClient *)opaque);
}

static void stop_block(RamBlock *rb, void *opaque)
{
    ram_block_dirty_stop(rb, *(DirtyClient *)opaque);
}

static void set_dirty_clients_everywhere(uint8_t clients)
{
    memory_transaction_begin();
    dirty_clients_everywhere = clients;
    tree_changed();
    memory_transaction_commit();
}

void memory_dirty_log_start(DirtyClient client)
{
    if (dirty_users[client]++ == 0) {
        ram_block_foreach(start_block, &client);
        set_dirty_clients_everywhere(dirty_clients_everywhere | BIT(client));
    }
}

void memory_dirty_log_stop(DirtyClient client)
{
    assert(dirty_users[client]);
    if (--dirty_users[client] == 0) {
        set_dirty_clients_everywhere(dirty_clients_everywhere & ~BIT(client));
        ram_block_foreach(stop_block, &client);
    }
}

void memory_dirty_log_sync(void)
{
    for (AddressSpace *as = address_spaces; as; as = as->next) {
        for (MemoryListener *l = as->listeners; l; l = l->next) {
            for (unsigned i = 0; l->log_sync && i < as->view->count; i++) {
                if (as->view->ranges[i].dirty_clients) {
                    MemorySection s = flat_range_section(as->view, &as->view->ranges[i]);
                    l->log_sync(l, &s);
                }
            }
        }
    }
}
