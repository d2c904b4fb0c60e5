/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest of `virt` finds in memory and in fw_cfg when it starts: ACPI
 * tables, kernel and initrd, boot information, CPU registers. Main thread with
 * the machine lock. At a reset guest memory holds whatever the guest left
 * there; everything is written again.
 */
#include "util/osdep.h"

#include "accel/accel.h"
#include "acpi.h"
#include "hw/acpi/fw-cfg.h"
#include "hw/acpi/vmgenid.h"
#include "hw/boot/bootorder.h"
#include "hw/boot/smbios.h"
#include "hw/char/serial.h"
#include "hw/misc/pvpanic.h"
#include "machine.h"
#include "system/runstate.h"
#include "target/i386/boot.h"
#include "target/i386/cpu.h"
#include "util/bswap.h"

#define MULTIBOOT_LOADER_MAGIC 0x2badb002
#define ACPI_TABLES_OFFSET 64   /* of the tables behind the RSDP */
#define SMBIOS_TABLES_OFFSET 32 /* of the structures behind the entry point */

/* ---- ACPI ---- */

static void describe_isa_device(DeviceState *dev, VirtAcpiConfig *c)
{
    if (object_is_a(dev, &isa_serial_type)) {
        unsigned index;
        VirtAcpiSerial s;
        isa_serial_get(dev, &index, &s.port, &s.irq);
        if (index < VIRT_MAX_SERIAL) {
            c->serial[index] = s;
        }
    } else if (object_is_a(dev, &pvpanic_type)) {
        c->pvpanic_port = PVPANIC(dev)->port;
    }
}

static AcpiTables *build_acpi(VirtMachine *v)
{
    const MachineState *m = &v->machine;
    unsigned cpus = m->smp.max_cpus;
    g_autofree uint32_t *apic_ids = g_new(uint32_t, cpus);
    g_autofree bool *present = g_new0(bool, cpus);
    PciHostWindow ecam = pci_host_ecam(v->pci);
    g_autoptr(GByteArray) nfit = acpi_dimms_nfit(&v->dimms);
    VirtAcpiConfig c = {
        .max_cpus = cpus, .apic_ids = apic_ids, .present = present,
        .ecam_base = ecam.base, .ecam_size = ecam.size,
        .mmio32_base = VIRT_MMIO32_BASE, .mmio32_end = VIRT_MMIO32_END,
        .mmio64_base = v->mmio64_base, .mmio64_size = v->mmio64_size,
        /* A machine whose places are all taken does not make its guest look at each. */
        .cpu_hotplug = v->cpu_slots && cpus > m->smp.cpus,
        .memory_slots = v->dimms.slots ? v->dimms.slots->count : 0,
        .nfit = nfit,
        .numa = numa_count(m) ? m->numa : NULL, .hmat = m->hmat,
        .ram = { { 0, v->low_size }, { VIRT_HIGH_RAM_BASE, v->high_size } },
        .device_memory = { v->device_memory_base, v->device_memory_size },
    };
    if (v->has_firmware) {
        /* It places devices anywhere in what the CPUs can address. */
        c.mmio32_base = VIRT_LOW_RAM_END;
        c.mmio64_size = BIT(X86_CPU(cpu_first())->phys_bits);
        c.mmio64_size -= MIN(c.mmio64_size, v->mmio64_base);
    }
    for (unsigned i = 0; i < cpus; i++) {
        apic_ids[i] = x86_apic_id(&m->smp, i);
        present[i] = cpu_by_index(i) != NULL;
    }
    c.vmgenid = vmgenid_find() != NULL;
    c.vmgenid_page = v->has_firmware ? 0 : VIRT_VMGENID_PAGE;
    for (DeviceState *d = v->isa->bus.devices; d; d = d->next_on_bus) {
        describe_isa_device(d, &c);
    }
    return virt_acpi_build(&c);
}

/* RSDP and tables for direct boot, in the reserved area below 1 MiB. */
static bool place_acpi(VirtMachine *v, Error **errp)
{
    const uint64_t base = VIRT_ACPI_BASE + ACPI_TABLES_OFFSET;
    g_autoptr(AcpiTables) tables = build_acpi(v);
    g_autoptr(GByteArray) placed = acpi_tables_place(tables, base);
    const uint64_t end = vmgenid_find() ? VIRT_VMGENID_PAGE : VIRT_ACPI_END;
    if (base + placed->len > end) {
        error_setg(errp, "the ACPI tables take %u bytes; there is room for %u", placed->len, (unsigned)(end - base));
        return false;
    }
    if (v->acpi) {
        g_byte_array_unref(v->acpi);
    }
    v->acpi = g_byte_array_new();
    g_byte_array_set_size(v->acpi, ACPI_TABLES_OFFSET);
    memset(v->acpi->data, 0, ACPI_TABLES_OFFSET);
    acpi_rsdp_build(tables, base, v->acpi->data);
    g_byte_array_append(v->acpi, placed->data, placed->len);
    return true;
}

/* For firmware, which asks when it has placed the devices. */
static void build_acpi_files(void *opaque)
{
    VirtMachine *v = opaque;
    g_autoptr(AcpiTables) t = build_acpi(v);
    acpi_fw_cfg_set(v->fw_cfg, t);
}

/* ---- SMBIOS ---- */

static bool build_smbios(VirtMachine *v, Error **errp)
{
    const SmbiosRange ram[] = { { 0, v->low_size }, { VIRT_HIGH_RAM_BASE, v->high_size } };

    v->smbios = smbios_build(&v->machine, ram, v->high_size ? 2 : 1, errp);
    if (!v->smbios) {
        return false;
    }
    if (v->smbios->len > VIRT_SMBIOS_END - VIRT_SMBIOS_BASE - SMBIOS_TABLES_OFFSET) {
        error_setg(errp, "the SMBIOS tables take %u bytes; there is room for %u", v->smbios->len,
                   (unsigned)(VIRT_SMBIOS_END - VIRT_SMBIOS_BASE - SMBIOS_TABLES_OFFSET));
        return false;
    }
    return true;
}

static bool write_smbios(const VirtMachine *v, Error **errp)
{
    uint64_t tables = VIRT_SMBIOS_BASE + SMBIOS_TABLES_OFFSET;
    uint8_t entry[SMBIOS_ENTRY_SIZE];

    smbios_entry_build(tables, v->smbios->len, entry);
    if (!guest_ram_write(&address_space_memory, VIRT_SMBIOS_BASE, entry, sizeof(entry)) ||
        !guest_ram_write(&address_space_memory, tables, v->smbios->data, v->smbios->len)) {
        error_setg(errp, "no RAM for the SMBIOS tables at 0x%" PRIx64, VIRT_SMBIOS_BASE);
        return false;
    }
    return true;
}

/* Firmware puts the structures where it likes and corrects the entry point. */
static bool add_smbios_items(VirtMachine *v, Error **errp)
{
    uint8_t entry[SMBIOS_ENTRY_SIZE];

    smbios_entry_build(0, v->smbios->len, entry);
    return fw_cfg_add_file(v->fw_cfg, "etc/smbios/smbios-anchor", entry, sizeof(entry), errp) &&
           fw_cfg_add_file(v->fw_cfg, "etc/smbios/smbios-tables", v->smbios->data, v->smbios->len, errp);
}

/* ---- fw_cfg ---- */

/* False when their sizes do not fit into the items, which have 32 bits. */
static bool add_kernel_items(FwCfgState *f, const BootFile *kernel, uint32_t setup_size,
                             const BootFile *initrd, const char *cmdline)
{
    if (kernel->size > UINT32_MAX || (initrd && initrd->size > UINT32_MAX)) {
        return false;
    }
    fw_cfg_set_u32(f, FW_CFG_SETUP_SIZE, setup_size);
    fw_cfg_set_fd(f, FW_CFG_SETUP_DATA, kernel->fd, 0, setup_size);
    fw_cfg_set_u32(f, FW_CFG_KERNEL_SIZE, kernel->size - setup_size);
    fw_cfg_set_fd(f, FW_CFG_KERNEL_DATA, kernel->fd, setup_size, kernel->size - setup_size);
    if (initrd) {
        fw_cfg_set_u32(f, FW_CFG_INITRD_SIZE, initrd->size);
        fw_cfg_set_fd(f, FW_CFG_INITRD_DATA, initrd->fd, 0, initrd->size);
    }
    fw_cfg_set_u32(f, FW_CFG_CMDLINE_SIZE, strlen(cmdline) + 1);
    fw_cfg_set_string(f, FW_CFG_CMDLINE_DATA, cmdline);
    return true;
}

/* A kernel for firmware: any EFI program; of a bzImage the two parts that firmware puts together again. */
static bool give_kernel(VirtMachine *v, Error **errp)
{
    const MachineState *m = &v->machine;
    uint32_t setup_size = 0;

    v->kernel = boot_file_open(m->kernel, "kernel image", errp);
    if (!v->kernel) {
        return false;
    }
    v->initrd = m->initrd ? boot_file_open(m->initrd, "initrd", errp) : NULL;
    if ((m->initrd && !v->initrd) || !boot_bzimage_setup_size(v->kernel, &setup_size, errp)) {
        return false;
    }
    if (!add_kernel_items(v->fw_cfg, v->kernel, setup_size, v->initrd, m->append ?: "")) {
        error_setg(errp, "kernel '%s': firmware takes no more than 4 GiB of kernel or initrd", m->kernel);
        return false;
    }
    return true;
}

static bool add_items(VirtMachine *v, Error **errp)
{
    const MachineState *m = &v->machine;
    FwCfgState *f = v->fw_cfg;
    g_autoptr(GByteArray) e820 = memmap_e820(v->memmap);
    uint8_t reserved_end[8];

    fw_cfg_set_u64(f, FW_CFG_RAM_SIZE, m->ram_size);
    fw_cfg_set_u16(f, FW_CFG_NOGRAPHIC, 1);
    fw_cfg_set_u16(f, FW_CFG_NB_CPUS, cpu_count());
    fw_cfg_set_u16(f, FW_CFG_MAX_CPUS, x86_apic_id_max(&m->smp) + 1);
    store_le64(reserved_end, v->mmio64_base);
    if (!fw_cfg_add_file(f, "etc/e820", e820->data, e820->len, errp) ||
        !fw_cfg_add_file(f, "etc/reserved-memory-end", reserved_end, 8, errp) || !add_smbios_items(v, errp)) {
        return false;
    }
    if (m->acpi) {
        acpi_fw_cfg_add(f, build_acpi_files, v);
    }
    if (v->boot) {
        const BootPlan *p = v->boot;

        if (p->initrd) {
            fw_cfg_set_u32(f, FW_CFG_INITRD_ADDR, p->initrd_addr);
        }
        add_kernel_items(f, p->kernel, p->setup_size, p->initrd, p->cmdline);
    }
    return boot_order_add(f, errp) && (!v->has_firmware || !m->kernel || give_kernel(v, errp));
}

/* ---- boot ---- */

/*
 * What a PC's firmware has at F000:FFF0. On a machine with reduced ACPI that
 * was not booted through EFI, Linux reboots by going there in real mode, not
 * through the reset register.
 */
static const uint8_t reset_code[] = {
    0xba, VIRT_PORT_RESET & 0xff, VIRT_PORT_RESET >> 8,         /* mov dx, reset register */
    0xb0, VIRT_RESET_VALUE,                                     /* mov al, value */
    0xee,                                                       /* out dx, al */
    0xf4,                                                       /* hlt */
    0xeb, 0xfd,                                                 /* jmp to the hlt */
};

static bool write_memory(VirtMachine *v, bool fresh, Error **errp)
{
    if (!guest_ram_write(&address_space_memory, VIRT_RESET_VECTOR, reset_code, sizeof(reset_code))) {
        error_setg(errp, "no RAM at 0x%" PRIx64, VIRT_RESET_VECTOR);
        return false;
    }
    if (v->acpi && !guest_ram_write(&address_space_memory, VIRT_ACPI_BASE, v->acpi->data,
                                    v->acpi->len)) {
        error_setg(errp, "no RAM for the ACPI tables at 0x%" PRIx64, VIRT_ACPI_BASE);
        return false;
    }
    if (v->acpi && vmgenid_find() && !vmgenid_place(vmgenid_find(), VIRT_VMGENID_PAGE, errp)) {
        return false;
    }
    return write_smbios(v, errp) && boot_plan_apply(v->boot, &address_space_memory, fresh, errp);
}

static bool prepare_kernel(VirtMachine *v, Error **errp)
{
    const MachineState *m = &v->machine;
    const BootSpec spec = {
        .kernel = m->kernel, .initrd = m->initrd, .cmdline = m->append, .memmap = v->memmap,
        .rsdp = m->acpi ? VIRT_ACPI_BASE : 0,
    };
    v->boot = boot_plan_new(&spec, errp);
    if (!v->boot || (m->acpi && !place_acpi(v, errp))) {
        return false;
    }
    /* Anonymous memory is zero; a file's may hold anything. */
    bool fresh = m->ram->ram && m->ram->ram->fd < 0;
    v->boot_applied = write_memory(v, fresh, errp);
    return v->boot_applied;
}

bool virt_boot_prepare(VirtMachine *v, Error **errp)
{
    const MachineState *m = &v->machine;
    if (!build_smbios(v, errp)) {
        return false;
    }
    if (m->kernel && m->dtb) {
        error_setg(errp, "-dtb: machine %s is described by ACPI, not by a device tree",
                   machine_ops(m)->name);
        return false;
    }
    if (m->kernel) {
        if (!v->has_firmware && !prepare_kernel(v, errp)) {
            return false;
        }
    } else if (m->initrd || m->append || m->dtb) {
        error_setg(errp, "%s only allowed with -kernel option",
                   m->append ? "-append" : m->initrd ? "-initrd" : "-dtb");
        return false;
    } else if (!v->has_firmware && accel_ops()->runs_code) {
        warn_report("neither kernel (-kernel) nor firmware was given: the guest has nothing to run");
    }
    return add_items(v, errp);
}

static void enter_kernel(const BootEntry *e)
{
    X86BootState b = { .mode = X86_BOOT_FLAT32, .rip = e->rip };
    switch (e->protocol) {
    case BOOT_PVH:
        b.rbx = e->info;
        break;
    case BOOT_MULTIBOOT:
        b.rax = MULTIBOOT_LOADER_MAGIC;
        b.rbx = e->info;
        break;
    case BOOT_LINUX64:
        b.mode = X86_BOOT_LONG64;
        b.rsi = e->info;
        b.cr3 = e->page_table;
        b.gdt_base = e->gdt;
        b.gdt_limit = 31;
        break;
    case BOOT_ARM64:
        g_assert_not_reached();
    }
    x86_cpu_set_boot_state(cpu_first(), &b);
}

void virt_boot_reset(VirtMachine *v)
{
    Error *err = NULL;

    boot_order_update(v->fw_cfg);
    if (v->has_firmware) {
        return;                 /* it is at the reset vector */
    }
    if (!v->boot) {
        /* There is nothing at the reset vector that it could run. */
        X86_CPU(cpu_first())->regs.mp_state = X86_MP_HALTED;
        return;
    }
    /* With the CPUs and the memory that there are now. */
    if (!v->boot_applied && !((!v->acpi || place_acpi(v, &err)) && write_memory(v, false, &err))) {
        error_prepend(&err, "reset: ");
        error_report_err(err);
        vm_stop_request(RUN_STATE_INTERNAL_ERROR);
        return;
    }
    v->boot_applied = false;
    enter_kernel(&v->boot->entry);
}

void virt_boot_cleanup(VirtMachine *v)
{
    boot_plan_free(v->boot);
    boot_file_close(v->kernel);
    boot_file_close(v->initrd);
    if (v->acpi) {
        g_byte_array_unref(v->acpi);
    }
    if (v->smbios) {
        g_byte_array_unref(v->smbios);
    }
}
