/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The object model: types, object life and the one tree of objects.
 *
 * Types are constant tables collected by the linker (include/qom/object.h), so
 * looking one up is a walk over pointers and start-up does nothing.
 *
 * Threads: reference counts are atomic; everything else belongs to the main
 * thread with the machine lock. Nothing here reads guest-controlled data.
 */
#include "util/osdep.h"
#include "qom/object.h"

/* ---- types ---- */

extern const TypeInfo *const __start_nemu_types[] __attribute__((weak));
extern const TypeInfo *const __stop_nemu_types[] __attribute__((weak));

typedef struct TypeSection {
    const TypeInfo *const *start;
    const TypeInfo *const *stop;
    struct TypeSection *next;
} TypeSection;

static TypeSection *module_sections;


static bool object_get_type(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = json_string(obj->type->name);
    return true;
}

static const ObjectProperty object_properties[] = {
    PROP_CUSTOM("type", "string", object_get_type, NULL, PROP_CLASS_ONLY, NULL),
    PROP_END
};

OBJECT_TYPE(object_type) = {
    .name = "object",
    .instance_size = sizeof(Object),
    .abstract = true,
    .properties = object_properties,
};

OBJECT_TYPE(container_type) = {
    .name = "container",
    .parent = &object_type,
};

void type_register_section(const TypeInfo *const *start, const TypeInfo *const *stop)
{
    TypeSection *s = g_new(TypeSection, 1);

    s->start = start;
    s->stop = stop;
    s->next = module_sections;
    module_sections = s;
}

static bool type_has_name(const TypeInfo *type, const char *name)
{
    if (strcmp(type->name, name) == 0) {
        return true;
    }
    for (const char *const *a = type->aliases; a && *a; a++) {
        if (strcmp(*a, name) == 0) {
            return true;
        }
    }
    return false;
}

static const TypeInfo *section_find(const TypeInfo *const *start, const TypeInfo *const *stop,
                                    const char *name)
{
    for (const TypeInfo *const *t = start; t < stop; t++) {
        if (type_has_name(*t, name)) {
            return *t;
        }
    }
    return NULL;
}

const TypeInfo *type_find(const char *name)
{
    const TypeInfo *type = section_find(__start_nemu_types, __stop_nemu_types, name);

    for (TypeSection *s = module_sections; s && !type; s = s->next) {
        type = section_find(s->start, s->stop, name);
    }
    return type;
}

bool type_is_a(const TypeInfo *type, const TypeInfo *kind)
{
    for (const TypeInfo *t = type; t; t = t->parent) {
        if (t == kind) {
            return true;
        }
        if (!kind->interface) {
            continue;
        }
        for (const TypeImpl *i = t->impls; i && i->kind; i++) {
            if (i->kind->interface && type_is_a(i->kind, kind)) {
                return true;
            }
        }
    }
    return false;
}

const void *type_ops(const TypeInfo *type, const TypeInfo *kind)
{
    for (const TypeInfo *t = type; t; t = t->parent) {
        for (const TypeImpl *i = t->impls; i && i->kind; i++) {
            if (i->kind == kind) {
                return i->ops;
            }
        }
    }
    return NULL;
}

static void section_foreach(const TypeInfo *const *start, const TypeInfo *const *stop,
                            const TypeInfo *kind, bool include_abstract,
                            void (*fn)(const TypeInfo *type, void *opaque), void *opaque)
{
    for (const TypeInfo *const *t = start; t < stop; t++) {
        bool hidden = (*t)->abstract || (*t)->interface;

        if ((!hidden || include_abstract) && (!kind || type_is_a(*t, kind))) {
            fn(*t, opaque);
        }
    }
}

void type_foreach(const TypeInfo *kind, bool include_abstract,
                  void (*fn)(const TypeInfo *type, void *opaque), void *opaque)
{
    section_foreach(__start_nemu_types, __stop_nemu_types, kind, include_abstract, fn, opaque);
    for (TypeSection *s = module_sections; s; s = s->next) {
        section_foreach(s->start, s->stop, kind, include_abstract, fn, opaque);
    }
}

/* ---- objects ---- */

static void init_levels(Object *obj, const TypeInfo *type)
{
    if (type->parent) {
        init_levels(obj, type->parent);
    }
    if (type->instance_init) {
        type->instance_init(obj);
    }
}

static void default_levels(Object *obj, const TypeInfo *type)
{
    /* Ancestors first: a derived type's property of the same name has the last word. */
    if (type->parent) {
        default_levels(obj, type->parent);
    }
    for (const ObjectProperty *p = type->properties; p && p->name; p++) {
        if (p->kind->set_default) {
            p->kind->set_default(obj, p);
        }
    }
}

static void initialize(Object *obj, const TypeInfo *type)
{
    const ObjectOps *ops;

    assert(!type->abstract && !type->interface);
    obj->type = type;
    obj->refs = 1;
    init_levels(obj, type);
    default_levels(obj, type);
    ops = type_ops(type, &object_type);
    if (ops && ops->post_init) {
        ops->post_init(obj);
    }
}

static size_t type_instance_size(const TypeInfo *type)
{
    while (!type->instance_size) {
        type = type->parent;
    }
    return type->instance_size;
}

Object *object_new(const TypeInfo *type)
{
    Object *obj = g_malloc0(type_instance_size(type));

    initialize(obj, type);
    return obj;
}

Object *object_new_by_name(const char *typename, Error **errp)
{
    const TypeInfo *type = type_find(typename);

    if (!type) {
        error_setg(errp, "invalid object type: %s", typename);
        return NULL;
    }
    if (type->abstract || type->interface) {
        error_setg(errp, "object type '%s' is abstract", typename);
        return NULL;
    }
    return object_new(type);
}

void object_init(void *mem, const TypeInfo *type)
{
    Object *obj = mem;

    obj->embedded = true;
    initialize(obj, type);
}

void object_init_child(void *parent, const char *name, void *mem, const TypeInfo *type)
{
    object_init(mem, type);
    object_add_child(parent, name, mem, &error_abort);
    object_unref(mem);
}

Object *object_ref(void *p)
{
    Object *obj = p;

    atomic_fetch_add(&obj->refs, 1);
    return obj;
}

static void finalize(Object *obj)
{
    assert(!obj->parent);
    while (obj->children) {
        object_unparent(obj->children);
    }
    for (const TypeInfo *t = obj->type; t; t = t->parent) {
        if (t->instance_finalize) {
            t->instance_finalize(obj);
        }
    }
    for (const TypeInfo *t = obj->type; t; t = t->parent) {
        for (const ObjectProperty *p = t->properties; p && p->name; p++) {
            if (p->kind->release) {
                p->kind->release(obj, p);
            }
        }
    }
    for (guint i = 0; obj->dynamic && i < obj->dynamic->len; i++) {
        const ObjectProperty *p = obj->dynamic->pdata[i];

        if (p->kind->release) {
            p->kind->release(obj, p);
        }
    }
    g_clear_pointer(&obj->dynamic, g_ptr_array_unref);
    if (!obj->embedded) {
        g_free(obj);
    }
}

void object_unref(void *p)
{
    Object *obj = p;

    if (!obj) {
        return;
    }
    assert(atomic_load(&obj->refs) > 0);
    if (atomic_fetch_sub(&obj->refs, 1) == 1) {
        finalize(obj);
    }
}

bool object_is_a(const void *p, const TypeInfo *type)
{
    const Object *obj = p;

    return obj && type_is_a(obj->type, type);
}

void *object_cast_or_null(void *obj, const TypeInfo *type)
{
    return object_is_a(obj, type) ? obj : NULL;
}

void *object_cast(void *obj, const TypeInfo *type)
{
    assert(object_is_a(obj, type));
    return obj;
}

const void *object_ops(const void *p, const TypeInfo *kind)
{
    const Object *obj = p;

    return type_ops(obj->type, kind);
}

/* ---- the tree ---- */

Object *object_root(void)
{
    static Object *root;

    if (!root) {
        root = object_new(&container_type);
    }
    return root;
}

Object *object_machine(void)
{
    return object_child(object_root(), "machine");
}

Object *object_objects_root(void)
{
    return object_container(object_root(), "/objects");
}

Object *object_chardevs_root(void)
{
    return object_container(object_root(), "/chardevs");
}

Object *object_container(Object *from, const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);

    for (char **part = parts; *part; part++) {
        Object *next;

        if (!**part) {
            continue;
        }
        next = object_child(from, *part);
        if (!next) {
            next = object_new(&container_type);
            object_add_child(from, *part, next, &error_abort);
            object_unref(next);
        }
        from = next;
    }
    return from;
}

Object *object_child(const void *p, const char *name)
{
    const Object *obj = p;

    for (Object *c = obj->children; c; c = c->next_sibling) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}

/* "name[N]" with the first N that no child of @parent has. */
static char *number_child(const Object *parent, const char *pattern)
{
    int stem = (int)strlen(pattern) - 3;
    g_autoptr(GHashTable) used = g_hash_table_new(NULL, NULL);
    unsigned n = 0;

    for (Object *c = parent->children; c; c = c->next_sibling) {
        unsigned taken;
        char end;

        if (strncmp(c->name, pattern, stem + 1) == 0 &&
            sscanf(c->name + stem, "[%u%c", &taken, &end) == 2 && end == ']') {
            g_hash_table_add(used, GUINT_TO_POINTER(taken));
        }
    }
    while (g_hash_table_contains(used, GUINT_TO_POINTER(n))) {
        n++;
    }
    return g_strdup_printf("%.*s[%u]", stem, pattern, n);
}

bool object_add_child(Object *parent, const char *name, void *p, Error **errp)
{
    Object *child = p;
    Object **end = &parent->children;
    char *final;

    assert(!child->parent);
    if (g_str_has_suffix(name, "[*]")) {
        final = number_child(parent, name);
    } else {
        final = g_strdup(name);
        if (object_child(parent, name) || object_property_find(parent, name)) {
            error_setg(errp, "attempt to add duplicate property '%s' to object (type '%s')",
                       name, parent->type->name);
            g_free(final);
            return false;
        }
    }
    while (*end) {
        end = &(*end)->next_sibling;
    }
    *end = object_ref(child);
    child->name = final;
    child->parent = parent;
    return true;
}

void object_unparent(void *p)
{
    Object *obj = p;
    Object **link;
    const ObjectOps *ops;

    if (!obj->parent) {
        return;
    }
    /* The callback may drop references of its own. */
    object_ref(obj);
    ops = object_ops(obj, &object_type);
    if (ops && ops->unparent) {
        ops->unparent(obj);
    }
    if (obj->parent) {
        for (link = &obj->parent->children; *link != obj; link = &(*link)->next_sibling) {
        }
        *link = obj->next_sibling;
        obj->next_sibling = NULL;
        obj->parent = NULL;
        g_clear_pointer(&obj->name, g_free);
        object_unref(obj);
    }
    object_unref(obj);
}

char *object_path(const void *p)
{
    const Object *obj = p;
    const Object *root = object_root();
    GString *path;

    if (obj == root) {
        return g_strdup("/");
    }
    path = g_string_new(NULL);
    while (obj->parent) {
        g_string_prepend(path, obj->name);
        g_string_prepend_c(path, '/');
        obj = obj->parent;
    }
    return g_string_free(path, obj != root);
}

int object_foreach_child(void *p, int (*fn)(Object *child, void *opaque), void *opaque)
{
    Object *obj = p;

    for (Object *c = obj->children, *next; c; c = next) {
        int ret;

        next = c->next_sibling;
        ret = fn(c, opaque);
        if (ret) {
            return ret;
        }
    }
    return 0;
}

int object_foreach_child_recursive(void *p, int (*fn)(Object *child, void *opaque), void *opaque)
{
    Object *obj = p;

    for (Object *c = obj->children, *next; c; c = next) {
        int ret;

        next = c->next_sibling;
        ret = fn(c, opaque);
        if (!ret) {
            ret = object_foreach_child_recursive(c, fn, opaque);
        }
        if (ret) {
            return ret;
        }
    }
    return 0;
}

/* The child @name, or what the link property @name points to. */
static Object *resolve_component(Object *obj, const char *name)
{
    Object *child = object_child(obj, name);
    const ObjectProperty *p;

    if (child) {
        return child;
    }
    p = object_property_lookup(&obj, name);
    if (p && p->kind == &prop_kind_link) {
        return *(Object **)property_field(obj, p);
    }
    return NULL;
}

static Object *resolve_parts(Object *from, char **parts)
{
    for (; *parts && from; parts++) {
        if (**parts) {
            from = resolve_component(from, *parts);
        }
    }
    return from;
}

typedef struct PartialSearch {
    char **parts;
    const TypeInfo *type;
    Object *found;
    bool ambiguous;
} PartialSearch;

static int partial_visit(Object *obj, void *opaque)
{
    PartialSearch *s = opaque;
    Object *match = resolve_parts(obj, s->parts);

    if (match && s->type && !object_is_a(match, s->type)) {
        match = NULL;
    }
    if (match && s->found && s->found != match) {
        s->ambiguous = true;
        return 1;
    }
    s->found = match ? match : s->found;
    return 0;
}

Object *object_resolve_type(const char *path, const TypeInfo *type, bool *ambiguous)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    PartialSearch search = { .parts = parts, .type = type };

    if (ambiguous) {
        *ambiguous = false;
    }
    if (path[0] == '/') {
        Object *obj = resolve_parts(object_root(), parts);

        return obj && (!type || object_is_a(obj, type)) ? obj : NULL;
    }
    if (!path[0]) {
        return NULL;
    }
    if (!partial_visit(object_root(), &search)) {
        object_foreach_child_recursive(object_root(), partial_visit, &search);
    }
    if (search.ambiguous) {
        if (ambiguous) {
            *ambiguous = true;
        }
        return NULL;
    }
    return search.found;
}

Object *object_resolve(const char *path, bool *ambiguous)
{
    return object_resolve_type(path, NULL, ambiguous);
}
