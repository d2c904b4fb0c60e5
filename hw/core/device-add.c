/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices that users add and remove: -device, device_add, device_del, and
 * -global. Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "hw/core/device.h"
#include "hw/core/internal.h"
#include "hw/core/machine.h"
#include "util/cutils.h"

/* ---- -global and the machine's compatibility table ---- */

typedef struct GlobalProperty {
    char *driver;
    char *property;
    char *value;
    struct GlobalProperty *next;
} GlobalProperty;

static GlobalProperty *globals;

void device_global_add(const char *driver, const char *property, const char *value)
{
    GlobalProperty **end = &globals;
    GlobalProperty *g = g_new0(GlobalProperty, 1);

    g->driver = g_strdup(driver);
    g->property = g_strdup(property);
    g->value = g_strdup(value);
    while (*end) {
        end = &(*end)->next;
    }
    *end = g;
}

void device_global_check(void)
{
    for (GlobalProperty *g = globals; g; g = g->next) {
        if (!type_find(g->driver)) {
            warn_report("global %s.%s has invalid class name", g->driver, g->property);
        }
    }
}

static bool applies(const DeviceState *dev, const char *driver)
{
    for (const TypeInfo *t = dev->obj.type; t; t = t->parent) {
        if (strcmp(t->name, driver) == 0 ||
            (t->aliases && g_strv_contains(t->aliases, driver))) {
            return true;
        }
    }
    return false;
}

void device_apply_globals(DeviceState *dev)
{
    MachineState *machine = machine_current();
    const MachineOps *ops = machine ? machine_ops(machine) : NULL;

    for (const CompatProperty *c = ops ? ops->compat : NULL; c && c->driver; c++) {
        if (applies(dev, c->driver)) {
            object_property_set_string(dev, c->property, c->value, &error_abort);
        }
    }
    for (GlobalProperty *g = globals; g && !dev->init_error; g = g->next) {
        if (applies(dev, g->driver) &&
            !object_property_set_string(dev, g->property, g->value, &dev->init_error)) {
            error_prepend(&dev->init_error, "can't apply global %s.%s=%s: ",
                          g->driver, g->property, g->value);
        }
    }
}

/* ---- adding ---- */

static const char *const own_options[] = { "driver", "id", "bus", NULL };

const TypeInfo *device_find_type(const char *driver, Error **errp)
{
    const TypeInfo *type = type_find(driver);
    const DeviceOps *ops;

    if (!type || !type_is_a(type, &device_type)) {
        error_setg(errp, "'%s' is not a valid device model name", driver);
        return NULL;
    }
    if (type->abstract) {
        error_setg(errp, "Parameter 'driver' expects a non-abstract device type");
        return NULL;
    }
    ops = type_ops(type, &device_type);
    if (!ops->user_creatable || (device_machine_ready() && !ops->hotpluggable)) {
        error_setg(errp, "Parameter 'driver' expects a pluggable device type");
        return NULL;
    }
    return type;
}

static bool option_string(const JsonValue *options, const char *name, const char **value,
                          Error **errp)
{
    const JsonValue *v = json_object_get(options, name);

    *value = v ? json_get_string(v) : NULL;
    if (v && !*value) {
        error_setg(errp, "Invalid parameter type for '%s', expected: string", name);
        return false;
    }
    return true;
}

/* Where a device of @type goes; sets *@bus to NULL for system devices. */
static bool choose_bus(const TypeInfo *type, const char *name, BusState **bus, Error **errp)
{
    const DeviceOps *ops = type_ops(type, &device_type);

    *bus = NULL;
    if (name) {
        *bus = bus_find(name, errp);
        if (!*bus) {
            return false;
        }
        if (!ops->bus || !object_is_a(*bus, ops->bus)) {
            error_setg(errp, "Device '%s' can't go on %s bus", type->name,
                       bus_kind_name((*bus)->obj.type));
            return false;
        }
        if (!bus_has_room(*bus)) {
            error_setg(errp, "Bus '%s' is full", (*bus)->name);
            return false;
        }
    } else if (ops->bus) {
        *bus = bus_find_free(ops->bus);
        if (!*bus && !ops->bus_optional) {
            error_setg(errp, "No '%s' bus found for device '%s'", bus_family_name(ops->bus),
                       type->name);
            return false;
        }
    }
    if (device_machine_ready() && *bus && !(*bus)->hotplug) {
        error_setg(errp, "Bus '%s' does not support hotplugging", (*bus)->name);
        return false;
    }
    return true;
}

/* Give @dev its place below /machine. */
static bool place(DeviceState *dev, const char *id, Error **errp)
{
    Object *machine = object_container(object_root(), "/machine");

    if (!id) {
        return object_add_child(object_container(machine, "peripheral-anon"), "device[*]", dev,
                                errp);
    }
    if (object_child(object_container(machine, "peripheral"), id)) {
        error_setg(errp, "Duplicate device ID '%s'", id);
        return false;
    }
    dev->id = g_strdup(id);
    return object_add_child(object_container(machine, "peripheral"), id, dev, errp);
}

static const char *changes_forbidden;   /* when; NULL: they are not */

void device_forbid_changes(const char *when)
{
    changes_forbidden = when;
}

static bool changes_allowed(const char *what, Error **errp)
{
    if (changes_forbidden) {
        error_setg(errp, "%s not allowed %s", what, changes_forbidden);
    }
    return !changes_forbidden;
}

DeviceState *device_add(const JsonValue *options, Error **errp)
{
    const char *driver, *id, *bus_name;
    const TypeInfo *type;
    BusState *bus;
    DeviceState *dev;

    if (!changes_allowed("device_add", errp)) {
        return NULL;
    }
    if (!option_string(options, "driver", &driver, errp) ||
        !option_string(options, "id", &id, errp) ||
        !option_string(options, "bus", &bus_name, errp)) {
        return NULL;
    }
    if (id && !id_wellformed(id)) {
        error_setg(errp, "Parameter 'id' expects an identifier");
        error_append_hint(errp, "Identifiers consist of letters, digits, '-', '.', '_', "
                          "starting with a letter.\n");
        return NULL;
    }
    if (!driver) {
        error_setg(errp, "Parameter 'driver' is missing");
        return NULL;
    }
    type = device_find_type(driver, errp);
    if (!type || !choose_bus(type, bus_name, &bus, errp)) {
        return NULL;
    }
    dev = device_new(type);
    dev->user_added = true;
    dev->options = json_copy(options);
    if (!place(dev, id, errp)) {
        object_unref(dev);
        return NULL;
    }
    /* The tree's reference is the only one from here on. */
    object_unref(dev);
    if (!object_set_properties(dev, options, own_options, errp) ||
        !device_realize(dev, bus, errp)) {
        object_unparent(dev);
        return NULL;
    }
    return dev;
}

/* ---- finding and removing ---- */

DeviceState *device_find(const char *id_or_path, Error **errp)
{
    Object *obj = NULL;

    if (id_or_path[0] == '/') {
        obj = object_resolve(id_or_path, NULL);
    } else {
        Object *peripheral = object_resolve("/machine/peripheral", NULL);

        obj = peripheral ? object_child(peripheral, id_or_path) : NULL;
    }
    if (!obj) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", id_or_path);
        return NULL;
    }
    if (!object_is_a(obj, &device_type)) {
        error_setg(errp, "%s is not a hotpluggable device", id_or_path);
        return NULL;
    }
    return DEVICE(obj);
}

bool device_del(const char *id, Error **errp)
{
    DeviceState *dev = device_find(id, errp);
    const DeviceOps *ops;
    const HotplugOps *plug;

    if (!dev || !changes_allowed("device_del", errp)) {
        return false;
    }
    ops = object_ops(dev, &device_type);
    plug = dev->bus ? dev->bus->hotplug : NULL;
    if (dev->unplug_pending) {
        error_setg(errp, "Device %s is already in the process of unplug", id);
        return false;
    }
    if (dev->bus && !plug) {
        error_setg(errp, "Bus '%s' does not support hotplugging", dev->bus->name);
        return false;
    }
    if (!ops->hotpluggable || !plug) {
        error_setg(errp, "Device '%s' does not support hotplugging", dev->obj.type->name);
        return false;
    }
    if (ops->stays) {
        error_setg(errp, "%s", ops->stays);
        return false;
    }
    if (!plug->unplug_request) {
        device_unplug_finish(dev);
        return true;
    }
    dev->unplug_pending = true;
    if (!plug->unplug_request(dev->bus->hotplug_opaque, dev, errp)) {
        dev->unplug_pending = false;
        return false;
    }
    return true;
}

void device_unplug_finish(DeviceState *dev)
{
    const HotplugOps *plug = dev->bus ? dev->bus->hotplug : NULL;

    dev->unplug_pending = false;
    if (plug && plug->unplug) {
        plug->unplug(dev->bus->hotplug_opaque, dev);
    }
    object_unparent(dev);
}
