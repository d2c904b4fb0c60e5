/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects that users make: -object, object-add and object-del. They live in
 * /objects. Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "qom/object.h"
#include "util/cutils.h"

OBJECT_TYPE(user_creatable_type) = {
    .name = "user-creatable",
    .interface = true,
};

static const char *const own_members[] = { "qom-type", "id", NULL };

static const char *required_string(const JsonValue *options, const char *name, Error **errp)
{
    JsonValue *v = json_object_get(options, name);
    const char *s = v ? json_get_string(v) : NULL;

    if (!v) {
        error_setg(errp, "Parameter '%s' is missing", name);
    } else if (!s) {
        error_setg(errp, "Invalid parameter type for '%s', expected: string", name);
    }
    return s;
}

Object *user_creatable_add(const JsonValue *options, Error **errp)
{
    const char *type_name = required_string(options, "qom-type", errp);
    const char *id = type_name ? required_string(options, "id", errp) : NULL;
    g_autoptr(Object) obj = NULL;
    const UserCreatableOps *ops;
    const TypeInfo *type;

    if (!id) {
        return NULL;
    }
    type = type_find(type_name);
    if (!type || type->abstract || !type_is_a(type, &user_creatable_type)) {
        error_setg(errp, "Parameter 'qom-type' does not accept value '%s'", type_name);
        return NULL;
    }
    if (!id_wellformed(id)) {
        error_setg(errp, "Parameter 'id' expects an identifier");
        error_append_hint(errp, "Identifiers consist of letters, digits, '-', '.', '_', "
                          "starting with a letter.\n");
        return NULL;
    }
    obj = object_new(type);
    if (!object_set_properties(obj, options, own_members, errp) ||
        !object_add_child(object_objects_root(), id, obj, errp)) {
        return NULL;
    }
    ops = object_ops(obj, &user_creatable_type);
    if (ops && ops->complete && !ops->complete(obj, errp)) {
        object_unparent(obj);
        return NULL;
    }
    obj->frozen = true;
    return obj;
}

bool user_creatable_del(const char *id, Error **errp)
{
    Object *obj = object_child(object_objects_root(), id);
    const UserCreatableOps *ops;

    if (!obj) {
        error_setg(errp, "object '%s' not found", id);
        return false;
    }
    ops = object_ops(obj, &user_creatable_type);
    if (ops && ops->can_be_deleted && !ops->can_be_deleted(obj)) {
        error_setg(errp, "object '%s' is in use, can not be deleted", id);
        return false;
    }
    object_unparent(obj);
    return true;
}

Object *user_creatable_find(const char *id, const TypeInfo *type, Error **errp)
{
    Object *obj = object_child(object_objects_root(), id);

    if (!obj) {
        error_setg(errp, "No object with ID '%s' (a %s)", id, type->name);
        return NULL;
    }
    if (!object_is_a(obj, type)) {
        error_setg(errp, "Object '%s' is a %s, not a %s", id, obj->type->name, type->name);
        return NULL;
    }
    return obj;
}
