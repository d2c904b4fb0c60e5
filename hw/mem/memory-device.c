/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The window of memory devices: who is where in it, and queries on it.
 * Main thread with the machine lock; nothing here is reached by a guest.
 */
#include "util/osdep.h"

#include "hw/core/numa.h"
#include "hw/mem/memory-device.h"
#include "qapi-commands.h"
#include "util/rcu.h"

static struct {
    uint64_t base, size;        /* size 0: there is none */
    uint64_t limit;             /* of the sizes of all devices */
    MemoryDevice *first;
} window;

void memory_devices_init(MachineState *m, uint64_t base, uint64_t size)
{
    window.base = base;
    window.size = size;
    window.limit = m->max_ram_size - m->ram_size;
}

MemoryDevice *memory_device_first(void)
{
    return window.first;
}

static uint64_t bytes_used(void)
{
    uint64_t used = 0;

    for (const MemoryDevice *d = window.first; d; d = d->next) {
        used += d->size;
    }
    return used;
}

/* The first gap that is large enough, in *@addr; the device before it, or the head, in *@link. */
static bool find_gap(const MemoryDevice *d, uint64_t *addr, MemoryDevice ***link)
{
    *addr = ROUND_UP(window.base, d->align);
    for (*link = &window.first; **link; *link = &(**link)->next) {
        const MemoryDevice *there = **link;

        if (there->addr >= *addr && there->addr - *addr >= d->size) {
            break;
        }
        *addr = MAX(*addr, ROUND_UP(there->addr + there->size, d->align));
    }
    return *addr + d->size <= window.base + window.size;
}

static bool check_place(const MemoryDevice *d, MemoryDevice ***link, Error **errp)
{
    if (d->addr % d->align) {
        error_setg(errp, "address must be aligned to 0x%" PRIx64 " bytes", d->align);
        return false;
    }
    if (d->addr < window.base || d->addr - window.base > window.size ||
        d->size > window.size - (d->addr - window.base)) {
        error_setg(errp, "can't add memory device [0x%" PRIx64 ":0x%" PRIx64 "], usable range for "
                   "memory devices [0x%" PRIx64 ":0x%" PRIx64 "]", d->addr, d->size, window.base,
                   window.size);
        return false;
    }
    for (*link = &window.first; **link; *link = &(**link)->next) {
        const MemoryDevice *there = **link;

        if (d->addr < there->addr + there->size && there->addr < d->addr + d->size) {
            error_setg(errp, "address range conflicts with memory device id='%s'",
                       there->dev->id ?: "(unnamed)");
            return false;
        }
        if (there->addr > d->addr) {
            break;
        }
    }
    return true;
}

/* What the device adds to its NUMA node, or takes from it. */
static void account(const MemoryDevice *d, uint64_t change)
{
    if (d->node < numa_count(machine_current())) {
        machine_current()->numa->nodes[d->node].plugged += change;
    }
}

bool memory_device_plug(MemoryDevice *d, Error **errp)
{
    uint64_t used = bytes_used();
    MemoryDevice **link;

    if (!window.size) {
        error_setg(errp, "memory devices (e.g. for memory hotplug) are not enabled, please specify"
                   " the maxmem option");
        return false;
    }
    if (d->node >= MAX(numa_count(machine_current()), 1)) {
        error_setg(errp, "'DIMM property node has value %u' which exceeds the number of numa nodes: %u", d->node,
                   numa_count(machine_current()));
        return false;
    }
    if (d->size > window.limit - used) {
        error_setg(errp, "not enough space, currently 0x%" PRIx64 " in use of total space for "
                   "memory devices 0x%" PRIx64, used, window.limit);
        return false;
    }
    if (d->addr && !check_place(d, &link, errp)) {
        return false;
    }
    if (!d->addr && !find_gap(d, &d->addr, &link)) {
        d->addr = 0;
        error_setg(errp, "could not find position in guest address space for memory device - "
                   "memory fragmented due to alignments");
        return false;
    }
    d->next = *link;
    *link = d;
    memory_region_add(system_memory(), d->addr, d->region);
    account(d, d->size);
    return true;
}

void memory_device_unplug(MemoryDevice *d)
{
    MemoryDevice **p = &window.first;

    while (*p != d) {
        p = &(*p)->next;
    }
    *p = d->next;
    memory_region_del(system_memory(), d->region);
    account(d, -d->size);
    /* The back end, which has the region, may be deleted next. */
    rcu_synchronize();
}

static const MemoryDevice *in_slot(int32_t slot)
{
    const MemoryDevice *d = window.first;

    while (d && d->slot != slot) {
        d = d->next;
    }
    return d;
}

bool memory_device_choose_slot(int32_t *slot, Error **errp)
{
    int32_t count = machine_current()->ram_slots;

    if (!count) {
        error_setg(errp, "no slots where allocated, please specify the 'slots' option");
        return false;
    }
    if (*slot == -1) {
        for (*slot = 0; *slot < count && in_slot(*slot); (*slot)++) {
        }
        if (*slot == count) {
            *slot = -1;
            error_setg(errp, "no free slots available");
            return false;
        }
        return true;
    }
    if (*slot < 0 || *slot >= count) {
        error_setg(errp, "invalid slot number %d, valid range is [0-%d]", *slot, count - 1);
        return false;
    }
    if (in_slot(*slot)) {
        error_setg(errp, "slot %d is busy", *slot);
        return false;
    }
    return true;
}

bool memory_device_claim(Object *backend, Error **errp)
{
    if (!backend) {
        error_setg(errp, "'memdev' property must be set");
        return false;
    }
    if (!memory_backend_claim(MEMORY_BACKEND(backend), NULL)) {
        error_setg(errp, "can't use already busy memdev: %s", backend->name);
        return false;
    }
    return true;
}

/* ---- queries ---- */

MemoryDeviceInfoList *qmp_query_memory_devices(Error **errp)
{
    MemoryDeviceInfoList *list = NULL, **end = &list;

    for (const MemoryDevice *d = window.first; d; d = d->next) {
        *end = g_new0(MemoryDeviceInfoList, 1);
        (*end)->value = g_new0(MemoryDeviceInfo, 1);
        d->describe(d, (*end)->value);
        end = &(*end)->next;
    }
    return list;
}

MemoryInfo *qmp_query_memory_size_summary(Error **errp)
{
    MemoryInfo *info = g_new0(MemoryInfo, 1);

    info->base_memory = machine_current()->ram_size;
    info->has_plugged_memory = true;
    for (const MemoryDevice *d = window.first; d; d = d->next) {
        info->plugged_memory += d->plugged ? d->plugged(d) : d->size;
    }
    return info;
}
