/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QMP commands on devices. Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "hw/core/device.h"
#include "qapi-commands.h"
#include "qom/property-info.h"

/* What users can set. */
static void list_property(const TypeInfo *owner, const ObjectProperty *p, void *opaque)
{
    if (!(p->flags & (PROP_CLASS_ONLY | PROP_READ_ONLY)) && (p->set || p->kind->set)) {
        property_info_append_full(opaque, p);
    }
}

ObjectPropertyInfoList *qmp_device_list_properties(const QmpDeviceListPropertiesArgs *args,
                                                   Error **errp)
{
    const TypeInfo *type = type_find(args->typename);
    PropertyInfoList list = { .end = &list.first };

    if (!type) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", args->typename);
        return NULL;
    }
    if (!type_is_a(type, &device_type) || type->abstract) {
        error_setg(errp, "Parameter 'typename' expects a non-abstract device type");
        return NULL;
    }
    type_foreach_property(type, list_property, &list);
    return list.first;
}

/* Clients write numbers and switches as text, too ("addr": "0x1", "write-cache": "on"). */
bool qmp_device_add(const JsonValue *args, Error **errp)
{
    g_autoptr(JsonValue) options = json_object();
    size_t n = json_object_len(args);

    for (size_t i = 0; i < n; i++) {
        const char *key;
        JsonValue *value;

        json_object_at(args, i, &key, &value);
        json_object_set_take(options, key, json_kind(value) == JSON_STRING
                                               ? json_keyval_string(json_get_string(value))
                                               : json_ref(value));
    }
    return device_add(options, errp) != NULL;
}

bool qmp_device_del(const QmpDeviceDelArgs *args, Error **errp)
{
    return device_del(args->id, errp);
}
