/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices: creation, realize and unrealize. Main thread with the machine lock;
 * nothing here is reached by a guest.
 */
#include "util/osdep.h"
#include "hw/core/device.h"
#include "hw/core/internal.h"
#include "qapi-events.h"

static bool machine_ready;

bool device_machine_ready(void)
{
    return machine_ready;
}

void device_set_machine_ready(void)
{
    machine_ready = true;
}

static bool get_parent_bus(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    DeviceState *dev = DEVICE(obj);
    char *path = dev->bus ? object_path(dev->bus) : NULL;

    *value = json_string_take(path ? path : g_strdup(""));
    return true;
}

static bool get_realized(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = json_bool(DEVICE(obj)->realized);
    return true;
}

static bool get_hotplugged(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = json_bool(DEVICE(obj)->hotplugged);
    return true;
}

static bool get_hotpluggable(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    DeviceState *dev = DEVICE(obj);
    const DeviceOps *ops = object_ops(dev, &device_type);

    *value = json_bool(ops && ops->hotpluggable && (!dev->bus || dev->bus->hotplug));
    return true;
}

static const ObjectProperty device_properties[] = {
    PROP_CUSTOM("parent_bus", "link<bus>", get_parent_bus, NULL, PROP_CLASS_ONLY, NULL),
    PROP_CUSTOM("realized", "bool", get_realized, NULL, PROP_CLASS_ONLY, NULL),
    PROP_CUSTOM("hotplugged", "bool", get_hotplugged, NULL, PROP_CLASS_ONLY, NULL),
    PROP_CUSTOM("hotpluggable", "bool", get_hotpluggable, NULL, PROP_CLASS_ONLY, NULL),
    PROP_END
};

static void device_post_init(Object *obj)
{
    device_apply_globals(DEVICE(obj));
}

static void device_refuse_set(Object *obj, const ObjectProperty *p, Error **errp)
{
    DeviceState *dev = DEVICE(obj);

    if (dev->id) {
        error_setg(errp, "Attempt to set property '%s' on device '%s' (type '%s') "
                   "after it was realized", p->name, dev->id, obj->type->name);
    } else {
        error_setg(errp, "Attempt to set property '%s' on anonymous device (type '%s') "
                   "after it was realized", p->name, obj->type->name);
    }
}

static void device_unparent(Object *obj)
{
    DeviceState *dev = DEVICE(obj);
    g_autofree char *path = NULL;

    if (!dev->realized) {
        return;
    }
    path = object_path(dev);
    device_unrealize(dev);
    if (path) {
        qapi_event_send_DEVICE_DELETED(dev->id, path);
    }
}

static void device_finalize(Object *obj)
{
    DeviceState *dev = DEVICE(obj);

    assert(!dev->realized && !dev->bus);
    gpio_lists_free(dev);
    g_free(dev->id);
    json_unref(dev->options);
    error_free(dev->init_error);
}

static const ObjectOps device_object_ops = {
    .post_init = device_post_init,
    .unparent = device_unparent,
    .refuse_set = device_refuse_set,
};

OBJECT_TYPE(device_type) = {
    .name = "device",
    .parent = &object_type,
    .instance_size = sizeof(DeviceState),
    .abstract = true,
    .properties = device_properties,
    .instance_finalize = device_finalize,
    .impls = TYPE_IMPLS({ &object_type, &device_object_ops }),
};

DeviceState *device_new(const TypeInfo *type)
{
    return DEVICE(object_new(type));
}

/* @bus may take a device of this kind now; completes and checks the device's address on it. */
static bool check_bus(DeviceState *dev, const DeviceOps *ops, BusState *bus, Error **errp)
{
    const BusOps *bus_class = object_ops(bus, &bus_type);

    if (ops->bus && !object_is_a(bus, ops->bus) &&
        !(ops->bus_optional && bus == machine_main_bus())) {
        error_setg(errp, "Device '%s' can't go on %s bus", dev->obj.type->name,
                   bus_kind_name(bus->obj.type));
        return false;
    }
    if (!bus_has_room(bus)) {
        error_setg(errp, "Bus '%s' is full", bus->name);
        return false;
    }
    return !bus_class || !bus_class->check_address || bus_class->check_address(bus, dev, errp);
}

bool device_realize(DeviceState *dev, BusState *bus, Error **errp)
{
    const DeviceOps *ops = object_ops(dev, &device_type);
    bool was_loose = !dev->obj.parent;
    const HotplugOps *plug;

    assert(!dev->realized && ops && ops->state);
    if (dev->init_error) {
        error_propagate(errp, error_copy(dev->init_error));
        return false;
    }
    assert(bus || !ops->bus || ops->bus_optional);
    bus = bus ? bus : machine_main_bus();
    plug = bus->hotplug;
    dev->hotplugged = machine_ready;
    if (!check_bus(dev, ops, bus, errp)) {
        return false;
    }
    if (was_loose) {
        object_add_child(object_container(object_root(), "/machine/unattached"), "device[*]",
                         dev, &error_abort);
    }
    bus_attach(bus, dev);
    if (plug && plug->pre_plug && !plug->pre_plug(bus->hotplug_opaque, dev, errp)) {
        goto undo_attach;
    }
    if (ops->realize && !ops->realize(dev, errp)) {
        goto undo_attach;
    }
    dev->realized = true;
    dev->obj.frozen = true;
    for (BusState *b = dev->child_buses; b; b = b->next_sibling) {
        b->realized = true;
    }
    if (plug && plug->plug && !plug->plug(bus->hotplug_opaque, dev, errp)) {
        device_unrealize(dev);
        goto undo_parent;
    }
    return true;

undo_attach:
    bus_detach(dev);
undo_parent:
    if (was_loose) {
        object_unparent(dev);
    }
    return false;
}

bool device_realize_and_unref(DeviceState *dev, BusState *bus, Error **errp)
{
    bool ok = device_realize(dev, bus, errp);

    object_unref(dev);
    return ok;
}

void device_unrealize(DeviceState *dev)
{
    const DeviceOps *ops = object_ops(dev, &device_type);

    if (!dev->realized) {
        return;
    }
    for (BusState *b = dev->child_buses; b; b = b->next_sibling) {
        while (b->devices) {
            /* A part of @dev stays, for its unrealize to see; what was plugged in goes. */
            if (b->devices->obj.parent == OBJECT(dev)) {
                device_unrealize(b->devices);
            } else {
                object_unparent(b->devices);
            }
        }
        b->realized = false;
    }
    if (ops->unrealize) {
        ops->unrealize(dev);
    }
    dev->realized = false;
    dev->obj.frozen = false;
    bus_detach(dev);
}
