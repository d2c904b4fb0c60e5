/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buses: what devices sit on. Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "hw/core/device.h"
#include "hw/core/internal.h"

static void bus_unparent(Object *obj)
{
    BusState *bus = BUS(obj);
    BusState **link;

    while (bus->devices) {
        object_unparent(bus->devices);
    }
    if (!bus->parent) {
        return;
    }
    for (link = &bus->parent->child_buses; *link != bus; link = &(*link)->next_sibling) {
    }
    *link = bus->next_sibling;
    bus->next_sibling = NULL;
    bus->parent = NULL;
}

static void bus_finalize(Object *obj)
{
    BusState *bus = BUS(obj);

    assert(!bus->devices);
    g_clear_pointer(&bus->name, g_free);
}

static const ObjectOps bus_object_ops = {
    .unparent = bus_unparent,
};

OBJECT_TYPE(bus_type) = {
    .name = "bus",
    .parent = &object_type,
    .instance_size = sizeof(BusState),
    .abstract = true,
    .instance_finalize = bus_finalize,
    .impls = TYPE_IMPLS({ &object_type, &bus_object_ops }),
};

OBJECT_TYPE_STATIC(main_bus_type) = {
    .name = "System",
    .parent = &bus_type,
};

const char *bus_kind_name(const TypeInfo *type)
{
    const BusOps *ops = type_ops(type, &bus_type);

    return ops && ops->kind_name ? ops->kind_name : type->name;
}

const char *bus_family_name(const TypeInfo *type)
{
    const char *name = bus_kind_name(type);

    /* Each function may also sit on a bus of the older kind. */
    return strcmp(name, "PCIE") == 0 ? "PCI" : name;
}

static char *default_bus_name(const TypeInfo *type, const DeviceState *parent)
{
    static unsigned counter;
    unsigned n = 0;

    if (!parent || !parent->id) {
        g_autofree char *lower = g_ascii_strdown(bus_kind_name(type), -1);

        return g_strdup_printf("%s.%u", lower, counter++);
    }
    for (const BusState *b = parent->child_buses; b; b = b->next_sibling) {
        n++;
    }
    return g_strdup_printf("%s.%u", parent->id, n);
}

void bus_init(BusState *bus, const TypeInfo *type, DeviceState *parent, const char *name)
{
    BusState **end;

    object_init(bus, type);
    bus->name = name ? g_strdup(name) : default_bus_name(type, parent);
    if (!parent) {
        return;
    }
    bus->parent = parent;
    bus->realized = parent->realized;
    for (end = &parent->child_buses; *end; end = &(*end)->next_sibling) {
    }
    *end = bus;
    object_add_child(OBJECT(parent), bus->name, bus, &error_abort);
    object_unref(bus);
}

void bus_cleanup(BusState *bus)
{
    if (bus->obj.parent) {
        object_unparent(bus);
    } else {
        bus_unparent(OBJECT(bus));
        object_unref(bus);
    }
}

void bus_attach(BusState *bus, DeviceState *dev)
{
    dev->bus = (BusState *)object_ref(bus);
    dev->next_on_bus = bus->devices;
    bus->devices = dev;
}

void bus_detach(DeviceState *dev)
{
    BusState *bus = dev->bus;
    DeviceState **link;

    for (link = &bus->devices; *link != dev; link = &(*link)->next_on_bus) {
    }
    *link = dev->next_on_bus;
    dev->next_on_bus = NULL;
    dev->bus = NULL;
    object_unref(bus);
}

bool bus_has_room(const BusState *bus)
{
    const BusOps *ops = object_ops(bus, &bus_type);

    return !(ops && ops->full_when_one && bus->devices);
}

/* Embedded in no device, so it lives as long as the process. */
BusState *machine_main_bus(void)
{
    static BusState main_bus;
    Object *machine;

    if (!main_bus.obj.type) {
        bus_init(&main_bus, &main_bus_type, NULL, "main-system-bus");
    }
    machine = object_machine();
    if (machine && !main_bus.obj.parent) {
        object_add_child(object_container(machine, "unattached"), "sysbus", &main_bus,
                         &error_abort);
    }
    return &main_bus;
}

/* @fn for @bus and every bus below it; stops at the first non-NULL result. */
static BusState *search(BusState *bus, BusState *(*fn)(BusState *bus, const void *opaque),
                        const void *opaque)
{
    BusState *found = fn(bus, opaque);

    for (DeviceState *d = bus->devices; d && !found; d = d->next_on_bus) {
        for (BusState *b = d->child_buses; b && !found; b = b->next_sibling) {
            found = search(b, fn, opaque);
        }
    }
    return found;
}

static BusState *match_name(BusState *bus, const void *opaque)
{
    return strcmp(bus->name, opaque) == 0 ? bus : NULL;
}

BusState *bus_find(const char *name, Error **errp)
{
    BusState *bus = search(machine_main_bus(), match_name, name);
    Object *obj;

    if (bus) {
        return bus;
    }
    obj = object_resolve(name, NULL);
    if (object_is_a(obj, &bus_type)) {
        return BUS(obj);
    }
    if (object_is_a(obj, &device_type)) {
        bus = DEVICE(obj)->child_buses;
    }
    if (!bus) {
        error_setg(errp, "Bus '%s' not found", name);
    }
    return bus;
}

/* Breadth first, so that a root bus wins over those behind its bridges. */
BusState *bus_find_free(const TypeInfo *type)
{
    g_autoptr(GPtrArray) queue = g_ptr_array_new();

    g_ptr_array_add(queue, machine_main_bus());
    for (guint i = 0; i < queue->len; i++) {
        BusState *bus = queue->pdata[i];

        if (object_is_a(bus, type) && bus_has_room(bus)) {
            return bus;
        }
        for (DeviceState *d = bus->devices; d; d = d->next_on_bus) {
            for (BusState *b = d->child_buses; b; b = b->next_sibling) {
                g_ptr_array_add(queue, b);
            }
        }
    }
    return NULL;
}

int bus_walk(BusState *bus, int (*fn)(DeviceState *dev, void *opaque), void *opaque)
{
    for (DeviceState *d = bus->devices, *next; d; d = next) {
        int ret;

        next = d->next_on_bus;
        ret = fn(d, opaque);
        for (BusState *b = d->child_buses; b && !ret; b = b->next_sibling) {
            ret = bus_walk(b, fn, opaque);
        }
        if (ret) {
            return ret;
        }
    }
    return 0;
}
