/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hot-plug of what sits on no bus of the AArch64 `virt`: DIMMs and NVDIMMs, where the
 * guest has ACPI. Main thread with the machine lock.
 */
#include "util/osdep.h"

#include "acpi.h"
#include "hw/mem/memory-device.h"
#include "machine.h"

static bool pre_plug(void *opaque, DeviceState *dev, Error **errp)
{
    ArmVirtMachine *v = opaque;

    if (!object_is_a(dev, &pc_dimm_type)) {
        return true;
    }
    if (!v->ged) {
        error_setg(errp, "memory hotplug is not enabled: missing acpi-ged device (it comes with firmware"
                   " and acpi=on)");
        return false;
    }
    return acpi_dimms_pre_plug(&v->dimms, dev, errp);
}

static bool plug(void *opaque, DeviceState *dev, Error **errp)
{
    ArmVirtMachine *v = opaque;

    if (object_is_a(dev, &pc_dimm_type)) {
        acpi_dimms_plug(&v->dimms, dev);
    }
    return true;
}

static bool unplug_request(void *opaque, DeviceState *dev, Error **errp)
{
    acpi_dimms_unplug_request(&((ArmVirtMachine *)opaque)->dimms, dev);
    return true;
}

static void unplug(void *opaque, DeviceState *dev)
{
    acpi_dimms_unplug(&((ArmVirtMachine *)opaque)->dimms, dev);
}

static const HotplugOps hotplug_ops = {
    .pre_plug = pre_plug, .plug = plug, .unplug_request = unplug_request, .unplug = unplug,
};

bool arm_virt_hotplug_create(ArmVirtMachine *v, Error **errp)
{
    BusState *bus = machine_main_bus();

    bus->hotplug = &hotplug_ops;
    bus->hotplug_opaque = v;
    memory_devices_init(&v->machine, v->layout.device_memory.base, v->layout.device_memory.size);
    if (v->ged && !acpi_dimms_create(&v->dimms, &v->machine, v->ged, errp)) {
        return false;
    }
    acpi_dimms_map(&v->dimms, &arm_virt_dimms_places);
    return true;
}
