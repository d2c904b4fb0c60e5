/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QMP commands on objects and types. Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "qapi-commands.h"
#include "qom/object.h"
#include "qom/property-info.h"

static Object *find_object(const char *path, Error **errp)
{
    bool ambiguous;
    Object *obj = object_resolve(path, &ambiguous);

    if (!obj && ambiguous) {
        error_setg(errp, "Path '%s' is ambiguous", path);
    } else if (!obj) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", path);
    }
    return obj;
}

ObjectPropertyInfo *property_info_append(PropertyInfoList *list, const char *name, char *type)
{
    ObjectPropertyInfo *info = g_new0(ObjectPropertyInfo, 1);

    info->name = g_strdup(name);
    info->type = type;
    *list->end = g_new0(ObjectPropertyInfoList, 1);
    (*list->end)->value = info;
    list->end = &(*list->end)->next;
    return info;
}

void property_info_append_full(PropertyInfoList *list, const ObjectProperty *p)
{
    ObjectPropertyInfo *info = property_info_append(list, p->name, object_property_type_name(p));

    info->description = g_strdup(p->description);
    info->default_value = object_property_default(p);
}

static void list_property(Object *obj, const char *name, const char *type,
                          const ObjectProperty *p, void *opaque)
{
    /* Other spellings would only make clients ask twice. */
    if (!p || !(p->flags & PROP_HIDDEN)) {
        property_info_append(opaque, name, g_strdup(type));
    }
}

ObjectPropertyInfoList *qmp_qom_list(const QmpQomListArgs *args, Error **errp)
{
    Object *obj = find_object(args->path, errp);
    PropertyInfoList list = { .end = &list.first };

    if (!obj) {
        return NULL;
    }
    object_foreach_property(obj, list_property, &list);
    return list.first;
}

JsonValue *qmp_qom_get(const QmpQomGetArgs *args, Error **errp)
{
    Object *obj = find_object(args->path, errp);

    return obj ? object_property_get(obj, args->property, errp) : NULL;
}

bool qmp_qom_set(const QmpQomSetArgs *args, Error **errp)
{
    Object *obj = find_object(args->path, errp);

    return obj && object_property_set(obj, args->property, args->value, errp);
}

static void list_type(const TypeInfo *type, void *opaque)
{
    ObjectTypeInfoList ***end = opaque;
    ObjectTypeInfo *info = g_new0(ObjectTypeInfo, 1);

    info->name = g_strdup(type->name);
    info->has_abstract = info->abstract = type->abstract || type->interface;
    info->parent = type->parent ? g_strdup(type->parent->name) : NULL;
    **end = g_new0(ObjectTypeInfoList, 1);
    (**end)->value = info;
    *end = &(**end)->next;
}

ObjectTypeInfoList *qmp_qom_list_types(const QmpQomListTypesArgs *args, Error **errp)
{
    const TypeInfo *kind = args->implements ? type_find(args->implements) : NULL;
    ObjectTypeInfoList *list = NULL, **end = &list;

    if (kind || !args->implements) {
        type_foreach(kind, args->has_abstract && args->abstract, list_type, &end);
    }
    return list;
}

static void list_type_property(const TypeInfo *owner, const ObjectProperty *p, void *opaque)
{
    property_info_append_full(opaque, p);
}

ObjectPropertyInfoList *qmp_qom_list_properties(const QmpQomListPropertiesArgs *args, Error **errp)
{
    const TypeInfo *type = type_find(args->typename);
    PropertyInfoList list = { .end = &list.first };

    if (!type) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Class '%s' not found", args->typename);
        return NULL;
    }
    type_foreach_property(type, list_type_property, &list);
    return list.first;
}

bool qmp_object_add(const JsonValue *args, Error **errp)
{
    g_autoptr(ObjectOptions) options = qapi_decode(&qapi_type_ObjectOptions, args, errp);
    g_autoptr(JsonValue) checked = NULL;

    if (!options) {
        return false;
    }
    checked = qapi_encode(&qapi_type_ObjectOptions, options);
    return user_creatable_add(checked, errp) != NULL;
}

bool qmp_object_del(const QmpObjectDelArgs *args, Error **errp)
{
    return user_creatable_del(args->id, errp);
}
