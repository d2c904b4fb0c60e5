/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System reset of devices: registered functions in order, then the device
 * tree, children before parents. Main thread with the machine lock, vCPUs
 * outside guest code.
 */
#include "util/osdep.h"
#include "hw/core/device.h"

typedef struct ResetEntry {
    ResetFunc *fn;
    void *opaque;
    struct ResetEntry *next;
} ResetEntry;

static ResetEntry *entries;

void reset_register(ResetFunc *fn, void *opaque)
{
    ResetEntry **end = &entries;
    ResetEntry *e = g_new0(ResetEntry, 1);

    e->fn = fn;
    e->opaque = opaque;
    while (*end) {
        end = &(*end)->next;
    }
    *end = e;
}

void reset_unregister(ResetFunc *fn, void *opaque)
{
    for (ResetEntry **link = &entries; *link; link = &(*link)->next) {
        ResetEntry *e = *link;

        if (e->fn == fn && e->opaque == opaque) {
            *link = e->next;
            g_free(e);
            return;
        }
    }
}

void device_reset_tree(DeviceState *dev)
{
    const DeviceOps *ops = object_ops(dev, &device_type);

    for (BusState *b = dev->child_buses; b; b = b->next_sibling) {
        bus_reset_tree(b);
    }
    if (ops->reset && dev->realized) {
        ops->reset(dev);
    }
}

void bus_reset_tree(BusState *bus)
{
    const BusOps *ops = object_ops(bus, &bus_type);

    for (DeviceState *d = bus->devices; d; d = d->next_on_bus) {
        device_reset_tree(d);
    }
    if (ops && ops->reset) {
        ops->reset(bus);
    }
}

void reset_all(void)
{
    for (ResetEntry *e = entries, *next; e; e = next) {
        next = e->next;
        e->fn(e->opaque);
    }
    bus_reset_tree(machine_main_bus());
}
