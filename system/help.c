/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What -help, -version and the various "help" values print. Main thread, at
 * start-up.
 */
#include "util/osdep.h"
#include "system/cpus.h"
#include "system/options.h"
#include "system/startup.h"
#include "system/target.h"

void help_print_version(void)
{
    printf("QEMU emulator version %s (nemu %s)\n", NEMU_COMPAT_VERSION, NEMU_VERSION);
}

void help_print_options(void)
{
    printf("usage: %s [options]\n", report_program());
    for (const Option *o = option_table; o->name; o++) {
        g_autofree char *head = NULL;

        if (!o->help) {
            continue;
        }
        if (!o->name[0]) {
            printf("\n%s:\n", o->help);
            continue;
        }
        head = g_strdup_printf("-%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        if (strlen(head) > 24) {
            printf("%s\n%-26s%s\n", head, "", o->help);
        } else {
            printf("%-26s%s\n", head, o->help);
        }
    }
}

static void collect(const TypeInfo *type, void *opaque)
{
    g_ptr_array_add(opaque, (void *)type);
}

static int compare_types(const void *a, const void *b)
{
    const TypeInfo *x = *(const TypeInfo *const *)a, *y = *(const TypeInfo *const *)b;

    return strcmp(x->name, y->name);
}

static GPtrArray *sorted_types(const TypeInfo *kind)
{
    GPtrArray *list = g_ptr_array_new();

    type_foreach(kind, false, collect, list);
    g_ptr_array_sort(list, compare_types);
    return list;
}

/* Devices show where they go and whether users may make them; the rest only names. */
static void print_device(const TypeInfo *type)
{
    const DeviceOps *ops = type_ops(type, &device_type);

    if (!ops->user_creatable) {
        return;
    }
    printf("name \"%s\"", type->name);
    if (ops->bus) {
        printf(", bus %s", ops->bus->name);
    }
    for (const char *const *a = type->aliases; a && *a; a++) {
        printf(", alias \"%s\"", *a);
    }
    if (type->description) {
        printf(", desc \"%s\"", type->description);
    }
    printf("\n");
}

void help_print_types(const TypeInfo *kind, const char *title)
{
    g_autoptr(GPtrArray) list = sorted_types(kind);

    printf("%s", title);
    for (guint i = 0; i < list->len; i++) {
        const TypeInfo *type = list->pdata[i];

        if (kind == &device_type) {
            print_device(type);
        } else if (g_str_has_suffix(type->name, "-accel")) {
            printf("%.*s\n", (int)strlen(type->name) - 6, type->name);
        } else {
            printf("  %s\n", type->name);
        }
    }
}

static void print_property(const TypeInfo *owner, const ObjectProperty *p, void *opaque)
{
    g_autofree char *type = object_property_type_name(p);
    g_autoptr(JsonValue) def = object_property_default(p);
    g_autofree char *head = g_strdup_printf("  %s=<%s>", p->name, type);

    if ((p->flags & (PROP_CLASS_ONLY | PROP_HIDDEN | PROP_READ_ONLY)) ||
        (!p->set && !p->kind->set)) {
        return;
    }
    printf("%-30s", head);
    if (p->description) {
        printf(" - %s", p->description);
    }
    if (def) {
        GString *text = json_print(def, JSON_COMPACT);

        printf(" (default: %s)", text->str);
        g_string_free(text, TRUE);
    }
    printf("\n");
}

bool help_print_properties(const char *type_name, Error **errp)
{
    const TypeInfo *type = type_find(type_name);

    if (!type) {
        error_setg(errp, "there is no type '%s'", type_name);
        return false;
    }
    printf("%s options:\n", type_name);
    type_foreach_property(type, print_property, NULL);
    return true;
}

void help_print_cpus(void)
{
    g_autoptr(GPtrArray) list = sorted_types(&cpu_type);
    size_t suffix = strlen(system_target.cpu_suffix) + 1;

    printf("Available CPUs:\n");
    for (guint i = 0; i < list->len; i++) {
        const TypeInfo *type = list->pdata[i];
        size_t len = strlen(type->name);

        if (g_str_has_suffix(type->name, system_target.cpu_suffix)) {
            printf("  %.*s %s\n", (int)(len - suffix), type->name,
                   type->description ? type->description : "");
        }
    }
}
