/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handlers of -blockdev and -drive; what they mean is in block/blockdev.c. And
 * what a stopped VM means for its images. Main thread.
 */
#include "util/osdep.h"
#include "block/block.h"
#include "hw/core/device.h"
#include "system/runstate.h"
#include "system/options.h"
#include "system/startup.h"

/* A disk with if=virtio is added after the devices that were given in full, as they may say where
 * they sit. */
static JsonValue *drive_devices;
static GPtrArray *drive_texts;          /* of char *: the option behind each */

/* Whoever stops the VM may look at the images next: everything is on disk then. */
static void vm_state_changed(void *opaque, bool running, RunState s)
{
    Error *err = NULL;

    if (running) {
        return;
    }
    block_drain_all();
    if (!block_flush_all(&err)) {
        warn_report_err(err);
    }
}

bool storage_setup(Error **errp)
{
    /* After all devices. */
    run_state_notify(vm_state_changed, NULL, INT_MIN);
    return true;
}

bool option_blockdev(const char *arg, Error **errp)
{
    return blockdev_option_add(arg, errp);
}

static void collect_driver(const BlockDriver *drv, void *opaque)
{
    g_ptr_array_add(opaque, (void *)drv->name);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_drivers(void)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    block_driver_foreach(collect_driver, names);
    g_ptr_array_sort(names, compare_names);
    printf("Supported formats:");
    for (guint i = 0; i < names->len; i++) {
        printf(" %s", (const char *)names->pdata[i]);
    }
    printf("\n");
}

bool option_drive(const char *arg, Error **errp)
{
    JsonValue *device;

    if (option_wants_help(arg)) {
        if (strstr(arg, "format=")) {
            print_drivers();
        } else {
            option_print_params("drive", option_find_group("drive")->params);
        }
        startup.done = true;
        return true;
    }

    if (!drive_option_add(arg, &device, errp)) {
        return false;
    }
    if (device) {
        if (!drive_devices) {
            drive_devices = json_array();
            drive_texts = g_ptr_array_new();
        }
        json_array_add_take(drive_devices, device);
        g_ptr_array_add(drive_texts, (void *)arg);
    }
    return true;
}

/* -pflash FILE: commas in it are not separators. */
bool option_pflash(const char *arg, Error **errp)
{
    g_auto(GStrv) parts = g_strsplit(arg, ",", -1);
    g_autofree char *file = g_strjoinv(",,", parts);
    g_autofree char *text = g_strdup_printf("if=pflash,file=%s", file);

    return option_drive(text, errp);
}

bool options_create_drives(Error **errp)
{
    if (!drive_check_pflash(errp)) {
        return false;
    }
    for (guint i = 0; drive_texts && i < drive_texts->len; i++) {
        if (!device_add(json_array_at(drive_devices, i), errp)) {
            error_prepend(errp, "-drive %s: ", (char *)drive_texts->pdata[i]);
            return false;
        }
    }
    return true;
}
