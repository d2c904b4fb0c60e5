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
    g_autoptr(GPtrArray) list = type_sorted(&device_type);

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

/* ---- CPU models ---- */

void help_print_cpus(void)
{
    g_autoptr(GPtrArray) list = type_sorted(&cpu_type);
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
