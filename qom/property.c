/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Properties: the kinds (how a field is read and written as JSON), and getting
 * and setting by name.
 *
 * Values come from management: JSON (QMP), which must have the right type, or
 * key=value text, which is parsed. Main thread with the machine lock.
 */
#include "util/osdep.h"
#include "qapi-types.h"
#include "qom/object.h"
#include "util/cutils.h"

static bool wrong_type(const ObjectProperty *p, const char *expected, Error **errp)
{
    error_setg(errp, "Invalid parameter type for '%s', expected: %s", p->name, expected);
    return false;
}

/* ---- booleans and bits ---- */

static bool decode_bool(const ObjectProperty *p, const JsonValue *v, bool *out, Error **errp)
{
    if (json_is_keyval(v)) {
        return parse_bool(p->name, json_get_string(v), out, errp);
    }
    return json_get_bool(v, out) || wrong_type(p, "boolean", errp);
}

static bool bool_get(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = json_bool(*(bool *)property_field(obj, p));
    return true;
}

static bool bool_set(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    return decode_bool(p, value, property_field(obj, p), errp);
}

static void bool_set_default(Object *obj, const ObjectProperty *p)
{
    *(bool *)property_field(obj, p) = p->def.i;
}

static JsonValue *bool_default(const ObjectProperty *p)
{
    return json_bool(p->def.i);
}

const PropertyKind prop_kind_bool = {
    .type_name = "bool", .get = bool_get, .set = bool_set,
    .set_default = bool_set_default, .default_value = bool_default,
};

static bool bit64_get(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = json_bool(*(uint64_t *)property_field(obj, p) & BIT(p->bit));
    return true;
}

static void bit64_store(Object *obj, const ObjectProperty *p, bool on)
{
    uint64_t *field = property_field(obj, p);

    *field = on ? *field | BIT(p->bit) : *field & ~BIT(p->bit);
}

static bool bit64_set(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    bool on;

    if (!decode_bool(p, value, &on, errp)) {
        return false;
    }
    bit64_store(obj, p, on);
    return true;
}

static void bit64_set_default(Object *obj, const ObjectProperty *p)
{
    bit64_store(obj, p, p->def.i);
}

const PropertyKind prop_kind_bit64 = {
    .type_name = "bool", .get = bit64_get, .set = bit64_set,
    .set_default = bit64_set_default, .default_value = bool_default,
};

/* ---- integers ---- */

static bool decode_unsigned(const ObjectProperty *p, const JsonValue *v, uint64_t max,
                            uint64_t *out, Error **errp)
{
    if (json_is_keyval(v)) {
        if (parse_uint64(json_get_string(v), 0, out) != 0 || *out > max) {
            error_setg(errp, "Parameter '%s' expects %s", p->name, p->kind->type_name);
            return false;
        }
        return true;
    }
    if (json_kind(v) != JSON_INT && json_kind(v) != JSON_UINT) {
        return wrong_type(p, "integer", errp);
    }
    if (!json_get_uint(v, out) || *out > max) {
        error_setg(errp, "Parameter '%s' expects %s", p->name, p->kind->type_name);
        return false;
    }
    return true;
}

static bool decode_signed(const ObjectProperty *p, const JsonValue *v, int64_t min, int64_t max,
                          int64_t *out, Error **errp)
{
    bool ok;

    if (json_is_keyval(v)) {
        ok = parse_int64(json_get_string(v), 0, out) == 0;
    } else if (json_kind(v) == JSON_INT || json_kind(v) == JSON_UINT) {
        ok = json_get_int(v, out);
    } else {
        return wrong_type(p, "integer", errp);
    }
    if (!ok || *out < min || *out > max) {
        error_setg(errp, "Parameter '%s' expects %s", p->name, p->kind->type_name);
        return false;
    }
    return true;
}

static JsonValue *unsigned_to_json(uint64_t v)
{
    return v > INT64_MAX ? json_uint(v) : json_int(v);
}

static JsonValue *unsigned_default(const ObjectProperty *p)
{
    return unsigned_to_json(p->def.u);
}

static JsonValue *signed_default(const ObjectProperty *p)
{
    return json_int(p->def.i);
}

#define UNSIGNED_KIND(suffix, ctype, max)                                       \
    static bool suffix##_get(Object *obj, const ObjectProperty *p,              \
                             JsonValue **value, Error **errp)                   \
    {                                                                           \
        *value = unsigned_to_json(*(ctype *)property_field(obj, p));            \
        return true;                                                            \
    }                                                                           \
    static bool suffix##_set(Object *obj, const ObjectProperty *p,              \
                             const JsonValue *value, Error **errp)              \
    {                                                                           \
        uint64_t v;                                                             \
        if (!decode_unsigned(p, value, max, &v, errp)) {                        \
            return false;                                                       \
        }                                                                       \
        *(ctype *)property_field(obj, p) = v;                                   \
        return true;                                                            \
    }                                                                           \
    static void suffix##_set_default(Object *obj, const ObjectProperty *p)      \
    {                                                                           \
        *(ctype *)property_field(obj, p) = p->def.u;                            \
    }                                                                           \
    const PropertyKind prop_kind_##suffix = {                                   \
        .type_name = #suffix, .get = suffix##_get, .set = suffix##_set,         \
        .set_default = suffix##_set_default, .default_value = unsigned_default, \
    }

#define SIGNED_KIND(suffix, ctype, min, max)                                    \
    static bool suffix##_get(Object *obj, const ObjectProperty *p,              \
                             JsonValue **value, Error **errp)                   \
    {                                                                           \
        *value = json_int(*(ctype *)property_field(obj, p));                    \
        return true;                                                            \
    }                                                                           \
    static bool suffix##_set(Object *obj, const ObjectProperty *p,              \
                             const JsonValue *value, Error **errp)              \
    {                                                                           \
        int64_t v;                                                              \
        if (!decode_signed(p, value, min, max, &v, errp)) {                     \
            return false;                                                       \
        }                                                                       \
        *(ctype *)property_field(obj, p) = v;                                   \
        return true;                                                            \
    }                                                                           \
    static void suffix##_set_default(Object *obj, const ObjectProperty *p)      \
    {                                                                           \
        *(ctype *)property_field(obj, p) = p->def.i;                            \
    }                                                                           \
    const PropertyKind prop_kind_##suffix = {                                   \
        .type_name = #suffix, .get = suffix##_get, .set = suffix##_set,         \
        .set_default = suffix##_set_default, .default_value = signed_default,   \
    }

UNSIGNED_KIND(uint8, uint8_t, UINT8_MAX);
UNSIGNED_KIND(uint16, uint16_t, UINT16_MAX);
UNSIGNED_KIND(uint32, uint32_t, UINT32_MAX);
UNSIGNED_KIND(uint64, uint64_t, UINT64_MAX);
SIGNED_KIND(int32, int32_t, INT32_MIN, INT32_MAX);
SIGNED_KIND(int64, int64_t, INT64_MIN, INT64_MAX);

static bool size_set(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    uint64_t *field = property_field(obj, p);
    uint64_t v;

    if (!json_is_keyval(value)) {
        return decode_unsigned(p, value, UINT64_MAX, field, errp);
    }
    if (parse_size(json_get_string(value), 'B', &v) != 0) {
        error_setg(errp, "Parameter '%s' expects a size", p->name);
        error_append_hint(errp, "A number with an optional suffix k, M, G, T, P or E\n");
        return false;
    }
    *field = v;
    return true;
}

const PropertyKind prop_kind_size = {
    .type_name = "size", .get = uint64_get, .set = size_set,
    .set_default = uint64_set_default, .default_value = unsigned_default,
};

/* ---- strings ---- */

static bool string_get(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    const char *s = *(char **)property_field(obj, p);

    *value = json_string(s ? s : "");
    return true;
}

static bool string_set(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    char **field = property_field(obj, p);
    const char *s = json_get_string(value);

    if (!s) {
        return wrong_type(p, "string", errp);
    }
    g_free(*field);
    *field = g_strdup(s);
    return true;
}

static void string_set_default(Object *obj, const ObjectProperty *p)
{
    if (p->def.s) {
        *(char **)property_field(obj, p) = g_strdup(p->def.s);
    }
}

static void string_release(Object *obj, const ObjectProperty *p)
{
    g_clear_pointer((char **)property_field(obj, p), g_free);
}

const PropertyKind prop_kind_string = {
    .type_name = "str", .get = string_get, .set = string_set,
    .set_default = string_set_default, .release = string_release,
};

/* ---- enumerations ---- */

static bool decode_enum(const ObjectProperty *p, const QapiEnum *e, const JsonValue *v,
                        int *out, Error **errp)
{
    const char *s = json_get_string(v);
    int i;

    if (!s) {
        return wrong_type(p, "string", errp);
    }
    i = qapi_enum_parse(e, s, p->name, errp);
    if (i < 0) {
        return false;
    }
    *out = i;
    return true;
}

static bool enum_get(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = json_string(qapi_enum_str(p->arg, *(int *)property_field(obj, p)));
    return true;
}

static bool enum_set(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    return decode_enum(p, p->arg, value, property_field(obj, p), errp);
}

static void enum_set_default(Object *obj, const ObjectProperty *p)
{
    *(int *)property_field(obj, p) = p->def.i;
}

static JsonValue *enum_default(const ObjectProperty *p)
{
    return json_string(qapi_enum_str(p->arg, p->def.i));
}

const PropertyKind prop_kind_enum = {
    .type_name = NULL,          /* the QapiEnum's name */
    .get = enum_get, .set = enum_set,
    .set_default = enum_set_default, .default_value = enum_default,
};

static bool on_off_auto_get(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = json_string(OnOffAuto_str(*(int *)property_field(obj, p)));
    return true;
}

static bool on_off_auto_set(Object *obj, const ObjectProperty *p, const JsonValue *value,
                            Error **errp)
{
    return decode_enum(p, &qapi_enum_OnOffAuto, value, property_field(obj, p), errp);
}

static JsonValue *on_off_auto_default(const ObjectProperty *p)
{
    return json_string(OnOffAuto_str(p->def.i));
}

const PropertyKind prop_kind_on_off_auto = {
    .type_name = "OnOffAuto", .get = on_off_auto_get, .set = on_off_auto_set,
    .set_default = enum_set_default, .default_value = on_off_auto_default,
};

/* ---- links ---- */

static bool link_get(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    Object *target = *(Object **)property_field(obj, p);
    char *path = target ? object_path(target) : NULL;

    *value = json_string_take(path ? path : g_strdup(""));
    return true;
}

/* The object named by @path, of the link's type. */
static bool link_resolve(const ObjectProperty *p, const char *path, Object **target, Error **errp)
{
    const TypeInfo *type = p->arg;
    bool ambiguous;

    *target = object_resolve_type(path, type, &ambiguous);
    if (*target) {
        return true;
    }
    if (ambiguous) {
        error_setg(errp, "Path '%s' does not uniquely identify an object", path);
    } else if (object_resolve(path, &ambiguous) || ambiguous) {
        return wrong_type(p, type->name, errp);
    } else {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", path);
    }
    return false;
}

static void link_store(Object *obj, const ObjectProperty *p, Object *target)
{
    Object **field = property_field(obj, p);
    Object *old = *field;

    *field = target ? object_ref(target) : NULL;
    object_unref(old);
}

static bool link_set(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    const char *path = json_get_string(value);
    Object *target = NULL;

    if (!path) {
        return wrong_type(p, "string", errp);
    }
    if (path[0] && !link_resolve(p, path, &target, errp)) {
        return false;
    }
    link_store(obj, p, target);
    return true;
}

static void link_release(Object *obj, const ObjectProperty *p)
{
    link_store(obj, p, NULL);
}

const PropertyKind prop_kind_link = {
    .type_name = NULL,          /* "link<TYPE>" */
    .get = link_get, .set = link_set, .release = link_release,
};

const PropertyKind prop_kind_custom = { .type_name = "any" };

/* ---- by name ---- */

const ObjectProperty *object_property_find(const void *p, const char *name)
{
    const Object *obj = p;

    for (guint i = 0; obj->dynamic && i < obj->dynamic->len; i++) {
        const ObjectProperty *prop = obj->dynamic->pdata[i];

        if (strcmp(prop->name, name) == 0) {
            return prop;
        }
    }
    for (const TypeInfo *t = obj->type; t; t = t->parent) {
        for (const ObjectProperty *prop = t->properties; prop && prop->name; prop++) {
            if (strcmp(prop->name, name) == 0) {
                return prop;
            }
        }
    }
    return NULL;
}

const ObjectProperty *object_property_lookup(Object **obj, const char *name)
{
    const ObjectProperty *p = object_property_find(*obj, name);

    for (const TypeInfo *t = (*obj)->type; !p && t; t = t->parent) {
        if (t->inner) {
            Object *inner = *(Object **)((char *)*obj + t->inner_offset);

            p = object_property_find(inner, name);
            *obj = p ? inner : *obj;
        }
    }
    return p;
}

static void refuse_frozen(Object *obj, const ObjectProperty *p, Error **errp)
{
    const ObjectOps *ops = object_ops(obj, &object_type);

    if (ops && ops->refuse_set) {
        ops->refuse_set(obj, p, errp);
        return;
    }
    error_setg(errp, "cannot change property '%s' of %s", p->name, obj->type->name);
}

/* @name of @obj when it may be set now. */
static const ObjectProperty *find_settable(Object **where, const char *name, Error **errp)
{
    Object *obj = *where;
    const ObjectProperty *p = object_property_lookup(where, name);
    bool is_child = !p && object_child(obj, name);

    if (!p && !is_child) {
        error_setg(errp, "Property '%s.%s' not found", obj->type->name, name);
        return NULL;
    }
    if (is_child || (p->flags & PROP_READ_ONLY) || (!p->set && !p->kind->set)) {
        error_setg(errp, "Property '%s.%s' is not writable", obj->type->name, name);
        return NULL;
    }
    if ((*where)->frozen && !(p->flags & PROP_RUNTIME)) {
        refuse_frozen(*where, p, errp);
        return NULL;
    }
    return p;
}

bool object_property_set(void *p, const char *name, const JsonValue *value, Error **errp)
{
    Object *obj = p;
    const ObjectProperty *prop = find_settable(&obj, name, errp);

    if (!prop) {
        return false;
    }
    return (prop->set ? prop->set : prop->kind->set)(obj, prop, value, errp);
}

JsonValue *object_property_get(void *p, const char *name, Error **errp)
{
    Object *obj = p;
    const ObjectProperty *prop = object_property_lookup(&obj, name);
    ObjectPropertyGet *get = NULL;
    JsonValue *value = NULL;

    if (!prop) {
        Object *child = object_child(obj, name);

        if (!child) {
            error_setg(errp, "Property '%s.%s' not found", obj->type->name, name);
            return NULL;
        }
        return json_string_take(object_path(child));
    }
    get = prop->get ? prop->get : prop->kind->get;
    if (!get) {
        error_setg(errp, "Property '%s.%s' is not readable", obj->type->name, name);
        return NULL;
    }
    return get(obj, prop, &value, errp) ? value : NULL;
}

bool object_property_set_string(void *obj, const char *name, const char *s, Error **errp)
{
    g_autoptr(JsonValue) v = json_keyval_string(s);

    return object_property_set(obj, name, v, errp);
}

bool object_property_set_bool(void *obj, const char *name, bool b, Error **errp)
{
    g_autoptr(JsonValue) v = json_bool(b);

    return object_property_set(obj, name, v, errp);
}

bool object_property_set_int(void *obj, const char *name, int64_t i, Error **errp)
{
    g_autoptr(JsonValue) v = json_int(i);

    return object_property_set(obj, name, v, errp);
}

bool object_property_set_link(void *p, const char *name, Object *target, Error **errp)
{
    Object *obj = p;
    const ObjectProperty *prop = find_settable(&obj, name, errp);

    if (!prop) {
        return false;
    }
    assert(prop->kind == &prop_kind_link && !prop->set);
    if (target && !object_is_a(target, prop->arg)) {
        return wrong_type(prop, ((const TypeInfo *)prop->arg)->name, errp);
    }
    link_store(obj, prop, target);
    return true;
}

bool object_set_properties(void *obj, const JsonValue *props, const char *const *except,
                           Error **errp)
{
    size_t n = json_object_len(props);

    for (size_t i = 0; i < n; i++) {
        const char *key;
        JsonValue *value;

        json_object_at(props, i, &key, &value);
        if (except && g_strv_contains(except, key)) {
            continue;
        }
        if (!object_property_set(obj, key, value, errp)) {
            return false;
        }
    }
    return true;
}

void object_property_add_dynamic(void *p, const ObjectProperty *prop)
{
    Object *obj = p;

    assert(!object_property_find(obj, prop->name) && !object_child(obj, prop->name));
    if (!obj->dynamic) {
        obj->dynamic = g_ptr_array_new();
    }
    g_ptr_array_add(obj->dynamic, (void *)prop);
    if (prop->kind->set_default) {
        prop->kind->set_default(obj, prop);
    }
}

/* ---- introspection ---- */

char *object_property_type_name(const ObjectProperty *p)
{
    if (p->type_name) {
        return g_strdup(p->type_name);
    }
    if (p->kind == &prop_kind_link) {
        return g_strdup_printf("link<%s>", ((const TypeInfo *)p->arg)->name);
    }
    if (p->kind == &prop_kind_enum) {
        return g_strdup(qapi_enum_name(p->arg));
    }
    return g_strdup(p->kind->type_name);
}

JsonValue *object_property_default(const ObjectProperty *p)
{
    if ((p->flags & (PROP_NO_DEFAULT | PROP_READ_ONLY)) || !p->kind->default_value || p->get) {
        return NULL;
    }
    return p->kind->default_value(p);
}

/* True when a more derived type than @owner (NULL: any) has a property of that name. */
static bool is_overridden(const TypeInfo *type, const TypeInfo *owner, const char *name)
{
    for (const TypeInfo *t = type; t != owner; t = t->parent) {
        for (const ObjectProperty *p = t->properties; p && p->name; p++) {
            if (strcmp(p->name, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Properties of @type and its ancestors but those that @outer (may be NULL) has too. */
static void foreach_in_chain(const TypeInfo *type, const TypeInfo *outer,
                             void (*fn)(const TypeInfo *owner, const ObjectProperty *p,
                                        void *opaque),
                             void *opaque)
{
    for (const TypeInfo *t = type; t; t = t->parent) {
        for (const ObjectProperty *p = t->properties; p && p->name; p++) {
            if (!is_overridden(type, t, p->name) && !is_overridden(outer, NULL, p->name)) {
                fn(t, p, opaque);
            }
        }
    }
}

void type_foreach_property(const TypeInfo *type,
                           void (*fn)(const TypeInfo *owner, const ObjectProperty *p, void *opaque),
                           void *opaque)
{
    foreach_in_chain(type, NULL, fn, opaque);
    for (const TypeInfo *t = type; t; t = t->parent) {
        if (t->inner) {
            foreach_in_chain(t->inner, type, fn, opaque);
        }
    }
}

typedef struct ForeachProperty {
    Object *obj;
    void (*fn)(Object *obj, const char *name, const char *type, const ObjectProperty *p,
               void *opaque);
    void *opaque;
} ForeachProperty;

static void foreach_static(const TypeInfo *owner, const ObjectProperty *p, void *opaque)
{
    ForeachProperty *f = opaque;
    g_autofree char *type = object_property_type_name(p);

    f->fn(f->obj, p->name, type, p, f->opaque);
}

void object_foreach_property(void *p,
                             void (*fn)(Object *obj, const char *name, const char *type,
                                        const ObjectProperty *p, void *opaque),
                             void *opaque)
{
    Object *obj = p;
    ForeachProperty f = { obj, fn, opaque };

    type_foreach_property(obj->type, foreach_static, &f);
    for (guint i = 0; obj->dynamic && i < obj->dynamic->len; i++) {
        foreach_static(NULL, obj->dynamic->pdata[i], &f);
    }
    for (Object *c = obj->children; c; c = c->next_sibling) {
        g_autofree char *type = g_strdup_printf("child<%s>", c->type->name);

        fn(obj, c->name, type, NULL, opaque);
    }
}
