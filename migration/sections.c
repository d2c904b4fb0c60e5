/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which state a machine has: the registered tables and those of its devices,
 * with ids that do not depend on the order in which devices were made.
 *
 * Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "hw/core/device.h"
#include "migration/state.h"

/* ".../bus address" of a device on a bus that knows addresses; otherwise the place in the tree. Caller frees. */
static char *device_place(DeviceState *dev)
{
    const BusOps *bus = dev->bus ? object_ops(dev->bus, &bus_type) : NULL;
    const DeviceOps *ops = object_ops(dev, &device_type);
    g_autofree char *path = NULL;

    if (ops->state_place) {
        return ops->state_place(dev);
    }
    if (bus && bus->device_path) {
        return bus->device_path(dev);
    }
    if (bus && dev->bus->parent) {
        g_autofree char *parent = device_place(dev->bus->parent);

        return bus->full_when_one ? g_steal_pointer(&parent)
                                  : g_strdup_printf("%s/%s", parent, dev->obj.type->name);
    }
    path = object_path(dev);
    if (!path || g_str_has_prefix(path, "/machine/unattached/") ||
        g_str_has_prefix(path, "/machine/peripheral")) {
        return g_strdup("");
    }
    return g_strdup(path + strlen("/machine/"));
}

static void add_section(GPtrArray *list, const StateTable *table, const char *id, uint32_t instance, void *state)
{
    StateSection *s = g_new(StateSection, 1);

    *s = (StateSection){ table, g_strdup(id), instance, state };
    g_ptr_array_add(list, s);
}

static void free_section(gpointer p)
{
    StateSection *s = p;

    g_free(s->id);
    g_free(s);
}

static int add_registered(const StateTable *table, const char *id, uint32_t instance, void *state, void *opaque)
{
    add_section(opaque, table, id, instance, state);
    return 0;
}

/* Devices without an address of their own are told apart by their number. */
static uint32_t next_instance(const GPtrArray *list, const char *id)
{
    uint32_t n = 0;

    for (guint i = 0; i < list->len; i++) {
        n += !strcmp(((StateSection *)list->pdata[i])->id, id);
    }
    return n;
}

static void add_device_table(GPtrArray *list, DeviceState *dev, const StateTable *table)
{
    g_autofree char *place = device_place(dev);
    g_autofree char *id = *place && strcmp(place, table->name) != 0
                          ? g_strdup_printf("%s/%s", place, table->name) : g_strdup(table->name);

    add_section(list, table, id, next_instance(list, id), dev);
}

static int add_device(Object *obj, void *opaque)
{
    DeviceState *dev = object_cast_or_null(obj, &device_type);
    const DeviceOps *ops = dev ? object_ops(dev, &device_type) : NULL;

    if (!dev || !dev->realized) {
        return 0;
    }
    if (ops->state != &state_table_none) {
        add_device_table(opaque, dev, ops->state);
    }
    if (ops->member_state && ops->member_state(dev)) {
        add_device_table(opaque, dev, ops->member_state(dev));
    }
    return 0;
}

GPtrArray *state_sections(void)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    GPtrArray *sorted = g_ptr_array_new_with_free_func(free_section);
    int priority = INT_MAX;

    state_foreach(add_registered, all);
    if (object_machine()) {
        object_foreach_child_recursive(object_machine(), add_device, all);
    }
    /* By falling priority, otherwise as they stand: parents come before their children. */
    while (sorted->len < all->len) {
        int next = INT_MIN;

        for (guint i = 0; i < all->len; i++) {
            int p = ((StateSection *)all->pdata[i])->table->priority;

            if (p < priority) {
                next = MAX(next, p);
            }
        }
        for (guint i = 0; i < all->len; i++) {
            if (((StateSection *)all->pdata[i])->table->priority == next) {
                g_ptr_array_add(sorted, all->pdata[i]);
            }
        }
        priority = next;
    }
    return sorted;
}
