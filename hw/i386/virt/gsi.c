/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The input lines of the interrupt controller, which lives in the accelerator:
 * an object that devices are wired to and that tests can watch
 * (/machine/gsi). Lines change in any thread with the machine lock.
 */
#include "util/osdep.h"

#include "accel/accel.h"
#include "machine.h"

static void set_line(void *opaque, int n, int level)
{
    accel_set_gsi(n, level);
}

static void gsi_init(Object *obj)
{
    device_init_gpio_in((DeviceState *)obj, NULL, set_line, VIRT_GSI_COUNT);
}

static const DeviceOps gsi_ops = { .state = &state_table_none };

OBJECT_TYPE_STATIC(gsi_type) = {
    .name = "x86-gsi",
    .parent = &device_type,
    .description = "Input lines of the interrupt controller",
    .instance_size = sizeof(DeviceState),
    .instance_init = gsi_init,
    .impls = TYPE_IMPLS({ &device_type, &gsi_ops }),
};

DeviceState *virt_gsi_create(Object *parent, Error **errp)
{
    DeviceState *dev = device_new(&gsi_type);
    object_add_child(parent, "gsi", dev, &error_abort);
    return device_realize_and_unref(dev, NULL, errp) ? dev : NULL;
}
