/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Human monitor commands on the object tree and the device tree. Main thread
 * with the machine lock.
 */
#include "util/osdep.h"
#include "hmp-text.h"
#include "hw/core/device.h"
#include "qapi-commands.h"
#include "util/cutils.h"

/* ---- qom-* ---- */

static bool run_qom_list(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const char *path = hmp_string(args, "path");
    Error *err = NULL;
    ObjectPropertyInfoList *list;

    if (!path) {
        hmp_puts(hmp, "/\n");
        return true;
    }
    list = qmp_qom_list(&(QmpQomListArgs){ .path = (char *)path }, &err);
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    for (ObjectPropertyInfoList *l = list; l; l = l->next) {
        hmp_printf(hmp, "%s (%s)\n", l->value->name, l->value->type);
    }
    qapi_free_ObjectPropertyInfoList(list);
    return true;
}

static bool run_qom_get(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const QmpQomGetArgs a = { .path = (char *)hmp_string(args, "path"),
                              .property = (char *)hmp_string(args, "property") };
    g_autoptr(JsonValue) v = qmp_qom_get(&a, errp);

    if (v) {
        g_autoptr(GString) text = json_print(v, JSON_PRETTY);

        hmp_printf(hmp, "%s\n", text->str);
    }
    return v != NULL;
}

static bool run_qom_set(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const char *text = hmp_string(args, "value");
    g_autoptr(JsonValue) v = hmp_bool(args, "json") ? json_parse(text, strlen(text), errp)
                                                    : json_keyval_string(text);
    const QmpQomSetArgs a = { .path = (char *)hmp_string(args, "path"),
                              .property = (char *)hmp_string(args, "property"), .value = v };

    return v && qmp_qom_set(&a, errp);
}

/* ---- info qom-tree ---- */

static int collect_child(Object *child, void *opaque)
{
    g_ptr_array_add(opaque, child);
    return 0;
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp((*(Object *const *)a)->name, (*(Object *const *)b)->name);
}

static void print_object(Hmp *hmp, Object *obj, int indent)
{
    g_autoptr(GPtrArray) children = g_ptr_array_new();

    hmp_printf(hmp, "%*s/%s (%s)\n", indent, "", obj->name ? obj->name : "", obj->type->name);
    object_foreach_child(obj, collect_child, children);
    g_ptr_array_sort(children, compare_names);
    for (guint i = 0; i < children->len; i++) {
        print_object(hmp, children->pdata[i], indent + 2);
    }
}

static bool info_qom_tree(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const char *path = hmp_string(args, "path");
    bool ambiguous = false;
    Object *obj = path ? object_resolve(path, &ambiguous) : object_machine();

    if (!obj) {
        hmp_printf(hmp, ambiguous ? "Warning: Path '%s' is ambiguous.\n" : "Path '%s' could not be resolved.\n", path);
        return true;
    }
    print_object(hmp, obj, 0);
    return true;
}

/* ---- info qtree ---- */

/* Numbers in both bases, sizes in words: what people read here. */
static char *describe_value(const ObjectProperty *p, const JsonValue *v)
{
    g_autofree char *type = object_property_type_name(p);
    uint64_t u;
    int64_t i;

    if (json_get_uint(v, &u)) {
        if (strcmp(type, "size") == 0 || strcmp(type, "size32") == 0) {
            g_autofree char *words = format_size(u);

            return g_strdup_printf("%" PRIu64 " (%s)", u, words);
        }
        return g_strdup_printf("%" PRIu64 " (%#" PRIx64 ")", u, u);
    }
    if (json_get_int(v, &i)) {
        return g_strdup_printf("%" PRId64 " (%#" PRIx64 ")", i, (uint64_t)i);
    }
    return g_string_free(json_print(v, JSON_COMPACT), FALSE);
}

typedef struct TreePrinter {
    Hmp *hmp;
    DeviceState *dev;
    int indent;
} TreePrinter;

static void print_property(const TypeInfo *owner, const ObjectProperty *p, void *opaque)
{
    TreePrinter *t = opaque;
    g_autoptr(JsonValue) v = NULL;
    g_autofree char *text = NULL;

    if (p->flags & (PROP_CLASS_ONLY | PROP_READ_ONLY) || (!p->get && !p->kind->get)) {
        return;
    }
    v = object_property_get(t->dev, p->name, NULL);
    if (v) {
        text = describe_value(p, v);
        hmp_printf(t->hmp, "%*s%s = %s\n", t->indent, "", p->name, text);
    }
}

static void print_bus(Hmp *hmp, BusState *bus, int indent);

static void print_device(Hmp *hmp, DeviceState *dev, int indent)
{
    TreePrinter t = { .hmp = hmp, .dev = dev, .indent = indent + 2 };

    hmp_printf(hmp, "%*sdev: %s, id \"%s\"\n", indent, "", dev->obj.type->name, dev->id ? dev->id : "");
    type_foreach_property(dev->obj.type, print_property, &t);
    for (BusState *b = dev->child_buses; b; b = b->next_sibling) {
        print_bus(hmp, b, indent + 2);
    }
}

static void print_bus(Hmp *hmp, BusState *bus, int indent)
{
    hmp_printf(hmp, "%*sbus: %s\n%*s  type %s\n", indent, "", bus->name, indent, "", bus->obj.type->name);
    for (DeviceState *d = bus->devices; d; d = d->next_on_bus) {
        print_device(hmp, d, indent + 2);
    }
}

static bool info_qtree(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    print_bus(hmp, machine_main_bus(), 0);
    return true;
}

HMP_COMMANDS(tree_commands) = {
    { "qom-list", "path", "list QOM properties", HMP_ARGS({ "path", HMP_STRING, .optional = true }), run_qom_list },
    { "qom-get", "path property", "print QOM property",
      HMP_ARGS({ "path", HMP_STRING }, { "property", HMP_STRING }), run_qom_get },
    { "qom-set", "[-j] path property value", "set QOM property.\n\t\t\t-j: the value is specified in json format.",
      HMP_ARGS({ "json", HMP_FLAG, .flag = 'j' }, { "path", HMP_STRING }, { "property", HMP_STRING },
               { "value", HMP_REST }), run_qom_set },
    HMP_END
};

HMP_INFO(tree_infos) = {
    { "qom-tree", "[path]", "show QOM composition tree", HMP_ARGS({ "path", HMP_STRING, .optional = true }),
      info_qom_tree },
    { "qtree", "", "show device tree", NULL, info_qtree },
    HMP_END
};
