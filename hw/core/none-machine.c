/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machine "none": nothing but the management interface. Management tools start
 * it to ask what the program can do, so it makes no CPU, no memory, no device.
 */
#include "util/osdep.h"
#include "hw/core/machine.h"

static bool none_init(MachineState *m, Error **errp)
{
    if (m->kernel) {
        error_setg(errp, "The machine 'none' has nothing to boot; -kernel is not supported");
        return false;
    }
    return true;
}

static const MachineOps none_machine_ops = {
    .name = "none",
    .description = "empty machine",
    .init = none_init,
};

OBJECT_TYPE_STATIC(none_machine_type) = {
    .name = "none-machine",
    .parent = &machine_type,
    .impls = TYPE_IMPLS({ &machine_type, &none_machine_ops }),
};
