/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What -help, -version and the various "help" values print. Main thread, at
 * start-up.
 */
#include "util/osdep.h"
#include "hw/virtio/virtio.h"
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

    return g_ascii_strcasecmp(x->name, y->name);
}

static GPtrArray *sorted_types(const TypeInfo *kind)
{
    GPtrArray *list = g_ptr_array_new();

    type_foreach(kind, false, collect, list);
    g_ptr_array_sort(list, compare_types);
    return list;
}

/* ---- devices ---- */

static const struct {
    DeviceCategory category;
    const char *title;
} device_sections[] = {
    { DEVICE_CATEGORY_BRIDGE, "Controller/Bridge/Hub" },
    { DEVICE_CATEGORY_STORAGE, "Storage" },
    { DEVICE_CATEGORY_NETWORK, "Network" },
    { DEVICE_CATEGORY_INPUT, "Input" },
    { DEVICE_CATEGORY_MISC, "Misc" },
    { DEVICE_CATEGORY_CPU, "CPU" },
    { DEVICE_CATEGORY_WATCHDOG, "Watchdog" },
    { DEVICE_CATEGORY_NONE, "Uncategorized" },
};

static DeviceCategory category(const TypeInfo *type, const DeviceOps *ops)
{
    const VirtioDeviceOps *virtio = type_ops(type, &virtio_device_type);

    /* These share their DeviceOps. */
    return virtio ? virtio->category : ops->category;
}

static void describe_device(const TypeInfo *type, const DeviceOps *ops, GString *out)
{
    g_string_append_printf(out, "name \"%s\"", type->name);
    if (ops->bus) {
        g_string_append_printf(out, ", bus %s", bus_family_name(ops->bus));
    }
    for (const char *const *a = type->aliases; a && *a; a++) {
        g_string_append_printf(out, ", alias \"%s\"", *a);
    }
    if (type->description) {
        g_string_append_printf(out, ", desc \"%s\"", type->description);
    }
    g_string_append(out, ops->user_creatable ? "\n" : ", no-user\n");
}

void help_list_devices(GString *out, bool all)
{
    g_autoptr(GPtrArray) list = sorted_types(&device_type);

    for (size_t s = 0; s < ARRAY_SIZE(device_sections); s++) {
        bool titled = false;

        for (guint i = 0; i < list->len; i++) {
            const DeviceOps *ops = type_ops(list->pdata[i], &device_type);

            if (category(list->pdata[i], ops) != device_sections[s].category ||
                (!ops->user_creatable && !all)) {
                continue;
            }
            if (!titled) {
                g_string_append_printf(out, "%s%s devices:\n", out->len ? "\n" : "",
                                       device_sections[s].title);
                titled = true;
            }
            describe_device(list->pdata[i], ops, out);
        }
    }
}

void help_print_devices(void)
{
    g_autoptr(GString) out = g_string_new(NULL);

    help_list_devices(out, false);
    fputs(out->str, stdout);
}

/* ---- other types ---- */

void help_print_types(const TypeInfo *kind, const char *title)
{
    g_autoptr(GPtrArray) list = sorted_types(kind);

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

bool help_print_properties(const char *type_name, Error **errp)
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

void help_print_cpus(void)
{
    g_autoptr(GPtrArray) list = sorted_types(&cpu_type);
    const CpuOps *ops = list->len ? type_ops(list->pdata[0], &cpu_type) : NULL;
    size_t suffix = strlen(system_target.cpu_suffix) + 1;

    if (ops && ops->print_models) {
        ops->print_models();
        return;
    }
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
