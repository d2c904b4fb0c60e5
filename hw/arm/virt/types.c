/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options and versions of the AArch64 machine `virt`. Main thread with the
 * machine lock.
 */
#include "util/osdep.h"

#include "machine.h"
#include "target/arm/cpu.h"

#define MAX_CPUS 512u

/* ---- options ---- */

/*
 * "2", "3"; "host" and "max": the newest that there is. When nothing is said,
 * version 2 where it is possible and enough, as users expect.
 */
static bool choose_gic(ArmVirtMachine *v, Error **errp)
{
    const char *o = v->gic_version_option;
    unsigned possible = arm_gic_versions();
    unsigned cpus = v->machine.smp.max_cpus;

    if (!o && cpus <= ARM_GIC_V2_MAX_CPUS && (possible & 1u << 2)) {
        v->gic_version = 2;
    } else if (!o || !strcmp(o, "host") || !strcmp(o, "max")) {
        v->gic_version = (possible & 1u << 3) ? 3 : 2;
    } else if (!strcmp(o, "2") || !strcmp(o, "3")) {
        v->gic_version = *o - '0';
    } else if (!strcmp(o, "4")) {
        error_setg(errp, "gic-version=4 is not supported; accepted are 2, 3, host and max");
        return false;
    } else {
        error_setg(errp, "Invalid gic-version value");
        error_append_hint(errp, "Valid values are 3, 2, host, max.\n");
        return false;
    }
    if (!(possible & 1u << v->gic_version)) {
        error_setg(errp, "gic-version=%u is not available with this accelerator on this host",
                   v->gic_version);
        return false;
    }
    v->has_its = v->its && v->gic_version == 3;
    return true;
}

static bool check_cpus(const ArmVirtMachine *v, Error **errp)
{
    unsigned limit = ARM_GIC_V2_MAX_CPUS;

    if (v->gic_version == 3) {
        limit = ARM_VIRT_GIC_REDIST_SIZE / ARM_GIC_REDIST_STRIDE +
                v->layout.high_redist.size / ARM_GIC_REDIST_STRIDE;
    }
    if (v->machine.smp.max_cpus > limit) {
        error_setg(errp, "Number of SMP CPUs requested (%u) exceeds max CPUs supported by machine"
                   " 'mach-virt' (%u)", v->machine.smp.max_cpus, limit);
        return false;
    }
    return true;
}

static bool refuse(bool wanted, const char *option, const char *why, Error **errp)
{
    if (wanted) {
        error_setg(errp, "mach-virt: %s=on is not possible: %s", option, why);
    }
    return wanted;
}

bool arm_virt_check_options(ArmVirtMachine *v, Error **errp)
{
    if (refuse(v->secure, "secure", "KVM gives no guest the Security Extensions", errp) ||
        refuse(v->virtualization, "virtualization",
               "nested virtualization needs support of the host that is not used", errp) ||
        refuse(v->mte, "mte", "memory tagging is not supported", errp) ||
        refuse(v->ras, "ras", "host memory errors are not passed on to guests", errp)) {
        return false;
    }
    if (v->iommu && strcmp(v->iommu, "none") != 0) {
        if (!strcmp(v->iommu, "smmuv3")) {
            error_setg(errp, "iommu=smmuv3 is not supported; only iommu=none is");
        } else {
            error_setg(errp, "Invalid iommu value");
            error_append_hint(errp, "Valid values are none, smmuv3.\n");
        }
        return false;
    }
    return choose_gic(v, errp) && check_cpus(v, errp);
}

static const ObjectProperty arm_virt_properties[] = {
    ACPI_DIMMS_PROPERTIES(ArmVirtMachine, dimms),
    PROP_STRING("pflash0", ArmVirtMachine, flash_node[0],
                "Node name or ID of a block device to use as a backend"),
    PROP_STRING("pflash1", ArmVirtMachine, flash_node[1],
                "Node name or ID of a block device to use as a backend"),
    PROP_ON_OFF_AUTO("acpi", ArmVirtMachine, acpi, ON_OFF_AUTO_AUTO, "Enable ACPI"),
    PROP_BOOL("highmem", ArmVirtMachine, highmem, true,
              "Set on/off to enable/disable using physical address space above 32 bits"),
    PROP_STRING("gic-version", ArmVirtMachine, gic_version_option,
                "Set GIC version. Valid values are 2, 3, host and max"),
    PROP_BOOL("its", ArmVirtMachine, its, true,
              "Set on/off to enable/disable ITS instantiation"),
    PROP_STRING("iommu", ArmVirtMachine, iommu, "Set the IOMMU type; only none"),
    PROP_BOOL("secure", ArmVirtMachine, secure, false, "Security Extensions; must be off"),
    PROP_BOOL("virtualization", ArmVirtMachine, virtualization, false,
              "Virtualization Extensions; must be off"),
    PROP_BOOL("mte", ArmVirtMachine, mte, false, "Memory Tagging Extension; must be off"),
    PROP_BOOL("ras", ArmVirtMachine, ras, false, "report host memory errors; must be off"),
    PROP_BOOL("dtb-randomness", ArmVirtMachine, dtb_randomness, true,
              "Set off to disable passing random or non-deterministic dtb nodes to guest"),
    PROP_BOOL("dtb-kaslr-seed", ArmVirtMachine, dtb_randomness, true,
              "Deprecated synonym of dtb-randomness"),
    MACHINE_NUMA_PROPERTIES,
    PROP_STRING("dumpdtb", ArmVirtMachine, dumpdtb, "Dump current dtb to a file and quit"),
    PROP_STRING("dt-compatible", ArmVirtMachine, dt_compatible,
                "Overrides the \"compatible\" property of the dt root node"),
    PROP_STRING("x-oem-id", ArmVirtMachine, oem_id,
                "Override the default value of field OEMID in ACPI table header."),
    PROP_STRING("x-oem-table-id", ArmVirtMachine, oem_table_id,
                "Override the default value of field OEM Table ID in ACPI table header."),
    PROP_END
};

OBJECT_TYPE(arm_virt_machine_type) = {
    .name = "arm-virt-machine",
    .parent = &machine_type,
    .abstract = true,
    .instance_size = sizeof(ArmVirtMachine),
    .instance_finalize = arm_virt_finalize,
    .properties = arm_virt_properties,
};

/* ---- versions ---- */

#define VERSION(ident, version, alias_name, text, compat_table)             \
    static const MachineOps ident##_ops = {                                 \
        .name = version,                                                    \
        .alias = alias_name,                                                \
        .description = text,                                                \
        .max_cpus = MAX_CPUS,                                               \
        .default_cpu_type = "host-" ARM_CPU_TYPE_SUFFIX,                    \
        .default_ram_id = "mach-virt.ram",                                  \
        .default_ram_size = 128 * MIB,                                      \
        .cpu_clusters = true,                                               \
        .numa = true,                                                       \
        .init = arm_virt_init,                                              \
        .ready = arm_virt_ready,                                            \
        .reset = arm_virt_reset,                                            \
        .compat = compat_table,                                             \
    };                                                                      \
    OBJECT_TYPE_STATIC(ident##_type) = {                                    \
        .name = version "-machine",                                         \
        .parent = &arm_virt_machine_type,                                   \
        .description = text,                                                \
        .impls = TYPE_IMPLS({ &machine_type, &ident##_ops }),               \
    }

/* QEMU's names for what guests of that version see; 7.2 offers the reset of single queues. */
static const CompatProperty compat_7_1[] = {
    { "virtio-device", "queue_reset", "off" },
    { NULL }
};

VERSION(virt_1_0, "virt-1.0", NULL, "nemu 1.0 AArch64 Virtual Machine", NULL);
VERSION(virt_7_2, "virt-7.2", "virt", "QEMU 7.2 ARM Virtual Machine", NULL);
VERSION(virt_7_1, "virt-7.1", NULL, "QEMU 7.1 ARM Virtual Machine", compat_7_1);
VERSION(virt_7_0, "virt-7.0", NULL, "QEMU 7.0 ARM Virtual Machine", compat_7_1);
VERSION(virt_6_2, "virt-6.2", NULL, "QEMU 6.2 ARM Virtual Machine", compat_7_1);
