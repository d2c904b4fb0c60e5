/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory slots, dirty logs and ioeventfds: the guest's memory map as KVM gets
 * it, from the listeners of system/memory. Main thread with the machine lock.
 *
 * What has no slot, or what a full table of slots or ioeventfds cannot hold,
 * exits to us and is dispatched in software.
 */
#include "util/osdep.h"
#include "kvm-int.h"
#include "system/runstate.h"
#include "trace-accel-kvm.h"

#define PAGE UINT64_C(4096)
/* What every kernel has; how many this one has is only asked when they are used up. */
#define SLOTS_MIN 32

/* A section as the kernel has it. */
typedef struct Slot {
    uint64_t gpa, size;         /* size 0: free */
    uint8_t *host;
    uint32_t flags;
    RamBlock *ram;
    uint64_t ram_offset;
} Slot;

static Slot *slots;
static unsigned slot_count;
static unsigned slot_limit = SLOTS_MIN;

static int set_slot(const Slot *s, uint64_t size)
{
    struct kvm_userspace_memory_region r = {
        .slot = s - slots, .flags = s->flags, .guest_phys_addr = s->gpa,
        .memory_size = size, .userspace_addr = (uintptr_t)s->host,
    };
    int ret = kvm_vm_ioctl(KVM_SET_USER_MEMORY_REGION, &r);

    trace_kvm_slot(r.slot, r.flags, s->gpa, size, s->host, ret);
    return ret;
}

/* A guest without a piece of its memory cannot go on; the user may want to look. */
static void slot_failed(const char *what, uint64_t gpa, uint64_t size, int err)
{
    error_report("KVM cannot %s guest memory at 0x%" PRIx64 " (0x%" PRIx64 " bytes): %s",
                 what, gpa, size, strerror(err));
    vm_stop_request(RUN_STATE_INTERNAL_ERROR);
}

static Slot *find_slot(uint64_t gpa)
{
    for (unsigned i = 0; i < slot_count; i++) {
        if (slots[i].size && slots[i].gpa == gpa) {
            return &slots[i];
        }
    }
    return NULL;
}

static Slot *new_slot(void)
{
    for (unsigned i = 0; i < slot_count; i++) {
        if (!slots[i].size) {
            return &slots[i];
        }
    }
    if (slot_count == slot_limit) {
        slot_limit = kvm_check_extension(KVM_CAP_NR_MEMSLOTS);
        if (slot_count >= slot_limit) {
            slot_limit = slot_count;
            return NULL;
        }
    }
    slots = g_renew(Slot, slots, slot_count + 1);
    return &slots[slot_count++];
}

/* The whole pages of the section; false when it has none that could be mapped. */
static bool section_pages(const MemorySection *s, uint64_t *gpa, uint64_t *skip, uint64_t *size)
{
    *skip = -s->addr & (PAGE - 1);
    *gpa = s->addr + *skip;
    if (!s->host || s->size <= *skip || ((uintptr_t)s->host + *skip) % PAGE) {
        return false;
    }
    *size = ROUND_DOWN(s->size - *skip, PAGE);
    return *size != 0;
}

static void region_add(MemoryListener *l, const MemorySection *s)
{
    uint64_t gpa, skip, size;
    Slot *slot;
    int ret;

    if (!section_pages(s, &gpa, &skip, &size)) {
        return;
    }
    slot = new_slot();
    if (!slot) {
        slot_failed("map", gpa, size, ENOSPC);
        return;
    }
    *slot = (Slot){
        .gpa = gpa, .size = size, .host = s->host + skip,
        .flags = s->readonly ? KVM_MEM_READONLY : 0,
        .ram = s->mr->ram, .ram_offset = s->offset + skip,
    };
    ret = set_slot(slot, size);
    if (ret < 0) {
        slot->size = 0;
        slot_failed("map", gpa, size, -ret);
    }
}

static Slot *section_slot(const MemorySection *s)
{
    uint64_t gpa, skip, size;

    return section_pages(s, &gpa, &skip, &size) ? find_slot(gpa) : NULL;
}

static void region_del(MemoryListener *l, const MemorySection *s)
{
    Slot *slot = section_slot(s);

    if (slot) {
        int ret = set_slot(slot, 0);
        if (ret < 0) {
            slot_failed("unmap", slot->gpa, slot->size, -ret);
        }
        slot->size = 0;
    }
}

/* ---- dirty log ---- */

/* Have dirty bits stay until we clear them, so that clearing can be spread over time. */
static void choose_clearing(void)
{
    static bool done;
    struct kvm_enable_cap manual = {
        .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE },
    };

    if (!done) {
        done = true;
        kvm->clear_dirty_log =
            (kvm_check_extension(manual.cap) & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE) &&
            kvm_vm_ioctl(KVM_ENABLE_CAP, &manual) == 0;
    }
}

static void set_logging(const MemorySection *s, bool on)
{
    Slot *slot = section_slot(s);
    int ret;

    if (!slot || (slot->flags & KVM_MEM_READONLY)) {
        return;
    }
    choose_clearing();
    slot->flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0;
    ret = set_slot(slot, slot->size);
    if (ret < 0) {
        slot_failed("log", slot->gpa, slot->size, -ret);
    }
}

static void sync_slot(const Slot *slot)
{
    uint64_t pages = slot->size / PAGE;
    g_autofree uint64_t *bitmap = g_new0(uint64_t, DIV_ROUND_UP(pages, 64));
    struct kvm_dirty_log get = { .slot = slot - slots, .dirty_bitmap = bitmap };
    int ret = kvm_vm_ioctl(KVM_GET_DIRTY_LOG, &get);

    if (ret < 0) {
        slot_failed("read the dirty log of", slot->gpa, slot->size, -ret);
        return;
    }
    if (kvm->clear_dirty_log) {
        /* num_pages: a multiple of 64, or up to the end of the slot. */
        struct kvm_clear_dirty_log clear = {
            .slot = get.slot, .num_pages = pages, .first_page = 0, .dirty_bitmap = bitmap,
        };
        ret = kvm_vm_ioctl(KVM_CLEAR_DIRTY_LOG, &clear);
        if (ret < 0) {
            slot_failed("clear the dirty log of", slot->gpa, slot->size, -ret);
            return;
        }
    }
    ram_block_merge_dirty(slot->ram, slot->ram_offset, bitmap, pages);
}

static void log_start(MemoryListener *l, const MemorySection *s)
{
    set_logging(s, true);
}

static void log_stop(MemoryListener *l, const MemorySection *s)
{
    set_logging(s, false);
}

static void log_sync(MemoryListener *l, const MemorySection *s)
{
    Slot *slot = section_slot(s);

    if (slot && (slot->flags & KVM_MEM_LOG_DIRTY_PAGES)) {
        sync_slot(slot);
    }
}

/* ---- ioeventfds ---- */

static void set_ioeventfd(const MemorySection *s, bool match, uint64_t value,
                          struct EventNotifier *n, uint32_t flags)
{
    struct kvm_ioeventfd e = {
        .datamatch = value, .addr = s->addr, .len = s->size, .fd = n->fd,
        .flags = flags | (match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0),
    };
    int ret = kvm_vm_ioctl(KVM_IOEVENTFD, &e);

    /* A full table is no error: the write exits, and we set the event. */
    trace_kvm_ioeventfd(s->addr, e.len, e.fd, e.flags, ret);
}

static void mem_notifier_add(MemoryListener *l, const MemorySection *s, bool match, uint64_t value,
                             struct EventNotifier *n)
{
    set_ioeventfd(s, match, value, n, 0);
}

static void mem_notifier_del(MemoryListener *l, const MemorySection *s, bool match, uint64_t value,
                             struct EventNotifier *n)
{
    set_ioeventfd(s, match, value, n, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static void io_notifier_add(MemoryListener *l, const MemorySection *s, bool match, uint64_t value,
                            struct EventNotifier *n)
{
    set_ioeventfd(s, match, value, n, KVM_IOEVENTFD_FLAG_PIO);
}

static void io_notifier_del(MemoryListener *l, const MemorySection *s, bool match, uint64_t value,
                            struct EventNotifier *n)
{
    set_ioeventfd(s, match, value, n, KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static MemoryListener memory_listener = {
    .name = "kvm-memory", .priority = 10,
    .region_add = region_add, .region_del = region_del,
    .log_start = log_start, .log_stop = log_stop, .log_sync = log_sync,
    .notifier_add = mem_notifier_add, .notifier_del = mem_notifier_del,
};

static MemoryListener io_listener = {
    .name = "kvm-io", .priority = 10,
    .notifier_add = io_notifier_add, .notifier_del = io_notifier_del,
};

void kvm_memory_init(void)
{
    /* Accesses from the guest to nothing read as ones. */
    address_space_memory.unassigned_ones = true;
    address_space_io.unassigned_ones = true;
    memory_listener_register(&memory_listener, &address_space_memory);
    memory_listener_register(&io_listener, &address_space_io);
}
