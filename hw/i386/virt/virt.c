/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The x86_64 machine `virt`: memory map, devices that are always there, CPUs,
 * and the versioned machine types. docs/system/machines/virt-x86.md is its
 * description. Main thread with the machine lock.
 */
#include "util/osdep.h"

#include "hw/acpi/reduced.h"
#include "hw/char/serial.h"
#include "machine.h"
#include "system/cpus.h"
#include "system/runstate.h"
#include "system/serial.h"

#define VIRT_MIN_RAM MIB

/* ---- memory ---- */

static bool plan_memory(VirtMachine *v, Error **errp)
{
    const MachineState *m = &v->machine;
    if (m->ram_size < VIRT_MIN_RAM || !IS_ALIGNED(m->ram_size, 4 * KIB)) {
        error_setg(errp, "RAM size %" PRIu64 " is not possible; at least 1 MiB in multiples of"
                   " 4 KiB are", m->ram_size);
        return false;
    }
    v->low_size = MIN(m->ram_size, VIRT_LOW_RAM_END);
    v->high_size = m->ram_size - v->low_size;

    uint64_t end = ROUND_UP(VIRT_HIGH_RAM_BASE + v->high_size, GIB);
    if (m->max_ram_size > m->ram_size) {
        /* Every slot can lose up to 1 GiB to alignment. */
        v->device_memory_base = end;
        v->device_memory_size = m->max_ram_size - m->ram_size + m->ram_slots * GIB;
        end += v->device_memory_size;
    }
    v->mmio64_base = ROUND_UP(end, VIRT_MMIO64_ALIGN);
    v->mmio64_size = VIRT_MMIO64_SIZE;
    return true;
}

static void map_memory(VirtMachine *v)
{
    MemoryRegion *ram = v->machine.ram;
    memory_region_init_alias(&v->low_ram, OBJECT(v), "ram-low", ram, 0, v->low_size);
    memory_region_add(system_memory(), 0, &v->low_ram);
    if (v->high_size) {
        memory_region_init_alias(&v->high_ram, OBJECT(v), "ram-high", ram, v->low_size,
                                 v->high_size);
        memory_region_add(system_memory(), VIRT_HIGH_RAM_BASE, &v->high_ram);
    }
}

/* What the guest is told; it must not use what KVM and the configuration window need. */
static void describe_memory(VirtMachine *v)
{
    v->memmap = memmap_new();
    memmap_add(v->memmap, 0, v->low_size, MEMMAP_RAM);
    if (v->high_size) {
        memmap_add(v->memmap, VIRT_HIGH_RAM_BASE, v->high_size, MEMMAP_RAM);
    }
    if (!v->has_firmware) {
        /* Firmware knows what lies below 1 MiB, and moves the configuration window. */
        memmap_add(v->memmap, VIRT_EBDA_START, MIB - VIRT_EBDA_START, MEMMAP_RESERVED);
        memmap_add(v->memmap, VIRT_ECAM_BASE, VIRT_ECAM_SIZE, MEMMAP_RESERVED);
    }
    memmap_add(v->memmap, VIRT_KVM_PAGES_BASE, VIRT_KVM_PAGES_SIZE, MEMMAP_RESERVED);
}

/* ---- devices ---- */

static void set_intx(void *opaque, int line, int level)
{
    VirtMachine *v = opaque;
    irq_set(device_gpio_in(v->gsi, NULL, VIRT_GSI_INTX + line), level);
}

static bool create_pci(VirtMachine *v, Error **errp)
{
    /* 00:1f.0: where the ports of power management are, and that they are switched on. */
    static const PciHostHidden hidden[] = { { 0xf8040, 0x601 }, { 0xf8044, 0x80 } };
    PciHostConfig cfg = {
        .ecam_base = VIRT_ECAM_BASE,
        .ecam_size = VIRT_ECAM_SIZE,
        .config_ports = true,
        .io_ports = true,
        .windows = {
            { VIRT_MMIO32_BASE, VIRT_MMIO32_END - VIRT_MMIO32_BASE },
            { v->mmio64_base, v->mmio64_size },
        },
        /* Where firmware expects a bridge's functions. */
        .reserved_slots = UINT32_C(1) << 31,
        .set_intx = set_intx,
        .opaque = v,
    };
    if (v->has_firmware) {
        cfg.vendor_id = PCI_VENDOR_ID_INTEL;
        cfg.device_id = PCI_DEVICE_ID_INTEL_Q35;
        cfg.pciexbar = 0x60;
        cfg.hidden = hidden;
        cfg.hidden_count = ARRAY_SIZE(hidden);
        cfg.reset_control = virt_firmware_reset_control;
        /* Firmware chooses addresses; all that is no RAM must decode. */
        cfg.windows[0] = (PciHostWindow){ VIRT_LOW_RAM_END, VIRT_MMIO32_END - VIRT_LOW_RAM_END };
        cfg.windows[1].size = BIT(VIRT_MAX_ADDRESS_BITS) - v->mmio64_base;
    }
    v->pci = pci_host_create(OBJECT(v), "pcihost", &cfg, errp);
    return v->pci != NULL;
}

static void press_power_button(void *opaque)
{
    ged_raise(opaque, GED_EVENT_POWER_BUTTON);
}

static bool create_ged(VirtMachine *v, Error **errp)
{
    DeviceState *dev = device_new(&ged_type);
    object_add_child(OBJECT(v), "ged", dev, &error_abort);
    if (!device_realize_and_unref(dev, NULL, errp)) {
        return false;
    }
    v->ged = GED(dev);
    memory_region_add(system_io(), VIRT_PORT_GED, &v->ged->io);
    device_connect_gpio_out(dev, NULL, 0, device_gpio_in(v->gsi, NULL, VIRT_GSI_GED));
    powerdown_notify(press_power_button, v->ged);
    return true;
}

static bool create_isa(VirtMachine *v, Error **errp)
{
    IrqLine *lines[ISA_IRQ_COUNT];
    for (unsigned i = 0; i < ISA_IRQ_COUNT; i++) {
        lines[i] = device_gpio_in(v->gsi, NULL, i);
    }
    v->isa = isa_bridge_create(OBJECT(v), lines, errp);
    return v->isa != NULL;
}

/* A UART for each -serial; "none" leaves its place empty. */
static bool create_serial(VirtMachine *v, Error **errp)
{
    for (unsigned i = 0; i < serial_count(); i++) {
        Chardev *chr = serial_chardev(i);
        if (!chr) {
            continue;
        }
        DeviceState *dev = device_new(&isa_serial_type);
        if (!object_property_set_int(dev, "index", i, errp) ||
            !object_property_set_string(dev, "chardev", chr->label, errp)) {
            object_unref(dev);
            return false;
        }
        if (!device_realize_and_unref(dev, &v->isa->bus, errp)) {
            return false;
        }
    }
    return true;
}

/* ---- the machine ---- */

bool virt_machine_init(MachineState *m, Error **errp)
{
    static const AcpiReducedPorts acpi_ports = {
        .sleep_control = VIRT_PORT_SLEEP_CONTROL, .sleep_status = VIRT_PORT_SLEEP_STATUS,
        .reset = VIRT_PORT_RESET, .pm_timer = VIRT_PORT_PM_TIMER,
    };
    VirtMachine *v = VIRT_MACHINE(m);

    if (!plan_memory(v, errp)) {
        return false;
    }
    address_space_io.unassigned_ones = true;
    memory_transaction_begin();
    map_memory(v);
    bool ok = virt_firmware_load(v, errp);
    describe_memory(v);
    ok = ok && (v->gsi = virt_gsi_create(OBJECT(v), errp)) && create_pci(v, errp) && create_ged(v, errp) &&
         acpi_reduced_create(OBJECT(v), &acpi_ports, errp) && create_isa(v, errp) &&
         (!v->has_firmware || virt_firmware_create_ports(v, errp));
    if (ok) {
        v->fw_cfg = fw_cfg_create(OBJECT(v), VIRT_PORT_FW_CFG, errp);
    }
    memory_transaction_commit();
    return v->fw_cfg && create_serial(v, errp) && virt_hotplug_create(v, errp) &&
           machine_create_cpus(m, errp);
}

bool virt_machine_ready(MachineState *m, Error **errp)
{
    return virt_boot_prepare(VIRT_MACHINE(m), errp);
}

void virt_machine_reset(MachineState *m)
{
    reset_all();
    cpus_reset_all();
    virt_boot_reset(VIRT_MACHINE(m));
}

static void virt_finalize(Object *obj)
{
    VirtMachine *v = VIRT_MACHINE(obj);
    if (v->ged) {
        powerdown_unnotify(press_power_button, v->ged);
    }
    virt_boot_cleanup(v);
    virt_firmware_cleanup(v);
    memmap_free(v->memmap);
    g_free(v->apic_ids);
}

OBJECT_TYPE(virt_machine_type) = {
    .name = "virt-machine",
    .parent = &machine_type,
    .abstract = true,
    .instance_size = sizeof(VirtMachine),
    .properties = virt_machine_properties,
    .instance_finalize = virt_finalize,
};

/* ---- versions ---- */

static const MachineOps virt_1_0_ops = {
    .name = "virt-1.0",
    .alias = "virt",
    .description = "Legacy-free virtual machine",
    .is_default = true,
    .max_cpus = VIRT_MAX_CPUS,
    .default_cpu_type = "host-x86_64-cpu",
    .default_ram_id = "virt.ram",
    .default_ram_size = 128 * MIB,
    .cpu_dies = true,
    .numa = true,
    .hotpluggable_cpus = CONFIG_CPU_HOTPLUG,
    .init = virt_machine_init,
    .ready = virt_machine_ready,
    .reset = virt_machine_reset,
};

OBJECT_TYPE_STATIC(virt_1_0_machine_type) = {
    .name = "virt-1.0-machine",
    .parent = &virt_machine_type,
    .description = "Legacy-free virtual machine",
    .impls = TYPE_IMPLS({ &machine_type, &virt_1_0_ops }),
};
