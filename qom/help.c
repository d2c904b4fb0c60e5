/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "help" for types and their properties on standard output. Main thread. */
#include "util/osdep.h"
#include "qapi/json.h"
#include "qom/help.h"

static void collect(const TypeInfo *type, void *opaque)
{
    g_ptr_array_add(opaque, (void *)type);
}

static int compare_types(const void *a, const void *b)
{
    const TypeInfo *x = *(const TypeInfo *const *)a, *y = *(const TypeInfo *const *)b;

    return g_ascii_strcasecmp(x->name, y->name);
}

GPtrArray *type_sorted(const TypeInfo *kind)
{
    GPtrArray *list = g_ptr_array_new();

    type_foreach(kind, false, collect, list);
    g_ptr_array_sort(list, compare_types);
    return list;
}

void type_print_list(const TypeInfo *kind, const char *title)
{
    g_autoptr(GPtrArray) list = type_sorted(kind);

    printf("%s", title);
    for (guint i = 0; i < list->len; i++) {
        const TypeInfo *type = list->pdata[i];

        if (g_str_has_suffix(type->name, "-accel")) {
            printf("%.*s\n", (int)strlen(type->name) - 6, type->name);
        } else {
            printf("  %s\n", type->name);
        }
    }
}

static void collect_property(const TypeInfo *owner, const ObjectProperty *p, void *opaque)
{
    if (!(p->flags & (PROP_CLASS_ONLY | PROP_HIDDEN | PROP_READ_ONLY)) && (p->set || p->kind->set)) {
        g_ptr_array_add(opaque, (void *)p);
    }
}

static int compare_properties(const void *a, const void *b)
{
    const ObjectProperty *x = *(const ObjectProperty *const *)a;
    const ObjectProperty *y = *(const ObjectProperty *const *)b;

    return strcmp(x->name, y->name);
}

static void print_property(const ObjectProperty *p)
{
    g_autofree char *type = object_property_type_name(p);
    g_autoptr(JsonValue) def = object_property_default(p);
    g_autofree char *head = g_strdup_printf("  %s=<%s>", p->name, type);

    if (!p->description && !def) {
        printf("%s\n", head);
        return;
    }
    printf("%-24s - %s", head, p->description ? p->description : "");
    if (def) {
        GString *text = json_print(def, JSON_COMPACT);

        printf(" (default: %s)", text->str);
        g_string_free(text, TRUE);
    }
    printf("\n");
}

bool type_print_properties(const char *type_name, Error **errp)
{
    const TypeInfo *type = type_find(type_name);
    g_autoptr(GPtrArray) list = g_ptr_array_new();

    if (!type) {
        error_setg(errp, "there is no type '%s'", type_name);
        return false;
    }
    type_foreach_property(type, collect_property, list);
    g_ptr_array_sort(list, compare_properties);
    printf("%s options:\n", type_name);
    for (guint i = 0; i < list->len; i++) {
        print_property(list->pdata[i]);
    }
    return true;
}
