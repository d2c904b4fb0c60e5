/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hot-plug of what sits on no bus of `virt`: CPUs and DIMMs. Main thread with the
 * machine lock. The guest's part is in hw/acpi/hotplug.c.
 */
#include "util/osdep.h"

#include "acpi.h"
#include "hw/mem/memory-device.h"
#include "machine.h"
#include "system/runstate.h"
#include "target/i386/cpu.h"

/* ---- CPUs ---- */

static bool cpu_pre_plug(VirtMachine *v, X86Cpu *cpu, Error **errp)
{
    DeviceState *dev = &cpu->cpu.dev;
    const char *type = v->machine.cpu_type;

    if (!dev->user_added) {
        return true;            /* of -smp: in order */
    }
    if (strcmp(dev->obj.type->name, type) != 0) {
        error_setg(errp, "Invalid CPU type, expected cpu type: '%s'", type);
        return false;
    }
    return machine_apply_cpu_options(&v->machine, OBJECT(dev), errp) && x86_cpu_place(cpu, errp);
}

static void cpu_plug(VirtMachine *v, X86Cpu *cpu)
{
    if (v->cpu_slots) {
        acpi_slots_plug(v->cpu_slots, cpu->cpu.index, &cpu->cpu.dev);
    }
    if (!cpu->cpu.dev.hotplugged) {
        return;
    }
    fw_cfg_set_u16(v->fw_cfg, FW_CFG_NB_CPUS, cpu_count());
    if (run_state_is(RUN_STATE_RUNNING)) {
        cpu_resume(&cpu->cpu);
    }
}

static bool cpu_unplug_request(VirtMachine *v, X86Cpu *cpu, Error **errp)
{
    if (cpu->cpu.index == 0) {
        error_setg(errp, "Boot CPU is unpluggable");
        return false;
    }
    if (v->machine.smp.cpus == v->machine.smp.max_cpus) {
        error_setg(errp, "CPU %d cannot be removed: -smp gives the machine no more places (maxcpus)"
                   " than CPUs, so its guest does not know of hot-plug", cpu->cpu.index);
        return false;
    }
    acpi_slots_request(v->cpu_slots, cpu->cpu.index);
    /* The guest may refuse or forget: it can be asked again. */
    cpu->cpu.dev.unplug_pending = false;
    return true;
}

static void cpu_unplug(VirtMachine *v, X86Cpu *cpu)
{
    acpi_slots_unplug(v->cpu_slots, cpu->cpu.index);
    fw_cfg_set_u16(v->fw_cfg, FW_CFG_NB_CPUS, cpu_count() - 1);
}

/* ---- by kind ---- */

static bool pre_plug(void *opaque, DeviceState *dev, Error **errp)
{
    VirtMachine *v = opaque;

    if (object_is_a(dev, &x86_cpu_type)) {
        return cpu_pre_plug(v, X86_CPU(dev), errp);
    }
    if (!object_is_a(dev, &pc_dimm_type)) {
        return true;
    }
    if (!v->machine.acpi) {
        error_setg(errp, "memory hotplug is not enabled: the machine has no ACPI (acpi=off)");
        return false;
    }
    return acpi_dimms_pre_plug(&v->dimms, dev, errp);
}

static bool plug(void *opaque, DeviceState *dev, Error **errp)
{
    VirtMachine *v = opaque;

    if (object_is_a(dev, &x86_cpu_type)) {
        cpu_plug(v, X86_CPU(dev));
    } else if (object_is_a(dev, &pc_dimm_type)) {
        acpi_dimms_plug(&v->dimms, dev);
    }
    return true;
}

static bool unplug_request(void *opaque, DeviceState *dev, Error **errp)
{
    VirtMachine *v = opaque;

    if (object_is_a(dev, &x86_cpu_type)) {
        return cpu_unplug_request(v, X86_CPU(dev), errp);
    }
    acpi_dimms_unplug_request(&v->dimms, dev);
    return true;
}

static void unplug(void *opaque, DeviceState *dev)
{
    VirtMachine *v = opaque;

    if (object_is_a(dev, &x86_cpu_type)) {
        cpu_unplug(v, X86_CPU(dev));
    } else {
        acpi_dimms_unplug(&v->dimms, dev);
    }
}

static const HotplugOps hotplug_ops = {
    .pre_plug = pre_plug, .plug = plug, .unplug_request = unplug_request, .unplug = unplug,
};

static bool create_cpu_slots(VirtMachine *v, Error **errp)
{
    const CpuTopology *t = &v->machine.smp;

    v->apic_ids = g_new(uint64_t, t->max_cpus);
    for (unsigned i = 0; i < t->max_cpus; i++) {
        v->apic_ids[i] = x86_apic_id(t, i);
    }
    v->cpu_slots = acpi_slots_create(OBJECT(v), &acpi_cpu_slots_type, t->max_cpus, v->ged, errp);
    if (!v->cpu_slots) {
        return false;
    }
    v->cpu_slots->arch_ids = v->apic_ids;
    memory_region_add(system_io(), VIRT_PORT_CPU_SLOTS, &v->cpu_slots->io);
    return true;
}

bool virt_hotplug_create(VirtMachine *v, Error **errp)
{
    BusState *bus = machine_main_bus();

    bus->hotplug = &hotplug_ops;
    bus->hotplug_opaque = v;
    memory_devices_init(&v->machine, v->device_memory_base, v->device_memory_size);
    if ((CONFIG_CPU_HOTPLUG && !create_cpu_slots(v, errp)) ||
        !acpi_dimms_create(&v->dimms, &v->machine, v->ged, errp)) {
        return false;
    }
    acpi_dimms_map(&v->dimms, &virt_dimms_places);
    return true;
}
