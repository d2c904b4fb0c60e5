/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the AArch64 `virt` starts: a kernel directly, firmware (with a kernel as
 * fw_cfg items, or without), or nothing but a device tree. Main thread with
 * the machine lock.
 */
#include "util/osdep.h"

#include "accel/accel.h"
#include "acpi.h"
#include "hw/acpi/fw-cfg.h"
#include "hw/boot/bootorder.h"
#include "machine.h"
#include "system/cpus.h"
#include "system/runstate.h"
#include "target/arm/cpu.h"

static bool check_kernel_options(const MachineState *m, Error **errp)
{
    if (m->kernel || (!m->initrd && !m->append)) {
        return true;
    }
    error_setg(errp, "%s only allowed with -kernel option", m->append ? "-append" : "-initrd");
    return false;
}

static bool add_kernel_items(ArmVirtMachine *v, Error **errp)
{
    const MachineState *m = &v->machine;
    FwCfgState *f = v->fw_cfg;
    /* They stay open as long as the guest may read them: to the end. */
    BootFile *kernel = boot_file_open(m->kernel, "kernel image", errp);
    BootFile *initrd = kernel && m->initrd ? boot_file_open(m->initrd, "initrd", errp) : NULL;
    g_autofree uint8_t *unpacked = NULL;
    size_t size = 0;

    if (!kernel || (m->initrd && !initrd) || !boot_file_unzip(kernel, &unpacked, &size, errp)) {
        boot_file_close(kernel);
        boot_file_close(initrd);
        return false;
    }
    if (unpacked) {
        fw_cfg_set_u32(f, FW_CFG_KERNEL_SIZE, size);
        fw_cfg_set_bytes(f, FW_CFG_KERNEL_DATA, unpacked, size);
    } else {
        fw_cfg_set_u32(f, FW_CFG_KERNEL_SIZE, kernel->size);
        fw_cfg_set_fd(f, FW_CFG_KERNEL_DATA, kernel->fd, 0, kernel->size);
    }
    if (initrd) {
        fw_cfg_set_u32(f, FW_CFG_INITRD_SIZE, initrd->size);
        fw_cfg_set_fd(f, FW_CFG_INITRD_DATA, initrd->fd, 0, initrd->size);
    }
    if (m->append) {
        fw_cfg_set_u32(f, FW_CFG_CMDLINE_SIZE, strlen(m->append) + 1);
        fw_cfg_set_string(f, FW_CFG_CMDLINE_DATA, m->append);
    }
    return true;
}

/* For firmware, which asks when it has placed the devices. */
static void build_acpi_files(void *opaque)
{
    ArmVirtMachine *v = opaque;
    const MachineState *m = &v->machine;
    const ArmGicConfig *gic = &v->gic->cfg;
    g_autofree uint64_t *mpidr = g_new0(uint64_t, m->smp.cpus);
    g_autoptr(GByteArray) nfit = acpi_dimms_nfit(&v->dimms);
    ArmVirtAcpiConfig c = {
        .oem_id = v->oem_id, .oem_table_id = v->oem_table_id,
        .cpus = m->smp.cpus, .mpidr = mpidr, .topology = m->smp,
        .pmu = ARM_CPU(cpu_first())->has_pmu, .gic_version = v->gic_version, .its = gic->its != 0,
        .ecam = v->ecam, .high_mmio = v->layout.high_mmio,
        .numa = numa_count(m) ? m->numa : NULL, .hmat = m->hmat, .ram_size = m->ram_size,
        .device_memory = v->layout.device_memory,
        .memory_slots = v->dimms.slots ? v->dimms.slots->count : 0, .nfit = nfit,
    };
    g_autoptr(AcpiTables) t = NULL;

    if (v->gic_version == 3) {
        c.redist[0] = (ArmVirtRange){ gic->redist[0].base, ARM_VIRT_GIC_REDIST_SIZE };
        c.redist[1] = (ArmVirtRange){
            gic->redist[1].base, gic->redist[1].cpus ? ARM_VIRT_HIGH_REDIST_SIZE : 0,
        };
    }
    CPU_FOREACH(cpu) {
        mpidr[cpu->index] = ARM_CPU(cpu)->mp_affinity;
    }
    t = arm_virt_acpi_build(&c);
    acpi_fw_cfg_set(v->fw_cfg, t);
}

static bool dump_tree(const ArmVirtMachine *v, const void *tree, size_t size, Error **errp)
{
    g_autoptr(GError) gerr = NULL;

    if (!g_file_set_contents(v->dumpdtb, tree, size, &gerr)) {
        error_setg(errp, "dumpdtb=%s: %s", v->dumpdtb, gerr->message);
        return false;
    }
    info_report("dtb dumped to %s. Exiting.", v->dumpdtb);
    system_exit_request(EXIT_SUCCESS);
    return true;
}

static bool write_tree(ArmVirtMachine *v, Error **errp)
{
    arm_virt_fdt_randomize(v, v->tree);
    if (!guest_ram_write(&address_space_memory, ARM_VIRT_RAM, v->tree, v->tree_size)) {
        error_setg(errp, "no RAM for the device tree at 0x%" PRIx64, ARM_VIRT_RAM);
        return false;
    }
    return true;
}

static bool write_memory(ArmVirtMachine *v, bool fresh, Error **errp)
{
    if (!v->boot) {
        return write_tree(v, errp);
    }
    arm_virt_fdt_randomize(v, v->boot->tree);
    return boot_plan_apply(v->boot, &address_space_memory, fresh, errp);
}

static bool plan_kernel(ArmVirtMachine *v, Error **errp)
{
    const MachineState *m = &v->machine;
    const BootSpec spec = {
        .kernel = m->kernel, .initrd = m->initrd, .cmdline = m->append, .memmap = v->memmap,
    };

    v->boot = boot_plan_new_arm64(&spec, ARM_VIRT_RAM, errp);
    return v->boot != NULL;
}

static bool add_items(ArmVirtMachine *v, Error **errp)
{
    const MachineState *m = &v->machine;
    FwCfgState *f = v->fw_cfg;

    fw_cfg_set_u16(f, FW_CFG_NB_CPUS, m->smp.cpus);
    fw_cfg_set_u16(f, FW_CFG_MAX_CPUS, m->smp.max_cpus);
    fw_cfg_set_u64(f, FW_CFG_RAM_SIZE, m->ram_size);
    fw_cfg_set_u16(f, FW_CFG_NOGRAPHIC, 0);
    if (v->has_firmware && v->acpi != ON_OFF_AUTO_OFF) {
        acpi_fw_cfg_add(f, build_acpi_files, v);
    }
    return boot_order_add(f, errp) && (!v->has_firmware || !m->kernel || add_kernel_items(v, errp));
}

bool arm_virt_boot_prepare(ArmVirtMachine *v, Error **errp)
{
    const MachineState *m = &v->machine;
    size_t size;
    void *tree;
    bool ok;

    if (!check_kernel_options(m, errp) ||
        (m->kernel && !v->has_firmware && !plan_kernel(v, errp))) {
        return false;
    }
    if (!m->kernel && !v->has_firmware && accel_ops()->runs_code && !v->dumpdtb) {
        warn_report("neither a kernel (-kernel) nor firmware (-bios) was given: the guest has"
                    " nothing to run");
    }
    tree = arm_virt_fdt_build(v, &size, errp);
    if (!tree) {
        return false;
    }
    if (v->dumpdtb) {
        arm_virt_fdt_randomize(v, tree);
        ok = dump_tree(v, tree, size, errp);
        g_free(tree);
        return ok;
    }
    if (v->boot) {
        ok = boot_plan_set_tree(v->boot, tree, size, errp);
    } else {
        v->tree = tree;
        v->tree_size = size;
        ok = true;
    }
    if (!ok || !add_items(v, errp)) {
        return false;
    }
    /* Anonymous memory is zero; a file's may hold anything. */
    v->boot_applied = write_memory(v, m->ram->ram && m->ram->ram->fd < 0, errp);
    return v->boot_applied;
}

void arm_virt_boot_reset(ArmVirtMachine *v)
{
    Error *err = NULL;

    if (v->dumpdtb) {
        return;
    }
    boot_order_update(v->fw_cfg);
    if (!v->boot_applied && !write_memory(v, false, &err)) {
        error_prepend(&err, "reset: ");
        error_report_err(err);
        vm_stop_request(RUN_STATE_INTERNAL_ERROR);
        return;
    }
    v->boot_applied = false;
    if (v->boot) {
        arm_cpu_set_boot_state(cpu_first(), v->boot->entry.rip, v->boot->entry.info);
    } else {
        /* Firmware starts at the bottom of the flash. */
        arm_cpu_set_boot_state(cpu_first(), ARM_VIRT_FLASH_BASE, ARM_VIRT_RAM);
    }
}
