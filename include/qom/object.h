/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QOM: every device, backend, machine, accelerator and CPU model is an object
 * of a named type with typed properties and a place in one tree.
 *
 * Types are constant tables (TypeInfo) that point to their parent's table;
 * OBJECT_TYPE() puts a pointer into a linker section, so registration costs
 * nothing at start-up. Method tables are constants too: a type lists, for each
 * kind (ancestor type or interface) that it implements, a pointer to that
 * kind's ops struct; object_ops() finds the most derived one.
 *
 * Example:
 *     static const DeviceOps foo_device_ops = { .realize = foo_realize, ... };
 *     static const ObjectProperty foo_properties[] = {
 *         PROP_UINT32("size", FooState, size, 4096, "ring size in bytes"),
 *         PROP_END
 *     };
 *     OBJECT_TYPE(foo_type) = {
 *         .name = "foo", .parent = &device_type,
 *         .instance_size = sizeof(FooState),
 *         .properties = foo_properties,
 *         .impls = TYPE_IMPLS({ &device_type, &foo_device_ops }),
 *     };
 * (declare "extern const TypeInfo foo_type;" in a header when others derive from it;
 *  otherwise OBJECT_TYPE_STATIC.)
 *
 * Thread: the tree and properties belong to the main thread with the machine
 * lock; object_ref/unref from any thread (the last unref too).
 */
#ifndef QOM_OBJECT_H
#define QOM_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <glib.h>
#include "qapi/json.h"
#include "qapi/qapi.h"

typedef struct TypeInfo TypeInfo;
typedef struct Object Object;
typedef struct ObjectProperty ObjectProperty;

/* ---- types ---- */

typedef struct TypeImpl {
    const TypeInfo *kind;       /* NULL ends the list */
    const void *ops;
} TypeImpl;

#define TYPE_IMPLS(...) ((const TypeImpl[]){ __VA_ARGS__, { NULL, NULL } })

struct TypeInfo {
    const char *name;
    const TypeInfo *parent;             /* NULL only for object_type and interfaces */
    size_t instance_size;               /* 0: the parent's */
    bool abstract;
    bool interface;
    const char *description;            /* one line for help; NULL inherits nothing */
    const ObjectProperty *properties;   /* PROP_END-terminated; added to the parent's */
    const TypeImpl *impls;
    void (*instance_init)(Object *obj);         /* parents' first; memory is zeroed and defaults of properties are set after all inits */
    void (*instance_finalize)(Object *obj);     /* parents' last */
    const char *const *aliases;         /* further names, NULL-terminated, or NULL */
    /*
     * The properties of this type are also found on ours (after our own and our
     * ancestors') and are served by the object whose pointer is at
     * @inner_offset in the instance; instance_init makes it and adds it as a
     * child. For a transport around a device. NULL: none.
     */
    const TypeInfo *inner;
    size_t inner_offset;
};

#define OBJECT_TYPE_REGISTER_(ident)                                        \
    static const TypeInfo *const ident##_registration                       \
        __attribute__((used, section("nemu_types"))) = &ident
#define OBJECT_TYPE(ident)                                                  \
    OBJECT_TYPE_REGISTER_(ident);                                           \
    const TypeInfo ident
#define OBJECT_TYPE_STATIC(ident)                                           \
    static const TypeInfo ident;                                            \
    OBJECT_TYPE_REGISTER_(ident);                                           \
    static const TypeInfo ident

extern const TypeInfo object_type;      /* "object" */
extern const TypeInfo container_type;   /* "container" */

/* By name or alias; NULL when there is none. */
const TypeInfo *type_find(const char *name);
bool type_is_a(const TypeInfo *type, const TypeInfo *ancestor_or_interface);
/* The most derived ops that @type or its ancestors give for @kind, or NULL. */
const void *type_ops(const TypeInfo *type, const TypeInfo *kind);
/* All registered types that are @kind (NULL: all), in unspecified order, abstract ones only if asked. */
void type_foreach(const TypeInfo *kind, bool include_abstract,
                  void (*fn)(const TypeInfo *type, void *opaque), void *opaque);
/* All properties of @type including its ancestors', most derived first. */
void type_foreach_property(const TypeInfo *type,
                           void (*fn)(const TypeInfo *owner, const ObjectProperty *p, void *opaque),
                           void *opaque);
/* Types of a loaded module. */
void type_register_section(const TypeInfo *const *start, const TypeInfo *const *stop);

/* ---- objects ---- */

struct Object {
    const TypeInfo *type;
    Object *parent;
    char *name;                 /* in the parent; NULL for the root and loose objects */
    uint32_t refs;
    bool embedded;              /* inside another object's memory: finalized, not freed */
    bool frozen;                /* realized or completed: only PROP_RUNTIME properties may be set */
    Object *children;           /* private to qom/; newest last */
    Object *next_sibling;       /* private to qom/ */
    GPtrArray *dynamic;         /* ObjectProperty of this object only; private, usually NULL */
};

#define OBJECT(p) ((Object *)(p))

/* One reference; properties have their defaults. Never NULL; @type must not be abstract. */
Object *object_new(const TypeInfo *type);
/* By name, with an error for an unknown or abstract type. */
Object *object_new_by_name(const char *typename, Error **errp);
/*
 * Initialise an object inside another one's memory (zeroed). It holds one
 * reference; the last unref finalizes it without freeing @mem.
 */
void object_init(void *mem, const TypeInfo *type);
/* object_init(), then a child of @parent that holds the only reference. */
void object_init_child(void *parent, const char *name, void *mem, const TypeInfo *type);
Object *object_ref(void *obj);
void object_unref(void *obj);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Object, object_unref)

bool object_is_a(const void *obj, const TypeInfo *type);
/* @obj when it is a @type, else NULL. */
void *object_cast_or_null(void *obj, const TypeInfo *type);
/* @obj; asserts the type. */
void *object_cast(void *obj, const TypeInfo *type);
const void *object_ops(const void *obj, const TypeInfo *kind);

/* ---- the tree ---- */

Object *object_root(void);
Object *object_machine(void);               /* "/machine", or NULL before it exists */
Object *object_objects_root(void);          /* "/objects" */
Object *object_chardevs_root(void);         /* "/chardevs" */
/* The container at @path (created with its ancestors when missing). */
Object *object_container(Object *from, const char *path);
/* Give @child (takes a reference) the place @parent/@name; a name ending in "[*]" gets the first free number. */
bool object_add_child(Object *parent, const char *name, void *child, Error **errp);
/* Take it out of the tree: its ops' unparent runs (device: unrealize), then the tree's reference is dropped. */
void object_unparent(void *obj);
/* "/machine/peripheral/disk0"; caller frees; NULL for loose objects. */
char *object_path(const void *obj);
/* Absolute path, or a partial one that must be unique (@ambiguous may be NULL). Follows link properties. Borrowed. */
Object *object_resolve(const char *path, bool *ambiguous);
/* The same among objects that are a @type (NULL: any). */
Object *object_resolve_type(const char *path, const TypeInfo *type, bool *ambiguous);
Object *object_child(const void *obj, const char *name);
/* Stops and returns non-zero when @fn does. @fn may not change the tree. */
int object_foreach_child(void *obj, int (*fn)(Object *child, void *opaque), void *opaque);
int object_foreach_child_recursive(void *obj, int (*fn)(Object *child, void *opaque), void *opaque);

/* What a family of types does at turns of an object's life; found by object_ops(obj, &object_type). Each may be NULL. */
typedef struct ObjectOps {
    /* After instance_init of all levels and the properties' defaults. */
    void (*post_init)(Object *obj);
    /* The object is about to leave the tree. */
    void (*unparent)(Object *obj);
    /* Word the refusal to set @p of a frozen object. */
    void (*refuse_set)(Object *obj, const ObjectProperty *p, Error **errp);
} ObjectOps;

/* ---- properties ---- */

typedef bool ObjectPropertyGet(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp);
typedef bool ObjectPropertySet(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp);

typedef enum PropertyFlags {
    PROP_RUNTIME = 1,           /* may be set after realize / object completion */
    PROP_READ_ONLY = 2,
    PROP_NO_DEFAULT = 4,        /* "default-value" is not shown in introspection */
    PROP_HIDDEN = 8,            /* settable, not listed in help */
    PROP_CLASS_ONLY = 16,       /* QOM plumbing ("type", "realized"): not in device-list-properties */
} PropertyFlags;

/* How a kind of property reads and writes its field. */
typedef struct PropertyKind {
    const char *type_name;      /* "bool", "uint32", "str", "size", "link<bus>", enum name ... as introspection shows it */
    ObjectPropertyGet *get;
    ObjectPropertySet *set;
    void (*set_default)(Object *obj, const ObjectProperty *p);
    JsonValue *(*default_value)(const ObjectProperty *p);       /* for introspection; NULL: shows none */
    void (*release)(Object *obj, const ObjectProperty *p);      /* before the object is freed */
} PropertyKind;

struct ObjectProperty {
    const char *name;           /* NULL ends a table */
    const PropertyKind *kind;
    size_t offset;              /* of the field in the instance */
    unsigned flags;
    uint8_t bit;                /* PROP_BIT: which bit of a uint64_t field */
    const void *arg;            /* PROP_ENUM: QapiEnum; PROP_LINK: TypeInfo; PROP_ARRAY... */
    const char *type_name;      /* overrides kind->type_name when not NULL */
    ObjectPropertyGet *get;     /* override the kind's when not NULL */
    ObjectPropertySet *set;
    const char *description;
    union {
        int64_t i;
        uint64_t u;
        const char *s;
    } def;
};

extern const PropertyKind prop_kind_bool;       /* bool */
extern const PropertyKind prop_kind_bit64;      /* one bit of a uint64_t */
extern const PropertyKind prop_kind_uint8;
extern const PropertyKind prop_kind_uint16;
extern const PropertyKind prop_kind_uint32;
extern const PropertyKind prop_kind_uint64;
extern const PropertyKind prop_kind_int32;
extern const PropertyKind prop_kind_int64;
extern const PropertyKind prop_kind_size;       /* uint64_t, suffixes in key=value form */
extern const PropertyKind prop_kind_string;     /* char *, owned */
extern const PropertyKind prop_kind_enum;       /* int */
extern const PropertyKind prop_kind_on_off_auto;/* OnOffAuto stored as int */
extern const PropertyKind prop_kind_link;       /* Object *, reference held; value is a path or id */
extern const PropertyKind prop_kind_custom;     /* no field: get and set given */

#define PROP_FIELD_(n, k, st, f, ...)                                       \
    { .name = (n), .kind = &prop_kind_##k, .offset = offsetof(st, f), __VA_ARGS__ }
#define PROP_BOOL(n, st, f, d, desc) \
    PROP_FIELD_(n, bool, st, f, .def.i = (d), .description = (desc))
#define PROP_BIT64(n, st, f, b, d, desc) \
    PROP_FIELD_(n, bit64, st, f, .bit = (b), .def.i = (d), .description = (desc))
#define PROP_UINT8(n, st, f, d, desc) \
    PROP_FIELD_(n, uint8, st, f, .def.u = (d), .description = (desc))
#define PROP_UINT16(n, st, f, d, desc) \
    PROP_FIELD_(n, uint16, st, f, .def.u = (d), .description = (desc))
#define PROP_UINT32(n, st, f, d, desc) \
    PROP_FIELD_(n, uint32, st, f, .def.u = (d), .description = (desc))
#define PROP_UINT64(n, st, f, d, desc) \
    PROP_FIELD_(n, uint64, st, f, .def.u = (d), .description = (desc))
#define PROP_INT32(n, st, f, d, desc) \
    PROP_FIELD_(n, int32, st, f, .def.i = (d), .description = (desc))
#define PROP_INT64(n, st, f, d, desc) \
    PROP_FIELD_(n, int64, st, f, .def.i = (d), .description = (desc))
#define PROP_SIZE(n, st, f, d, desc) \
    PROP_FIELD_(n, size, st, f, .def.u = (d), .description = (desc))
#define PROP_STRING(n, st, f, desc) \
    PROP_FIELD_(n, string, st, f, .description = (desc))
/* The same under the type name that clients know it by where the property is the class's own. */
#define PROP_CLASS_STRING(n, st, f, desc) \
    PROP_FIELD_(n, string, st, f, .type_name = "string", .description = (desc))
#define PROP_ENUM(n, st, f, qapi_enum, d, desc) \
    PROP_FIELD_(n, enum, st, f, .arg = (qapi_enum), .def.i = (d), .description = (desc))
#define PROP_ON_OFF_AUTO(n, st, f, d, desc) \
    PROP_FIELD_(n, on_off_auto, st, f, .def.i = (d), .description = (desc))
#define PROP_LINK(n, st, f, target_type, desc) \
    PROP_FIELD_(n, link, st, f, .arg = (target_type), .description = (desc))
/* @g and @s_ may be NULL: then the property is write-only or read-only. */
#define PROP_CUSTOM(n, tname, g, s_, fl, desc)                              \
    { .name = (n), .kind = &prop_kind_custom, .type_name = (tname),         \
      .get = (g), .set = (s_), .flags = (fl), .description = (desc) }
#define PROP_END { .name = NULL }

/* The field of @p in @obj. */
static inline void *property_field(Object *obj, const ObjectProperty *p)
{
    return (char *)obj + p->offset;
}

/* The property @name of @obj's type (most derived first) or of the object itself; NULL when there is none. */
const ObjectProperty *object_property_find(const void *obj, const char *name);
/* The same, then in the object that TypeInfo.inner names; *@obj becomes the one that has it. */
const ObjectProperty *object_property_lookup(Object **obj, const char *name);
/* Set from JSON (or keyval) value; get as JSON. Children read as their path. Unknown: "Property 'TYPE.NAME' not found". */
bool object_property_set(void *obj, const char *name, const JsonValue *value, Error **errp);
JsonValue *object_property_get(void *obj, const char *name, Error **errp);
/* Typed shorthands for our own code. */
bool object_property_set_string(void *obj, const char *name, const char *s, Error **errp); /* keyval rules */
bool object_property_set_bool(void *obj, const char *name, bool b, Error **errp);
bool object_property_set_int(void *obj, const char *name, int64_t i, Error **errp);
bool object_property_set_link(void *obj, const char *name, Object *target, Error **errp);
/* Every member of @props but those named in @except (NULL-terminated, may be NULL), in order. */
bool object_set_properties(void *obj, const JsonValue *props, const char *const *except, Error **errp);
/* A property of this one object; @p must outlive it (usually a static table or g_new'ed with the object). */
void object_property_add_dynamic(void *obj, const ObjectProperty *p);
/* The type name that introspection shows; for links made from the target type. Caller frees. */
char *object_property_type_name(const ObjectProperty *p);
/* The default as introspection shows it; NULL when it shows none. */
JsonValue *object_property_default(const ObjectProperty *p);
/* Called for static and dynamic ones, and for children (with a "child<type>" type name and @p NULL). */
void object_foreach_property(void *obj,
                             void (*fn)(Object *obj, const char *name, const char *type, const ObjectProperty *p, void *opaque),
                             void *opaque);

/* ---- -object, object-add ---- */

extern const TypeInfo user_creatable_type;      /* interface "user-creatable" */
typedef struct UserCreatableOps {
    bool (*complete)(Object *obj, Error **errp);        /* after all properties are set; may be NULL */
    bool (*can_be_deleted)(Object *obj);                /* NULL: always */
} UserCreatableOps;

/* From {"qom-type": T, "id": I, ...}; the object then is /objects/I. Borrowed. */
Object *user_creatable_add(const JsonValue *options, Error **errp);
bool user_creatable_del(const char *id, Error **errp);
/* The object /objects/@id when it is a @type, with errors that name both. Borrowed. */
Object *user_creatable_find(const char *id, const TypeInfo *type, Error **errp);

#endif
